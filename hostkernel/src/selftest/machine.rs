//! The kernel's own memory and clock.

use super::Bench;
use crate::arch::clock;
use limits::PAGE_LEN;
use memory::core_area::{
    EMERGENCY_STACK_PAGES, ENTRY_SPACE, ENTRY_STACK_PAGES, KERNEL_STACK_END, KERNEL_STACK_PAGE,
    PRIVATE_SPACE,
};
use memory::kernel_map::{self, Leaf};

const PAGE: u64 = PAGE_LEN as u64;

pub fn write_xor_execute(_: &mut Bench) {
    let (mut executable, mut writable) = (0, 0);
    kernel_map::for_each_leaf(kernel_map::own_root(), &mut |leaf: Leaf| {
        assert!(!leaf.user, "{leaf:x?}");
        assert!(!(leaf.writable && leaf.executable), "{leaf:x?}");
        executable += u64::from(leaf.executable);
        writable += u64::from(leaf.writable);
    });
    assert!(executable > 0 && writable > 0);
}

pub fn guard_pages(_: &mut Bench) {
    let mapped = |address| kernel_map::is_mapped_here(address);
    let stack = PRIVATE_SPACE + KERNEL_STACK_PAGE * PAGE;
    assert!(mapped(stack) && !mapped(stack - PAGE) && !mapped(KERNEL_STACK_END));
    let entry_stack = ENTRY_SPACE + ENTRY_STACK_PAGES.0 * PAGE;
    assert!(mapped(entry_stack) && !mapped(entry_stack - PAGE));
    for page in EMERGENCY_STACK_PAGES {
        let start = ENTRY_SPACE + page * PAGE;
        assert!(mapped(start) && mapped(start + PAGE));
        assert!(!mapped(start - PAGE) && !mapped(start + 2 * PAGE));
    }
    assert!(!mapped(0) && !mapped(0x20_0000), "the first page tables are gone");
}

/// The symbol behind every copy is the kernel's own.
pub fn copies(_: &mut Bench) {
    const LEN_MAX: usize = 130;
    const MARGIN: usize = 9;
    let source: [u8; LEN_MAX + MARGIN] = core::array::from_fn(|index| index as u8 ^ 0x5a);
    for len in 0..=LEN_MAX {
        for (from, to) in [(0, 0), (1, 0), (0, 3), (5, 7), (8, 8)] {
            let mut target = [0xee; LEN_MAX + 2 * MARGIN];
            // The length is known at run time only, so that it is a call.
            let len = core::hint::black_box(len);
            target[to..to + len].copy_from_slice(&source[from..from + len]);
            assert_eq!(target[to..to + len], source[from..from + len], "{len} bytes");
            let mut rest = target[..to].iter().chain(&target[to + len..]);
            assert!(rest.all(|byte| *byte == 0xee), "{len} bytes and no more");
        }
    }
}

pub fn clock(_: &mut Bench) {
    let mut last = clock::now_ns();
    for _ in 0..10_000 {
        let now = clock::now_ns();
        assert!(now >= last);
        last = now;
    }
    let (cycles, start) = (clock::cycles(), clock::now_ns());
    clock::spin_us(1_000);
    assert!(clock::now_ns() - start >= 1_000_000);
    assert!(clock::cycles() > cycles);
}
