//! A QEMU plugin that counts the instructions each core of a guest executes.
//!
//! ```text
//! qemu-system-x86_64 -plugin libinstruction_counter.so,counters=FILE …
//! ```
//!
//! `FILE` must exist and be at least [`FILE_LEN`] bytes long. The plugin maps it and keeps one
//! 64-bit counter a core in it, [`STRIDE`] bytes apart, so that whoever reads the file sees the
//! figures of that moment, while QEMU runs. Every instruction is counted when it is about to
//! execute, which makes the figures exact: blocks that are left half way do not count as whole.
//! Each repetition of a string instruction counts as one.
//!
//! The interface to QEMU is declared by hand, for QEMU installs no header for it. It is that of
//! `include/qemu/qemu-plugin.h`, version 1, as of QEMU 7.2.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fs::OpenOptions;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};

/// Cores that are counted; others are not.
pub const CORES_MAX: usize = 256;
/// Distance of two counters in bytes: a cache line, so that cores do not slow each other down.
pub const STRIDE: usize = 64;
/// Length of the file with the counters.
pub const FILE_LEN: usize = CORES_MAX * STRIDE;

/// What QEMU may be asked for when a callback is registered: nothing, it need not save registers.
const NO_REGISTERS: c_int = 0;
/// Name of the one argument.
const COUNTERS_ARGUMENT: &[u8] = b"counters=";

/// A block of guest code that QEMU has translated. QEMU's own, never looked into.
#[repr(C)]
pub struct Block {
    _opaque: [u8; 0],
}

/// An instruction in a [`Block`]. QEMU's own, never looked into.
#[repr(C)]
pub struct Instruction {
    _opaque: [u8; 0],
}

unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(
        plugin: u64,
        callback: extern "C" fn(plugin: u64, block: *mut Block),
    );
    fn qemu_plugin_tb_n_insns(block: *const Block) -> usize;
    fn qemu_plugin_tb_get_insn(block: *const Block, index: usize) -> *mut Instruction;
    fn qemu_plugin_register_vcpu_insn_exec_cb(
        instruction: *mut Instruction,
        callback: extern "C" fn(core: c_uint, data: *mut c_void),
        flags: c_int,
        data: *mut c_void,
    );
}

/// The version of the interface this plugin was written for; QEMU looks for this name.
// SAFETY: QEMU looks the name up in this library only, so it clashes with nothing.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, reason = "the name is QEMU's")]
pub static qemu_plugin_version: c_int = 1;

static COUNTERS: OnceLock<MmapRaw> = OnceLock::new();

/// Called by QEMU once, before the guest starts. A result other than 0 ends QEMU.
///
/// # Safety
/// `arguments` points to `argument_count` strings, which is how QEMU calls it.
// SAFETY: as for `qemu_plugin_version`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    plugin: u64,
    _information: *const c_void,
    argument_count: c_int,
    arguments: *const *const c_char,
) -> c_int {
    let count = usize::try_from(argument_count).unwrap_or(0);
    // SAFETY: the caller passes an array of that length.
    let arguments = (0..count).map(|index| unsafe { *arguments.add(index) });
    // SAFETY: the caller passes strings, and they live until this function returns.
    let mut arguments = arguments.map(|argument| unsafe { CStr::from_ptr(argument) }.to_bytes());
    let file = arguments.find_map(|argument| argument.strip_prefix(COUNTERS_ARGUMENT));
    let Some(counters) = file.and_then(map_counters) else {
        eprintln!("the instruction counter needs counters=FILE, at least {FILE_LEN} bytes long");
        return 1;
    };
    if COUNTERS.set(counters).is_err() {
        eprintln!("the instruction counter is loaded twice");
        return 1;
    }
    // SAFETY: `plugin` is the number QEMU gave us, and the callback has the type it expects.
    unsafe { qemu_plugin_register_vcpu_tb_trans_cb(plugin, translated) };
    0
}

fn map_counters(name: &[u8]) -> Option<MmapRaw> {
    let name = str::from_utf8(name).ok()?;
    let file = OpenOptions::new().read(true).write(true).open(name).ok()?;
    let long_enough = file.metadata().ok()?.len() >= FILE_LEN as u64;
    if long_enough { MmapOptions::new().len(FILE_LEN).map_raw(&file).ok() } else { None }
}

/// Called by QEMU for every block it translates: asks to be called for each instruction in it.
extern "C" fn translated(_plugin: u64, block: *mut Block) {
    // SAFETY: QEMU passes a block that is valid during this call.
    let count = unsafe { qemu_plugin_tb_n_insns(block) };
    for index in 0..count {
        // SAFETY: as above, and the index is below the number of instructions.
        let instruction = unsafe { qemu_plugin_tb_get_insn(block, index) };
        // SAFETY: the instruction is the block's, and the callback makes no use of its data.
        unsafe {
            qemu_plugin_register_vcpu_insn_exec_cb(
                instruction,
                executed,
                NO_REGISTERS,
                ptr::null_mut(),
            );
        }
    }
}

/// Called by QEMU before every instruction, on the thread that emulates the core.
extern "C" fn executed(core: c_uint, _data: *mut c_void) {
    let core = core as usize;
    let Some(counters) = COUNTERS.get().filter(|_| core < CORES_MAX) else {
        return;
    };
    // SAFETY: the mapping is `FILE_LEN` bytes long, starts at a page, lives as long as the process
    // and is accessed as atomic words only; `core` is below the number of counters.
    let counter =
        unsafe { AtomicU64::from_ptr(counters.as_mut_ptr().add(core * STRIDE).cast::<u64>()) };
    // A counter has one writer at a time, so no read-modify-write is needed.
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}
