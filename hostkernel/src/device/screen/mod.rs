//! The screen, if the machine has one: boot log, crash record, and a status line.
//!
//! A frame buffer that UEFI left, or the text screen of a BIOS. Text from before the screen is open
//! is kept and shown then.

mod framebuffer;
mod grid;
#[cfg(target_os = "none")]
mod hardware;
#[cfg(target_os = "none")]
mod text_mode;

#[cfg(target_os = "none")]
pub use hardware::{find, is_open, map, open, print, print_regardless, status};

#[cfg(test)]
mod tests;
