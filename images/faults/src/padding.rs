//! Looks for anything but zeros in all memory that the kernel hands out as empty, and behind the
//! ends of what it fills in.

use action_abi::prelude::*;
use action_abi::protection::{READ, WRITE};
use action_abi::runtime::call;
use action_abi::{PAGE_LEN, Range};

use crate::Misbehave;

pub const KINDS: &[(&str, Misbehave)] = &[
    ("look-padding", |_| Some(look_padding())),
    // To find something: leaves its text in the input, in the heap and on the stack.
    ("long-input", |input| Some(json!({ "len": input.code.len() }))),
];

/// The part of stack and heap that this program may have used itself by now.
const USED_LEN: u64 = 1 << 18;
/// How much of heap and of a new mapping is looked at.
const LOOK_LEN: u64 = 4 << 20;

/// Everything that is not zero and should be: `{"dirty":[…],"looked":<bytes>}`.
fn look_padding() -> Value {
    let context = context();
    let start = &raw const *context as u64;
    let structure_end = start + u64::from(context.len);
    let environment_end = context.environment.address + context.environment.len;
    let input_end = context.input.address + context.input.len;
    let mut places = Vec::from([
        ("behind the context", up_to(structure_end, context.environment.address)),
        ("behind the environment", up_to(environment_end, page_end(environment_end))),
        ("behind the input", up_to(input_end, page_end(input_end))),
        ("output", context.output),
        ("heap", Range { address: context.heap.address + USED_LEN, len: LOOK_LEN }),
        ("stack", Range { len: context.stack.len - USED_LEN, ..context.stack }),
    ]);
    if let Ok(pages) = call::map(LOOK_LEN as usize, READ | WRITE) {
        let address = pages.cast::<u8>().as_ptr() as u64;
        places.push(("mapping", Range { address, len: LOOK_LEN }));
    }
    let dirty: Vec<_> =
        places.iter().filter(|(_, range)| !is_zero(*range)).map(|(name, _)| *name).collect();
    let looked: u64 = places.iter().map(|(_, range)| range.len).sum();
    json!({ "dirty": dirty, "looked": looked })
}

fn up_to(address: u64, end: u64) -> Range {
    Range { address, len: end - address }
}

fn page_end(address: u64) -> u64 {
    address.next_multiple_of(PAGE_LEN as u64)
}

fn is_zero(range: Range) -> bool {
    let bytes = range.address..range.address + range.len;
    let (words, rest) = (bytes.clone().step_by(8), bytes.end - bytes.start);
    let whole = rest / 8;
    words.take(whole as usize).all(|address| {
        let word = core::ptr::with_exposed_provenance::<u64>(address as usize);
        // SAFETY: the range is mapped, and nothing else uses it.
        unsafe { word.read_unaligned() == 0 }
    }) && (bytes.start + whole * 8..bytes.end).all(|address| {
        let byte = core::ptr::with_exposed_provenance::<u8>(address as usize);
        // SAFETY: as above.
        unsafe { byte.read_volatile() == 0 }
    })
}
