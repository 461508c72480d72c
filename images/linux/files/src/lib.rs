//! The file side of the Linux library OS: what `open`, `read`, `rename`, `pipe`, `epoll_wait` and
//! their kind mean.
//!
//! Pure logic. It takes and gives slices, numbers and typed errors; it touches no memory of the
//! program and makes no call: who uses it decodes arguments, copies bytes, and waits. What depends
//! on the instance (clocks, randomness, where output goes) comes from a [`Host`] that is handed in
//! with each call that needs one.
//!
//! All state is plain data in [`Files`], reachable from nowhere else, so that it can be frozen and
//! cloned page by page with the process it belongs to. Nothing is made before it is used.
//!
//! ```text
//!   descriptor ──▶ open file description ──▶ object: input, sink, inode, pipe, eventfd, epoll, …
//!   (number,        (flags, position,         │
//!    close-on-exec)  shared by dup)           ├─▶ inodes: one table, all directories in it
//!                                             │     data in the archive, inflated, or in pages
//!   path ──▶ walk ────────────────────────────┘
//! ```
//!
//! The tree is one table of inodes. What came out of an archive is there from the start and refers
//! to the archive's bytes; a page that is written is copied first, an entry that is removed is
//! gone. So there is no overlay to look through: the process' private memory is the overlay.
//!
//! Modules, each naming only those before it: [`limits`], [`errno`], [`host`], [`abi`] (numbers
//! and layouts), `settings`, `archive`, `tree`; `pipe`, `timer`, `watch`, `descriptors`; and
//! `files`, which has the calls.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod abi;
mod archive;
mod descriptors;
pub mod errno;
mod files;
pub mod host;
pub mod limits;
mod pipe;
mod settings;
mod timer;
mod tree;
mod watch;

pub use archive::{EntryReject, LoadReject, entry_name, entry_not_text, has_entry};
pub use errno::{Errno, Stop};
pub use files::{Files, Side};
pub use host::{Host, Memory, Region, Sink, SocketReadiness, Time};
pub use settings::{Access, Mapping, Owner, Polled, Settings, Timer, TimerChange, Timestamp};
