//! QEMU's control connection, the QEMU Machine Protocol: one JSON object a line.
//!
//! The connection is a socket pair of which QEMU gets one end as its standard input. So there is no
//! port to collide, no socket file to leave behind, and nobody else can connect.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

/// How long QEMU may take to answer; it is busy when the host is.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Events that may arrive before the answer to a command.
const EVENTS_MAX: usize = 1000;

#[derive(Debug)]
pub(super) struct Monitor {
    stream: Mutex<BufReader<UnixStream>>,
}

impl Monitor {
    /// A monitor and the end of the connection that QEMU gets.
    pub(super) fn pair() -> io::Result<(Self, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        ours.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        Ok((Self { stream: Mutex::new(BufReader::new(ours)) }, theirs))
    }

    /// Reads the greeting and leaves negotiation mode. Returns when QEMU has set up the machine: it
    /// answers `query-status` only from its main loop.
    pub(super) fn negotiate(&self) -> io::Result<()> {
        self.execute("qmp_capabilities")?;
        self.execute("query-status").map(drop)
    }

    /// Executes a command without arguments and returns its result.
    pub(super) fn execute(&self, command: &str) -> io::Result<Value> {
        self.exchange(&json!({ "execute": command }))
    }

    /// Executes a command of the monitor for people, which knows some that the protocol does not.
    pub(super) fn execute_human(&self, line: &str) -> io::Result<Value> {
        let arguments = json!({ "command-line": line });
        self.exchange(&json!({ "execute": "human-monitor-command", "arguments": arguments }))
    }

    fn exchange(&self, command: &Value) -> io::Result<Value> {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let mut line = command.to_string();
        line.push('\n');
        stream.get_mut().write_all(line.as_bytes())?;
        for _ in 0..EVENTS_MAX {
            line.clear();
            if stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let mut message: Value = serde_json::from_str(&line)?;
            if let Some(result) = message.get_mut("return") {
                return Ok(result.take());
            }
            if let Some(error) = message.get("error") {
                return Err(io::Error::other(error.to_string()));
            }
        }
        Err(io::Error::other("QEMU sends events and no answer"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after_hearing(said: &str) -> io::Result<Value> {
        let (monitor, mut qemu) = Monitor::pair()?;
        qemu.write_all(said.as_bytes())?;
        monitor.execute("query-status")
    }

    #[test]
    fn greeting_and_events_are_passed_over() {
        let answer =
            after_hearing("{\"QMP\":{}}\n{\"event\":\"RESUME\"}\r\n{\"return\":{\"a\":1}}\n");
        assert_eq!(answer.expect("an answer"), json!({ "a": 1 }));
    }

    #[test]
    fn an_error_answer_is_an_error() {
        assert!(after_hearing("{\"error\":{\"class\":\"CommandNotFound\"}}\n").is_err());
    }

    #[test]
    fn a_closed_connection_is_an_error() {
        let (monitor, qemu) = Monitor::pair().expect("a socket pair");
        drop(qemu);
        assert!(monitor.execute("quit").is_err());
    }
}
