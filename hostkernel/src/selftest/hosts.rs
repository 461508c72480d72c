//! Host images: freezing, reflection, alarms, and how each is attacked.

use alloc::sync::Arc;

use super::Bench;
use super::program::{TEXT, TIMEOUT_MS, host_template, invocation};
use crate::arch::programs;
use crate::worker::go_on;
use action_abi::host::Moment;
use memory::{Access, PageBuffer, Template, failure, frames};
use node::dispatch::{Completion, End, Exception, Fault};

/// Runs a host image to be frozen.
fn prepare(bench: &mut Bench, template: &Arc<Template>) -> Completion {
    prepare_with(bench, template, b"", b"")
}

/// The same with a payload and an input; the template may be a frozen one.
fn prepare_with(
    bench: &mut Bench,
    template: &Arc<Template>,
    payload: &[u8],
    input: &[u8],
) -> Completion {
    let mut invocation = invocation(template, input, TIMEOUT_MS);
    let payload = PageBuffer::from_bytes(payload).expect("there is memory");
    invocation.payload = Some(Arc::new(payload));
    bench.worker.run(invocation, &mut go_on)
}

fn exits(bench: &mut Bench, template: &Arc<Template>, status: i32) {
    let completion = bench.worker.run(invocation(template, b"", TIMEOUT_MS), &mut go_on);
    assert_eq!(completion.end, End::Exit(status));
}

/// Every instance of a frozen one goes on behind the call, as the first; others run in between.
pub fn frozen(bench: &mut Bench) {
    let before = frames::available();
    let host = host_template(programs::freeze());
    let prepared = prepare(bench, &host);
    assert_eq!(prepared.end, End::Frozen { at: Moment::Start });
    let frozen = prepared.frozen.expect("it was frozen");
    for number in 1..8 {
        exits(bench, &frozen, number);
        bench.exits(programs::stain(), 0);
        bench.exits(programs::look(), 0);
        bench.exits(programs::registers(), 0);
    }
    // It is a host's call, and one of preparation.
    exits(bench, &host, -3);
    drop((frozen, host, prepared.permit));
    assert_eq!(frames::available(), before, "every frame came back");
}

/// A frozen template is the base of others, each with a payload and an input of its own, which go
/// on behind its freeze; it stays what it is, and is not counted with them.
pub fn stacked(bench: &mut Bench) {
    let before = frames::available();
    let host = host_template(programs::stack());
    let freeze = |bench: &mut Bench, base: &Arc<Template>, payload: &[u8], input: &[u8]| {
        let prepared = prepare_with(bench, base, payload, input);
        assert_eq!(prepared.end, End::Frozen { at: Moment::Start });
        prepared.frozen.expect("it was frozen")
    };
    let runtime = freeze(bench, &host, b"runtime", b"");
    let functions = [(); 3].map(|()| freeze(bench, &runtime, b"function", b"init"));
    // The file, tables down to it and to the windows, the stack's page, what is learned.
    assert!(functions.iter().all(|function| function.frames() < 24), "only what is its own");
    exits(bench, &runtime, 101);
    drop(runtime);
    for number in 1..4 {
        for function in &functions {
            exits(bench, function, number);
        }
    }
    // Nobody told it what to prepare.
    let [function, ..] = &functions;
    assert_eq!(prepare_with(bench, function, b"", b"").end, End::Exit(99));
    drop((functions, host));
    assert_eq!(frames::available(), before, "every frame came back");
}

/// Refuses every single request for frames that a freeze makes.
pub fn frames_refused(bench: &mut Bench) {
    let host = host_template(programs::freeze());
    let mut starved = 0;
    loop {
        let before = frames::available();
        let (completion, refused) = failure::refuse_nth(starved, || prepare(bench, &host));
        let end = completion.end;
        drop(completion);
        assert_eq!(frames::available(), before, "after refusal {starved}");
        match end {
            End::Frozen { .. } if !refused => break,
            // The reservation; pages in advance, without which it runs, too.
            End::NotStarted | End::Fault(Fault::Memory { .. }) if refused => {}
            End::Frozen { .. } => {}
            _ => panic!("refusal {starved} ended in {end:?}"),
        }
        starved += 1;
    }
    assert!(starved >= 10, "only {starved} requests for frames");
}

/// Calls and exceptions of hosted code come to its host, whatever its flags and stack pointer are.
pub fn reflected(bench: &mut Bench) {
    for _ in 0..3 {
        exits(bench, &host_template(programs::reflect()), 5 + 5 * 10);
        bench.exits(programs::registers(), 0);
    }
}

/// Which calls are a host's own is decided to the byte.
pub fn edges(bench: &mut Bench) {
    for _ in 0..3 {
        exits(bench, &host_template(programs::edges()), 4);
        // What it declared ended with it.
        bench.exits(programs::registers(), 0);
        bench.exits(programs::exit(), 0);
    }
}

/// A host that faults itself, or that cannot be told, ends as every action.
pub fn misused(bench: &mut Bench) {
    let cases = [
        (programs::fault_in_handler(), Exception::Divide),
        (programs::frame_read_only(), Exception::InvalidOpcode),
    ];
    for (program, expected) in cases {
        let template = host_template(program);
        let end = bench.worker.run(invocation(&template, b"", TIMEOUT_MS), &mut go_on).end;
        match end {
            End::Fault(Fault::Exception { exception, .. }) if exception == expected => {}
            _ => panic!("{expected:?} ended in {end:?}"),
        }
        bench.exits(programs::exit(), 0);
    }
    // Without the declaration these calls do not exist, and nothing is reflected.
    let end = bench.run(programs::reflect(), b"").end;
    assert_eq!(end, End::Exit(99));
    let fault = Fault::Page { access: Access::Read, address: 0, instruction: TEXT };
    assert_eq!(bench.run(programs::read_null(), b"").end, End::Fault(fault));
}

pub fn alarms(bench: &mut Bench) {
    for _ in 0..3 {
        exits(bench, &host_template(programs::alarm()), 3);
    }
}
