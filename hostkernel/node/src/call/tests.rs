//! Every call with good and bad arguments, against a real address space in host memory.

use alloc::sync::Arc;
use alloc::vec::Vec;

use action_abi::protection::{EXECUTE, READ, WRITE};

use super::*;
use crate::dispatch::Fault;
use limits::{BODY_MB_DEFAULT, LOG_LEN_MAX, PAGE_LEN};
use memory::Access;
use memory::{LoadPlan, Segment};
use memory::{Reservation, Template, install_for_test};

const TEXT: u64 = 0x40_0000;
const DATA: u64 = 0x40_1000;
/// Data of a whole page of the file.
const WHOLE: u64 = 0x40_4000;
const TIME_NS: u64 = 7;

fn instance(pages: usize) -> Instance {
    install_for_test();
    let mut code = PageBuffer::from_bytes(&[0xcc; PAGE_LEN]).expect("the arena is large");
    code.append(&[b'w'; PAGE_LEN]).expect("the arena is large");
    code.append(b"initial data").expect("the arena is large");
    let segment = |address, file_offset, file_len, memory_len, protection| Segment {
        address,
        memory_len,
        file_offset,
        file_len,
        protection,
    };
    let plan = LoadPlan {
        entry: TEXT,
        segments: Vec::from([
            segment(TEXT, 0, 4096, 4096, Protection::ReadExecute),
            segment(DATA, 8192, 12, 8192, Protection::ReadWrite),
            segment(WHOLE, 4096, 4096, 4096, Protection::ReadWrite),
        ]),
        is_host: false,
    };
    let template = Arc::new(Template::build(&plan, code).expect("the arena is large"));
    let reservation = Reservation::new(pages).expect("the arena is large");
    let input = PageBuffer::from_bytes(b"hello").expect("the arena is large");
    let space = AddressSpace::new(template, input, 1 << 20, reservation).expect("it fits");
    Instance {
        space,
        log: Log::default(),
        limits: Limits { timeout_ms: 1000, memory_mb: 1, logs_mb: 1 },
        clock: || TIME_NS,
        written: 0,
        output: PageBuffer::new(),
        host: None,
    }
}

fn call(instance: &mut Instance, call: Call, arguments: [u64; 3]) -> Result<u64, CallError> {
    let [a, b, c] = arguments;
    match serve(instance, call as u64, [a, b, c, 0]) {
        After::Resume(result) => CallError::check(result),
        after => panic!("unexpected {after:?}"),
    }
}

fn read(instance: &mut Instance, address: u64, len: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = instance.space.read(address, len, |piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    });
    assert_eq!(read, Ok(()));
    bytes
}

#[test]
fn unknown_calls_are_refused() {
    let mut instance = instance(64);
    for number in [6, 7, 14, 16, 255, u64::MAX] {
        let result = serve(&mut instance, number, [0; 4]);
        assert_eq!(result, After::Resume(CallError::UnknownCall.to_result()));
    }
}

#[test]
fn writes_and_exit_make_the_result() {
    let mut instance = instance(64);
    let input = instance.space.input_range().address;
    assert_eq!(call(&mut instance, Call::Write, [input, 5, 0]), Ok(5));
    assert_eq!(call(&mut instance, Call::Write, [DATA, 7, 0]), Ok(7));
    let end = serve(&mut instance, Call::Exit as u64, [3, 0, 0, 0]);
    assert_eq!(end, After::End(End::Exit(3)));
    assert_eq!(instance.output.to_vec().expect("it is short"), b"helloinitial");
}

#[test]
fn a_result_may_cross_pages_and_have_untouched_ones() {
    let mut instance = instance(64);
    let window = instance.space.output_range();
    instance.space.resolve(window.address + 4096, Access::Write).expect("it is the window");
    let end = serve(&mut instance, Call::Exit as u64, [0, 3 * 4096 + 1, 0, 0]);
    assert_eq!(end, After::End(End::Exit(0)));
    assert_eq!(instance.output.len(), 3 * 4096 + 1);
    assert!(instance.output.chunks().flatten().all(|byte| *byte == 0));
}

#[test]
fn what_may_leave_is_in_the_window() {
    let mut instance = instance(64);
    let max = instance.space.output_range().len;
    for len in [0, 1, max] {
        let after = serve(&mut instance, Call::Flush as u64, [len, 0, 0, 0]);
        assert_eq!(after, After::Flush { len });
    }
    let after = serve(&mut instance, Call::Flush as u64, [max + 1, 0, 0, 0]);
    assert_eq!(after, After::Resume(CallError::LimitReached.to_result()));
    // What was appended is the result, whatever else is said.
    call(&mut instance, Call::Write, [DATA, 3, 0]).expect("data can be read");
    let after = serve(&mut instance, Call::Flush as u64, [max, 0, 0, 0]);
    assert_eq!(after, After::Flush { len: 3 });
}

#[test]
fn a_result_longer_than_the_window_is_a_fault() {
    for more in [1, u64::MAX / 2] {
        let mut instance = instance(64);
        let max = instance.space.output_range().len;
        assert_eq!(max, BODY_MB_DEFAULT << 20);
        let len = max + more;
        let end = serve(&mut instance, Call::Exit as u64, [0, len, 0, 0]);
        assert_eq!(end, After::End(End::Fault(Fault::ResultTooLong { len, max })));
    }
    let mut instance = instance(4096);
    let window = instance.space.output_range();
    let all = call(&mut instance, Call::Write, [window.address, window.len, 0]);
    assert_eq!(all, Ok(window.len));
    let more = call(&mut instance, Call::Write, [window.address, 1, 0]);
    assert_eq!(more, Err(CallError::LimitReached));
}

#[test]
fn claims_outside_the_address_space_are_refused() {
    let kernel_half = 0xffff_ffff_8000_0000;
    for address in [0, 8, TEXT - 1, kernel_half, u64::MAX, 0x80_0000_0000] {
        let mut instance = instance(64);
        let write = call(&mut instance, Call::Write, [address, 16, 0]);
        assert_eq!(write, Err(CallError::BadAddress), "{address:#x}");
        let log = call(&mut instance, Call::Log, [address, 16, 1]);
        assert_eq!(log, Err(CallError::BadAddress), "{address:#x}");
    }
    let mut instance = instance(64);
    let past_end = call(&mut instance, Call::Write, [DATA, 8193, 0]);
    assert_eq!(past_end, Err(CallError::BadAddress));
}

#[test]
fn the_log_marks_streams_and_is_bounded() {
    let mut instance = instance(64);
    assert_eq!(call(&mut instance, Call::Log, [DATA, 7, 1]), Ok(7));
    assert_eq!(call(&mut instance, Call::Log, [DATA, 12, 2]), Ok(12));
    let logged = |instance: &Instance| {
        let text = instance.log.text.to_vec().expect("short");
        Log::lines(&text)
            .map(|line| (line.stream.name(), line.at_ns, line.text.to_vec()))
            .collect::<Vec<_>>()
    };
    let both =
        [("stdout", TIME_NS, b"initial".to_vec()), ("stderr", TIME_NS, b"initial data".to_vec())];
    assert_eq!(logged(&instance), both);
    assert_eq!(call(&mut instance, Call::Log, [DATA, 1, 3]), Err(CallError::BadArgument));
    // What could be read is kept, as a line of its own.
    let past_end = call(&mut instance, Call::Log, [DATA + 8191, 2, 1]);
    assert_eq!(past_end, Err(CallError::BadAddress));
    assert_eq!(call(&mut instance, Call::Log, [DATA, 1, 1]), Ok(1));
    assert_eq!(logged(&instance)[2..].len(), 2);
    assert!(!instance.log.truncated);
    while !instance.log.truncated {
        assert!(call(&mut instance, Call::Log, [DATA, 8192, 1]).is_ok_and(|kept| kept <= 8192));
    }
    assert!(instance.log.text.len() <= LOG_LEN_MAX);
    assert_eq!(call(&mut instance, Call::Log, [DATA, u64::MAX, 1]), Ok(0));
}

#[test]
fn a_log_limit_of_nothing_keeps_nothing() {
    let mut instance = instance(64);
    instance.limits.logs_mb = 0;
    assert_eq!(call(&mut instance, Call::Log, [DATA, 7, 1]), Ok(0));
    assert!(instance.log.text.is_empty() && !instance.log.truncated);
}

#[test]
fn mapped_memory_can_be_protected_and_unmapped() {
    let mut instance = instance(64);
    let address = call(&mut instance, Call::Map, [3 * 4096, READ | WRITE, 0]).expect("it fits");
    let space = &mut instance.space;
    for page in 0..3 {
        assert_eq!(space.resolve(address + page * 4096, Access::Write), Ok(()));
    }
    let left = space.frames_left();
    assert_eq!(call(&mut instance, Call::Protect, [address + 4096, 4096, READ]), Ok(0));
    let refused = instance.space.resolve(address + 4096, Access::Write);
    assert_eq!(refused, Err(Refusal::NotAllowed));
    assert_eq!(instance.space.resolve(address, Access::Write), Ok(()));
    assert_eq!(call(&mut instance, Call::Unmap, [address, 2 * 4096, 0]), Ok(0));
    assert_eq!(instance.space.frames_left(), left + 2);
    assert_eq!(instance.space.resolve(address, Access::Read), Err(Refusal::NotAllowed));
    assert_eq!(instance.space.resolve(address + 8192, Access::Write), Ok(()));
    assert_eq!(call(&mut instance, Call::Unmap, [address, 4096, 0]), Err(CallError::BadArgument));
}

#[test]
fn absurd_mappings_are_refused() {
    let mut instance = instance(if cfg!(miri) { 20 } else { 64 });
    let mut map = |len, bits| call(&mut instance, Call::Map, [len, bits, 0]);
    assert_eq!(map(0, READ), Err(CallError::BadArgument));
    assert_eq!(map(u64::MAX, READ), Err(CallError::BadArgument));
    assert_eq!(map(1 << 62, READ), Err(CallError::OutOfMemory));
    assert_eq!(map(4096, 0), Err(CallError::BadArgument));
    assert_eq!(map(4096, WRITE | EXECUTE), Err(CallError::BadArgument));
    assert_eq!(map(4096, 8), Err(CallError::BadArgument));
    // The notes on mappings are the instance's own.
    let refused = core::iter::repeat_with(|| map(1, READ)).find(Result::is_err);
    assert_eq!(refused, Some(Err(CallError::OutOfMemory)));
    for (address, len) in [(TEXT, 4096), (DATA, 8192), (0, 4096), (1, 1), (u64::MAX, 1)] {
        let unmapped = call(&mut instance, Call::Unmap, [address, len, 0]);
        assert_eq!(unmapped, Err(CallError::BadArgument), "{address:#x}");
    }
}

#[test]
fn writing_data_copies_it_and_leaves_the_template_alone() {
    let mut instance = instance(64);
    instance.space.resolve(DATA, Access::Write).expect("data is writable");
    assert_eq!(instance.space.resolve(TEXT, Access::Write), Err(Refusal::NotAllowed));
    assert_eq!(instance.space.resolve(DATA, Access::Execute), Err(Refusal::NotAllowed));
    assert_eq!(read(&mut instance, DATA, 12), b"initial data");
    assert_eq!(read(&mut instance, DATA + 12, 8180), [0; 8180]);
    let writes = call(&mut instance, Call::Write, [WHOLE, 8, 0]);
    assert_eq!(writes, Ok(8));
    let input = instance.space.input_range().address;
    instance.space.copy_within(input, WHOLE, 5).expect("both are mapped");
    assert_eq!(read(&mut instance, WHOLE, 8), b"hellowww");
}

#[test]
fn the_memory_limit_holds() {
    let mut instance = instance(16);
    let heap = instance.space.heap_range();
    let mut touched = 0;
    while instance.space.resolve(heap.address + touched * 4096, Access::Write).is_ok() {
        touched += 1;
    }
    assert!((4..16).contains(&touched), "{touched} pages and their tables");
    assert_eq!(instance.space.frames_left(), 0);
    let end = serve(&mut instance, Call::Exit as u64, [0, 1, 0, 0]);
    assert_eq!(end, After::End(End::Fault(Fault::Memory { memory_mb: 1, address: 0 })));
}

/// A processor may keep its translations across a call or a page fault only as long as none of
/// them has changed.
#[test]
fn what_changes_a_present_entry_says_so() {
    let mut instance = instance(256);
    let space = &mut instance.space;
    assert!(space.take_stale(), "the root may be another space's old one");
    let heap = space.heap_range().address;
    space.resolve(heap, Access::Write).expect("it is the heap");
    // The heap's tables were made with entries that were empty.
    assert!(!space.take_stale());
    space.resolve(heap + 4096, Access::Write).expect("it is the heap");
    space.resolve(heap + 4096, Access::Read).expect("it is there");
    assert!(!space.take_stale(), "new pages are not known to any processor");
    space.resolve(WHOLE, Access::Read).expect("it is data");
    assert!(!space.take_stale(), "the template's page is there");
    space.resolve(WHOLE, Access::Write).expect("it is data");
    assert!(space.take_stale(), "the template's page was replaced");

    let address = call(&mut instance, Call::Map, [8192, READ | WRITE, 0]).expect("there is room");
    instance.space.resolve(address, Access::Write).expect("it is mapped");
    assert!(!instance.space.take_stale());
    call(&mut instance, Call::Protect, [address, 4096, READ]).expect("it is mapped");
    assert!(instance.space.take_stale());
    call(&mut instance, Call::Unmap, [address, 8192, 0]).expect("it is mapped");
    assert!(instance.space.take_stale());
    assert!(!instance.space.take_stale());
}

mod host;
