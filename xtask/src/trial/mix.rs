//! The traffic of the soak: what a client may do, and what it must be answered.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::Find;
use super::linux;
use super::random::Random;
use super::session::{Limits, OCTETS, Session, sample};
use crate::connection::{ACTIONS, AUTHORIZATION, request};

/// Actions the mix needs, with their sample and limits.
pub const ACTIONS_USED: [(&str, &str, Limits); 5] = [
    ("hello", "hello", Limits { timeout_ms: 60_000, memory_mb: 4 }),
    ("echo", "echo", Limits { timeout_ms: 60_000, memory_mb: 4 }),
    ("faults", "faults", Limits { timeout_ms: 60_000, memory_mb: 4 }),
    ("hasty", "faults", Limits { timeout_ms: 100, memory_mb: 4 }),
    // So much that its page tables are more than the node grants beside it.
    ("glutton", "faults", Limits { timeout_ms: 60_000, memory_mb: 16 }),
];
/// Longest input and output.
const LARGE_LEN_MAX: usize = 1 << 20;
/// Bytes of an answer that is not taken for a while: more than a connection sends ahead.
const SLOW_LEN: usize = 256 << 10;
/// Longest such while.
const SLOW_MS_MAX: usize = 500;
/// Deploys at a time, by one who does not wait for their answers.
const DEPLOYS: usize = 8;
/// Connections of a client that lets them wait.
const CONNECTIONS_KEPT: usize = 4;
/// Longest input of the ordinary kind.
const SMALL_LEN_MAX: usize = 3000;
/// Ways to break a rule, with how the reason begins.
const FAULTS: [(&str, &str); 13] = [
    ("read-null", "page fault reading 0x0 at 0x"),
    ("write-text", "page fault writing 0x"),
    ("execute-stack", "page fault executing 0x"),
    ("read-kernel", "page fault reading 0xffffffff80000000 at 0x"),
    ("non-canonical", "general protection fault (#GP) at 0x"),
    ("stack-overflow", "stack overflow touching 0x"),
    ("divide", "divide error (#DE) at 0x"),
    ("undefined", "invalid instruction (#UD) at 0x"),
    ("privileged", "general protection fault (#GP) at 0x"),
    ("panic", "exit status 101"),
    ("exit-past-window", "result of "),
    ("endless-log", "exit status 3"),
    ("endless-output", "exit status 3"),
];
/// The reason when an action takes longer than `hasty` may.
const OVER_TIME: &str = "deadline of 100 ms exceeded";
/// The reason when it takes more memory than `glutton` may.
const OVER_MEMORY: &str = "memory limit of 16 MB exceeded";

/// How often one of the costly kinds comes: once in so many.
#[derive(Clone, Copy, Debug)]
pub struct Rarity {
    /// An invocation that is ended by its deadline. Each keeps a worker busy for the shortest limit
    /// there is.
    pub over_time: u64,
    /// One that touches all of its memory.
    pub over_memory: u64,
    /// A megabyte in and out.
    pub large: u64,
    /// A client that leaves, or comes again.
    pub leave: u64,
    /// One that is a burden to others: slow, greedy, or silent.
    pub burden: u64,
}

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// Everything, Linux programs among it.
    Everything,
    /// Nothing but to call Linux programs in turn.
    Linux,
}

/// One client with its connection and its own choices.
pub struct Client {
    session: Session,
    random: Random,
    number: u64,
    rarity: Rarity,
    /// Calls of Linux programs so far.
    linux: usize,
}

impl Client {
    /// Connects.
    pub fn new(address: SocketAddr, seed: u64, number: u64, rarity: Rarity) -> Result<Self, Find> {
        let random = Random::of_case(seed, number);
        Ok(Self { session: Session::open(address)?, random, number, rarity, linux: 0 })
    }

    /// Makes one invocation, or what takes its place, and checks the answer.
    pub fn step(&mut self, mix: Mix) -> Result<(), Find> {
        if mix == Mix::Linux {
            return self.linux();
        }
        let Rarity { over_time, over_memory, large, leave, burden } = self.rarity;
        if self.random.one_in(over_time) {
            return self.fault("hasty", "endless-loop", OVER_TIME);
        }
        if self.random.one_in(over_memory) {
            return self.fault("glutton", "eat-memory", OVER_MEMORY);
        }
        if self.random.one_in(large) {
            return self.echo(LARGE_LEN_MAX);
        }
        if self.random.one_in(leave) {
            return self.leave();
        }
        if self.random.one_in(burden) {
            // Several at once would be refused with 503, and others of their namespace with them.
            static ALONE: Mutex<()> = Mutex::new(());
            let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
            return match self.random.below(3) {
                0 => self.read_slowly(),
                1 => self.deploy_much(),
                _ => self.keep_connections(),
            };
        }
        match self.random.below(32) {
            0 => self.change_actions(),
            1..=5 => {
                let (kind, reason) = *self.random.pick(&FAULTS);
                self.fault("faults", kind, reason)
            }
            6..=11 => self.echo(SMALL_LEN_MAX),
            12..=15 => self.record(),
            16..=19 => self.linux(),
            _ => self.hello("hello"),
        }
    }

    fn post(&mut self, name: &str, body: &[u8]) -> Result<(u16, Vec<u8>), Find> {
        let answer = self.session.exchange("POST", &format!("/function/{name}"), &[], body)?;
        Ok((answer.status, answer.body))
    }

    fn hello(&mut self, name: &str) -> Result<(), Find> {
        let word = self.random.word();
        let answer = self.post(name, format!(r#"{{"name":"{word}"}}"#).as_bytes())?;
        must(&answer, 200, |body| body == format!(r#"{{"greeting":"Hello, {word}!"}}"#).as_bytes())
    }

    /// The next of the Linux programs, which greet as well.
    fn linux(&mut self) -> Result<(), Find> {
        self.linux += 1;
        let name = linux::NAMES[self.linux % linux::NAMES.len()];
        self.hello(name).map_err(|find| find.during(name))
    }

    fn echo(&mut self, len_max: usize) -> Result<(), Find> {
        let len = self.random.below(len_max + 1);
        let input = self.random.bytes(len);
        let answer = self.post("echo", &input)?;
        must(&answer, 200, |body| body == input)
    }

    fn fault(&mut self, name: &str, kind: &str, reason: &str) -> Result<(), Find> {
        let answer = self.post(name, format!(r#"{{"kind":"{kind}"}}"#).as_bytes())?;
        let start = format!(r#"{{"error":"{reason}"#);
        must(&answer, 502, |body| body.starts_with(start.as_bytes()))
            .map_err(|find| find.during(kind))
    }

    /// The same by the other door, with the record as the answer.
    fn record(&mut self) -> Result<(), Find> {
        let target = format!("{ACTIONS}/hello?blocking=true");
        let answer =
            self.session.exchange("POST", &target, &[AUTHORIZATION], br#"{"name":"R"}"#)?;
        let text = answer.text();
        let complete = text.contains(r#""status":"success""#) && text.contains("Hello, R!");
        must(&(answer.status, answer.body), 200, |_| complete)
    }

    /// Leaves before the answer, or without having asked; and comes again.
    fn leave(&mut self) -> Result<(), Find> {
        if self.random.one_in(2) {
            let len = self.random.below(SMALL_LEN_MAX);
            let body = self.random.bytes(len);
            self.session.send(&request("POST", "/function/echo", &[], &body))?;
        }
        self.session.reopen()
    }

    /// Does not take a large answer for a while.
    fn read_slowly(&mut self) -> Result<(), Find> {
        let input = self.random.bytes(SLOW_LEN);
        self.session.send(&request("POST", "/function/echo", &[], &input))?;
        thread::sleep(Duration::from_millis(self.random.below(SLOW_MS_MAX) as u64));
        let answer = self.session.receive()?;
        must(&(answer.status, answer.body), 200, |body| body == input)
    }

    /// Deploys again and again, and does not wait for the answers.
    fn deploy_much(&mut self) -> Result<(), Find> {
        let name = format!("mine-{}", self.number);
        let target = format!("{ACTIONS}/{name}?overwrite=true&code=false&memory=4");
        let code = sample("echo")?;
        for _ in 0..DEPLOYS {
            self.session.send(&request("PUT", &target, &[AUTHORIZATION, OCTETS], &code))?;
        }
        for _ in 0..DEPLOYS {
            let answer = self.session.receive()?;
            must(&(answer.status, answer.body), 200, |_| true)?;
        }
        self.session.delete(&name)
    }

    /// Begins requests on connections of which none comes any further.
    fn keep_connections(&mut self) -> Result<(), Find> {
        let mut kept = Vec::new();
        for _ in 0..CONNECTIONS_KEPT {
            let mut session = self.session.another()?;
            session.send(b"POST /function/echo HTTP/1.1\r\nHost: node\r\nContent-Length: 9")?;
            kept.push(session);
        }
        self.hello("hello")
    }

    /// Deploys, invokes, updates, and deletes an action of one's own.
    fn change_actions(&mut self) -> Result<(), Find> {
        let name = format!("mine-{}", self.number);
        let limits = Limits { timeout_ms: 60_000, memory_mb: 4 };
        self.session.deploy_sample(&name, "hello", limits)?;
        self.hello(&name)?;
        self.session.deploy_sample(&name, "echo", limits)?;
        let answer = self.post(&name, b"echo")?;
        must(&answer, 200, |body| body == b"echo")?;
        self.session.delete(&name)?;
        let answer = self.post(&name, b"{}")?;
        must(&answer, 404, |_| true)
    }
}

fn must(
    (status, body): &(u16, Vec<u8>),
    expected: u16,
    good: impl FnOnce(&[u8]) -> bool,
) -> Result<(), Find> {
    if *status == expected && good(body) {
        return Ok(());
    }
    let start = String::from_utf8_lossy(&body[..body.len().min(500)]);
    Err(Find::new(format!("the answer is {status} {start:?}")))
}
