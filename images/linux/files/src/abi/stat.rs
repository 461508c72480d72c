//! What `stat`, `statx` and `statfs` answer.

use super::Layout;
use crate::host::Time;

/// `struct stat` of x86-64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// Major and minor number of the file system, as `makedev` packs them.
    pub device: u64,
    /// Number of the inode.
    pub inode: u64,
    /// Names it has.
    pub links: u64,
    /// Kind and permissions.
    pub mode: u32,
    /// Owner.
    pub user: u32,
    /// Group.
    pub group: u32,
    /// Of a device file: which device.
    pub special_device: u64,
    /// Bytes.
    pub len: u64,
    /// Preferred size of transfers.
    pub block_len: u64,
    /// Memory it takes, in 512 bytes.
    pub blocks: u64,
    /// Last read.
    pub accessed: Time,
    /// Last change of the data.
    pub modified: Time,
    /// Last change of anything.
    pub changed: Time,
}

impl Stat {
    /// Length of the structure.
    pub const LEN: usize = 144;

    /// As it stands in memory.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        Layout::new()
            .long(self.device)
            .long(self.inode)
            .long(self.links)
            .word(self.mode)
            .word(self.user)
            .word(self.group)
            .word(0)
            .long(self.special_device)
            .long(self.len)
            .long(self.block_len)
            .long(self.blocks)
            .time(self.accessed)
            .time(self.modified)
            .time(self.changed)
            .finish()
    }
}

/// `struct statx`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statx {
    /// The same facts.
    pub stat: Stat,
    /// When the inode was made.
    pub born: Time,
}

impl Statx {
    /// Length of the structure.
    pub const LEN: usize = 256;
    /// `STATX_BASIC_STATS | STATX_BTIME`: what is filled in.
    pub const MASK: u32 = 0xfff;

    /// As it stands in memory.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let stat = &self.stat;
        let time = |layout: Layout<{ Self::LEN }>, time: Time| {
            layout.put(time.seconds.to_le_bytes()).word(time.nanoseconds).word(0)
        };
        let mut layout = Layout::new()
            .word(Self::MASK)
            .word(stat.block_len as u32)
            .long(0)
            .word(stat.links as u32)
            .word(stat.user)
            .word(stat.group)
            .half(stat.mode as u16)
            .half(0)
            .long(stat.inode)
            .long(stat.len)
            .long(stat.blocks)
            .long(0);
        for moment in [stat.accessed, self.born, stat.changed, stat.modified] {
            layout = time(layout, moment);
        }
        layout
            .word(major(stat.special_device))
            .word(minor(stat.special_device))
            .word(major(stat.device))
            .word(minor(stat.device))
            .finish()
    }
}

/// Packs the numbers of a device.
pub(crate) const fn device(major: u32, minor: u32) -> u64 {
    (minor & 0xff) as u64 | ((major & 0xfff) as u64) << 8 | ((minor & !0xff) as u64) << 12
}

const fn major(device: u64) -> u32 {
    (device >> 8) as u32 & 0xfff
}

const fn minor(device: u64) -> u32 {
    (device & 0xff) as u32 | (device >> 12) as u32 & !0xff
}

/// `struct statfs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statfs {
    /// Magic number of the kind of file system.
    pub kind: u64,
    /// Blocks of 4 KiB.
    pub blocks: u64,
    /// Of those, free ones.
    pub blocks_free: u64,
    /// Inodes there can be.
    pub inodes: u64,
    /// Of those, free ones.
    pub inodes_free: u64,
    /// `ST_…` flags, `ST_VALID` (0x20) among them.
    pub flags: u64,
}

impl Statfs {
    /// Length of the structure.
    pub const LEN: usize = 120;

    /// As it stands in memory.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        const BLOCK_LEN: u64 = crate::limits::PAGE_LEN as u64;
        Layout::new()
            .long(self.kind)
            .long(BLOCK_LEN)
            .long(self.blocks)
            .long(self.blocks_free)
            .long(self.blocks_free)
            .long(self.inodes)
            .long(self.inodes_free)
            .long(0)
            .long(crate::limits::NAME_LEN_MAX as u64)
            .long(BLOCK_LEN)
            .long(self.flags)
            .finish()
    }
}
