//! Addresses for functions that firmware gave none, as on small virtual machines without any.
//!
//! Only where no function has one: among others' addresses there is no telling what is free. And
//! only for functions of a first bus: what is behind a bridge would need the bridge set up, too.
#![forbid(unsafe_code)]

use core::ops::Range;

use super::function::{BARS, Function};

/// Whether firmware has given no function of these an address.
#[must_use]
pub fn is_needed(functions: &[Function<'_>]) -> bool {
    let mut bars = functions.iter().flat_map(|function| bars(*function));
    let mut count = 0;
    bars.all(|(_, address)| {
        count += 1;
        address == 0
    }) && count > 0
}

/// Gives the memory ranges of these functions places in a window, the longest alignment being each
/// one's own length. What has no room is left without.
pub fn assign(functions: &[Function<'_>], window: Range<u64>) {
    let mut free = window;
    for function in functions {
        for (bar, _) in bars(*function) {
            let len = function.bar_len(bar);
            if len == 0 {
                continue;
            }
            let place = free.start.checked_next_multiple_of(len);
            let end = place.and_then(|place| place.checked_add(len));
            if let (Some(place), Some(end)) = (place, end)
                && end <= free.end
            {
                function.set_bar(bar, place);
                free.start = end;
            }
        }
    }
}

/// A device's memory ranges: register and address.
fn bars<'s>(function: Function<'s>) -> impl Iterator<Item = (u8, u64)> + use<'s> {
    let mut bar = 0;
    core::iter::from_fn(move || {
        while bar < BARS {
            let this = bar;
            bar += 1;
            if let Some(found) = function.memory_bar(this) {
                bar += u8::from(found.is_wide);
                return Some((this, found.address));
            }
        }
        None
    })
}
