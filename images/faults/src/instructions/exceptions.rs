//! Exceptions that ring 3 can raise by itself, in the order of their vectors, and encodings that
//! are none.
//!
//! Not here, because no instruction raises them in this kernel's ring 3: #NM (`CR0.TS` and `CR0.EM`
//! are off), #BR (`bound` does not exist in 64-bit mode, MPX is off), #TS and #NP (all descriptors
//! and gates are present, and there is one task), #CP and #VE (not switched on).

use super::{MXCSR_UNMASKED, X87_UNMASKED, assembly};
use crate::Misbehave;

pub const KINDS: &[(&str, Misbehave)] = assembly! {
    "divide"          => "xor edx, edx; xor ecx, ecx; div ecx";
    "divide-overflow" => "mov eax, 0x80000000; cdq; mov ecx, -1; idiv ecx";
    "single-step"     => "pushfq; or dword ptr [rsp], 0x100; popfq; nop";
    "int1"            => ".byte 0xF1";
    "breakpoint"      => "int3";
    "overflow"        => "int 4";
    "undefined"       => "ud2";
    "ud0"             => ".byte 0x0F, 0xFF, 0xC0";
    "ud1"             => ".byte 0x0F, 0xB9, 0xC0";
    "stack-segment"   => "mov rax, rbp; mov rbp, 1; ror rbp; mov rcx, [rbp]; mov rbp, rax";
    "misaligned-sse"  => "movaps xmm0, [rsp + 1]";
    "x87"             => "fninit; fldcw [{}]; fld1; fldz; fdivp; fwait; fninit", &X87_UNMASKED;
    "alignment-check" => "pushfq; or dword ptr [rsp], 0x40000; popfq; mov eax, [rsp + 1]
                          pushfq; and dword ptr [rsp], ~0x40000; popfq";
    "simd-exception"  => "ldmxcsr [{}]; xorps xmm0, xmm0; divss xmm0, xmm0", &MXCSR_UNMASKED;
    "mxcsr-reserved"  => "push -1; ldmxcsr [rsp]; push 0x1F80; ldmxcsr [rsp]; pop rax; pop rax";

    // Instructions of 32-bit mode only.
    "into"            => ".byte 0xCE";
    "bound"           => ".byte 0x62, 0x00, 0x90, 0x90, 0x90, 0x90";
    "pop-ss"          => ".byte 0x17";
    "push-cs"         => ".byte 0x0E";
    "aaa"             => ".byte 0x37";
    "far-jump-direct" => ".byte 0xEA, 0, 0, 0, 0, 0x23, 0";
    "far-call-direct" => ".byte 0x9A, 0, 0, 0, 0, 0x23, 0";

    // Prefixes.
    "lock-register"   => ".byte 0xF0, 0x48, 0x01, 0xD8";
    "lock-load"       => ".byte 0xF0, 0x48, 0x8B, 0x04, 0x24";
    "lock-nop"        => ".byte 0xF0, 0x90";
    "lock-syscall"    => "mov eax, -1; .byte 0xF0, 0x0F, 0x05";
    "lock-int3"       => ".byte 0xF0, 0xCC";
    "rep-undefined"   => ".byte 0xF3, 0x0F, 0x0B";
    "rep-nop"         => ".byte 0xF2, 0xF3, 0x66, 0x90";
    "length-15"       => ".rept 14; .byte 0x66; .endr; nop";
    "length-16"       => ".rept 15; .byte 0x66; .endr; nop";
    "length-100"      => ".rept 99; .byte 0x66; .endr; nop";
    "rex-before-prefix" => ".byte 0x48, 0x66, 0x90";

    // Vector state that cannot be.
    "xrstor-bad-header" => "sub rsp, 1024; and rsp, -64; mov qword ptr [rsp + 512], -1
                            mov qword ptr [rsp + 520], -1; mov eax, -1; mov edx, -1; xrstor [rsp]";
    "xrstor-misaligned" => "sub rsp, 1024; and rsp, -64; mov eax, -1; mov edx, -1
                            xrstor [rsp + 8]";
};
