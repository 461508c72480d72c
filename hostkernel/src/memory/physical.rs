//! How the kernel reaches physical memory: one linear window, the direct map.
//!
//! On bare metal it is the upper-half mapping that `kernel_map` builds; on the host it is
//! an arena the tests install, so that everything above this file runs and is tested there too.

use super::frames::FrameNumber;
use limits::PAGE_LEN;

/// A physical address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PhysicalAddress(pub u64);

/// Where the direct map begins on bare metal: the first address of the upper half.
pub const DIRECT_MAP_START: u64 = 0xffff_8000_0000_0000;

#[cfg(target_os = "none")]
fn window_start() -> *mut u8 {
    core::ptr::with_exposed_provenance_mut(DIRECT_MAP_START as usize)
}

/// Lets nothing behind it begin before every check in front of it was really decided: a processor
/// that guesses wrongly must not touch, through the direct map, what an action may not read.
pub fn speculation_barrier() {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: the instruction changes nothing.
    unsafe {
        core::arch::asm!("lfence", options(nostack, preserves_flags));
    }
}

#[cfg(not(target_os = "none"))]
fn window_start() -> *mut u8 {
    host::arena().cast()
}

/// The address at which the kernel sees `frame`. Valid for reads and writes of one page while the
/// caller owns the frame or knows who does.
pub(super) fn frame_pointer(frame: FrameNumber) -> *mut u8 {
    window_start().wrapping_add(frame.get() as usize * PAGE_LEN)
}

/// Fills a frame with zeros: one instruction and not a call, for it is done to each page.
///
/// # Safety
/// The caller owns the frame, and nothing refers to its bytes.
pub(super) unsafe fn zero_frame(frame: FrameNumber) {
    let start = frame_pointer(frame);
    #[cfg(not(miri))]
    // SAFETY: a frame is one page in the direct map, and the caller's; the direction flag is clear
    // in all compiled code.
    unsafe {
        core::arch::asm!(
            "rep stosq",
            inout("rcx") PAGE_LEN / size_of::<u64>() => _,
            inout("rdi") start => _,
            in("rax") 0_u64,
            options(nostack, preserves_flags),
        );
    }
    #[cfg(miri)]
    // SAFETY: as above.
    unsafe {
        start.write_bytes(0, PAGE_LEN);
    }
}

/// The address at which the kernel sees physical memory or a mapped device register.
#[cfg(target_os = "none")]
#[must_use]
pub fn direct_pointer(address: PhysicalAddress) -> *mut u8 {
    window_start().wrapping_add(address.0 as usize)
}

/// The arena that stands for physical memory in host builds.
#[cfg(not(target_os = "none"))]
pub(super) mod host {
    extern crate std;
    use std::alloc::{Layout, alloc_zeroed};
    use std::sync::OnceLock;
    use std::vec::Vec;

    use spin::Mutex;

    use super::super::frames::{FrameNumber, POOL};
    use limits::{CORES_MAX, PAGE_LEN};

    /// Frames of the arena: enough for all tests of the crate at once.
    const ARENA_FRAMES: usize = if cfg!(miri) { 2048 } else { 65_536 };

    struct Arena(*mut u8);
    // SAFETY: the pointer is only handed out; who may use which frame is the frame pool's business.
    unsafe impl Send for Arena {}
    // SAFETY: as above.
    unsafe impl Sync for Arena {}

    pub fn arena() -> *mut u8 {
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

    /// Makes the arena's frames available; every host test that needs frames calls this first.
    pub fn install() {
        static INSTALLED: OnceLock<()> = OnceLock::new();
        INSTALLED.get_or_init(|| {
            arena();
            let frame = |number| FrameNumber::new(number).expect("frame 0 is never used");
            POOL.add_fresh(frame(1), frame(ARENA_FRAMES as u32));
        });
    }

    /// Every thread of a test process is a core of its own while it lives.
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
}
