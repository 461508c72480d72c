//! The API as its callers see it: constructed requests in, answers out.

mod access;
mod activations;
mod deploy;
mod environment;
mod function;
mod hostile;
mod invoke;
mod lists;
mod metrics;
mod out_of_memory;
mod push;
mod quotas;
pub(crate) mod runtimes;
mod servers;
mod web;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::api::ended::Ended;
use crate::api::*;
use crate::dispatch::CoreLoad;
use crate::dispatch::log::Stream;
use crate::dispatch::{Completion, End, Fault, Invocation, Log, Ticket, Timing, Usage};
use crate::http::RequestText;
use crate::registry::Share;
use crate::registry::{KeyValues, Limits, Namespace};
use crate::settings::{Loader, Source};
use crate::slice::Slice;
use crate::state::boot_times::BootTimes;
use crate::state::records::Records;
use crate::state::statistics::Statistics;
use crate::state::tenants::{GUEST_KEY, Tenants};
use crate::state::{Load, Policy, Readiness};

/// Wall clock of all tests: 2026-11-23T02:50:41Z.
const WALL_MS: u64 = 1_795_402_241_000;
const NOW: Now = Now { monotonic_ns: 5_000_000_000, wall_ms: WALL_MS };
/// When an invocation of that time is answered.
const LATER: Now = Now { monotonic_ns: NOW.monotonic_ns + 3_500_000, wall_ms: WALL_MS + 3 };
const TICKET: Ticket = Ticket(3);

/// What of a deploy is done at a time.
const SLICE_LEN: usize = 100;

/// Records the node keeps.
const RECORDS: usize = 8;
/// Longest input, as the operator has it.
const INPUT_LEN_MAX: usize = 1 << 20;

const ACTION: &str = "/api/v1/namespaces/_/actions/hello";

/// A node and somebody with the development key.
struct Client {
    node: Node,
    authorization: Option<String>,
    requests: u128,
}

/// What becomes of a request in the end.
#[expect(clippy::large_enum_variant, reason = "there are few at a time")]
enum Reply {
    Respond(Response),
    Invoke(Admission),
    Store(#[expect(dead_code, reason = "these nodes have no registry")] Box<Deed>),
}

/// Answers a request, or finds what it wants to run. A deploy is gone on with until that is known.
fn handle(node: &mut Node, request: &mut Request, now: Now, id: u128) -> Reply {
    let mut reply = crate::api::handle(node, request, now, id);
    loop {
        reply = match reply {
            crate::api::Reply::Respond(response) => return Reply::Respond(response),
            crate::api::Reply::Invoke(admission) => return Reply::Invoke(admission),
            crate::api::Reply::Store(deed) => return Reply::Store(deed),
            crate::api::Reply::Deploy(mut deploying) => {
                let next = go_on(node, &mut deploying, &mut Slice::new(SLICE_LEN), now);
                next.unwrap_or(crate::api::Reply::Deploy(deploying))
            }
            crate::api::Reply::Read(mut reading) => {
                let next = read_on(node, &mut reading, &mut Slice::new(SLICE_LEN), now);
                next.unwrap_or(crate::api::Reply::Read(reading))
            }
        }
    }
}

/// The input of an exported action with a bound parameter, and its parameters.
pub(super) fn composing(
    kind: &str,
    body: &[u8],
) -> (crate::api::invoke::web::input::Composing, KeyValues) {
    let parameters = r#","parameters":[{"key":"bound","value":"by the owner"}]"#;
    let mut client = Client::new();
    client.put(ACTION, &document(parameters));
    let action = client.node.registry.get(&Namespace::new("guest"), "hello").expect("it is there");
    let text = RequestText::of("/x", Some("a=1&b=%C3%A4"), &[("Content-Type", kind)]);
    let parts = parts(Method::Post, &text, INPUT_LEN_MAX, NOW, 7);
    let body = PageBuffer::from_bytes(body).expect("frames are left");
    let composing =
        crate::api::invoke::web::input::Composing::new(action, &parts, body, "/p", None);
    let own = KeyValues::from_items(&[(r#""bound""#, r#""by the owner""#)]);
    (composing.expect("its head is good"), own.expect("the heap has room"))
}

/// A JSON text in frames.
pub(super) fn read(text: &PageBuffer) -> Value {
    serde_json::from_slice(&text.to_vec().expect("memory is left")).expect("it is JSON")
}

/// An answer, with its body in one piece.
struct Answer {
    response: Response,
    body: Vec<u8>,
}

impl Client {
    fn new() -> Self {
        memory::install_for_test();
        let records = Records::new(RECORDS, 1).expect("frames are left");
        let policy = Policy { body_len_max: INPUT_LEN_MAX, ..Policy::development(400) };
        let mut node = Node::new(policy, Share::UNBOUNDED, records);
        node.readiness = Readiness::Ready;
        node.load = Load {
            connections: 3,
            in_flight: 2,
            boot_times: BootTimes::new(2_000_000, Some(500_000)),
            cores: vec![CoreLoad { core: 1, queued: Some(4), idle_ns: 1_000_000 }],
            ..Load::default()
        };
        let authorization = Some(format!("Basic {}", STANDARD.encode(GUEST_KEY)));
        Self { node, authorization, requests: 0 }
    }

    /// A client of a node on which `hello` is deployed.
    fn with_hello() -> Self {
        let mut client = Self::new();
        client.deploy("hello", "");
        client
    }

    fn send(
        &mut self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let body = PageBuffer::from_bytes(body).expect("frames are left");
        self.send_buffer(method, target, headers, body)
    }

    fn send_buffer(
        &mut self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: PageBuffer,
    ) -> Reply {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let mut headers = headers.to_vec();
        headers.extend(self.authorization.as_deref().map(|key| ("Authorization", key)));
        let text = RequestText::of(path, query, &headers);
        self.requests += 1;
        handle(&mut self.node, &mut Request { method, text, body }, NOW, self.requests)
    }

    /// Sends what is answered at once.
    fn ask(&mut self, method: Method, target: &str, body: &[u8]) -> Answer {
        match self.send(method, target, &[], body) {
            Reply::Respond(response) => Answer::of(response),
            Reply::Invoke(_) => panic!("{target} was admitted"),
            Reply::Store(_) => panic!("this node has no store"),
        }
    }

    fn get(&mut self, target: &str) -> Answer {
        self.ask(Method::Get, target, b"")
    }

    /// Sends what is admitted.
    fn admit(&mut self, method: Method, target: &str, body: &[u8]) -> Admission {
        match self.send(method, target, &[], body) {
            Reply::Invoke(admission) => admission,
            Reply::Respond(response) => panic!("{target}: {}", Answer::of(response).text()),
            Reply::Store(_) => panic!("this node has no store"),
        }
    }

    /// Deploys the smallest image under a name.
    fn deploy(&mut self, name: &str, query: &str) {
        let target = format!("/api/v1/namespaces/_/actions/{name}?overwrite=true&{query}");
        let answer = self.ask(Method::Put, &target, &image());
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }

    /// Puts a JSON document.
    fn put(&mut self, target: &str, document: &str) -> Answer {
        self.ask(Method::Put, target, document.as_bytes())
    }
}

impl Answer {
    fn of(mut response: Response) -> Self {
        let mut body = Vec::new();
        response.body.prepare(0);
        while let chunk @ [_, ..] = response.body.chunk_at(body.len()) {
            body.extend_from_slice(chunk);
            response.body.prepare(body.len());
        }
        Self { response, body }
    }

    fn status(&self) -> u16 {
        self.response.status
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("the body is text")
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.response.headers.iter().filter(|(field, _)| *field == name);
        let value = found.next().map(|(_, value)| value);
        assert!(found.next().is_none(), "{name} twice");
        value
    }

    /// The text of an error that has both fields it must have.
    fn error(&self) -> String {
        let json = self.json();
        assert_eq!(json["code"].as_str(), self.header("X-Request-ID"), "{json}");
        assert_eq!(json.as_object().map(serde_json::Map::len), Some(2), "{json}");
        json["error"].as_str().expect("a text").to_string()
    }

    /// Checks status and a part of the error's text.
    fn refused(&self, status: u16, part: &str) {
        let error = self.error();
        assert_eq!(self.status(), status, "{error}");
        assert!(error.contains(part), "{error:?} does not contain {part:?}");
    }
}

/// Those whom a configuration lets in.
pub fn tenants(words: &str) -> Tenants {
    let mut loader = Loader::default();
    loader.words(Source::CommandLine, words);
    Tenants::new(&loader.finish().settings.access)
}

/// What a worker hands in.
fn completion(invocation: Invocation, end: End, output: &[u8], lines: &[&str]) -> Completion {
    let mut log = Log::default();
    for line in lines {
        let (mark, text) = line.split_at(1);
        let stream = if mark == "1" { Stream::Stdout } else { Stream::Stderr };
        let mut writer = log.writer(stream, WALL_MS * 1_000_000 + 1_234_567);
        writer.push(text.as_bytes());
        writer.finish();
    }
    Completion {
        id: invocation.id,
        ticket: invocation.ticket,
        end,
        output: PageBuffer::from_bytes(output).expect("frames are left"),
        log,
        timing: Timing {
            started_ns: invocation.admitted_ns + 1_120_000,
            queue_ns: 1_020_000,
            load_ns: 100_000,
            run_ns: 2_340_000,
        },
        reports: None,
        frozen: None,
        environment: invocation.environment,
        usage: Usage {
            core: 1,
            calls: 2,
            page_faults: 3,
            frames: 11,
            frames_peak: 12,
            pages_touched: 4,
            cycles: 5_000_000,
        },
        permit: invocation.permit,
    }
}

/// The answer to an invocation that has ended, counted elsewhere.
fn complete(
    records: &mut Records,
    pending: &mut Pending,
    completion: Completion,
    now: Now,
) -> Response {
    Ended::count(&mut Statistics::default(), pending, completion, now).answer(records)
}

/// Keeps the record of an invocation that has ended, counted elsewhere.
fn record(records: &mut Records, pending: &mut Pending, completion: Completion, now: Now) {
    Ended::count(&mut Statistics::default(), pending, completion, now).record(records);
}

/// Ends an invocation.
fn finish(
    client: &mut Client,
    admission: Admission,
    end: End,
    output: &[u8],
    log: &[&str],
) -> Answer {
    let (invocation, mut pending) = admission.split(TICKET);
    let completion = completion(invocation, end, output, log);
    Answer::of(complete(&mut client.node.records, &mut pending, completion, LATER))
}

/// The smallest ELF file the node accepts: one executable segment with the note in it.
pub fn image() -> Vec<u8> {
    let mut file = Vec::new();
    file.extend_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    file.extend_from_slice(&[2, 0, 62, 0, 1, 0, 0, 0]);
    for word in [0x40_00cc_u64, 64, 0] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    file.extend_from_slice(&[0, 0, 0, 0, 64, 0, 56, 0, 2, 0, 64, 0, 0, 0, 0, 0]);
    let program_header = |kind: u32, flags: u32, words: [u64; 6]| {
        let mut header = [kind.to_le_bytes(), flags.to_le_bytes()].concat();
        words.iter().for_each(|word| header.extend_from_slice(&word.to_le_bytes()));
        header
    };
    file.extend(program_header(1, 5, [0, 0x40_0000, 0x40_0000, 210, 210, 4096]));
    file.extend(program_header(4, 4, [176, 0x40_00b0, 0x40_00b0, 28, 28, 4]));
    for word in [11_u32, 4, action_abi::NOTE_TYPE] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    file.extend_from_slice(action_abi::NOTE_NAME.as_bytes());
    file.extend_from_slice(&[0, 0]);
    file.extend_from_slice(&action_abi::ABI_VERSION.to_le_bytes());
    // xor eax, eax; xor edi, edi; syscall
    file.extend_from_slice(&[0x31, 0xc0, 0x31, 0xff, 0x0f, 0x05]);
    assert_eq!(file.len(), 210);
    file
}

/// A deploy document with the smallest image and further fields.
fn document(more: &str) -> String {
    let code = STANDARD.encode(image());
    format!("{{\"exec\":{{\"kind\":\"native:1\",\"code\":\"{code}\"}}{more}}}")
}
