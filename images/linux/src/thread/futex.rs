//! `futex`: waiting for a word in memory, and waking those who do.
//!
//! One thread runs at a time and is never interrupted in here, so comparing the word and going to
//! wait is one step by itself.
#![forbid(unsafe_code)]

use linux_raw_sys::general as linux;

use super::{On, State, Wait};
use crate::Errno;
use crate::native::Native;
use crate::os::Os;
use crate::outcome::{Break, Served};

/// Waits and wakes with all bits.
const ALL_BITS: u32 = u32::MAX;

impl<N: Native> Os<N> {
    /// `futex`.
    pub(crate) fn futex(&mut self, arguments: [u64; 6]) -> Served {
        let [address, operation, value, fourth, second, last] = arguments;
        let flags = linux::FUTEX_PRIVATE_FLAG | linux::FUTEX_CLOCK_REALTIME;
        let realtime = operation as u32 & linux::FUTEX_CLOCK_REALTIME != 0;
        if !address.is_multiple_of(4) {
            return Err(Errno::EINVAL.into());
        }
        let (value, last) = (value as u32, last as u32);
        match operation as u32 & !flags {
            linux::FUTEX_WAIT => {
                // The only time here that is a length.
                let until = self.time_from_now(fourth)?;
                self.futex_wait(address, value, until, ALL_BITS)
            }
            linux::FUTEX_WAIT_BITSET => {
                if last == 0 {
                    return Err(Errno::EINVAL.into());
                }
                let until = self.time_at(fourth, realtime)?;
                self.futex_wait(address, value, until, last)
            }
            linux::FUTEX_WAKE => Ok(self.futex_wake(address, value, ALL_BITS)),
            linux::FUTEX_WAKE_BITSET if last == 0 => Err(Errno::EINVAL.into()),
            linux::FUTEX_WAKE_BITSET => Ok(self.futex_wake(address, value, last)),
            linux::FUTEX_REQUEUE => Ok(self.futex_requeue(address, value, fourth as u32, second).0),
            linux::FUTEX_CMP_REQUEUE => {
                if self.space.read_u32(address)? != last {
                    return Err(Errno::EAGAIN.into());
                }
                let (woken, moved) = self.futex_requeue(address, value, fourth as u32, second);
                Ok(woken + moved)
            }
            linux::FUTEX_WAKE_OP => self.futex_wake_op(address, value, fourth as u32, second, last),
            _ => Err(Errno::ENOSYS.into()),
        }
    }

    fn futex_wait(
        &mut self,
        address: u64,
        expected: u32,
        until_ns: Option<u64>,
        bits: u32,
    ) -> Served {
        if self.space.read_u32(address)? != expected {
            return Err(Errno::EAGAIN.into());
        }
        let turn = self.threads.next_turn();
        Err(Break::Wait(Wait { on: On::Futex { address, bits, turn }, until_ns }))
    }

    /// Wakes up to `most` threads, those first that wait longest, and answers how many.
    pub(crate) fn futex_wake(&mut self, address: u64, most: u32, bits: u32) -> u64 {
        let mut woken = 0;
        while woken < u64::from(most) {
            let Some(at) = self.futex_first(address, bits) else { break };
            let thread = &mut self.threads.all[at];
            thread.state = State::Ready;
            thread.frame.rax = 0;
            woken += 1;
        }
        self.attention |= woken > 0;
        woken
    }

    /// The thread that waits longest there.
    fn futex_first(&self, wanted: u64, bits_wanted: u32) -> Option<usize> {
        let waiting =
            self.threads.all.iter().enumerate().filter_map(|(at, thread)| match thread.state {
                State::Waiting(Wait { on: On::Futex { address, bits, turn }, .. })
                    if address == wanted && bits & bits_wanted != 0 =>
                {
                    Some((turn, at))
                }
                _ => None,
            });
        waiting.min().map(|(_, at)| at)
    }

    /// Wakes some and lets others wait for another word instead: how many of each.
    fn futex_requeue(&mut self, from: u64, wake: u32, most: u32, to: u64) -> (u64, u64) {
        let woken = self.futex_wake(from, wake, ALL_BITS);
        let mut moved = 0;
        while moved < u64::from(most) && from != to {
            let Some(at) = self.futex_first(from, ALL_BITS) else { break };
            if let State::Waiting(Wait { on: On::Futex { address, .. }, .. }) =
                &mut self.threads.all[at].state
            {
                *address = to;
            }
            moved += 1;
        }
        (woken, moved)
    }

    /// Changes a second word, wakes waiters of the first, and, if the second compared as asked, of
    /// the second.
    fn futex_wake_op(
        &mut self,
        address: u64,
        wake: u32,
        wake_second: u32,
        second: u64,
        encoded: u32,
    ) -> Served {
        let signed = |bits: u32| (bits << 20).cast_signed() >> 20;
        let (operand, compared) = (signed(encoded >> 12 & 0xfff), signed(encoded & 0xfff));
        let shifted = encoded & linux::FUTEX_OP_OPARG_SHIFT << 28 != 0;
        let operand = if shifted { 1_i32.wrapping_shl(operand as u32) } else { operand };
        let old = self.space.read_u32(second)?.cast_signed();
        let new = match encoded >> 28 & 7 {
            linux::FUTEX_OP_SET => operand,
            linux::FUTEX_OP_ADD => old.wrapping_add(operand),
            linux::FUTEX_OP_OR => old | operand,
            linux::FUTEX_OP_ANDN => old & !operand,
            linux::FUTEX_OP_XOR => old ^ operand,
            _ => return Err(Errno::ENOSYS.into()),
        };
        let also = match encoded >> 24 & 0xf {
            linux::FUTEX_OP_CMP_EQ => old == compared,
            linux::FUTEX_OP_CMP_NE => old != compared,
            linux::FUTEX_OP_CMP_LT => old < compared,
            linux::FUTEX_OP_CMP_LE => old <= compared,
            linux::FUTEX_OP_CMP_GT => old > compared,
            linux::FUTEX_OP_CMP_GE => old >= compared,
            _ => return Err(Errno::ENOSYS.into()),
        };
        self.space.write_u32(second, new.cast_unsigned())?;
        let mut woken = self.futex_wake(address, wake, ALL_BITS);
        if also {
            woken += self.futex_wake(second, wake_second, ALL_BITS);
        }
        Ok(woken)
    }
}
