//! Invocations: what is admitted, by way of which door, and what becomes of its end.

pub mod action;
pub mod admission;
mod cgi;
pub mod end;
mod environment;
pub mod function;
mod input;
pub mod judging;
mod merging;
pub mod outcome;
pub mod reading;
pub mod server;
pub mod shape;
pub mod web;
