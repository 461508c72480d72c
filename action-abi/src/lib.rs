//! The contract between an action and the kernel.
//!
//! Version 1 is for programs written against this file. Version 2 adds what a program needs that
//! *hosts* another one, and is described in [`host`]; all of version 1 is part of it.
//!
//! Both sides compile against this file; nothing else defines the interface. An action is a static
//! x86-64 ELF executable that carries the [note](NOTE_NAME) below. It starts in ring 3 with
//!
//! ```text
//! rdi = address of its Context      rsp = top of its stack, 16-byte aligned
//! all other general registers 0     rflags = IF only, vector and x87 state as after reset
//! ```
//!
//! and ends with one [`Call::Exit`]. A call is the `syscall` instruction with the number in `rax`
//! and up to three arguments in `rdi`, `rsi`, `rdx`. On return `rax` holds the result, or minus a
//! [`CallError`]; `rcx` and `r11` are overwritten by the instruction itself and every other
//! register is preserved. Version 2 has calls with a fourth argument, in `r10`.
//!
//! The smallest action reads its input where [`Context::input`] says, writes its result to where
//! [`Context::output`] says, and makes a single call.

#![cfg_attr(not(test), no_std)]

pub mod host;
#[cfg(feature = "runtime")]
pub mod runtime;
#[cfg(feature = "runtime")]
pub use runtime::prelude;

/// Version of this contract for programs that host nothing. An image that names a version other
/// than this and [`HOST_VERSION`] is refused at deploy.
pub const ABI_VERSION: u32 = 1;
/// Version of this contract for [host images](host).
pub const HOST_VERSION: u32 = 2;
/// Name of the ELF note (`PT_NOTE`) that carries [`ABI_VERSION`] as a four-byte little-endian word.
pub const NOTE_NAME: &str = "hostkernel";
/// Type of that note.
pub const NOTE_TYPE: u32 = 1;

/// Smallest unit of memory an action can map, protect or unmap.
pub const PAGE_LEN: usize = 4096;
/// Image segments must lie inside `IMAGE_START..IMAGE_END`; the pages below catch null pointers.
pub const IMAGE_START: u64 = 0x1_0000;
/// End of the range an image may occupy; everything above belongs to the kernel's choice of
/// windows.
pub const IMAGE_END: u64 = 0x80_0000_0000;

/// The calls an action can make. The numbers are part of the contract and never reused.
#[repr(u64)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `exit(status, output_len)`: ends the invocation. The result is what [`Call::Write`]
    /// appended; if nothing was appended it is the first `output_len` bytes of the output window.
    Exit = 0,
    /// `log(address, len, stream)`: appends bytes to the invocation's log. `stream` is a
    /// [`Stream`]. Returns how many were kept; the log is bounded, and what is over the bound is
    /// dropped.
    Log = 1,
    /// `write(address, len)`: appends bytes to the result, for those who do not fill the window
    /// themselves. Returns `len`.
    Write = 2,
    /// `map(len, protection)`: maps zeroed memory, `len` rounded up to pages; returns its address.
    Map = 3,
    /// `unmap(address, len)`: removes whole pages that [`Call::Map`] returned. In a host image:
    /// any pages of [its own](host#memory); what is not mapped among them is passed over.
    Unmap = 4,
    /// `protect(address, len, protection)`: changes the protection of whole mapped pages. In a host
    /// image: of any pages of [its own](host#memory), and [`protection::NONE`] is one of the
    /// protections.
    Protect = 5,
    /// `map_at(address, len, protection)`: zeroed memory at exactly this address, in the place of
    /// whatever was there. With [`protection::NONE`] a reservation, which takes no memory but for
    /// its note. Returns `address`.
    MapAt = 6,
    /// `map_payload(address, len, protection, offset)`: the newest payload's pages from `offset`
    /// on, at this address, in the place of whatever was there; shared until they are written.
    /// Behind the payload's end its last page reads as zero; pages behind that one are refused
    /// with [`CallError::BadArgument`]. Returns `address`.
    MapPayload = 7,
    /// `discard(address, len)`: pages become again what they were when they were mapped: zero, or
    /// the payload's bytes. Protections stay. Not for pages of the image.
    Discard = 8,
    /// `reflect(address)`: takes a [`host::Reflection`] from there. See [`host`](host#reflection).
    Reflect = 9,
    /// `freeze(flags)`: makes a template of the calling instance. See [`host`](host#freezing).
    Freeze = 10,
    /// `set_thread_pointer(base)`: sets the base of FS, where the instruction for it is missing
    /// ([`host::FEATURE_FSGSBASE`]). `base` is below [`host::USER_END`].
    SetThreadPointer = 11,
    /// `alarm(at_ns)`: an upcall at that time, on the scale of [`Clock`]; 0 takes it back. See
    /// [`host`](host#alarm).
    Alarm = 12,
    /// `sleep(until_ns)`: returns at that time, at the alarm's or at the deadline, whichever comes
    /// first. The core waits; it belongs to the invocation.
    Sleep = 13,
    /// `report(kind, address, len)`: UTF-8 text for whoever reads the outcome; `kind` is a
    /// [`host::Report`]. Bounded by [`host::REPORT_LEN_MAX`] for each kind; a later one of the same
    /// kind replaces the earlier. What is not UTF-8 is refused with [`CallError::BadArgument`].
    Report = 14,
    /// `flush(len)`: what [`Call::Write`] appended, or else the first `len` bytes of the output
    /// window, will not change any more and may leave, if somebody waits for it who takes a result
    /// piece by piece. Never waits: what the client does not take yet leaves later, or with the
    /// end. Returns how many bytes have left; 0 where the result is sent as a whole.
    Flush = 15,
}

impl Call {
    /// The call with this number, if there is one.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            0 => Self::Exit,
            1 => Self::Log,
            2 => Self::Write,
            3 => Self::Map,
            4 => Self::Unmap,
            5 => Self::Protect,
            6 => Self::MapAt,
            7 => Self::MapPayload,
            8 => Self::Discard,
            9 => Self::Reflect,
            10 => Self::Freeze,
            11 => Self::SetThreadPointer,
            12 => Self::Alarm,
            13 => Self::Sleep,
            14 => Self::Report,
            15 => Self::Flush,
            _ => return None,
        })
    }

    /// Whether only [host images](host) can make it; to all others it is
    /// [`CallError::UnknownCall`].
    #[must_use]
    pub const fn is_for_hosts(self) -> bool {
        self as u64 >= Self::MapAt as u64 && self as u64 <= Self::Report as u64
    }
}

/// Which log a line belongs to.
#[repr(u64)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Ordinary output that is not the result.
    Stdout = 1,
    /// Diagnostics.
    Stderr = 2,
}

/// Permissions of mapped memory: an or of these bits. Writable and executable at once is refused.
pub mod protection {
    /// The page cannot be touched. Host images only.
    pub const NONE: u64 = 0;
    /// The page can be read. Implied by the others.
    pub const READ: u64 = 1;
    /// The page can be written.
    pub const WRITE: u64 = 2;
    /// The page can be executed.
    pub const EXECUTE: u64 = 4;
}

/// Why a call was refused; `rax` holds the negated number.
#[repr(i64)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallError {
    /// There is no call with that number.
    UnknownCall = 1,
    /// The range is not mapped with the permission the call needs.
    BadAddress = 2,
    /// An argument has no meaning: zero length, unaligned address, unknown protection or stream.
    BadArgument = 3,
    /// The memory limit of the invocation does not cover the request.
    OutOfMemory = 4,
    /// A bound other than memory is reached: result length, log length, number of mappings.
    LimitReached = 5,
}

impl CallError {
    /// Encodes the error as the call's result register.
    #[must_use]
    pub const fn to_result(self) -> u64 {
        (-(self as i64)).cast_unsigned()
    }

    /// Decodes a result register: `Ok` for every value that is not a known error.
    ///
    /// # Errors
    /// The [`CallError`] the register encodes.
    pub const fn check(result: u64) -> Result<u64, Self> {
        Err(match result.cast_signed() {
            -1 => Self::UnknownCall,
            -2 => Self::BadAddress,
            -3 => Self::BadArgument,
            -4 => Self::OutOfMemory,
            -5 => Self::LimitReached,
            _ => return Ok(result),
        })
    }
}

/// A range of the action's memory: an address and a length in bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// First byte.
    pub address: u64,
    /// Length in bytes; 0 means the range does not exist.
    pub len: u64,
}

/// How to turn the time stamp counter into time. `rdtsc` is allowed in ring 3.
///
/// `now_ns = start_ns + ((rdtsc - start_cycles) * scale) >> 32`, with a 128-bit product.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// Time stamp counter when the invocation started.
    pub start_cycles: u64,
    /// Monotonic time of the node at that moment, in nanoseconds since it booted.
    pub start_ns: u64,
    /// Nanoseconds per cycle as a 32.32 fixed-point number.
    pub scale: u64,
    /// Wall-clock time at that moment, in nanoseconds since 1970-01-01 UTC; 0 if the node has none.
    pub start_wall_ns: u64,
}

/// What the kernel tells an action, in one read-only page range of its address space.
///
/// New fields are only ever appended; `len` says how many bytes the kernel filled in.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// [`ABI_VERSION`] of the kernel.
    pub version: u32,
    /// Length of this structure in bytes, as the kernel knows it.
    pub len: u32,
    /// The request body, read-only.
    pub input: Range,
    /// The output window, read-write, zeroed, backed as it is touched.
    pub output: Range,
    /// `NAME=value` strings, each ended by a NUL byte.
    pub environment: Range,
    /// The heap window, read-write, zeroed, backed as it is touched.
    pub heap: Range,
    /// The stack. The page below it is never mapped.
    pub stack: Range,
    /// Memory limit of the invocation in bytes. Page tables count; the input and a small fixed
    /// allowance do not.
    pub memory_limit: u64,
    /// Monotonic time at which the invocation is ended, in nanoseconds on the scale of [`Clock`].
    pub deadline_ns: u64,
    /// Clock parameters.
    pub clock: Clock,
    /// Fresh random bytes for this invocation.
    pub random_seed: [u8; 32],
}

impl Context {
    /// The structure as the bytes an action finds in its memory.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; size_of::<Self>()] {
        let Self { input, output, environment, heap, stack, clock, .. } = self;
        // Written out: chained iterators over the same cost every invocation 250 instructions.
        let words = [
            u64::from(self.len) << 32 | u64::from(self.version),
            input.address,
            input.len,
            output.address,
            output.len,
            environment.address,
            environment.len,
            heap.address,
            heap.len,
            stack.address,
            stack.len,
            self.memory_limit,
            self.deadline_ns,
            clock.start_cycles,
            clock.start_ns,
            clock.scale,
            clock.start_wall_ns,
        ];
        let mut bytes = [0; size_of::<Self>()];
        let (fields, seed) = bytes.split_at_mut(size_of::<Self>() - self.random_seed.len());
        for (field, word) in fields.chunks_exact_mut(8).zip(words) {
            field.copy_from_slice(&word.to_le_bytes());
        }
        seed.copy_from_slice(&self.random_seed);
        bytes
    }
}

const _: () = assert!(size_of::<Context>() == 8 + 5 * 16 + 8 + 8 + 32 + 32);
