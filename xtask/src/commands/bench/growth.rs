//! Instructions of an invocation while one thing grows that should not matter, or matter in
//! proportion only.

use anyhow::Result;
use xtask::lab::{Call, Plan, Requests, Unit, image};

use super::SUBJECT;
use super::laboratory::Laboratory;
use super::machine::{Running, Shape, System, deployment};
use super::recorder::{Figure, Recorder};
use crate::progress::Spinner;

const KIB: u32 = 1 << 10;
const MIB: u32 = 1 << 20;
/// Deployed actions, and the memory they are to fit into.
const ACTIONS: [u32; 6] = [1, 10, 100, 1000, 10_000, 100_000];
const ACTIONS_QUICK: usize = 4;
const ACTIONS_MEMORY_MIB: u32 = 4096;
/// Lengths of images.
const IMAGES: [u32; 4] = [4 * KIB, 64 * KIB, MIB, 16 * MIB];
/// Pages that an invocation writes to.
const PAGES: [u32; 7] = [1, 4, 16, 64, 256, 1024, 4096];
/// Lengths of answers.
const ANSWERS: [u32; 7] = [0, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB];
/// Connections, one of which is used.
const CONNECTIONS: [u32; 6] = [1, 4, 16, 64, 256, 1024];
/// Actions that are invoked in turn.
const IN_TURN: [u32; 3] = [1, 10, 100];
/// From here on an invocation costs millions of instructions, and few are enough.
const PAGES_MANY: u32 = 256;
const ANSWER_LONG: u32 = 64 * KIB;

pub fn run(laboratory: &Laboratory, recorder: &mut Recorder) -> Result<()> {
    let shape = Shape::counted(laboratory.cores);
    {
        let node = laboratory.boot(System::Hostkernel, shape)?;
        image_length(laboratory, &node, recorder)?;
        pages(laboratory, &node, recorder)?;
        answers(laboratory, &node, recorder)?;
        in_turn(laboratory, &node, recorder)?;
        connections(laboratory, &node, recorder)?;
    }
    let node =
        laboratory.boot(System::Hostkernel, Shape { memory_mib: ACTIONS_MEMORY_MIB, ..shape })?;
    deployed(laboratory, &node, recorder)
}

/// Counts calls and records them as a point of a curve.
fn point(
    node: &Running,
    plan: Plan,
    call: &Call,
    recorder: &mut Recorder,
    figure: Figure<'_>,
) -> Result<()> {
    let count = node.count_calls(plan, call)?.median();
    recorder.add(figure, Unit::Instructions, count.all);
    Ok(())
}

fn figure(name: &str, at: u32) -> Figure<'_> {
    Figure::new(SUBJECT, name).at(at)
}

fn image_length(laboratory: &Laboratory, node: &Running, recorder: &mut Recorder) -> Result<()> {
    for len in IMAGES {
        node.deploy("sized", &image::image(len as usize, 1))?;
        let call = Call::function("sized", &[]);
        point(node, laboratory.plan(), &call, recorder, figure("bytes of the image", len))?;
    }
    Ok(())
}

fn pages(laboratory: &Laboratory, node: &Running, recorder: &mut Recorder) -> Result<()> {
    for pages in PAGES {
        node.deploy("touching", &image::image(0, pages))?;
        let many = pages >= PAGES_MANY;
        let plan = if many { laboratory.short_plan() } else { laboratory.plan() };
        let call = Call::function("touching", &[]);
        point(node, plan, &call, recorder, figure("pages written", pages))?;
    }
    Ok(())
}

fn answers(laboratory: &Laboratory, node: &Running, recorder: &mut Recorder) -> Result<()> {
    node.deploy("echo", laboratory.sample("echo")?)?;
    for len in ANSWERS {
        let body = vec![b'x'; len as usize];
        let call = Call::function("echo", &body).expecting(&body);
        let long = len >= ANSWER_LONG;
        let plan = if long { laboratory.short_plan() } else { laboratory.plan() };
        point(node, plan, &call, recorder, figure("bytes of input and answer", len))?;
    }
    Ok(())
}

fn in_turn(laboratory: &Laboratory, node: &Running, recorder: &mut Recorder) -> Result<()> {
    let hello = laboratory.sample("hello")?;
    let name = |number: u32| format!("turn-{number:03}");
    for actions in IN_TURN {
        for number in 0..actions {
            node.deploy(&name(number), hello)?;
        }
        let json = ["Content-Type: application/json"];
        let path = |number: u32| format!("/function/{}", name(number));
        let call = |number| Call::new("POST", &path(number), &json, br#"{"name":"you"}"#);
        let calls: Vec<_> = (0..actions).map(call).collect();
        let mut requests = node.connect(&Call::hello())?;
        let mut turn = calls.iter().cycle();
        let figures = node.count(laboratory.plan(), |runs| {
            turn.by_ref().take(runs as usize).try_for_each(|call| requests.send(call, 1))
        })?;
        let at = figure("actions in turn", actions);
        recorder.add(at, Unit::Instructions, figures.median().all);
    }
    Ok(())
}

fn connections(laboratory: &Laboratory, node: &Running, recorder: &mut Recorder) -> Result<()> {
    let healthz = Call::new("GET", "/healthz", &[], &[]);
    let open = || -> Result<Requests> {
        let mut idle = node.connect(&healthz)?;
        idle.send(&healthz, 1)?;
        Ok(idle)
    };
    for connections in CONNECTIONS {
        // New ones each time: a node closes those that are idle for long.
        let idle = (1..connections).map(|_| open()).collect::<Result<Vec<_>>>()?;
        let at = figure("connections", connections);
        point(node, laboratory.plan(), &Call::hello(), recorder, at)?;
        drop(idle);
    }
    Ok(())
}

fn deployed(laboratory: &Laboratory, node: &Running, recorder: &mut Recorder) -> Result<()> {
    let few = if laboratory.quick { ACTIONS_QUICK } else { ACTIONS.len() };
    let smallest = image::image(0, 0);
    // `hello` is there.
    let mut deployed = 1_u32;
    for actions in &ACTIONS[..few] {
        let spinner = Spinner::new(&format!("Deploying up to {actions} actions"));
        let mut requests = node.connect(&Call::hello())?;
        while deployed < *actions {
            // Each a file of its own: what is the same twice, a node keeps once.
            let image = [&*smallest, &deployed.to_le_bytes()].concat();
            requests.exchange(&deployment(&format!("small-{deployed:06}"), &image))?;
            deployed += 1;
            if deployed.is_multiple_of(100) {
                spinner.detail(&deployed.to_string());
            }
        }
        drop(spinner);
        let at = figure("deployed actions", *actions);
        point(node, laboratory.plan(), &Call::hello(), recorder, at)?;
    }
    Ok(())
}
