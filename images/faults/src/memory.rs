//! Accesses to memory that is not the action's, or not in that way.

use core::arch::asm;
use core::cell::UnsafeCell;
use core::hint::black_box;
use core::ptr::NonNull;

use action_abi::PAGE_LEN;
use action_abi::prelude::*;
use action_abi::protection::{EXECUTE, READ, WRITE};
use action_abi::runtime::call;

use crate::Misbehave;

/// Where the kernel's code lies.
const KERNEL: u64 = 0xFFFF_FFFF_8000_0000;
/// Neither in the lower nor in the upper half.
const NON_CANONICAL: u64 = 0x8000_0000_0000_0000;
/// `ret`, to be executed where it must not.
const RETURN: u8 = 0xC3;

pub const KINDS: &[(&str, Misbehave)] = &[
    ("read", |input| read(input.address)),
    ("write", |input| write(input.address)),
    ("execute", |input| execute(input.address)),
    ("read-null", |_| read(0)),
    ("write-null", |_| write(0)),
    ("execute-null", |_| execute(0)),
    ("read-kernel", |_| read(KERNEL)),
    ("write-kernel", |_| write(KERNEL)),
    ("execute-kernel", |_| execute(KERNEL)),
    ("non-canonical", |_| read(NON_CANONICAL)),
    ("non-canonical-stack", |_| push_at(NON_CANONICAL)),
    ("write-text", |_| write(crate::faults as *const () as u64)),
    ("write-read-only", |_| write(READ_ONLY.as_ptr() as u64)),
    ("execute-data", |_| execute(DATA.0.get() as u64)),
    ("execute-read-only", |_| execute(READ_ONLY.as_ptr() as u64)),
    ("execute-stack", |_| execute(black_box([RETURN]).as_ptr() as u64)),
    ("execute-heap", |_| execute(vec![RETURN; PAGE_LEN].as_ptr() as u64)),
    ("stack-overflow", |_| push_forever()),
    ("recursion", |_| Some(json!(recurse(u64::MAX)))),
    ("deep-recursion", |_| Some(json!({ "depth": recurse(DEEP) }))),
    ("past-mapping", |_| with_mapping(|pages| write(end(pages)))),
    ("execute-past-mapping", |_| with_mapping(|pages| execute(end(pages)))),
    ("below-mapping", |_| with_mapping(|pages| read(start(pages) - 1))),
    ("execute-mapping", |_| with_mapping(|pages| execute(start(pages)))),
    ("write-protected", |_| with_mapping(write_protected)),
    ("use-after-unmap", |_| with_mapping(use_after_unmap)),
    ("call-at-the-end", |_| call_at_the_end()),
    ("windows", |_| Some(windows())),
];

/// Calls within each other that the stack has room for.
const DEEP: u64 = 10_000;
/// `mov eax, -1; syscall`: a call that only reports an error.
const UNKNOWN_CALL: [u8; 7] = [0xB8, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0x05];

/// Data of the writable segment; only its address matters.
struct Data(UnsafeCell<[u8; 1]>);

// SAFETY: an action has one thread.
unsafe impl Sync for Data {}

static DATA: Data = Data(UnsafeCell::new([RETURN]));
static READ_ONLY: [u8; 1] = [RETURN];

fn read(address: u64) -> Option<Value> {
    let byte: u8;
    // SAFETY: reading changes nothing, and where it is not allowed the kernel ends the invocation.
    unsafe {
        asm!("mov {}, [{}]", out(reg_byte) byte, in(reg) address, options(nostack, readonly));
    }
    Some(json!({ "read": byte }))
}

/// Writes a `ret`, which is what the targets that are the action's own hold anyway, or do not need.
fn write(address: u64) -> Option<Value> {
    // SAFETY: the kernel is expected to end the invocation; if not, none of the targets is used
    // again.
    unsafe { asm!("mov byte ptr [{}], {}", in(reg) address, const RETURN, options(nostack)) };
    None
}

fn execute(address: u64) -> Option<Value> {
    // SAFETY: the kernel is expected to end the invocation; if not, the target is a `ret`.
    unsafe { asm!("call {}", in(reg) address, clobber_abi("C")) };
    None
}

fn push_at(address: u64) -> Option<Value> {
    // SAFETY: the push is expected to fault; should it not, the stack pointer is put back.
    unsafe {
        asm!(
            "mov {saved}, rsp",
            "mov rsp, {address}",
            "push 0",
            "mov rsp, {saved}",
            saved = out(reg) _,
            address = in(reg) address,
        );
    }
    None
}

fn push_forever() -> Option<Value> {
    // SAFETY: ends at the page below the stack, which is never mapped.
    unsafe { asm!("2:", "push 0", "jmp 2b", options(noreturn)) }
}

/// Calls itself that often; returns how often.
#[inline(never)]
fn recurse(depth: u64) -> u64 {
    match depth {
        0 => 0,
        _ => black_box(recurse(black_box(depth - 1))) + 1,
    }
}

/// Where everything is that the action was told of: `{"heap":[address,length],…}`.
fn windows() -> Value {
    let context = context();
    let pair = |range: action_abi::Range| json!([range.address, range.len]);
    let start = &raw const *context as u64;
    let end = context.environment.address + context.environment.len;
    json!({
        "context": [start, end - start],
        "heap": pair(context.heap),
        "input": pair(context.input),
        "output": pair(context.output),
        "stack": pair(context.stack),
    })
}

fn start(pages: NonNull<[u8]>) -> u64 {
    pages.cast::<u8>().as_ptr() as u64
}

fn end(pages: NonNull<[u8]>) -> u64 {
    start(pages) + pages.len() as u64
}

/// Does something to two fresh pages.
fn with_mapping(harm: fn(NonNull<[u8]>) -> Option<Value>) -> Option<Value> {
    match call::map(2 * PAGE_LEN, READ | WRITE) {
        Ok(pages) => harm(pages),
        Err(error) => Some(json!({ "call_error": format!("{error:?}") })),
    }
}

/// Writes to a page that was written before and is read-only now.
fn write_protected(pages: NonNull<[u8]>) -> Option<Value> {
    write(start(pages));
    // SAFETY: the pages are written by `write` only, which is expected to fail.
    if let Err(error) = unsafe { call::protect(pages, READ) } {
        return Some(json!({ "call_error": format!("{error:?}") }));
    }
    write(start(pages))
}

/// Reads a page that was there before.
fn use_after_unmap(pages: NonNull<[u8]>) -> Option<Value> {
    write(start(pages));
    // SAFETY: the pages are read by `read` only, which is expected to fail.
    if let Err(error) = unsafe { call::unmap(pages) } {
        return Some(json!({ "call_error": format!("{error:?}") }));
    }
    read(start(pages))
}

/// A call in the last bytes of a page, whose return address lies on a guard page.
fn call_at_the_end() -> Option<Value> {
    let pages = call::map(PAGE_LEN, READ | WRITE).ok()?;
    let code = end(pages) - UNKNOWN_CALL.len() as u64;
    let first = core::ptr::with_exposed_provenance_mut::<u8>(code as usize);
    // SAFETY: the last bytes of pages that are mapped and nobody else's.
    unsafe { first.copy_from_nonoverlapping(UNKNOWN_CALL.as_ptr(), UNKNOWN_CALL.len()) };
    // SAFETY: nothing writes to the pages from here on.
    unsafe { call::protect(pages, READ | EXECUTE) }.ok()?;
    execute(code)
}
