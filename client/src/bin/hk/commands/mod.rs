//! One file a command, or a family of them.

pub mod actions;
pub mod activation;
pub mod activations;
pub mod bench;
pub mod deploy;
pub mod drain;
pub mod env;
pub mod fleet;
pub mod invoke;
pub mod logs;
pub mod new;
pub mod node;
pub mod status;
pub mod top;
pub mod trace;
