//! What an action can see, and how it ends.

use alloc::sync::Arc;

use super::Bench;
use super::program::{TEXT, TIMEOUT_MS, invocation, overdue, template};
use crate::arch::clock;
use crate::arch::programs::{self, DATA};
use crate::worker::{Resume, go_on};
use limits::PAGE_LEN;
use memory::Access;
use memory::core_area::{self, ENTRY_SPACE};
use memory::kernel_map::{self, Leaf};
use memory::{AddressSpace, PageBuffer, Reservation, Skeleton, failure, frames};
use node::dispatch::{End, Exception, Fault};

/// Walks the tables an action of this core runs on, of a first instance and of those after it.
pub fn live_tables(_: &mut Bench) {
    let mut skeleton = Skeleton::default();
    for _ in 0..3 {
        skeleton = walk_live_tables(skeleton);
    }
}

fn walk_live_tables(skeleton: Skeleton) -> Skeleton {
    let reservation = Reservation::new(64).expect("there is memory");
    let input = PageBuffer::from_bytes(b"input").expect("there is memory");
    let echo = template(programs::echo());
    let mut space = AddressSpace::empty(echo, input, reservation, skeleton);
    space.lay_out(1 << 20, 1 << 20).expect("it fits");
    space.set_kernel_entry(core_area::kernel_entry());
    space.place_context(&[0; 64], b"A=b\0", b"").expect("it fits");
    let output = space.output_range().address;
    for address in [TEXT, DATA, output] {
        let access = if address == TEXT { Access::Execute } else { Access::Write };
        space.resolve(address, access).expect("it is the action's own");
    }
    let (mut own, mut entry_text, mut entry_area) = (0, 0, 0);
    let text = kernel_map::entry_text();
    let entry_pages = core_area::entry_pages();
    kernel_map::for_each_leaf(space.root(), &mut |leaf: Leaf| {
        assert!(!(leaf.writable && leaf.executable), "{leaf:x?}");
        assert_eq!(leaf.len, PAGE_LEN as u64, "{leaf:x?}");
        if leaf.address < memory::space::USER_END {
            assert!(leaf.user, "{leaf:x?}");
            own += 1;
        } else if text.contains(&leaf.address) {
            assert!(!leaf.user && leaf.executable && !leaf.writable, "{leaf:x?}");
            entry_text += 1;
        } else {
            assert!(!leaf.user && !leaf.executable, "{leaf:x?}");
            assert!((ENTRY_SPACE..ENTRY_SPACE + (1 << 21)).contains(&leaf.address), "{leaf:x?}");
            entry_area += 1;
        }
    });
    // Text, two data pages of which one was touched, input, context, output.
    assert_eq!(own, 5, "own pages");
    assert_eq!(entry_text * PAGE_LEN as u64, text.end - text.start);
    assert_eq!(entry_area, entry_pages);
    space.end()
}

pub fn answers(bench: &mut Bench) {
    for input in [&b""[..], b"a", &[7; 3 * PAGE_LEN + 5]] {
        let completion = bench.run(programs::echo(), input);
        assert_eq!(completion.end, End::Exit(0));
        assert_eq!(completion.output.to_vec().expect("there is memory"), input);
    }
}

pub fn nothing_left_behind(bench: &mut Bench) {
    for _ in 0..20 {
        bench.exits(programs::stain(), 0);
        bench.exits(programs::look(), 0);
    }
}

pub fn registers(bench: &mut Bench) {
    bench.exits(programs::registers(), 0);
    bench.exits(programs::stain(), 0);
    bench.exits(programs::registers(), 0);
}

type Program = fn() -> &'static [u8];

pub fn faults(bench: &mut Bench) {
    let exception = |exception| Fault::Exception { exception, instruction: TEXT };
    let page = |access, address| Fault::Page { access, address, instruction: TEXT };
    let kernel = 0xffff_ffff_8000_0000;
    let below_stack = action_abi::IMAGE_END;
    let cases = [
        (programs::undefined as Program, exception(Exception::InvalidOpcode)),
        (programs::privileged, exception(Exception::GeneralProtection)),
        (programs::software_interrupt, exception(Exception::GeneralProtection)),
        (programs::divide, exception(Exception::Divide)),
        (programs::read_null, page(Access::Read, 0)),
        (programs::read_kernel, page(Access::Read, kernel)),
        (programs::write_text, page(Access::Write, TEXT)),
        (programs::write_past_data, page(Access::Write, DATA + 0x2000)),
        (
            programs::overflow_stack,
            Fault::StackOverflow { address: below_stack, instruction: TEXT },
        ),
    ];
    for (program, fault) in cases {
        assert_eq!(bench.run(program(), b"").end, End::Fault(fault));
        bench.exits(programs::exit(), 0);
    }
}

/// Ways into the kernel in which processors and their emulators differ: what each may come to.
pub fn odd_entries(bench: &mut Bench) {
    use Exception::{AlignmentCheck, Breakpoint, Debug, GeneralProtection, InvalidOpcode, Simd};
    let cases: [(Program, &[Exception], bool); 6] = [
        // Not every emulator makes these two checks.
        (programs::misaligned, &[AlignmentCheck], true),
        (programs::divide_vector, &[Simd], true),
        (programs::int1, &[Debug, InvalidOpcode], false),
        (programs::sysenter, &[GeneralProtection, InvalidOpcode], false),
        (programs::shadowed_call, &[Debug], true),
        (programs::shadowed_breakpoint, &[Breakpoint, Debug], false),
    ];
    for (number, (program, exceptions, may_exit)) in cases.into_iter().enumerate() {
        let end = bench.run(program(), b"").end;
        match end {
            End::Exit(0) if may_exit => {}
            End::Fault(Fault::Exception { exception, .. }) if exceptions.contains(&exception) => {}
            _ => panic!("case {number} ended in {end:?}"),
        }
        bench.exits(programs::exit(), 0);
        log::debug!("odd entry {number}: {end:?}");
    }
}

pub fn deadline(bench: &mut Bench) {
    let endless = template(programs::endless());
    for timeout_ms in [1, 5, 20] {
        let completion = bench.worker.run(invocation(&endless, b"", timeout_ms), &mut go_on);
        assert_eq!(completion.end, overdue(timeout_ms));
        assert!(completion.timing.run_ns >= timeout_ms * 1_000_000);
        bench.exits(programs::exit(), 0);
    }
}

pub fn late_deadline(bench: &mut Bench) {
    let completion =
        bench.worker.run(invocation(&template(programs::endless()), b"", 0), &mut go_on);
    assert_eq!(completion.end, overdue(0));
    bench.exits(programs::exit(), 0);
}

/// A network that has something to do all the time: what it takes is not the action's, which still
/// gets all of its own.
pub fn lost_time(bench: &mut Bench) {
    const TIMEOUT_MS: u64 = 20;
    const SERVED_NS: u64 = 3_000_000;
    const SLICE_NS: u64 = 1_000_000;
    let begin_ns = clock::now_ns();
    let mut served = 0;
    let endless = invocation(&template(programs::endless()), b"", TIMEOUT_MS);
    let completion = bench.worker.run(endless, &mut |_, _| {
        served += 1;
        clock::spin_us(SERVED_NS / 1000);
        let at_ns = clock::now_ns();
        Resume { at_ns, again_ns: at_ns + SLICE_NS }
    });
    let passed_ns = clock::now_ns() - begin_ns;
    assert_eq!(completion.end, overdue(TIMEOUT_MS));
    let run_ns = completion.timing.run_ns;
    assert!(run_ns >= TIMEOUT_MS * 1_000_000, "{run_ns}");
    assert!(passed_ns - run_ns >= served * SERVED_NS, "{passed_ns} - {run_ns}, {served} times");
    bench.exits(programs::exit(), 0);
}

pub fn not_started(bench: &mut Bench) {
    let exit = template(programs::exit());
    let mut invocation = invocation(&exit, b"", TIMEOUT_MS);
    invocation.limits.memory_mb = 1 << 20;
    let completion = bench.worker.run(invocation, &mut go_on);
    assert_eq!(completion.end, End::NotStarted);
    bench.exits(programs::exit(), 0);
    assert_eq!(Arc::strong_count(&exit), 1, "what did not start holds nothing");
}

/// Refuses every single request for frames that an invocation makes, one after the other.
pub fn frames_refused(bench: &mut Bench) {
    let echo = template(programs::echo());
    let mut starved = 0;
    loop {
        let invocation = invocation(&echo, &[7; 3 * PAGE_LEN], TIMEOUT_MS);
        let before = frames::available();
        let (completion, refused) =
            failure::refuse_nth(starved, || bench.worker.run(invocation, &mut go_on));
        let (end, output_len) = (completion.end, completion.output.len());
        drop(completion);
        // The input is the invocation's, and was made before.
        assert_eq!(frames::available(), before + 3, "after refusal {starved}");
        bench.exits(programs::exit(), 0);
        if !refused {
            assert_eq!((end, output_len), (End::Exit(0), 3 * PAGE_LEN));
            break;
        }
        match (starved, end) {
            // The reservation of the whole limit.
            (0, End::NotStarted) => {}
            (1.., End::Fault(Fault::Memory { memory_mb: 4, .. })) => {}
            _ => panic!("refusal {starved} ended in {end:?}"),
        }
        starved += 1;
    }
    // The reservation, context, three pages of output; the first tables are there.
    assert!(starved >= 5, "only {starved} requests for frames");
}

/// Refuses every single request to the heap that an invocation makes: with tables and regions of
/// every kind, and a result longer than what needs no list.
pub fn heap_refused(bench: &mut Bench) {
    let program = template(programs::map_far());
    let mut starved = 0;
    loop {
        let mut invocation = invocation(&program, &[7; 6 * PAGE_LEN], TIMEOUT_MS);
        invocation.limits.memory_mb = 16;
        // As the API makes it: with room for no more.
        invocation.environment.shrink_to_fit();
        let before = frames::available();
        let (completion, refused) =
            failure::heap::refuse_nth(starved, || bench.worker.run(invocation, &mut go_on));
        let end = completion.end;
        drop(completion);
        assert_eq!(frames::available(), before + 6, "after refusal {starved}");
        bench.exits(programs::exit(), 0);
        match end {
            End::Exit(0) if !refused => break,
            End::Fault(Fault::Memory { memory_mb: 16, .. }) if refused => starved += 1,
            _ => panic!("refusal {starved} ended in {end:?}"),
        }
    }
    // The environment's deadline, and the result's list.
    assert!(starved >= 2, "only {starved} requests to the heap");
}
