//! What only exists on bare metal: entry, native calls, allocator, and the pages of code that
//! programs call.
//!
//! One core runs this code, it is never interrupted to be entered again (an exception inside it
//! ends the invocation), and it ends before the next program instruction. That is why its statics
//! need no locks.

mod calls;
mod entry;
mod heap;
mod start;
mod vdso;

use core::cell::UnsafeCell;

use linux_os::Os;
use linux_os::frame::Frame;

use calls::Calls;

/// A static that code reaches which is never entered twice.
#[repr(transparent)]
struct Alone<T>(UnsafeCell<T>);

// SAFETY: an instance has one core, and native code is never entered while it runs (see above).
unsafe impl<T> Sync for Alone<T> {}

impl<T> Alone<T> {
    const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }
}

/// The library OS.
static OS: Alone<Os<Calls>> = Alone::new(Os::new(Calls::new()));

/// The program's registers, in the first page of the writable data.
#[unsafe(link_section = ".data.hot")]
static FRAME: Alone<Frame> = Alone::new(Frame::zero());

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    calls::panicked(info)
}
