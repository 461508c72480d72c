//! From a pending signal to its handler, and back.
#![forbid(unsafe_code)]

use linux_raw_sys::general as linux;
use syscalls::Sysno;

use super::stack::{self, Delivery};
use super::{Action, AlternateStack, DEFAULT, IGNORE, Info, SignalSet, names};
use crate::Errno;
use crate::frame::Frame;
use crate::native::{Extended, Native};
use crate::os::Os;
use crate::outcome::{Break, Served};

impl<N: Native> Os<N> {
    /// Starts the handlers of the signals that the running thread can take now, and answers whether
    /// there was one. `interrupted` is the number of a call that has to be left for that.
    pub(crate) fn deliver(
        &mut self,
        frame: &mut Frame,
        interrupted: Option<u64>,
    ) -> Result<bool, Break> {
        let mut interrupted = interrupted;
        let mut delivered = false;
        loop {
            let thread = self.threads.running();
            if thread.pending.is_empty() && self.signals.pending.is_empty() {
                break;
            }
            let open = SignalSet(!thread.mask.0);
            let info = thread.pending.take(open).or_else(|| self.signals.pending.take(open));
            let Some(info) = info else { break };
            let action = self.signals.action(info.signal);
            match action.handler {
                IGNORE => {}
                DEFAULT if names::is_ignored_by_default(info.signal) => {}
                DEFAULT => return Err(Break::Killed(info)),
                _ => {
                    if let Some(number) = interrupted.take() {
                        self.leave_call(frame, number, action);
                    }
                    self.start_handler(frame, info, action)?;
                    delivered = true;
                }
            }
        }
        // A mask that was set for the length of a call ends with it, and a handler returns to it.
        if interrupted.is_none()
            && let Some(mask) = self.threads.running().saved_mask.take()
        {
            self.threads.running().mask = mask;
        }
        Ok(delivered)
    }

    /// Answers a call that a handler interrupts: `EINTR`, or to be made again after it.
    fn leave_call(&mut self, frame: &mut Frame, number: u64, action: Action) {
        let call = Sysno::new(number as usize);
        let ends = matches!(
            call,
            Some(
                Sysno::poll
                    | Sysno::ppoll
                    | Sysno::select
                    | Sysno::pselect6
                    | Sysno::epoll_wait
                    | Sysno::epoll_pwait
                    | Sysno::epoll_pwait2
                    | Sysno::nanosleep
                    | Sysno::clock_nanosleep
                    | Sysno::pause
                    | Sysno::rt_sigsuspend
                    | Sysno::rt_sigtimedwait
            )
        );
        let until = self.threads.running().until_ns;
        if action.has(linux::SA_RESTART) && !ends && until.is_none() {
            frame.again(number);
            return;
        }
        let remaining = match call {
            Some(Sysno::nanosleep) => Some(frame.rsi),
            Some(Sysno::clock_nanosleep) if frame.rsi == 0 => Some(frame.r10),
            _ => None,
        };
        if let (Some(address), Some(until)) = (remaining, until)
            && address != 0
        {
            let left = until.saturating_sub(self.native.now_ns());
            // What cannot be told is lost, as in Linux.
            let _ = self.space.write_words(address, &crate::time::words(left));
        }
        frame.rax = Errno::EINTR.to_result().cast_unsigned();
    }

    /// Puts a frame on the stack and points the thread at the handler.
    fn start_handler(
        &mut self,
        frame: &mut Frame,
        info: Info,
        action: Action,
    ) -> Result<(), Break> {
        let extended_len = self.native.extended_len();
        if self.scratch.is_empty() {
            self.scratch = Extended::zeroed(extended_len);
        }
        self.native.save_extended(&mut self.scratch);
        let thread = self.threads.running();
        let mask = thread.saved_mask.take().unwrap_or(thread.mask);
        let alternate = thread.alternate;
        let trap = core::mem::take(&mut self.trap);
        let delivery = Delivery {
            info,
            restorer: action.restorer,
            mask,
            alternate,
            on_alternate: action.has(linux::SA_ONSTACK) && alternate.len > 0,
            extended: &self.scratch,
            extended_len,
            trap,
        };
        let no_stack = Info { signal: linux::SIGSEGV, code: 0x80, fields: [0, 0] };
        let has_restorer = action.has(linux::SA_RESTORER);
        let rsp = match stack::push(&mut self.space, frame, &delivery) {
            Ok(rsp) if has_restorer => rsp,
            _ => return Err(Break::Killed(no_stack)),
        };
        if action.has(linux::SA_RESETHAND) {
            self.signals.set_action(info.signal, Action { handler: DEFAULT, ..action });
        }
        let thread = self.threads.running();
        if delivery.on_alternate && alternate.flags & linux::SS_AUTODISARM != 0 {
            thread.alternate = AlternateStack::default();
        }
        thread.mask = thread.mask.with(action.mask);
        if !action.has(linux::SA_NODEFER) {
            thread.mask = thread.mask.with(SignalSet::of(info.signal));
        }
        thread.mask = thread.mask.without(SignalSet::UNBLOCKABLE);
        // Where siginfo and ucontext lie, above the return address.
        *frame = Frame {
            rax: 0,
            rdi: u64::from(info.signal),
            rsi: rsp + stack::INFO,
            rdx: rsp + 8,
            rip: action.handler,
            rsp,
            flags: stack::handler_flags(frame.flags),
            ..*frame
        };
        Ok(())
    }

    /// `rt_sigreturn`: goes back to what a handler interrupted.
    pub(crate) fn sigreturn(&mut self, frame: &mut Frame) -> Served {
        let len = self.native.extended_len();
        if self.scratch.is_empty() {
            self.scratch = Extended::zeroed(len);
        }
        self.native.save_extended(&mut self.scratch);
        let popped = stack::pop(&self.space, frame.rsp, &mut self.scratch, len).map_err(|_| {
            Break::Killed(Info { signal: linux::SIGSEGV, code: 0x80, fields: [0; 2] })
        })?;
        if popped.has_extended {
            self.native.load_extended(&self.scratch);
        }
        *frame = popped.frame;
        let thread = self.threads.running();
        thread.mask = popped.mask.without(SignalSet::UNBLOCKABLE);
        let [address, flags, len] = popped.alternate;
        let flags = flags as u32 & linux::SS_AUTODISARM;
        if popped.alternate[1] as u32 & linux::SS_DISABLE == 0 {
            thread.alternate = AlternateStack { address, flags, len };
        }
        self.attention = true;
        Err(Break::Resumed)
    }

    /// Sends a signal that an exception became to the thread that raised it; one that it cannot
    /// take ends the program.
    pub(crate) fn force(&mut self, info: Info) -> Result<(), Break> {
        let blocked = self.threads.running().mask.has(info.signal);
        let action = self.signals.action(info.signal);
        if blocked || action.handler == IGNORE || action.handler == DEFAULT {
            return Err(Break::Killed(info));
        }
        // It goes before whatever else is pending of its number.
        self.threads.running().pending.forget(info.signal);
        self.threads.running().pending.add(info).map_err(|_| Break::Killed(info))
    }
}
