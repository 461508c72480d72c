//! The machines of the laboratory: what they boot, who answers there, and what can be asked of
//! them.

use anyhow::{Context, Result, ensure};
use xtask::connection::{ACTIONS, AUTHORIZATION};
use xtask::lab::{Call, Count, Counters, Figures, LabError, Peer, Plan, Requests, once, per_run};
use xtask::qemu::Node;

/// Of two cores the one that does nothing but run actions.
pub const SECOND: usize = 1;
/// Memory of a machine, where a suite does not say otherwise.
const MEMORY_MIB: u32 = 512;
/// What a request says whose body is a description.
pub const JSON: &str = "Content-Type: application/json";
/// What a request says whose body is a file.
pub const OCTETS: &str = "Content-Type: application/octet-stream";

/// What a machine boots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// A node with the action `hello`.
    Hostkernel,
    /// The Linux guest.
    Linux,
}

/// Who answers a request.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its name in the report.
    pub name: &'static str,
    /// What to ask it for.
    pub call: Call,
    /// Which peer it is; hostkernel is none.
    pub peer: Option<Peer>,
}

/// A machine to boot.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub cores: u32,
    pub memory_mib: u32,
    /// Whether its instructions are counted. That slows it down, so its time means nothing.
    pub is_counted: bool,
}

impl Shape {
    /// A machine whose time is measured.
    pub fn timed(cores: u32) -> Self {
        Self { cores, memory_mib: MEMORY_MIB, is_counted: false }
    }

    /// A machine whose instructions are counted.
    pub fn counted(cores: u32) -> Self {
        Self { is_counted: true, ..Self::timed(cores) }
    }
}

/// A running machine. Dropping it ends it.
pub struct Running {
    pub node: Node,
    pub(super) cores: usize,
    pub(super) counters: Option<Counters>,
}

impl Running {
    /// A connection for calls.
    pub fn connect(&self, call: &Call) -> Result<Requests> {
        Ok(call.connect(self.node.address())?)
    }

    /// Instructions of one run; the machine has to be a counted one.
    pub fn count(
        &self,
        plan: Plan,
        run: impl FnMut(u64) -> Result<(), LabError>,
    ) -> Result<Figures> {
        let counters = self.counters.as_ref().context("this machine does not count")?;
        let figures = per_run(counters, self.cores, plan, run)?;
        ensure!(figures.median().all > 0.0, "the plugin in QEMU has counted nothing");
        Ok(figures)
    }

    /// Instructions of something that is done once, by core.
    pub fn count_once(&self, run: impl FnOnce() -> Result<(), LabError>) -> Result<Vec<Count>> {
        let counters = self.counters.as_ref().context("this machine does not count")?;
        Ok(once(counters, self.cores, run)?)
    }

    /// Instructions of one call, on a connection that stays.
    pub fn count_calls(&self, plan: Plan, call: &Call) -> Result<Figures> {
        let mut requests = self.connect(call)?;
        self.count(plan, |runs| requests.send(call, runs))
    }

    /// Adds the machine's last words to an error.
    pub fn explain<T>(&self, result: Result<T>) -> Result<T> {
        const LINES: usize = 6;
        result.with_context(|| format!("the machine says:\n{}", self.node.serial_tail(LINES)))
    }

    /// Deploys an image.
    pub fn deploy(&self, name: &str, image: &[u8]) -> Result<()> {
        Ok(send(self, &deployment(name, image))?)
    }
}

/// Makes a call once, on a connection of its own.
pub fn send(node: &Running, call: &Call) -> Result<(), LabError> {
    call.connect(node.node.address())?.exchange(call).map(drop)
}

/// The call that deploys an image, with a memory limit that the largest of ours fits into.
pub fn deployment(name: &str, image: &[u8]) -> Call {
    const MEMORY_MB: u64 = 64;
    let path = format!("{ACTIONS}/{name}?overwrite=true&code=false&memory={MEMORY_MB}");
    Call::new("PUT", &path, &[AUTHORIZATION, OCTETS], image)
}

/// The call that gives an action an annotation.
pub fn annotation(name: &str, key: &str, value: &str) -> Call {
    let path = format!("{ACTIONS}/{name}?overwrite=true&code=false");
    let body = format!(r#"{{"annotations":[{{"key":"{key}","value":"{value}"}}]}}"#);
    Call::new("PUT", &path, &[AUTHORIZATION, JSON], body.as_bytes())
}
