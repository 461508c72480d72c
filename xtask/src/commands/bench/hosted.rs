//! What an invocation of a Linux program costs without network, in instructions of the guest; and
//! what the same file costs as a process of Linux.

use std::fs;

use anyhow::{Context, Result};
use xtask::lab::{Call, Hosted, Peer};

use super::SUBJECT;
use super::instructions::{WORKER, plan};
use super::laboratory::Laboratory;
use super::machine::{Shape, System};
use super::recorder::{Figure, Recorder};
use crate::progress::say;

/// The peer: Linux, which starts a process.
const PROCESS: &str = "process";

pub fn run(laboratory: &Laboratory, recorder: &mut Recorder) -> Result<()> {
    let (cores, core) = WORKER;
    let node = laboratory.boot(System::Hostkernel, Shape::counted(cores))?;
    for hosted in Hosted::ALL {
        let program = hosted.build(say)?;
        let file = fs::read(&program).with_context(|| format!("{}", program.display()))?;
        node.deploy(hosted.name(), &file)?;
        let call = Call::function(hosted.name(), Hosted::INPUT).expecting(Hosted::GREETING);
        let figures = node.count_calls(plan(laboratory, Peer::Hosted(hosted)), &call)?;
        let worker = figures.median_round().get(core).copied();
        let worker = worker.context("a node with two cores has a second one")?;
        recorder.add_count(Figure::new(SUBJECT, hosted.name()), worker);
    }
    drop(node);
    if laboratory.systems().contains(&System::Linux) { peers(laboratory, recorder) } else { Ok(()) }
}

fn peers(laboratory: &Laboratory, recorder: &mut Recorder) -> Result<()> {
    let guest = laboratory.boot(System::Linux, Shape::counted(1))?;
    for hosted in Hosted::ALL {
        let peer = Peer::Hosted(hosted);
        // Whatever is measured answers right.
        let call = peer.call();
        guest.connect(&call)?.send(&call, 1)?;
        let mut bare = peer.bare(guest.node.address())?;
        let bare = guest.count(plan(laboratory, peer), |runs| bare.run(runs).map(drop))?;
        recorder.add_count(Figure::new(PROCESS, hosted.name()), bare.median());
    }
    Ok(())
}
