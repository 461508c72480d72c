//! A typed QEMU runner.
//!
//! A [`Machine`] describes the hardware, [`Machine::boot`] starts it, and the [`Node`] it returns
//! is the running QEMU: its serial log, its network address, its power button. Whatever happens to
//! this process, QEMU does not outlive it (see [`crate::lifeline`]).
//!
//! ```no_run
//! use std::time::Duration;
//! use xtask::qemu::Machine;
//!
//! let node = Machine::new("target/hostkernel.elf").cores(4).memory_mib(1024).boot()?;
//! node.wait_ready(Duration::from_secs(60))?;
//! println!("{}", node.base_url());
//! node.power_off();
//! # Ok::<(), xtask::qemu::QemuError>(())
//! ```

mod accelerator;
mod error;
mod machine;
mod media;
mod monitor;
mod namespace;
mod node;
mod plan;
mod tap;
mod transcript;
mod verdict;

pub use accelerator::{Accelerator, Engine};
pub use error::{QemuError, Report};
pub use machine::{Machine, MachineKind, Network, free_port};
pub use media::{Drive, Firmware};
pub use namespace::{Entered, Namespace};
pub use node::{Node, PowerOff};
pub use tap::{Tap, TapError};
pub use transcript::{Chunk, Transcript};

/// The port on which a node serves HTTP, unless its settings say otherwise.
pub const NODE_PORT: u16 = 3233;
/// What QEMU's exit status is when the in-kernel tests all passed: they write 16 to
/// `isa-debug-exit`, which makes it `16 << 1 | 1`.
pub const SELFTEST_PASSED: i32 = 33;
/// Environment variable that names another QEMU than the `qemu-system-x86_64` on the path.
pub const QEMU_VARIABLE: &str = "HOSTKERNEL_QEMU";
/// Environment variable that names the network card of the system tests' nodes.
pub const NIC_VARIABLE: &str = "HOSTKERNEL_TEST_NIC";
