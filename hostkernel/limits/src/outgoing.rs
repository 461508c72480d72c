//! Connections that the node opens, and whom it asks for addresses.

/// How long nothing of what was sent may be acknowledged until smaller packets are tried: what is
/// then sent again has time to arrive before [`CALL_PROGRESS_TIMEOUT_MS`] is over.
pub const OUTGOING_BLACK_HOLE_MS: u64 = 1_000;
/// Connections that the node itself has opened.
pub const OUTGOING_MAX: usize = 8;
/// Receive buffer of one: as much as may be under way to it ...
pub const OUTGOING_RECEIVE_LEN: usize = 64 * 1024;
/// ... and its send buffer.
pub const OUTGOING_SEND_LEN: usize = 16 * 1024;
/// Requests of the node that are under way or wait for a connection.
pub const CALLS_MAX: usize = 32;
/// How long a server may take to accept a connection: the first repetitions are after 1 and 3 s.
pub const CONNECT_TIMEOUT_MS: u64 = 4_000;
/// How long it may take from the end of the request to the first byte of its answer.
pub const FIRST_BYTE_TIMEOUT_MS: u64 = 10_000;
/// How long nothing may move while request or answer are under way.
pub const CALL_PROGRESS_TIMEOUT_MS: u64 = 5_000;
/// How long a whole exchange may take ...
pub const CALL_TIMEOUT_MS: u64 = 30_000;
/// ... and a second longer for each so many bytes that have moved.
pub const CALL_RATE_MIN: u64 = 256 * 1024;
/// How long an open connection waits for the next request; less than servers wait.
pub const OUTGOING_IDLE_MS: u64 = 20_000;
/// Status line and header fields of an answer.
pub const ANSWER_HEAD_LEN_MAX: usize = 16 * 1024;
/// Header fields of an answer.
pub const ANSWER_HEADERS_MAX: usize = 64;
/// Interim answers before the one that counts.
pub const ANSWER_INTERIM_MAX: usize = 4;
/// Redirects that are followed, one after the other.
pub const REDIRECTS_MAX: usize = 4;
/// An address on the web that the node goes to.
pub const URL_LEN_MAX: usize = 4096;
/// Bytes that are taken from one connection, or hashed for one, before others get their turn.
pub const CALL_SLICE_LEN: usize = 64 * 1024;
/// Where name servers listen.
pub const DNS_PORT: u16 = 53;
/// Longest answer of a name server over UDP without extensions (RFC 1035, 4.2.1).
pub const DNS_LEN_MAX: usize = 512;
/// Longest name of a host.
pub const HOST_LEN_MAX: usize = 253;
/// Records of one answer that are looked at.
pub const DNS_RECORDS_MAX: usize = 24;
/// How often a name server is asked, and how long it may take each time.
pub const DNS_TRIES: u8 = 3;
/// See [`DNS_TRIES`].
pub const DNS_TIMEOUT_MS: u64 = 1_500;
/// Names whose addresses are remembered.
pub const DNS_CACHE_MAX: usize = 32;
/// How long at least, and at most, whatever the answer says.
pub const DNS_TTL_MS_MIN: u64 = 5_000;
/// See [`DNS_TTL_MS_MIN`].
pub const DNS_TTL_MS_MAX: u64 = 300_000;
/// How long it is remembered that a name has no address.
pub const DNS_ABSENT_MS: u64 = 5_000;
