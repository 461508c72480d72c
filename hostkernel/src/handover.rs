//! What the boot loader told us, copied out of its memory.
#![forbid(unsafe_code)]

use boot_layout::Platform;

use limits::COMMAND_LINE_LEN_MAX;
use memory::layout::MemoryLayout;
use memory::map::MemoryMap;

/// What the boot loader told us, copied out of its memory.
pub struct BootInfo {
    /// The memory that is free for us.
    pub memory: MemoryMap,
    /// Entries of the loader's map, from which that was made.
    pub memory_entries: usize,
    /// Physical address of the ACPI root pointer, if the loader gave one.
    pub rsdp: Option<u64>,
    /// Physical addresses of the boot bundle's first byte, and of the one after its last.
    pub module: Option<(u64, u64)>,
    /// What only our own loaders know, as they state it.
    pub platform: Option<Platform>,
    pub(crate) command_line: [u8; COMMAND_LINE_LEN_MAX],
    pub(crate) command_line_len: usize,
    pub(crate) is_command_line_whole: bool,
}

impl BootInfo {
    /// Nothing yet.
    pub const EMPTY: Self = Self {
        memory: MemoryMap::EMPTY,
        memory_entries: 0,
        rsdp: None,
        module: None,
        platform: None,
        command_line: [0; COMMAND_LINE_LEN_MAX],
        command_line_len: 0,
        is_command_line_whole: true,
    };

    /// The memory map and the module, for those who take them over.
    #[must_use]
    pub fn layout(&self) -> MemoryLayout<'_> {
        MemoryLayout { ranges: self.memory.ranges(), module: self.module }
    }

    /// The time stamp counter when firmware handed over to a loader of ours.
    #[must_use]
    pub fn loader_start(&self) -> Option<u64> {
        self.platform.as_ref().map(|platform| platform.loader_start)
    }

    /// Physical address of the SMBIOS entry point, if the loader gave one.
    #[must_use]
    pub fn smbios(&self) -> Option<u64> {
        self.platform.as_ref().map(|platform| platform.smbios).filter(|address| *address != 0)
    }

    /// The command line; `None` if it is longer than [`COMMAND_LINE_LEN_MAX`] or not UTF-8.
    #[must_use]
    pub fn command_line(&self) -> Option<&str> {
        let text = core::str::from_utf8(&self.command_line[..self.command_line_len]).ok();
        text.filter(|_| self.is_command_line_whole)
    }

    /// Shows the memory map in the log.
    pub fn log_memory(&self) {
        let (entries, ranges) = (self.memory_entries, self.memory.ranges());
        log::debug!("memory map: {entries} entries, of which {} ranges are used", ranges.len());
        for (start, end) in ranges {
            log::debug!("memory map: {start:#x} to {end:#x}, {} KiB", (end - start) >> 10);
        }
        if self.memory.left_out() > 0 {
            log::warn!("memory map: {} ranges too many are not used", self.memory.left_out());
        }
    }
}
