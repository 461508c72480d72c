//! `clone`, `clone3`, and the end of a thread.
#![forbid(unsafe_code)]

use linux_raw_sys::general as linux;

use super::Thread;
use super::fork::Child;
use crate::Errno;
use crate::frame::Frame;
use crate::limits::{ROBUST_LIST_MAX, THREADS_MAX};
use crate::native::{Extended, Native};
use crate::os::Os;
use crate::outcome::{Break, Served};

/// What every thread shares with the others; without it a new process is asked for.
const SHARED: u64 =
    linux::CLONE_VM as u64 | linux::CLONE_THREAD as u64 | linux::CLONE_SIGHAND as u64;
/// Bytes of the first version of `struct clone_args`, and of the longest known.
const CLONE_ARGS_LEN_MIN: u64 = 64;
const CLONE_ARGS_LEN_MAX: u64 = 4096;
/// In a futex word: its owner is dead; somebody waits.
const OWNER_DIED: u32 = linux::FUTEX_OWNER_DIED;
const WAITERS: u32 = linux::FUTEX_WAITERS;
/// In a futex word: its owner's number.
const OWNER: u32 = linux::FUTEX_TID_MASK;

/// What a new thread is made of.
#[derive(Clone, Copy, Debug)]
struct Request {
    flags: u64,
    /// Its first stack pointer; 0 for the parent's.
    stack: u64,
    parent_number: u64,
    child_number: u64,
    pointer: u64,
}

impl<N: Native> Os<N> {
    /// `clone`.
    pub(crate) fn clone(&mut self, frame: &Frame) -> Served {
        let [flags, stack, parent_number, child_number, pointer, _] = frame.arguments();
        self.make_thread(frame, Request { flags, stack, parent_number, child_number, pointer })
    }

    /// `clone3`.
    pub(crate) fn clone3(&mut self, frame: &Frame) -> Served {
        let [address, len, ..] = frame.arguments();
        if len < CLONE_ARGS_LEN_MIN {
            return Err(Errno::EINVAL.into());
        }
        if len > CLONE_ARGS_LEN_MAX {
            return Err(Errno::E2BIG.into());
        }
        let [flags, _, child_number, parent_number, exit_signal, stack, stack_len, pointer] =
            self.space.read_words(address)?;
        let longer = self.space.bytes(address, len)?;
        if longer[CLONE_ARGS_LEN_MIN as usize..].iter().any(|byte| *byte != 0) {
            return Err(Errno::EINVAL.into());
        }
        if exit_signal != 0 && flags & SHARED == SHARED || (stack == 0) != (stack_len == 0) {
            return Err(Errno::EINVAL.into());
        }
        let stack = stack.wrapping_add(stack_len);
        self.make_thread(frame, Request { flags, stack, parent_number, child_number, pointer })
    }

    fn make_thread(&mut self, frame: &Frame, request: Request) -> Served {
        let has = |flag: u32| request.flags & u64::from(flag) != 0;
        if request.flags & (SHARED | u64::from(linux::CLONE_VFORK)) == 0 && request.stack == 0 {
            let at = |flag, address| if has(flag) { address } else { 0 };
            let child = Child {
                number_at: at(linux::CLONE_CHILD_SETTID, request.child_number),
                clear_at: at(linux::CLONE_CHILD_CLEARTID, request.child_number),
            };
            return self.fork(frame.rax, child);
        }
        if request.flags & SHARED != SHARED {
            self.count_unsupported(frame.rax);
            return Err(Errno::EPERM.into());
        }
        if self.threads.all.len() >= THREADS_MAX {
            return Err(Errno::EAGAIN.into());
        }
        let number = self.threads.next_number();
        let mut thread = Thread::new(number);
        thread.mask = self.threads.running().mask;
        thread.frame = Frame { rax: 0, ..*frame };
        if request.stack != 0 {
            thread.frame.rsp = request.stack;
        }
        thread.pointer = match has(linux::CLONE_SETTLS) {
            true => request.pointer,
            false => self.native.thread_pointer(),
        };
        thread.extended = Extended::zeroed(self.native.extended_len());
        self.native.save_extended(&mut thread.extended);
        if has(linux::CLONE_CHILD_CLEARTID) {
            thread.clear = request.child_number;
        }
        if has(linux::CLONE_PARENT_SETTID) {
            self.space.write_u32(request.parent_number, number)?;
        }
        if has(linux::CLONE_CHILD_SETTID) {
            // As in Linux the thread starts even if this address is none.
            let _ = self.space.write_u32(request.child_number, number);
        }
        self.threads.all.push(thread);
        self.attention = true;
        Ok(u64::from(number))
    }

    /// `exit`: ends the thread that runs.
    pub(crate) fn exit_thread(&mut self, status: u64) -> Served {
        if self.threads.all.len() == 1 {
            return Err(Break::Exit(status as u32 & 0xff));
        }
        self.leave_robust_list();
        let clear = self.threads.running().clear;
        if clear != 0 && self.space.write_u32(clear, 0).is_ok() {
            self.futex_wake(clear, 1, u32::MAX);
        }
        Err(Break::ThreadEnded)
    }

    /// Marks the locks that the thread holds as without an owner, and wakes one waiter each.
    fn leave_robust_list(&mut self) {
        let thread = self.threads.running();
        let (head, numbers) = (thread.robust, [thread.number, thread.former]);
        if head == 0 {
            return;
        }
        let Ok([first, offset, pending]) = self.space.read_words(head) else { return };
        let mut entry = first;
        for _ in 0..ROBUST_LIST_MAX {
            if entry & !1 == head {
                break;
            }
            let Ok(next) = self.space.read_u64(entry & !1) else { return };
            if entry != pending {
                self.leave_lock((entry & !1).wrapping_add(offset), numbers);
            }
            entry = next;
        }
        if pending != 0 {
            self.leave_lock((pending & !1).wrapping_add(offset), numbers);
        }
    }

    fn leave_lock(&mut self, address: u64, numbers: [u32; 2]) {
        let Ok(word) = self.space.read_u32(address) else { return };
        if !numbers.contains(&(word & OWNER)) {
            return;
        }
        let left = word & WAITERS | OWNER_DIED;
        if self.space.write_u32(address, left).is_ok() && word & WAITERS != 0 {
            self.futex_wake(address, 1, u32::MAX);
        }
    }
}
