//! Where everything lies in an address space, and what may be done there.
//!
//! ```text
//! 0x00_0000_0000  never mapped (null pointers)
//! 0x00_0001_0000  image: segments of the template                             level-4 slot 0
//! 0x80_0000_0000  guard page                                                  level-4 slot 1
//! 0x80_0000_1000  stack, 1 MiB - 4 KiB, grows down from 0x80_0010_0000
//! 0x80_0010_1000  context page and environment, read-only
//! 0x80_0011_0000  input, read-only; then, a guard page later, the output window
//! 0x80_1000_0000  heap, as long as the memory limit
//! 0xc0_0000_0000  what the action maps itself
//! 0x7fff_ffff_f000  end: nothing above is ever mapped for an action
//! 0xffff_ff80...  level-4 slot 511: the kernel's entry code and this core's entry area
//! ```
//!
//! Stack, context and most inputs and outputs share one 2 MiB block, so that a short invocation
//! needs few tables. In a host image the output window does not move with the input:
//!
//! ```text
//! 0x80_0011_0000  input of up to 444 KiB, read-only
//! 0x80_0018_0000  output window
//! 0x80_0419_0000  longer input, read-only
//! ```

use crate::Protection;
use action_abi::host::HostContext;
use limits::{
    ACTION_STACK_LEN, ARGUMENTS_LEN_MAX, BODY_LEN_MAX, ENVIRONMENT_LEN_MAX, INPUT_NEAR_LEN_MAX,
    MEMORY_MB_MAX, PAGE_LEN, VARIABLES_LEN_MAX,
};

use crate::plan::PageRange;
use crate::table::BLOCK_LEN;
use crate::template::Backing;

pub(super) const PAGE: u64 = PAGE_LEN as u64;
pub(super) const WINDOWS_START: u64 = action_abi::IMAGE_END;
pub(super) const STACK: PageRange =
    PageRange { start: WINDOWS_START + PAGE, end: WINDOWS_START + ACTION_STACK_LEN as u64 };
pub(super) const CONTEXT: PageRange = PageRange {
    start: STACK.end + PAGE,
    end: STACK.end
        + PAGE
        + (size_of::<HostContext>()
            + ARGUMENTS_LEN_MAX
            + ENVIRONMENT_LEN_MAX
            + DEADLINE_LEN_MAX
            + VARIABLES_LEN_MAX)
            .next_multiple_of(PAGE_LEN) as u64,
};
/// What the worker adds to the environment: `__OW_DEADLINE=` and a number.
const DEADLINE_LEN_MAX: usize = 64;
pub(super) const INPUT_START: u64 = STACK.end + 16 * PAGE;
/// The output window of a host image, a guard page behind most inputs, and its input where that is
/// long.
const OUTPUT_FIXED: u64 = INPUT_START + INPUT_NEAR_LEN_MAX as u64 + PAGE;
const INPUT_FAR: u64 = OUTPUT_FIXED + BODY_LEN_MAX as u64 + 16 * PAGE;
pub(super) const HEAP_START: u64 = WINDOWS_START + (256 << 20);
/// In the last gigabytes that the heap's table of level 3 reaches, so that who maps needs two more.
pub(super) const MAPPED_START: u64 = action_abi::host::WINDOWS_END;
/// No page at or above this address is ever mapped for an action.
pub const USER_END: u64 = action_abi::host::USER_END;

const _: () = assert!(CONTEXT.end < INPUT_START);
const _: () = assert!(HEAP_START + (MEMORY_MB_MAX << 20) < MAPPED_START);
const _: () = assert!(INPUT_START + 2 * (BODY_LEN_MAX as u64 + PAGE) < HEAP_START);
const _: () = assert!(INPUT_FAR + BODY_LEN_MAX as u64 <= HEAP_START);
const _: () =
    assert!(OUTPUT_FIXED - WINDOWS_START < BLOCK_LEN && OUTPUT_FIXED.is_multiple_of(PAGE));
// A return address past the last page is canonical: `syscall` can never leave rip non-canonical.
const _: () = assert!(USER_END < 1 << 47);

/// Where the windows of a host image are, stack and heap apart.
pub(super) const FIXED: PageRange = PageRange { start: STACK.end, end: HEAP_START };

/// The windows of one instance: those whose place depends on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    pub input: PageRange,
    pub output: PageRange,
    pub heap: PageRange,
}

impl Windows {
    /// Those of an instance with an input of `input_len` bytes, before its limits are known.
    pub fn new(input_len: usize) -> Self {
        let input = input_at(INPUT_START, input_len);
        Self::with(input, input.end + PAGE)
    }

    /// Those of an instance of a host image, whose output is where it is whatever the input.
    pub fn for_host(input_len: usize) -> Self {
        let is_near = input_len <= INPUT_NEAR_LEN_MAX;
        Self::with(input_at(if is_near { INPUT_START } else { INPUT_FAR }, input_len), OUTPUT_FIXED)
    }

    fn with(input: PageRange, output_start: u64) -> Self {
        Self {
            input,
            output: PageRange { start: output_start, end: output_start },
            heap: PageRange { start: HEAP_START, end: HEAP_START },
        }
    }

    pub fn set_lengths(&mut self, heap_len: u64, output_len: usize) {
        assert!(output_len <= BODY_LEN_MAX, "results are bounded");
        self.output.end = self.output.start + (output_len as u64).next_multiple_of(PAGE);
        self.heap.end = HEAP_START + heap_len.next_multiple_of(PAGE);
        assert!(self.heap.end <= MAPPED_START, "the heap fits below what actions map");
    }

    /// What may be done at an address below [`MAPPED_START`], and what a page there holds.
    pub fn find(&self, address: u64) -> Option<(Protection, Backing)> {
        let is_in = |range: &PageRange| (range.start..range.end).contains(&address);
        match address {
            _ if is_in(&STACK) || is_in(&self.output) || is_in(&self.heap) => {
                Some((Protection::ReadWrite, Backing::Zero))
            }
            _ if is_in(&CONTEXT) || is_in(&self.input) => Some((Protection::Read, Backing::Placed)),
            _ => None,
        }
    }

    /// Whether a range has pages that no host image may shape.
    pub fn touch(range: PageRange) -> bool {
        [PageRange { start: WINDOWS_START, end: STACK.start }, FIXED]
            .iter()
            .any(|window| range.start < window.end && window.start < range.end)
    }
}

fn input_at(start: u64, len: usize) -> PageRange {
    assert!(len <= BODY_LEN_MAX, "inputs are bounded");
    PageRange { start, end: start + (len as u64).next_multiple_of(PAGE) }
}
