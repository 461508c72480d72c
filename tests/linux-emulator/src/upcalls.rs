//! Signals of the process as exceptions of the image.

use action_abi::host::{UPCALL_ALARM, UpcallFrame};

use crate::EmulatorError;
use crate::calls::Machine;
use crate::process::ALARM_SIGNAL;
use crate::windows::Memory;

/// `SI_KERNEL`: no address is known.
const BY_KERNEL: i32 = 0x80;
/// An error code of a page fault that only says: from ring 3.
const PAGE_FAULT_ERROR: u64 = 4;

impl Machine {
    /// Handles a signal that stopped the process.
    pub fn signal(&mut self, info: &libc::siginfo_t) -> Result<(), EmulatorError> {
        // SAFETY: signals of this kind have an address; of others it is not used.
        let address = unsafe { info.si_addr() } as u64;
        let declared = self.is_declared(self.process.registers.rip);
        if info.si_signo == ALARM_SIGNAL {
            if self.alarm_ns == 0 {
                return Ok(());
            }
            if declared {
                self.note_alarm();
                return Ok(());
            }
            self.alarm_ns = 0;
            return self.upcall(UPCALL_ALARM, 0, 0);
        }
        let (vector, error, address) = match (info.si_signo, info.si_code) {
            (libc::SIGSEGV, BY_KERNEL) => (13, 0, 0),
            (libc::SIGSEGV, _) => (14, PAGE_FAULT_ERROR, address),
            (libc::SIGBUS, code) if code == libc::BUS_ADRALN => (17, 0, 0),
            (libc::SIGBUS, _) => (14, PAGE_FAULT_ERROR, address),
            (libc::SIGILL, _) => (6, 0, 0),
            (libc::SIGFPE, 1) => (0, 0, 0),
            (libc::SIGFPE, _) => (19, 0, 0),
            (libc::SIGTRAP, BY_KERNEL) => (3, 0, 0),
            (libc::SIGTRAP, _) => (1, 0, 0),
            (signal, _) => {
                return Err(EmulatorError::Fault(format!("signal {signal} of this computer")));
            }
        };
        if declared {
            let registers = self.process.registers;
            return Err(EmulatorError::Fault(format!(
                "vector {vector} at {address:#x} inside the declared code: {registers:#x?}"
            )));
        }
        self.upcall(vector, error, address)
    }

    /// Continues at the image's exception handler.
    fn upcall(&mut self, vector: u64, error: u64, address: u64) -> Result<(), EmulatorError> {
        let registers = &mut self.process.registers;
        let frame = UpcallFrame {
            pending_alarm: 0,
            vector,
            error,
            address,
            rax: registers.rax,
            rcx: registers.rcx,
            reserved: 0,
            rip: registers.rip,
            cs: registers.cs,
            rflags: registers.eflags,
            rsp: registers.rsp,
            ss: registers.ss,
        };
        registers.rip = self.reflection.exception_handler;
        registers.rax = self.reflection.frame;
        registers.eflags = 0x202;
        self.process
            .write(self.reflection.frame + 8, &frame.to_bytes_after_alarm())
            .ok_or_else(|| EmulatorError::Fault("its upcall frame cannot be written".to_owned()))
    }
}
