//! Boot: from the kernel's first instruction until it is ready, and from the start of QEMU until
//! the first answer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use xtask::connection::{Connection, request};
use xtask::lab::Unit;

use super::SUBJECT;
use super::laboratory::Laboratory;
use super::machine::{Shape, System};
use super::recorder::{Figure, Recorder};

/// Boots of each; the median counts. An odd number has one.
const BOOTS: usize = 5;
/// How long one attempt to get an answer takes at most: what is sent to a machine that does not
/// listen yet is lost, and TCP would wait a second before it tries again.
const ATTEMPT: Duration = Duration::from_millis(20);
/// Longest time until the first answer.
const BOOT_TIMEOUT: Duration = Duration::from_secs(120);

pub fn run(laboratory: &Laboratory, recorder: &mut Recorder) -> Result<()> {
    let boots = if laboratory.quick { 1 } else { BOOTS };
    for system in laboratory.systems() {
        let (mut answers, mut readies) = (Vec::new(), Vec::new());
        for _ in 0..boots {
            let begin = Instant::now();
            let machine = laboratory.start(*system, Shape::timed(laboratory.cores))?;
            first_answer(machine.node.address())?;
            answers.push(begin.elapsed().as_nanos() as f64);
            if *system == System::Hostkernel {
                readies.push(ready_ns(&machine.node.serial())?);
            }
        }
        let subject = if *system == System::Linux { "linux" } else { SUBJECT };
        if !readies.is_empty() {
            let figure = Figure::new(subject, "kernel entry to ready");
            recorder.add(figure, Unit::Nanoseconds, median(readies));
        }
        let figure = Figure::new(subject, "start of QEMU to first answer");
        recorder.add(figure, Unit::Nanoseconds, median(answers));
    }
    Ok(())
}

/// Asks until there is an answer.
fn first_answer(address: SocketAddr) -> Result<()> {
    let end = Instant::now() + BOOT_TIMEOUT;
    while Instant::now() < end {
        let begin = Instant::now();
        if attempt(address).is_ok_and(|status| status == 200) {
            return Ok(());
        }
        // One that failed at once is not repeated at once: the machine needs the processor too.
        std::thread::sleep((ATTEMPT / 4).saturating_sub(begin.elapsed()));
    }
    anyhow::bail!("there was no answer within {BOOT_TIMEOUT:?}")
}

fn attempt(address: SocketAddr) -> std::io::Result<u16> {
    // Once connected, an answer may take longer: the machine is there, and busy.
    let mut connection = Connection::open_within(address, ATTEMPT, 5 * ATTEMPT)?;
    connection.send(&request("GET", "/readyz", &["Connection: close"], b""))?;
    Ok(connection.receive()?.status)
}

/// What the node says about itself: `ready after 27400 us`.
fn ready_ns(log: &str) -> Result<f64> {
    let (_, rest) =
        log.split_once("ready after ").context("the log does not say when it is ready")?;
    let us = rest.split(' ').next().and_then(|word| word.parse::<f64>().ok());
    let us = us.context("the log does not say how long it took")?;
    ensure!(us > 0.0, "a boot takes time");
    Ok(us * 1e3)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_says_when_it_is_ready() {
        assert_eq!(ready_ns("x\n[0.1] ready after 27400 us\n").expect("a time"), 27_400_000.0);
        assert!(ready_ns("nothing").is_err());
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
    }
}
