//! Segment registers, and code segments that are not the action's.

use core::arch::asm;

use action_abi::prelude::*;

use super::{assembly, returning};
use crate::Misbehave;

/// An `iretq` to the next instruction with these selectors, flags and this instruction pointer.
macro_rules! iretq {
    ($cs:literal, $ss:literal, $rip:literal) => {
        concat!(
            "mov rcx, rsp; push ",
            $ss,
            "; push rcx; push 0x202; push ",
            $cs,
            "; ",
            $rip,
            "; push rax; iretq; 2:"
        )
    };
    ($cs:literal, $ss:literal) => {
        iretq!($cs, $ss, "lea rax, [rip + 2f]")
    };
}

/// A far jump or call through memory, by its encoding.
macro_rules! far {
    ($cs:literal, $encoding:literal) => {
        concat!("push ", $cs, "; lea rax, [rip + 2f]; push rax; .byte ", $encoding, "; 2:")
    };
}

pub const KINDS: &[(&str, Misbehave)] = assembly! {
    "null-segments"      => "xor eax, eax; mov ds, eax; mov es, eax; mov fs, eax; mov gs, eax";
    "own-segments"       => "mov eax, ss; mov ds, eax; mov es, eax; mov fs, eax; mov gs, eax";
    "null-stack-segment" => "xor eax, eax; mov ss, eax";
    "kernel-code-as-stack" => "mov eax, 0x08; mov ss, eax";
    "kernel-data-as-stack" => "mov eax, 0x10; mov ss, eax";

    // The kernel's code segment, its data segment, the task's, none.
    "far-jump-kernel"    => far!("0x08", "0x48, 0xFF, 0x2C, 0x24");
    "far-jump-null"      => far!("0", "0x48, 0xFF, 0x2C, 0x24");
    "far-jump-task"      => far!("0x2B", "0x48, 0xFF, 0x2C, 0x24");
    "far-call-kernel"    => far!("0x08", "0x48, 0xFF, 0x1C, 0x24");
    "far-call-data"      => far!("0x1B", "0x48, 0xFF, 0x1C, 0x24");
    "iretq-own"          => iretq!("0x23", "0x1B");
    "iretq-kernel"       => iretq!("0x08", "0x10");
    "iretq-kernel-code"  => iretq!("0x08", "0x1B");
    "iretq-kernel-stack" => iretq!("0x23", "0x10");
    "iretq-null-code"    => iretq!("0", "0x1B");
    "iretq-null-stack"   => iretq!("0x23", "0");
    "iretq-data-as-code" => iretq!("0x1B", "0x1B");
    "iretq-task-as-code" => iretq!("0x2B", "0x1B");
    "iretq-non-canonical" => iretq!("0x23", "0x1B", "mov rax, 0x8000000000000000");
    "iretq-into-kernel"  => iretq!("0x23", "0x1B", "mov rax, 0xFFFFFFFF80000000");
};

/// For one selector each, in `number`.
pub const SELECTORS: &[(&str, Misbehave)] =
    &[("far-return", |input| far_return(input.number)), ("load-fs", |input| load(input.number))];

/// What ring 3 may ask about the kernel's descriptors: nothing is answered.
pub const RETURNING: &[(&str, Misbehave)] = returning! {
    "lsl-task"   => "xor eax, eax; mov ecx, 0x28; lsl eax, ecx";
    "lar-kernel" => "xor eax, eax; mov ecx, 0x08; lar eax, ecx";
    "verr-kernel" => "xor eax, eax; mov ecx, 0x10; verr cx; setz al";
};

/// Returns to the next instruction in another code segment.
fn far_return(selector: u64) -> Option<Value> {
    // SAFETY: ends in an exception, or goes on behind the `retfq`.
    unsafe {
        asm!(
            "push {selector}", "lea {next}, [rip + 2f]", "push {next}", "retfq", "2:",
            selector = in(reg) selector, next = out(reg) _,
        );
    }
    None
}

/// Loads FS, which an action does not use.
fn load(selector: u64) -> Option<Value> {
    // SAFETY: ends in an exception, or changes nothing but FS.
    unsafe { asm!("mov fs, {:e}", in(reg) selector, options(nostack)) };
    None
}
