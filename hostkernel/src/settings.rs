//! What the operator sets on the kernel command line: `key=value` words, Linux spellings where one
//! exists.
//!
//! A word that is not understood is reported and ignored: a node with a typing error still answers.
#![forbid(unsafe_code)]

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::Ipv4Addr;

use crate::config::{
    CORES_MAX, POLL_US_DEFAULT, POLL_US_MAX, PORT_DEFAULT, QUEUE_LEN_DEFAULT, QUEUE_LEN_MAX,
};

/// The node's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How the node gets its address.
    pub address: Address,
    /// TCP port of the API.
    pub port: u16,
    /// Key of the guest namespace, `uuid:key`; `None` means the development default.
    pub auth: Option<String>,
    /// Invocations that may wait for one core.
    pub queue_len: usize,
    /// Whether the core of the network runs actions, too, when the others have more than they can.
    pub shared_front: bool,
    /// How long a core looks for work before it halts, if work has lately come that fast.
    pub poll_us: u64,
    /// Cores to use.
    pub cores_max: usize,
    /// Whether to use all threads of a physical core, which then serve different tenants at once.
    pub hyperthreads: bool,
    /// What the log shows.
    pub log_level: log::LevelFilter,
    /// Whether a crashed node halts instead of restarting.
    pub halt_after_crash: bool,
    /// Whether actions can crash the node on purpose, see [`crate::call::crash`].
    pub crash_call: bool,
}

/// How the node gets its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// From a DHCP server.
    Dhcp,
    /// Fixed.
    Static {
        /// The address.
        address: Ipv4Addr,
        /// Bits of the network part.
        prefix_len: u8,
        /// The default route.
        gateway: Option<Ipv4Addr>,
    },
}

/// A word that was ignored, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// The word.
    pub word: String,
    /// What it should have been.
    pub reason: &'static str,
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command line: \"{}\" ignored: {}", self.word, self.reason)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: Address::Dhcp,
            port: PORT_DEFAULT,
            auth: None,
            queue_len: QUEUE_LEN_DEFAULT,
            shared_front: true,
            poll_us: POLL_US_DEFAULT,
            cores_max: CORES_MAX,
            hyperthreads: false,
            log_level: log::LevelFilter::Info,
            halt_after_crash: false,
            crash_call: false,
        }
    }
}

impl Settings {
    /// Reads a command line; later words win. Also returns the words that were ignored.
    #[must_use]
    pub fn parse(command_line: &str) -> (Self, Vec<Ignored>) {
        let mut settings = Self::default();
        let mut ignored = Vec::new();
        let words = command_line.split_ascii_whitespace().take_while(|word| *word != "--");
        for word in words {
            if let Err(reason) = settings.apply(word) {
                ignored.push(Ignored { word: word.to_string(), reason });
            }
        }
        (settings, ignored)
    }

    /// How long a core looks for work before it halts.
    #[must_use]
    pub const fn poll_ns(&self) -> u64 {
        self.poll_us * 1000
    }

    fn apply(&mut self, word: &str) -> Result<(), &'static str> {
        let (key, value) = word.split_once('=').ok_or("not of the form key=value")?;
        match key {
            "ip" => self.address = parse_address(value)?,
            "loglevel" => self.log_level = parse_level(value)?,
            "panic" => {
                self.halt_after_crash = match value {
                    "halt" => true,
                    "reboot" => false,
                    _ => return Err("panic is halt or reboot"),
                }
            }
            "hostkernel.debug" => {
                self.crash_call = match value {
                    "crash" => true,
                    _ => return Err("the only thing to debug is crash"),
                }
            }
            "hostkernel.port" => {
                let port = value.parse().ok().filter(|port| *port != 0);
                self.port = port.ok_or("the port is a number from 1 to 65535")?;
            }
            "hostkernel.auth" => {
                let valid = value
                    .split_once(':')
                    .is_some_and(|(id, key)| !id.is_empty() && !key.is_empty());
                self.auth = Some(valid.then(|| value.to_string()).ok_or("the key is uuid:key")?);
            }
            "hostkernel.queue_len" => {
                let len = value.parse().ok().filter(|len| (1..=QUEUE_LEN_MAX).contains(len));
                self.queue_len = len.ok_or("the queue length is a number from 1 to 4096")?;
            }
            "hostkernel.front" => {
                self.shared_front = match value {
                    "shared" => true,
                    "dedicated" => false,
                    _ => return Err("front is shared or dedicated"),
                }
            }
            "hostkernel.poll_us" => {
                let us = value.parse().ok().filter(|us| *us <= POLL_US_MAX);
                self.poll_us = us.ok_or("the time to poll is a number from 0 to 1000")?;
            }
            "hostkernel.hyperthreads" => {
                self.hyperthreads = match value {
                    "on" => true,
                    "off" => false,
                    _ => return Err("hyperthreads is on or off"),
                }
            }
            "hostkernel.cores" => {
                let cores = value.parse().ok().filter(|cores| (1..=CORES_MAX).contains(cores));
                self.cores_max = cores.ok_or("the number of cores is from 1 to 256")?;
            }
            // Set by virtual machine monitors for Linux; ACPI tells us the same.
            "virtio_mmio.device" | "console" | "reboot" | "pci" => {}
            _ => return Err("unknown key"),
        }
        Ok(())
    }
}

/// `dhcp`, or Linux's `client:server:gateway:netmask:hostname:device:autoconf`.
fn parse_address(value: &str) -> Result<Address, &'static str> {
    const FORM: &str = "ip is dhcp or ADDRESS::GATEWAY:NETMASK";
    if matches!(value, "dhcp" | "on" | "any") {
        return Ok(Address::Dhcp);
    }
    let mut fields = value.split(':');
    let address: Ipv4Addr = fields.next().and_then(|field| field.parse().ok()).ok_or(FORM)?;
    let _server = fields.next();
    let gateway = match fields.next() {
        None | Some("") => None,
        Some(field) => Some(field.parse().map_err(|_| FORM)?),
    };
    let mask: Ipv4Addr = match fields.next() {
        None | Some("") => Ipv4Addr::new(255, 255, 255, 0),
        Some(field) => field.parse().map_err(|_| FORM)?,
    };
    let mask = u32::from(mask);
    if mask.leading_ones() + mask.trailing_zeros() != u32::BITS {
        return Err("the netmask has holes");
    }
    if address.is_unspecified() || address.is_multicast() || address.is_broadcast() {
        return Err("not an address a node can have");
    }
    Ok(Address::Static { address, prefix_len: mask.leading_ones() as u8, gateway })
}

/// A name, or Linux's number.
fn parse_level(value: &str) -> Result<log::LevelFilter, &'static str> {
    use log::LevelFilter::{Debug, Error, Info, Off, Trace, Warn};
    Ok(match value {
        "off" => Off,
        "0" | "1" | "2" | "3" | "error" => Error,
        "4" | "warn" => Warn,
        "5" | "6" | "info" => Info,
        "7" | "debug" => Debug,
        "8" | "trace" => Trace,
        _ => return Err("loglevel is off, error, warn, info, debug, trace or 0 to 8"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read() {
        let (settings, ignored) = Settings::parse(
            "ip=10.0.2.15::10.0.2.2:255.255.255.0:node1::off loglevel=debug panic=halt \
             hostkernel.debug=crash hostkernel.port=80 hostkernel.auth=a:b hostkernel.queue_len=4 \
             hostkernel.front=dedicated hostkernel.poll_us=0 \
             hostkernel.cores=2 hostkernel.hyperthreads=on \
             console=ttyS0 -- ip=dhcp",
        );
        assert_eq!(ignored, []);
        let address = Address::Static {
            address: Ipv4Addr::new(10, 0, 2, 15),
            prefix_len: 24,
            gateway: Some(Ipv4Addr::new(10, 0, 2, 2)),
        };
        assert_eq!(
            settings,
            Settings {
                address,
                port: 80,
                auth: Some("a:b".to_string()),
                queue_len: 4,
                shared_front: false,
                poll_us: 0,
                cores_max: 2,
                hyperthreads: true,
                log_level: log::LevelFilter::Debug,
                halt_after_crash: true,
                crash_call: true,
            }
        );
    }

    #[test]
    fn nothing_means_the_defaults() {
        assert_eq!(Settings::parse(""), (Settings::default(), Vec::new()));
    }

    #[test]
    fn what_makes_no_sense_is_named_and_ignored() {
        for word in [
            "quiet",
            "ip=10.0.2",
            "ip=10.0.2.15:::255.0.255.0",
            "ip=224.0.0.1",
            "loglevel=loud",
            "panic=maybe",
            "hostkernel.debug=all",
            "hostkernel.port=0",
            "hostkernel.port=70000",
            "hostkernel.auth=nokey",
            "hostkernel.queue_len=0",
            "hostkernel.queue_len=5000",
            "hostkernel.front=both",
            "hostkernel.poll_us=1001",
            "hostkernel.cores=257",
            "hostkernel.hyperthreads=1",
            "hostkernel.colour=red",
        ] {
            let (settings, ignored) = Settings::parse(word);
            assert_eq!(settings, Settings::default(), "{word}");
            assert_eq!(ignored.len(), 1, "{word}");
            assert_eq!(ignored[0].word, word);
        }
    }
}
