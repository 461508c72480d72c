//! A name to its first answer with nothing cached: what an action out of a registry costs.
//!
//! One node puts actions into a registry, each with code of its own; another one, which has
//! nothing, is asked for each of them once, and once more. Beside both stands a request that needs
//! no action, which is one round trip.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use xtask::connection::{ACTIONS, AUTHORIZATION};
use xtask::fleet::{self, Registry};
use xtask::lab::{Call, Unit};
use xtask::qemu::{Tap, free_port};
use xtask::runtime::Language;
use xtask::workspace;

use super::SUBJECT;
use super::laboratory::Laboratory;
use super::machine::{Running, Shape, System};
use super::recorder::{Figure, Recorder};
use crate::progress::say;

/// A runtime has to fit beside the actions.
const MEMORY_MIB: u32 = 1024;
/// Where the registry listens in the namespace of the tap.
const PORT: u16 = 5000;
const OCTETS: &str = "Content-Type: application/octet-stream";
const GREET: &str = "def main(args): return {'greeting': 'Hello, ' + args['name'] + '!'}\n";
const GO: &str = "package main\n\nimport (\"encoding/json\"; \"os\")\n\nfunc main() {\n\
    var in struct{ Name string `json:\"name\"` }\n\
    json.NewDecoder(os.Stdin).Decode(&in)\n\
    json.NewEncoder(os.Stdout).Encode(map[string]string{\"greeting\": \"Hello, \" + in.Name + \"!\"})\n}\n";

/// Code, of which each action has a copy with a number behind it.
struct Subject {
    name: &'static str,
    code: Vec<u8>,
    query: &'static str,
    /// How many names: usually, in a quick run, and in a full one.
    counts: [usize; 3],
}

pub fn run(laboratory: &Laboratory, recorder: &mut Recorder) -> Result<()> {
    fleet::ensure(say)?;
    let folder = workspace::target().join(format!("bench/fetch-{}", std::process::id()));
    let result = measure(&folder, laboratory, recorder);
    // What stays behind takes room, and nothing else.
    let _ = fs::remove_dir_all(&folder);
    result
}

fn measure(folder: &Path, laboratory: &Laboratory, recorder: &mut Recorder) -> Result<()> {
    let registry = match laboratory.has_tap() {
        true => Registry::start_on(folder, SocketAddr::from((Tap::HOST, PORT)))?,
        false => Registry::start(folder, free_port()?)?,
    };
    let subjects = subjects(folder, laboratory)?;
    let counts = |subject: &Subject| match (laboratory.quick, laboratory.full) {
        (true, _) => subject.counts[1],
        (_, true) => subject.counts[2],
        _ => subject.counts[0],
    };
    let boot = || {
        let shape = Shape { memory_mib: MEMORY_MIB, ..Shape::timed(laboratory.cores) };
        let node = laboratory.boot_with(System::Hostkernel, shape, &registry.setting())?;
        runtime(&node)?;
        Ok::<_, anyhow::Error>(node)
    };
    let writer = boot()?;
    for subject in &subjects {
        for number in 0..counts(subject) {
            let put = subject.deployment(number);
            writer
                .explain(put.connect(writer.node.address())?.exchange(&put).map_err(Into::into))?;
        }
    }
    drop(writer);
    let node = boot()?;
    let ping = Call::new("GET", "/ping", &[], b"");
    let mut round_trips = Times::default();
    let mut requests = node.connect(&ping)?;
    for _ in 0..100 {
        let begin = Instant::now();
        requests.exchange(&ping)?;
        round_trips.push(begin);
    }
    recorder.add(Figure::new(SUBJECT, "a round trip"), Unit::Nanoseconds, round_trips.share(0.5));
    for subject in &subjects {
        let (mut cold, mut warm) = (Times::default(), Times::default());
        for number in 0..counts(subject) {
            let call = subject.call(number);
            let mut requests = node.connect(&call)?;
            for times in [&mut cold, &mut warm] {
                let begin = Instant::now();
                node.explain(requests.exchange(&call).map_err(Into::into))?;
                times.push(begin);
            }
        }
        subject.record(recorder, &mut cold, &mut warm, round_trips.share(0.5));
    }
    Ok(())
}

fn subjects(folder: &Path, laboratory: &Laboratory) -> Result<Vec<Subject>> {
    Ok(vec![
        Subject {
            name: "native hello",
            code: laboratory.sample("hello")?.to_vec(),
            query: "memory=16",
            counts: [100, 10, 1000],
        },
        Subject {
            name: "Python function",
            code: GREET.into(),
            query: "memory=64&kind=python:3",
            counts: [30, 4, 200],
        },
        Subject { name: "Go program", code: go(folder)?, query: "memory=64", counts: [10, 2, 50] },
    ])
}

/// A static program of about 2 MB.
fn go(folder: &Path) -> Result<Vec<u8>> {
    let (source, program): (PathBuf, PathBuf) = (folder.join("greet.go"), folder.join("greet"));
    fs::write(&source, GO)?;
    let mut command = Command::new("go");
    command.args(["build", "-ldflags", "-s -w", "-o"]).arg(&program).arg(&source);
    command.envs([("CGO_ENABLED", "0"), ("GO111MODULE", "off")]);
    ensure!(command.status().context("go is not installed")?.success(), "go has built nothing");
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
        add("names", Unit::Count, cold.0.len() as f64);
        add("cold, median", Unit::Nanoseconds, cold.share(0.5));
        add("cold, p99", Unit::Nanoseconds, cold.share(0.99));
        add("warm, median", Unit::Nanoseconds, warm.share(0.5));
        add("cold to warm", Unit::Ratio, cold.share(0.5) / warm.share(0.5));
        add("cold to a round trip", Unit::Ratio, cold.share(0.5) / trip);
    }
}

/// How long things took, in nanoseconds.
#[derive(Default)]
struct Times(Vec<f64>);

impl Times {
    fn push(&mut self, begin: Instant) {
        self.0.push(begin.elapsed().as_nanos() as f64);
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
