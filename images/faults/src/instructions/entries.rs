//! Ways into a kernel other than this one's, and this one's in odd circumstances. The number -1 is
//! no call: it only reports an error.

use super::assembly;
use crate::Misbehave;

pub const KINDS: &[(&str, Misbehave)] = assembly! {
    "sysenter"   => "sysenter";

    // Debug exceptions wait until after the instruction that follows a load of SS; with a gate or
    // `syscall` as that instruction they would arrive in ring 0 (CVE-2018-8897).
    "mov-ss-int1"    => "mov eax, ss; mov ss, eax; .byte 0xF1";
    "mov-ss-int3"    => "mov eax, ss; mov ss, eax; int3";
    "mov-ss-int80"   => "mov eax, ss; mov ss, eax; int 0x80";
    "mov-ss-ud2"     => "mov eax, ss; mov ss, eax; ud2";
    "mov-ss-syscall" => "mov ecx, ss; mov eax, -1; mov ss, ecx; syscall";
    "trap-mov-ss-int1"  => "mov eax, ss; pushfq; or dword ptr [rsp], 0x100; popfq; mov ss, eax
                            .byte 0xF1";
    "trap-mov-ss-int3"  => "mov eax, ss; pushfq; or dword ptr [rsp], 0x100; popfq; mov ss, eax
                            int3";
    "trap-mov-ss-int80" => "mov eax, ss; pushfq; or dword ptr [rsp], 0x100; popfq; mov ss, eax
                            int 0x80";
    "trap-mov-ss-ud2"   => "mov eax, ss; pushfq; or dword ptr [rsp], 0x100; popfq; mov ss, eax
                            ud2";
    "trap-mov-ss-syscall" => "mov ecx, ss; mov eax, -1; pushfq; or dword ptr [rsp], 0x100; popfq
                              mov ss, ecx; syscall";
    "trap-syscall"   => "mov eax, -1; pushfq; or dword ptr [rsp], 0x100; popfq; syscall";
    "trap-int3"      => "pushfq; or dword ptr [rsp], 0x100; popfq; int3";
    "trap-ud2"       => "pushfq; or dword ptr [rsp], 0x100; popfq; ud2";
    "trap-page-fault" => "pushfq; or dword ptr [rsp], 0x100; popfq; mov rax, [0]";

    // The stack pointer is nothing the kernel may rely on.
    "kernel-stack-syscall" => "mov r8, rsp; mov rsp, 0xFFFFFFFFC0003000; mov eax, -1; syscall
                               mov rsp, r8";
    "kernel-stack-int3"    => "mov rsp, 0xFFFFFFFFC0003000; int3";
    "kernel-stack-push"    => "mov rsp, 0xFFFFFFFFC0003000; push rax";
    "non-canonical-stack-syscall" => "mov r8, rsp; mov rsp, 0x8000000000000000; mov eax, -1
                                      syscall; mov rsp, r8";
    "non-canonical-stack-int3"    => "mov rsp, 0x8000000000000000; int3";
    "null-stack-syscall"   => "mov r8, rsp; xor esp, esp; mov eax, -1; syscall; mov rsp, r8";

    // x87 and SSE exceptions that are pending when the kernel is entered.
    "pending-x87-syscall"  => "fninit; fldcw [{}]; fld1; fldz; fdivp; mov eax, -1; syscall",
                              &super::X87_UNMASKED;
    "pending-simd-syscall" => "ldmxcsr [{}]; mov eax, -1; syscall", &super::MXCSR_UNMASKED;
};
