//! What host images do to their memory, and what becomes of it when they are frozen, against a
//! plain list of pages.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use action_abi::host::Moment;
use proptest::prelude::*;

use super::*;
use crate::frames::balance;
use crate::table::BLOCK_LEN;
use crate::template::{Frozen, Processor};
use crate::{LoadPlan, Segment, install_for_test};
use limits::{INPUT_NEAR_LEN_MAX, STAGES_MAX};

const IMAGE: u64 = 0x6000_0000;
const DATA: u64 = IMAGE + 2 * PAGE;
const HEAP_LEN: u64 = 1 << 20;
const OUTPUT_LEN: usize = 1 << 20;
const FRAMES: usize = 400;
/// Pages of the payload, the last of which is not full.
const PAYLOAD_PAGES: u64 = 5;
/// Templates that are made one from the other.
const STACKED_MAX: usize = 3;
/// Where steps happen: in two blocks, beside the image, and far up.
const AREAS: [u64; 3] = [0x3f_c000, IMAGE + 8 * PAGE, 0x7f12_3450_0000];
const AREA_PAGES: u64 = 12;

/// What is known of a page: what it begins with, what it held when it was mapped, and what may be
/// done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Page {
    byte: u8,
    first: u8,
    protection: Option<Protection>,
}

#[derive(Clone, Debug)]
enum Step {
    Map(u64, u64, Option<Protection>),
    Payload(u64, u64, u64, Option<Protection>),
    Unmap(u64, u64),
    Protect(u64, u64, Option<Protection>),
    Discard(u64, u64),
    Write(u64, u8),
    /// Goes on with an instance: of what is being prepared, which is frozen then.
    Freeze,
    /// Prepares another payload on top of what was frozen last.
    Stack,
}

fn template() -> Arc<Template> {
    install_for_test();
    let code = PageBuffer::from_bytes(&[b'i'; 3 * PAGE_LEN]).expect("the arena is large");
    let segment = |address, file_offset, file_len, protection| Segment {
        address,
        memory_len: file_len + PAGE,
        file_offset,
        file_len,
        protection,
    };
    let segments = Vec::from([
        segment(IMAGE, 0, PAGE, Protection::ReadExecute),
        segment(DATA, PAGE, PAGE + 5, Protection::ReadWrite),
    ]);
    let plan = LoadPlan { entry: IMAGE, segments, is_host: true };
    Arc::new(Template::build(&plan, code).expect("the arena is large"))
}

/// What a page of a stage's payload is full of.
fn payload_byte(stage: u32, page: u64) -> u8 {
    b'A' + page as u8 + 16 * stage as u8
}

fn payload(stage: u32) -> Arc<PageBuffer> {
    let mut payload = PageBuffer::new();
    for page in 0..PAYLOAD_PAGES {
        let len = if page + 1 == PAYLOAD_PAGES { 100 } else { PAGE_LEN };
        let bytes = [payload_byte(stage, page); PAGE_LEN];
        payload.append(&bytes[..len]).expect("the arena is large");
    }
    Arc::new(payload)
}

fn processor() -> Processor {
    Processor { words: [7; Processor::WORDS], extended: None, at: Moment::Start }
}

/// On a core as it is, so that instances of what is frozen begin with tables of the one before.
fn prepared() -> AddressSpace {
    let template = template();
    preparing(template, Skeleton::new().expect("the arena is large"))
}

/// An instance that prepares the payload of its stage.
fn preparing(template: Arc<Template>, skeleton: Skeleton) -> AddressSpace {
    let stage = template.stages();
    let input = PageBuffer::from_bytes(b"init").expect("the arena is large");
    let reservation = Reservation::new(FRAMES).expect("the arena is large");
    let mut space = AddressSpace::empty(template, input, reservation, skeleton);
    space.set_payload(payload(stage)).expect("there are few stages");
    space.lay_out(HEAP_LEN, OUTPUT_LEN).expect("it fits");
    space.place_context(&[b'c'; 100], b"A=b\0", b"").expect("it fits");
    space
}

fn instance(template: &Arc<Template>, skeleton: Skeleton) -> AddressSpace {
    let input = PageBuffer::from_bytes(b"input").expect("the arena is large");
    let reservation = Reservation::new(FRAMES).expect("the arena is large");
    let mut space = AddressSpace::empty(Arc::clone(template), input, reservation, skeleton);
    space.lay_out(HEAP_LEN, OUTPUT_LEN).expect("it fits");
    space.place_context(&[b'd'; 100], b"A=c\0", b"").expect("it fits");
    space
}

type Model = BTreeMap<u64, Page>;

fn pages(start: u64, len: u64) -> impl Iterator<Item = u64> {
    (start..start + len).step_by(PAGE_LEN)
}

/// Does a step, and says whether it was done.
fn apply(space: &mut AddressSpace, model: &mut Model, step: &Step) -> Result<(), Refusal> {
    let covered = |model: &Model, start, len| pages(start, len).all(|it| model.contains_key(&it));
    match *step {
        Step::Map(start, len, protection) => {
            space.map_at(start, len, protection)?;
            let page = Page { byte: 0, first: 0, protection };
            model.extend(pages(start, len).map(|address| (address, page)));
        }
        Step::Payload(start, len, first, protection) => {
            let done = space.map_payload(start, len, protection, first * PAGE);
            if first + len / PAGE > PAYLOAD_PAGES {
                assert_eq!(done, Err(Refusal::BadRange));
            }
            done?;
            let stage = space.payload_stage;
            model.extend(pages(start, len).zip(first..).map(|(address, page)| {
                let byte = payload_byte(stage, page);
                (address, Page { byte, first: byte, protection })
            }));
        }
        Step::Unmap(start, len) => {
            space.unmap_any(start, len)?;
            model.retain(|address, _| !(start..start + len).contains(address));
        }
        Step::Protect(start, len, protection) => {
            let done = space.protect_any(start, len, protection);
            assert_eq!(done == Err(Refusal::BadRange), !covered(model, start, len));
            done?;
            model.range_mut(start..start + len).for_each(|(_, page)| page.protection = protection);
        }
        Step::Discard(start, len) => {
            let done = space.discard(start, len);
            assert_eq!(done == Err(Refusal::BadRange), !covered(model, start, len));
            done?;
            model.range_mut(start..start + len).for_each(|(_, page)| page.byte = page.first);
        }
        Step::Write(address, byte) => {
            let done = space.write(address + 3, &[byte]);
            let page = model
                .get_mut(&address)
                .filter(|page| page.protection == Some(Protection::ReadWrite));
            assert_eq!(done == Err(Refusal::NotAllowed), page.is_none());
            done?;
            if let Some(page) = page {
                page.byte = byte;
            }
        }
        Step::Freeze | Step::Stack => {}
    }
    Ok(())
}

/// Every page of the areas: what may be done and what is there.
fn check(space: &mut AddressSpace, model: &Model) {
    for address in AREAS.into_iter().flat_map(|start| pages(start, AREA_PAGES * PAGE)) {
        let page = model.get(&address);
        let mut byte = None;
        let read = space.read(address + 3, 1, |bytes| {
            byte = Some(bytes[0]);
            Ok(())
        });
        match page.filter(|page| page.protection.is_some()) {
            Some(page) if read.is_ok() => assert_eq!(byte, Some(page.byte), "{address:#x}"),
            Some(_) => assert_eq!(read, Err(Refusal::OutOfMemory)),
            None => assert_eq!(read, Err(Refusal::NotAllowed), "{address:#x}"),
        }
        let executed = space.resolve(address, Access::Execute);
        let may = page.is_some_and(|page| page.protection == Some(Protection::ReadExecute));
        assert!(executed == Err(Refusal::OutOfMemory) || executed.is_ok() == may);
    }
}

fn protection() -> impl Strategy<Value = Option<Protection>> {
    prop_oneof![
        2 => Just(None),
        2 => Just(Some(Protection::Read)),
        6 => Just(Some(Protection::ReadWrite)),
        1 => Just(Some(Protection::ReadExecute)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let range = (0..AREAS.len(), 0..AREA_PAGES, 1..AREA_PAGES).prop_map(|(area, start, len)| {
        let len = len.min(AREA_PAGES - start);
        (AREAS[area] + start * PAGE, len * PAGE)
    });
    prop_oneof![
        3 => (range.clone(), protection()).prop_map(|((at, len), p)| Step::Map(at, len, p)),
        3 => (range.clone(), 0..PAYLOAD_PAGES, protection())
            .prop_map(|((at, len), first, p)| Step::Payload(at, len, first, p)),
        2 => range.clone().prop_map(|(at, len)| Step::Unmap(at, len)),
        3 => (range.clone(), protection()).prop_map(|((at, len), p)| Step::Protect(at, len, p)),
        2 => range.clone().prop_map(|(at, len)| Step::Discard(at, len)),
        9 => (range, any::<u8>()).prop_map(|((at, _), byte)| Step::Write(at, byte)),
        1 => Just(Step::Freeze),
        1 => Just(Step::Stack),
    ]
}

fn run(steps: &[Step]) {
    let mut space = prepared();
    let mut is_preparing = true;
    let mut model = Model::new();
    // What was frozen, the last of which instances begin with.
    let mut frozen: Vec<(Arc<Template>, Model)> = Vec::new();
    for step in steps {
        match step {
            Step::Freeze => {
                if core::mem::take(&mut is_preparing) {
                    let template = space.freeze(processor()).expect("there is memory");
                    frozen.push((Arc::new(template), model.clone()));
                }
                let mut skeleton = space.end();
                // What is made from a template never changes it.
                for (template, first) in &frozen {
                    let mut space = instance(template, skeleton);
                    check(&mut space, first);
                    skeleton = space.end();
                }
                let (template, first) = frozen.last().expect("just now at the latest");
                space = instance(template, skeleton);
                model.clone_from(first);
            }
            Step::Stack if !is_preparing && frozen.len() < STACKED_MAX => {
                let (template, first) = frozen.last().expect("this is an instance of it");
                space = preparing(Arc::clone(template), space.end());
                model.clone_from(first);
                is_preparing = true;
            }
            step => {
                let _ = apply(&mut space, &mut model, step);
            }
        }
        check(&mut space, &model);
    }
    let _kept = space.end();
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 3 } else { 300 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn memory_is_what_was_made_of_it(
        steps in proptest::collection::vec(step(), 0..if cfg!(miri) { 12 } else { 80 }),
    ) {
        template();
        let before = balance::held();
        run(&steps);
        prop_assert_eq!(balance::held(), before, "every frame came back");
    }
}

/// What may not be shaped: windows, what is not whole pages, what is no user address.
#[test]
fn windows_and_nonsense_are_refused() {
    let mut space = prepared();
    let context = space.context_address();
    let (input, output) = (space.input_range().address, space.output_range().address);
    let stack = space.stack_range();
    for (address, len) in [
        (0, PAGE),
        (context, PAGE),
        (input, PAGE),
        (output, PAGE),
        (WINDOWS_START, PAGE),
        (stack.address, stack.len + PAGE),
        (IMAGE, 1 << 40),
        (IMAGE + 1, PAGE),
        (IMAGE, 0),
        (IMAGE, u64::MAX),
        (USER_END, PAGE),
        (USER_END - PAGE, 2 * PAGE),
        (0xffff_8000_0000_0000, PAGE),
        (u64::MAX - PAGE + 1, PAGE),
    ] {
        let refused = Err(Refusal::BadRange);
        assert_eq!(space.map_at(address, len, None), refused, "{address:#x}");
        assert_eq!(space.map_payload(address, len, None, 0), refused, "{address:#x}");
        assert_eq!(space.unmap_any(address, len), refused, "{address:#x}");
        assert_eq!(space.protect_any(address, len, None), refused, "{address:#x}");
        assert_eq!(space.discard(address, len), refused, "{address:#x}");
    }
    assert_eq!(space.discard(DATA, PAGE), Err(Refusal::BadRange), "it is the image's");
    let last = USER_END - PAGE;
    assert_eq!(space.map_at(last, PAGE, Some(Protection::ReadWrite)), Ok(()));
    assert_eq!(space.write(last + PAGE - 1, b"xy"), Err(Refusal::NotAllowed));
    assert_eq!(space.map_payload(AREAS[0], PAGE, None, 1), Err(Refusal::BadRange));
    // A reservation of many terabytes takes nothing but its note.
    let before = space.frames_left();
    assert_eq!(space.map_at(1 << 44, 1 << 45, None), Ok(()));
    assert_eq!(space.frames_left(), before);
    assert_eq!(space.unmap_any(stack.address, stack.len), Ok(()), "its own stack");
    assert_eq!(space.resolve(stack.address, Access::Write), Err(Refusal::NotAllowed));
}

/// An instance goes on with stack, heap, data and output as they were; with a context of its own.
#[test]
fn an_instance_goes_on_where_it_was_frozen() {
    template();
    let before = balance::held();
    let mut space = prepared();
    let (heap, stack) = (space.heap_range().address, space.stack_range());
    let output = space.output_range().address;
    let places = [heap, stack.address + stack.len - PAGE, output, DATA, DATA + 2 * PAGE];
    for address in places {
        space.write(address, b"kept").expect("it may be written");
    }
    space.map_payload(AREAS[2], 2 * PAGE, Some(Protection::Read), PAGE).expect("it is there");
    let frozen = Arc::new(space.freeze(processor()).expect("there is memory"));
    let mut skeleton = space.end();
    drop(space);
    assert_eq!(frozen.frozen().expect("it is").pages(), places.len());
    assert_eq!(frozen.frozen().map(|it| it.payload().len()), Some(4 * PAGE_LEN + 100));
    for number in 1..6 {
        assert_eq!(frozen.frozen().expect("it is").next_instance(), number);
        let mut space = instance(&frozen, skeleton);
        let left = space.frames_left();
        let bytes = |space: &mut AddressSpace, address, len| {
            let mut bytes = Vec::new();
            let read = space.read(address, len, |piece| {
                bytes.extend_from_slice(piece);
                Ok(())
            });
            read.map(|()| bytes)
        };
        for address in places {
            assert_eq!(bytes(&mut space, address, 4).expect("it is there"), b"kept");
        }
        assert_eq!(bytes(&mut space, DATA + PAGE + 4, 2).expect("it is there"), b"i\0");
        assert_eq!(bytes(&mut space, AREAS[2] + PAGE - 1, 2).expect("it is there"), b"BC");
        let context = space.context_address();
        assert_eq!(bytes(&mut space, context, 1).expect("it is there"), b"d");
        let input = space.input_range().address;
        assert_eq!(bytes(&mut space, input, 5).expect("it is there"), b"input");
        // Reading what is there takes no frame but for the tail of the image's data.
        assert!(left - space.frames_left() <= 1 + usize::from(number == 1), "{number}");
        for address in places {
            space.write(address, b"gone").expect("it may be written");
        }
        let result = space.take_output(8).expect("there is memory");
        assert_eq!(result.chunk_at(0), b"gone\0\0\0\0");
        skeleton = space.end();
    }
    drop((frozen, skeleton));
    assert_eq!(balance::held(), before, "every frame came back");
}

/// The tables of an instance are those of the next one of its template, as at the start; another's
/// instance finds nothing in them, and neither does one of a template that took its place.
#[test]
fn tables_stay_for_the_same_template_only() {
    template();
    let before = balance::held();
    let mut frozen = Vec::new();
    let mut skeleton = Skeleton::new().expect("the arena is large");
    for byte in [1, 2] {
        let mut space = preparing(template(), skeleton);
        for area in AREAS {
            space.map_at(area, 2 * PAGE, Some(Protection::ReadWrite)).expect("it fits");
            space.write(area, &[byte; 8]).expect("it may be written");
        }
        frozen.push(Arc::new(space.freeze(processor()).expect("there is memory")));
        skeleton = space.end();
    }
    let mut last = None;
    for (round, number) in [0, 0, 0, 1, 1, 0, 1].into_iter().enumerate() {
        let mut space = instance(&frozen[number], skeleton);
        assert_eq!(space.tables.is_kept(), last.replace(number) == Some(number), "round {round}");
        for area in AREAS {
            let mut first = Vec::new();
            let read = space.read(area, 8, |piece| {
                first.extend_from_slice(piece);
                Ok(())
            });
            read.expect("it is there");
            assert_eq!(first, [number as u8 + 1; 8], "round {round}");
            space.write(area, b"changed!").expect("it may be written");
            space.write(area + PAGE, b"new").expect("it may be written");
        }
        space.protect_any(AREAS[0], PAGE, Some(Protection::Read)).expect("it is there");
        space.unmap_any(AREAS[2], 2 * PAGE).expect("it is there");
        space.map_payload(AREAS[1], PAGE, Some(Protection::Read), 0).expect("it is there");
        space.resolve(AREAS[1], Access::Read).expect("it is there");
        skeleton = space.end();
    }
    // As if another template had come to lie where this one was.
    frozen.clear();
    let mut space = instance(&template(), skeleton);
    assert_eq!(space.resolve(AREAS[2], Access::Read), Err(Refusal::NotAllowed));
    skeleton = space.end();
    drop((space, skeleton));
    assert_eq!(balance::held(), before, "every frame came back");
}

/// An instance that ends before anything is laid out leaves its template's tables behind for that
/// template only.
#[test]
fn tables_of_an_instance_that_never_began_map_nothing_for_others() {
    template();
    let skeleton = Skeleton::new().expect("the arena is large");
    let mut space = preparing(template(), skeleton);
    space.map_at(AREAS[2], PAGE, Some(Protection::ReadWrite)).expect("it fits");
    space.write(AREAS[2], b"secret").expect("it may be written");
    let frozen = Arc::new(space.freeze(processor()).expect("there is memory"));
    let skeleton = instance(&frozen, space.end()).end();

    let reservation = Reservation::new(FRAMES).expect("the arena is large");
    let input = PageBuffer::new();
    let skeleton = AddressSpace::empty(frozen, input, reservation, skeleton).end();
    let other = instance(&template(), skeleton);
    assert!(!other.tables.is_kept());
    let leaf = other.tables.leaf(other.tables.place(AREAS[2]));
    assert!(!leaf.is_present(), "it is the first template's");
}

/// A table of the instance before that was given up, because there were no others, is not found any
/// more for the block that it mapped.
#[test]
fn a_table_that_was_given_up_maps_nothing() {
    template();
    let skeleton = Skeleton::new().expect("the arena is large");
    let mut space = preparing(template(), skeleton);
    let frozen = Arc::new(space.freeze(processor()).expect("there is memory"));
    let mut skeleton = space.end();
    let at = |number: u64| AREAS[0] + (1 + number) * BLOCK_LEN;
    let touch = |space: &mut AddressSpace, number| {
        space.map_at(at(number), PAGE, Some(Protection::ReadWrite)).expect("it fits");
        space.write(at(number), b"here").expect("it may be written");
    };
    for round in 0..3 {
        let mut space = instance(&frozen, skeleton);
        assert_eq!(space.tables.is_kept(), round > 0);
        touch(&mut space, 0);
        if round == 2 {
            // Some are found again, and then there are no more.
            let mut number = 0;
            while !space.tables.is_crowded() {
                number += 1;
                touch(&mut space, number);
            }
            space.unmap_any(at(0), PAGE).expect("it is there");
            touch(&mut space, 0);
            // What was found last is remembered, and is to be another.
            touch(&mut space, number + 1);
            assert!(space.tables.leaf(space.tables.place(at(0))).is_owned_page());
        }
        skeleton = space.end();
    }
}

/// What instances touch of memory that they map themselves comes with the mapping, zeroed; what
/// else is mapped there later, or may not be written, gets nothing.
#[test]
fn what_was_touched_comes_with_what_is_mapped() {
    const LEN: u64 = AREA_PAGES * PAGE;
    let writable = Some(Protection::ReadWrite);
    let mut space = prepared();
    let frozen = Arc::new(space.freeze(processor()).expect("there is memory"));
    let mut skeleton = space.end();
    drop(space);
    let touched = AREAS.map(|start| [start, start + 3 * PAGE]);
    for number in 0..4 {
        let mut space = instance(&frozen, skeleton);
        let first = space.pages();
        for [start, other] in touched {
            space.map_at(start, LEN, writable).expect("it may be mapped");
            let given = space.pages();
            for address in [start, other] {
                let read = space.read(address, 4, |piece| {
                    assert_eq!(piece, [0; 4]);
                    Ok(())
                });
                read.expect("it is there");
                space.write(address, b"mine").expect("it may be written");
            }
            assert_eq!(space.pages() - given, if number == 0 { 2 } else { 0 }, "{number}");
        }
        assert_eq!(space.pages() - first, 2 * AREAS.len() as u64);
        let (before, start) = (space.frames_left(), AREAS[2]);
        space.map_at(start, LEN, Some(Protection::Read)).expect("it may be mapped");
        assert_eq!(space.frames_left(), before + 2, "nothing is given that cannot be written");
        assert_eq!(space.write(start, b"x"), Err(Refusal::NotAllowed));
        skeleton = space.end();
    }
}

/// A template on top of another has what it wrote itself, refers to the other for the rest, and
/// keeps it. Both payloads are where they were mapped.
#[test]
fn what_was_frozen_is_the_base_of_the_next() {
    template();
    let before = balance::held();
    let (runtime, function) = (AREAS[0] + (64 << 20), AREAS[1] + (64 << 20));
    let mut space = prepared();
    for page in pages(runtime, 600 * PAGE).step_by(4) {
        space.map_at(page, PAGE, Some(Protection::ReadWrite)).expect("it fits");
        space.write(page, b"runtime").expect("it may be written");
    }
    let payload_at = AREAS[2];
    space.map_payload(payload_at, 2 * PAGE, Some(Protection::Read), 0).expect("it is there");
    let base = Arc::new(space.freeze(processor()).expect("there is memory"));
    let mut skeleton = space.end();
    drop(space);

    let mut space = preparing(Arc::clone(&base), skeleton);
    assert_eq!(space.payload_len(), 4 * PAGE + 100);
    assert_eq!(base.stages(), 1);
    space.map_at(function, PAGE, Some(Protection::ReadWrite)).expect("it fits");
    space.write(function, b"function").expect("it may be written");
    space.write(runtime + 4 * PAGE, b"changed").expect("it may be written");
    // Beside the pages of the base's payload, in a table that is the base's.
    space.map_payload(payload_at + 4 * PAGE, PAGE, Some(Protection::Read), 0).expect("it is");
    let top = Arc::new(space.freeze(processor()).expect("there is memory"));
    skeleton = space.end();
    drop(space);
    let frozen = top.frozen().expect("it is");
    assert_eq!((top.stages(), frozen.pages()), (2, 2));
    assert!(base.frames() > 150 + 5 && top.frames() < 2 + 5 + 20, "only its own is counted");
    drop(base);

    for _ in 0..4 {
        let mut space = instance(&top, skeleton);
        let mut expect = |address, expected: &[u8]| {
            let mut bytes = Vec::new();
            let read = space.read(address, expected.len() as u64, |piece| {
                bytes.extend_from_slice(piece);
                Ok(())
            });
            read.expect("it is there");
            assert_eq!(bytes, expected, "{address:#x}");
        };
        expect(runtime, b"runtime");
        expect(runtime + 4 * PAGE, b"changed");
        expect(runtime + 596 * PAGE, b"runtime");
        expect(function, b"function");
        expect(payload_at + PAGE - 1, &[payload_byte(0, 0), payload_byte(0, 1)]);
        expect(payload_at + 4 * PAGE, &[payload_byte(1, 0)]);
        space.write(runtime + 596 * PAGE, b"gone").expect("it may be written");
        space.write(function, b"gone").expect("it may be written");
        skeleton = space.end();
    }
    drop((top, skeleton));
    assert_eq!(balance::held(), before, "every frame came back");
}

/// Pages that instances find anyway are not frozen: those given in advance that nobody wrote, those
/// that are what they were again, and zeros. Their protection is what it became.
#[test]
fn what_instances_find_anyway_is_left_behind() {
    template();
    let before = balance::held();
    let start = AREAS[2];
    let [same, changed, advanced, zero] = [0, 1, 2, 3].map(|page| start + page * PAGE);
    let mut space = prepared();
    space.map_at(start, 4 * PAGE, Some(Protection::ReadWrite)).expect("it fits");
    for page in [same, changed, advanced] {
        space.write(page, b"runtime").expect("it may be written");
    }
    let base = Arc::new(space.freeze(processor()).expect("there is memory"));
    let mut skeleton = space.end();
    drop(space);
    let mut space = instance(&base, skeleton);
    space.write(advanced, b"lesson").expect("it may be written");
    skeleton = space.end();
    drop(space);

    let mut space = preparing(Arc::clone(&base), skeleton);
    assert!(space.pages() > 0, "the lesson is known");
    for bytes in [&b"another"[..], b"runtime"] {
        space.write(same, bytes).expect("it may be written");
    }
    space.write(changed, b"function").expect("it may be written");
    space.write(zero, &[0; 9]).expect("it may be written");
    space.protect_any(same, PAGE, Some(Protection::Read)).expect("it is mapped");
    let top = Arc::new(space.freeze(processor()).expect("there is memory"));
    skeleton = space.end();
    drop(space);
    assert_eq!(top.frozen().map(Frozen::pages), Some(1));
    drop(base);
    for _ in 0..3 {
        let mut space = instance(&top, skeleton);
        for (page, expected) in [
            (same, b"runtime\0"),
            (changed, b"function"),
            (advanced, b"runtime\0"),
            (zero, &[0; 8]),
        ] {
            let read = space.read(page, 8, |piece| {
                assert_eq!(piece, expected);
                Ok(())
            });
            read.expect("it is there");
        }
        assert_eq!(space.write(same, b"x"), Err(Refusal::NotAllowed));
        for page in [changed, advanced, zero] {
            space.write(page, b"gone").expect("it may be written");
        }
        skeleton = space.end();
    }
    drop((top, skeleton));
    assert_eq!(balance::held(), before, "every frame came back");
}

/// What was frozen stays right whatever the input: it has two places, the output has one.
#[test]
fn a_long_input_has_a_place_of_its_own() {
    let mut space = prepared();
    let output = space.output_range();
    let near = space.input_range().address;
    space.write(output.address, b"begun, ").expect("it may be written");
    let frozen = Arc::new(space.freeze(processor()).expect("there is memory"));
    let mut skeleton = space.end();
    for len in [1, INPUT_NEAR_LEN_MAX, INPUT_NEAR_LEN_MAX + 1, 3 << 20] {
        let mut bytes = vec![0; len];
        bytes[len - 1] = 251;
        let input = PageBuffer::from_bytes(&bytes).expect("the arena is large");
        let reservation = Reservation::new(FRAMES).expect("the arena is large");
        let mut space = AddressSpace::empty(Arc::clone(&frozen), input, reservation, skeleton);
        space.lay_out(HEAP_LEN, OUTPUT_LEN).expect("it fits");
        assert_eq!(space.output_range(), output);
        let input = space.input_range();
        assert_eq!(input.address == near, len <= INPUT_NEAR_LEN_MAX, "{len}");
        space.copy_within(input.address + len as u64 - 1, output.address + 7, 1).expect("it may");
        let result = space.take_output(8).expect("there is memory");
        let expected = [&b"begun, "[..], &bytes[len - 1..]].concat();
        assert_eq!(result.chunk_at(0), expected, "{len}");
        // None of its windows is its own to shape.
        assert_eq!(space.map_at(input.address, PAGE, None), Err(Refusal::BadRange));
        skeleton = space.end();
    }
}

/// A payload of any size is mapped by reference, before the freeze and after it.
#[test]
fn a_large_payload_costs_tables_only() {
    const PAGES: u64 = if cfg!(miri) { 600 } else { 5_000 };
    let host = template();
    let mut payload = PageBuffer::new();
    for page in 0..PAGES {
        payload.append(&[page as u8; PAGE_LEN]).expect("the arena is large");
    }
    let reservation = Reservation::new(FRAMES).expect("the arena is large");
    let mut space = AddressSpace::empty(host, PageBuffer::new(), reservation, Skeleton::default());
    space.set_payload(Arc::new(payload)).expect("it is the first");
    space.lay_out(HEAP_LEN, OUTPUT_LEN).expect("it fits");
    let before = space.frames_left();
    let at = AREAS[2];
    space.map_payload(at, PAGES * PAGE, Some(Protection::Read), 0).expect("it is there");
    assert_eq!(space.frames_left(), before, "a note, and nothing else");
    let frozen = Arc::new(space.freeze(processor()).expect("there is memory"));
    let skeleton = space.end();
    let tables = frozen.frames() - PAGES as usize;
    assert!(tables < PAGES as usize / 512 + 24, "{tables}");
    let mut space = instance(&frozen, skeleton);
    let before = space.frames_left();
    for page in (0..PAGES).step_by(37) {
        let mut byte = None;
        let read = space.read(at + page * PAGE + 9, 1, |bytes| {
            byte = Some(bytes[0]);
            Ok(())
        });
        assert_eq!((read, byte), (Ok(()), Some(page as u8)));
    }
    assert_eq!(space.frames_left(), before);
    let _kept = space.end();
}

#[test]
fn a_pile_of_templates_has_an_end() {
    let mut template = template();
    for stage in 0..STAGES_MAX {
        let mut space = preparing(template, Skeleton::default());
        assert_eq!(space.payload_stage, stage);
        template = Arc::new(space.freeze(processor()).expect("there is memory"));
    }
    let reservation = Reservation::new(FRAMES).expect("the arena is large");
    let mut space =
        AddressSpace::empty(template, PageBuffer::new(), reservation, Skeleton::default());
    assert_eq!(space.set_payload(payload(0)), Err(Refusal::TooManyStages));
}
