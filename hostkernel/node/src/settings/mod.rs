//! What the operator sets: `key=value`, from several sources, Linux spellings where one exists.
//!
//! [`KEYS`] is the one list of keys; parsing, error texts and documentation come from it. A
//! [`Loader`] reads the sources in the order of [`Source`], later ones win. What is wrong is
//! reported and has no effect, except where it could open the node, see [`Problem::is_guarded`]:
//! then the node must not serve.

mod access;
mod keys;
mod loader;
mod number;
mod store;

pub use access::{AccessSettings, GUEST, NamespaceSettings, Secret};
pub use keys::{KEYS, Key, Mistake};
pub use loader::{Loaded, Loader, Problem, Source};
pub use store::Store;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddrV4};

use crate::journal::line::Format;
use crate::mitigation::Mode;
use limits::{
    BODY_MB_DEFAULT, CORES_MAX, DRAIN_ACCEPT_MS, DRAIN_READERS_MS, IDLE_TIMEOUT_MS,
    POLL_US_DEFAULT, PORT_DEFAULT, QUEUE_LEN_DEFAULT, STORE_FRESH_MS,
};

/// The node's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How the node gets its address.
    pub address: Address,
    /// Whom the node asks for the time.
    pub time_server: Server,
    /// Whom the node sends its log to.
    pub log_server: Server,
    /// Whom the node asks for the addresses of hosts.
    pub name_server: Server,
    /// Where actions are kept, if not in the node alone.
    pub store: Option<Store>,
    /// What the store is told about who the node is.
    pub store_auth: Option<Secret>,
    /// Names of the runtimes that are fetched from it.
    pub runtimes: Vec<Box<str>>,
    /// How long what the store has said holds without asking again.
    pub store_fresh_ms: u64,
    /// The node's number among others.
    pub node: u16,
    /// TCP port of the API.
    pub port: u16,
    /// How long a connection may be idle.
    pub idle_ms: u64,
    /// How the node leaves.
    pub drain: Drain,
    /// Who may do what.
    pub access: AccessSettings,
    /// Invocations that may wait for one core.
    pub queue_len: usize,
    /// Longest input and longest result of an invocation.
    pub body_len_max: usize,
    /// Whether the core of the network runs actions, too, when the others have more than they can.
    pub shared_front: bool,
    /// How long a core looks for work before it halts, if work has lately come that fast.
    pub poll_us: u64,
    /// Cores to use.
    pub cores_max: usize,
    /// Whether to use all threads of a physical core, which then serve different tenants at once.
    pub hyperthreads: bool,
    /// What is done about processors that leak.
    pub mitigations: Mode,
    /// How lines of the log look.
    pub log_format: Format,
    /// What the log shows.
    pub log_level: log::LevelFilter,
    /// Whether a crashed node halts instead of restarting.
    pub halt_after_crash: bool,
    /// Whether a non-maskable interrupt is counted and logged instead of ending in a crash record.
    pub survives_nmi: bool,
    /// Whether actions can crash the node on purpose, see [`crate::call::crash`].
    pub crash_call: bool,
}

/// How long a node that leaves waits for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// How long it goes on serving, so that load balancers notice.
    pub accept_ms: u64,
    /// How long clients have to take their answers when everything has ended.
    pub readers_ms: u64,
}

impl Default for Drain {
    fn default() -> Self {
        Self { accept_ms: DRAIN_ACCEPT_MS, readers_ms: DRAIN_READERS_MS }
    }
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

/// Who does something for the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Whom the DHCP server names, if it does.
    Dhcp,
    /// Nobody.
    Nobody,
    /// The server there.
    At(SocketAddrV4),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: Address::Dhcp,
            time_server: Server::Dhcp,
            log_server: Server::Nobody,
            name_server: Server::Dhcp,
            store: None,
            store_auth: None,
            runtimes: Vec::new(),
            store_fresh_ms: STORE_FRESH_MS,
            node: 0,
            port: PORT_DEFAULT,
            idle_ms: IDLE_TIMEOUT_MS,
            drain: Drain::default(),
            access: AccessSettings::default(),
            queue_len: QUEUE_LEN_DEFAULT,
            body_len_max: (BODY_MB_DEFAULT as usize) << 20,
            shared_front: true,
            poll_us: POLL_US_DEFAULT,
            cores_max: CORES_MAX,
            hyperthreads: false,
            mitigations: Mode::Auto,
            log_format: Format::Text,
            log_level: log::LevelFilter::Info,
            halt_after_crash: false,
            survives_nmi: false,
            crash_call: false,
        }
    }
}

impl Settings {
    /// Only how lines of the log look, for those that come before there is a heap.
    #[must_use]
    pub fn early_log_format(command_line: &str) -> Format {
        let words = command_line.split_ascii_whitespace().take_while(|word| *word != "--");
        let last = words.filter_map(|word| keys::parse_format(word.strip_prefix("log=")?)).last();
        last.unwrap_or(Format::Text)
    }

    /// How long a core looks for work before it halts.
    #[must_use]
    pub const fn poll_ns(&self) -> u64 {
        self.poll_us * 1000
    }
}

#[cfg(test)]
mod tests;
