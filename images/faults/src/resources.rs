//! Taking more than one's share: time, log, result, memory, mappings.

use core::ptr::NonNull;

use action_abi::prelude::*;
use action_abi::protection::{READ, WRITE};
use action_abi::runtime::call;
use action_abi::{PAGE_LEN, Stream};

use crate::Misbehave;

/// Exit status when the kernel refused to give more, instead of ending the invocation.
const STATUS_REFUSED: u32 = 3;
/// Bytes per call of the kinds that fill the log or the result.
const CHUNK: [u8; 1024] = [b'x'; 1024];
/// Bytes per mapping.
const MAP_LEN: usize = 1 << 16;
/// Pages that one page table describes.
const TABLE_ENTRIES: usize = 512;
/// Rounds of mapping and unmapping.
const STORM_ROUNDS: u32 = 10_000;
/// More than any heap window.
const HUGE_LEN: usize = 1 << 46;

pub const KINDS: &[(&str, Misbehave)] = &[
    ("endless-log", |_| until_refused(|| call::log(&CHUNK, Stream::Stdout) == Ok(CHUNK.len()))),
    ("endless-output", |_| until_refused(|| call::write(&CHUNK).is_ok())),
    ("eat-memory", |_| eat_memory()),
    ("touch-limit", |_| Some(touch_limit())),
    ("map-until-refused", |_| map_until_refused()),
    ("unmap-at-the-bound", |_| Some(unmap_at_the_bound())),
    ("map-storm", |_| map_storm()),
    ("out-of-heap", |_| Some(json!(Vec::<u8>::with_capacity(HUGE_LEN).capacity()))),
    ("endless-allocation", |_| {
        loop {
            core::mem::forget(Box::new(CHUNK));
        }
    }),
];

/// Repeats something until it fails, then exits with [`STATUS_REFUSED`].
fn until_refused(mut go_on: impl FnMut() -> bool) -> Option<Value> {
    while go_on() {}
    call::exit(STATUS_REFUSED)
}

/// Touches every page of the limit but those that the page tables for them take, and a few for
/// image, stack and output.
fn touch_limit() -> Value {
    let heap = context().heap;
    let len = heap.len as usize;
    let tables_len = len.div_ceil(PAGE_LEN * TABLE_ENTRIES) * PAGE_LEN;
    touch(heap.address as usize, len - tables_len);
    json!({ "limit": len, "touched": len - tables_len })
}

/// Touches every page of the heap window, then of as many mappings as it can get.
fn eat_memory() -> Option<Value> {
    let heap = context().heap;
    touch(heap.address as usize, heap.len as usize);
    until_refused(|| {
        let pages = call::map(MAP_LEN, READ | WRITE);
        pages.inspect(|pages| touch(pages.as_ptr().addr(), pages.len())).is_ok()
    })
}

/// Reads one byte of each page and writes it back.
fn touch(address: usize, len: usize) {
    for page in (address..address + len).step_by(PAGE_LEN) {
        let byte = core::ptr::with_exposed_provenance_mut::<u8>(page);
        // SAFETY: the range is mapped read-write. Writing back what was read changes nothing, and
        // the heap's blocks are not used in between.
        unsafe { byte.write_volatile(byte.read_volatile()) };
    }
}

/// Maps without touching; reports how often that worked and why it ended.
fn map_until_refused() -> Option<Value> {
    let mut count = 0_u64;
    loop {
        match call::map(MAP_LEN, READ | WRITE) {
            Ok(_) => count += 1,
            Err(error) => {
                return Some(json!({ "count": count, "call_error": format!("{error:?}") }));
            }
        }
    }
}

/// Maps, touches and unmaps, over and over.
fn map_storm() -> Option<Value> {
    for round in 0..STORM_ROUNDS {
        let unmapped = call::map(MAP_LEN, READ | WRITE).and_then(|pages: NonNull<[u8]>| {
            touch(pages.as_ptr().addr(), pages.len());
            // SAFETY: the pages were mapped just now and are not used any more.
            unsafe { call::unmap(pages) }
        });
        if let Err(error) = unmapped {
            return Some(json!({ "round": round, "call_error": format!("{error:?}") }));
        }
    }
    Some(json!({ "rounds": STORM_ROUNDS }))
}

/// Maps until there are as many mappings as there may be, and gives all of them back.
fn unmap_at_the_bound() -> Value {
    let mut mappings = Vec::new();
    while let Ok(pages) = call::map(MAP_LEN, READ | WRITE) {
        mappings.push(pages);
    }
    // SAFETY: the pages were never used.
    let refused = mappings.into_iter().filter(|pages| unsafe { call::unmap(*pages) }.is_err());
    json!({ "refused": refused.count() })
}
