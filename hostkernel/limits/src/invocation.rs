//! Queues, turns, and what one invocation may take.

/// Invocations waiting for one core unless configured; one more is answered 503.
pub const QUEUE_LEN_DEFAULT: usize = 256;
/// Share of the heap that the queues may take, as a divisor; they are shorter where it is small.
pub const QUEUES_HEAP_DIVISOR: usize = 8;
/// Invocations handed on to a worker that has others, at most ...
pub const AHEAD_MAX: u64 = 4;
/// ... and only while these take no longer than this; the rest waits where turns are taken.
pub const AHEAD_NS: u64 = 1_000_000;
/// What an invocation counts for before it is known how long it took.
pub const TURN_MIN_NS: u64 = 50_000;
/// How much more than others a tenant has had at most when it begins to wait: for so long, divided
/// among the cores, they may go first.
pub const LEAD_MAX_NS: u64 = 100_000_000;
/// Invocations under way of one tenant for each place in the queues that is still free, on a node
/// with several: so there is always a place for another.
pub const QUEUE_SHARE_FACTOR: usize = 4;
/// Ends of invocations that are looked at before frames and timers get their turn ...
pub const COMPLETIONS_PER_POLL_MAX: usize = 64;
/// ... unless their results are longer than this, all together.
pub const COMPLETED_LEN_PER_POLL_MAX: usize = 64 * 1024;
/// Requests are answered until those longer than `HELD_FREE_LEN`, and answers that are, have so
/// many bytes, all together; the others wait until frames and completions had their turn.
pub const READ_LEN_PER_POLL_MAX: usize = 64 * 1024;
/// Largest configurable queue.
pub const QUEUE_LEN_MAX: usize = 4096;
/// Microseconds that a core looks for work before it halts, unless configured. As long as halting
/// and being woken takes in a virtual machine.
pub const POLL_US_DEFAULT: u64 = 20;
/// Longest configurable time to look for work.
pub const POLL_US_MAX: u64 = 1000;
/// Seconds named by `Retry-After` with a 503.
pub const RETRY_AFTER_S: u32 = 1;
/// Largest bound that can be configured of an invocation's input, and of its result, in MB.
pub const BODY_MB_MAX: u64 = 64;
/// The same unless configured.
pub const BODY_MB_DEFAULT: u64 = 6;
/// Room for inputs and results in an action's address space. How much of it is used is configured.
pub const BODY_LEN_MAX: usize = (BODY_MB_MAX as usize) << 20;
/// An input of a host image that is longer has another place.
pub const INPUT_NEAR_LEN_MAX: usize = 444 * 1024;
/// What has left of a result before its end and is not taken by the client; more stays with the
/// action.
pub const OUTLET_LEN_MAX: usize = 64 * 1024;
/// In so many pieces.
pub const OUTLET_PIECES_MAX: usize = 16;
/// Log of an invocation, with 10 bytes more for each line; further output is dropped and a note
/// says so.
pub const LOG_LEN_MAX: usize = 64 * 1024;
/// A blocking invocation that takes longer than this is answered 202, and goes on.
pub const BLOCKING_WAIT_MS: u64 = 60_000;
/// Environment of an invocation: `NAME=value` strings with their NUL bytes, the action's own apart.
pub const ENVIRONMENT_LEN_MAX: usize = 16 * 1024;
/// Environment variables of one action, secrets too: `NAME=value` strings with their NUL bytes.
pub const VARIABLES_LEN_MAX: usize = 8 * 1024;
/// Environment variables of one action.
pub const VARIABLES_MAX: usize = 128;
/// Name of an environment variable of an action.
pub const VARIABLE_NAME_LEN_MAX: usize = 128;
/// Path and query that a server is warmed up with.
pub const WARM_PATH_LEN_MAX: usize = 1024;
/// Arguments that a deploy gives for the program in an image that hosts it.
pub const ARGUMENTS_LEN_MAX: usize = 4 * 1024;
/// Stack of an action, backed as it is touched.
pub const ACTION_STACK_LEN: usize = 1 << 20;
/// Mapped ranges of one address space, what `protect` splits off included; neighbours that are
/// alike count as one. The memory for the notes on them is the instance's.
pub const REGIONS_MAX: usize = 65_536;
/// Pages that an instance gets from the start because earlier ones of its image touched them.
pub const LIKELY_PAGES_MAX: usize = 8;
/// The same for instances of a template that was frozen.
pub const LIKELY_PAGES_FROZEN_MAX: usize = 2048;
/// Page tables that a core has for its instances: those that nearly all have, and others that
/// instances of a frozen template use first. They stay with the core as that template's next
/// instance needs them; 128 KiB.
pub const TABLES_OF_CORE: usize = 32;
/// How often a template is frozen from an instance of the one before: a host, a runtime and a
/// function are three, of which two have a payload.
pub const STAGES_MAX: u32 = 8;
/// Frames an invocation may use beyond its memory limit, for its page tables and fixed windows.
pub const OVERHEAD_PAGES: usize = 16;
/// Limit range and default for an action's run time.
pub const TIMEOUT_MS_MIN: u64 = 100;
/// See [`TIMEOUT_MS_MIN`].
pub const TIMEOUT_MS_MAX: u64 = 300_000;
/// See [`TIMEOUT_MS_MIN`].
pub const TIMEOUT_MS_DEFAULT: u64 = 60_000;
/// Limit range for an action's memory.
pub const MEMORY_MB_MIN: u64 = 1;
/// Largest memory limit that any node grants; most have less. Further the windows do not reach.
pub const MEMORY_MB_MAX: u64 = 128 << 10;
/// Memory limit of an action that names none; less on a node where this is more than a worker's
/// share.
pub const MEMORY_MB_DEFAULT: u64 = 256;
/// Limit range and default for an action's log, in MB, as clients state it. The node keeps at most
/// [`LOG_LEN_MAX`] whatever is stated.
pub const LOGS_MB_MAX: u64 = 10;
