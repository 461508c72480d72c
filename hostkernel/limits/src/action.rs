//! Deploys, and what is deployed.

use crate::PAGE_LEN;

/// Largest image, decoded and unpacked.
pub const CODE_LEN_MAX: usize = 48 << 20;
/// Largest deploy request: the image in base64 inside JSON, with parameters and annotations.
pub const DEPLOY_LEN_MAX: usize = CODE_LEN_MAX / 3 * 4 + PARAMETERS_LEN_MAX + 64 * 1024;
/// The rest of such a request, without the image.
pub const DEPLOY_REST_LEN_MAX: usize = 2 * PARAMETERS_LEN_MAX + 64 * 1024;
/// What of a deploy, or of a long JSON text, is read, unpacked or hashed at a time; a piece of an
/// archive may be longer by what it is unpacked to at once, 32 KiB ...
pub const SLICE_LEN: usize = 16 * 1024;
/// ... how often ...
pub const SLICE_INTERVAL_NS: u64 = 100_000;
/// ... and what that counts for when turns are taken.
pub const SLICE_NS: u64 = 50_000;
/// Deploys under way; one more is answered 503.
pub const DEPLOYS_MAX: usize = 64;
/// Deploys under way of one tenant for each that there could still be, on a node with several.
pub const DEPLOYS_SHARE_FACTOR: usize = 2;
/// Uploads to the node that nothing has named yet, of all tenants; one more is answered 429.
pub const UPLOADS_MAX: usize = 256;
/// Those of one tenant for each that there could still be, on a node with several.
pub const UPLOADS_SHARE_FACTOR: usize = 2;
/// Pieces in which one of them may come.
pub const UPLOAD_PIECES_MAX: usize = 256;
/// How long one is kept of which nothing more is heard.
pub const UPLOAD_KEPT_MS: u64 = 120_000;
/// Layers of a container image.
pub const IMAGE_LAYERS_MAX: usize = 127;
/// Description of a container image: environment, entrypoint.
pub const IMAGE_CONFIG_LEN_MAX: usize = 64 * 1024;
/// Manifests of one index.
pub const INDEX_MANIFESTS_MAX: usize = 64;
/// Labels of an image, and annotations of a manifest, that are looked at.
pub const LABELS_MAX: usize = 64;
/// One of them, name or value.
pub const LABEL_LEN_MAX: usize = 1024;
/// Files, directories and links of an image, those that say how it is started not counted.
pub const IMAGE_ENTRIES_MAX: usize = ZIP_ENTRIES_MAX - 4;
/// Directories of which a path in an image consists.
pub const IMAGE_DEPTH_MAX: usize = 64;
/// Path in an image, or text of a link.
pub const IMAGE_PATH_LEN_MAX: usize = 1024;
/// All paths and texts together.
pub const IMAGE_NAMES_LEN_MAX: usize = 512 * 1024;
/// What stands in front of an entry of a layer and says more of it.
pub const IMAGE_RECORDS_LEN_MAX: usize = 16 * 1024;
/// Links that lead to an image's entrypoint.
pub const IMAGE_LINKS_MAX: usize = 40;
/// Directories of an image in which its entrypoint is looked for.
pub const IMAGE_SEARCHED_MAX: usize = 64;
/// Bytes of an image's layers, unpacked, that are looked at.
pub const IMAGE_READ_LEN_MAX: usize = 256 << 20;
/// Largest memory an image may ask for with its segments, zeroed parts included.
pub const IMAGE_MEMORY_LEN_MAX: u64 = 512 << 20;
/// Runtimes of the node.
pub const RUNTIMES_MAX: usize = 16;
/// Archive of a runtime.
pub const RUNTIME_LEN_MAX: usize = 256 << 20;
/// Memory that a runtime may take until it waits for code, in MiB, unless stated; less on a node
/// that has less.
pub const RUNTIME_MEMORY_MB_DEFAULT: u64 = 256;
/// How long it may take until then.
pub const RUNTIME_TIMEOUT_MS: u64 = 300_000;
/// Source code that is told as text when somebody asks for an action; longer one is in base64.
pub const SOURCE_TOLD_LEN_MAX: usize = 256 * 1024;
/// Name of a function in source code.
pub const MAIN_LEN_MAX: usize = 256;
/// Loadable segments of an image.
pub const SEGMENTS_MAX: usize = 16;
/// Program headers that are looked at; an image with more is refused.
pub const PROGRAM_HEADERS_MAX: usize = 32;
/// Bytes of `PT_NOTE` segments that are searched for the ABI version.
pub const NOTES_LEN_MAX: usize = 4096;
/// Entries of a zip archive that comes as code.
pub const ZIP_ENTRIES_MAX: usize = 4096;
/// Symbolic links in a row that lead to an archive's executable.
pub const ZIP_LINKS_MAX: usize = 8;
/// Text of such a link.
pub const ZIP_LINK_LEN_MAX: usize = 1024;
/// Deployed actions of the node.
pub const ACTIONS_MAX: usize = 131_072;
/// What an action takes of the kernel heap besides the length of its name, kind, parameters and
/// annotations: its structures, and its places in the registry's trees, which are half full.
pub const ACTION_HEAP_LEN: usize = 768;
/// Share of the heap that deployed actions may take, as a divisor.
pub const REGISTRY_HEAP_DIVISOR: usize = 4;
/// Share of memory that deployed actions leave for requests and answers, as a divisor ...
pub const EXCHANGE_MEMORY_DIVISOR: usize = 16;
/// ... and at least this, and so many times the longest body ...
pub const EXCHANGE_LEN_MIN: usize = 4 << 20;
/// See [`EXCHANGE_LEN_MIN`].
pub const EXCHANGE_BODIES_MIN: usize = 3;
/// ... as far as that is not more than this share of memory. Then bodies must be shorter.
pub const EXCHANGE_MEMORY_DIVISOR_MIN: usize = 8;
/// What the request or answer of one connection, or of one invocation for which no connection
/// waits, may hold without being counted. There is room for this besides.
pub const HELD_FREE_LEN: usize = PAGE_LEN;
/// In such steps what is held grows.
pub const HELD_STEP_LEN: usize = 16 * 1024;
/// How many times as much as is left of a budget one namespace may hold, on a node with several.
pub const HELD_SHARE_FACTOR: usize = 2;
/// Name of an action, decoded.
pub const NAME_LEN_MAX: usize = 256;
/// Bound parameters and annotations of one action, as JSON text, each.
pub const PARAMETERS_LEN_MAX: usize = 1 << 20;
/// Actions in one answer of the list route.
pub const LIST_LIMIT_MAX: usize = 200;
/// Actions in one answer when the request names no limit.
pub const LIST_LIMIT_DEFAULT: usize = 30;
