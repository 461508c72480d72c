//! A client that keeps its connection, and takes any failure for a find.

use std::fs;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use super::Find;
use crate::connection::{ACTIONS, AUTHORIZATION, Connection, Response, request};
use crate::workspace;

/// The header line of an image as it is.
pub(super) const OCTETS: &str = "Content-Type: application/octet-stream";

/// Limits of an action.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest time of an invocation in milliseconds.
    pub timeout_ms: u64,
    /// Most memory of an invocation in MB.
    pub memory_mb: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout_ms: 60_000, memory_mb: 8 }
    }
}

/// The ELF file of a sample action.
///
/// # Errors
/// A [`Find`] if it was not built.
pub fn sample(name: &str) -> Result<Vec<u8>, Find> {
    let file = workspace::actions().join(format!("{name}.elf"));
    fs::read(&file).map_err(|error| Find::new(format!("{}: {error}", file.display())))
}

/// Opens a connection and sees that it is answered.
///
/// QEMU's network accepts one connection at a time; who opens many at once waits seconds for TCP to
/// try again, which says nothing about the node. So there is a queue.
///
/// # Errors
/// A [`Find`] if the node does not answer.
pub fn connect(address: SocketAddr) -> Result<Connection, Find> {
    static QUEUE: Mutex<()> = Mutex::new(());
    let _turn = QUEUE.lock().unwrap_or_else(PoisonError::into_inner);
    let answered = Connection::open(address).and_then(|mut connection| {
        connection.send(&request("GET", "/healthz", &[], &[]))?;
        Ok((connection.receive()?.status, connection))
    });
    match answered {
        Ok((200, connection)) => Ok(connection),
        Ok((status, _)) => Err(Find::new(format!("/healthz answers {status}"))),
        Err(error) => Err(Find::new(format!("a new connection is not answered: {error}"))),
    }
}

/// A connection that is opened again when the node closes it.
#[derive(Debug)]
pub struct Session {
    address: SocketAddr,
    connection: Connection,
}

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// A [`Find`] if the node does not answer.
    pub fn open(address: SocketAddr) -> Result<Self, Find> {
        Ok(Self { address, connection: connect(address)? })
    }

    /// One more connection to the same node.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn another(&self) -> Result<Self, Find> {
        Self::open(self.address)
    }

    /// Leaves without a word, whatever is under way, and comes back.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn reopen(&mut self) -> Result<(), Find> {
        self.connection = connect(self.address)?;
        Ok(())
    }

    /// Sends a request and does not wait.
    ///
    /// # Errors
    /// A [`Find`] if the connection is gone.
    pub fn send(&mut self, request: &[u8]) -> Result<(), Find> {
        let sent = self.connection.send(request);
        sent.map_err(|error| Find::new(format!("a request cannot be sent: {error}")))
    }

    /// The answer to what was sent.
    ///
    /// # Errors
    /// A [`Find`] if there is none.
    pub fn receive(&mut self) -> Result<Response, Find> {
        let answer = self.connection.receive();
        answer.map_err(|error| Find::new(format!("no answer: {error}")))
    }

    /// Sends a request and returns the answer.
    ///
    /// # Errors
    /// A [`Find`] if there is none.
    pub fn exchange(
        &mut self,
        method: &str,
        target: &str,
        headers: &[&str],
        body: &[u8],
    ) -> Result<Response, Find> {
        // A node that refuses early may close before it has read everything; the answer counts.
        let sent = self.connection.send(&request(method, target, headers, body));
        let answer = self.connection.receive_for(method).map_err(|error| {
            Find::new(format!("no answer to {method} {target}: {error} (sent: {sent:?})"))
        })?;
        if answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            self.reopen()?;
        }
        Ok(answer)
    }

    /// Deploys an image, whatever the node says to it.
    ///
    /// # Errors
    /// A [`Find`] if it says nothing.
    pub fn deploy(&mut self, name: &str, elf: &[u8], limits: Limits) -> Result<Response, Find> {
        let Limits { timeout_ms, memory_mb } = limits;
        let target = format!(
            "{ACTIONS}/{name}?overwrite=true&code=false&timeout={timeout_ms}&memory={memory_mb}"
        );
        self.exchange("PUT", &target, &[AUTHORIZATION, OCTETS], elf)
    }

    /// Deploys a sample action.
    ///
    /// # Errors
    /// A [`Find`] if it was not built, or the node refuses it.
    pub fn deploy_sample(
        &mut self,
        name: &str,
        sample_name: &str,
        limits: Limits,
    ) -> Result<(), Find> {
        let answer = self.deploy(name, &sample(sample_name)?, limits)?;
        if answer.status == 200 {
            return Ok(());
        }
        Err(Find::new(format!("deploying {name}: {} {}", answer.status, answer.text())))
    }

    /// Deletes an action that exists.
    ///
    /// # Errors
    /// A [`Find`] if the node refuses.
    pub fn delete(&mut self, name: &str) -> Result<(), Find> {
        let target = format!("{ACTIONS}/{name}");
        let answer = self.exchange("DELETE", &target, &[AUTHORIZATION], &[])?;
        if answer.status == 200 {
            return Ok(());
        }
        Err(Find::new(format!("deleting {name}: {} {}", answer.status, answer.text())))
    }

    /// Deletes all actions but one.
    ///
    /// # Errors
    /// A [`Find`] if the node refuses.
    pub fn delete_all_but(&mut self, kept: &str) -> Result<(), Find> {
        let target = format!("{ACTIONS}?limit=200");
        loop {
            let answer = self.exchange("GET", &target, &[AUTHORIZATION], &[])?;
            let list = serde_json::from_slice::<serde_json::Value>(&answer.body);
            let list = list.map_err(|error| Find::new(format!("the list is no JSON: {error}")))?;
            let actions = list.as_array().map(Vec::as_slice).unwrap_or_default();
            let names = actions.iter().filter_map(|action| action["name"].as_str());
            let names: Vec<_> = names.filter(|name| *name != kept).map(str::to_owned).collect();
            if names.is_empty() {
                return Ok(());
            }
            for name in names {
                self.delete(&percent_encoded(&name))?;
            }
        }
    }
}

/// A name as part of a path.
fn percent_encoded(name: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    name.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_parts_of_paths() {
        assert_eq!(percent_encoded("aZ0-_"), "aZ0-_");
        assert_eq!(percent_encoded("a b@ä"), "a%20b%40%C3%A4");
    }
}
