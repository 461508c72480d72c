//! What to ask the Linux guest for: `images/peers/server` is the other end.

use std::net::SocketAddr;

use super::LabError;
use super::call::{Call, Requests};
use super::programs::Hosted;

/// What every peer says.
const GREETING: &[u8] = br#"{"greeting":"Hello, World!"}"#;

/// Who makes an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The server itself: what is left is the network and HTTP.
    Constant,
    /// A new process of the smallest program.
    Process,
    /// A new process of a static Rust program.
    Musl,
    /// A new instance of a WebAssembly module in the server, from wasmtime's pool.
    Wasm,
    /// A new container by `crun`.
    Crun,
    /// A new container by `runc`.
    Runc,
    /// A new unikernel; only in a guest made with one.
    Solo5,
    /// A new process of a program that nodes run, too.
    Hosted(Hosted),
}

impl Peer {
    /// All that every guest has, the quickest first.
    pub const ALL: [Self; 6] =
        [Self::Constant, Self::Wasm, Self::Process, Self::Musl, Self::Crun, Self::Runc];

    /// Its name, which is its path too.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Process => "process",
            Self::Musl => "musl",
            Self::Wasm => "wasm",
            Self::Crun => "crun",
            Self::Runc => "runc",
            Self::Solo5 => "solo5",
            Self::Hosted(hosted) => hosted.name(),
        }
    }

    /// The path at which the guest answers with this peer's greeting.
    #[must_use]
    pub fn path(self) -> String {
        format!("/{}", self.name())
    }

    /// A request to which this peer answers with its greeting.
    #[must_use]
    pub fn call(self) -> Call {
        let call = Call::new("GET", &self.path(), &[], &[]);
        match self {
            // A unikernel's answer has what its tender prints around it.
            Self::Solo5 => call,
            Self::Hosted(_) => call.expecting(Hosted::GREETING),
            _ => call.expecting(GREETING),
        }
    }

    /// A connection for runs of this peer inside the guest, without network between them.
    ///
    /// # Errors
    /// When the guest does not listen.
    pub fn bare(self, guest: SocketAddr) -> Result<Bare, LabError> {
        let path = format!("/bare/{}", self.name());
        let requests = Call::new("GET", &path, &[], &[]).connect(guest)?;
        Ok(Bare { requests, path })
    }
}

/// See [`Peer::bare`].
#[derive(Debug)]
pub struct Bare {
    requests: Requests,
    path: String,
}

impl Bare {
    /// Lets the guest run the peer a number of times in a row, and returns how long each run took,
    /// from before its start until it has ended and is collected, in nanoseconds of the guest.
    ///
    /// # Errors
    /// [`LabError::Answer`] if a run fails.
    pub fn run(&mut self, count: u64) -> Result<Vec<u64>, LabError> {
        let call = Call::new("GET", &format!("{}?n={count}", self.path), &[], &[]);
        let text = self.requests.exchange(&call)?.text();
        let durations = serde_json::from_str::<serde_json::Value>(&text).ok();
        let durations = durations.as_ref().and_then(|answer| answer["nanoseconds"].as_array());
        let durations = durations.and_then(|all| all.iter().map(|one| one.as_u64()).collect());
        durations.ok_or_else(|| call.wrong(text))
    }
}
