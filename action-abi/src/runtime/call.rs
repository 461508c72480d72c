//! The native calls as functions: one `syscall` instruction each.
//!
//! The numbers, arguments and errors are those of [`Call`] and [`CallError`]; this file only adds
//! types. Nothing here buffers: [`log`](mod@super::log) and [`output`](super::output) do.
//!
//! In a program for the computer it is written on the module `host` answers instead.

#[cfg(panic = "abort")]
use core::arch::asm;
use core::ptr::NonNull;

#[cfg(not(panic = "abort"))]
use super::host;

use crate::{Call, CallError, PAGE_LEN, Stream};

/// Exit status of an action that ended as its author meant it to.
pub const STATUS_OK: u32 = 0;
/// Exit status of a handler that returned an error where no result could say so; it is in the log.
pub const STATUS_FAILED: u32 = 1;
/// Exit status after a panic; the message is in the log.
pub const STATUS_PANIC: u32 = 101;
/// Exit status if the kernel's [`Context`](crate::Context) is not one this runtime understands.
pub const STATUS_BAD_CONTEXT: u32 = 102;

/// Makes the call `number` with three argument registers and returns the result register.
///
/// For the calls of the contract use the functions below; this one exists for tests that go past
/// it.
///
/// # Safety
/// The call must not take away or change the protection of memory that is still in use. Any other
/// number and argument is refused by the kernel with an error value.
#[cfg(panic = "abort")]
#[inline]
pub unsafe fn raw(number: u64, arguments: [u64; 3]) -> u64 {
    let result;
    // SAFETY: the contract preserves every register but rax, rcx and r11, and the red zone; what
    // the call does to memory is the caller's promise.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Makes the call `number`, of a program that no kernel of ours runs.
///
/// # Safety
/// Arguments that are an address and a length must describe memory that can be read.
#[cfg(not(panic = "abort"))]
pub unsafe fn raw(number: u64, arguments: [u64; 3]) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { host::call(number, arguments) }
}

/// Ends the invocation with this status and without a result from the output window.
///
/// What [`write()`] appended before stays the result. A status other than [`STATUS_OK`] reports the
/// invocation as failed.
pub fn exit(status: u32) -> ! {
    exit_with_output(status, 0)
}

/// Ends the invocation; its result is the first `output_len` bytes of the output window unless
/// [`write()`] appended one.
pub fn exit_with_output(status: u32, output_len: usize) -> ! {
    #[cfg(not(panic = "abort"))]
    host::exit(status, output_len);
    #[cfg(panic = "abort")]
    // SAFETY: exit does not return, so no memory is in use afterwards.
    unsafe {
        asm!(
            "syscall",
            "ud2",
            in("rax") Call::Exit as u64,
            in("rdi") u64::from(status),
            in("rsi") output_len,
            options(noreturn, nostack),
        );
    }
}

/// Appends bytes to the invocation's log; no newline is added. Returns how many were kept: the log
/// is bounded, and what is over the bound is dropped.
///
/// # Errors
/// [`CallError::BadArgument`] for no bytes.
pub fn log(bytes: &[u8], stream: Stream) -> Result<usize, CallError> {
    let arguments = [bytes.as_ptr() as u64, bytes.len() as u64, stream as u64];
    // SAFETY: log only reads the bytes.
    CallError::check(unsafe { raw(Call::Log as u64, arguments) }).map(|kept| kept as usize)
}

/// Appends bytes to the result, for results that are not built in the output window.
///
/// # Errors
/// [`CallError::LimitReached`] past the longest result, [`CallError::BadArgument`] for no bytes.
pub fn write(bytes: &[u8]) -> Result<(), CallError> {
    let arguments = [bytes.as_ptr() as u64, bytes.len() as u64, 0];
    // SAFETY: write only reads the bytes.
    CallError::check(unsafe { raw(Call::Write as u64, arguments) }).map(drop)
}

/// Lets what [`write()`] appended leave, or else the first `output_len` bytes of the output window,
/// which must not change any more. Never waits. Returns how many bytes have left: 0 where the
/// result is sent as a whole, because nobody said `stream` or the client cannot take it otherwise.
pub fn flush(output_len: usize) -> usize {
    // SAFETY: flush touches no memory of the action.
    let left = CallError::check(unsafe { raw(Call::Flush as u64, [output_len as u64, 0, 0]) });
    left.map_or(0, |left| left as usize)
}

/// Maps `len` bytes of zeroed memory, rounded up to whole pages, with the given
/// [`protection`](crate::protection) bits. Returns the mapped range.
///
/// # Errors
/// [`CallError::BadArgument`] for no bytes or for writable and executable at once,
/// [`CallError::OutOfMemory`] past the memory limit, [`CallError::LimitReached`] past the number of
/// mappings.
pub fn map(len: usize, protection: u64) -> Result<NonNull<[u8]>, CallError> {
    let len = len.checked_next_multiple_of(PAGE_LEN).ok_or(CallError::OutOfMemory)?;
    // SAFETY: map takes memory that was not in use before.
    let address = CallError::check(unsafe { raw(Call::Map as u64, [len as u64, protection, 0]) })?;
    let first = core::ptr::with_exposed_provenance_mut::<u8>(address as usize);
    NonNull::new(first)
        .map(|first| NonNull::slice_from_raw_parts(first, len))
        .ok_or(CallError::BadAddress)
}

/// Removes whole pages that [`map`] returned.
///
/// # Errors
/// [`CallError::BadAddress`] or [`CallError::BadArgument`] if the range is not whole mapped pages.
///
/// # Safety
/// Nothing may use the pages afterwards.
pub unsafe fn unmap(pages: NonNull<[u8]>) -> Result<(), CallError> {
    let arguments = [pages.as_ptr().cast::<u8>() as u64, pages.len() as u64, 0];
    // SAFETY: the caller no longer uses the pages.
    CallError::check(unsafe { raw(Call::Unmap as u64, arguments) }).map(drop)
}

/// Changes the [`protection`](crate::protection) of whole mapped pages.
///
/// # Errors
/// [`CallError::BadAddress`] if the range is not mapped, [`CallError::BadArgument`] if it is not
/// whole pages or would be writable and executable at once.
///
/// # Safety
/// Nothing may use the pages afterwards in a way the new protection forbids.
pub unsafe fn protect(pages: NonNull<[u8]>, protection: u64) -> Result<(), CallError> {
    let arguments = [pages.as_ptr().cast::<u8>() as u64, pages.len() as u64, protection];
    // SAFETY: the caller only uses the pages as the new protection allows.
    CallError::check(unsafe { raw(Call::Protect as u64, arguments) }).map(drop)
}
