//! Random calls from inside: the action `storm` under many seeds, on some or all workers at once.

use std::fmt;
use std::thread;

use serde_json::{Value, json};

use super::books::Books;
use super::outcome::invoke;
use super::session::{Limits, Session};
use super::{Effort, Find, greet};
use crate::qemu::Node;

/// Limits of the action. What it maps and never touches again costs it page tables, so the memory
/// bounds the calls of one invocation.
const LIMITS: Limits = Limits { timeout_ms: 300_000, memory_mb: 64 };
/// Most calls of one invocation under these limits.
const CALLS_MAX: u64 = 1_000_000;

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Seed of the first invocation; the following ones count up from it.
    pub seed: u64,
    /// Calls of each invocation, up to a million.
    pub calls: u64,
    /// Invocations at the same time.
    pub at_once: u64,
    /// Rounds of them.
    pub rounds: Effort,
}

/// Calls by answer, over all numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// All calls.
    pub calls: u64,
    /// Those that succeeded.
    pub succeeded: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} calls, {} succeeded, the rest refused", self.calls, self.succeeded)
    }
}

/// Deploys `storm` and runs it.
///
/// # Errors
/// The first [`Find`].
pub fn run(node: &Node, plan: Plan, progress: impl Fn(u64)) -> Result<Counts, Find> {
    let mut session = Session::open(node.address())?;
    session.deploy_sample("storm", "storm", LIMITS)?;
    drop(session);
    // What the node keeps per connection it keeps from here on.
    round(node, plan.seed, Plan { calls: 1, ..plan })?;
    let before = Books::at_rest(node)?;
    let mut counts = Counts::default();
    for case in plan.rounds.cases(progress) {
        let seed = plan.seed + case * plan.at_once;
        let more = round(node, seed, plan)?;
        counts.calls += more.calls;
        counts.succeeded += more.succeeded;
    }
    before.wait_for(node)?;
    Ok(counts)
}

/// One invocation on each of several connections, and one more for how it leaves.
fn round(node: &Node, seed: u64, plan: Plan) -> Result<Counts, Find> {
    thread::scope(|scope| {
        let seeds = seed..seed + plan.at_once;
        let calls = plan.calls.min(CALLS_MAX);
        let running: Vec<_> =
            seeds.map(|seed| scope.spawn(move || storm(node, seed, calls))).collect();
        let mut counts = Counts::default();
        for thread in running {
            let more = thread.join().map_err(|_| Find::new("a client panicked"))??;
            counts.calls += more.calls;
            counts.succeeded += more.succeeded;
        }
        Ok(counts)
    })
}

fn storm(node: &Node, seed: u64, calls: u64) -> Result<Counts, Find> {
    let mut session = Session::open(node.address())?;
    let input = json!({ "seed": seed, "calls": calls }).to_string();
    let answer = session.exchange("POST", "/function/storm", &[], input.as_bytes())?;
    let found = |what: &str| Find::new(format!("storm {input}: {what}: {}", answer.text().trim()));
    if answer.status != 200 {
        return Err(found("ended early"));
    }
    let report: Value =
        serde_json::from_slice(&answer.body).map_err(|_| found("the report is no JSON"))?;
    if report["broken"] != Value::Null {
        return Err(found("a rule is broken"));
    }
    if report["calls"] != calls {
        return Err(found("not all calls were made"));
    }
    let rows = report["answers"].as_array().ok_or_else(|| found("no counts"))?;
    let succeeded = rows.iter().filter_map(|row| row[0].as_u64()).sum();
    leave(&mut session, seed)?;
    greet(&mut session, "after the storm")?;
    Ok(Counts { calls, succeeded })
}

/// `exit` with arguments nobody means, after a few calls.
fn leave(session: &mut Session, seed: u64) -> Result<(), Find> {
    let input = json!({ "seed": seed, "calls": seed % 50, "leave": true }).to_string();
    invoke(session, "storm", input.as_bytes())
        .map_err(|find| find.during(&format!("storm {input}")))
        .map(drop)
}
