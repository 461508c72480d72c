//! The node's log: what a line looks like, and what a log server is told.

pub mod line;
pub mod syslog;

/// The node's own crates.
const CRATES: [&str; 3] = ["hostkernel", "memory", "node"];

/// Whether what is logged with this target is the node's own word.
#[must_use]
pub fn is_ours(target: &str) -> bool {
    target.split("::").next().is_some_and(|name| CRATES.contains(&name))
}
