//! The same calls on this crate and on the Linux under the test: results and error numbers are
//! equal.

mod calls;
mod files;
#[path = "../host/mod.rs"]
mod host;
mod linux;
mod operation;
mod ours;
mod script;
mod streams;
