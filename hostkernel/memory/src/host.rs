//! What stands for the machine in host builds: an arena for physical memory, threads for cores.

extern crate std;
use std::alloc::{Layout, alloc_zeroed};
use std::sync::OnceLock;
use std::vec::Vec;

use spin::Mutex;

use crate::frames::{FrameNumber, POOL};
use limits::{CORES_MAX, PAGE_LEN};

/// Frames of the arena: enough for all tests of the crate at once.
const ARENA_FRAMES: usize = if cfg!(miri) { 8192 } else { 65_536 };

struct Arena(*mut u8);
// SAFETY: the pointer is only handed out; who may use which frame is the frame pool's business.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

fn arena() -> *mut u8 {
    static ARENA: OnceLock<Arena> = OnceLock::new();
    ARENA
        .get_or_init(|| {
            let layout = Layout::from_size_align(ARENA_FRAMES * PAGE_LEN, PAGE_LEN)
                .expect("the arena's size is a small constant");
            // SAFETY: the layout has a non-zero size.
            let start = unsafe { alloc_zeroed(layout) };
            assert!(!start.is_null(), "the host has no memory for the test arena");
            Arena(start)
        })
        .0
}

/// Gives host programs, tests and fuzz targets, their frames; who needs frames calls this first.
#[doc(hidden)]
pub fn install_for_test() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        arena();
        let frame = |number| FrameNumber::new(number).expect("frame 0 is never used");
        POOL.add_fresh(frame(1), frame(ARENA_FRAMES as u32));
    });
}

/// Index of the calling core: every thread is one while it lives.
#[must_use]
pub fn core_id() -> usize {
    std::thread_local! {
        static CORE: Core = Core::take();
    }
    CORE.with(|core| core.0)
}

/// A core number, given back when its thread ends; the next owner inherits the free lists.
struct Core(usize);

/// Numbers given back, and the lowest never used.
static NUMBERS: Mutex<(Vec<usize>, usize)> = Mutex::new((Vec::new(), 0));

impl Core {
    fn take() -> Self {
        let mut numbers = NUMBERS.lock();
        let (free, next) = &mut *numbers;
        let number = free.pop().unwrap_or_else(|| {
            *next += 1;
            *next - 1
        });
        assert!(number < CORES_MAX, "more threads at a time than cores");
        Self(number)
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        NUMBERS.lock().0.push(self.0);
    }
}
/// Where the arena begins.
pub(crate) fn window_start() -> *mut u8 {
    arena().cast()
}

/// Bytes the kernel heap could still give: on the host, as many as you like.
#[must_use]
pub fn heap_free() -> usize {
    usize::MAX
}

/// The calling core's time stamp counter: on the host, none that tests would depend on.
#[must_use]
pub fn cycles() -> u64 {
    0
}
