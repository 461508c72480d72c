//! Functions in source code: what starting a runtime, deploying a function and calling it cost, and
//! how both grow with the number of functions.

use std::cell::Cell;
use std::fs;

use anyhow::{Context, Result};
use xtask::connection::{ACTIONS, AUTHORIZATION};
use xtask::lab::{Call, Plan, Unit};
use xtask::runtime::Language;

use super::laboratory::Laboratory;
use super::machine::{OCTETS, Running, SECOND, Shape, System, send};
use super::memory;
use super::pages;
use super::recorder::{Figure, Recorder};
use crate::progress::{Spinner, say};

/// With two cores the second does nothing but run actions.
const CORES: u32 = 2;
/// A thousand functions for Node.js take 4 MiB each.
const MEMORY_MIB: u32 = 6144;
/// Functions that are deployed at a time where growth is looked at, and up to how many.
const GROWTH_STEPS: [u64; 3] = [10, 90, 900];

/// Functions whose memory is measured.
const COPIES: u32 = 50;
/// Functions that are to fit, and the memory they are to fit into.
const MANY: u32 = 5_000;
const MANY_MEMORY_MIB: u32 = 4096;

/// A language with a function that greets.
struct Subject {
    language: Language,
    name: &'static str,
    source: &'static str,
    /// What begins a comment.
    comment: &'static str,
}

const SUBJECTS: [Subject; 3] = [
    Subject {
        language: Language::Python,
        name: "Python",
        source: "def main(args): return {\"greeting\": \"Hello, \" + args[\"name\"] + \"!\"}\n",
        comment: "#",
    },
    Subject {
        language: Language::JavaScript,
        name: "JavaScript",
        source: "function main(args) { return { greeting: `Hello, ${args.name}!` }; }\n",
        comment: "//",
    },
    Subject {
        language: Language::NodeJs,
        name: "Node.js",
        source: "function main(args) { return { greeting: `Hello, ${args.name}!` }; }\n",
        comment: "//",
    },
];

/// Builds the runtimes, and fetches what servers need.
pub fn prepare() -> Result<()> {
    for subject in &SUBJECTS {
        subject.language.ready(say)?;
    }
    pages::prepare()
}

pub fn run(laboratory: &Laboratory, recorder: &mut Recorder) -> Result<()> {
    for subject in &SUBJECTS {
        let shape = Shape { memory_mib: MEMORY_MIB, ..Shape::counted(CORES) };
        let node = laboratory.boot(System::Hostkernel, shape)?;
        subject.start(&node, recorder)?;
        subject.calls(&node, laboratory, recorder)?;
        subject.memory(&node, recorder)?;
        pages::run(subject.language, &node, laboratory, recorder)?;
        if laboratory.full {
            subject.growth(&node, laboratory, recorder)?;
        }
    }
    let node = laboratory.boot(System::Hostkernel, Shape::counted(CORES))?;
    pages::programs(&node, laboratory, recorder)?;
    drop(node);
    // The network serves one machine at a time, and the last one is gone.
    if laboratory.full { SUBJECTS[0].many(laboratory, recorder) } else { Ok(()) }
}

impl Subject {
    /// What it is called in the report.
    fn figure<'a>(&self, name: &'a str) -> Figure<'a> {
        Figure::new(self.name, name)
    }

    /// Starts the runtime, once.
    fn start(&self, node: &Running, recorder: &mut Recorder) -> Result<()> {
        let put = self.runtime()?;
        let worker = node.count_once(|| send(node, &put))?;
        let worker = worker.get(SECOND).copied().context("a node with two cores has a second")?;
        recorder.add_count(self.figure("starting the runtime"), worker);
        let len = fs::metadata(self.language.ready(say)?)?.len();
        recorder.add(self.figure("archive of the runtime"), Unit::Bytes, len as f64);
        Ok(())
    }

    /// The call that gives a node the runtime.
    fn runtime(&self) -> Result<Call> {
        let file = self.language.ready(say)?;
        let archive = fs::read(&file).with_context(|| file.display().to_string())?;
        let path = format!("/api/v1/runtimes/{}", self.language.kind());
        Ok(Call::new("PUT", &path, &[AUTHORIZATION, OCTETS], &archive))
    }

    /// A deploy of the function under a name; the same function has the same number.
    fn deploy(&self, name: &str, number: u64) -> Call {
        let kind = self.language.kind();
        let query = format!("kind={kind}&overwrite=true&code=false&memory=64");
        let source = format!("{}{} {number}\n", self.source, self.comment);
        let path = format!("{ACTIONS}/{name}?{query}");
        Call::new("PUT", &path, &[AUTHORIZATION, OCTETS], source.as_bytes())
    }

    fn call(name: &str) -> Call {
        let json = ["Content-Type: application/json"];
        Call::new("POST", &format!("/function/{name}"), &json, br#"{"name":"you"}"#)
            .expecting(br#"!"}"#)
    }

    /// Deploying, the first call and later ones, by the core that does nothing else.
    fn calls(
        &self,
        node: &Running,
        laboratory: &Laboratory,
        recorder: &mut Recorder,
    ) -> Result<()> {
        let number = Cell::new(0);
        let deploy = |runs| {
            (0..runs).try_for_each(|_| {
                number.set(number.get() + 1);
                send(node, &self.deploy("greet", number.get()))
            })
        };
        let deployed = node.count(laboratory.short_plan(), deploy)?;
        let worker = |figures: &xtask::lab::Figures| figures.median_round().get(SECOND).copied();
        let missing = "a node with two cores has a second";
        recorder.add_count(self.figure("deploying"), worker(&deployed).context(missing)?);
        let call = Self::call("greet");
        let first = node.count_once(|| send(node, &call))?;
        recorder
            .add_count(self.figure("the first call"), first.get(SECOND).copied().context(missing)?);
        let plan = Plan { runs: laboratory.plan().runs / 3, ..laboratory.plan() };
        let later = node.count_calls(plan, &call)?;
        recorder.add_count(self.figure("a request"), later.median());
        recorder.add_count(self.figure("without network"), worker(&later).context(missing)?);
        Ok(())
    }

    /// What a deployed function takes, and a call of it.
    fn memory(&self, node: &Running, recorder: &mut Recorder) -> Result<()> {
        let copy = |copy: u32| self.deploy(&format!("kept-{copy}"), u64::from(copy) << 48);
        // The first ones make room that others use.
        memory::deployed(node, COPIES, copy)?;
        let taken = memory::deployed(node, COPIES, |number| copy(COPIES + number))?;
        taken.record(self.name, "deployed", recorder);
        let live = memory::taken(node, "greet")?;
        recorder.add(self.figure("live"), Unit::Bytes, live);
        Ok(())
    }

    /// Deploys functions, each with code of its own, until there are enough or there is no room.
    fn many(&self, laboratory: &Laboratory, recorder: &mut Recorder) -> Result<()> {
        let shape = Shape { memory_mib: MANY_MEMORY_MIB, ..Shape::timed(CORES) };
        let node = laboratory.boot(System::Hostkernel, shape)?;
        send(&node, &self.runtime()?)?;
        let spinner = Spinner::new(&format!("Deploying functions in {}", self.name));
        let mut deployed = 0;
        while deployed < MANY {
            let name = format!("many-{deployed:05}");
            if send(&node, &self.deploy(&name, u64::from(deployed))).is_err() {
                break;
            }
            deployed += 1;
            spinner.detail(&deployed.to_string());
        }
        drop(spinner);
        // With all of them there the first one still answers.
        send(&node, &Self::call("many-00000"))?;
        let name = format!("functions in {MANY_MEMORY_MIB} MiB, up to");
        recorder.add(self.figure(&name).at(MANY), Unit::Count, f64::from(deployed));
        Ok(())
    }

    /// What a call costs with so many other functions, each with code of its own.
    fn growth(
        &self,
        node: &Running,
        laboratory: &Laboratory,
        recorder: &mut Recorder,
    ) -> Result<()> {
        let mut count = 1;
        for step in GROWTH_STEPS {
            for _ in 0..step {
                count += 1;
                send(node, &self.deploy(&format!("greet-{count}"), count << 32))?;
            }
            let later = node.count_calls(laboratory.short_plan(), &Self::call("greet"))?;
            let figure = self.figure("a request, by functions").at(count as f64);
            recorder.add(figure, Unit::Instructions, later.median().all);
        }
        Ok(())
    }
}
