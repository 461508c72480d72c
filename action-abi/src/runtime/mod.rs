//! The Rust runtime for actions: everything between [`Context`](crate::Context) and the author's
//! one function.
//!
//! ```text
//! kernel ─ rdi ─▶ _start ─▶ entry::start ─▶ json | raw | http ─▶ the author's function
//!                                                                      │ value
//! kernel ◀─ exit(status, output_len) ◀───── output window ◀────────────┘
//! ```
//!
//! Invariants the modules share:
//!
//! - **One thread.** One invocation owns one core from start to finish, so statics need no locks.
//! - **Nothing is done ahead of need.** Starting stores one pointer. The heap, the log and the
//!   clock cost nothing until they are used, and an action that only computes a result makes
//!   exactly one call, [`Call::Exit`](crate::Call::Exit).
//! - **Whatever makes a program an action is emitted by a macro** ([`action!`](crate::action),
//!   [`raw_action!`](crate::raw_action), [`http_action!`](crate::http_action)): entry point, note,
//!   panic handler, allocator. This library by itself defines no such item, so it builds and tests
//!   like any other crate on the host.
//! - **An action is built with `panic = "abort"`.** Every other build makes a program for the
//!   computer it is written on, in which `host` stands in for the kernel: so `cargo check`, `run`
//!   and `test` need no flags.
//!
//! `unsafe` is confined to this folder; an action itself can carry `#![forbid(unsafe_code)]`.

#[doc(hidden)]
pub extern crate alloc;

mod body;
pub mod call;
pub mod clock;
pub mod collections;
pub mod context;
pub mod entry;
mod form;
#[cfg(test)]
mod header;
pub mod heap;
#[cfg(not(panic = "abort"))]
mod host;
pub mod http;
pub mod json;
pub mod log;
pub mod memory_routines;
pub mod output;
pub mod panic;
pub mod random;
pub mod raw;
pub mod unwinding;

/// What an action imports: `use action_abi::prelude::*;`.
///
/// The derives `Deserialize` and `Serialize` name the crate `serde`, so an action that uses them
/// lists `serde` among its own dependencies.
pub mod prelude {
    pub use super::alloc::borrow::{Cow, ToOwned};
    pub use super::alloc::boxed::Box;
    pub use super::alloc::string::{String, ToString};
    pub use super::alloc::vec::Vec;
    pub use super::alloc::{format, vec};
    pub use super::body::Part;
    pub use super::call::exit;
    pub use super::clock::{deadline, now, wall_time};
    pub use super::collections::{HashMap, HashSet, Table as _};
    pub use super::context::{context, env};
    pub use super::http::{Request, Response};
    pub use super::output::Output;
    pub use super::random;
    pub use crate::{action, http_action, log, println, raw_action};
    pub use num_traits::Float;
    pub use serde::{Deserialize, Serialize};
    pub use serde_json::{Value, json};
}
