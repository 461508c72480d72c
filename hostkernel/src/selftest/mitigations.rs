//! What is cleared on the way out to ring 3 and in, on whatever processor, by plans of our own.
//!
//! Emulation shows that the instructions are executed when they should be, that they harm nothing,
//! and nothing of what they are for: it neither guesses nor has buffers.

use super::Bench;
use super::isolation;
use super::program::{TIMEOUT_MS, invocation, overdue, template};
use crate::arch::mitigation::{self, taken};
use crate::arch::programs;
use crate::arch::{clock, cpuid};
use crate::worker::{Resume, go_on};
use node::dispatch::End;
use node::mitigation::{Entry, Mode, Plan, WayOut, decide};
use node::registry::Namespace;

/// `TCGTCGTCGTCG`, in registers B, C and D.
const TCG: [u32; 3] = [0x5447_4354, 0x4354_4743, 0x4743_5447];

/// Whether predictions can be made to forget. QEMU's emulator has nothing to forget, does not say
/// that it can, and lets it pass.
fn can_forget() -> bool {
    let words = mitigation::words();
    let leaf = cpuid::features(0x4000_0000, 0);
    words.has_ibpb() || words.is_virtual() && [leaf.ebx, leaf.ecx, leaf.edx] == TCG
}

/// All that can be cleared here.
fn everything() -> WayOut {
    let always = WayOut::BUFFERS.and(WayOut::DIVIDER);
    if can_forget() { always.and(WayOut::PREDICTIONS) } else { always }
}

/// Runs with a plan, and then with the processor's own again.
fn with(plan: Plan, run: impl FnOnce()) {
    mitigation::enable(&plan);
    run();
    let (words, threads) = (mitigation::words(), mitigation::threads(false));
    mitigation::enable(&decide(&words, Mode::Auto, threads).plan);
}

/// The table in `mitigation/way_out.rs`, walked through.
pub fn way_out(bench: &mut Bench) {
    let forgets = usize::from(can_forget());
    let plan = Plan { way_out: everything(), ..Plan::default() };
    // Whoever ran before, now it is this namespace.
    bench.exits(programs::exit(), 0);
    with(plan, || {
        let _before = taken::take();
        bench.exits(programs::exit(), 0);
        let ([instance, others, tenant], cleared) = taken::take();
        assert_eq!((others, tenant), (1, 0), "one first entry");
        assert_eq!(cleared, [instance + others, 0, instance + others]);

        let mut strange = invocation(&template(programs::exit()), b"", TIMEOUT_MS);
        strange.permit = Namespace::new("other").admit(0).expect("there are no quotas");
        assert_eq!(bench.worker.run(strange, &mut go_on).end, End::Exit(0));
        let ([instance, others, tenant], cleared) = taken::take();
        assert_eq!((others, tenant), (0, 1), "another tenant's first entry");
        assert_eq!(cleared, [instance + tenant, forgets, instance + tenant]);

        // Page faults and calls.
        assert_eq!(bench.run(programs::stain(), b"").end, End::Exit(0));
        let ([instance, others, tenant], cleared) = taken::take();
        assert_eq!((others, tenant), (0, 1), "back to the first");
        assert!(instance > 0, "it touches pages of its own");
        assert_eq!(cleared, [instance + tenant, forgets, instance + tenant]);

        // Interrupts, after each of which the front may have worked.
        let endless = invocation(&template(programs::endless()), b"", 20);
        let mut interrupts = 0;
        let end = bench.worker.run(endless, &mut |_, at_ns| {
            interrupts += 1;
            Resume { at_ns, again_ns: clock::now_ns() + 1_000_000 }
        });
        assert_eq!(end.end, overdue(20));
        let ([instance, others, tenant], cleared) = taken::take();
        // Called once before each entry; the interrupt past the deadline calls nobody.
        assert_eq!((others, tenant), (interrupts, 0));
        assert!(others > 2, "it was interrupted and went on");
        assert_eq!(cleared, [instance + others, 0, instance + others]);
    });
    let _ours = taken::take();
    bench.exits(programs::exit(), 0);
}

/// Every guard on the way in, with everything cleared on the way out: actions notice nothing.
pub fn guards(bench: &mut Bench) {
    let mut entries = [Entry::Nothing, Entry::FillHistory, Entry::Barrier].to_vec();
    entries.retain(|entry| *entry != Entry::Barrier || can_forget());
    for entry in entries {
        with(Plan { entry, way_out: everything(), ..Plan::default() }, || {
            isolation::registers(bench);
            isolation::nothing_left_behind(bench);
            isolation::answers(bench);
            isolation::faults(bench);
            isolation::odd_entries(bench);
            isolation::deadline(bench);
        });
    }
}
