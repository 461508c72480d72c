//! From the boot loader to [`crate::init`]: what was found on the way is in [`BootInfo`].

pub mod acpi;
pub mod actions;
mod entry;
mod pvh;
pub mod smp;
pub mod sources;

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
    command_line: [u8; COMMAND_LINE_LEN_MAX],
    command_line_len: usize,
    is_command_line_whole: bool,
}

impl BootInfo {
    const EMPTY: Self = Self {
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

/// Called once by [`entry`] on core 0, on the boot stack and the first page tables.
extern "C" fn start(start_info: u64) -> ! {
    let info = BOOT_INFO.call_once(|| {
        let mut info = BootInfo::EMPTY;
        // SAFETY: the boot loader passed this address, by the PVH protocol; the first page tables
        // map the low 4 GiB, where all of it lies.
        unsafe { pvh::read(start_info, &mut info) };
        info
    });
    crate::init::start(info)
}

static BOOT_INFO: spin::Once<BootInfo> = spin::Once::new();
