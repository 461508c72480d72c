//! Nodes for tests.

use std::ops::Deref;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;
use std::{env, fs};

use hk::{Client, DeployOptions};
use serde_json::Value;
use xtask::qemu::{Machine, NIC_VARIABLE, Node};
use xtask::workspace;

use crate::{ACTIONS, AUTHORIZATION, Connection, Response, request};

/// How long a node may take to boot: emulated, with several others, on a busy computer.
pub const BOOT_TIMEOUT: Duration = Duration::from_secs(180);

/// A small machine with the built kernel: q35, 2 cores, 256 MiB, a free port, and the network card
/// that `cargo xtask test --nic` names.
#[must_use]
pub fn machine() -> Machine {
    let machine = Machine::new(workspace::kernel()).memory_mib(256);
    match env::var(NIC_VARIABLE) {
        Ok(nic) => machine.nic(nic),
        Err(_) => machine,
    }
}

/// The same, with a node that leaves without waiting for load balancers to notice: for tables of
/// machines, of which each is switched off.
#[must_use]
pub fn brief_machine() -> Machine {
    machine().kernel_words("hostkernel.drain_s=1")
}

/// Boots a machine and waits until it is ready.
///
/// # Panics
/// If that does not work, with the QEMU command and the end of the serial log.
#[must_use]
pub fn boot(machine: Machine) -> TestNode {
    boot_within(machine, BOOT_TIMEOUT)
}

/// The same for a machine that has more to do before it is ready.
///
/// # Panics
/// As [`boot`].
#[must_use]
pub fn boot_within(machine: Machine, timeout: Duration) -> TestNode {
    let ready = machine.boot().and_then(|node| {
        node.wait_ready(timeout)?;
        Ok(node)
    });
    match ready {
        Ok(node) => TestNode { client: node.client(), node },
        Err(error) => panic!("{error}"),
    }
}

/// The ELF file of a sample action.
///
/// # Panics
/// If it was not built.
#[must_use]
pub fn sample(name: &str) -> Vec<u8> {
    let file = workspace::actions().join(format!("{name}.elf"));
    fs::read(&file).unwrap_or_else(|error| {
        panic!("{}: {error}; build it with `cargo xtask build`", file.display())
    })
}

/// A running node. It is also a [`Node`], with serial log, power button and processor time.
///
/// Dropping it ends QEMU; dropping it in a panicking test first prints what is known.
#[derive(Debug)]
pub struct TestNode {
    node: Node,
    client: Client,
}

impl TestNode {
    /// The client library, with the key of development nodes.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The value of a sample in the node's metrics, by name and labels.
    #[track_caller]
    pub fn metric(&self, sample: &str) -> u64 {
        let text = self.get("/metrics").text();
        let value = text.lines().find_map(|line| line.strip_prefix(sample)?.trim().parse().ok());
        value.unwrap_or_else(|| panic!("no sample {sample} in:\n{text}"))
    }

    /// Deploys a sample action under its own name.
    ///
    /// # Panics
    /// If the node refuses it.
    pub fn deploy(&self, name: &str) {
        self.client
            .deploy(name, &sample(name), &DeployOptions::default())
            .unwrap_or_else(|error| panic!("deploying {name}: {error}"));
    }

    /// Deploys a sample action under another name and with other limits.
    ///
    /// # Panics
    /// If the node refuses it.
    pub fn deploy_as(&self, name: &str, sample_name: &str, options: &DeployOptions) {
        self.client
            .deploy(name, &sample(sample_name), options)
            .unwrap_or_else(|error| panic!("deploying {name}: {error}"));
    }

    /// Invokes an action and waits for the record of its activation, with log and timings.
    ///
    /// # Panics
    /// If there is no record.
    #[must_use]
    pub fn activation(&self, name: &str, input: &Value) -> Value {
        let body = input.to_string();
        let target = format!("{ACTIONS}/{name}?blocking=true");
        let answer = self.request("POST", &target, &[AUTHORIZATION], body.as_bytes());
        assert!(matches!(answer.status, 200 | 502), "{name} {body}: {}", answer.text());
        answer.json()
    }

    /// Lets both cores of a node run an invocation: each keeps the tables of its first one.
    pub fn warm_up(&self) {
        self.deploy("sleepless");
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| self.activation("sleepless", &serde_json::json!({ "ms": 500 })));
            }
        });
    }

    /// Calls `hello` and checks its answer: the node, or its only worker, is in order.
    ///
    /// # Panics
    /// If it is not.
    pub fn greets(&self, name: &str) {
        let body = format!(r#"{{"name":"{name}"}}"#);
        let answer = self.request("POST", "/function/hello", &[], body.as_bytes());
        let expected = format!(r#"{{"greeting":"Hello, {name}!"}}"#);
        assert_eq!((answer.status, answer.text()), (200, expected));
    }

    /// What the log says of the boot's times, each of them of a phase and not 0.
    ///
    /// # Panics
    /// If they are not there, or not of these phases.
    #[must_use]
    pub fn boot_times(&self, phases: &[&str]) -> String {
        let log = self.serial();
        let (_, times) = log.split_once("INFO  boot: ").expect("it is said before readiness");
        let times = times.lines().next().unwrap_or_default();
        let named = times.split(", ").map(|time| time.split_once(' ').expect("name and time"));
        let (names, times_ms): (Vec<_>, Vec<_>) = named.unzip();
        assert_eq!(names, phases, "{log}");
        for time_ms in times_ms {
            let number = time_ms.strip_suffix(" ms").and_then(|time| time.parse::<f64>().ok());
            assert!(number.is_some_and(|number| number > 0.0), "{time_ms}: {log}");
        }
        times.to_owned()
    }

    /// Deploys every sample action that was built.
    ///
    /// # Panics
    /// If there are none, or the node refuses one.
    #[must_use]
    pub fn with_samples(self) -> Self {
        let folder = workspace::actions();
        let files = fs::read_dir(&folder).unwrap_or_else(|error| {
            panic!("{}: {error}; build them with `cargo xtask build`", folder.display())
        });
        for file in files {
            let path = file.expect("the folder of actions can be listed").path();
            if path.extension().is_some_and(|kind| kind == "elf") {
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                self.deploy(&name);
            }
        }
        self
    }

    /// A connection that has answered once.
    ///
    /// QEMU's network accepts one connection at a time; who opens many at once waits seconds for
    /// TCP to try again, which says nothing about the node.
    ///
    /// # Panics
    /// If the node does not answer.
    #[must_use]
    pub fn established(&self) -> Connection {
        let mut connection = self.connect();
        connection.send(&request("GET", "/healthz", &[], &[])).expect("an open connection");
        assert_eq!(connection.receive().expect("an answer").status, 200);
        connection
    }

    /// A connection for hand-made bytes.
    ///
    /// # Panics
    /// If the node does not accept it.
    #[must_use]
    pub fn connect(&self) -> Connection {
        Connection::open(self.node.address()).expect("the node accepts connections")
    }

    /// Sends one request on a connection of its own and returns the answer, whatever it is.
    ///
    /// `headers` are whole lines without their ends. `Host`, `Content-Length` for a body, and
    /// `Connection: close` are added.
    ///
    /// # Panics
    /// If there is no answer.
    #[must_use]
    pub fn request(&self, method: &str, target: &str, headers: &[&str], body: &[u8]) -> Response {
        let headers = [headers, &["Connection: close"]].concat();
        let request = request(method, target, &headers, body);
        let mut connection = self.connect();
        // A node that refuses early may close before it has read everything; the answer counts.
        let _ = connection.send(&request);
        connection
            .receive_for(method)
            .unwrap_or_else(|error| panic!("no answer to {method} {target}: {error}"))
    }

    /// `GET`, without key.
    ///
    /// # Panics
    /// If there is no answer.
    #[must_use]
    pub fn get(&self, target: &str) -> Response {
        self.request("GET", target, &[], &[])
    }
}

impl Deref for TestNode {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

impl Drop for TestNode {
    fn drop(&mut self) {
        report_if_panicking(&self.node);
    }
}

/// A node that all tests of a file share; the first one that asks boots it.
///
/// Nothing drops a static, so QEMU ends with the test program, see [`xtask::lifeline`].
#[derive(Debug)]
pub struct SharedNode {
    node: LazyLock<TestNode>,
}

impl SharedNode {
    /// Describes how to boot the node.
    #[must_use]
    pub const fn new(boot: fn() -> TestNode) -> Self {
        Self { node: LazyLock::new(boot) }
    }

    /// The running node.
    ///
    /// # Panics
    /// If it does not boot, or did not when an earlier test asked.
    #[must_use]
    pub fn get(&'static self) -> Lease {
        Lease { node: &self.node }
    }
}

/// A test's use of a shared node. A test that panics while it holds one prints what is known.
#[derive(Debug)]
pub struct Lease {
    node: &'static TestNode,
}

impl Deref for Lease {
    type Target = TestNode;

    fn deref(&self) -> &TestNode {
        self.node
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        report_if_panicking(&self.node.node);
    }
}

fn report_if_panicking(node: &Node) {
    if thread::panicking() {
        eprintln!("{}", node.report());
    }
}
