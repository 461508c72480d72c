//! Memory that runs out on purpose: the n-th time the calling core asks for frames, or the heap for
//! memory, it is refused.
//!
//! Only in tests. Who loops over n until nothing was refused has seen every place where frames can
//! be missing, and can say what became of each.

use super::per_core::{Initial, PerCore};

/// Requests for frames to go until one is refused; `None` refuses none.
struct Countdown(Option<usize>);

impl Initial for Countdown {
    const INITIAL: Self = Self(None);
}

type Countdowns = PerCore<Countdown>;
static FRAMES: Countdowns = PerCore::new();

/// Runs `work` and refuses its `n`-th request for frames, counted from 0. Returns what `work`
/// returned, and whether a request was refused.
pub fn refuse_nth<R>(n: usize, work: impl FnOnce() -> R) -> (R, bool) {
    refuse(&FRAMES, n, work)
}

fn refuse<R>(countdowns: &Countdowns, n: usize, work: impl FnOnce() -> R) -> (R, bool) {
    let swap = |next| countdowns.with(|countdown| core::mem::replace(&mut countdown.0, next));
    swap(Some(n));
    let result = work();
    (result, swap(None).is_none())
}

/// Whether the request for frames that is being made is the one to refuse. Only that one is: what
/// asks again afterwards, to say that memory ran out, gets what it needs.
pub(super) fn is_due() -> bool {
    is_next(&FRAMES)
}

/// The same for requests to the kernel's own heap.
#[cfg(target_os = "none")]
pub mod heap {
    use super::{Countdowns, PerCore, is_next, refuse};

    static HEAP: Countdowns = PerCore::new();

    /// As [`super::refuse_nth`]. Who does not expect to be refused ends the node.
    pub fn refuse_nth<R>(n: usize, work: impl FnOnce() -> R) -> (R, bool) {
        refuse(&HEAP, n, work)
    }

    /// Whether the request that is being made is the one to refuse.
    pub(crate) fn is_due() -> bool {
        is_next(&HEAP)
    }
}
fn is_next(countdowns: &Countdowns) -> bool {
    countdowns.with(|countdown| match countdown.0 {
        Some(0) => {
            countdown.0 = None;
            true
        }
        Some(n) => {
            countdown.0 = Some(n - 1);
            false
        }
        None => false,
    })
}
