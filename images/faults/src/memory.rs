//! Accesses to memory that is not the action's, or not in that way.

use core::arch::asm;
use core::cell::UnsafeCell;
use core::hint::black_box;

use action_abi::prelude::*;

use crate::Misbehave;

/// Where the kernel's code lies.
const KERNEL: u64 = 0xFFFF_FFFF_8000_0000;
/// First address of the upper half, where kernels like to map all of physical memory.
const DIRECT_MAP: u64 = 0xFFFF_8000_0000_0000;
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
    ("read-direct-map", |_| read(DIRECT_MAP)),
    ("non-canonical", |_| read(NON_CANONICAL)),
    ("non-canonical-jump", |_| execute(NON_CANONICAL)),
    ("non-canonical-stack", |_| push_at(NON_CANONICAL)),
    ("write-text", |_| write(crate::faults as *const () as u64)),
    ("write-read-only", |_| write(READ_ONLY.as_ptr() as u64)),
    ("write-input", |_| write(context().input.address)),
    ("write-context", |_| write(&raw const *context() as u64)),
    ("execute-data", |_| execute(DATA.0.get() as u64)),
    ("execute-read-only", |_| execute(READ_ONLY.as_ptr() as u64)),
    ("execute-stack", |_| execute(black_box([RETURN]).as_ptr() as u64)),
    ("execute-heap", |_| execute(vec![RETURN; action_abi::PAGE_LEN].as_ptr() as u64)),
    ("past-output-window", |_| write(context().output.address + context().output.len)),
    ("past-input", |_| {
        read((context().input.address + context().input.len).next_multiple_of(PAGE))
    }),
    ("past-heap", |_| write(context().heap.address + context().heap.len)),
    ("below-stack", |_| write(context().stack.address - 1)),
    ("stack-overflow", |_| push_forever()),
];

const PAGE: u64 = action_abi::PAGE_LEN as u64;

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
