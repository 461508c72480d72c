//! The bounds of this crate, by name.
#![forbid(unsafe_code)]

/// Bytes of a program's stack, as `RLIMIT_STACK` reports it.
pub const STACK_LEN: u64 = 8 << 20;
/// Input that is also given as the first argument: what fits a page or two.
pub const ARGUMENT_LEN_MAX: usize = 8 << 10;
/// Program headers of an executable; linkers write about ten.
pub const PROGRAM_HEADERS_MAX: usize = 64;
/// Threads of a program.
pub const THREADS_MAX: usize = 4096;
/// How long a thread runs while others could, in nanoseconds.
pub const SLICE_NS: u64 = 2_000_000;
/// How long threads may go on once one of them waits for the input, or has answered a request that
/// warms the program up, in nanoseconds: then they have to wait, too, so that it can be frozen.
pub const REST_NS: u64 = 5_000_000_000;
/// Signals waiting to be taken, as `RLIMIT_SIGPENDING` reports it.
pub const SIGNALS_PENDING_MAX: usize = 1024;
/// Kinds of calls not served that are told apart in the receipt.
pub const UNSUPPORTED_MAX: usize = 32;
/// Buffers of one `readv` or `writev` (`IOV_MAX`).
pub const VECTORS_MAX: usize = 1024;
/// Entries of a robust list that are looked at (`ROBUST_LIST_LIMIT`).
pub const ROBUST_LIST_MAX: usize = 2048;
/// Timers a program may make with `timer_create`.
pub const TIMERS_MAX: usize = 256;
/// Inodes in the tree and in `/tmp`.
pub const INODES_MAX: u32 = 262_144;
/// Descriptors of one `poll`.
pub const POLLED_MAX: usize = 65_536;
/// Events that one `epoll_wait` returns.
pub const EVENTS_MAX: usize = 1024;
/// Sockets of a program.
pub const SOCKETS_MAX: usize = linux_files::limits::DESCRIPTORS_MAX as usize;
/// Connections that wait to be accepted by one socket (`net.core.somaxconn`).
pub const BACKLOG_MAX: usize = 4096;
/// Bytes that one direction of a connection holds.
pub const CONNECTION_HELD_MAX: usize = 208 << 10;
/// Bytes that all connections hold together.
pub const SOCKETS_HELD_MAX: usize = 16 << 20;
/// Bytes of the head of a web server's answer: what the node takes of fields.
pub const ANSWER_HEAD_LEN_MAX: usize = 16 << 10;
/// Fields of one.
pub const ANSWER_FIELDS_MAX: usize = 128;
/// Bytes of a line of the chunked coding.
pub const CHUNK_LINE_LEN_MAX: usize = 4096;
/// Bytes of the fields behind the last chunk.
pub const TRAILER_LEN_MAX: usize = 16 << 10;
/// Bytes of an answer of unknown length that are kept before they may leave.
pub const FLUSH_LEN: usize = 16 << 10;
/// How often a server answers the request that warms it up. CPython adapts code that ran eight
/// times, and each request leaves a little less to be done for the first time.
pub const WARM_REQUESTS: u32 = 16;
/// How long a program may run on when it has answered, in nanoseconds.
pub const AFTERWARDS_NS: u64 = 100_000_000;
