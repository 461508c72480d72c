//! Going on until the deadline, wherever that finds the action: in a loop, in a call, in a page
//! fault, on its way out.

use core::arch::asm;

use action_abi::prelude::*;
use action_abi::protection::{READ, WRITE};
use action_abi::runtime::call;
use action_abi::{Call, PAGE_LEN, Stream};

use crate::Misbehave;

/// Bytes of one log line: as many as a log holds.
const LINE_LEN: usize = 1 << 16;
/// Pages that are mapped, or protected, at once.
const PAGES: usize = 16;

/// A loop in assembly, behind something done once.
macro_rules! endless {
    ($before:literal, $again:literal) => {
        |_| {
            // SAFETY: does not return; what it overwrites is not used again.
            unsafe { asm!($before, "2:", $again, "jmp 2b", options(noreturn)) }
        }
    };
}

pub const KINDS: &[(&str, Misbehave)] = &[
    ("endless-loop", endless!("", "")),
    ("endless-pause", endless!("", "pause")),
    // Flags and stack pointers with which the interrupt must find its way all the same.
    ("endless-without-interrupts", endless!("push 2; popfq", "")),
    ("endless-odd-flags", endless!("push 0x3F7602; popfq", "")),
    ("endless-without-stack", endless!("mov rsp, 0x8000000000000000", "")),
    ("endless-kernel-stack", endless!("mov rsp, 0xFFFFFFFFC0003000", "")),
    // Each load of SS keeps interrupts away for one instruction.
    ("endless-mov-ss", endless!("mov eax, ss", "mov ss, eax; mov ss, eax; mov ss, eax")),
    ("endless-rep", endless!("cld", "mov rsi, rsp; mov ecx, 8; rep lodsb; mov rcx, 0; rep stosb")),
    ("endless-unknown-call", endless!("", "mov eax, -1; syscall")),
    ("endless-fs-load", endless!("xor eax, eax", "mov fs, eax; mov gs, eax")),
    ("endless-logging", |_| {
        let line = vec![b'x'; LINE_LEN];
        loop {
            let _kept = call::log(&line, Stream::Stderr);
        }
    }),
    ("endless-writing", |_| {
        loop {
            let _written = call::write(b"x");
        }
    }),
    ("endless-faults", |_| endless_faults()),
    ("endless-protect", |_| endless_protect()),
    ("exit-at-deadline", |input| exit_at_deadline(input.number)),
];

/// Maps a page, touches it, unmaps it: a third of the time goes into page faults.
fn endless_faults() -> Option<Value> {
    loop {
        let page = call::map(PAGE_LEN, READ | WRITE).ok()?;
        // SAFETY: the page was mapped just now.
        unsafe { page.cast::<u8>().write_volatile(1) };
        // SAFETY: the page is not used any more.
        unsafe { call::unmap(page) }.ok()?;
    }
}

/// Takes the right to write from touched pages and gives it back.
fn endless_protect() -> Option<Value> {
    let pages = call::map(PAGES * PAGE_LEN, READ | WRITE).ok()?;
    for page in 0..PAGES {
        // SAFETY: the pages were mapped just now.
        unsafe { pages.cast::<u8>().add(page * PAGE_LEN).write_volatile(1) };
    }
    loop {
        for protection in [READ, READ | WRITE] {
            // SAFETY: the pages are not used any more.
            unsafe { call::protect(pages, protection) }.ok()?;
        }
    }
}

/// Exits with a result that many nanoseconds before the deadline, or is ended before.
fn exit_at_deadline(before_ns: u64) -> Option<Value> {
    let end_ns = context().deadline_ns.saturating_sub(before_ns);
    while now().as_nanos() < u128::from(end_ns) {
        core::hint::spin_loop();
    }
    Some(json!({ "exited": Call::Exit as u64 }))
}
