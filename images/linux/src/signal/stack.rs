//! The frame a handler finds on its stack (`struct rt_sigframe` of Linux on x86-64).
//!
//! ```text
//!   higher   red zone, or the top of the alternate stack
//!            extended registers, 64-byte aligned: what xsave writes, then FP_XSTATE_MAGIC2
//!            siginfo                      128 bytes
//!            ucontext                     304 bytes: flags, stack_t, sigcontext, mask
//!   rsp ───▶ address of the restorer      as if the handler had been called
//! ```
#![forbid(unsafe_code)]

use linux_raw_sys::general as linux;

use super::{AlternateStack, INFO_LEN, Info, SignalSet};
use crate::Errno;
use crate::frame::Frame;
use crate::memory::Space;
use crate::native::Extended;

/// Bytes of a `ucontext`.
const CONTEXT_LEN: u64 = 304;
/// Bytes of everything below the extended registers.
const LEN: u64 = 8 + CONTEXT_LEN + INFO_LEN as u64;
/// Offset of the `siginfo`.
pub(super) const INFO: u64 = 8 + CONTEXT_LEN;
/// The ABI lets a function use this much below its stack pointer.
const RED_ZONE: u64 = 128;
/// Alignment of what `xsave` writes.
const EXTENDED_ALIGN: u64 = 64;
/// What ends the extended registers (`FP_XSTATE_MAGIC2`).
const MAGIC2: u32 = 0x4650_5845;
/// What says that there is more than `fxsave` wrote (`FP_XSTATE_MAGIC1`).
const MAGIC1: u32 = 0x4650_5853;
/// Offset of the words that software may use in what `fxsave` writes (SDM volume 1, 10.5.1).
const SOFTWARE: usize = 464;
/// Bytes of what `fxsave` writes, and where the header of `xsave` begins.
const LEGACY_LEN: usize = 512;
/// Offset of `MXCSR`, and bits of it that may be set.
const MXCSR: usize = 24;
const MXCSR_BITS: u32 = 0xffff;
/// `UC_FP_XSTATE`, `UC_SIGCONTEXT_SS`, `UC_STRICT_RESTORE_SS`
const CONTEXT_FLAGS: u64 = 7;
/// Selectors of ring 3 as Linux has them: code, and stack.
const SELECTORS: u64 = 0x33 | 0x2b << 48;
/// The flags that a return from a handler may set: arithmetic, direction, alignment.
const FLAGS_SETTABLE: u64 = 0x4_0cd5;
/// Interrupts are on; bit 1 is always set.
const FLAGS_FIXED: u64 = 0x202;
/// Cleared when a handler starts: direction and trap.
const FLAGS_CLEARED: u64 = 1 << 10 | 1 << 8;

/// Bytes that a handler's frame may take, for `AT_MINSIGSTKSZ`.
#[must_use]
pub fn len_max(extended_len: usize) -> u64 {
    LEN + EXTENDED_ALIGN + extended_len as u64 + 4 + RED_ZONE
}

/// What a frame is made of.
#[derive(Debug)]
pub struct Delivery<'a> {
    /// The signal.
    pub info: Info,
    /// What returns from the handler.
    pub restorer: u64,
    /// The mask to return to.
    pub mask: SignalSet,
    /// The alternate stack, as it was before.
    pub alternate: AlternateStack,
    /// Whether to run on it.
    pub on_alternate: bool,
    /// The extended registers.
    pub extended: &'a Extended,
    /// Bytes of them that matter.
    pub extended_len: usize,
    /// Vector, error code and address of the exception.
    pub trap: super::fault::Exception,
}

/// Writes the frame and answers the handler's stack pointer.
///
/// # Errors
/// `EFAULT` if the stack cannot be written.
pub fn push(space: &mut Space, frame: &Frame, delivery: &Delivery<'_>) -> Result<u64, Errno> {
    let alternate = delivery.alternate;
    let top = match delivery.on_alternate && !alternate.holds(frame.rsp) {
        true => alternate.address + alternate.len,
        false => frame.rsp.checked_sub(RED_ZONE).ok_or(Errno::EFAULT)?,
    };
    let extended_len = delivery.extended_len as u64;
    let extended = top.checked_sub(extended_len + 4).ok_or(Errno::EFAULT)?;
    let extended = extended / EXTENDED_ALIGN * EXTENDED_ALIGN;
    let rsp = (extended.checked_sub(LEN).ok_or(Errno::EFAULT)? / 16 * 16) - 8;
    if delivery.on_alternate && rsp < alternate.address {
        return Err(Errno::EFAULT);
    }
    push_extended(space, extended, delivery)?;

    let mut words = [0; LEN as usize / 8];
    words[0] = delivery.restorer;
    words[1] = CONTEXT_FLAGS;
    words[3..6].copy_from_slice(&alternate.to_words(frame.rsp));
    words[6..24].copy_from_slice(&registers(frame));
    words[24] = SELECTORS;
    words[25] = delivery.trap.error;
    words[26] = delivery.trap.vector;
    words[27] = delivery.mask.0;
    words[28] = delivery.trap.address;
    words[29] = extended;
    words[38] = delivery.mask.0;
    space.write_words(rsp, &words)?;
    space.write(rsp + INFO, &delivery.info.to_bytes())?;
    Ok(rsp)
}

/// The general registers in the order of a `sigcontext`, up to the flags.
fn registers(frame: &Frame) -> [u64; 18] {
    let Frame { r8, r9, r10, r11, r12, r13, r14, r15, .. } = *frame;
    let Frame { rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, flags, .. } = *frame;
    [r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, flags]
}

fn push_extended(space: &mut Space, at: u64, delivery: &Delivery<'_>) -> Result<(), Errno> {
    let len = delivery.extended_len;
    let area = space.bytes_mut(at, len as u64 + 4)?;
    let mut left = &mut area[..];
    for chunk in delivery.extended.chunks() {
        let part = chunk.len().min(left.len());
        let (here, rest) = left.split_at_mut(part);
        here.copy_from_slice(&chunk[..part]);
        left = rest;
    }
    if len > LEGACY_LEN {
        let mut features = [0; 8];
        features.copy_from_slice(&area[LEGACY_LEN..LEGACY_LEN + 8]);
        let software = &mut area[SOFTWARE..LEGACY_LEN];
        software.fill(0);
        software[..4].copy_from_slice(&MAGIC1.to_le_bytes());
        software[4..8].copy_from_slice(&(len as u32 + 4).to_le_bytes());
        software[8..16].copy_from_slice(&features);
        software[16..20].copy_from_slice(&(len as u32).to_le_bytes());
    }
    area[len..].copy_from_slice(&MAGIC2.to_le_bytes());
    Ok(())
}

/// What a return from a handler takes out of a frame.
#[derive(Debug)]
pub struct Popped {
    /// The general registers.
    pub frame: Frame,
    /// The mask.
    pub mask: SignalSet,
    /// The alternate stack: address, flags, length.
    pub alternate: [u64; 3],
    /// Whether extended registers were loaded into the area.
    pub has_extended: bool,
}

/// Reads the frame that the stack pointer is on, its first word taken by the handler's return.
///
/// # Errors
/// `EFAULT` if there is none.
pub fn pop(space: &Space, rsp: u64, extended: &mut Extended, len: usize) -> Result<Popped, Errno> {
    let at = rsp.checked_sub(8).ok_or(Errno::EFAULT)?;
    let words: [u64; INFO as usize / 8] = space.read_words(at)?;
    let [r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi] = core::array::from_fn(|at| words[6 + at]);
    let [rbp, rbx, rdx, rax, rcx, rsp, rip, flags] = core::array::from_fn(|at| words[16 + at]);
    let flags = flags & FLAGS_SETTABLE | FLAGS_FIXED;
    let frame = Frame {
        flags,
        r15,
        r14,
        r13,
        r12,
        rbp,
        rbx,
        r11,
        r10,
        r9,
        r8,
        rax,
        rcx,
        rdx,
        rsi,
        rdi,
        rip,
        rsp,
    };
    let place = words[29];
    if place != 0 {
        pop_extended(space, place, extended, len)?;
    }
    Ok(Popped {
        frame,
        mask: SignalSet(words[38]),
        alternate: [words[3], words[4], words[5]],
        has_extended: place != 0,
    })
}

/// Takes extended registers that a handler may have changed, so that loading them cannot fault:
/// no reserved bit of `MXCSR`, no state that this processor does not have, the rest of the header
/// zero (SDM volume 1, 13.8.1).
fn pop_extended(space: &Space, at: u64, extended: &mut Extended, len: usize) -> Result<(), Errno> {
    let bytes = space.bytes(at, len as u64)?;
    let features = |area: &Extended| {
        let header = area.chunks().nth(LEGACY_LEN / 64);
        header.map_or(0, |line| u64::from_le_bytes(line.as_chunks::<8>().0[0]))
    };
    // `extended` was just saved, so its header says at least what the processor has in use.
    let supported = features(extended) | 3;
    for (line, chunk) in extended.chunks_mut().zip(bytes.chunks(64)) {
        line[..chunk.len()].copy_from_slice(chunk);
    }
    for (number, line) in extended.chunks_mut().enumerate() {
        if number == MXCSR / 64 {
            let (words, _) = line.as_chunks_mut::<4>();
            let word = &mut words[MXCSR / 4];
            *word = (u32::from_le_bytes(*word) & MXCSR_BITS).to_le_bytes();
        }
        if number == LEGACY_LEN / 64 && len > LEGACY_LEN {
            let (words, _) = line.as_chunks_mut::<8>();
            words[0] = (u64::from_le_bytes(words[0]) & supported).to_le_bytes();
            words[1..].fill([0; 8]);
        }
    }
    Ok(())
}

/// The flags a handler starts with.
#[must_use]
pub fn handler_flags(flags: u64) -> u64 {
    flags & !FLAGS_CLEARED
}

const _: () = assert!(linux::MINSIGSTKSZ as u64 > LEN);
