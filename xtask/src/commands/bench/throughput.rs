//! Answers in a second: by connections that stay, with a new connection each time, and the
//! latencies at half of the most.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use xtask::lab::Unit;
use xtask::lab::load::{Load, Outcome, Pace, drive};

use super::laboratory::Laboratory;
use super::latency::QUANTILES;
use super::machine::{Shape, Subject};
use super::recorder::{Figure, Recorder};

const CONNECTIONS: [u32; 5] = [1, 2, 4, 8, 32];
const NEW_CONNECTIONS: u32 = 8;
/// How often each; the best counts. A computer that does something else meanwhile only ever takes
/// away, and from a guest whose cores wait for each other more than its share.
const ROUNDS: u32 = 3;
/// Connections over which half of the most is spread.
const HALF_LOAD_CONNECTIONS: u32 = 32;
/// Of a slower one than this, a few seconds say nothing about its thousandth.
const HALF_LOAD_MIN: f64 = 100.0;

pub fn run(laboratory: &Laboratory, recorder: &mut Recorder) -> Result<()> {
    for system in laboratory.systems() {
        let machine = laboratory.boot(*system, Shape::timed(laboratory.cores))?;
        for subject in laboratory.subjects(*system) {
            let address = machine.node.address();
            machine.explain(measure(laboratory, address, &subject, recorder))?;
        }
    }
    Ok(())
}

fn measure(
    laboratory: &Laboratory,
    address: SocketAddr,
    subject: &Subject,
    recorder: &mut Recorder,
) -> Result<()> {
    let (rounds, duration) = if laboratory.quick { (1, 1000) } else { (ROUNDS, 2000) };
    let duration = Duration::from_millis(duration);
    let run = |connections, pace| -> Result<Outcome> {
        let load = Load { connections, pace, warm_up: duration / 4, duration };
        let outcomes = (0..rounds).map(|_| drive(address, &subject.call, load));
        let outcomes = outcomes.collect::<Result<Vec<_>, _>>()?;
        let best = outcomes.into_iter().max_by(|one, other| match pace {
            Pace::PerSecond(_) => other.quantile(0.999).total_cmp(&one.quantile(0.999)),
            Pace::Closed | Pace::NewConnections => one.per_second.total_cmp(&other.per_second),
        });
        best.context("there is at least one round")
    };
    let mut most = 0.0_f64;
    for connections in CONNECTIONS {
        let outcome = run(connections, Pace::Closed)?;
        let figure = Figure::new(subject.name, "connections").at(connections);
        recorder.add(figure, Unit::PerSecond, outcome.per_second);
        let figure = Figure::new(subject.name, "p99, by connections").at(connections);
        recorder.add(figure, Unit::Nanoseconds, outcome.quantile(0.99));
        most = most.max(outcome.per_second);
    }
    let outcome = run(NEW_CONNECTIONS, Pace::NewConnections)?;
    let figure = Figure::new(subject.name, "a new connection each").at(NEW_CONNECTIONS);
    recorder.add(figure, Unit::PerSecond, outcome.per_second);
    if most >= HALF_LOAD_MIN {
        let outcome = run(HALF_LOAD_CONNECTIONS, Pace::PerSecond(most / 2.0))?;
        for (share, name) in QUANTILES {
            let name = format!("at half load, {name}");
            let figure = Figure::new(subject.name, &name);
            recorder.add(figure, Unit::Nanoseconds, outcome.quantile(share));
        }
    }
    Ok(())
}
