//! What a deployed action and a live instance take, by the node's own books.

use anyhow::{Context, Result};
use serde_json::json;
use xtask::lab::{Call, Requests, Unit};

use super::SUBJECT;
use super::laboratory::Laboratory;
use super::machine::{Running, Shape, System, deployment};
use super::recorder::{Figure, Recorder};
use crate::progress::Spinner;

const SAMPLES: [&str; 2] = ["hello", "echo"];
/// Copies to deploy of each sample; the first hundreds still shape the registry's trees.
const COPIES: u32 = 500;
const COPIES_QUICK: u32 = 50;
/// Copies that are to fit, and the memory they are to fit into.
const MANY: u32 = 100_000;
const MANY_MEMORY_MIB: u32 = 4096;

pub fn run(laboratory: &Laboratory, recorder: &mut Recorder) -> Result<()> {
    let node = laboratory.boot(System::Hostkernel, Shape::timed(laboratory.cores))?;
    let copies = if laboratory.quick { COPIES_QUICK } else { COPIES };
    for sample in SAMPLES {
        let image = laboratory.sample(sample)?;
        // The first may make room that the others share.
        node.deploy(sample, image)?;
        let same =
            deployed(&node, copies, |copy| deployment(&format!("{sample}-same-{copy}"), image));
        let other = deployed(&node, copies, |copy| {
            deployment(&format!("{sample}-other-{copy}"), &different(image, copy))
        });
        for (name, taken) in [("", other?), (" again", same?)] {
            taken.record(SUBJECT, &format!("{sample} deployed{name}"), recorder);
        }
        let live = taken(&node, sample)?;
        recorder.add(Figure::new(SUBJECT, &format!("{sample} live")), Unit::Bytes, live);
    }
    // The network serves one machine at a time.
    drop(node);
    if laboratory.full { many(laboratory, recorder) } else { Ok(()) }
}

/// What each of some actions takes, in bytes.
pub struct Taken {
    frames: f64,
    heap: f64,
}

impl Taken {
    /// Keeps both figures.
    pub fn record(&self, subject: &str, name: &str, recorder: &mut Recorder) {
        for (part, bytes) in [("frames", self.frames), ("heap", self.heap)] {
            recorder.add(Figure::new(subject, &format!("{name}, {part}")), Unit::Bytes, bytes);
        }
    }
}

/// Deploys some actions, and says what each of them takes.
pub fn deployed(node: &Running, copies: u32, deployment: impl Fn(u32) -> Call) -> Result<Taken> {
    let mut requests = node.connect(&Call::hello())?;
    let before = Books::read(&mut requests)?;
    for copy in 0..copies {
        requests.exchange(&deployment(copy))?;
    }
    let after = Books::read(&mut requests)?;
    let each = |before: u64, after: u64| (before as f64 - after as f64) / f64::from(copies);
    let frames = each(before.available, after.available);
    Ok(Taken { frames, heap: each(before.heap_free, after.heap_free) })
}

/// The same program in another file: what is the same twice, a node keeps once.
fn different(image: &[u8], copy: u32) -> Vec<u8> {
    [image, &copy.to_le_bytes()].concat()
}

/// What an instance took, by the record of its activation.
pub fn taken(node: &Running, action: &str) -> Result<f64> {
    let invocation = node.node.client().invoke(action, &json!({"name": "you"}))?;
    let taken = invocation
        .activation
        .annotations
        .iter()
        .find_map(|annotation| annotation["value"]["memory_peak_bytes"].as_f64());
    taken.context("the activation does not say how much memory it took")
}

/// Deploys `hello` until there is no room, or there are enough.
fn many(laboratory: &Laboratory, recorder: &mut Recorder) -> Result<()> {
    let shape = Shape { memory_mib: MANY_MEMORY_MIB, ..Shape::timed(laboratory.cores) };
    let node = laboratory.boot(System::Hostkernel, shape)?;
    let image = laboratory.sample("hello")?;
    let spinner = Spinner::new("Deploying hello until there is no room");
    let mut requests = node.connect(&Call::hello())?;
    let mut deployed = 0;
    while deployed < MANY {
        let call = deployment(&format!("hello-{deployed:06}"), &different(image, deployed));
        if requests.exchange(&call).is_err() {
            break;
        }
        deployed += 1;
        spinner.detail(&deployed.to_string());
    }
    drop(spinner);
    // With all of them there it still answers.
    let hello = Call::hello();
    node.connect(&hello)?.send(&hello, 1)?;
    let name = format!("deployed hello in {MANY_MEMORY_MIB} MiB, up to");
    recorder.add(Figure::new(SUBJECT, &name).at(MANY), Unit::Count, f64::from(deployed));
    Ok(())
}

/// What the node has left.
struct Books {
    available: u64,
    heap_free: u64,
}

impl Books {
    fn read(requests: &mut Requests) -> Result<Self> {
        let text = requests.exchange(&Call::new("GET", "/metrics", &[], &[]))?.text();
        let sample = |kind: &str| {
            let name = format!("hostkernel_memory_bytes{{kind=\"{kind}\"}} ");
            let value = text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok());
            value.with_context(|| format!("no {name}in /metrics"))
        };
        Ok(Self { available: sample("available")?, heap_free: sample("heap_free")? })
    }
}
