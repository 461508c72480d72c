//! What is answered: refusals, headers and bodies, an activation as JSON.

pub mod activation;
pub mod deed;
pub mod distribution;
pub mod error;
pub mod respond;
