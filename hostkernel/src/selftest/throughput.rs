//! Many invocations: nothing leaks, every core works, nothing waits behind a busy core.

use super::Bench;
use super::program::{TIMEOUT_MS, invocation, overdue, template};
use crate::arch::programs;
use crate::worker::go_on;
use memory::frames;
use node::dispatch::{End, Fault};

pub fn frames(bench: &mut Bench) {
    let (good, endless, bad) = (
        template(programs::echo()),
        template(programs::endless()),
        template(programs::undefined()),
    );
    let mut run = |round: u32| {
        let (program, timeout_ms) = match round % 100 {
            0 => (&endless, 1),
            1..10 => (&bad, TIMEOUT_MS),
            _ => (&good, TIMEOUT_MS),
        };
        bench.worker.run(invocation(program, b"some input", timeout_ms), &mut go_on).end
    };
    run(2);
    let before = frames::available();
    for round in 0..2_000 {
        let end = run(round);
        match round % 100 {
            0 => assert_eq!(end, overdue(1)),
            1..10 => assert!(matches!(end, End::Fault(Fault::Exception { .. }))),
            _ => assert_eq!(end, End::Exit(0)),
        }
    }
    assert_eq!(frames::available(), before);
}

impl Bench {
    /// Submits invocations and takes their completions until `count` have ended. On one core the
    /// front is the worker, too.
    fn collect(&mut self, count: usize, mut each: impl FnMut(u32, End)) {
        let mut ended = 0;
        while ended < count {
            if self.cores == 1 {
                self.worker.step(self.dispatcher, &mut go_on);
            }
            while let Some(completion) = self.dispatcher.completed() {
                each(completion.usage.core, completion.end);
                ended += 1;
            }
            core::hint::spin_loop();
        }
    }
}

pub fn all_workers(bench: &mut Bench) {
    /// Enough, however late the host lets one of the cores run: others take what waits for it.
    const ROUNDS_MAX: usize = 10_000;
    const ROUNDS: usize = 50;
    let exit = template(programs::exit());
    let workers = bench.dispatcher.workers();
    let mut ran = [false; limits::CORES_MAX];
    let mut round = |ran: &mut [bool]| {
        for _ in 0..workers * 4 {
            let invocation = invocation(&exit, b"", TIMEOUT_MS);
            bench.dispatcher.submit(invocation).expect("the queues are longer");
        }
        bench.collect(workers * 4, |core, end| {
            assert_eq!(end, End::Exit(0));
            ran[core as usize] = true;
        });
    };
    let all_ran = |ran: &[bool]| ran.iter().filter(|ran| **ran).count() == workers;
    // A worker keeps some tables from its first instance on.
    let needed = (0..ROUNDS_MAX).find(|_| {
        round(&mut ran);
        all_ran(&ran)
    });
    assert!(needed.is_some(), "a worker never ran anything");
    let before = frames::available();
    (0..ROUNDS).for_each(|_| round(&mut ran));
    assert_eq!(bench.dispatcher.outstanding(), 0);
    // Other cores may still hold the last instance for an instant after they handed in its end.
    while frames::available() < before {
        core::hint::spin_loop();
    }
}

pub fn stealing(bench: &mut Bench) {
    const LONG_MS: u64 = 300;
    let (endless, exit) = (template(programs::endless()), template(programs::exit()));
    bench.dispatcher.submit(invocation(&endless, b"", LONG_MS)).expect("there is room");
    const SHORT: usize = 30;
    for _ in 0..SHORT {
        let invocation = invocation(&exit, b"", TIMEOUT_MS);
        bench.dispatcher.submit(invocation).expect("there is room");
    }
    let mut order = alloc::vec::Vec::new();
    bench.collect(SHORT + 1, |_, end| order.push(end));
    if bench.dispatcher.workers() > 1 {
        assert_eq!(order.last(), Some(&overdue(LONG_MS)), "nothing waited for the long one");
    }
}
