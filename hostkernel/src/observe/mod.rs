//! What the node tells of itself and its work: log, status line, trace ring, crash record,
//! activation records.
#![forbid(unsafe_code)]

pub mod boot_times;
#[cfg(target_os = "none")]
pub mod crash;
pub mod histogram;
pub mod idle;
pub mod line;
#[cfg(target_os = "none")]
pub mod log;
pub mod records;
pub mod statistics;
pub mod status;
pub mod syslog;
pub mod trace;
pub mod traceparent;
