//! The bounds of this crate, by name.

/// Longest path a call may name, with its final zero byte (`PATH_MAX`).
pub const PATH_LEN_MAX: usize = 4096;
/// Longest name of one entry of a directory (`NAME_MAX`).
pub const NAME_LEN_MAX: usize = 255;
/// Symbolic links followed in one look-up, as in Linux' `fs/namei.c`.
pub const LINKS_FOLLOWED_MAX: u32 = 40;
/// What files and pieces of the process are counted in.
pub const PAGE_LEN: usize = 4096;
/// Largest file, in bytes: as far as `off_t` goes.
pub const FILE_LEN_MAX: u64 = i64::MAX as u64;
/// Most bytes one call moves (`MAX_RW_COUNT`).
pub const TRANSFER_LEN_MAX: usize = 0x7fff_f000;
/// Names one inode may have.
pub const NAMES_OF_INODE_MAX: u32 = 65_000;

/// Entries of one archive.
pub const ARCHIVE_ENTRIES_MAX: usize = 131_072;
/// Directories of which one name in an archive may consist.
pub const ARCHIVE_DEPTH_MAX: usize = 64;

/// Descriptors open at a time, as `RLIMIT_NOFILE` reports it unless it was set.
pub const DESCRIPTORS_DEFAULT: u32 = 1024;
/// The hard limit of `RLIMIT_NOFILE`.
pub const DESCRIPTORS_MAX: u32 = 65_536;

/// What a pipe holds unless told otherwise, in bytes.
pub const PIPE_LEN_DEFAULT: usize = 16 * PAGE_LEN;
/// What a pipe may be told to hold (`/proc/sys/fs/pipe-max-size`).
pub const PIPE_LEN_MAX: usize = 1024 * 1024;
/// What all pipes may hold together, in bytes (`pipe-user-pages-soft`); beyond it a new one holds
/// two pages.
pub const PIPES_LEN_MAX: usize = 16 * 1024 * 1024;
/// Longest write to a pipe that is not mixed with others (`PIPE_BUF`).
pub const PIPE_ATOMIC_LEN: usize = PAGE_LEN;

/// Instances of epoll that may watch each other in a row (`EP_MAX_NESTS`).
pub const EPOLL_DEPTH_MAX: usize = 4;
/// Descriptors that one instance of epoll watches.
pub const EPOLL_WATCHED_MAX: usize = DESCRIPTORS_MAX as usize;
/// Events one `epoll_wait` may ask for (`EP_MAX_EVENTS`).
pub const EPOLL_EVENTS_MAX: usize = i32::MAX as usize / 12;

/// Bytes that are copied at a time from one descriptor to another, on the stack.
pub const COPY_PIECE_LEN: usize = PAGE_LEN;

const _: () = assert!(PIPE_LEN_DEFAULT <= PIPE_LEN_MAX && PIPE_LEN_MAX <= PIPES_LEN_MAX);
const _: () = assert!(PIPE_LEN_MAX.is_multiple_of(PAGE_LEN));
const _: () = assert!(DESCRIPTORS_DEFAULT <= DESCRIPTORS_MAX);
