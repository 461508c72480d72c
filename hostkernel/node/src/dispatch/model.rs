//! Every interleaving of a sleeper and one who queues work for it, by loom.
//!
//! The queue is weaker here than in the kernel: a counter without any ordering. Should the sleeper
//! halt while there is work and nobody is left to wake it, loom reports a deadlock; it does as soon
//! as one of the two fences is missing.

use loom::sync::atomic::{self, AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

#[path = "sleeper.rs"]
#[allow(clippy::duplicate_mod, reason = "the same code over loom's atomics")]
mod sleeper;
use sleeper::Sleeper;

const CORE: usize = 3;

struct Core {
    sleeper: Sleeper,
    queued: AtomicUsize,
    interrupt: Interrupt,
}

/// Stays raised if it comes before the halt.
#[derive(Default)]
struct Interrupt {
    raised: Mutex<bool>,
    arrived: Condvar,
}

impl Interrupt {
    fn raise(&self) {
        *self.raised.lock().expect("nobody panics") = true;
        self.arrived.notify_one();
    }

    fn halt(&self) {
        let mut raised = self.raised.lock().expect("nobody panics");
        while !*raised {
            raised = self.arrived.wait(raised).expect("nobody panics");
        }
        *raised = false;
    }
}

// One producer only: with two, loom 0.7 explores an order that the language forbids (a store before
// one sequentially consistent fence, missed after a later one) and reports a deadlock. On x86,
// where such a fence empties the store buffer, the argument for one producer holds for each of
// several.
#[test]
fn nobody_sleeps_over_work_in_any_order() {
    loom::model(|| {
        let core = Arc::new(Core {
            sleeper: Sleeper::new(CORE),
            queued: AtomicUsize::new(0),
            interrupt: Interrupt::default(),
        });
        let other = Arc::clone(&core);
        thread::spawn(move || {
            other.queued.fetch_add(1, Ordering::Relaxed);
            other.sleeper.notify(|number| {
                assert_eq!(number, CORE);
                other.interrupt.raise();
            });
        });
        while core.queued.swap(0, Ordering::Relaxed) == 0 {
            core.sleeper
                .sleep(|| core.queued.load(Ordering::Relaxed) > 0, || core.interrupt.halt());
        }
    });
}
