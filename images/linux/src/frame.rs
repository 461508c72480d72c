//! The program's registers while the library OS runs.
#![forbid(unsafe_code)]

/// What the entry code saves and what leaving restores, lowest address first.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the processor's names")]
pub struct Frame {
    pub flags: u64,
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
    pub rip: u64,
    pub rsp: u64,
}

/// Bytes of the `syscall` instruction.
pub const SYSCALL_LEN: u64 = 2;

impl Frame {
    /// A frame of zeroes, for statics.
    #[must_use]
    pub const fn zero() -> Self {
        Self {
            flags: 0,
            r15: 0,
            r14: 0,
            r13: 0,
            r12: 0,
            rbp: 0,
            rbx: 0,
            r11: 0,
            r10: 0,
            r9: 0,
            r8: 0,
            rax: 0,
            rcx: 0,
            rdx: 0,
            rsi: 0,
            rdi: 0,
            rip: 0,
            rsp: 0,
        }
    }

    /// The six arguments of a system call.
    #[must_use]
    pub const fn arguments(&self) -> [u64; 6] {
        [self.rdi, self.rsi, self.rdx, self.r10, self.r8, self.r9]
    }

    /// Makes the program make the call of this number again.
    pub fn again(&mut self, number: u64) {
        self.rax = number;
        self.rip -= SYSCALL_LEN;
    }
}
