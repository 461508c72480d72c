//! The keys: one table, from which parsing, error texts and documentation come.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::ops::RangeInclusive;

use super::access::{NamespaceSettings, Secret, namespace_name};
use super::number::number;
use super::store::parse_runtimes;
use super::{Address, Server, Settings, Store};
use crate::journal::line::Format;
use crate::mitigation::Mode;
use limits::{
    BODY_MB_MAX, CORES_MAX, DNS_PORT, DRAIN_MS_MAX, IDLE_TIMEOUT_MS, IDLE_TIMEOUT_MS_MAX,
    POLL_US_MAX, QUEUE_LEN_MAX, SNTP_PORT, STORE_FRESH_MS_MAX, SYSLOG_PORT,
};

const IDLE_S: RangeInclusive<u64> = IDLE_TIMEOUT_MS / 1000..=IDLE_TIMEOUT_MS_MAX / 1000;
const DRAIN_S: RangeInclusive<u64> = 0..=DRAIN_MS_MAX / 1000;

/// One key.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub syntax: &'static str,
    /// What holds without it.
    pub default: &'static str,
    /// What it is for.
    pub meaning: &'static str,
    /// What becomes of a value that is wrong.
    pub mistake: Mistake,
    /// Takes a value over; `None` if it is not what `syntax` says.
    pub(super) set: fn(&mut Settings, &str) -> Option<()>,
}

/// What becomes of a wrong value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// It has no effect.
    Ignored,
    /// The node does not serve: it would be another one than it is meant to be.
    Refused,
    /// The same, because who gets in depends on it; and the value is not shown.
    Secret,
}

/// All of them, in the order of documentation.
pub static KEYS: [Key; 29] = [
    Key {
        name: "ip",
        syntax: "dhcp or ADDRESS::GATEWAY:NETMASK",
        default: "dhcp",
        meaning: "the node's address; gateway and netmask may be left out",
        mistake: Mistake::Ignored,
        set: |settings, value| put(&mut settings.address, parse_address(value)),
    },
    Key {
        name: "log",
        syntax: "text or json",
        default: "text",
        meaning: "how lines of the log look on the serial port",
        mistake: Mistake::Ignored,
        set: |settings, value| put(&mut settings.log_format, parse_format(value)),
    },
    Key {
        name: "loglevel",
        syntax: "off, error, warn, info, debug, trace or 0 to 8",
        default: "info",
        meaning: "what the log shows",
        mistake: Mistake::Ignored,
        set: |settings, value| put(&mut settings.log_level, parse_level(value)),
    },
    Key {
        name: "panic",
        syntax: "halt or reboot",
        default: "reboot",
        meaning: "what the node does after a crash",
        mistake: Mistake::Ignored,
        set: |settings, value| put(&mut settings.halt_after_crash, one_of("reboot", "halt", value)),
    },
    Key {
        name: "hostkernel.nmi",
        syntax: "restart or log",
        default: "restart",
        meaning: "what the node does on a non-maskable interrupt: a crash record and a restart, or \
                  a line in the log",
        mistake: Mistake::Ignored,
        set: |settings, value| put(&mut settings.survives_nmi, one_of("restart", "log", value)),
    },
    Key {
        name: "hostkernel.auth",
        syntax: "UUID:KEY",
        default: "the public development key",
        meaning: "key of the namespace guest",
        mistake: Mistake::Secret,
        set: |settings, value| settings.access.set_guest_key(value),
    },
    Key {
        name: "hostkernel.namespace",
        syntax: "NAME,key=UUID:KEY[,concurrency=N][,memory=MB][,code=MB][,rate=N]",
        default: "guest alone",
        meaning: "a further namespace, once for each: invocations at the same time, largest memory \
                  limit of an action, code of all actions, invocations a minute",
        mistake: Mistake::Secret,
        set: |settings, value| {
            settings.access.set_namespace(NamespaceSettings::parse(value)?);
            Some(())
        },
    },
    Key {
        name: "hostkernel.admin_key",
        syntax: "UUID:KEY",
        default: "the public development key, while it is guest's",
        meaning: "key of the administration",
        mistake: Mistake::Secret,
        set: |settings, value| put(&mut settings.access.admin_key, Secret::new(value).map(Some)),
    },
    Key {
        name: "hostkernel.public",
        syntax: "NAMESPACE or none",
        default: "guest",
        meaning: "namespace that /function/ serves without a key",
        mistake: Mistake::Secret,
        set: |settings, value| {
            let public = if value == "none" { Some(None) } else { namespace_name(value).map(Some) };
            put(&mut settings.access.public, public)
        },
    },
    Key {
        name: "hostkernel.port",
        syntax: "1 to 65535",
        default: "3233",
        meaning: "TCP port of the API",
        mistake: Mistake::Ignored,
        set: |settings, value| put(&mut settings.port, number(value, 1..=u16::MAX.into())),
    },
    Key {
        name: "hostkernel.idle_s",
        syntax: "75 to 3600",
        default: "75",
        meaning: "seconds after which a connection is closed on which nothing is asked; more than \
                  a load balancer in front keeps its own",
        mistake: Mistake::Ignored,
        set: |settings, value| put(&mut settings.idle_ms, seconds(value, IDLE_S)),
    },
    Key {
        name: "hostkernel.drain_s",
        syntax: "0 to 3600",
        default: "10",
        meaning: "seconds for which a node that was asked to leave goes on serving, so that load \
                  balancers notice; 2 if nobody has asked it anything for as long",
        mistake: Mistake::Ignored,
        set: |settings, value| put(&mut settings.drain.accept_ms, seconds(value, DRAIN_S)),
    },
    Key {
        name: "hostkernel.drain_readers_s",
        syntax: "0 to 3600",
        default: "10",
        meaning: "seconds for which it waits for clients to take their answers when everything has \
                  ended",
        mistake: Mistake::Ignored,
        set: |settings, value| put(&mut settings.drain.readers_ms, seconds(value, DRAIN_S)),
    },
    Key {
        name: "hostkernel.ntp",
        syntax: "dhcp, off or ADDRESS[:PORT]",
        default: "dhcp",
        meaning: "time server; with dhcp the one that the DHCP server names, if it does",
        mistake: Mistake::Ignored,
        set: |settings, value| put(&mut settings.time_server, parse_server(value, SNTP_PORT)),
    },
    Key {
        name: "hostkernel.syslog",
        syntax: "dhcp, off or ADDRESS[:PORT]",
        default: "off",
        meaning: "log server, which also gets a line for each request; with dhcp the one that the \
                  DHCP server names, if it does",
        mistake: Mistake::Ignored,
        set: |settings, value| put(&mut settings.log_server, parse_server(value, SYSLOG_PORT)),
    },
    Key {
        name: "hostkernel.dns",
        syntax: "dhcp, off or ADDRESS[:PORT]",
        default: "dhcp",
        meaning: "name server, for hosts that settings name; with dhcp the one that the DHCP \
                  server names",
        mistake: Mistake::Ignored,
        set: |settings, value| put(&mut settings.name_server, parse_server(value, DNS_PORT)),
    },
    Key {
        name: "hostkernel.store",
        syntax: "http://HOST[:PORT]/PREFIX",
        default: "nothing",
        meaning: "OCI registry that keeps the actions, and what their repositories' names begin \
                  with; without one they are in this node's memory alone",
        mistake: Mistake::Refused,
        set: |settings, value| put(&mut settings.store, Store::parse(value).map(Some)),
    },
    Key {
        name: "hostkernel.store_auth",
        syntax: "USER:PASSWORD",
        default: "nothing",
        meaning: "who the node is to the registry",
        mistake: Mistake::Secret,
        set: |settings, value| put(&mut settings.store_auth, Secret::new(value).map(Some)),
    },
    Key {
        name: "hostkernel.store_fresh_ms",
        syntax: "0 to 3600000",
        default: "1000",
        meaning: "milliseconds for which an action holds before the registry is asked whether it \
                  still is the same",
        mistake: Mistake::Ignored,
        set: |settings, value| {
            put(&mut settings.store_fresh_ms, number(value, 0..=STORE_FRESH_MS_MAX))
        },
    },
    Key {
        name: "hostkernel.runtimes",
        syntax: "NAME[,NAME]...",
        default: "nothing",
        meaning: "runtimes that the node fetches from the store before it is ready, and follows: \
                  python:3,nodejs:20",
        mistake: Mistake::Refused,
        set: |settings, value| put(&mut settings.runtimes, parse_runtimes(value)),
    },
    Key {
        name: "hostkernel.node",
        syntax: "0 to 65535",
        default: "0",
        meaning: "number of the node, with which the ids of its activations begin",
        mistake: Mistake::Ignored,
        set: |settings, value| put(&mut settings.node, number(value, 0..=u16::MAX.into())),
    },
    Key {
        name: "hostkernel.queue_len",
        syntax: "1 to 4096",
        default: "256",
        meaning: "invocations that may wait for each core, wherever they wait",
        mistake: Mistake::Ignored,
        set: |settings, value| {
            put(&mut settings.queue_len, number(value, 1..=QUEUE_LEN_MAX as u64))
        },
    },
    Key {
        name: "hostkernel.body_mb",
        syntax: "1 to 64",
        default: "6",
        meaning: "longest input and longest result of an invocation, in MB; less where memory is \
                  short, as the boot log says: three such bodies have room in an eighth of it",
        mistake: Mistake::Ignored,
        set: |settings, value| {
            let mb = number::<usize>(value, 1..=BODY_MB_MAX);
            put(&mut settings.body_len_max, mb.map(|mb| mb << 20))
        },
    },
    Key {
        name: "hostkernel.front",
        syntax: "shared or dedicated",
        default: "shared",
        meaning: "whether the network's core runs actions that would have to wait",
        mistake: Mistake::Ignored,
        set: |settings, value| {
            put(&mut settings.shared_front, one_of("dedicated", "shared", value))
        },
    },
    Key {
        name: "hostkernel.poll_us",
        syntax: "0 to 1000",
        default: "20",
        meaning: "microseconds for which a busy core looks for work before it halts",
        mistake: Mistake::Ignored,
        set: |settings, value| put(&mut settings.poll_us, number(value, 0..=POLL_US_MAX)),
    },
    Key {
        name: "hostkernel.cores",
        syntax: "1 to 256",
        default: "256",
        meaning: "cores to use at most",
        mistake: Mistake::Ignored,
        set: |settings, value| put(&mut settings.cores_max, number(value, 1..=CORES_MAX as u64)),
    },
    Key {
        name: "hostkernel.hyperthreads",
        syntax: "on or off",
        default: "off",
        meaning: "use all threads of a physical core, not only the first of each",
        mistake: Mistake::Ignored,
        set: |settings, value| put(&mut settings.hyperthreads, one_of("off", "on", value)),
    },
    Key {
        name: "hostkernel.mitigations",
        syntax: "auto, off or strict",
        default: "auto",
        meaning: "what is done about processors that leak: what separates tenants; nothing; or \
                  also what separates an action from itself, and no service while a leak is open",
        mistake: Mistake::Ignored,
        set: |settings, value| put(&mut settings.mitigations, parse_mode(value)),
    },
    Key {
        name: "hostkernel.debug",
        syntax: "crash",
        default: "nothing",
        meaning: "actions can crash the node with call 0xdead, to try crash records",
        mistake: Mistake::Ignored,
        set: |settings, value| put(&mut settings.crash_call, (value == "crash").then_some(true)),
    },
];

/// Words virtual machine monitors write for Linux. ACPI tells us the same, or they mean nothing.
pub const FOREIGN_KEYS: [&str; 4] = ["virtio_mmio.device", "console", "reboot", "pci"];

impl Key {
    /// The key of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name)
    }
}

fn put<T>(place: &mut T, value: Option<T>) -> Option<()> {
    *place = value?;
    Some(())
}

/// Seconds within bounds, as milliseconds.
fn seconds(value: &str, range: RangeInclusive<u64>) -> Option<u64> {
    number::<u64>(value, range).map(|seconds| seconds * 1000)
}

/// Whether a value is the second of two words; `None` if it is neither.
fn one_of(no: &str, yes: &str, value: &str) -> Option<bool> {
    (value == yes || value == no).then_some(value == yes)
}

/// `dhcp`, or Linux's `client:server:gateway:netmask:hostname:device:autoconf`.
fn parse_address(value: &str) -> Option<Address> {
    if matches!(value, "dhcp" | "on" | "any") {
        return Some(Address::Dhcp);
    }
    let mut fields = value.split(':');
    let address: Ipv4Addr = fields.next()?.parse().ok()?;
    let _server = fields.next();
    let gateway = match fields.next() {
        None | Some("") => None,
        Some(field) => Some(field.parse().ok()?),
    };
    let mask: Ipv4Addr = match fields.next() {
        None | Some("") => Ipv4Addr::new(255, 255, 255, 0),
        Some(field) => field.parse().ok()?,
    };
    let mask = u32::from(mask);
    let has_holes = mask.leading_ones() + mask.trailing_zeros() != u32::BITS;
    if has_holes || address.is_unspecified() || address.is_multicast() || address.is_broadcast() {
        return None;
    }
    Some(Address::Static { address, prefix_len: mask.leading_ones() as u8, gateway })
}

pub(super) fn parse_format(value: &str) -> Option<Format> {
    match value {
        "text" => Some(Format::Text),
        "json" => Some(Format::Json),
        _ => None,
    }
}

fn parse_mode(value: &str) -> Option<Mode> {
    match value {
        "auto" => Some(Mode::Auto),
        "off" => Some(Mode::Off),
        "strict" => Some(Mode::Strict),
        _ => None,
    }
}

fn parse_server(value: &str, usual_port: u16) -> Option<Server> {
    let at_usual_port = |address| SocketAddrV4::new(address, usual_port);
    match value {
        "dhcp" => Some(Server::Dhcp),
        "off" => Some(Server::Nobody),
        _ => {
            let server = value.parse().or_else(|_| value.parse().map(at_usual_port)).ok();
            let address = *server?.ip();
            let is_nobody =
                address.is_unspecified() || address.is_multicast() || address.is_broadcast();
            server.filter(|server| !is_nobody && server.port() != 0).map(Server::At)
        }
    }
}

/// A name, or Linux's number.
fn parse_level(value: &str) -> Option<log::LevelFilter> {
    use log::LevelFilter::{Debug, Error, Info, Off, Trace, Warn};
    Some(match value {
        "off" => Off,
        "0" | "1" | "2" | "3" | "error" => Error,
        "4" | "warn" => Warn,
        "5" | "6" | "info" => Info,
        "7" | "debug" => Debug,
        "8" | "trace" => Trace,
        _ => return None,
    })
}
