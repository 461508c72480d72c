//! Call 0xdead: a bug of the kernel on purpose, to see that a crash explains itself and that the
//! node comes back.
//!
//! Not part of the ABI, and not there unless the operator boots with `hostkernel.debug=crash`: any
//! action could end the node with it. Costs other calls nothing, since it is looked for only where
//! no call was found.

use core::hint::black_box;
use core::sync::atomic::{AtomicBool, Ordering};

use action_abi::CallError;

/// The number of the call.
const NUMBER: u64 = 0xdead;
/// First argument: run off the kernel stack. Everything else means a panic.
const EXHAUST_STACK: u64 = 1;

static ENABLED: AtomicBool = AtomicBool::new(false);

/// Lets every action crash the node from now on.
pub fn enable() {
    ENABLED.store(true, Ordering::Relaxed);
}

/// Serves a call whose number is no call of the ABI.
#[cold]
pub(super) fn serve(number: u64, kind: u64) -> Result<u64, CallError> {
    if number != NUMBER || !ENABLED.load(Ordering::Relaxed) {
        return Err(CallError::UnknownCall);
    }
    if kind == EXHAUST_STACK {
        return Ok(deeper(0));
    }
    panic!("an action asked for it with call {NUMBER:#x}")
}

/// Calls itself until the stack is full, which is far below this depth.
#[inline(never)]
fn deeper(depth: u64) -> u64 {
    match depth {
        u64::MAX => depth,
        _ => black_box(deeper(black_box(depth + 1))) + 1,
    }
}
