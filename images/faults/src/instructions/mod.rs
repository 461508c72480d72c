//! Instructions that trap, or should: a line of assembly each.

mod entries;
mod exceptions;
mod flags;
mod privileged;
mod segments;

use crate::Misbehave;

/// MXCSR with every exception unmasked.
const MXCSR_UNMASKED: u32 = 0x0000;
/// x87 control word with every exception unmasked.
const X87_UNMASKED: u16 = 0x0300;

/// A table of kinds that run some assembly, perhaps with one operand `{}`. A line may overwrite
/// whatever a function call may. Unless it ends the invocation, the kind was survived.
macro_rules! assembly {
    ($($name:literal => $line:expr $(, $operand:expr)?;)*) => {
        &[$(($name, |_| {
            // SAFETY: ends in an exception; or else changes only registers that are given up here.
            unsafe { core::arch::asm!($line, $(in(reg) $operand,)? clobber_abi("C")) };
            None
        })),*]
    };
}

/// As [`assembly`], without operands; a kind returns `{"rax":…}`.
macro_rules! returning {
    ($($name:literal => $line:expr;)*) => {
        &[$(($name, |_| {
            let rax: u64;
            // SAFETY: ends in an exception; or else changes only registers that are given up here.
            unsafe { core::arch::asm!($line, out("rax") rax, clobber_abi("C")) };
            Some(action_abi::prelude::json!({ "rax": rax }))
        })),*]
    };
}

use {assembly, returning};

/// The tables of this folder.
pub const KINDS: [&[(&str, Misbehave)]; 9] = [
    exceptions::KINDS,
    privileged::KINDS,
    privileged::RETURNING,
    entries::KINDS,
    flags::KINDS,
    flags::RETURNING,
    segments::KINDS,
    segments::RETURNING,
    segments::SELECTORS,
];
