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
//!
//! Every instance does this before its program's first instruction, so it is short: the auxiliary
//! vector is made at deploy, but for three addresses, and strings are looked through once.
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

/// Strings whose ends are noted when they are counted; longer lists are looked through again.
const ARGUMENTS_NOTED: usize = 4;
const ENVIRONMENT_NOTED: usize = 48;

/// The auxiliary vector as it lies in memory: all that is the same in each instance.
#[derive(Clone, Copy, Debug)]
pub struct Vector([[[u8; 8]; 2]; PAIRS]);

/// What is known of a program when it has been loaded.
#[derive(Clone, Copy, Debug)]
pub struct Loaded {
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

impl Vector {
    /// The vector of a program.
    #[must_use]
    pub fn new(loaded: &Loaded) -> Self {
        let pairs = [
            // Those that differ, in the order of `place`.
            (auxvec::AT_RANDOM, 0),
            (auxvec::AT_PLATFORM, 0),
            (auxvec::AT_EXECFN, 0),
            (auxvec::AT_SYSINFO_EHDR, loaded.vdso),
            (auxvec::AT_HWCAP, loaded.hardware[0]),
            (auxvec::AT_PAGESZ, PAGE),
            (auxvec::AT_CLKTCK, TICKS),
            (auxvec::AT_PHDR, loaded.headers),
            (auxvec::AT_PHENT, PROGRAM_HEADER_LEN),
            (auxvec::AT_PHNUM, loaded.header_count),
            (auxvec::AT_BASE, loaded.interpreter),
            (auxvec::AT_FLAGS, 0),
            (auxvec::AT_ENTRY, loaded.entry),
            (auxvec::AT_UID, 0),
            (auxvec::AT_EUID, 0),
            (auxvec::AT_GID, 0),
            (auxvec::AT_EGID, 0),
            (auxvec::AT_SECURE, 0),
            (auxvec::AT_HWCAP2, loaded.hardware[1]),
            (auxvec::AT_MINSIGSTKSZ, loaded.signal_stack_len),
            (auxvec::AT_NULL, 0),
        ];
        Self(pairs.map(|(kind, value)| [u64::from(kind).to_le_bytes(), value.to_le_bytes()]))
    }

    /// Copies it to a place, with the addresses of the random bytes, of the platform's name, and of
    /// the path.
    fn place(&self, to: &mut [u8], addresses: [u64; 3]) {
        to.copy_from_slice(self.0.as_flattened().as_flattened());
        for ([_, value], address) in
            to.as_chunks_mut::<8>().0.as_chunks_mut().0.iter_mut().zip(addresses)
        {
            *value = address.to_le_bytes();
        }
    }
}

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
    /// The auxiliary vector.
    pub vector: &'a Vector,
}

/// Writes the stack and answers its pointer.
///
/// # Errors
/// `E2BIG` if it does not fit.
pub fn build(space: &mut Space, start: &Start<'_>) -> Result<u64, Errno> {
    let Start { path, arguments, environment, .. } = *start;
    let strings_len = path.len() + arguments.len() + environment.len();
    let strings = (start.end - 8).checked_sub(strings_len as u64).ok_or(Errno::E2BIG)?;
    let random = (strings - RANDOM_LEN as u64 - PLATFORM.len() as u64) / 16 * 16;
    let mut argument_ends = Ends::<ARGUMENTS_NOTED>::none();
    argument_ends.find(arguments);
    let mut environment_ends = Ends::<ENVIRONMENT_NOTED>::none();
    environment_ends.find(environment);
    let pointers_len = 8 * (1 + argument_ends.count + 1 + environment_ends.count + 1);
    let table_len = pointers_len + size_of::<Vector>();
    let rsp = random.checked_sub(table_len as u64).ok_or(Errno::E2BIG)? / 16 * 16;
    if start.end - rsp > crate::limits::STACK_LEN / 4 {
        return Err(Errno::E2BIG);
    }

    let all = space.bytes_mut(rsp, start.end - rsp)?;
    let (table, rest) = all.split_at_mut((random - rsp) as usize);
    let (random_place, rest) = rest.split_at_mut((strings - random) as usize);
    random_place[..RANDOM_LEN].copy_from_slice(&start.random);
    random_place[RANDOM_LEN..][..PLATFORM.len()].copy_from_slice(PLATFORM);
    let (path_place, rest) = rest.split_at_mut(path.len());
    let (arguments_place, rest) = rest.split_at_mut(arguments.len());
    path_place.copy_from_slice(path);
    arguments_place.copy_from_slice(arguments);
    rest[..environment.len()].copy_from_slice(environment);

    let (pointers, vector) = table.split_at_mut(pointers_len);
    let arguments_at = strings + path.len() as u64;
    let mut pointers = Pointers { words: pointers.as_chunks_mut().0, at: 0 };
    pointers.push(argument_ends.count as u64);
    pointers.push_each(&argument_ends, arguments, arguments_at);
    pointers.push_each(&environment_ends, environment, arguments_at + arguments.len() as u64);
    let addresses = [random, random + RANDOM_LEN as u64, strings];
    start.vector.place(&mut vector[..size_of::<Vector>()], addresses);
    Ok(rsp)
}

/// How many strings there are, and where the first of them end.
struct Ends<const NOTED: usize> {
    count: usize,
    noted: [u32; NOTED],
}

impl<const NOTED: usize> Ends<NOTED> {
    const fn none() -> Self {
        Self { count: 0, noted: [0; NOTED] }
    }

    #[inline]
    fn find(&mut self, strings: &[u8]) {
        strings::for_each_end(strings, |end| {
            if let Some(place) = self.noted.get_mut(self.count) {
                *place = end as u32;
            }
            self.count += 1;
        });
    }
}

/// The words at the stack's end, written one after the other. (Chained iterators would cost ten
/// times as many instructions.)
struct Pointers<'a> {
    words: &'a mut [[u8; 8]],
    at: usize,
}

impl Pointers<'_> {
    fn push(&mut self, word: u64) {
        if let Some(place) = self.words.get_mut(self.at) {
            *place = word.to_le_bytes();
        }
        self.at += 1;
    }

    /// The addresses of strings of which the first lies there, and a 0.
    #[inline]
    fn push_each<const NOTED: usize>(&mut self, ends: &Ends<NOTED>, strings: &[u8], first: u64) {
        let mut next = first;
        let mut push_next = |end: u64| {
            self.push(next);
            next = first + end + 1;
        };
        match ends.noted.get(..ends.count) {
            Some(noted) => noted.iter().for_each(|end| push_next(u64::from(*end))),
            None => strings::for_each_end(strings, |end| push_next(end as u64)),
        }
        self.push(0);
    }
}
