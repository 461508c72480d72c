//! The service as its clients see it: frames in, frames out, over a fake card in virtual time.
//!
//! `lab` has all that a test needs: connect, send, wait for an answer, let time pass, inject a
//! fault into a frame by its number, and check at the end that nothing is left over.

mod crowd;
mod deploys;
mod detached;
mod distance;
mod exchange;
mod fairness;
mod faults;
mod fragments;
mod holdings;
mod hostile;
mod lab;
mod leaving;
mod listing;
mod neighbours;
mod numbers;
mod outgoing;
mod paths;
mod peer;
mod raw;
mod registry;
mod scarcity;
mod sntp;
mod store;
mod stream;
mod supply;
mod syslog;
mod texts;
mod time;
mod wire;
