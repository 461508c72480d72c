//! PCI: configuration space and how it is reached, the functions of a machine, their interrupts.

pub mod assign;
pub mod function;
#[cfg(target_os = "none")]
mod interrupt;
pub mod scan;
#[cfg(target_os = "none")]
mod space;
#[cfg(test)]
mod tests;

pub use self::function::Function;
#[cfg(target_os = "none")]
pub use self::interrupt::{disable_link_sleep, enable_msi, enable_msi_x, route_line};
pub use self::scan::Functions;
#[cfg(target_os = "none")]
pub use self::space::{Memory, Ports, functions, place};

/// Class of network cards.
pub const CLASS_NETWORK: u8 = 0x02;
