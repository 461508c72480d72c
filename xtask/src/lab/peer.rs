//! What to ask the Linux guest for: `images/peers/server` is the other end.

use std::net::SocketAddr;

use super::LabError;
use crate::connection::Connection;

/// Who makes an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
        }
    }

    /// The path at which the guest answers with this peer's greeting.
    #[must_use]
    pub fn path(self) -> String {
        format!("/{}", self.name())
    }

    /// A connection for requests to this peer, one after the other.
    ///
    /// # Errors
    /// When the guest does not listen.
    pub fn requests(self, guest: SocketAddr) -> Result<Requests, LabError> {
        let path = self.path();
        Ok(Requests { connection: connect(guest, &path)?, path })
    }

    /// A connection for runs of this peer inside the guest, without network between them.
    ///
    /// # Errors
    /// When the guest does not listen.
    pub fn bare(self, guest: SocketAddr) -> Result<Bare, LabError> {
        let path = format!("/bare/{}", self.name());
        Ok(Bare { connection: connect(guest, &path)?, path })
    }
}

/// See [`Peer::requests`].
#[derive(Debug)]
pub struct Requests {
    connection: Connection,
    path: String,
}

impl Requests {
    /// Sends a number of requests, each when the one before has been answered with the greeting.
    ///
    /// # Errors
    /// [`LabError::Answer`] at the first that is not answered so.
    pub fn send(&mut self, count: u64) -> Result<(), LabError> {
        const GREETING: &str = r#"{"greeting":"Hello, World!"}"#;
        for _ in 0..count {
            let text = get(&mut self.connection, &self.path)?;
            // A unikernel's answer has what its tender prints around it.
            if !text.contains(GREETING) && self.path != Peer::Solo5.path() {
                return Err(answer(&self.path, text));
            }
        }
        Ok(())
    }
}

/// See [`Peer::bare`].
#[derive(Debug)]
pub struct Bare {
    connection: Connection,
    path: String,
}

impl Bare {
    /// Lets the guest run the peer a number of times in a row, and returns how long each run took,
    /// from before its start until it has ended and is collected, in nanoseconds of the guest.
    ///
    /// # Errors
    /// [`LabError::Answer`] if a run fails.
    pub fn run(&mut self, count: u64) -> Result<Vec<u64>, LabError> {
        let path = format!("{}?n={count}", self.path);
        let text = get(&mut self.connection, &path)?;
        let durations = serde_json::from_str::<serde_json::Value>(&text).ok();
        let durations = durations.as_ref().and_then(|answer| answer["nanoseconds"].as_array());
        let durations = durations.and_then(|all| all.iter().map(|one| one.as_u64()).collect());
        durations.ok_or_else(|| answer(&path, text))
    }
}

fn connect(guest: SocketAddr, path: &str) -> Result<Connection, LabError> {
    Connection::open(guest).map_err(|error| answer(path, error))
}

fn get(connection: &mut Connection, path: &str) -> Result<String, LabError> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: guest\r\n\r\n");
    let response = connection.send(request.as_bytes()).and_then(|()| connection.receive());
    let response = response.map_err(|error| answer(path, error))?;
    match response.status {
        200 => Ok(response.text()),
        status => Err(answer(path, format!("{status} {}", response.text()))),
    }
}

fn answer(path: &str, reason: impl ToString) -> LabError {
    LabError::Answer { path: path.to_owned(), reason: reason.to_string() }
}
