//! A small blocking client for hostkernel nodes.
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

#![forbid(unsafe_code)]

mod activation;
mod client;
mod error;
mod timing;

pub use activation::{Action, Activation, ExecutionResult, Invocation, Limits, Status};
pub use client::{Client, DeployOptions, GUEST_KEY, Reply};
pub use error::Error;
pub use timing::Timing;
