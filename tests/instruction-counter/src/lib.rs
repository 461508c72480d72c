//! A QEMU plugin that counts the instructions each core of a guest executes.
//!
//! ```text
//! qemu-system-x86_64 -plugin libinstruction_counter.so,counters=FILE …
//! ```
//!
//! `FILE` must exist and be at least [`FILE_LEN`] bytes long. The plugin maps it and keeps two
//! 64-bit counters a core in it, the cores [`STRIDE`] bytes apart, so that whoever reads the file
//! sees the figures of that moment, while QEMU runs. The first counts all instructions, the second
//! those at addresses below [`KERNEL_HALF`], which with Linux as with hostkernel are the programs'.
//!
//! Every instruction is counted when it is about to execute, which makes the figures exact: blocks
//! that are left half way do not count as whole. A repeated string instruction (`rep movsb` and its
//! like) counts once, however often it repeats, as a processor's own counter has it. QEMU announces
//! each repetition; those after the first are known by the same address with nothing counted since.
//! An instruction that an interrupt or a fault stops half way counts again when it goes on.
//!
//! With `addresses=FILE,core=N` behind that, it also counts for one core how often the instruction
//! at each address was executed ([`addresses`]).
//!
//! The interface to QEMU is declared by hand, for QEMU installs no header for it. It is that of
//! `include/qemu/qemu-plugin.h`, version 1, as of QEMU 7.2.

pub mod addresses;

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fs::OpenOptions;
use std::ptr;
use std::slice;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use addresses::Addresses;
use memmap2::{MmapOptions, MmapRaw};

/// Cores that are counted; others are not.
pub const CORES_MAX: usize = 256;
/// Distance of two cores' counters in bytes: a cache line, so that cores do not slow each other
/// down.
pub const STRIDE: usize = 64;
/// The lowest address of the upper half of the address space.
pub const KERNEL_HALF: u64 = 1 << 63;
/// Length of the file with the counters.
pub const FILE_LEN: usize = CORES_MAX * STRIDE;

/// What QEMU may be asked for when a callback is registered: nothing, it need not save registers.
const NO_REGISTERS: c_int = 0;
/// Names of the arguments.
const COUNTERS_ARGUMENT: &str = "counters=";
const ADDRESSES_ARGUMENT: &str = "addresses=";
const CORE_ARGUMENT: &str = "core=";

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
    fn qemu_plugin_insn_vaddr(instruction: *const Instruction) -> u64;
    fn qemu_plugin_insn_data(instruction: *const Instruction) -> *const u8;
    fn qemu_plugin_insn_size(instruction: *const Instruction) -> usize;
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
static ADDRESSES: OnceLock<Addresses> = OnceLock::new();

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
    let arguments = arguments.map(|argument| unsafe { CStr::from_ptr(argument) }.to_str());
    let arguments: Vec<_> = arguments.map_while(Result::ok).collect();
    let value = |name| arguments.iter().find_map(|argument: &&str| argument.strip_prefix(name));
    let Some(counters) = value(COUNTERS_ARGUMENT).and_then(|file| map(file, FILE_LEN)) else {
        eprintln!("the instruction counter needs counters=FILE, at least {FILE_LEN} bytes long");
        return 1;
    };
    if let Some(file) = value(ADDRESSES_ARGUMENT) {
        let core = value(CORE_ARGUMENT).and_then(|core| core.parse().ok());
        let Some((file, core)) = map(file, addresses::FILE_LEN).zip(core) else {
            eprintln!("addresses=FILE needs {} bytes and core=N", addresses::FILE_LEN);
            return 1;
        };
        let _first = ADDRESSES.set(Addresses::new(file, core));
    }
    if COUNTERS.set(counters).is_err() {
        eprintln!("the instruction counter is loaded twice");
        return 1;
    }
    // SAFETY: `plugin` is the number QEMU gave us, and the callback has the type it expects.
    unsafe { qemu_plugin_register_vcpu_tb_trans_cb(plugin, translated) };
    0
}

/// Maps the start of a file that is long enough.
fn map(name: &str, len: usize) -> Option<MmapRaw> {
    let file = OpenOptions::new().read(true).write(true).open(name).ok()?;
    let long_enough = file.metadata().ok()?.len() >= len as u64;
    if long_enough { MmapOptions::new().len(len).map_raw(&file).ok() } else { None }
}

/// Called by QEMU for every block it translates: asks to be called for each instruction in it.
extern "C" fn translated(_plugin: u64, block: *mut Block) {
    // SAFETY: QEMU passes a block that is valid during this call.
    let count = unsafe { qemu_plugin_tb_n_insns(block) };
    for index in 0..count {
        // SAFETY: as above, and the index is below the number of instructions.
        let instruction = unsafe { qemu_plugin_tb_get_insn(block, index) };
        // SAFETY: the instruction is the block's, and its bytes live as long.
        let (address, bytes) = unsafe {
            let len = qemu_plugin_insn_size(instruction);
            let bytes = slice::from_raw_parts(qemu_plugin_insn_data(instruction), len);
            (qemu_plugin_insn_vaddr(instruction), bytes)
        };
        let repeats = repeats(bytes);
        // Before the counters, from which it knows a repetition.
        if let Some(record) = ADDRESSES.get().and_then(|addresses| addresses.record(address)) {
            let callback = if repeats { repeated_at } else { executed_at };
            // SAFETY: as below; these callbacks take their data for a place in the file.
            unsafe {
                qemu_plugin_register_vcpu_insn_exec_cb(
                    instruction,
                    callback,
                    NO_REGISTERS,
                    record.cast(),
                );
            }
        }
        let callback = match (repeats, address < KERNEL_HALF) {
            (true, _) => repeated,
            (false, true) => executed::<true>,
            (false, false) => executed::<false>,
        };
        // SAFETY: the instruction is the block's. The callbacks take what is passed as their data
        // for a number.
        unsafe {
            qemu_plugin_register_vcpu_insn_exec_cb(
                instruction,
                callback,
                NO_REGISTERS,
                ptr::without_provenance_mut(address as usize),
            );
        }
    }
}

/// Whether an instruction is a string instruction with a repeat prefix.
fn repeats(bytes: &[u8]) -> bool {
    // Prefixes come in any order, REX (0x40 to 0x4f) last.
    const PREFIXES: [u8; 11] = [0xf0, 0xf2, 0xf3, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65, 0x66, 0x67];
    let is_prefix = |byte: &u8| PREFIXES.contains(byte) || byte & 0xf0 == 0x40;
    let prefixes = bytes.iter().take_while(|byte| is_prefix(byte)).count();
    let repeat = bytes[..prefixes].iter().any(|byte| matches!(byte, 0xf2 | 0xf3));
    // ins, outs; movs, cmps; stos, lods, scas.
    repeat && matches!(bytes.get(prefixes), Some(0x6c..=0x6f | 0xa4..=0xa7 | 0xaa..=0xaf))
}

/// The counters of one core.
struct Counters<'a> {
    all: &'a AtomicU64,
    programs: &'a AtomicU64,
}

impl Counters<'_> {
    fn of(core: usize) -> Option<Self> {
        let counters = COUNTERS.get().filter(|_| core < CORES_MAX)?;
        // SAFETY: the mapping is `FILE_LEN` bytes long, starts at a page, lives as long as the
        // process and is accessed as atomic words only; `core` is below the number of cores and
        // two words fit into a stride.
        unsafe {
            let all = counters.as_mut_ptr().add(core * STRIDE).cast::<u64>();
            Some(Self { all: AtomicU64::from_ptr(all), programs: AtomicU64::from_ptr(all.add(1)) })
        }
    }

    fn count(&self, program: bool) {
        increment(self.all);
        if program {
            increment(self.programs);
        }
    }
}

// A counter has one writer at a time, so no read-modify-write is needed.
fn increment(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// Called by QEMU before every instruction, on the thread that emulates the core.
extern "C" fn executed<const PROGRAM: bool>(core: c_uint, _address: *mut c_void) {
    if let Some(counters) = Counters::of(core as usize) {
        counters.count(PROGRAM);
    }
}

/// The repeated instruction a core executed last: its address, and the count of all instructions
/// when it had been counted.
struct Repeat {
    address: AtomicU64,
    count: AtomicU64,
}

static REPEATS: [Repeat; CORES_MAX] =
    [const { Repeat { address: AtomicU64::new(0), count: AtomicU64::new(0) } }; CORES_MAX];

impl Repeat {
    /// Whether the instruction about to execute is another repetition of the last one.
    fn goes_on(&self, counters: &Counters, address: u64) -> bool {
        self.address.load(Ordering::Relaxed) == address
            && self.count.load(Ordering::Relaxed) == counters.all.load(Ordering::Relaxed)
    }
}

/// Called by QEMU before every repetition of a string instruction: counts the first.
extern "C" fn repeated(core: c_uint, address: *mut c_void) {
    let core = core as usize;
    let address = address.addr() as u64;
    let Some((counters, last)) = Counters::of(core).zip(REPEATS.get(core)) else {
        return;
    };
    if !last.goes_on(&counters, address) {
        counters.count(address < KERNEL_HALF);
        last.address.store(address, Ordering::Relaxed);
        last.count.store(counters.all.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// Called by QEMU before every instruction whose address is counted.
extern "C" fn executed_at(core: c_uint, record: *mut c_void) {
    if let Some(addresses) = ADDRESSES.get() {
        // SAFETY: `translated` passed a place of these addresses.
        unsafe { addresses.count(core as usize, record.cast()) };
    }
}

/// The same before every repetition of a string instruction.
extern "C" fn repeated_at(core: c_uint, record: *mut c_void) {
    let record = record.cast::<addresses::Record>();
    // SAFETY: as in `executed_at`; the address in it never changes.
    let address = unsafe { (*record).address.load(Ordering::Relaxed) };
    let counted = Counters::of(core as usize).zip(REPEATS.get(core as usize));
    if counted.is_some_and(|(counters, last)| !last.goes_on(&counters, address)) {
        executed_at(core, record.cast());
    }
}
