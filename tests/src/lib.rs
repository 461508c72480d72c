//! What system tests share: booting a node, and talking to it, politely and otherwise.
//!
//! A test that may share its node with others:
//!
//! ```no_run
//! use system_tests::{SharedNode, boot, boot_within, machine};
//!
//! static NODE: SharedNode = SharedNode::new(|| boot(machine()).with_samples());
//!
//! // #[test]
//! fn hello_greets() {
//!     let node = NODE.get();
//!     let reply = node.client().call("hello", br#"{"name":"A"}"#).expect("an answer");
//!     assert_eq!(reply.text(), r#"{"greeting":"Hello, A!"}"#);
//! }
//! ```
//!
//! A test that needs a machine of its own calls `boot(machine().cores(4))`. Either way a failing
//! test prints the QEMU command and the end of the serial log, and no QEMU outlives the test
//! program. [`Connection`] sends bytes no HTTP library would send.
//!
//! Kernel and actions are taken from the target folder: `cargo xtask test system` builds them.

#![forbid(unsafe_code)]

pub mod clients;
pub mod events;
pub mod examples;
pub mod exposition;
mod fixture;
pub mod frames;
pub mod openwhisk;
pub mod registry;
pub mod screen;
pub mod tap;
mod wire;

pub use fixture::{
    BOOT_TIMEOUT, Lease, SharedNode, TestNode, boot, boot_within, brief_machine, machine, sample,
};
pub use hk::DeployOptions;
pub use wire::Wire;
pub use xtask::connection::{ACTIONS, AUTHORIZATION, Connection, Response, request};
pub use xtask::qemu::{Drive, Firmware, Machine, MachineKind, Network, PowerOff, Tap, TapError};
