//! What a node says it has: the gauges that must be back where they were once all is quiet.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use super::Find;
use super::session::Session;
use crate::qemu::Node;

/// How long the node may take to come to rest. Longer than it keeps an idle connection.
const REST_TIMEOUT: Duration = Duration::from_secs(120);
/// Pause between two looks at the gauges.
const REST_POLL: Duration = Duration::from_millis(100);

/// Gauges, in bytes and numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Books {
    /// Memory for images and invocations.
    pub available: u64,
    /// Kernel heap.
    pub heap_free: u64,
    /// Deployed actions.
    pub actions: u64,
    /// Invocations under way.
    pub in_flight: u64,
    /// Open connections, the one that asks included.
    pub connections: u64,
}

impl Books {
    /// Reads them over a connection of its own, which is closed again.
    ///
    /// # Errors
    /// A [`Find`] if the node does not tell.
    pub fn read(node: &Node) -> Result<Self, Find> {
        let mut session = Session::open(node.address())?;
        let text = session.exchange("GET", "/metrics", &[], &[])?.text();
        Self::parse(&text).ok_or_else(|| Find::new(format!("a gauge is missing in\n{text}")))
    }

    /// Reads them once nothing is under way but the question.
    ///
    /// # Errors
    /// A [`Find`] if that never comes.
    pub fn at_rest(node: &Node) -> Result<Self, Find> {
        let mut last = Self::read(node)?;
        let end = Instant::now() + REST_TIMEOUT;
        while (last.in_flight, last.connections) != (0, 1) {
            if Instant::now() >= end {
                return Err(Find::new(format!("the node does not come to rest: {last}")));
            }
            thread::sleep(REST_POLL);
            last = Self::read(node)?;
        }
        Ok(last)
    }

    /// Waits until everything is back.
    ///
    /// # Errors
    /// A [`Find`] if something stays away.
    pub fn wait_for(&self, node: &Node) -> Result<(), Find> {
        let end = Instant::now() + REST_TIMEOUT;
        loop {
            let now = Self::at_rest(node)?;
            if now == *self {
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(Find::new(format!("not all came back\nbefore: {self}\nafter:  {now}")));
            }
            thread::sleep(REST_POLL);
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let sample = |name: &str| {
            text.lines().find_map(|line| {
                let value = line.strip_prefix(name)?.strip_prefix(' ')?;
                value.trim().parse::<u64>().ok()
            })
        };
        let memory = |kind| sample(&format!("hostkernel_memory_bytes{{kind=\"{kind}\"}}"));
        Some(Self {
            available: memory("available")?,
            heap_free: memory("heap_free")?,
            actions: sample("hostkernel_actions")?,
            in_flight: sample("hostkernel_inflight_invocations")?,
            connections: sample("hostkernel_open_connections")?,
        })
    }
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { available, heap_free, actions, in_flight, connections } = self;
        write!(f, "{available} bytes available, {heap_free} bytes of heap, {actions} actions, ")?;
        write!(f, "{in_flight} in flight, {connections} connections")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauges_are_found_by_their_whole_name() {
        let text = "# HELP hostkernel_actions Deployed actions.\n\
            hostkernel_memory_bytes{kind=\"available\"} 10\n\
            hostkernel_memory_bytes{kind=\"heap_free\"} 20\n\
            hostkernel_actions_total 9\nhostkernel_actions 3\n\
            hostkernel_inflight_invocations 0\nhostkernel_open_connections 1\n";
        let books = Books::parse(text).expect("all gauges");
        assert_eq!((books.available, books.heap_free, books.actions), (10, 20, 3));
        assert_eq!(Books::parse(&text.replace("connections", "x")), None);
    }
}
