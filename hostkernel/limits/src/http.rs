//! Requests and answers on a connection.

use crate::IDLE_TIMEOUT_MS;

/// Request line and header fields together.
pub const HEAD_LEN_MAX: usize = 16 * 1024;
/// Request target (path and query).
pub const TARGET_LEN_MAX: usize = 8 * 1024;
/// Header fields of one request.
pub const HEADERS_MAX: usize = 100;
/// Request method. The longest the node knows has 7 letters; registered ones go up to 17.
pub const METHOD_LEN_MAX: usize = 32;
/// Header fields that an action makes, all together.
pub const ACTION_FIELDS_LEN_MAX: usize = 16 * 1024;
/// Name of such a field, as JSON text.
pub const HEADER_NAME_LEN_MAX: usize = 256;
/// Empty lines skipped before a request line; some old clients send one after a body.
pub const BLANK_LINES_MAX: usize = 4;
/// Trailer fields and chunk extensions of a chunked body, all together.
pub const CHUNK_OVERHEAD_LEN_MAX: usize = 16 * 1024;
/// Hexadecimal digits of a chunk's size, leading zeros included.
pub const CHUNK_SIZE_DIGITS_MAX: usize = 16;
/// Bodies up to this long are copied behind the head of the answer, so that both leave in one TCP
/// segment of 1,460 bytes.
pub const INLINE_BODY_LEN_MAX: usize = 1024;
/// Room for answers that an idle connection keeps, so that the next one needs no allocation.
pub const OUTPUT_LEN_KEPT_MAX: usize = 2048;
/// Likewise for the text of requests and the header fields of answers.
pub const TEXT_LEN_KEPT_MAX: usize = 2048;
/// What `Keep-Alive: timeout` announces: a little less than `IDLE_TIMEOUT_MS`, so that a client
/// does not send into a connection that is just being closed.
pub const KEEP_ALIVE_ANNOUNCED_S: u64 = IDLE_TIMEOUT_MS / 1000 - 5;
/// Requests answered on one connection before it is closed, so that load balancers rebalance.
pub const REQUESTS_PER_CONNECTION_MAX: u32 = 1_000_000;
