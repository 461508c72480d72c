//! Everything around the kernel: building it, running it in QEMU, testing it, checking it.
//!
//! | module | what it knows |
//! |---|---|
//! | [`workspace`] | where sources and results lie |
//! | [`prerequisites`] | what must be installed, and how to install it |
//! | [`build`] | how the kernel and the actions are compiled |
//! | [`qemu`] | a typed QEMU runner: [`qemu::Machine`] boots, [`qemu::Node`] runs |
//! | [`image`] | images that start under BIOS and UEFI |
//! | [`bundle`] | boot bundles, made and checked with the kernel's own parsers |
//! | [`connection`] | HTTP by hand, for requests no library would send |
//! | [`lab`] | a Linux guest with hostkernel's peers, and instruction counts of either |
//! | [`lifeline`] | child processes that cannot outlive this one |
//! | [`runtime`] | runtimes: what nodes need to run source code |
//! | [`symbols`] | the lines of source behind the addresses of a crash record |
//! | [`trial`] | a live node under hostile or heavy use, every answer checked |
//! | [`tidy`] | the rules of size and unsafe zones |
//!
//! The binary beside this library holds one file per command. The library is what the system tests
//! build on: they boot nodes through the same code as `cargo xtask run`.

#![forbid(unsafe_code)]

pub mod build;
pub mod bundle;
pub mod connection;
pub mod fleet;
pub mod image;
pub mod lab;
pub mod lifeline;
pub mod prerequisites;
mod programs;
pub mod qemu;
pub mod runtime;
pub mod symbols;
pub mod tidy;
pub mod trial;
pub mod workspace;
