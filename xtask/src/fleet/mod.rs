//! A fleet on this computer: a registry, nodes in QEMU, and a balancer in front of them, the first
//! and the last as Debian has them.

pub mod balancer;
pub mod registry;
mod shelf;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub use balancer::Balancer;
pub use registry::Registry;

use crate::connection::{Connection, request};
use crate::prerequisites::{PrerequisiteError, ensure_programs};
use crate::qemu::{Machine, Node, QemuError, free_port};

/// How long a node may take to boot: emulated, with several others, on a busy computer.
const BOOT_TIMEOUT: Duration = Duration::from_secs(180);
/// How long a node may take to leave.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(120);

/// Why there is no fleet.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// A node does not boot.
    #[error(transparent)]
    Node(#[from] QemuError),
    /// A server does not start.
    #[error("a server does not start: {0}")]
    Server(#[from] io::Error),
    /// A node does not leave when it is asked to.
    #[error("node {0} does not leave")]
    Stays(usize),
    /// A server cannot be installed.
    #[error(transparent)]
    Missing(#[from] PrerequisiteError),
}

/// See the head of this file. Dropping it ends all of it.
#[derive(Debug)]
pub struct Fleet {
    registry: Registry,
    machine: Machine,
    ports: Vec<u16>,
    nodes: Vec<Option<Node>>,
    balancer: Balancer,
}

/// Makes sure the servers are installed. `say` hears what is about to be done.
///
/// # Errors
/// [`PrerequisiteError`] if one is missing and cannot be installed from here.
pub fn ensure(say: impl Fn(&str)) -> Result<(), PrerequisiteError> {
    let [registry, balancer] = [registry::PROGRAM, balancer::PROGRAM];
    ensure_programs(&[(registry, registry), (balancer, balancer)], say)
}

impl Fleet {
    /// Starts `count` nodes like this machine, with what is in a folder, behind a balancer on a
    /// port. `say` hears of each step.
    ///
    /// # Errors
    /// [`FleetError`]
    pub fn start(
        folder: &Path,
        machine: Machine,
        count: usize,
        port: u16,
        say: impl Fn(&str),
    ) -> Result<Self, FleetError> {
        ensure(&say)?;
        let registry = Registry::start(folder.join("registry"), free_port()?)?;
        say(&format!("A registry runs on port {}", registry.port()));
        let ports = (0..count).map(|_| free_port()).collect::<io::Result<Vec<_>>>()?;
        let balancer = Balancer::start(folder, port, &ports)?;
        let nodes = (0..count).map(|_| None).collect();
        let mut fleet = Self { registry, machine, ports, nodes, balancer };
        for index in 0..count {
            fleet.boot(index)?;
        }
        for index in 0..count {
            fleet.wait(index)?;
            say(&format!("Node {} runs on port {}", index + 1, fleet.ports[index]));
        }
        Ok(fleet)
    }

    fn boot(&mut self, index: usize) -> Result<(), FleetError> {
        let words = format!("{} hostkernel.node={}", self.registry.setting(), index + 1);
        let machine = self.machine.clone().port(self.ports[index]).kernel_words(words);
        self.nodes[index] = Some(machine.boot()?);
        Ok(())
    }

    fn wait(&self, index: usize) -> Result<(), FleetError> {
        match &self.nodes[index] {
            Some(node) => Ok(node.wait_ready(BOOT_TIMEOUT)?),
            None => Ok(()),
        }
    }

    /// A client that talks to the balancer.
    #[must_use]
    pub fn client(&self) -> hk::Client {
        hk::Client::new(&self.url())
    }

    /// The balancer's address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.balancer.port())
    }

    /// The registry.
    pub fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// A node, unless it was killed; the first is 0.
    #[must_use]
    pub fn node(&self, index: usize) -> Option<&Node> {
        self.nodes.get(index)?.as_ref()
    }

    /// Cuts the power of a node.
    pub fn kill(&mut self, index: usize) {
        if let Some(node) = self.nodes[index].take() {
            node.kill();
        }
    }

    /// Starts a node again that was killed or has left.
    ///
    /// # Errors
    /// [`FleetError`]
    pub fn restart(&mut self, index: usize) -> Result<(), FleetError> {
        self.boot(index)?;
        self.wait(index)
    }

    /// Restarts every node, one after the other: asked to leave, waited for, started again.
    ///
    /// # Errors
    /// [`FleetError`]
    pub fn roll(&mut self, say: impl Fn(&str)) -> Result<(), FleetError> {
        for index in 0..self.nodes.len() {
            let Some(node) = self.nodes[index].take() else { continue };
            let leaving = Connection::open(node.address()).and_then(|mut connection| {
                let headers = [crate::connection::AUTHORIZATION];
                connection.send(&request("POST", "/admin/drain", &headers, &[]))?;
                connection.receive()
            });
            leaving?;
            say(&format!("Node {} leaves", index + 1));
            if node.wait_exit(LEAVE_TIMEOUT).is_none() {
                return Err(FleetError::Stays(index + 1));
            }
            drop(node);
            self.restart(index)?;
            // The balancer has to find out before the next one goes.
            thread::sleep(Duration::from_secs(2));
            say(&format!("Node {} is back", index + 1));
        }
        Ok(())
    }

    /// Calls an action over and over while `during` goes on, which sees how many calls there were.
    /// Returns their number, and what became of those that were not answered 200.
    pub fn under_load<R>(
        &mut self,
        target: &str,
        clients: usize,
        during: impl FnOnce(&mut Self, &AtomicU64) -> R,
    ) -> (u64, Vec<String>, R) {
        let (stop, calls) = (AtomicBool::new(false), AtomicU64::new(0));
        let address = ([127, 0, 0, 1], self.balancer.port()).into();
        let call = || {
            let mut failures = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let began = Instant::now();
                let answer = Connection::open(address).and_then(|mut connection| {
                    connection.send(&request("GET", target, &["Connection: close"], &[]))?;
                    connection.receive()
                });
                calls.fetch_add(1, Ordering::Relaxed);
                let ms = began.elapsed().as_millis();
                match answer {
                    Ok(answer) if answer.status == 200 => {}
                    Ok(answer) => {
                        failures.push(format!(
                            "{} after {ms} ms: {}",
                            answer.status,
                            answer.text()
                        ));
                    }
                    Err(error) => failures.push(format!("after {ms} ms: {error}")),
                }
            }
            failures
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..clients).map(|_| scope.spawn(call)).collect();
            let result = during(self, &calls);
            stop.store(true, Ordering::Relaxed);
            let failures = threads.into_iter().flat_map(|it| it.join().unwrap_or_default());
            let failures = failures.collect();
            (calls.load(Ordering::Relaxed), failures, result)
        })
    }
}
