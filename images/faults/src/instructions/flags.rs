//! Flags that must not change in ring 3, or not follow into the kernel.

use super::{assembly, returning};
use crate::Misbehave;

pub const KINDS: &[(&str, Misbehave)] = assembly! {
    "iretq-trap-flag" => "mov rcx, rsp; mov eax, ss; push rax; push rcx; push 0x302; mov eax, cs
                          push rax; lea rax, [rip + 2f]; push rax; iretq; 2: nop; nop";
    "popfq-iopl-cli"  => "push 0x3202; popfq; cli";
    "popfq-iopl-in"   => "push 0x3202; popfq; in al, 0x60";
    "popfq-vif-sti"   => "push 0x180202; popfq; sti";
    "iretq-nested-task" => "push 0x4202; popfq; mov rcx, rsp; mov eax, ss; push rax; push rcx
                            push 0x202; mov eax, cs; push rax; lea rax, [rip + 2f]; push rax
                            iretq; 2:";
};

/// All but TF of the flags that only a kernel may set, or that change what it does: IOPL, NT, RF,
/// VM, AC, VIF, VIP, ID, and DF. What is left of them is in `rax`.
pub const RETURNING: &[(&str, Misbehave)] = returning! {
    "popfq-all"   => "push 0x3F7602; popfq; pushfq; pop rax; push 0x202; popfq";
    "popfq-none"  => "push 2; popfq; pushfq; pop rax";
    "iretq-all"   => "mov rcx, rsp; mov eax, ss; push rax; push rcx; push 0x3F7602; mov eax, cs
                      push rax; lea rax, [rip + 2f]; push rax; iretq; 2: pushfq; pop rax
                      push 0x202; popfq";
    "syscall-all" => "push 0x3F7602; popfq; mov eax, -1; syscall; pushfq; pop rax
                      push 0x202; popfq";
};
