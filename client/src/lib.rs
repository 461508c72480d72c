//! A small blocking client for hostkernel nodes. The command-line tool `hk` is made of it.
//!
//! ```no_run
//! use hk::{Client, DeployOptions};
//! use serde_json::json;
//!
//! let node = Client::new("http://127.0.0.1:3233");
//! node.deploy("hello", &std::fs::read("hello.elf")?, &DeployOptions::default())?;
//! let invocation = node.invoke("hello", &json!({ "name": "world" }))?;
//! println!("{}", invocation.activation.response.result);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A client keeps its connections open between requests; clone it freely, the clones share them.
//! What an action did wrong is not an [`Error`]: [`Client::invoke`] returns it as a [`Status`].
//! [`build`] compiles action crates; [`Code::open`] takes whatever can be deployed.

#![forbid(unsafe_code)]

mod action;
mod activation;
mod address;
mod archive;
pub mod build;
mod client;
mod code;
mod error;
mod language;
mod loaded;
mod metrics;
#[cfg(feature = "symbols")]
pub mod programs;
mod receipt;
mod status;
#[cfg(feature = "symbols")]
pub mod symbols;
mod timing;
mod transport;
mod variable;
pub mod wire;

pub use action::{Action, Limits};
pub use activation::{Activation, ExecutionResult, Invocation, Selection, Status, Summary};
pub use address::{Address, AddressError};
pub use archive::PackError;
pub use client::{Client, DeployOptions, GUEST_KEY, Reply};
pub use code::{Code, CodeError};
pub use error::Error;
pub use language::Language;
pub use metrics::{Histogram, Metrics};
pub use receipt::Receipt;
pub use status::{Known, Meaning, STATUSES};
pub use timing::Timing;
pub use variable::Variable;
