//! hostkernel: the kernel that is the serverless host. This crate is the machine's side of it;
//! what a node decides and computes is the crate [`node`], how memory is owned the crate
//! [`memory`], and every bound has a name in [`limits`].
//!
//! The path of an invocation:
//!
//! ```text
//! device ─▶ front ─▶ node::{net, http, api, registry, dispatch}
//!                                            └▶ worker ─▶ memory, arch::user ─▶ node::call
//! ```
//!
//! and back the same way. Principles that hold everywhere:
//!
//! * One invocation owns one core from start to finish; its deadline ends it, nothing switches it.
//! * While an action runs, nothing is mapped but its own pages and this core's entry code and area.
//! * Nothing a packet or an action does reaches a panic.
//! * `unsafe` lives in `arch`, `boot`, `device` and the crate `memory`. Nothing else may have it.
//! * What is not bound to the machine is built and tested on the host.
#![no_std]

extern crate alloc;

#[cfg(target_os = "none")]
pub mod arch;
#[cfg(target_os = "none")]
pub mod boot;
#[cfg(target_os = "none")]
pub mod console;
#[cfg(target_os = "none")]
pub mod crash;
pub mod device;
#[cfg(target_os = "none")]
mod entropy;
#[cfg(target_os = "none")]
mod front;
#[cfg(target_os = "none")]
mod handover;
#[cfg(target_os = "none")]
mod init;
#[cfg(any(test, target_os = "none"))]
pub mod platform;
#[cfg(all(target_os = "none", feature = "selftest"))]
mod selftest;
#[cfg(target_os = "none")]
pub mod worker;
