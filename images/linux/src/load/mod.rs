//! From the deployed file to a program that is ready for its first instruction.
#![forbid(unsafe_code)]

pub mod archive;
pub mod elf;
pub mod map;
pub mod place;
mod process;
pub mod program;
pub mod reject;
pub mod stack;
pub mod symbols;
