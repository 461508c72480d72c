//! Hours of mixed use in one run: nothing is answered wrongly, and nothing stays behind.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::books::Books;
use super::linux;
use super::mix::{ACTIONS_USED, Client, Rarity};
use super::session::Session;
use super::{CONTROL, Find};
use crate::qemu::Node;

pub use super::mix::Mix;

/// Clients at the same time, each with a connection of its own.
const CLIENTS: u64 = 32;
/// Invocations before the books are read, so that the tables of the node have grown.
const INVOCATIONS_WARM: u64 = 50 * CLIENTS;

/// Most invocations of a run that is short.
const INVOCATIONS_SHORT: u64 = 50_000;

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Where all choices come from.
    pub seed: u64,
    /// Invocations in all.
    pub invocations: u64,
    /// What clients do.
    pub mix: Mix,
}

impl Plan {
    /// Long runs see every kind often enough; short ones shall not miss the costly ones.
    fn rarity(&self) -> Rarity {
        let over_time = if self.invocations > INVOCATIONS_SHORT { 2_000 } else { 200 };
        Rarity { over_time, over_memory: 500, large: 200, leave: 100, burden: 200 }
    }
}

/// Runs the mix, and returns what the node has before and after.
///
/// `say` hears what is about to be built, and `progress` the number of invocations so far.
///
/// # Errors
/// The first [`Find`], with the seed and the number of the client.
pub fn run(
    node: &Node,
    plan: Plan,
    say: impl Fn(&str),
    progress: impl Fn(u64) + Sync,
) -> Result<Books, Find> {
    let mut session = Session::open(node.address())?;
    for (name, sample, limits) in ACTIONS_USED {
        session.deploy_sample(name, sample, limits)?;
    }
    linux::deploy(&mut session, say)?;
    drop(session);
    let seed = plan.seed.wrapping_add(1);
    let warm = Plan { seed, invocations: INVOCATIONS_WARM, ..plan };
    mix(node, warm, &|_| {})?;
    let before = Books::at_rest(node)?;
    mix(node, plan, &progress)?;
    before.wait_for(node)?;
    let mut session = Session::open(node.address())?;
    super::greet(&mut session, "after all")?;
    session.delete_all_but(CONTROL)?;
    Ok(before)
}

fn mix(node: &Node, plan: Plan, progress: &(impl Fn(u64) + Sync)) -> Result<(), Find> {
    let done = AtomicU64::new(0);
    let steps = plan.invocations.div_ceil(CLIENTS);
    let client = |number| {
        let run = || {
            let mut client = Client::new(node.address(), plan.seed, number, plan.rarity())?;
            for _ in 0..steps {
                client.step(plan.mix)?;
                progress(done.fetch_add(1, Ordering::Relaxed) + 1);
            }
            Ok(())
        };
        run().map_err(|find: Find| find.during(&format!("seed {}, client {number}", plan.seed)))
    };
    let client = &client;
    thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CLIENTS).map(|number| scope.spawn(move || client(number))).collect();
        clients
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| Find::new("a client panicked"))?)
    })
}
