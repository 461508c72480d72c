//! Requests that the node answers itself: actions, activations, limits, health, metrics.

pub mod actions;
pub mod activations;
pub mod admin;
pub mod changes;
pub mod deploy;
pub mod deploying;
pub mod document;
pub mod environment;
pub mod functions;
pub mod health;
pub mod inspect;
pub mod kept;
mod key_value_list;
pub mod limits;
pub mod listing;
pub mod metrics;
pub mod prepare;
pub mod runtimes;
