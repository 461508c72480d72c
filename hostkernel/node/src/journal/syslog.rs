//! Lines for a log server, in the form of RFC 5424, from when they are written to when the network
//! takes them.
//!
//! ```text
//! <134>1 2026-01-02T03:04:05.123456Z 10.0.2.15 hostkernel - access [hostkernel@32473 aid="…"] …
//! priority, version, time, node, program, process, kind, structured data, message
//! ```
//!
//! Every core may write, and nobody ever waits: the queue is bounded, what finds no room is counted
//! and lost, and a line says so when the others have left. Nothing here takes memory of the heap
//! once the queue is made.

use alloc::vec;
use core::fmt::{self, Write as _};
use core::net::Ipv4Addr;
use core::sync::atomic::{AtomicBool, Ordering};

use log::{Level, LevelFilter, Record};
use smoltcp::storage::{PacketBuffer, PacketMetadata};
use spin::Mutex;

use super::is_ours;
use crate::calendar::Timestamp;
use limits::{SYSLOG_HEADER_LEN_MAX, SYSLOG_LEN_MAX, SYSLOG_LINES_MAX, SYSLOG_QUEUE_LEN};

/// Target of what is said of sending.
pub const SENDER: &str = "node::net::syslog";
/// Facility `local0`.
const FACILITY: u8 = 16;
/// Our structured data. The number is the one reserved for documentation (RFC 5612).
const DATA: &str = "[hostkernel@32473";
/// What ends a value and the structured data.
const CLOSE: &str = "\"]";

/// Structured data and message.
pub type Body = Text<{ SYSLOG_LEN_MAX - SYSLOG_HEADER_LEN_MAX }>;
/// All of it.
pub type Datagram = Text<SYSLOG_LEN_MAX>;

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The node.
    Log,
    /// A request.
    Access,
}

/// What stands in front of a body.
#[derive(Clone, Copy, Debug)]
struct Head {
    level: Level,
    kind: About,
    wall_ns: Option<u64>,
}

/// Lines that wait to be sent.
#[derive(Debug)]
pub struct Queue {
    level: LevelFilter,
    wall_ns: fn() -> Option<u64>,
    is_closed: AtomicBool,
    lines: Mutex<Lines>,
}

#[derive(Debug)]
struct Lines {
    ring: PacketBuffer<'static, Head>,
    lost: u64,
    /// Those of the lost that no line has spoken of.
    lost_unsaid: u64,
}

impl Queue {
    /// An empty queue of lines up to a level. `wall_ns` says what time it is.
    #[must_use]
    pub fn new(level: LevelFilter, wall_ns: fn() -> Option<u64>) -> Self {
        let ring = PacketBuffer::new(
            vec![PacketMetadata::EMPTY; SYSLOG_LINES_MAX],
            vec![0; SYSLOG_QUEUE_LEN],
        );
        let lines = Mutex::new(Lines { ring, lost: 0, lost_unsaid: 0 });
        Self { level, wall_ns, is_closed: AtomicBool::new(false), lines }
    }

    /// Whether a line of this level is wanted.
    #[must_use]
    pub fn takes(&self, level: Level) -> bool {
        level <= self.level && !self.is_closed.load(Ordering::Relaxed)
    }

    /// Takes no more lines, and forgets those that wait: there is nobody to send them to.
    pub fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        let mut lines = self.lines.lock();
        while lines.ring.dequeue().is_ok() {}
        lines.lost_unsaid = 0;
    }

    /// Takes lines again.
    pub fn open(&self) {
        self.is_closed.store(false, Ordering::Relaxed);
    }

    /// Takes a record of the node's log. What others than the node itself have to say is left out,
    /// and what it says of sending: such a line would be the cause of another.
    pub fn log(&self, record: &Record<'_>) {
        let target = record.target();
        if self.takes(record.level()) && is_ours(target) && target != SENDER {
            let mut body = Body::default();
            // A long message is cut.
            let _ = write!(body, "- {}", record.args());
            self.push(record.level(), About::Log, &body);
        }
    }

    /// Takes a line.
    pub fn push(&self, level: Level, kind: About, body: &Body) {
        let head = Head { level, kind, wall_ns: (self.wall_ns)() };
        let body = body.as_bytes();
        let mut lines = self.lines.lock();
        match lines.ring.enqueue(body.len(), head) {
            Ok(place) => place.copy_from_slice(body),
            Err(_) => lines.lose(),
        }
    }

    /// The next line, from the node at this address.
    pub fn take(&self, host: Option<Ipv4Addr>) -> Option<Datagram> {
        let mut lines = self.lines.lock();
        if let Ok((head, body)) = lines.ring.dequeue() {
            return Some(head.datagram(host, body));
        }
        let lost = core::mem::take(&mut lines.lost_unsaid);
        if lost == 0 {
            return None;
        }
        let head = Head { level: Level::Warn, kind: About::Log, wall_ns: (self.wall_ns)() };
        let mut body = Body::default();
        let _ = write!(body, "- {lost} lines before this one were lost");
        Some(head.datagram(host, body.as_bytes()))
    }

    /// Whether there is a next line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let lines = self.lines.lock();
        lines.ring.is_empty() && lines.lost_unsaid == 0
    }

    /// Counts a line that was taken and could not be sent.
    pub fn lose(&self) {
        self.lines.lock().lose();
    }

    /// Lines that were lost since the boot.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lines.lock().lost
    }
}

impl Lines {
    fn lose(&mut self) {
        self.lost += 1;
        self.lost_unsaid += 1;
    }
}

impl Head {
    fn datagram(self, host: Option<Ipv4Addr>, body: &[u8]) -> Datagram {
        let mut datagram = Datagram::default();
        let _ = self.write(&mut datagram, host);
        datagram.push(body);
        datagram
    }

    /// At most [`SYSLOG_HEADER_LEN_MAX`] bytes: 7 of priority and version, 28 of time, 16 of
    /// address, 13 of names, 7 of kind.
    fn write(self, out: &mut Datagram, host: Option<Ipv4Addr>) -> fmt::Result {
        let severity = match self.level {
            Level::Error => 3,
            Level::Warn => 4,
            Level::Info => 6,
            Level::Debug | Level::Trace => 7,
        };
        write!(out, "<{}>1 ", FACILITY * 8 + severity)?;
        match self.wall_ns {
            Some(wall_ns) => write!(out, "{} ", Timestamp { ns: wall_ns, decimals: 6 })?,
            None => out.write_str("- ")?,
        }
        match host {
            Some(host) => write!(out, "{host} ")?,
            None => out.write_str("- ")?,
        }
        out.write_str(match self.kind {
            About::Log => "hostkernel - log ",
            About::Access => "hostkernel - access ",
        })
    }
}

/// Text of a bounded length, without control characters: nothing that is written into it can begin
/// another line. What is too long is cut between characters, and is an error.
#[derive(Clone, Debug)]
pub struct Text<const LEN: usize> {
    bytes: [u8; LEN],
    len: usize,
}

impl<const LEN: usize> Default for Text<LEN> {
    fn default() -> Self {
        Self { bytes: [0; LEN], len: 0 }
    }
}

impl<const LEN: usize> Text<LEN> {
    /// What was written.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Begins structured data. [`Self::end_data`] has to follow.
    pub fn begin_data(&mut self) {
        const { assert!(DATA.len() < LEN, "the end of structured data always fits") };
        self.len = 0;
        self.push(DATA.as_bytes());
    }

    /// Appends a parameter, whose name is one. Of a value that is too long the beginning remains.
    pub fn parameter(&mut self, name: &str, value: &str) {
        let room = (LEN - self.len).saturating_sub(name.len() + " =\"".len() + CLOSE.len());
        if room == 0 {
            return;
        }
        self.push(b" ");
        self.push(name.as_bytes());
        self.push(b"=\"");
        let is_plain = |byte: u8| !matches!(byte, b'"' | b'\\' | b']' | ..b' ' | 0x7f);
        if value.len() <= room && value.bytes().all(is_plain) {
            self.push(value.as_bytes());
        } else {
            let end = self.len + room;
            for char in value.chars() {
                let is_special = matches!(char, '"' | '\\' | ']');
                if self.len + usize::from(is_special) + char.len_utf8() > end {
                    break;
                }
                if is_special {
                    self.push(b"\\");
                }
                self.push_char(char);
            }
        }
        self.push(b"\"");
    }

    /// Ends structured data. A message may follow, behind a space.
    pub fn end_data(&mut self) {
        self.push(b"]");
    }

    fn push_char(&mut self, char: char) {
        let char = if char.is_ascii_control() { ' ' } else { char };
        self.push(char.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// Appends what has room of bytes without control characters.
    fn push(&mut self, bytes: &[u8]) {
        let room = &mut self.bytes[self.len..];
        let len = room.len().min(bytes.len());
        room[..len].copy_from_slice(&bytes[..len]);
        self.len += len;
    }
}

impl<const LEN: usize> fmt::Write for Text<LEN> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let kept = &text[..text.floor_char_boundary(LEN - self.len)];
        if kept.bytes().any(|byte| byte.is_ascii_control()) {
            kept.chars().for_each(|char| self.push_char(char));
        } else {
            self.push(kept.as_bytes());
        }
        if kept.len() == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

#[cfg(test)]
mod tests;
