//! Invocations: what is admitted, by way of which door, and what becomes of its end.

pub mod action;
pub mod admission;
mod cgi;
pub mod end;
mod environment;
pub mod function;
mod input;
pub mod outcome;
pub mod server;
pub mod web;
