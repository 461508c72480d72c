//! What `poll` and `epoll_wait` read and write.

use super::Layout;

/// `struct pollfd`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PollFd {
    /// The descriptor; a negative one is passed over.
    pub fd: i32,
    /// What is asked for.
    pub events: u16,
    /// What holds.
    pub revents: u16,
}

impl PollFd {
    /// Length of the structure.
    pub const LEN: usize = 8;

    /// As it stands in memory.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        Layout::new().put(self.fd.to_le_bytes()).half(self.events).half(self.revents).finish()
    }

    /// From memory.
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        let [a, b, c, d, e, f, g, h] = bytes;
        Self {
            fd: i32::from_le_bytes([a, b, c, d]),
            events: u16::from_le_bytes([e, f]),
            revents: u16::from_le_bytes([g, h]),
        }
    }
}

/// `struct epoll_event`, which is packed on x86-64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EpollEvent {
    /// What is asked for, or holds.
    pub events: u32,
    /// The program's own.
    pub data: u64,
}

impl EpollEvent {
    /// Length of the structure.
    pub const LEN: usize = 12;

    /// As it stands in memory.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        Layout::new().word(self.events).long(self.data).finish()
    }

    /// From memory.
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        let [a, b, c, d, data @ ..] = bytes;
        Self { events: u32::from_le_bytes([a, b, c, d]), data: u64::from_le_bytes(data) }
    }
}
