//! The node's log: what a line looks like, and what a log server is told.

pub mod line;
pub mod syslog;
