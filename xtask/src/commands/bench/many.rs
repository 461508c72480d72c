//! Many more actions in a registry than a node has room for, called in no order: what is not there
//! is fetched, and what was not used for longest makes room.
//!
//! `OpenWhisk` fell from 20,000 calls a second to 30 when its actions became many. The same calls
//! of a hundred actions stand beside.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use xtask::fleet;
use xtask::lab::{Call, Unit};
use xtask::workspace;

use super::SUBJECT;
use super::laboratory::Laboratory;
use super::machine::{Running, Shape, System};
use super::recorder::{Figure, Recorder};
use crate::progress::say;

/// Actions that are called over and over.
const HOT: u64 = 100;
const INPUT: &[u8] = b"the input";

/// What a node says of itself.
struct State {
    available_len: u64,
    heap_free_len: u64,
    evicted: u64,
    held: u64,
}

pub fn run(laboratory: &Laboratory, recorder: &mut Recorder) -> Result<()> {
    fleet::ensure(say)?;
    let folder = workspace::target().join(format!("bench/many-{}", std::process::id()));
    let result = measure(&folder, laboratory, recorder);
    // What stays behind takes room, and nothing else.
    let _ = fs::remove_dir_all(&folder);
    result
}

fn measure(folder: &Path, laboratory: &Laboratory, recorder: &mut Recorder) -> Result<()> {
    let registry = laboratory.registry(folder)?;
    let count: u64 = match (laboratory.quick, laboratory.full) {
        (true, _) => 500,
        (_, true) => 20_000,
        _ => 12_000,
    };
    let image = laboratory.sample("echo")?;
    let code = |number: u64| [image, format!("# {number}\n").as_bytes()].concat();
    registry.shelve((0..count).map(|number| (name(number), code(number))))?;
    let node = laboratory.boot_with(
        System::Hostkernel,
        Shape::timed(laboratory.cores),
        &registry.setting(),
    )?;
    let mut add =
        |name: &str, unit, value: f64| recorder.add(Figure::new(SUBJECT, name), unit, value);
    add("actions in the registry", Unit::Count, count as f64);
    // The first call of each is no part of it.
    calls(&node, 0..HOT)?;
    let hot = calls(&node, (0..count).map(|at| mixed(at) % HOT))?;
    add("100 hot ones", Unit::PerSecond, hot);
    let all = calls(&node, (0..count).map(|at| mixed(at) % count))?;
    let half = state(&node)?;
    let again = calls(&node, (count..2 * count).map(|at| mixed(at) % count))?;
    let end = state(&node)?;
    add("all of them, the first time", Unit::PerSecond, all);
    add("all of them, from then on", Unit::PerSecond, again);
    add("hot to all of them", Unit::Ratio, hot / again);
    add("actions the node has", Unit::Count, end.held as f64);
    add("evicted", Unit::Count, end.evicted as f64);
    for (when, state) in [("half", half), ("the end", end)] {
        let mut add =
            |what: &str, len: u64| add(&format!("{what} at {when}"), Unit::Bytes, len as f64);
        add("memory available", state.available_len);
        add("heap free", state.heap_free_len);
    }
    Ok(())
}

fn name(number: u64) -> String {
    format!("many-{number}")
}

/// Calls these, one after the other; returns how many that were in a second. One that fails ends
/// it.
fn calls(node: &Running, numbers: impl Iterator<Item = u64>) -> Result<f64> {
    let call = |number: u64| {
        let path = format!("/function/{}", name(number));
        Call::new("POST", &path, &["Content-Type: application/octet-stream"], INPUT)
            .expecting(INPUT)
    };
    let mut requests = node.connect(&call(0))?;
    let (begin, mut count) = (Instant::now(), 0_u32);
    for number in numbers {
        node.explain(requests.exchange(&call(number)).map_err(Into::into))?;
        count += 1;
    }
    Ok(f64::from(count) / begin.elapsed().as_secs_f64())
}

/// The same number as ever, and nobody sees an order in them.
fn mixed(number: u64) -> u64 {
    let word = (number.wrapping_add(1)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word ^ (word >> 31)
}

fn state(node: &Running) -> Result<State> {
    let call = Call::new("GET", "/metrics", &[], b"").expecting(b"");
    let answer = node.connect(&call)?.exchange(&call)?;
    let text = answer.text();
    let sample = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.with_context(|| format!("there is no sample {name}"))
    };
    let state = State {
        available_len: sample("hostkernel_memory_bytes{kind=\"available\"}")?,
        heap_free_len: sample("hostkernel_memory_bytes{kind=\"heap_free\"}")?,
        evicted: sample("hostkernel_store_evicted_total")?,
        held: sample("hostkernel_store_held_actions")?,
    };
    ensure!(state.held > 0, "the node has none of them");
    Ok(state)
}
