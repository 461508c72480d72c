//! Why a file is refused as an image, in words its author can act on.

use core::fmt;

use action_abi::{ABI_VERSION, HOST_VERSION, IMAGE_END, IMAGE_START};

use limits::{IMAGE_MEMORY_LEN_MAX, PROGRAM_HEADERS_MAX, SEGMENTS_MAX};

/// Why a file is no image. [`Display`](fmt::Display) is the sentence for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageReject {
    /// Something other than ELF; says what it seems to be.
    NotElf(&'static str),
    /// An ELF file that was read as text, which replaced its bytes above 127.
    SentAsText,
    /// The file ends within a header or segment.
    Truncated,
    /// 32-bit or big-endian.
    WrongClass,
    /// Another processor; the value of `e_machine`.
    WrongMachine(u16),
    /// An ELF version other than 1, or header sizes that are not those of version 1.
    WrongVersion,
    /// `ET_DYN`.
    PositionIndependent,
    /// Neither `ET_EXEC` nor `ET_DYN`; the value of `e_type`.
    NotExecutable(u16),
    /// `PT_INTERP` or `PT_DYNAMIC` is present.
    Dynamic,
    /// `PT_GNU_STACK` asks for an executable stack.
    ExecutableStack,
    /// More than [`PROGRAM_HEADERS_MAX`] program headers.
    TooManyHeaders,
    /// More than [`SEGMENTS_MAX`] loadable segments.
    TooManySegments,
    /// No loadable segment.
    NoSegment,
    /// A segment's address, length, offset or alignment contradict each other.
    BadSegment {
        /// Index of the program header.
        index: usize,
        /// What is wrong.
        problem: SegmentProblem,
    },
    /// The segments together exceed [`IMAGE_MEMORY_LEN_MAX`].
    TooLarge,
    /// The entry point is in no executable segment.
    BadEntry(u64),
    /// A `PT_NOTE` segment is malformed or together they exceed [`limits::NOTES_LEN_MAX`].
    BadNotes,
    /// The ABI note is missing.
    NoAbiNote,
    /// The ABI note names a version this kernel does not know.
    UnknownAbi(u32),
    /// There is no memory to look at it now.
    NoMemory,
}

/// What is wrong with one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentProblem {
    /// More bytes in the file than in memory.
    FileLongerThanMemory,
    /// Not inside `IMAGE_START..IMAGE_END`.
    OutOfRange,
    /// Address and file offset differ modulo the page length, or the alignment is no power of two.
    Misaligned,
    /// Writable and executable.
    WritableAndExecutable,
    /// Neither readable, writable nor executable.
    Inaccessible,
    /// Below a segment before it.
    NotAscending,
    /// In the same page as the segment before it.
    SharedPage,
}

impl fmt::Display for ImageReject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotElf(found) => write!(f, "The code is not an ELF executable but {found}."),
            Self::SentAsText => f.write_str(
                "The code is an ELF file that was sent as text, which destroyed it. Send it in \
                 base64, or put it into a zip file (`zip action.zip exec`).",
            ),
            Self::Truncated => f.write_str("The ELF file ends before its headers and segments do."),
            Self::WrongClass => f.write_str("The ELF file is not 64-bit little-endian."),
            Self::WrongMachine(machine) => {
                write!(f, "The ELF file is for machine {machine}, not for x86-64 (62).")
            }
            Self::WrongVersion => f.write_str("The ELF header is not that of ELF version 1."),
            Self::PositionIndependent => f.write_str(
                "The image is position-independent; link it with -no-pie (Rust: \
                 -C relocation-model=static).",
            ),
            Self::NotExecutable(kind) => {
                write!(f, "The ELF file is of type {kind}, not a linked executable (2).")
            }
            Self::Dynamic => {
                f.write_str("The image needs a dynamic linker; link it with -static -no-pie.")
            }
            Self::ExecutableStack => {
                f.write_str("The image asks for an executable stack; link it with -z noexecstack.")
            }
            Self::TooManyHeaders => {
                write!(f, "The image has more than {PROGRAM_HEADERS_MAX} program headers.")
            }
            Self::TooManySegments => {
                write!(f, "The image has more than {SEGMENTS_MAX} loadable segments.")
            }
            Self::NoSegment => f.write_str("The image has no loadable segment."),
            Self::BadSegment { index, problem } => {
                write!(f, "Program header {index} of the image: {problem}.")
            }
            Self::TooLarge => write!(
                f,
                "The segments of the image take more than {} MB of memory.",
                IMAGE_MEMORY_LEN_MAX >> 20
            ),
            Self::BadEntry(entry) => {
                write!(f, "The entry point {entry:#x} is not in an executable segment.")
            }
            Self::BadNotes => f.write_str("The ELF notes of the image are malformed or too long."),
            Self::NoAbiNote => f.write_str(
                "The image lacks the hostkernel ABI note, so it is perhaps a Linux program; build \
                 it with the action-abi crate or the C header.",
            ),
            Self::UnknownAbi(version) => write!(
                f,
                "The image is built for version {version} of the hostkernel ABI; this node knows \
                 versions {ABI_VERSION} and {HOST_VERSION}, one in each image."
            ),
            Self::NoMemory => f.write_str("There is no memory to look at the code now; try again."),
        }
    }
}

impl fmt::Display for SegmentProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FileLongerThanMemory => {
                f.write_str("the segment is longer in the file than in memory")
            }
            Self::OutOfRange => {
                write!(f, "the segment is not inside {IMAGE_START:#x}..{IMAGE_END:#x}")
            }
            Self::Misaligned => f.write_str(
                "the segment's address and file offset differ modulo 4096, or its alignment is no \
                 power of two",
            ),
            Self::WritableAndExecutable => f.write_str("the segment is writable and executable"),
            Self::Inaccessible => f.write_str("the segment has no permissions"),
            Self::NotAscending => f.write_str("the segment is below the one before it"),
            Self::SharedPage => f.write_str(
                "the segment shares a page with the one before it; link without -n and -N",
            ),
        }
    }
}
