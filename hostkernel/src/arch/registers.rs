//! The general registers, as the entry code leaves them.

use core::fmt;

/// The registers of an action, or of interrupted kernel code, in the order the entry code pushes
/// them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs, reason = "the processor's names")]
pub struct Registers {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    /// Vector, or `VECTOR_SYSCALL` of the entry code.
    pub vector: u64,
    /// The exception's error code, or 0.
    pub error: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

impl Registers {
    /// Whether these are an action's registers: whether ring 3 was interrupted.
    #[must_use]
    pub fn of_action(&self) -> bool {
        self.cs & 3 != 0
    }
}

impl fmt::Display for Registers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, rip, cs, rflags, .. } = self;
        let Self { r8, r9, r10, r11, r12, r13, r14, r15, ss, .. } = self;
        writeln!(f, "rax {rax:016x} rbx {rbx:016x} rcx {rcx:016x} rdx {rdx:016x}")?;
        writeln!(f, "rsi {rsi:016x} rdi {rdi:016x} rbp {rbp:016x} rsp {rsp:016x}")?;
        writeln!(f, "r8  {r8:016x} r9  {r9:016x} r10 {r10:016x} r11 {r11:016x}")?;
        writeln!(f, "r12 {r12:016x} r13 {r13:016x} r14 {r14:016x} r15 {r15:016x}")?;
        write!(f, "rip {rip:016x} cs {cs:04x} ss {ss:04x} rflags {rflags:08x}")
    }
}
