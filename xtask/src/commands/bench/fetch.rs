//! A name to its first answer with nothing cached: what an action out of a registry costs.
//!
//! One node puts actions into a registry, each with code of its own; another one, which has
//! nothing but the runtime, is asked for each of them once, and once more. Beside both stands a
//! request that needs no action, which is one round trip.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use xtask::connection::{ACTIONS, AUTHORIZATION};
use xtask::fleet;
use xtask::lab::{Call, Unit};
use xtask::prerequisites::ensure_programs;
use xtask::runtime::Language;
use xtask::workspace;

use super::SUBJECT;
use super::laboratory::Laboratory;
use super::machine::{OCTETS, Running, Shape, System, send};
use super::recorder::{Figure, Recorder};
use crate::progress::say;

/// A runtime has to fit beside the actions.
const MEMORY_MIB: u32 = 1024;
const ROUND_TRIPS: usize = 100;
/// The paper: an action is fetched and started in less.
const ASKED_NS: f64 = 100e6;
/// A machine that counts is slow.
const COUNTED_MAX: usize = 20;
const GREET: &str = "def main(args): return {'greeting': 'Hello, ' + args['name'] + '!'}\n";
const GO: &str = r#"package main

import (
	"encoding/json"
	"os"
)

func main() {
	var in struct {
		Name string `json:"name"`
	}
	json.NewDecoder(os.Stdin).Decode(&in)
	out := map[string]string{"greeting": "Hello, " + in.Name + "!"}
	json.NewEncoder(os.Stdout).Encode(out)
}
"#;

/// Code, of which each action has a copy with a number behind it.
struct Subject {
    name: &'static str,
    code: Vec<u8>,
    query: &'static str,
    /// How many names in a quick run, usually, and in a full one ...
    counts: [usize; 3],
    /// ... and in this one.
    count: usize,
}

pub fn run(laboratory: &Laboratory, recorder: &mut Recorder) -> Result<()> {
    fleet::ensure(say)?;
    ensure_programs(&[("go", "golang-go")], say)?;
    let folder = workspace::target().join(format!("bench/fetch-{}", std::process::id()));
    let result = measure(&folder, laboratory, recorder);
    // What stays behind takes room, and nothing else.
    let _ = fs::remove_dir_all(&folder);
    result
}

fn measure(folder: &Path, laboratory: &Laboratory, recorder: &mut Recorder) -> Result<()> {
    let registry = laboratory.registry(folder)?;
    let mut subjects = subjects(folder, laboratory)?;
    for subject in &mut subjects {
        subject.count = match (laboratory.quick, laboratory.full) {
            (true, _) => subject.counts[0],
            (_, true) => subject.counts[2],
            _ => subject.counts[1],
        };
    }
    let boot = |shape: Shape, words: &str| {
        let words = format!("{} {words}", registry.setting());
        let shape = Shape { memory_mib: MEMORY_MIB, ..shape };
        laboratory.boot_with(System::Hostkernel, shape, &words)
    };
    write(&boot(Shape::timed(laboratory.cores), "")?, &subjects)?;
    let wanted = format!("hostkernel.runtimes={}", Language::Python.kind());
    time(&boot(Shape::timed(laboratory.cores), &wanted)?, &subjects, recorder)?;
    count(&boot(Shape::counted(laboratory.cores), &wanted)?, &subjects, recorder)
}

/// Puts all of it into the registry, through a node that ends then.
fn write(node: &Running, subjects: &[Subject]) -> Result<()> {
    runtime(node)?;
    for subject in subjects {
        for number in 0..subject.count {
            let put = subject.deployment(number);
            node.explain(put.connect(node.node.address())?.exchange(&put).map_err(Into::into))?;
        }
    }
    Ok(())
}

fn time(node: &Running, subjects: &[Subject], recorder: &mut Recorder) -> Result<()> {
    let ping = Call::new("GET", "/ping", &[], b"").expecting(b"pong");
    let mut trips = Times::default();
    let mut requests = node.connect(&ping)?;
    for _ in 0..ROUND_TRIPS {
        let begin = Instant::now();
        requests.exchange(&ping)?;
        trips.push(begin);
    }
    let trip = trips.share(0.5);
    recorder.add(Figure::new(SUBJECT, "a round trip"), Unit::Nanoseconds, trip);
    recorder
        .add_distribution("what the paper asks for", [0.0, 1.0].map(|it| (ASKED_NS, it)).into());
    for subject in subjects {
        let (mut cold, mut warm) = (Times::default(), Times::default());
        for number in 0..subject.count {
            let call = subject.call(number);
            let mut requests = node.connect(&call)?;
            for times in [&mut cold, &mut warm] {
                let begin = Instant::now();
                node.explain(requests.exchange(&call).map_err(Into::into))?;
                times.push(begin);
            }
        }
        subject.record(recorder, &mut cold, &mut warm, trip);
    }
    Ok(())
}

/// The same in instructions of the whole node.
fn count(node: &Running, subjects: &[Subject], recorder: &mut Recorder) -> Result<()> {
    for subject in subjects {
        let count = subject.count.min(COUNTED_MAX);
        let calls = || {
            for number in 0..count {
                send(node, &subject.call(number))?;
            }
            Ok(())
        };
        for name in ["cold", "warm"] {
            let cores = node.explain(node.count_once(calls))?;
            let all: f64 = cores.iter().map(|core| core.all).sum();
            let each = all / count as f64;
            recorder.add(Figure::new(subject.name, name), Unit::Instructions, each);
        }
    }
    Ok(())
}

fn subjects(folder: &Path, laboratory: &Laboratory) -> Result<Vec<Subject>> {
    Ok(vec![
        Subject {
            name: "native hello",
            code: laboratory.sample("hello")?.to_vec(),
            query: "memory=16",
            counts: [10, 100, 1000],
            count: 0,
        },
        Subject {
            name: "Python function",
            code: GREET.into(),
            query: "memory=64&kind=python:3",
            counts: [4, 30, 200],
            count: 0,
        },
        Subject {
            name: "Go program",
            code: go(folder)?,
            query: "memory=64",
            counts: [2, 10, 50],
            count: 0,
        },
    ])
}

/// A static program of about 2 MB.
fn go(folder: &Path) -> Result<Vec<u8>> {
    let (source, program): (PathBuf, PathBuf) = (folder.join("greet.go"), folder.join("greet"));
    fs::write(&source, GO)?;
    let mut command = Command::new("go");
    command.args(["build", "-ldflags", "-s -w", "-o"]).arg(&program).arg(&source);
    command.envs([("CGO_ENABLED", "0"), ("GO111MODULE", "off")]);
    ensure!(command.status().context("go")?.success(), "go has built nothing");
    Ok(fs::read(program)?)
}

/// Gives a node the runtime of the function.
fn runtime(node: &Running) -> Result<()> {
    let file = Language::Python.ready(say)?;
    let archive = fs::read(&file).with_context(|| file.display().to_string())?;
    let path = format!("/api/v1/runtimes/{}", Language::Python.kind());
    let put = Call::new("PUT", &path, &[AUTHORIZATION, OCTETS], &archive);
    put.connect(node.node.address())?.exchange(&put)?;
    Ok(())
}

impl Subject {
    fn action(&self, number: usize) -> String {
        format!("{}-{number}", self.name.replace(' ', "-"))
    }

    fn deployment(&self, number: usize) -> Call {
        let path =
            format!("{ACTIONS}/{}?overwrite=true&code=false&{}", self.action(number), self.query);
        let code = [&self.code[..], format!("# {number}\n").as_bytes()].concat();
        Call::new("PUT", &path, &[AUTHORIZATION, OCTETS], &code)
    }

    fn call(&self, number: usize) -> Call {
        let path = format!("/function/{}", self.action(number));
        let json = ["Content-Type: application/json"];
        Call::new("POST", &path, &json, br#"{"name":"you"}"#).expecting(b"")
    }

    fn record(&self, recorder: &mut Recorder, cold: &mut Times, warm: &mut Times, trip: f64) {
        let mut add = |name, unit, value| recorder.add(Figure::new(self.name, name), unit, value);
        add("code", Unit::Bytes, self.code.len() as f64);
        add("names", Unit::Count, self.count as f64);
        add("cold, median", Unit::Nanoseconds, cold.share(0.5));
        add("cold, p99", Unit::Nanoseconds, cold.share(0.99));
        add("warm, median", Unit::Nanoseconds, warm.share(0.5));
        add("cold to warm", Unit::Ratio, cold.share(0.5) / warm.share(0.5));
        add("cold to a round trip", Unit::Ratio, cold.share(0.5) / trip);
        recorder.add_distribution(&format!("{}, cold", self.name), cold.distribution());
    }
}

/// How long things took, in nanoseconds.
#[derive(Default)]
struct Times(Vec<f64>);

impl Times {
    fn push(&mut self, begin: Instant) {
        self.0.push(begin.elapsed().as_nanos() as f64);
    }

    /// What each share of them took at most.
    fn distribution(&mut self) -> Vec<(f64, f64)> {
        let shares = (0..100).map(|percent| f64::from(percent) / 100.0);
        shares.map(|share| (self.share(share), share)).collect()
    }

    /// What this share of them took at most.
    fn share(&mut self, share: f64) -> f64 {
        self.0.sort_by(f64::total_cmp);
        let at = (self.0.len() as f64 * share) as usize;
        self.0.get(at.min(self.0.len().saturating_sub(1))).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_those_of_what_was_measured() {
        let mut times = Times((1..=100).rev().map(f64::from).collect());
        assert_eq!((times.share(0.5), times.share(0.99)), (51.0, 100.0));
        assert_eq!(Times::default().share(0.5), 0.0);
    }
}
