//! Records, metrics and the screen.

/// Share of memory in which results and logs of ended invocations are kept, as a divisor ...
pub const RECORDS_MEMORY_DIVISOR: usize = 64;
/// ... up to this much.
pub const RECORDS_LEN_MAX: usize = 64 << 20;
/// One activation record is kept for so much of it, rounded up to a power of two ...
pub const RECORD_LEN_MEAN: usize = 1024;
/// ... up to this many.
pub const RECORDS_MAX: usize = 8192;
/// Longest result that is kept in a record; of a longer one only the length is.
pub const RECORD_RESULT_LEN_MAX: usize = 64 * 1024;

/// Letters in a line of the screen; a wider one is not used to its right end.
pub const SCREEN_COLUMNS_MAX: usize = 240;
/// Lines of letters on the screen.
pub const SCREEN_ROWS_MAX: usize = 64;
/// Memory of a screen of pixels; a larger one is not used to its lower end.
pub const FRAMEBUFFER_LEN_MAX: usize = 64 << 20;
/// How often the screen's status line is renewed at most.
pub const STATUS_INTERVAL_MS: u64 = 1000;
/// Trace events each core remembers for a crash record.
pub const TRACE_EVENTS: usize = 64;
/// Actions that are counted one by one for the metrics; all further ones are counted together.
pub const ACTIONS_COUNTED_MAX: usize = 64;
