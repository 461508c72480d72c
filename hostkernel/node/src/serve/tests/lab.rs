//! A node and its clients on one wire, in virtual time.
//!
//! The node is the real service with the real API and dispatcher behind it; the worker is a
//! stand-in that gives every input back. The node is called when its loop on core 0 would call it:
//! a frame or a completion waits, or the time has come that it named. So a wake-up that it forgets
//! to ask for stops the lab.

extern crate std;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use std::eprintln;

use action_abi::host::Moment;
use smoltcp::socket::tcp::State;
use smoltcp::wire::{EthernetFrame, PrettyPrinter};

use super::super::Service;
use super::peer::{Answer, Client, NODE_IP, PORT, PREFIX_LEN, Peer};
use super::wire::{Card, Wire};
use crate::api::tests::runtimes::freeze;
use crate::dispatch::{Completion, Dispatcher, End, Invocation, Log, Timing, Usage};
use crate::journal::syslog::Queue;
use crate::random::Random;
use crate::registry::Limits;
use crate::registry::{Action, Annotations, Digest, KeyValues, Name, Namespace, Share, Version};
use crate::settings::{Address, Server, Settings};
use crate::state::records::Records;
use crate::state::{Node, Now, Policy};
use crate::wall::trust::{Opinion, Reading};
use limits::{CONNECTIONS_KEPT_DIVISOR, IDLE_TIMEOUT_MS, REQUEST_TIMEOUT_MS};
use memory::LoadPlan;
use memory::effort;
use memory::failure::Refusal;
use memory::{PageBuffer, Template, install_for_test};

pub const NS_PER_MS: u64 = 1_000_000;
/// Connections the node has room for.
pub const ROOM: usize = 24;
/// How many of them those without a key may hold.
pub const PUBLIC: usize = ROOM - ROOM / CONNECTIONS_KEPT_DIVISOR;
/// One more invocation than this is refused: these wait while one runs.
pub const QUEUE_LEN: usize = 32;
/// Longest input, as the operator has it.
pub const INPUT_LEN_MAX: usize = 1 << 20;
/// What the log server is told the time was: 2026-11-23T02:50:41.5Z, for ever.
pub const WALL_NS: u64 = 1_795_402_241_500_000_000;
/// Records of invocations that the node keeps.
pub const RECORDS: usize = 16;
/// What the node can give an invocation.
const MEMORY_MB: u64 = 8;
/// How long one turn of the node's loop takes.
const TURN_NS: u64 = 1_000;
/// What does not happen in so much virtual time does not happen.
const PATIENCE_NS: u64 = 300_000 * NS_PER_MS;
/// Turns until a lab that goes round in circles is stopped.
const TURNS_MAX: usize = 1_000_000;
/// After so long every connection that is not used is gone: whatever time-outs come in a row.
const SETTLED_NS: u64 = 2 * (REQUEST_TIMEOUT_MS + IDLE_TIMEOUT_MS) * NS_PER_MS;
/// The core of the stand-in for a worker.
const WORKER: usize = 1;
const FRONT: usize = 0;

/// See the head of this file.
pub struct Lab {
    pub now_ns: u64,
    /// What the node is told that the time is.
    pub wall_ms: u64,
    pub to_node: Wire,
    pub to_peer: Wire,
    pub peer: Peer,
    pub worker: Worker,
    pub service: Service<'static>,
    /// How often the node was called.
    pub polls: usize,
    /// The most bytes it wrote into frames in one of these calls.
    pub written_max: usize,
    /// How much time each of these bytes takes.
    pub byte_ns: u64,
    /// A request for memory that it is refused.
    pub refusal: Option<Refusal>,
    dispatcher: &'static Dispatcher,
    node_next_ns: Option<u64>,
    /// When something is to be done next.
    next_ns: u64,
    /// What a report of failure is about.
    case: String,
}

/// Gives every input back as output.
#[derive(Default)]
pub struct Worker {
    /// How long an invocation takes.
    pub run_ns: u64,
    /// Nothing that runs ends.
    pub holds: bool,
    /// How an invocation ends.
    pub end: Option<End>,
    /// Bytes of what runs that have left before its end.
    left_len: usize,
    /// If it gives back something of this length instead.
    pub output_len: Option<usize>,
    /// Invocations it began.
    pub begun: usize,
    running: Option<(u64, Invocation)>,
}

impl Lab {
    pub fn new() -> Self {
        Self::with_case(String::new())
    }

    /// A lab that says which case of many it is when its test fails.
    pub fn with_case(case: String) -> Self {
        Self::with_seed(1, case)
    }

    /// One whose clients and their line take other chances.
    pub fn with_seed(seed: u32, case: String) -> Self {
        Self::build(seed, case, Settings::default(), Share::UNBOUNDED)
    }

    /// One with other settings. The address is always the same.
    pub fn with_settings(settings: Settings) -> Self {
        Self::with_share(settings, Share::UNBOUNDED)
    }

    /// One whose memory is bounded.
    pub fn with_share(settings: Settings, share: Share) -> Self {
        Self::build(1, String::new(), settings, share)
    }

    /// One with an address of its own.
    pub fn at(settings: Settings) -> Self {
        Self::build_at(1, String::new(), settings, Share::UNBOUNDED)
    }

    fn build(seed: u32, case: String, settings: Settings, share: Share) -> Self {
        let address = Address::Static { address: NODE_IP, prefix_len: PREFIX_LEN, gateway: None };
        Self::build_at(seed, case, Settings { address, ..settings }, share)
    }

    fn build_at(seed: u32, case: String, settings: Settings, share: Share) -> Self {
        install_for_test();
        let now_ns = 1_000 * NS_PER_MS;
        let (to_node, to_peer) = (Wire::default(), Wire::default());
        let dispatcher = Dispatcher::new(&[WORKER], FRONT, QUEUE_LEN, |_| {});
        // As in the kernel, where it is for ever, too.
        let dispatcher: &'static Dispatcher = Box::leak(Box::new(dispatcher));
        let settings = Settings { port: PORT, ..settings };
        let service = Service::new(
            Box::new(Card::new(&to_node, &to_peer)),
            &settings,
            ROOM,
            node(&settings, share),
            dispatcher,
            Random::from_seed([7; 32]),
            now_ns,
        );
        let peer = Peer::new(&to_peer, &to_node, seed, now_ns);
        Self {
            now_ns,
            wall_ms: 0,
            to_node,
            to_peer,
            peer,
            worker: Worker::default(),
            service,
            polls: 0,
            written_max: 0,
            byte_ns: 0,
            refusal: None,
            dispatcher,
            // A node begins with a turn of its loop.
            node_next_ns: Some(now_ns),
            next_ns: now_ns,
            case,
        }
    }

    pub fn connect(&mut self) -> Client {
        self.peer.connect()
    }

    pub fn send(&mut self, client: Client, bytes: &[u8]) {
        self.peer.send(client, bytes);
    }

    /// Has the node called at the next turn.
    pub fn wake(&mut self) {
        self.node_next_ns = Some(self.now_ns);
    }

    /// Has the peer do at the next turn what it was just told, and not when something is due.
    pub fn hurry(&mut self) {
        self.next_ns = self.now_ns;
    }

    /// Has what runs let go the first bytes of its result. Returns how many have left.
    pub fn let_out(&mut self, ready_len: usize) -> usize {
        self.worker.let_out(self.dispatcher, ready_len)
    }

    /// Waits for the next answer.
    pub fn answer(&mut self, client: Client) -> Answer {
        self.until("an answer", |lab| lab.peer.take_answer(client))
    }

    /// Invokes, and checks that the right answer comes.
    pub fn echo(&mut self, client: Client, body: &[u8]) {
        self.send(client, &invoke(body));
        self.is_echoed(client, body);
    }

    /// Checks that the next answer is the one to this body.
    pub fn is_echoed(&mut self, client: Client, body: &[u8]) {
        let answer = self.answer(client);
        assert_eq!(answer.status, 200);
        assert!(answer.body == body, "{} bytes, not the {} sent", answer.body.len(), body.len());
    }

    /// Waits until a connection is in a state.
    pub fn until_state(&mut self, client: Client, state: State) {
        let what = format!("{state:?}");
        self.until(&what, |lab| (lab.peer.state(client) == state).then_some(()));
    }

    /// Lets time pass until something is the case.
    pub fn until<R>(&mut self, what: &str, found: impl FnMut(&mut Self) -> Option<R>) -> R {
        self.until_within(PATIENCE_NS, what, found)
    }

    /// The same for what may take hours.
    pub fn until_longer<R>(&mut self, what: &str, found: impl FnMut(&mut Self) -> Option<R>) -> R {
        self.until_within(100 * PATIENCE_NS, what, found)
    }

    fn until_within<R>(
        &mut self,
        patience_ns: u64,
        what: &str,
        mut found: impl FnMut(&mut Self) -> Option<R>,
    ) -> R {
        let end_ns = self.now_ns + patience_ns;
        // The test may have done something since.
        self.next_ns = self.now_ns;
        for _ in 0..TURNS_MAX {
            if let Some(result) = found(self) {
                return result;
            }
            assert!(self.now_ns < end_ns, "{what} has not come");
            self.turn(end_ns);
        }
        panic!("{what} has not come after {TURNS_MAX} turns");
    }

    /// What a time server has said, and what to make of it. As the front does, has the node polled
    /// after that.
    pub fn hear_time(&mut self, machine_ns: Option<u64>) -> Option<(Reading, Opinion)> {
        let heard = self.service.take_reading(|| machine_ns)?;
        self.node_next_ns = Some(self.now_ns);
        Some(heard)
    }

    /// Lets time pass.
    pub fn pass_ms(&mut self, duration_ms: u64) {
        let end_ns = self.now_ns + duration_ms * NS_PER_MS;
        self.next_ns = self.now_ns;
        for _ in 0..TURNS_MAX {
            if self.now_ns >= end_ns {
                return;
            }
            self.turn(end_ns);
        }
        panic!("{TURNS_MAX} turns were not enough for {duration_ms} ms");
    }

    /// Closes all clients, and checks that the node comes to rest and is as it was at first.
    pub fn settle(&mut self) {
        self.worker.holds = false;
        self.to_node.borrow_mut().mend();
        self.to_peer.borrow_mut().mend();
        self.peer.close_all();
        self.pass_ms(SETTLED_NS / NS_PER_MS);
        assert_eq!(self.dispatcher.outstanding(), 0);
        assert_eq!(self.connections(), 0, "connections");
        assert_eq!(self.service.connections.next_ns(), None, "nobody is waited for");
        let polls = self.polls;
        self.pass_ms(SETTLED_NS / NS_PER_MS);
        assert_eq!(self.polls, polls, "a node without connections sleeps");
    }

    /// Whether the node could be switched off.
    pub fn is_drained(&mut self) -> bool {
        self.service.is_drained(self.now_ns)
    }

    /// The node's slots with a connection or what is left of one.
    pub fn connections(&self) -> usize {
        self.service.connections.open()
    }

    /// Milliseconds since an earlier moment.
    pub fn since_ms(&self, earlier_ns: u64) -> u64 {
        (self.now_ns - earlier_ns) / NS_PER_MS
    }

    /// Moves on to the next moment at which something is due, not beyond `end_ns`, and does it.
    fn turn(&mut self, end_ns: u64) {
        let now_ns = self.next_ns.max(self.now_ns + TURN_NS).min(end_ns);
        self.now_ns = now_ns;
        self.to_node.borrow_mut().deliver(now_ns);
        self.to_peer.borrow_mut().deliver(now_ns);
        if self.node_is_awake() || self.node_next_ns.is_some_and(|next_ns| next_ns <= now_ns) {
            effort::take_written();
            let now = Now { monotonic_ns: now_ns, wall_ms: self.wall_ms };
            let Self { service, refusal, .. } = self;
            self.node_next_ns = match refusal {
                Some(refusal) => refusal.during(|| service.poll(now)),
                None => service.poll(now),
            };
            self.polls += 1;
            let written = effort::take_written();
            self.written_max = self.written_max.max(written);
            self.now_ns += written as u64 * self.byte_ns;
        }
        let now_ns = self.now_ns;
        self.worker.step(self.dispatcher, now_ns);
        let peer_next_ns = self.peer.poll(now_ns);
        let awake = self.node_is_awake() || self.to_peer.borrow().has_arrived();
        let next_ns = [
            awake.then_some(now_ns),
            self.node_next_ns,
            peer_next_ns,
            self.worker.next_ns(),
            self.to_node.borrow().next_ns(),
            self.to_peer.borrow().next_ns(),
        ];
        self.next_ns = next_ns.into_iter().flatten().min().unwrap_or(u64::MAX);
    }

    /// Whether the loop of core 0 would not sleep.
    fn node_is_awake(&mut self) -> bool {
        let mut sleeps = false;
        self.dispatcher.sleep_front(|| {
            sleeps = self.service.arm();
            self.service.disarm();
        });
        !sleeps
    }
}

/// A test that fails shows its case and the last frames.
impl Drop for Lab {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        eprintln!("case: {}, at {} ns", self.case, self.now_ns);
        let mut frames: Vec<_> = Vec::new();
        for (arrow, line) in [("->", &self.to_node), ("<-", &self.to_peer)] {
            let history = line.borrow().history.clone();
            frames.extend(history.into_iter().map(|(at_ns, frame)| (at_ns, arrow, frame)));
        }
        frames.sort_by_key(|(at_ns, _, _)| *at_ns);
        for (at_ns, arrow, frame) in frames {
            let text = PrettyPrinter::<EthernetFrame<&[u8]>>::new("", &frame);
            eprintln!("{at_ns:>15} node {arrow} {text}");
        }
    }
}

impl Worker {
    fn step(&mut self, dispatcher: &Dispatcher, now_ns: u64) {
        loop {
            if self.running.is_none() {
                let Some(invocation) = dispatcher.take(WORKER) else { return };
                self.begun += 1;
                self.left_len = 0;
                self.running = Some((now_ns + self.run_ns, invocation));
            }
            let ended = |(end_ns, _): &mut (u64, _)| !self.holds && *end_ns <= now_ns;
            let Some((_, invocation)) = self.running.take_if(ended) else { return };
            let mut completion = echo(invocation);
            completion.end = self.end.unwrap_or(completion.end);
            if let Some(len) = self.output_len {
                completion.output = PageBuffer::from_bytes(&pattern(len)).expect("frames are left");
            }
            dispatcher.complete(WORKER, completion);
        }
    }

    fn let_out(&mut self, dispatcher: &Dispatcher, ready_len: usize) -> usize {
        let Some((_, Invocation { ticket, outlet: Some(outlet), input, .. })) = &self.running
        else {
            return 0;
        };
        outlet.begin(WORKER);
        let len = outlet.room(ready_len - self.left_len);
        if len > 0 {
            let all = input.to_vec().expect("memory is left");
            let piece = &all[self.left_len..self.left_len + len];
            let piece = PageBuffer::from_bytes(piece).expect("frames are left");
            dispatcher.let_out(WORKER, (*ticket, outlet), piece);
        }
        self.left_len += len;
        self.left_len
    }

    /// Whether the client of what runs has left.
    pub fn is_abandoned(&self) -> bool {
        let outlet = self.running.as_ref().and_then(|(_, invocation)| invocation.outlet.as_ref());
        outlet.is_some_and(|outlet| outlet.is_abandoned())
    }

    fn next_ns(&self) -> Option<u64> {
        let (end_ns, _) = self.running.as_ref()?;
        (!self.holds).then_some(*end_ns)
    }
}

/// What prepares something is frozen as it is.
fn echo(invocation: Invocation) -> Completion {
    let frozen = invocation.payload.as_ref().map(|_| freeze(&invocation));
    let end = if frozen.is_some() { End::Frozen { at: Moment::Input } } else { End::Exit(0) };
    Completion {
        id: invocation.id,
        ticket: invocation.ticket,
        end,
        output: invocation.input,
        log: Log::default(),
        timing: Timing::default(),
        permit: invocation.permit,
        usage: Usage { core: WORKER as u32, ..Usage::default() },
        reports: None,
        frozen,
        environment: invocation.environment,
    }
}

/// A node on which every tenant has deployed `echo`, and `trickle`, whose answers may leave early.
fn node(settings: &Settings, share: Share) -> Node {
    let records = Records::new(RECORDS, 1).expect("frames are left");
    let policy = Policy {
        body_len_max: INPUT_LEN_MAX,
        has_store: settings.store.is_some(),
        ..Policy::new(&settings.access, MEMORY_MB)
    };
    let mut node = Node::new(policy, share, records);
    let names = settings.access.namespaces.iter().map(|it| it.name.as_str());
    for name in names.chain(["guest"]) {
        let Some(namespace) = node.policy.tenants.namespace(name) else { continue };
        let streams = [("\"stream\"", "true")];
        let streams = KeyValues::from_items(&streams).expect("there is memory");
        let trickle = Action {
            name: Name::new("trickle").expect("a good name"),
            annotations: Arc::new(Annotations::new(streams)),
            ..action(namespace.clone())
        };
        for action in [trickle, action(namespace)] {
            node.registry.insert(Arc::new(action)).expect("there is room");
        }
    }
    node.log_to(
        (settings.log_server != Server::Nobody)
            .then(|| Arc::new(Queue::new(settings.log_level, || Some(WALL_NS)))),
    );
    node
}

fn action(namespace: Namespace) -> Action {
    let plan = LoadPlan { entry: 0, segments: vec![], is_host: false };
    let template = Template::build(&plan, PageBuffer::new()).expect("frames are left");
    Action {
        makes_fields: false,
        namespace,
        name: Name::new("echo").expect("a good name"),
        version: Version::FIRST,
        digest: Digest([0; 32]),
        of_code: Digest([0; 32]),
        kind: "native:1".into(),
        main: None,
        limits: Limits { timeout_ms: 1000, memory_mb: 1, logs_mb: 0 },
        annotations: Arc::default(),
        parameters: Arc::default(),
        variables: None,
        publish: false,
        updated_ms: 0,
        template: Arc::new(template),
        counted_at: Default::default(),
        charge: Default::default(),
    }
}

/// A request to `echo`.
pub fn invoke(body: &[u8]) -> Vec<u8> {
    invoke_with("", body)
}

/// The same with further header fields.
pub fn invoke_with(fields: &str, body: &[u8]) -> Vec<u8> {
    let len = body.len();
    let head = format!(
        "POST /function/echo HTTP/1.1\r\nHost: node\r\n{fields}Content-Length: {len}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// A request that the node answers itself.
pub const PING: &[u8] = b"GET /ping HTTP/1.1\r\nHost: node\r\n\r\n";

/// A body of which no two parts are the same.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len / 8 + 1).flat_map(|word| format!("{word:07}\n").into_bytes()).take(len).collect()
}
/// The same, as the last on its connection.
pub const LAST_PING: &[u8] = b"GET /ping HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n";
