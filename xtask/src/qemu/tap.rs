//! A tap device in a network namespace: a real network of two hosts, this computer and the node.
//!
//! ```text
//! namespace                                       QEMU, in the same namespace
//! ┌───────────────────────────────┐              ┌───────────────────┐
//! │ lo 127.0.0.1                  │              │ network card      │
//! │ tap0 10.77.0.1/24 ────────────┼── frames ────┼─ 10.77.0.2:3233   │
//! └───────────────────────────────┘              └───────────────────┘
//! ```
//!
//! QEMU's user-mode network translates every connection and hides everything below TCP. Through a
//! tap the node meets the TCP of Linux, and raw sockets put any frame in front of it.
//!
//! ```no_run
//! use std::time::Duration;
//! use xtask::qemu::{Machine, Network, Tap};
//!
//! let tap = Tap::new()?;
//! let machine = Machine::new("target/hostkernel.elf").network(Network::Tap(tap.clone()));
//! let node = machine.boot()?;
//! node.wait_ready(Duration::from_secs(60))?;
//! let _inside = tap.namespace().enter()?;
//! println!("{:?}", node.client().is_ready());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::io;
use std::net::Ipv4Addr;

use super::Namespace;
use crate::lifeline;
use crate::prerequisites::{PrerequisiteError, ensure_iproute2};

/// Why there is no tap device.
#[derive(Debug, thiserror::Error)]
pub enum TapError {
    /// Only root may create network namespaces and devices.
    #[error("a tap device in a network namespace needs root")]
    NeedsRoot,
    /// A program is missing.
    #[error(transparent)]
    Prerequisite(#[from] PrerequisiteError),
    /// The operating system did not create the namespace.
    #[error("a network namespace could not be created: {0}")]
    Namespace(io::Error),
    /// A device could not be set up.
    #[error("`ip {command}` failed in a new network namespace{}", reason(.cause.as_ref()))]
    Device {
        /// The words after `ip`.
        command: String,
        /// Why it could not even start.
        cause: Option<io::Error>,
    },
}

fn reason(cause: Option<&io::Error>) -> String {
    cause.map(|error| format!(" ({error})")).unwrap_or_default()
}

/// A tap device, and the namespace it is in. Clones are the same one, and it serves one machine at
/// a time.
#[derive(Clone, Debug)]
pub struct Tap {
    namespace: Namespace,
    properties: String,
}

impl Tap {
    /// Name of the device.
    pub const DEVICE: &str = "tap0";
    /// Address of this computer.
    pub const HOST: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
    /// Address of the node.
    pub const NODE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
    /// Bits that all addresses of the network share.
    pub const PREFIX_LEN: u8 = 24;

    /// Creates namespace and device, and gives this end its address.
    ///
    /// # Errors
    /// See [`TapError`]; most often [`TapError::NeedsRoot`].
    pub fn new() -> Result<Self, TapError> {
        let namespace = Namespace::new().map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => TapError::NeedsRoot,
            _ => TapError::Namespace(error),
        })?;
        ensure_iproute2(|line| eprintln!("{line}"))?;
        let tap = Self { namespace, properties: String::new() };
        let device = Self::DEVICE;
        tap.ip("link set lo up")?;
        tap.ip(&format!("tuntap add dev {device} mode tap"))?;
        // The host would otherwise speak first: IPv6 solicitations no node answers.
        tap.ip(&format!("link set {device} addrgenmode none"))?;
        tap.ip(&format!("address add {}/{} dev {device}", Self::HOST, Self::PREFIX_LEN))?;
        tap.ip(&format!("link set {device} up"))?;
        Ok(tap)
    }

    /// Further properties of QEMU's tap, for instance `vhost=on`.
    #[must_use]
    pub fn netdev_properties(mut self, properties: &str) -> Self {
        self.properties.push(',');
        self.properties.push_str(properties);
        self
    }

    /// Where the device is, and where clients of the node have to be.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Runs `ip` in the namespace, with words that are separated by spaces.
    ///
    /// # Errors
    /// [`TapError::Device`] if it fails. It has said why on the standard error stream.
    pub fn ip(&self, words: &str) -> Result<(), TapError> {
        let failed = |cause| TapError::Device { command: words.to_owned(), cause };
        let mut command = self.namespace.command();
        command.arg("ip").args(words.split(' '));
        match lifeline::status(command) {
            Ok(status) if status.success() => Ok(()),
            Ok(_) => Err(failed(None)),
            Err(error) => Err(failed(Some(error))),
        }
    }

    /// QEMU's description of the device, to be named `id`.
    pub(super) fn netdev(&self, id: &str) -> String {
        let (device, properties) = (Self::DEVICE, &self.properties);
        format!("tap,id={id},ifname={device},script=no,downscript=no{properties}")
    }

    /// The word of the kernel's command line with the node's address.
    pub(super) fn kernel_word() -> String {
        let mask = Ipv4Addr::from_bits(u32::MAX << (32 - Self::PREFIX_LEN));
        format!("ip={}::{}:{mask}", Self::NODE, Self::HOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn the_node_gets_the_address_beside_the_hosts() {
        assert_eq!(Tap::kernel_word(), "ip=10.77.0.2::10.77.0.1:255.255.255.0");
    }

    #[test]
    fn the_device_is_there_and_only_inside() {
        let tap = match Tap::new() {
            Err(error @ TapError::NeedsRoot) => return eprintln!("skipped: {error}"),
            result => result.expect("a tap device"),
        };
        let listen = || TcpListener::bind((Tap::HOST, 0)).map(drop);
        tap.namespace().run(listen).expect("the thread enters").expect("the address is there");
        assert!(listen().is_err());
        let error = tap.ip("link set no-such-device up").expect_err("there is none");
        assert!(error.to_string().contains("`ip link set no-such-device up` failed"), "{error}");
    }
}
