//! The calls about signals.
#![forbid(unsafe_code)]

use linux_raw_sys::general as linux;

use super::{Action, AlternateStack, INFO_LEN, Info, SIGNAL_MAX, SignalSet};
use crate::Errno;
use crate::native::Native;
use crate::os::Os;
use crate::outcome::{Break, Served};
use crate::thread::{On, Wait};

/// Bytes of the set that every call about signals takes.
const SET_LEN: u64 = 8;
/// `SI_USER`, `SI_TKILL`
const BY_USER: i32 = 0;
const BY_THREAD: i32 = -6;

impl<N: Native> Os<N> {
    /// `rt_sigaction`.
    pub(crate) fn sigaction(&mut self, signal: u64, new: u64, old: u64, set_len: u64) -> Served {
        let signal = number(signal)?;
        if set_len != SET_LEN || new != 0 && SignalSet::UNBLOCKABLE.has(signal) {
            return Err(Errno::EINVAL.into());
        }
        let before = self.signals.action(signal);
        let after = match new {
            0 => None,
            address => {
                let [handler, flags, restorer, mask] = self.space.read_words(address)?;
                Some(Action { handler, flags, restorer, mask: SignalSet(mask) })
            }
        };
        if old != 0 {
            let Action { handler, flags, restorer, mask } = before;
            self.space.write_words(old, &[handler, flags, restorer, mask.0])?;
        }
        if let Some(action) = after {
            self.signals.set_action(signal, action);
            if self.signals.is_ignored(signal) {
                self.signals.pending.forget(signal);
                for thread in &mut self.threads.all {
                    thread.pending.forget(signal);
                }
            }
        }
        Ok(0)
    }

    /// `rt_sigprocmask`.
    pub(crate) fn sigprocmask(&mut self, how: u64, new: u64, old: u64, set_len: u64) -> Served {
        if set_len != SET_LEN {
            return Err(Errno::EINVAL.into());
        }
        let before = self.threads.running().mask;
        if new != 0 {
            let set = SignalSet(self.space.read_u64(new)?);
            let mask = match how as u32 {
                linux::SIG_BLOCK => before.with(set),
                linux::SIG_UNBLOCK => before.without(set),
                linux::SIG_SETMASK => set,
                _ => return Err(Errno::EINVAL.into()),
            };
            self.threads.running().mask = mask.without(SignalSet::UNBLOCKABLE);
            self.attention |= self.has_pending();
        }
        if old != 0 {
            self.space.write_u64(old, before.0)?;
        }
        Ok(0)
    }

    /// Whether anything is pending for the running thread.
    fn has_pending(&mut self) -> bool {
        !self.signals.pending.is_empty() || !self.threads.running().pending.is_empty()
    }

    /// `rt_sigpending`.
    pub(crate) fn sigpending(&mut self, set: u64, set_len: u64) -> Served {
        if set_len > SET_LEN {
            return Err(Errno::EINVAL.into());
        }
        let thread = self.threads.running();
        let pending = thread.pending.set().with(self.signals.pending.set()).0 & thread.mask.0;
        self.space.write(set, &pending.to_le_bytes()[..set_len as usize])?;
        Ok(0)
    }

    /// `rt_sigsuspend`.
    pub(crate) fn sigsuspend(&mut self, set: u64, set_len: u64) -> Served {
        if set_len != SET_LEN {
            return Err(Errno::EINVAL.into());
        }
        let mask = self.space.read_u64(set)?;
        self.mask_for_call(SignalSet(mask));
        self.pause()
    }

    /// Blocks other signals until the call is over.
    pub(crate) fn mask_for_call(&mut self, mask: SignalSet) {
        let thread = self.threads.running();
        // Not again when the call is made again.
        if thread.saved_mask.is_none() {
            thread.saved_mask = Some(thread.mask);
            thread.mask = mask.without(SignalSet::UNBLOCKABLE);
        }
        self.attention = true;
    }

    /// `pause`: waits for a handler.
    pub(crate) fn pause(&mut self) -> Served {
        Err(Break::Wait(Wait { on: On::Signal(SignalSet::default()), until_ns: None }))
    }

    /// `rt_sigtimedwait`.
    pub(crate) fn sigtimedwait(&mut self, set: u64, info: u64, time: u64, set_len: u64) -> Served {
        if set_len != SET_LEN {
            return Err(Errno::EINVAL.into());
        }
        let wanted = SignalSet(self.space.read_u64(set)?).without(SignalSet::UNBLOCKABLE);
        let thread = self.threads.running();
        let taken = thread.pending.take(wanted).or_else(|| self.signals.pending.take(wanted));
        if let Some(taken) = taken {
            if info != 0 {
                self.space.write(info, &taken.to_bytes())?;
            }
            return Ok(u64::from(taken.signal));
        }
        let until_ns = match self.threads.running().until_ns {
            Some(until) => Some(until),
            None => self.time_from_now(time)?,
        };
        if until_ns.is_some_and(|until| until <= self.native.now_ns()) {
            return Err(Errno::EAGAIN.into());
        }
        Err(Break::Wait(Wait { on: On::Signal(wanted), until_ns }))
    }

    /// `sigaltstack`.
    pub(crate) fn sigaltstack(&mut self, new: u64, old: u64, rsp: u64) -> Served {
        let before = self.threads.running().alternate;
        let after = match new {
            0 => None,
            address => {
                let [address, flags, len] = self.space.read_words(address)?;
                let flags = flags as u32;
                if before.holds(rsp) {
                    return Err(Errno::EPERM.into());
                }
                let known = linux::SS_DISABLE | linux::SS_ONSTACK | linux::SS_AUTODISARM;
                if flags & !known != 0 {
                    return Err(Errno::EINVAL.into());
                }
                Some(match flags & linux::SS_DISABLE != 0 {
                    true => AlternateStack::default(),
                    false if len < u64::from(linux::MINSIGSTKSZ) => {
                        return Err(Errno::ENOMEM.into());
                    }
                    false => AlternateStack { address, flags: flags & linux::SS_AUTODISARM, len },
                })
            }
        };
        if old != 0 {
            self.space.write_words(old, &before.to_words(rsp))?;
        }
        if let Some(stack) = after {
            self.threads.running().alternate = stack;
        }
        Ok(0)
    }

    /// `kill`.
    pub(crate) fn kill(&mut self, process: u64, signal: u64) -> Served {
        let own = self.identity.process_id;
        let target = process as i32;
        // 0 and -1 are the process group and everybody: nobody else is there.
        let is_own = matches!(target, 0 | -1) || target.unsigned_abs() == own;
        self.send(is_own, signal, |signal| Info::sent(signal, BY_USER, own), None)
    }

    /// `tkill`, `tgkill`.
    pub(crate) fn tgkill(&mut self, process: Option<u64>, thread: u64, signal: u64) -> Served {
        let own = self.identity.process_id;
        if (thread as i32) <= 0 || process.is_some_and(|process| (process as i32) <= 0) {
            return Err(Errno::EINVAL.into());
        }
        let is_own = process.is_none_or(|process| process as u32 == own)
            && self.threads.find(thread as u32).is_some();
        let info = |signal| Info::sent(signal, BY_THREAD, own);
        self.send(is_own, signal, info, Some(thread as u32))
    }

    /// `rt_sigqueueinfo`, `rt_tgsigqueueinfo`.
    pub(crate) fn sigqueue(
        &mut self,
        process: u64,
        thread: Option<u64>,
        signal: u64,
        info: u64,
    ) -> Served {
        let bytes: [u8; INFO_LEN] = self.space.read(info)?;
        let is_own = process as u32 == self.identity.process_id
            && thread.is_none_or(|thread| self.threads.find(thread as u32).is_some());
        let info = |signal| Info { signal, ..Info::from_bytes(&bytes) };
        self.send(is_own, signal, info, thread.map(|thread| thread as u32))
    }

    /// Sends a signal to the process or a thread of it; 0 only asks whether that is possible.
    fn send(
        &mut self,
        exists: bool,
        signal: u64,
        info: impl Fn(u32) -> Info,
        thread: Option<u32>,
    ) -> Served {
        if signal as u32 > SIGNAL_MAX {
            return Err(Errno::EINVAL.into());
        }
        if !exists {
            return Err(Errno::ESRCH.into());
        }
        let signal = signal as u32;
        let blocked = |mask: SignalSet| mask.has(signal);
        if signal == 0 {
            return Ok(0);
        }
        let waits = match thread.and_then(|number| self.threads.find(number)) {
            Some(thread) => blocked(thread.mask),
            None => blocked(self.threads.running().mask),
        };
        if self.signals.is_ignored(signal) && !waits {
            return Ok(0);
        }
        let info = info(signal);
        match thread.and_then(|number| self.threads.find(number)) {
            Some(thread) => thread.pending.add(info)?,
            None => self.signals.pending.add(info)?,
        }
        self.attention = true;
        Ok(0)
    }
}

/// A signal's number.
fn number(signal: u64) -> Result<u32, Errno> {
    u32::try_from(signal)
        .ok()
        .filter(|signal| (1..=SIGNAL_MAX).contains(signal))
        .ok_or(Errno::EINVAL)
}
