//! One request at a time, on one connection.

use std::time::Duration;

use anyhow::Result;
use xtask::lab::Unit;
use xtask::lab::load::{Load, Pace, drive};

use super::laboratory::Laboratory;
use super::machine::Shape;
use super::recorder::{Figure, Recorder};

/// Shares of requests, and what their latency is called.
pub const QUANTILES: [(f64, &str); 4] =
    [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9")];

pub fn run(laboratory: &Laboratory, recorder: &mut Recorder) -> Result<()> {
    let (warm_up, duration) = if laboratory.quick { (200, 1000) } else { (1000, 10_000) };
    let load = Load {
        connections: 1,
        pace: Pace::Closed,
        warm_up: Duration::from_millis(warm_up),
        duration: Duration::from_millis(duration),
    };
    for system in laboratory.systems() {
        let machine = laboratory.boot(*system, Shape::timed(laboratory.cores))?;
        for subject in laboratory.subjects(*system) {
            let outcome = drive(machine.node.address(), &subject.call, load);
            let outcome = machine.explain(outcome.map_err(Into::into))?;
            for (share, name) in QUANTILES {
                let figure = Figure::new(subject.name, name);
                recorder.add(figure, Unit::Nanoseconds, outcome.quantile(share));
            }
            recorder.add_distribution(subject.name, outcome.distribution());
        }
    }
    Ok(())
}
