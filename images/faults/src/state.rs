//! What one invocation leaves behind and the next one finds: registers and memory.
//!
//! The entry point is here because registers must be recorded before any compiled code runs.
//! Compiled code uses no more than the low halves of the vector registers, so what lies beyond
//! those can be looked at later.

use core::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv, _xsave64};
use core::arch::{asm, naked_asm};
use core::cell::UnsafeCell;

use action_abi::prelude::*;
use action_abi::{Call, Range};

use crate::Misbehave;

pub const KINDS: &[(&str, Misbehave)] = &[
    ("dirty-state", |_| dirty_state()),
    ("look-state", |_| Some(look_state())),
    ("dirty-segment-bases", |_| dirty_segment_bases()),
    ("look-segment-bases", |_| Some(look_segment_bases())),
    ("store-secret", |_| Some(store_secret())),
    ("look-secret", |_| Some(look_secret())),
];

/// Fills registers and memory with something that is not there by accident.
const PATTERN: u64 = u64::from_le_bytes(*b"SECRET!!");
/// Bytes of each range that are filled, or looked at.
const RANGE_LEN: u64 = 1 << 16;
/// x87 control word after reset (Intel SDM vol. 1, 8.1.5).
const X87_CONTROL_DEFAULT: u16 = 0x037F;
/// MXCSR after reset (Intel SDM vol. 1, 10.2.3).
const MXCSR_DEFAULT: u32 = 0x1F80;
/// RFLAGS at entry: the interrupt flag and the bit that is always one.
const RFLAGS_DEFAULT: u64 = 0x202;
/// Flags to zero and denormals to zero: an MXCSR that computes differently, without exceptions.
const MXCSR_DIRTY: u32 = 0x9FC0;
/// Single precision: an x87 control word that computes differently.
const X87_CONTROL_DIRTY: u16 = 0x007F;

/// Offsets in the area that `fxsave64` and `xsave64` write (Intel SDM vol. 1, 10.5 and 13.4).
mod area {
    pub const X87_CONTROL: usize = 0;
    pub const MXCSR: usize = 24;
    pub const MXCSR_MASK: usize = 28;
    pub const LEGACY_LEN: usize = 512;
    /// Bytes 464 to 511 are for software and not written.
    pub const LEGACY_WRITTEN_LEN: usize = 464;
    pub const EXTENDED: usize = 576;
    /// Enough for AVX-512: component 7 ends at 2688.
    pub const LEN: usize = 2688;
    /// x87, SSE, AVX and the three AVX-512 components.
    pub const COMPONENTS: u64 = 0b1110_0111;
}

/// General registers in the order `_start` stores them. rdi and rsp have a value by contract.
const REGISTERS: [&str; 14] = [
    "rax", "rbx", "rcx", "rdx", "rsi", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
];

/// The state at entry. Lies in `.bss`.
#[repr(C, align(64))]
struct Entry {
    legacy: [u8; area::LEGACY_LEN],
    registers: [u64; REGISTERS.len()],
    rflags: u64,
}

/// Memory that only `_start` or one function writes.
#[repr(transparent)]
struct Shared<T>(UnsafeCell<T>);

// SAFETY: an action has one thread.
unsafe impl<T> Sync for Shared<T> {}

static ENTRY: Shared<Entry> = Shared(UnsafeCell::new(Entry {
    legacy: [0; area::LEGACY_LEN],
    registers: [0; REGISTERS.len()],
    rflags: 0,
}));

/// A writable part of the image itself, as a place to look for what is left over.
static IMAGE_DATA: Shared<[u64; 1024]> = Shared(UnsafeCell::new([0; 1024]));

/// Records the registers and goes on as every action does.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn _start() -> ! {
    naked_asm!(
        "mov [rip + {entry} + 512], rax",
        "mov [rip + {entry} + 520], rbx",
        "mov [rip + {entry} + 528], rcx",
        "mov [rip + {entry} + 536], rdx",
        "mov [rip + {entry} + 544], rsi",
        "mov [rip + {entry} + 552], rbp",
        "mov [rip + {entry} + 560], r8",
        "mov [rip + {entry} + 568], r9",
        "mov [rip + {entry} + 576], r10",
        "mov [rip + {entry} + 584], r11",
        "mov [rip + {entry} + 592], r12",
        "mov [rip + {entry} + 600], r13",
        "mov [rip + {entry} + 608], r14",
        "mov [rip + {entry} + 616], r15",
        "pushfq",
        "pop [rip + {entry} + 624]",
        "fxsave64 [rip + {entry}]",
        "call {run}",
        "ud2",
        entry = sym ENTRY,
        run = sym crate::run,
    )
}

const _: () = {
    assert!(core::mem::offset_of!(Entry, registers) == 512);
    assert!(core::mem::offset_of!(Entry, rflags) == 624);
};

/// The vector state the processor and the kernel enable; 0 without `xsave`.
fn enabled_components() -> u64 {
    const OSXSAVE: u32 = 1 << 27;
    if __cpuid(1).ecx & OSXSAVE == 0 {
        return 0;
    }
    // SAFETY: OSXSAVE says that xgetbv is there and allowed.
    unsafe { _xgetbv(0) }
}

/// Fills every register a program can write, then exits with a result already in place.
fn dirty_state() -> Option<Value> {
    const AVX: u64 = 0b110;
    const AVX_512: u64 = 0b1110_0110;
    const ANSWER: &[u8] = br#"{"dirty":true}"#;
    let output = context().output;
    let window = core::ptr::with_exposed_provenance_mut::<u8>(output.address as usize);
    // SAFETY: the window is writable, longer than this, and nothing is in it yet.
    unsafe { window.copy_from_nonoverlapping(ANSWER.as_ptr(), ANSWER.len()) };
    // SAFETY: ends in exit, so no register is needed afterwards.
    unsafe {
        asm!(
            "fninit",
            "fldcw [{x87}]",
            ".rept 8",
            "fldpi",
            ".endr",
            "ldmxcsr [{mxcsr}]",
            ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
            "movq xmm\\n, {pattern}",
            "punpcklqdq xmm\\n, xmm\\n",
            ".endr",
            "test {avx:e}, {avx:e}",
            "jz 2f",
            ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
            "vinsertf128 ymm\\n, ymm\\n, xmm\\n, 1",
            ".endr",
            "2:",
            "test {avx_512:e}, {avx_512:e}",
            "jz 2f",
            ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
            "vpbroadcastq zmm\\n, {pattern}",
            ".endr",
            ".irp n, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
            "vpbroadcastq zmm\\n, {pattern}",
            ".endr",
            ".irp n, 0,1,2,3,4,5,6,7",
            "kmovw k\\n, {pattern:e}",
            ".endr",
            "2:",
            "mov rbx, {pattern}",
            "mov rdx, rbx",
            "mov rbp, rbx",
            ".irp n, 8,9,10,11,12,13,14,15",
            "mov r\\n, rbx",
            ".endr",
            "xor eax, eax",
            "xor edi, edi",
            "syscall",
            "ud2",
            x87 = in(reg) &X87_CONTROL_DIRTY,
            mxcsr = in(reg) &MXCSR_DIRTY,
            avx = in(reg) u64::from(enabled_components() & AVX == AVX),
            avx_512 = in(reg) u64::from(enabled_components() & AVX_512 == AVX_512),
            pattern = in(reg) PATTERN,
            in("rsi") ANSWER.len(),
            options(noreturn),
        )
    }
}

const _: () = assert!(Call::Exit as u64 == 0, "dirty_state zeroes rax");

/// Everything that is not as a fresh invocation should find it: `{"dirty":[…],…}`.
fn look_state() -> Value {
    // SAFETY: written by `_start`, and by nothing after it.
    let entry = unsafe { &*ENTRY.0.get() };
    let registers = REGISTERS.iter().zip(&entry.registers);
    let mut dirty: Vec<&str> =
        registers.filter(|(_, value)| **value != 0).map(|(name, _)| *name).collect();
    dirty.extend((entry.rflags != RFLAGS_DEFAULT).then_some("rflags"));
    dirty.extend(dirty_legacy(&entry.legacy));
    dirty.extend(dirty_extended());
    dirty.extend(ranges().filter(|(_, range)| words(*range).any(|word| word != 0)).map(first));
    json!({ "dirty": dirty, "rflags": entry.rflags, "segments": segments() })
}

/// Parts of an `fxsave64` area that differ from a reset one.
fn dirty_legacy(area: &[u8; area::LEGACY_LEN]) -> impl Iterator<Item = &'static str> {
    let mut expected = [0; area::LEGACY_LEN];
    expected[area::X87_CONTROL..][..2].copy_from_slice(&X87_CONTROL_DEFAULT.to_le_bytes());
    expected[area::MXCSR..][..4].copy_from_slice(&MXCSR_DEFAULT.to_le_bytes());
    // Which bits of MXCSR exist: a property of the processor.
    expected[area::MXCSR_MASK..][..4].copy_from_slice(&area[area::MXCSR_MASK..][..4]);
    const PARTS: [(&str, core::ops::Range<usize>); 4] =
        [("x87-control", 0..24), ("mxcsr", 24..32), ("x87-registers", 32..160), ("xmm", 160..416)];
    const _: () = assert!(416 <= area::LEGACY_WRITTEN_LEN);
    PARTS
        .into_iter()
        .filter(move |(_, part)| area[part.clone()] != expected[part.clone()])
        .map(first)
}

/// `"ymm-and-beyond"` if the upper halves of vector registers are not zero.
fn dirty_extended() -> Option<&'static str> {
    #[repr(align(64))]
    struct Area([u8; area::LEN]);
    let components = enabled_components() & area::COMPONENTS;
    let mut saved = Area([0; area::LEN]);
    if components == 0 || __cpuid_count(13, 0).ebx == 0 {
        return None;
    }
    // SAFETY: the area is aligned and as long as these components need; xsave is enabled.
    unsafe { save(saved.0.as_mut_ptr(), components) };
    saved.0[area::EXTENDED..].iter().any(|byte| *byte != 0).then_some("ymm-and-beyond")
}

/// `xsave64`, which the compiler only lets through in a function that asks for it.
///
/// # Safety
/// As for the instruction.
#[target_feature(enable = "xsave")]
unsafe fn save(area: *mut u8, components: u64) {
    // SAFETY: the caller's promise.
    unsafe { _xsave64(area, components) };
}

/// Segment selectors; their values are the kernel's choice, and no secret.
fn segments() -> [u16; 6] {
    let mut selectors = [0; 6];
    // SAFETY: storing a selector changes nothing.
    unsafe {
        asm!(
            "mov [{0}], cs", "mov [{0} + 2], ss", "mov [{0} + 4], ds",
            "mov [{0} + 6], es", "mov [{0} + 8], fs", "mov [{0} + 10], gs",
            in(reg) &mut selectors, options(nostack),
        );
    }
    selectors
}

/// Sets the bases of FS and GS. An undefined instruction where the kernel does not allow it.
fn dirty_segment_bases() -> Option<Value> {
    // SAFETY: an action does not use the two segments.
    unsafe { asm!("wrfsbase {0}", "wrgsbase {0}", in(reg) PATTERN >> 32, options(nostack)) };
    Some(json!({ "dirty": true }))
}

/// The bases of FS and GS. An undefined instruction where the kernel does not allow it.
fn look_segment_bases() -> Value {
    let (fs, gs): (u64, u64);
    // SAFETY: reading changes nothing.
    unsafe { asm!("rdfsbase {}", "rdgsbase {}", out(reg) fs, out(reg) gs, options(nostack)) };
    json!({ "fs": fs, "gs": gs })
}

/// Memory that this program does not use itself: ends of windows, and a part of the image.
fn ranges() -> impl Iterator<Item = (&'static str, Range)> {
    let tail = |range: Range| {
        let len = range.len.min(RANGE_LEN);
        Range { address: range.address + range.len - len, len }
    };
    let context = context();
    let stack = Range { len: RANGE_LEN.min(context.stack.len / 2), ..context.stack };
    let image = Range { address: IMAGE_DATA.0.get() as u64, len: size_of_val(&IMAGE_DATA) as u64 };
    [
        ("heap", tail(context.heap)),
        ("output", tail(context.output)),
        ("stack", stack),
        ("image", image),
    ]
    .into_iter()
}

/// The whole words of a range.
fn words(range: Range) -> impl Iterator<Item = u64> {
    addresses(range).map(|word| {
        // SAFETY: the ranges are mapped, aligned, and not used for anything else.
        unsafe { word.read_volatile() }
    })
}

fn addresses(range: Range) -> impl Iterator<Item = *mut u64> {
    let end = range.address + range.len;
    let starts = (range.address.next_multiple_of(8)..end.saturating_sub(7)).step_by(8);
    starts.map(|word| core::ptr::with_exposed_provenance_mut(word as usize))
}

/// Fills the ranges with the pattern.
fn store_secret() -> Value {
    let mut words_written = 0_u64;
    for word in ranges().flat_map(|(_, range)| addresses(range)) {
        // SAFETY: the ranges are writable, aligned, and not used for anything else.
        unsafe { word.write_volatile(PATTERN) };
        words_written += 1;
    }
    json!({ "words": words_written })
}

/// Looks for the pattern in the ranges: `{"found":[…]}`.
fn look_secret() -> Value {
    let found = ranges().filter(|(_, range)| words(*range).any(|word| word == PATTERN));
    json!({ "found": found.map(first).collect::<Vec<_>>() })
}

fn first<A, B>(pair: (A, B)) -> A {
    pair.0
}
