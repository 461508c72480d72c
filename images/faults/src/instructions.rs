//! Instructions that trap: exceptions, privileged ones, odd ways into the kernel, odd flags.

use core::arch::asm;

use crate::Misbehave;

/// MXCSR with every exception unmasked.
const MXCSR_UNMASKED: u32 = 0x0000;
/// x87 control word with every exception unmasked.
const X87_UNMASKED: u16 = 0x0300;

/// A table of kinds that run a line of assembly, perhaps with one operand `{}`. A line may
/// overwrite whatever a function call may.
macro_rules! assembly {
    ($($name:literal => $line:literal $(, $operand:expr)?;)*) => {
        &[$(($name, |_| {
            // SAFETY: ends in an exception; or else changes only registers that are given up here.
            unsafe { asm!($line, $(in(reg) $operand,)? clobber_abi("C")) };
            None
        })),*]
    };
}

pub const KINDS: &[(&str, Misbehave)] = assembly! {
    // Exceptions, in the order of their vectors.
    "divide"         => "xor edx, edx; xor ecx, ecx; div ecx";
    "single-step"    => "pushfq; or dword ptr [rsp], 0x100; popfq; nop";
    "int1"           => ".byte 0xF1";
    "breakpoint"     => "int3";
    "overflow"       => "int 4";
    "undefined"      => "ud2";
    "stack-segment"  => "mov rax, rbp; mov rbp, 1; ror rbp; mov rcx, [rbp]; mov rbp, rax";
    "x87"            => "fninit; fldcw [{}]; fld1; fldz; fdivp; fwait; fninit", &X87_UNMASKED;
    "alignment-check" => "pushfq; or dword ptr [rsp], 0x40000; popfq; mov eax, [rsp + 1]
                         pushfq; and dword ptr [rsp], ~0x40000; popfq";
    "simd-exception" => "ldmxcsr [{}]; xorps xmm0, xmm0; divss xmm0, xmm0", &MXCSR_UNMASKED;

    // Privileged instructions.
    "privileged"     => "cli";
    "sti"            => "sti";
    "hlt"            => "hlt";
    "in-port"        => "mov edx, 0x60; in al, dx";
    "out-port"       => "mov edx, 0xF4; xor eax, eax; out dx, al";
    "rdmsr"          => "mov ecx, 0xC0000080; rdmsr";
    "wrmsr"          => "mov ecx, 0xC0000080; xor eax, eax; xor edx, edx; wrmsr";
    "mov-cr0"        => "mov rax, cr0";
    "mov-cr3"        => "xor eax, eax; mov cr3, rax";
    "mov-dr7"        => "mov rax, dr7";
    "clts"           => "clts";
    "invlpg"         => "invlpg [rsp]";
    "wbinvd"         => "wbinvd";
    "swapgs"         => "swapgs";
    "sysretq"        => "lea rcx, [rip + 2f]; sysretq; 2:";
    "xsetbv"         => "xor ecx, ecx; xgetbv; xsetbv";
    "lgdt"           => "lgdt [rsp]";
    "lidt"           => "lidt [rsp]";
    "ltr"            => "xor eax, eax; ltr ax";

    // Tell kernel addresses, unless UMIP forbids.
    "sgdt"           => "sub rsp, 16; sgdt [rsp]; add rsp, 16";
    "sidt"           => "sub rsp, 16; sidt [rsp]; add rsp, 16";
    "sldt"           => "sldt eax";
    "str"            => "str eax";
    "smsw"           => "smsw eax";

    // Other ways into a kernel.
    "int80"            => "int 0x80";
    "int-irq"          => "int 0x20";
    "int-double-fault" => "int 8";
    "int-page-fault"   => "int 14";
    "sysenter"         => "sysenter";
    "vmcall"           => "vmcall";
    "far-jump-32"      => "push 0x23; lea rax, [rip + 2f]; push rax; retfq; 2:";

    // Flags that must not follow into the kernel (TF; AC, NT and DF), with a call that only reports
    // an error.
    "syscall-with-trap-flag" => "pushfq; or dword ptr [rsp], 0x100; popfq; mov eax, -1; syscall";
    "syscall-with-odd-flags" => "pushfq; or dword ptr [rsp], 0x44400; popfq; mov eax, -1; syscall
                                 pushfq; and dword ptr [rsp], ~0x44400; popfq";

    // Segment registers.
    "null-segments"  => "xor eax, eax; mov ds, eax; mov es, eax; mov fs, eax; mov gs, eax";
    "bad-segment"    => "mov eax, 0xFFF8; mov fs, eax";
    "kernel-segment" => "mov eax, 0x08; mov ss, eax";
};
