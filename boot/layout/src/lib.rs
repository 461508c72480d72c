//! What boot code finds on an image, and what it hands to the kernel.
//!
//! An image holds one *payload*: memory as it is to be before the kernel's first instruction, made
//! when the image is built. Boot code copies it to [`LOAD_ADDRESS`], fills in what only the machine
//! knows, and jumps. It parses nothing, so it is small, and BIOS and UEFI start the same bytes.
//!
//! ```text
//! 0x001f_f000   Prelude: start info, command line            LOAD_ADDRESS
//! 0x0020_0000   kernel, its zeroed memory included           KERNEL_ADDRESS
//! next page     boot bundle: module 0
//! ```
//!
//! Firmware of UEFI keeps pieces of low memory, and a bundle may be long; so the UEFI loader leaves
//! the bundle elsewhere, and says so in the list of modules.
//!
//! The length is a multiple of [`CHUNK_LEN`], and all its 32-bit words add up to 0.
#![no_std]
#![forbid(unsafe_code)]

use zerocopy::{FromZeros, Immutable, IntoBytes};

/// Physical address of the payload, which begins with the [`Prelude`].
pub const LOAD_ADDRESS: u32 = KERNEL_ADDRESS - PRELUDE_LEN as u32;
/// Physical address the kernel is linked for.
pub const KERNEL_ADDRESS: u32 = 0x20_0000;
/// Length of the prelude: a page.
pub const PRELUDE_LEN: usize = 4096;
/// The BIOS stage reads this much at a time: less than the 127 sectors all firmware can do, and it
/// never crosses a boundary of 64 KiB.
pub const CHUNK_LEN: usize = 32 * 1024;
/// Entries of the memory map: what the kernel takes.
pub const MEMORY_MAP_MAX: usize = 256;

/// Length of the BIOS stage: one block of a CD.
pub const STAGE_LEN: usize = 2048;
/// The bytes of it that are also in the master boot record, in front of the partition table.
pub const STAGE_MBR_LEN: usize = 440;
/// Where in it [`StageParameters`] are.
pub const STAGE_PARAMETERS: usize = STAGE_MBR_LEN - size_of::<StageParameters>();

/// First field of a start info.
pub const START_INFO_MAGIC: u32 = 0x336e_c578;
/// Kind of ordinary memory in the memory map.
pub const USABLE: u32 = 1;
/// How the kernel knows the module that holds [`Platform`]: its command line, ended by a zero byte.
pub const PLATFORM_NAME: &[u8] = b"hostkernel.platform\0";

/// The first page of the payload. What is not said to be filled in on the machine is made with the
/// image.
#[derive(Debug, FromZeros, IntoBytes, Immutable)]
#[repr(C)]
pub struct Prelude {
    /// What the kernel's entry gets.
    pub start: StartInfo,
    /// Physical address of the kernel's 32-bit entry.
    pub entry: u32,
    /// Length of the payload.
    pub len: u32,
    /// A word that makes the sum 0.
    pub balance: u32,
    /// What of it cannot lie elsewhere: all in front of the bundle.
    pub fixed_len: u32,
    /// The boot bundle, and the platform.
    pub modules: [Module; 2],
    /// Filled in on the machine; zero means unknown.
    pub platform: Platform,
    /// [`PLATFORM_NAME`].
    pub platform_name: [u8; 24],
    /// The kernel's command line, ended by a zero byte.
    pub command_line: [u8; COMMAND_LINE_LEN],
}

/// Room for the command line and its zero byte.
pub const COMMAND_LINE_LEN: usize = PRELUDE_LEN
    - size_of::<StartInfo>()
    - 16
    - 2 * size_of::<Module>()
    - size_of::<Platform>()
    - 24;

const _: () = assert!(size_of::<Prelude>() == PRELUDE_LEN);

/// The start info of the x86/HVM direct boot protocol (Xen `start_info.h`).
#[derive(Debug, FromZeros, IntoBytes, Immutable)]
#[repr(C)]
pub struct StartInfo {
    /// [`START_INFO_MAGIC`].
    pub magic: u32,
    /// 1.
    pub version: u32,
    /// Zero.
    pub flags: u32,
    /// Number of modules.
    pub modules_len: u32,
    /// Address of the list of modules.
    pub modules: u64,
    /// Address of the command line.
    pub command_line: u64,
    /// Address of the ACPI root pointer. The UEFI loader fills it in; 0 lets the kernel search.
    pub rsdp: u64,
    /// Address of the memory map, filled in on the machine.
    pub memory_map: u64,
    /// Its entries, filled in on the machine.
    pub memory_map_len: u32,
    /// Zero.
    pub reserved: u32,
}

/// An entry of the memory map: as of E820.
#[derive(Clone, Copy, Debug, FromZeros, IntoBytes, Immutable)]
#[repr(C)]
pub struct MemoryRange {
    /// First address.
    pub address: u64,
    /// Length.
    pub len: u64,
    /// [`USABLE`], or something else.
    pub kind: u32,
    /// Zero.
    pub reserved: u32,
}

/// Something loaded beside the kernel.
#[derive(Debug, FromZeros, IntoBytes, Immutable)]
#[repr(C)]
pub struct Module {
    /// Where it is.
    pub address: u64,
    /// Its length.
    pub len: u64,
    /// Address of its command line, or 0.
    pub command_line: u64,
    /// Zero.
    pub reserved: u64,
}

/// What the loader knows and nobody can find out later. The start info has no place for it, so it
/// is a module. All but the first field is told by UEFI alone.
#[derive(Clone, Copy, Debug, Default, FromZeros, IntoBytes, Immutable)]
#[repr(C)]
pub struct Platform {
    /// The time stamp counter when the firmware had done its work and the loader began.
    pub loader_start: u64,
    /// Address of the SMBIOS entry point, of version 3 if there is one; or 0.
    pub smbios: u64,
    /// Address of the frame buffer; or 0, when there is none, or not one of pixels that are known.
    pub framebuffer: u64,
    /// Length of the frame buffer.
    pub framebuffer_len: u64,
    /// Visible pixels in a line.
    pub width: u32,
    /// Lines.
    pub height: u32,
    /// Bytes from one line to the next.
    pub stride_len: u32,
    /// [`PIXELS_RGBX`] or [`PIXELS_BGRX`].
    pub pixels: u32,
}

/// A pixel is four bytes: red, green, blue, unused.
pub const PIXELS_RGBX: u32 = 1;
/// A pixel is four bytes: blue, green, red, unused.
pub const PIXELS_BGRX: u32 = 2;

/// What the image's builder tells the BIOS stage. The first 16 bytes are a disk address packet of
/// INT 13h, function 42h.
#[derive(Debug, FromZeros, IntoBytes, Immutable)]
#[repr(C)]
pub struct StageParameters {
    /// 16.
    pub packet_len: u16,
    /// Sectors of the rest of the stage; 0 if firmware has loaded all of it, as from a CD.
    pub rest_count: u16,
    /// Where the rest belongs.
    pub rest_offset: u16,
    /// Its segment.
    pub rest_segment: u16,
    /// Its first sector.
    pub rest_block: u64,
    /// First block of the payload.
    pub payload_block: u32,
    /// Chunks of the payload.
    pub chunks: u32,
    /// Blocks of a chunk: of 512 bytes on a disk, of 2,048 on a CD.
    pub chunk_blocks: u16,
    /// Zero; the stage keeps the drive's number here.
    pub reserved: [u8; 6],
}
