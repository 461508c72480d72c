//! Which signal an exception becomes (`arch/x86` of Linux, and the Intel SDM, volume 3, 6.15).
#![forbid(unsafe_code)]

use linux_raw_sys::general as linux;

use super::Info;
use crate::memory::regions::Regions;

/// What the kernel said about an exception.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exception {
    /// Its vector.
    pub vector: u64,
    /// The processor's error code.
    pub error: u64,
    /// The address of a page fault.
    pub address: u64,
}

const DIVIDE: u64 = 0;
const DEBUG: u64 = 1;
const BREAKPOINT: u64 = 3;
const INVALID_OPCODE: u64 = 6;
const SEGMENT: u64 = 11;
const STACK: u64 = 12;
const PAGE: u64 = 14;
const X87: u64 = 16;
const ALIGNMENT: u64 = 17;
const VECTOR: u64 = 19;

/// `SI_KERNEL`
const BY_KERNEL: i32 = 0x80;

/// The signal, and what its handler is told. `rip` is the faulting instruction.
#[must_use]
pub fn signal(exception: &Exception, rip: u64, regions: &Regions) -> Info {
    let (signal, code, address) = match exception.vector {
        DIVIDE => (linux::SIGFPE, linux::FPE_INTDIV as i32, rip),
        DEBUG => (linux::SIGTRAP, linux::TRAP_TRACE as i32, rip),
        BREAKPOINT => (linux::SIGTRAP, BY_KERNEL, 0),
        INVALID_OPCODE => (linux::SIGILL, linux::ILL_ILLOPN as i32, rip),
        SEGMENT | STACK => (linux::SIGBUS, BY_KERNEL, 0),
        X87 | VECTOR => (linux::SIGFPE, linux::FPE_FLTINV as i32, rip),
        ALIGNMENT => (linux::SIGBUS, linux::BUS_ADRALN as i32, 0),
        PAGE => {
            let code = match regions.find(exception.address) {
                Some(_) => linux::SEGV_ACCERR,
                None => linux::SEGV_MAPERR,
            };
            (linux::SIGSEGV, code as i32, exception.address)
        }
        // Overflow, bounds, protection.
        _ => (linux::SIGSEGV, BY_KERNEL, 0),
    };
    Info { signal, code, fields: [address, 0] }
}
