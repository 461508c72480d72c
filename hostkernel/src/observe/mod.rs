//! What the node tells about itself: log, trace ring, crash record.
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
pub mod crash;
#[cfg(target_os = "none")]
pub mod log;
pub mod trace;
