//! What requests may contain.

/// Longest `X-Request-ID` that is taken over; a longer one is replaced by one of our own.
pub const REQUEST_ID_LEN_MAX: usize = 128;
/// Levels of nesting in JSON the node reads: deploy requests, input and results.
pub const JSON_DEPTH_MAX: usize = 128;
/// Inputs, together with bound parameters, and results are read in one go up to this length, and in
/// slices of `SLICE_LEN` beyond it. Header fields in the result of an exported action have no more,
/// as JSON.
pub const JSON_AT_ONCE_LEN_MAX: usize = 32 * 1024;
/// Bound parameters of one action, and likewise its annotations.
pub const PARAMETERS_MAX: usize = 1024;
/// Name of a parameter or annotation, as JSON text; of a field in a form or query for an exported
/// action, decoded.
pub const PARAMETER_NAME_LEN_MAX: usize = 256;
/// Kind of an action, as clients state it.
pub const KIND_LEN_MAX: usize = 64;
/// Body of a request to a route that has no use for one.
pub const OTHER_BODY_LEN_MAX: usize = 4096;
/// What an error message quotes of an action's output.
pub const EXCERPT_LEN_MAX: usize = 256;
/// What an action that fails may say about it, as JSON.
pub const SAID_LEN_MAX: usize = 16 * 1024;
/// What is looked at to tell text from other bytes in the result of a function.
pub const SNIFF_LEN_MAX: usize = 512;
/// What the fixed names and values in the environment of an invocation take at most.
pub const ENVIRONMENT_FIXED_LEN: usize = 1024;
/// Buffers that the front keeps for the environments of later invocations.
pub const ENVIRONMENTS_SPARE_MAX: usize = 16;

/// Longest `tracestate` that is passed to an action; a longer one is left out.
pub const TRACESTATE_LEN_MAX: usize = 512;
/// After so many bytes a list of actions or of whole activation records ends, whatever limit the
/// request names.
pub const LIST_LEN_MAX: usize = 1 << 20;
