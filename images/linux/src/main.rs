//! The Linux library OS as an image: its first instructions, and the loop between freezing and the
//! program.
//!
//! ```text
//!   kernel ─▶ _start ─▶ prepare ─▶ reflect ─▶ freeze ─┐          at deploy
//!                                                     ▼
//!             program ◀─ leave ◀─ begin ◀─ (instance number)     in each instance
//!                │                  ▲
//!                └─ syscall, fault ─┴─▶ entry ─▶ Os ─▶ leave
//! ```
//!
//! `unsafe` is in [`machine`] only.

#![no_std]
#![no_main]

extern crate alloc;

mod machine;
