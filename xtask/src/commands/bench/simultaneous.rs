//! Many starts at the same moment, against as many one after the other.

use std::time::Duration;

use anyhow::Result;
use xtask::lab::Unit;
use xtask::lab::load::{Load, Pace, burst, drive};

use super::laboratory::Laboratory;
use super::machine::{Shape, System};
use super::recorder::{Figure, Recorder};

const STARTS: u32 = 64;
/// How often; the median counts. An odd number has one.
const ROUNDS: usize = 9;

pub fn run(laboratory: &Laboratory, recorder: &mut Recorder) -> Result<()> {
    let cores = laboratory.cores;
    let node = laboratory.boot(System::Hostkernel, Shape::timed(cores))?;
    let address = node.node.address();
    let one = Load {
        connections: 1,
        pace: Pace::Closed,
        warm_up: Duration::from_millis(200),
        duration: Duration::from_millis(2000),
    };
    for subject in laboratory.subjects(System::Hostkernel) {
        let single = drive(address, &subject.call, one)?.quantile(0.5);
        let bursts = (0..ROUNDS).map(|_| burst(address, &subject.call, STARTS));
        let mut bursts = bursts.collect::<Result<Vec<_>, _>>()?;
        bursts.sort();
        let median = bursts[ROUNDS / 2].as_nanos() as f64;
        let name = format!("{STARTS} at once");
        recorder.add(Figure::new(subject.name, "one"), Unit::Nanoseconds, single);
        recorder.add(Figure::new(subject.name, &name), Unit::Nanoseconds, median);
        // With one core the network's core is the worker too.
        let workers = f64::from(cores.saturating_sub(1).max(1));
        let share = f64::from(STARTS) * single / workers;
        let name = format!("{STARTS} at once, of {STARTS} singly over the workers");
        recorder.add(Figure::new(subject.name, &name), Unit::Ratio, median / share);
    }
    Ok(())
}
