//! Every limit and size of the node, with compile-time checks between those that depend on each
//! other.
//!
//! Units are last in the name: `_LEN` bytes, `_PAGES` pages of 4 KiB, `_NS` / `_MS` time, `_MAX`
//! and `_MIN` inclusive bounds. A loop, queue or table over anything from outside refers to one of
//! these.
#![no_std]
#![forbid(unsafe_code)]

mod action;
mod api;
mod checks;
mod configuration;
mod http;
mod invocation;
mod machine;
mod network;
mod observation;
mod outgoing;
mod store;

pub use action::*;
pub use api::*;
pub use configuration::*;
pub use http::*;
pub use invocation::*;
pub use machine::*;
pub use network::*;
pub use observation::*;
pub use outgoing::*;
pub use store::*;

/// Smallest unit of mapping, in bytes.
pub const PAGE_LEN: usize = action_abi::PAGE_LEN;
