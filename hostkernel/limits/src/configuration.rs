//! Settings, keys and the boot bundle.

use crate::PARAMETERS_LEN_MAX;

/// Kernel command line; a node with a longer one does not serve, for what was cut off may be a key.
pub const COMMAND_LINE_LEN_MAX: usize = 4096;
/// A file with settings.
pub const CONFIG_LEN_MAX: usize = 64 * 1024;
/// Mistakes in the configuration that are listed in the log.
pub const CONFIG_PROBLEMS_MAX: usize = 32;
/// What the log shows of a text in the configuration, in characters.
pub const PROBLEM_LEN_MAX: usize = 80;
/// Namespaces with a key. Every request with a key is compared with all of them.
pub const NAMESPACES_MAX: usize = 64;
/// Name of a namespace.
pub const NAMESPACE_LEN_MAX: usize = 64;
/// Key of a namespace, both parts.
pub const KEY_LEN_MAX: usize = 256;
/// Largest configurable quota, whatever it counts.
pub const QUOTA_MAX: u64 = 1_000_000;
/// Boot bundle.
pub const BUNDLE_LEN_MAX: usize = 1 << 30;
/// Files and folders in a boot bundle.
pub const BUNDLE_ENTRIES_MAX: usize = 4096;
/// Path in a boot bundle.
pub const BUNDLE_PATH_LEN_MAX: usize = 1024;
/// Limits, annotations and parameters of an action in a boot bundle, as JSON text.
pub const BUNDLE_DOCUMENT_LEN_MAX: usize = 2 * PARAMETERS_LEN_MAX + 64 * 1024;
/// Files in QEMU's list of them that are looked at.
pub const FW_CFG_FILES_MAX: usize = 1024;
/// SMBIOS tables, all together.
pub const SMBIOS_LEN_MAX: usize = 256 * 1024;
