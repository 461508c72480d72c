//! The native calls the library OS makes, as a trait: the image makes them with `syscall`, the
//! tests answer them themselves.
//!
//! The contract is `action-abi`; nothing here adds to it.

use action_abi::host::Moment;
use action_abi::{CallError, Stream};

use crate::random::SEED_LEN;

/// What [`Native::report`] tells the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Which Linux calls the program made that are not served.
    Unsupported,
    /// Why the program ended.
    Ending,
    /// How many random bytes it drew before it was frozen.
    Entropy,
}

/// What an instance begins with, or the next stage of preparing one.
#[derive(Debug)]
pub struct Instance {
    /// Its number; 0 while instances are being prepared.
    pub number: u64,
    /// Random bytes.
    pub seed: [u8; SEED_LEN],
    /// Standard input.
    pub input: &'static [u8],
    /// Where the result goes.
    pub output: &'static mut [u8],
    /// Arguments of the deploy, each with its NUL.
    pub arguments: &'static [u8],
    /// Environment, each entry with its NUL.
    pub environment: &'static [u8],
    /// Memory limit in bytes.
    pub memory_limit: u64,
    /// Wall-clock time minus monotonic time.
    pub wall_offset_ns: u64,
}

/// The kernel's calls, and what else only the machine can do.
pub trait Native {
    /// Zeroed memory at exactly these pages, in place of what was there. No protection reserves.
    ///
    /// # Errors
    /// [`CallError`]: no memory, too many regions, or pages that are not the instance's to shape.
    fn map_at(&mut self, address: u64, len: u64, protection: u64) -> Result<(), CallError>;

    /// Pages of the payload at exactly these pages, private and not copied.
    ///
    /// # Errors
    /// As [`map_at`](Self::map_at).
    fn map_payload(
        &mut self,
        address: u64,
        len: u64,
        protection: u64,
        offset: u64,
    ) -> Result<(), CallError>;

    /// Changes the protection of mapped pages.
    ///
    /// # Errors
    /// As [`map_at`](Self::map_at).
    fn protect(&mut self, address: u64, len: u64, protection: u64) -> Result<(), CallError>;

    /// Removes mapped pages.
    ///
    /// # Errors
    /// As [`map_at`](Self::map_at).
    fn unmap(&mut self, address: u64, len: u64) -> Result<(), CallError>;

    /// Makes mapped pages what they were when they were mapped.
    ///
    /// # Errors
    /// As [`map_at`](Self::map_at).
    fn discard(&mut self, address: u64, len: u64) -> Result<(), CallError>;

    /// Maps the payload of this stage for the library OS itself, where no earlier one is, and
    /// answers its bytes.
    ///
    /// # Errors
    /// As [`map_at`](Self::map_at).
    fn payload(&mut self) -> Result<&'static [u8], CallError>;

    /// Becomes a template, and goes on as what is made of it: an instance, or the next stage of
    /// preparing one. `at` says what the program has come to. The kernel takes back
    /// the `output` it gave, and everything else of that [`Instance`].
    ///
    /// # Errors
    /// [`CallError`]: there is no template to be made.
    fn freeze(&mut self, at: Moment, output: &'static mut [u8]) -> Result<Instance, CallError>;

    /// Asks for an upcall at this monotonic time; 0 for none.
    fn alarm(&mut self, at_ns: u64);

    /// Waits until this monotonic time.
    fn sleep(&mut self, until_ns: u64);

    /// Lets the first bytes of the result leave. Answers how many have.
    fn flush(&mut self, len: usize) -> usize;

    /// Appends bytes to the invocation's log.
    fn log(&mut self, bytes: &[u8], stream: Stream);

    /// Tells the kernel something for the invocation's receipt.
    fn report(&mut self, kind: Report, text: &str);

    /// Monotonic time, in nanoseconds.
    fn now_ns(&self) -> u64;

    /// Base of the FS segment, where a thread keeps its own data.
    fn thread_pointer(&self) -> u64;

    /// Sets [`thread_pointer`](Self::thread_pointer).
    fn set_thread_pointer(&mut self, base: u64);

    /// Saves the vector and x87 registers; the length is [`extended_len`](Self::extended_len).
    fn save_extended(&mut self, area: &mut Extended);

    /// Loads the vector and x87 registers from what [`save_extended`](Self::save_extended) saved,
    /// or from a signal frame a program may have changed.
    fn load_extended(&mut self, area: &Extended);

    /// Bytes that [`save_extended`](Self::save_extended) writes.
    fn extended_len(&self) -> usize;
}

/// Vector and x87 registers in the processor's own format, aligned as it asks for.
#[derive(Clone, Debug, Default)]
pub struct Extended {
    lines: alloc::vec::Vec<Line>,
}

/// A cache line, which is the alignment `xsave` wants.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
struct Line([u8; LINE_LEN]);

/// Bytes of a [`Line`].
const LINE_LEN: usize = 64;

impl Extended {
    /// No area yet.
    #[must_use]
    pub const fn empty() -> Self {
        Self { lines: alloc::vec::Vec::new() }
    }

    /// An area of this many bytes, rounded up to lines, all zero.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        Self { lines: alloc::vec![Line([0; LINE_LEN]); len.div_ceil(LINE_LEN)] }
    }

    /// Whether it holds nothing yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Where it begins.
    #[must_use]
    pub fn as_ptr(&self) -> *const u8 {
        self.lines.as_ptr().cast()
    }

    /// Where it begins, to be written.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.lines.as_mut_ptr().cast()
    }

    /// Its bytes, line by line.
    pub fn chunks(&self) -> impl Iterator<Item = &[u8; LINE_LEN]> {
        self.lines.iter().map(|line| &line.0)
    }

    /// Its bytes, line by line, to be written.
    pub fn chunks_mut(&mut self) -> impl Iterator<Item = &mut [u8; LINE_LEN]> {
        self.lines.iter_mut().map(|line| &mut line.0)
    }
}
