//! What the files are told by their surroundings: time, randomness, where output goes, and the
//! facts that `/proc` shows.

use crate::errno::{Errno, Stop};

/// A moment or a length of time (`struct timespec`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Seconds; of a moment, since 1970.
    pub seconds: i64,
    /// The rest, below 10⁹.
    pub nanoseconds: u32,
}

/// Where output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sink {
    /// Descriptor 1 at the start.
    Stdout,
    /// Descriptor 2.
    Stderr,
    /// Descriptor 3, on which `OpenWhisk`'s action loop expects results.
    Result,
}

/// A line of `/proc/self/maps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region<'a> {
    /// First address.
    pub start: u64,
    /// Address behind the last.
    pub end: u64,
    /// `PROT_` bits: 1 read, 2 write, 4 execute.
    pub protection: u32,
    /// Shared instead of private.
    pub is_shared: bool,
    /// Place in the file.
    pub offset: u64,
    /// The file's path, or `[heap]`, `[stack]`, `[vdso]`, or nothing.
    pub name: &'a [u8],
}

/// The memory the program sees, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The instance's limit.
    pub total: u64,
    /// What is left of it.
    pub available: u64,
    /// What is mapped.
    pub mapped: u64,
    /// What of that was touched.
    pub resident: u64,
}

/// How a socket stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketReadiness {
    /// `EPOLL…` bits that hold now.
    pub events: u32,
    /// Grows whenever something becomes readable (or ends): what edge-triggered watchers see.
    pub readable_edges: u32,
    /// The same for writing.
    pub writable_edges: u32,
}

/// The surroundings. The library OS implements it; sockets are optional.
pub trait Host {
    /// `CLOCK_REALTIME`.
    fn realtime(&mut self) -> Time;

    /// `CLOCK_MONOTONIC`, in nanoseconds. It is `CLOCK_BOOTTIME` too.
    fn monotonic_ns(&mut self) -> u64;

    /// Fills the bytes with randomness.
    fn random(&mut self, bytes: &mut [u8]);

    /// Takes output; answers how many of the bytes, at least one unless there are none.
    ///
    /// # Errors
    /// Whatever `write` is to answer.
    fn output(&mut self, sink: Sink, bytes: &[u8]) -> Result<usize, Errno>;

    /// Names every mapping in ascending order, for `/proc/self/maps`.
    fn regions(&self, each: &mut dyn FnMut(&Region<'_>));

    /// For `/proc/meminfo`, `status`, `stat`, `statm`.
    fn memory(&self) -> Memory;

    /// The process id.
    fn process_id(&self) -> u32;

    /// Threads of the process.
    fn threads(&self) -> u32 {
        1
    }

    /// Arguments, each with its final zero byte.
    fn command_line(&self) -> &[u8];

    /// The environment, each entry with its final zero byte.
    fn environment(&self) -> &[u8];

    /// Absolute path of the executable.
    fn executable(&self) -> &[u8];

    /// What `/proc/cpuinfo` says about the processor behind its number, one `key : value` a line.
    fn processor(&self) -> &[u8];

    /// `read` on a socket. `blocks` if the descriptor may: then `WouldBlock` instead of `EAGAIN`.
    ///
    /// # Errors
    /// As for `read`.
    fn socket_read(
        &mut self,
        _socket: u32,
        _bytes: &mut [u8],
        _blocks: bool,
    ) -> Result<usize, Stop> {
        Err(Errno::ENOTCONN.into())
    }

    /// `write` on a socket.
    ///
    /// # Errors
    /// As for `write`.
    fn socket_write(&mut self, _socket: u32, _bytes: &[u8], _blocks: bool) -> Result<usize, Stop> {
        Err(Errno::ENOTCONN.into())
    }

    /// How a socket stands.
    ///
    /// # Errors
    /// [`Stop::NeedsInput`] where that depends on what nobody has given yet.
    fn socket_readiness(&mut self, _socket: u32) -> Result<SocketReadiness, Stop> {
        Ok(SocketReadiness::default())
    }

    /// Nothing refers to the socket any more.
    fn socket_closed(&mut self, _socket: u32) {}
}
