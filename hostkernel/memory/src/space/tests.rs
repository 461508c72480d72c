//! Address spaces one after the other on a core, which keeps tables from each for the next.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::*;
use crate::install_for_test;
use crate::table::Table;
use crate::{LoadPlan, Segment};

const TEXT: u64 = 0x40_0000;
const HEAP_LEN: u64 = 1 << 20;
const OUTPUT_LEN: usize = 1 << 20;

/// Text of so many pages, and data at an address: a whole page of the file, a part of one, and
/// zeros.
fn template(text_pages: usize, data: Option<u64>) -> Arc<Template> {
    install_for_test();
    let mut code = PageBuffer::new();
    for page in 0..text_pages {
        code.append(&[page as u8 | 1; PAGE_LEN]).expect("the arena is large");
    }
    let text_len = (text_pages * PAGE_LEN) as u64;
    let mut segments = Vec::from([Segment {
        address: TEXT,
        memory_len: text_len,
        file_offset: 0,
        file_len: text_len,
        protection: Protection::ReadExecute,
    }]);
    if let Some(address) = data {
        code.append(&[b'w'; PAGE_LEN]).expect("the arena is large");
        code.append(b"partial, and more that is not the segment's").expect("the arena is large");
        segments.push(Segment {
            address,
            memory_len: 3 * PAGE,
            file_offset: text_len,
            file_len: PAGE + 7,
            protection: Protection::ReadWrite,
        });
    }
    let plan = LoadPlan { entry: TEXT, segments, is_host: false };
    Arc::new(Template::build(&plan, code).expect("the arena is large"))
}

/// Pages of text, and where the data is: near, in another block, in another gigabyte, with many
/// leaves; and nothing to write, with few leaves and with many.
const IMAGES: [(usize, Option<u64>); 6] = [
    (2, Some(TEXT + 8 * PAGE)),
    (2, Some(TEXT + (64 << 20))),
    (2, Some(TEXT + (3 << 30))),
    (130, Some(TEXT + 300 * PAGE)),
    (1, None),
    (130, None),
];

fn space(template: Arc<Template>, skeleton: Skeleton) -> AddressSpace {
    let input = PageBuffer::from_bytes(&[b'i'; PAGE_LEN + 1]).expect("the arena is large");
    let reservation = Reservation::new(100).expect("the arena is large");
    let mut space = AddressSpace::empty(template, input, reservation, skeleton);
    space.lay_out(HEAP_LEN, OUTPUT_LEN).expect("it fits");
    space
}

/// Address and first bytes of everything a processor would find.
fn mapped(space: &AddressSpace) -> BTreeMap<u64, [u8; 8]> {
    fn walk(table: FrameNumber, level: u32, start: u64, found: &mut BTreeMap<u64, [u8; 8]>) {
        // SAFETY: the tables are those of a live address space.
        let table = unsafe { Table::at(table) };
        for slot in 0..512 {
            let address = start + (slot << (12 + 9 * (level - 1)));
            match table.get(slot as usize).frame() {
                Some(below) if level > 1 => walk(below, level - 1, address, found),
                Some(page) => {
                    // SAFETY: a page that is mapped is alive.
                    let page = unsafe { Frame::borrow(page) };
                    let start = *page.bytes().first_chunk().expect("a page is longer");
                    found.insert(address, start);
                }
                None => {}
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(space.tables.root().number(), 4, 0, &mut found);
    found
}

/// Writes to every kind of page there is.
fn use_all(space: &mut AddressSpace, data: Option<u64>) {
    let (output, heap) = (space.output_range(), space.heap_range());
    let own = space.map(2 * PAGE, Protection::ReadWrite).expect("there is room");
    let near = [STACK.end - 1, STACK.start, output.address, heap.address, own];
    // Far enough for tables of their own.
    let far = [output.address + output.len - 1, heap.address + heap.len - 1];
    let data = data.into_iter().flat_map(|data| [data, data + PAGE, data + 2 * PAGE]);
    for address in near.into_iter().chain(far).chain(data) {
        write(space, address);
    }
    space.place_context(&[b'c'; 100], b"A=b\0", b"").expect("it fits");
}

fn write(space: &mut AddressSpace, address: u64) {
    space.resolve(address, Access::Write).expect("it may be written");
    let input = space.input_range().address;
    space.copy_within(input, address / PAGE * PAGE, 8).expect("both are mapped");
}

/// Whatever ran before on the core, an instance starts with its image and its input, and nothing
/// else: the same as the first one on a core.
#[test]
fn every_instance_starts_as_the_first() {
    let instance = |(pages, data), skeleton| space(template(pages, data), skeleton);
    let first = IMAGES.map(|image| mapped(&instance(image, Skeleton::default())));
    // Whole pages of the file, and two of input.
    assert_eq!(first.each_ref().map(BTreeMap::len), [5, 5, 5, 133, 3, 132]);
    let mut skeleton = Skeleton::default();
    // Miri takes its time: one image of leaves, and one of tables.
    for before in IMAGES.into_iter().take(if cfg!(miri) { 2 } else { IMAGES.len() }) {
        for (after, first) in IMAGES.into_iter().zip(&first) {
            for is_busy in [false, true] {
                let mut space = instance(before, skeleton);
                if is_busy {
                    use_all(&mut space, before.1);
                }
                let mut space = instance(after, space.end());
                assert_eq!(&mapped(&space), first, "{after:?} after {before:?}, {is_busy}");
                skeleton = space.end();
            }
        }
    }
}

/// The same image again: pages that are there from the start are as if they had been touched.
#[test]
fn pages_given_in_advance_hold_what_they_would() {
    for (pages, data) in IMAGES {
        let template = template(pages, data);
        let mut first = space(Arc::clone(&template), Skeleton::default());
        use_all(&mut first, data);
        let mut second = space(template, first.end());
        let given = mapped(&second);
        assert!(given.contains_key(&STACK.start), "it was touched before");
        let is_own = |page: &u64| *page >= WINDOWS_START && !(layout::INPUT_START..).contains(page);
        assert!(given.iter().filter(|(page, _)| is_own(page)).all(|(_, start)| *start == [0; 8]));
        if let Some(data) = data {
            assert_eq!(read(&mut second, data, PAGE), [b'w'; PAGE_LEN]);
            assert_eq!(read(&mut second, data + PAGE, 8), b"partial\0");
            assert_eq!(read(&mut second, data + PAGE + 7, 2 * PAGE - 7), [0; 2 * PAGE_LEN - 7]);
        }
        let _kept = second.end();
    }
}

fn read(space: &mut AddressSpace, address: u64, len: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = space.read(address, len, |piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    });
    assert_eq!(read, Ok(()));
    bytes
}

/// One page in each of many blocks: a table for each, found at once, charged, and given back.
#[test]
fn the_notes_on_tables_are_the_instances_own() {
    const BLOCKS: u64 = if cfg!(miri) { 12 } else { 700 };
    const FRAMES: usize = if cfg!(miri) { 600 } else { 2_900 };
    let template = template(2, None);
    let input = PageBuffer::from_bytes(b"input").expect("the arena is large");
    let reservation = Reservation::new(FRAMES).expect("the arena is large");
    let mut space = AddressSpace::empty(template, input, reservation, Skeleton::default());
    space.lay_out(HEAP_LEN, OUTPUT_LEN).expect("it fits");
    let before = space.frames_left();
    let mapped: Vec<u64> = (0..BLOCKS)
        .map(|_| space.map(2 << 20, Protection::ReadWrite).expect("there is room"))
        .collect();
    for address in &mapped {
        write(&mut space, *address);
    }
    // Each block has its page, and a table for all of it.
    let taken = before - space.frames_left();
    let least = 2 * BLOCKS as usize;
    assert!((least + 1..least + least / 20 + 5).contains(&taken), "{taken} frames");
    for address in &mapped {
        assert_eq!(read(&mut space, *address, 8), b"input\0\0\0");
        space.unmap(*address, 2 << 20).expect("it is mapped");
    }
    // The tables are kept for what is mapped next, and no more are made.
    let left = space.frames_left();
    for _ in 0..BLOCKS {
        let address = space.map(2 << 20, Protection::ReadWrite).expect("there is room");
        write(&mut space, address);
    }
    assert!(space.frames_left() + BLOCKS as usize + 12 >= left);
    let skeleton = space.end();
    assert_eq!((space.frames_left(), skeleton.frames()), (FRAMES - 7, 7));
}

/// Whoever maps and unmaps for ever gets addresses for ever.
#[test]
fn addresses_come_back() {
    let mut space = space(template(2, None), Skeleton::default());
    let kept = space.map(PAGE, Protection::ReadWrite).expect("there is room");
    // Near the end of all addresses.
    space.mapped_end = USER_END - 5 * PAGE;
    let first = space.map(2 * PAGE, Protection::ReadWrite).expect("there is room");
    let second = space.map(2 * PAGE, Protection::ReadWrite).expect("there is room");
    assert_eq!(first, USER_END - 5 * PAGE);
    assert_eq!(second, kept + 2 * PAGE, "behind what is there, and a guard page");
    for _ in 0..20 {
        let again = space.map(8 * PAGE, Protection::ReadWrite).expect("there is room");
        write(&mut space, again);
        space.unmap(again, 8 * PAGE).expect("it is mapped");
        assert_eq!(again, second + 3 * PAGE);
    }
}
