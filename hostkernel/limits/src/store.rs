//! The registry that keeps actions.

use crate::BUNDLE_DOCUMENT_LEN_MAX;

/// How long what the registry said of an action holds unless configured.
pub const STORE_FRESH_MS: u64 = 1_000;
/// Longest configurable time of that kind.
pub const STORE_FRESH_MS_MAX: u64 = 3_600_000;
/// What the names of repositories begin with.
pub const STORE_PREFIX_LEN_MAX: usize = 128;
/// How long it is remembered that the registry does not have an action ...
pub const STORE_ABSENT_MS: u64 = 1_000;
/// ... and of how many.
pub const STORE_ABSENT_MAX: usize = 1_024;
/// How long a runtime holds that came from the registry, on a node that is used.
pub const RUNTIME_FRESH_MS: u64 = 60_000;
/// How long it is remembered that the registry does not have a runtime.
pub const RUNTIME_ABSENT_MS: u64 = 1_000;
/// How long a request waits for the registry to confirm what the node has.
pub const STORE_PATIENCE_MS: u64 = 1_000;
/// How long a registry that did not answer is left alone.
pub const STORE_AWAY_MS: u64 = 1_000;
/// Errands to the registry that are under way or wait for a connection.
pub const ERRANDS_MAX: usize = 256;
/// Those of one tenant for each that there could still be, on a node with several.
pub const ERRANDS_SHARE_FACTOR: usize = 2;
/// Those of them for names that the node does not have, which anybody can make up.
pub const ERRANDS_UNKNOWN_MAX: usize = ERRANDS_MAX / 2;
/// Those of one client's address for each that there could still be.
pub const ERRANDS_UNKNOWN_SHARE_FACTOR: usize = 2;
/// Actions that were fetched and are looked at, or prepared.
pub const COMING_MAX: usize = 64;
/// Longest tag (OCI distribution 1.1).
pub const TAG_LEN_MAX: usize = 128;
/// Longest manifest that is read.
pub const MANIFEST_LEN_MAX: usize = 64 * 1024;
/// Longest description of an action in the registry: what a deploy can say, in JSON.
pub const STORE_DOCUMENT_LEN_MAX: usize = BUNDLE_DOCUMENT_LEN_MAX;
/// Longest list of tags in one answer. Some registries give all they have, however many are asked
/// for.
pub const TAGS_LEN_MAX: usize = 4 << 20;
/// Tags that are asked for at a time.
pub const TAGS_PER_PAGE: usize = 1_000;
/// Longest token that is taken from a token server, and its answer.
pub const TOKEN_LEN_MAX: usize = 8 * 1024;
/// See [`TOKEN_LEN_MAX`].
pub const TOKEN_ANSWER_LEN_MAX: usize = 32 * 1024;
/// How long a token holds that does not say (the distribution's specification says so).
pub const TOKEN_LIFE_S: u64 = 60;
/// Tokens that are kept.
pub const TOKENS_MAX: usize = 128;
/// Actions that are looked at to find one that does not run and was not used for longest.
pub const EVICTION_LOOKS_MAX: usize = 1_024;
/// Actions that make room for one.
pub const EVICTIONS_MAX: usize = 64;
