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
