//! What a program finds on its stack (System V ABI for AMD64, "Process Initialization").
//!
//! ```text
//!   stack end   zero word
//!               path of the executable, arguments, environment: strings
//!               "x86_64", 16 random bytes
//!               auxiliary vector, ended by AT_NULL
//!               addresses of the environment's strings, ended by 0
//!               addresses of the arguments, ended by 0
//!   rsp ──────▶ number of arguments           16-byte aligned
//! ```
#![forbid(unsafe_code)]

use linux_raw_sys::auxvec;

use crate::Errno;
use crate::memory::Space;
use crate::memory::regions::PAGE;
use crate::strings;

/// What `AT_PLATFORM` points to.
const PLATFORM: &[u8] = b"x86_64\0";
/// Bytes that `AT_RANDOM` points to.
pub const RANDOM_LEN: usize = 16;
/// `USER_HZ`
const TICKS: u64 = 100;
/// Bytes of a program header.
const PROGRAM_HEADER_LEN: u64 = 56;
/// Pairs of the auxiliary vector, the last included.
const PAIRS: usize = 21;

/// What a stack is made of.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// The page behind the stack.
    pub end: u64,
    /// Path of the executable, with its NUL.
    pub path: &'a [u8],
    /// Arguments, each with its NUL.
    pub arguments: &'a [u8],
    /// Environment, each entry with its NUL.
    pub environment: &'a [u8],
    /// Fresh for each instance.
    pub random: [u8; RANDOM_LEN],
    /// What the processor offers: `AT_HWCAP`, `AT_HWCAP2`.
    pub hardware: [u64; 2],
    /// Where the interpreter lies, 0 if there is none.
    pub interpreter: u64,
    /// Address of the program's first instruction.
    pub entry: u64,
    /// Where the program headers are.
    pub headers: u64,
    /// How many there are.
    pub header_count: u64,
    /// Where the library with the time functions is.
    pub vdso: u64,
    /// Least size of a stack for handlers.
    pub signal_stack_len: u64,
}

/// Writes the stack and answers its pointer.
///
/// # Errors
/// `E2BIG` if it does not fit.
pub fn build(space: &mut Space, start: &Start<'_>) -> Result<u64, Errno> {
    let len = start.path.len() + start.arguments.len() + start.environment.len();
    let path = (start.end - 8).checked_sub(len as u64).ok_or(Errno::E2BIG)?;
    let arguments = path + start.path.len() as u64;
    let environment = arguments + start.arguments.len() as u64;
    let random = (path - RANDOM_LEN as u64 - PLATFORM.len() as u64) / 16 * 16;
    let platform = random + RANDOM_LEN as u64;

    let counts = [start.arguments, start.environment].map(strings::count);
    let words = 1 + counts[0] + 1 + counts[1] + 1 + 2 * PAIRS;
    let rsp = (random.checked_sub(words as u64 * 8).ok_or(Errno::E2BIG)?) / 16 * 16;
    if start.end - rsp > crate::limits::STACK_LEN / 4 {
        return Err(Errno::E2BIG);
    }
    space.write(path, start.path)?;
    space.write(arguments, start.arguments)?;
    space.write(environment, start.environment)?;
    space.write(random, &start.random)?;
    space.write(platform, PLATFORM)?;

    let mut table =
        Table { words: space.bytes_mut(rsp, words as u64 * 8)?.as_chunks_mut().0, at: 0 };
    table.push(counts[0] as u64);
    table.push_addresses(start.arguments, arguments);
    table.push_addresses(start.environment, environment);
    for [kind, value] in vector(start, random, platform, path) {
        table.push(kind);
        table.push(value);
    }
    Ok(rsp)
}

/// The words at the stack's end, written one after the other. (Chained iterators would cost ten
/// times as many instructions.)
struct Table<'a> {
    words: &'a mut [[u8; 8]],
    at: usize,
}

impl Table<'_> {
    fn push(&mut self, word: u64) {
        if let Some(place) = self.words.get_mut(self.at) {
            *place = word.to_le_bytes();
        }
        self.at += 1;
    }

    /// The addresses of strings of which the first lies there, and a 0.
    fn push_addresses(&mut self, strings: &[u8], first: u64) {
        let mut next = first;
        strings::for_each_end(strings, |end| {
            self.push(next);
            next = first + end as u64 + 1;
        });
        self.push(0);
    }
}

/// The auxiliary vector.
fn vector(start: &Start<'_>, random: u64, platform: u64, path: u64) -> [[u64; 2]; PAIRS] {
    [
        (auxvec::AT_SYSINFO_EHDR, start.vdso),
        (auxvec::AT_HWCAP, start.hardware[0]),
        (auxvec::AT_PAGESZ, PAGE),
        (auxvec::AT_CLKTCK, TICKS),
        (auxvec::AT_PHDR, start.headers),
        (auxvec::AT_PHENT, PROGRAM_HEADER_LEN),
        (auxvec::AT_PHNUM, start.header_count),
        (auxvec::AT_BASE, start.interpreter),
        (auxvec::AT_FLAGS, 0),
        (auxvec::AT_ENTRY, start.entry),
        (auxvec::AT_UID, 0),
        (auxvec::AT_EUID, 0),
        (auxvec::AT_GID, 0),
        (auxvec::AT_EGID, 0),
        (auxvec::AT_SECURE, 0),
        (auxvec::AT_RANDOM, random),
        (auxvec::AT_HWCAP2, start.hardware[1]),
        (auxvec::AT_EXECFN, path),
        (auxvec::AT_PLATFORM, platform),
        (auxvec::AT_MINSIGSTKSZ, start.signal_stack_len),
        (auxvec::AT_NULL, 0),
    ]
    .map(|(kind, value)| [u64::from(kind), value])
}
