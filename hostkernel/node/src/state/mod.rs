//! What a node knows of itself: figures, records of what ended, its status.

pub mod boot_times;
pub mod histogram;
pub mod records;
pub mod statistics;
pub mod status;
