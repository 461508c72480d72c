//! What a node decides and computes, whatever machine it runs on.
//!
//! Read along the path of an invocation:
//!
//! ```text
//! net ─▶ serve ─▶ http ─▶ api ─▶ registry ─▶ dispatch ─▶ (the machine's worker) ─▶ call
//! ```
//!
//! and back the same way. Nothing here can contain `unsafe`, knows a device or an instruction, or
//! waits: it is handed frames, time and randomness, and is built and tested on the host.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod api;
pub mod bundle;
pub mod calendar;
pub mod call;
pub mod client;
mod digits;
pub mod dispatch;
mod document;
pub mod http;
pub mod image;
pub mod journal;
mod json;
pub mod mitigation;
pub mod net;
pub mod random;
pub mod registry;
pub mod serve;
pub mod settings;
pub mod slice;
pub mod state;
pub mod store;
pub mod trace;
pub mod traceparent;
pub mod wall;

/// Tests refuse memory where a request asks for much of it.
#[cfg(test)]
#[global_allocator]
static HEAP: memory::failure::Heap = memory::failure::Heap;
