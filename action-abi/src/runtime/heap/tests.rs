//! Both parts of the heap, alone and together.

use super::*;

fn layout(len: usize, align: usize) -> Layout {
    Layout::from_size_align(len, align).expect("a power of two")
}

#[test]
fn blocks_are_aligned_and_do_not_overlap() {
    let mut bump = Bump::new(4097, 4096);
    assert_eq!(bump.take(layout(3, 1)), Some(4097));
    assert_eq!(bump.take(layout(8, 8)), Some(4104));
    assert_eq!(bump.take(layout(1, 64)), Some(4160));
}

#[test]
fn a_run_is_used_to_its_last_byte_and_not_beyond() {
    let mut bump = Bump::new(4096, 16);
    assert_eq!(bump.take(layout(17, 1)), None);
    assert_eq!(bump.take(layout(16, 1)), Some(4096));
    assert_eq!(bump.take(layout(1, 1)), None);
    assert_eq!(Bump::new(usize::MAX - 4, 100).take(layout(64, 64)), None);
    assert_eq!(Bump::new(0, 0).take(layout(1, 1)), None);
}

#[test]
fn only_the_most_recent_block_is_taken_back() {
    let mut bump = Bump::new(4096, 64);
    let (first, second) = (bump.take(layout(16, 1)), bump.take(layout(16, 1)));
    assert_eq!((first, second), (Some(4096), Some(4112)));
    bump.give_back(4096, 16);
    assert_eq!(bump.next, 4128);
    bump.give_back(4112, 16);
    assert_eq!(bump.next, 4112);
}

#[test]
fn a_block_right_below_the_run_is_not_its_own() {
    let mut bump = Bump::new(4096, 64);
    bump.give_back(4080, 16);
    assert_eq!(bump.next, 4096);
    assert_eq!(bump.resize(4080, 16, 17), None);
}

#[test]
fn the_most_recent_block_grows_in_place_and_others_only_shrink() {
    let mut bump = Bump::new(4096, 64);
    bump.take(layout(16, 1)).expect("room");
    bump.take(layout(16, 1)).expect("room");
    assert_eq!(bump.resize(4096, 16, 17), None);
    assert_eq!(bump.resize(4096, 16, 8), Some(()));
    assert_eq!(bump.resize(4112, 16, 48), Some(()));
    assert_eq!(bump.resize(4112, 48, 49), None);
    assert_eq!(bump.resize(4112, 48, 1), Some(()));
    assert_eq!(bump.next, 4113);
}

/// Random work against a model: blocks stay inside the run, disjoint, aligned, and what
/// `alloc_zeroed` relies on, that nothing above `untouched` was ever handed out, holds.
#[test]
fn random_work_keeps_blocks_apart() {
    const START: usize = 1 << 20;
    const LEN: usize = 1 << 14;
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut below = |bound: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) as usize % bound
    };
    for _ in 0..100 {
        let mut bump = Bump::new(START, LEN);
        let mut blocks: Vec<(usize, usize)> = Vec::new();
        let mut highest = START;
        for _ in 0..200 {
            match below(3) {
                0 => {
                    let wanted = layout(1 + below(300), 1 << below(7));
                    if let Some(address) = bump.take(wanted) {
                        assert_eq!(address % wanted.align(), 0);
                        blocks.push((address, wanted.size()));
                    }
                }
                1 if !blocks.is_empty() => {
                    let (address, len) = blocks.swap_remove(below(blocks.len()));
                    bump.give_back(address, len);
                }
                2 if !blocks.is_empty() => {
                    let index = below(blocks.len());
                    let (address, len) = blocks[index];
                    let new_len = 1 + below(600);
                    if bump.resize(address, len, new_len).is_some() {
                        // A block shrunk below others keeps its old place but loses its tail.
                        blocks[index].1 = new_len;
                    }
                }
                _ => {}
            }
            let mut sorted = blocks.clone();
            sorted.sort_unstable();
            assert!(sorted.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0));
            for (address, len) in sorted {
                assert!(address >= START && address + len <= START + LEN);
                highest = highest.max(address + len);
            }
            assert!(bump.untouched >= highest && bump.untouched <= START + LEN);
        }
    }
}

/// A heap whose window is this memory.
fn heap_in(memory: &mut [u8]) -> Heap {
    let address = memory.as_mut_ptr().expose_provenance() as u64;
    Heap::within(Some(Range { address, len: memory.len() as u64 }))
}

#[test]
fn the_arena_serves_first_and_the_window_what_does_not_fit() {
    let mut memory = vec![0_u8; 1 << 16];
    let window = memory.as_ptr_range();
    let heap = heap_in(&mut memory);
    // SAFETY: sizes are not zero, and blocks are passed back with the layout they came with.
    unsafe {
        let small = heap.alloc(layout(64, 16));
        assert_eq!(small.addr(), heap.arena.get().addr());
        let large = heap.alloc(layout(ARENA_LEN + 1, 1));
        assert!(window.contains(&large.cast_const()));
        let beside = heap.alloc(layout(64, 16));
        assert_eq!(beside.addr(), small.addr() + 64);
        heap.dealloc(large, layout(ARENA_LEN + 1, 1));
        heap.dealloc(beside, layout(64, 16));
        heap.dealloc(small, layout(64, 16));
        assert_eq!(heap.alloc(layout(64, 16)), small);
    }
}

#[test]
fn the_window_is_touched_no_further_than_needed() {
    let mut memory = vec![0_u8; 1 << 20];
    let heap = heap_in(&mut memory);
    // SAFETY: as above.
    unsafe {
        let block = heap.alloc(layout(2 * PAGE_LEN, 1));
        block.write_bytes(7, 2 * PAGE_LEN);
    }
    assert!(memory.iter().skip(4 * PAGE_LEN).all(|byte| *byte == 0));
}

#[test]
fn what_was_freed_is_used_again_in_whatever_order() {
    const BLOCK: usize = PAGE_LEN;
    let mut memory = vec![0_u8; 64 * PAGE_LEN];
    let heap = heap_in(&mut memory);
    // Forty times what the window holds, and never more than half of it at a time.
    let mut blocks = std::collections::VecDeque::new();
    for round in 0..40 * 64 {
        // SAFETY: as above.
        unsafe {
            let block = heap.alloc(layout(BLOCK, 8));
            assert!(!block.is_null(), "round {round}");
            blocks.push_back(block);
            if blocks.len() > 24 {
                let middle = blocks.remove(round % 24).expect("there are as many");
                heap.dealloc(middle, layout(BLOCK, 8));
            }
        }
    }
}

#[test]
fn a_window_that_is_used_up_refuses_and_goes_on() {
    for len in [0, 100, 2000, 3 * PAGE_LEN + 5] {
        let mut memory = vec![0_u8; len];
        let heap = heap_in(&mut memory);
        // SAFETY: as above.
        unsafe {
            assert!(heap.alloc(layout(1 << 20, 1)).is_null());
            assert!(heap.alloc(layout(usize::MAX / 2, 1)).is_null());
            let mut count = 0;
            while !heap.alloc(layout(512, 1)).is_null() {
                count += 1;
            }
            assert!(count >= ARENA_LEN / 512 && count <= (ARENA_LEN + len) / 512);
            assert!(heap.alloc_zeroed(layout(512, 1)).is_null());
        }
    }
}

/// Random work on the whole: what blocks hold stays, and zeroed ones are zero.
#[test]
fn blocks_keep_what_they_hold() {
    let mut memory = vec![0_u8; 1 << 20];
    let heap = heap_in(&mut memory);
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut below = |bound: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) as usize % bound
    };
    let mut blocks: Vec<(*mut u8, Layout, u8)> = Vec::new();
    for step in 0..4000_usize {
        let mark = step as u8;
        let wanted = layout(1 + below(2000), 1 << below(9));
        // SAFETY: as above.
        unsafe {
            match below(4) {
                0 | 1 if blocks.len() < 100 => {
                    let block = heap.alloc_zeroed(wanted);
                    assert!(!block.is_null() && block.addr().is_multiple_of(wanted.align()));
                    let bytes = core::slice::from_raw_parts_mut(block, wanted.size());
                    assert!(bytes.iter().all(|byte| *byte == 0));
                    bytes.fill(mark);
                    blocks.push((block, wanted, mark));
                }
                2 if !blocks.is_empty() => {
                    let at = below(blocks.len());
                    let (block, old, mark) = blocks[at];
                    let new = layout(wanted.size(), old.align());
                    let moved = heap.realloc(block, old, new.size());
                    assert!(!moved.is_null());
                    let bytes = core::slice::from_raw_parts_mut(moved, new.size());
                    let kept = old.size().min(new.size());
                    assert!(bytes[..kept].iter().all(|byte| *byte == mark));
                    bytes.fill(mark);
                    blocks[at] = (moved, new, mark);
                }
                _ if !blocks.is_empty() => {
                    let (block, layout, mark) = blocks.swap_remove(below(blocks.len()));
                    let bytes = core::slice::from_raw_parts(block, layout.size());
                    assert!(bytes.iter().all(|byte| *byte == mark));
                    heap.dealloc(block, layout);
                }
                _ => {}
            }
        }
    }
}

#[test]
fn memory_that_was_used_before_is_reported_as_such() {
    let heap = Heap::new();
    let (block, dirty) = heap.take(layout(100, 1)).expect("room");
    assert_eq!(dirty, 0);
    heap.update(|bump| bump.give_back(block.addr(), 100));
    let (again, dirty) = heap.take(layout(200, 1)).expect("room");
    assert_eq!((again, dirty), (block, 100));
}

#[test]
fn as_a_global_allocator_it_moves_contents_when_a_block_must_move() {
    let heap = Heap::new();
    // SAFETY: sizes are not zero, and blocks are passed back with the layout they came with.
    unsafe {
        let first = heap.alloc(layout(8, 1));
        first.write_bytes(7, 8);
        let second = heap.alloc(layout(8, 1));
        let moved = heap.realloc(first, layout(8, 1), 32);
        assert_ne!(moved, first);
        assert_eq!(core::slice::from_raw_parts(moved, 8), [7; 8]);
        heap.dealloc(moved, layout(32, 1));
        heap.dealloc(second, layout(8, 1));
        let zeroed = heap.alloc_zeroed(layout(64, 1));
        assert_eq!(core::slice::from_raw_parts(zeroed, 64), [0; 64]);
        assert!(heap.alloc(layout(2 * ARENA_LEN, 1)).is_null());
    }
}
