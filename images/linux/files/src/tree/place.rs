//! Parts of the tree that differ in what may be done there, as file systems differ on Linux.

use super::directory::Number;
use crate::abi::device;

/// A part of the tree. Names do not move from one to another (`EXDEV`).
#[derive(Clone, Copy, Debug)]
pub struct Mount {
    pub kind: MountKind,
    /// Nothing in it can be changed.
    pub is_read_only: bool,
    /// Its uppermost directory, which cannot be removed.
    pub root: Number,
}

/// What a mount says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountKind {
    /// Out of an archive.
    Tree,
    /// In memory.
    Memory,
    /// `/proc`.
    Process,
    /// `/dev`.
    Devices,
    /// `/sys`.
    System,
}

impl MountKind {
    /// `f_type` of `statfs` (`linux/magic.h`).
    pub const fn magic(self) -> u64 {
        match self {
            Self::Tree => 0x794c_7630,
            Self::Memory | Self::Devices => 0x0102_1994,
            Self::Process => 0x9fa0,
            Self::System => 0x6265_6572,
        }
    }

    /// Its name in `/proc/mounts`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tree => "overlay",
            Self::Memory | Self::Devices => "tmpfs",
            Self::Process => "proc",
            Self::System => "sysfs",
        }
    }
}

/// `st_dev` of the mount with this index.
pub const fn device_of_mount(mount: u8) -> u64 {
    device(0, mount as u32 + 1)
}
