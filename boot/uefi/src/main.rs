//! Starts the kernel under UEFI.
//!
//! The image's builder appends the payload to this program as a section, so one file is all there
//! is to load, to send over a network, and to sign. The program copies it to memory below 4 GiB,
//! fills in what only firmware knows, ends the firmware's services, and hands over.
#![no_std]
#![no_main]

mod handover;

use core::arch::x86_64::_rdtsc;
use core::time::Duration;
use core::{ptr, slice};

use boot_layout::{
    LOAD_ADDRESS, MEMORY_MAP_MAX, MemoryRange, PIXELS_BGRX, PIXELS_RGBX, PRELUDE_LEN, Platform,
    Prelude, START_INFO_MAGIC, USABLE,
};
use uefi::boot::{self, AllocateType, MemoryType, OpenProtocolAttributes, OpenProtocolParams};
use uefi::mem::memory_map::{MemoryAttribute, MemoryMap, MemoryMapMut, MemoryMapOwned};
use uefi::prelude::*;
use uefi::proto::console::gop::{GraphicsOutput, PixelFormat};
use uefi::proto::loaded_image::LoadedImage;
use uefi::proto::security::MemoryProtection;
use uefi::table::cfg::ConfigTableEntry;
use uefi::{Guid, println, system};

/// The section's name.
const SECTION: &[u8; 8] = b".payload";
const PAGE_LEN: usize = 4096;
/// Pages in front of the staged payload: of the code that hands over, and of the memory map.
const CODE_PAGES: usize = 1;
const MAP_PAGES: usize = (MEMORY_MAP_MAX * size_of::<MemoryRange>()).div_ceil(PAGE_LEN);
/// How long a message can be read before firmware goes on with something else.
const MESSAGE_TIME: Duration = Duration::from_secs(10);

#[entry]
fn main() -> Status {
    // SAFETY: every 64-bit processor has it.
    let loader_start = unsafe { _rdtsc() };
    // Otherwise firmware resets the machine some minutes from now. Some has no such clock.
    let _ = boot::set_watchdog_timer(0, 0x1_0000, None);
    match stage(loader_start) {
        Ok(staged) => staged.start(),
        Err(reason) => {
            println!("hostkernel: {reason}");
            boot::stall(MESSAGE_TIME);
            Status::LOAD_ERROR
        }
    }
}

/// The payload in memory of ours, with room for the rest in front of it.
struct Staged {
    pages: *mut u8,
}

/// Copies the payload and fills in what firmware knows, or says what is in the way.
fn stage(loader_start: u64) -> Result<Staged, &'static str> {
    const NO_MEMORY: &str = "not enough memory below 4 GiB";
    let payload = payload().ok_or("this image is damaged; write it again")?;
    // Firmware takes the highest pages that are free; code, because it is run.
    let pages = boot::allocate_pages(
        AllocateType::MaxAddress(u64::from(u32::MAX)),
        MemoryType::LOADER_CODE,
        CODE_PAGES + MAP_PAGES + payload.len().div_ceil(PAGE_LEN),
    );
    let pages = pages.map_err(|_| NO_MEMORY)?.as_ptr();
    allow_execution(pages as u64);
    let mut staged = Staged { pages };
    let (map, copy) = (staged.map() as u64, staged.payload());
    // SAFETY: the pages are ours and long enough.
    unsafe { copy.copy_from_nonoverlapping(payload.as_ptr(), payload.len()) };
    let prelude = staged.prelude();
    prelude.start.rsdp = table(&[ConfigTableEntry::ACPI2_GUID, ConfigTableEntry::ACPI_GUID]);
    prelude.start.memory_map = map;
    prelude.platform = Platform { loader_start, ..platform() };
    prelude.modules[0].address = copy as u64 + u64::from(prelude.fixed_len);

    let end = u64::from(LOAD_ADDRESS + prelude.fixed_len);
    let mut map = boot::memory_map(MemoryType::LOADER_DATA).map_err(|_| NO_MEMORY)?;
    map.sort();
    let free_to = usable(&map).fold(u64::from(LOAD_ADDRESS), |free, (start, end)| {
        if start <= free { free.max(end) } else { free }
    });
    match () {
        () if free_to < end => {
            Err("the firmware keeps memory just above 1 MiB, where the kernel belongs")
        }
        () if (pages as u64) < end => Err(NO_MEMORY),
        () => Ok(staged),
    }
}

impl Staged {
    fn map(&self) -> *mut MemoryRange {
        self.pages.wrapping_add(CODE_PAGES * PAGE_LEN).cast()
    }

    fn payload(&self) -> *mut u8 {
        self.pages.wrapping_add((CODE_PAGES + MAP_PAGES) * PAGE_LEN)
    }

    fn prelude(&mut self) -> &mut Prelude {
        // SAFETY: the payload begins with it, at a page's start; only `self` leads there.
        unsafe { &mut *self.payload().cast() }
    }

    fn start(mut self) -> ! {
        // SAFETY: no protocol is open any more.
        let mut map = unsafe { boot::exit_boot_services(None) };
        map.sort();
        // SAFETY: these pages are ours, and nothing else refers to them.
        let ranges = unsafe {
            ptr::write_bytes(self.map(), 0, MEMORY_MAP_MAX);
            slice::from_raw_parts_mut(self.map(), MEMORY_MAP_MAX)
        };
        self.prelude().start.memory_map_len = write_map(&map, ranges) as u32;
        let len = self.prelude().fixed_len as usize;
        // SAFETY: boot services have ended; `stage` chose the pages.
        unsafe { handover::start(self.pages, self.payload(), len) }
    }
}

/// Newer firmware hands out no memory that can be executed, of whatever type, and has a protocol to
/// change that.
fn allow_execution(page: u64) {
    let Ok(handle) = boot::get_handle_for_protocol::<MemoryProtection>() else { return };
    if let Ok(protection) = boot::open_protocol_exclusive::<MemoryProtection>(handle) {
        let page = page..page + PAGE_LEN as u64;
        // Firmware that refuses will most likely have given a page that needs no change.
        let _ = protection.clear_memory_attributes(page, MemoryAttribute::EXECUTE_PROTECT);
    }
}

/// The section of this program that holds the payload, if it is whole.
fn payload() -> Option<&'static [u8]> {
    let image = boot::open_protocol_exclusive::<LoadedImage>(boot::image_handle()).ok()?;
    let (start, len) = image.info();
    // SAFETY: firmware loaded this program there, and it does not change.
    let image = unsafe { slice::from_raw_parts(start.cast::<u8>(), len as usize) };
    let word = |at: usize| Some(u32::from_le_bytes(image.get(at..at + 4)?.try_into().ok()?));
    // PE format: the file header is at the address in word 0x3c, then an optional header, then
    // sections: name, length, address.
    let header = word(0x3c)? as usize;
    let count = word(header + 4)? as usize >> 16;
    let table = header + 24 + (word(header + 20)? & 0xffff) as usize;
    let mut sections = image.get(table..)?.chunks_exact(40).take(count);
    let found = sections.position(|section| section.starts_with(SECTION))?;
    let section = table + 40 * found;
    let payload = image.get(word(section + 12)? as usize..)?.get(..word(section + 8)? as usize)?;
    let words = payload.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word));
    let whole = payload.len() > PRELUDE_LEN
        && payload.starts_with(&START_INFO_MAGIC.to_le_bytes())
        && words.fold(0, u32::wrapping_add) == 0;
    whole.then_some(payload)
}

/// Start and end of what is ordinary memory once boot services have ended.
fn usable(map: &MemoryMapOwned) -> impl Iterator<Item = (u64, u64)> {
    let ranges = map.entries().filter(|range| {
        matches!(
            range.ty,
            MemoryType::CONVENTIONAL
                | MemoryType::LOADER_CODE
                | MemoryType::LOADER_DATA
                | MemoryType::BOOT_SERVICES_CODE
                | MemoryType::BOOT_SERVICES_DATA
        )
    });
    ranges.map(|range| (range.phys_start, range.phys_start + range.page_count * PAGE_LEN as u64))
}

/// Writes the kernel's memory map: only memory it may use, neighbours joined, since firmware has
/// hundreds of pieces. Returns the number of entries; what does not fit stays unused.
fn write_map(map: &MemoryMapOwned, ranges: &mut [MemoryRange]) -> usize {
    let mut count = 0;
    for (start, end) in usable(map) {
        match ranges[..count].last_mut() {
            Some(last) if last.address + last.len == start => last.len += end - start,
            _ if count == MEMORY_MAP_MAX => break,
            _ => {
                ranges[count] =
                    MemoryRange { address: start, len: end - start, kind: USABLE, reserved: 0 };
                count += 1;
            }
        }
    }
    count
}

/// Address of the first of these tables that firmware has, or 0.
fn table(guids: &[Guid]) -> u64 {
    system::with_config_table(|tables| {
        let mut found =
            guids.iter().filter_map(|guid| tables.iter().find(|table| table.guid == *guid));
        found.next().map_or(0, |table| table.address as u64)
    })
}

fn platform() -> Platform {
    let smbios = table(&[ConfigTableEntry::SMBIOS3_GUID, ConfigTableEntry::SMBIOS_GUID]);
    Platform { smbios, ..framebuffer().unwrap_or_default() }
}

fn framebuffer() -> Option<Platform> {
    let handle = boot::get_handle_for_protocol::<GraphicsOutput>().ok()?;
    let agent = boot::image_handle();
    // Not exclusively: that would take the screen away from the firmware's own console.
    // SAFETY: the protocol is only looked at, and firmware does not run meanwhile.
    let mut graphics = unsafe {
        boot::open_protocol::<GraphicsOutput>(
            OpenProtocolParams { handle, agent, controller: None },
            OpenProtocolAttributes::GetProtocol,
        )
    }
    .ok()?;
    let mode = graphics.current_mode_info();
    let pixels = match mode.pixel_format() {
        PixelFormat::Rgb => PIXELS_RGBX,
        PixelFormat::Bgr => PIXELS_BGRX,
        // Masks are rare, and without a frame buffer there are no pixels to write.
        PixelFormat::Bitmask | PixelFormat::BltOnly => return None,
    };
    let (width, height) = mode.resolution();
    let mut buffer = graphics.frame_buffer();
    Some(Platform {
        framebuffer: buffer.as_mut_ptr() as u64,
        framebuffer_len: buffer.size() as u64,
        width: width as u32,
        height: height as u32,
        stride_len: (mode.stride() * 4) as u32,
        pixels,
        ..Platform::default()
    })
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // Nothing here panics but assertions about firmware in the `uefi` crate.
    println!("hostkernel: the firmware does not behave as UEFI says");
    loop {
        boot::stall(MESSAGE_TIME);
    }
}
