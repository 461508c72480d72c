//! hostkernel: the kernel that is the serverless host. This library is everything but `main.rs`.
//!
//! Read along the path of an invocation:
//!
//! ```text
//! net ─▶ http ─▶ api ─▶ registry ─▶ dispatch ─▶ worker ─▶ memory, arch::user ─▶ call
//! ```
//!
//! and back the same way. Principles that hold everywhere:
//!
//! * One invocation owns one core from start to finish; its deadline ends it, nothing switches it.
//! * While an action runs, nothing is mapped but its own pages and this core's entry code and area.
//! * Every bound has a name in [`limits`]. Nothing a packet or an action does reaches a panic.
//! * `unsafe` lives in `arch`, `boot`, `device` and `memory`. Every other module forbids it.
//! * What is not bound to the machine is built and tested on the host.
#![no_std]

extern crate alloc;

pub mod api;
#[cfg(target_os = "none")]
pub mod arch;
#[cfg(target_os = "none")]
pub mod boot;
pub mod bundle;
pub mod call;
pub mod device;
pub mod dispatch;
#[cfg(target_os = "none")]
mod front;
pub mod http;
pub mod image;
#[cfg(target_os = "none")]
mod init;
pub mod net;
pub mod observe;
pub mod random;
pub mod registry;
#[cfg(all(target_os = "none", feature = "selftest"))]
mod selftest;
pub mod settings;
pub mod wall;
#[cfg(target_os = "none")]
pub mod worker;
