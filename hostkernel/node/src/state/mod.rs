//! What a node knows of itself: its actions and records, who may use it, figures, its status.

pub mod boot_times;
pub mod histogram;
pub mod machine;
mod node;
mod policy;
pub mod records;
mod spare;
pub mod statistics;
pub mod status;
pub mod store;
pub mod tenants;
pub mod uploads;

pub use node::{Load, Node, Now, Readiness};
pub use policy::Policy;
pub use spare::SpareBuffers;
