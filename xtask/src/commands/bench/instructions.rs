//! What a request costs, network card in to network card out, in instructions of the guest; and
//! what an instance costs without network.

use anyhow::{Context, Result};
use xtask::lab::{Peer, Plan, Unit};

use super::laboratory::Laboratory;
use super::machine::{Shape, System};
use super::recorder::{Figure, Recorder};

/// Cores of a node. Peers have one, on which nothing waits for anything.
const CORES: [u32; 3] = [1, 2, 4];
/// With two cores the second does nothing but run actions.
pub(super) const WORKER: (u32, usize) = (2, 1);

pub fn run(laboratory: &Laboratory, recorder: &mut Recorder) -> Result<()> {
    for cores in CORES {
        let node = laboratory.boot(System::Hostkernel, Shape::counted(cores))?;
        for subject in laboratory.subjects(System::Hostkernel) {
            let figures = node.count_calls(laboratory.plan(), &subject.call)?;
            let figure = Figure::new(subject.name, "a request, by cores").at(cores);
            recorder.add(figure, Unit::Instructions, figures.median().all);
            if cores == 1 {
                recorder.add_count(Figure::new(subject.name, "a request"), figures.median());
            }
            if cores == WORKER.0 {
                let worker = figures.median_round().get(WORKER.1).copied();
                let worker = worker.context("a node with two cores has a second one")?;
                recorder.add_count(Figure::new(subject.name, "without network"), worker);
            }
        }
    }
    if laboratory.systems().contains(&System::Linux) { peers(laboratory, recorder) } else { Ok(()) }
}

fn peers(laboratory: &Laboratory, recorder: &mut Recorder) -> Result<()> {
    let guest = laboratory.boot(System::Linux, Shape::counted(1))?;
    for subject in laboratory.subjects(System::Linux) {
        let Some(peer) = subject.peer else { continue };
        let plan = plan(laboratory, peer);
        let request = guest.count_calls(plan, &subject.call)?;
        recorder.add_count(Figure::new(subject.name, "a request"), request.median());
        // A constant has no instance.
        if peer != Peer::Constant {
            let mut bare = peer.bare(guest.node.address())?;
            let bare = guest.count(plan, |runs| bare.run(runs).map(drop))?;
            recorder.add_count(Figure::new(subject.name, "without network"), bare.median());
        }
    }
    Ok(())
}

/// Containers cost millions of instructions each.
pub(super) fn plan(laboratory: &Laboratory, peer: Peer) -> Plan {
    match peer {
        Peer::Constant | Peer::Wasm => laboratory.plan(),
        // A process costs ten times as much, and varies less.
        Peer::Process | Peer::Musl | Peer::Hosted(_) => {
            Plan { runs: laboratory.plan().runs / 3, ..laboratory.plan() }
        }
        Peer::Crun | Peer::Runc | Peer::Solo5 => laboratory.short_plan(),
    }
}
