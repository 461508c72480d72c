//! What the files are told by their surroundings.
#![forbid(unsafe_code)]

use action_abi::Stream;
use linux_files::{Host, Memory, Region, Sink, SocketReadiness, Stop, Time};

use crate::Errno;
use crate::identity::Identity;
use crate::memory::regions::{Protection, Regions, Source};
use crate::native::Native;
use crate::random::Random;
use crate::socket::Sockets;
use crate::socket::stream::Reading;
use crate::timers::SECOND_NS;

/// The result, written where the kernel takes it from.
#[derive(Debug, Default)]
pub struct Output {
    window: &'static mut [u8],
    len: usize,
    /// So much of it may leave.
    flushed_len: usize,
    /// Some of it has left: that is the result, whatever else is written where.
    has_left: bool,
    /// The program wrote to descriptor 3: that is the result, and standard output is log.
    is_on_result: bool,
    /// Standard output is log anyway: there is nobody yet who would want a result.
    is_preparing: bool,
    /// It always is: a runtime writes results to descriptor 3, and its log should be in order.
    is_runtime: bool,
}

impl Output {
    /// No window yet: what is written has no place.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            window: &mut [],
            len: 0,
            flushed_len: 0,
            has_left: false,
            is_on_result: false,
            is_preparing: false,
            is_runtime: false,
        }
    }

    /// Whose it is: the program's that is a runtime, or another's.
    pub fn set_runtime(&mut self, is_runtime: bool) {
        self.is_runtime = is_runtime;
    }

    /// A new result, in this window.
    pub fn begin(&mut self, window: &'static mut [u8], is_preparing: bool) {
        let is_runtime = self.is_runtime;
        *self = Self { window, is_preparing, is_runtime, ..Self::new() };
    }

    fn is_stdout_log(&self) -> bool {
        self.is_on_result || self.is_preparing || self.is_runtime
    }

    /// Gives the window back.
    pub fn take_window(&mut self) -> &'static mut [u8] {
        self.forget();
        core::mem::take(&mut self.window)
    }

    /// There is no result after all.
    pub fn forget(&mut self) {
        (self.len, self.flushed_len) = (0, 0);
    }

    /// Bytes of the result.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Lets all of it leave that was written so far. While instances are prepared nobody waits.
    pub fn flush(&mut self, native: &mut impl Native) {
        if self.kept_len() > 0 && !self.is_preparing {
            self.flushed_len = self.len;
            self.has_left |= native.flush(self.len) > 0;
        }
    }

    /// Bytes that have not been let go.
    #[must_use]
    pub fn kept_len(&self) -> usize {
        self.len - self.flushed_len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The result.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.window[..self.len]
    }

    /// Appends all of the bytes, or none.
    ///
    /// # Errors
    /// `ENOSPC` if they have no room.
    pub fn append_all(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        if bytes.len() > self.window.len() - self.len {
            return Err(Errno::ENOSPC);
        }
        self.append(bytes).map(drop)
    }

    /// The result is what comes now: what was written so far turns out to be log.
    pub fn becomes_log(&mut self, native: &mut impl Native) {
        native.log(self.bytes(), Stream::Stdout);
        (self.len, self.flushed_len) = (0, 0);
    }

    fn append(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let room = &mut self.window[self.len..];
        if room.is_empty() && !bytes.is_empty() {
            return Err(Errno::ENOSPC);
        }
        let len = bytes.len().min(room.len());
        room[..len].copy_from_slice(&bytes[..len]);
        self.len += len;
        Ok(len)
    }
}

/// The surroundings during one call.
pub(crate) struct Surroundings<'a, N> {
    pub native: &'a mut N,
    pub regions: &'a Regions,
    pub identity: &'a Identity,
    pub output: &'a mut Output,
    pub sockets: &'a mut Sockets,
    pub random: &'a mut Random,
    pub threads: u32,
}

impl<N: Native> Host for Surroundings<'_, N> {
    fn realtime(&mut self) -> Time {
        let now = self.native.now_ns().saturating_add(self.identity.wall_offset_ns);
        Time { seconds: (now / SECOND_NS).cast_signed(), nanoseconds: (now % SECOND_NS) as u32 }
    }

    fn monotonic_ns(&mut self) -> u64 {
        self.native.now_ns()
    }

    fn random(&mut self, bytes: &mut [u8]) {
        self.random.fill(bytes);
    }

    fn output(&mut self, sink: Sink, bytes: &[u8]) -> Result<usize, Errno> {
        match sink {
            Sink::Result | Sink::Stdout if self.sockets.exchange.is_server() => {
                self.native.log(bytes, Stream::Stdout);
                Ok(bytes.len())
            }
            Sink::Result => {
                if !self.output.is_on_result && !bytes.is_empty() {
                    if !self.output.has_left {
                        self.output.becomes_log(self.native);
                    }
                    self.output.is_on_result = true;
                }
                self.output.append(bytes)
            }
            Sink::Stdout if !self.output.is_stdout_log() => self.output.append(bytes),
            Sink::Stdout => {
                self.native.log(bytes, Stream::Stdout);
                Ok(bytes.len())
            }
            Sink::Stderr => {
                self.native.log(bytes, Stream::Stderr);
                Ok(bytes.len())
            }
        }
    }

    fn regions(&self, each: &mut dyn FnMut(&Region<'_>)) {
        for (start, region) in self.regions.iter() {
            let (name, offset): (&[u8], u64) = match region.source {
                Source::Anonymous | Source::Wiped => (b"", 0),
                Source::Heap => (b"[heap]", 0),
                Source::Stack => (b"[stack]", 0),
                Source::Vdso => (b"[vdso]", 0),
                Source::Payload { offset } | Source::Former { offset } => {
                    (self.identity.executable(), offset)
                }
                Source::Shared { offset, .. } | Source::Copied { offset, .. } => (b"", offset),
            };
            each(&Region {
                start,
                end: region.end,
                protection: linux_bits(region.protection),
                is_shared: false,
                offset,
                name,
            });
        }
    }

    fn memory(&self) -> Memory {
        let total = self.identity.memory_limit;
        let mapped = self.regions.iter().map(|(start, region)| region.end - start).sum();
        // Only the kernel knows what was touched.
        Memory { total, available: total / 4 * 3, mapped, resident: total / 4 }
    }

    fn process_id(&self) -> u32 {
        self.identity.process_id
    }

    fn threads(&self) -> u32 {
        self.threads
    }

    fn command_line(&self) -> &[u8] {
        &self.identity.command_line
    }

    fn environment(&self) -> &[u8] {
        self.identity.environment
    }

    fn executable(&self) -> &[u8] {
        self.identity.executable()
    }

    fn socket_read(&mut self, socket: u32, bytes: &mut [u8], blocks: bool) -> Result<usize, Stop> {
        self.sockets.read(socket, bytes, Reading { blocks, ..Reading::default() })
    }

    fn socket_write(&mut self, socket: u32, bytes: &[u8], blocks: bool) -> Result<usize, Stop> {
        let put = &mut |bytes: &[u8]| self.output.append_all(bytes).is_ok();
        let written = self.sockets.write(socket, bytes, blocks, put);
        if self.sockets.exchange.is_due(self.output.kept_len()) {
            self.output.flush(self.native);
        }
        written
    }

    fn socket_readiness(&mut self, socket: u32) -> Result<SocketReadiness, Stop> {
        self.sockets.readiness(socket)
    }

    fn socket_closed(&mut self, socket: u32) {
        self.sockets.close(socket);
    }

    fn processor(&self) -> &[u8] {
        b"vendor_id\t: unknown\nmodel name\t: unknown\ncpu cores\t: 1\n"
    }
}

/// Protections as `PROT_` bits, which are those of the native ABI.
fn linux_bits(protection: Protection) -> u32 {
    u32::from(protection.0)
}

const _: () = assert!(action_abi::protection::READ == 1 && action_abi::protection::WRITE == 2);
