//! What was asked: the route, the query, the id, and what a body says, each checked.

pub mod code;
pub mod form;
mod id;
pub mod image;
pub mod limit_changes;
mod parts;
pub mod push;
pub mod query;
pub mod route;

pub use id::RequestId;
pub use parts::Parts;
