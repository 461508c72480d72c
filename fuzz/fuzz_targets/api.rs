//! The API: sequences of requests through the parser, handled and answered as a node would.
//!
//! Requests are put together from pieces that mean something and pieces that do not, so that the
//! routes behind the key are reached. Every answer must be one a client understands.
#![no_main]

use std::fmt::Write as _;

use arbitrary::Arbitrary;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hostkernel_fuzz::{check_response, drain, image};
use libfuzzer_sys::fuzz_target;
use memory::{PageBuffer, frames, install_for_test};
use node::api::{self, Reply};
use node::dispatch::{Completion, End, Fault, Invocation, Log, Ticket, Timing, Usage};
use node::http;
use node::http::connection::{Connection, Phase, Step};
use node::registry::Share;
use node::slice::Slice;
use node::state::records::Records;
use node::state::tenants;
use node::state::{Node, Now, Policy};

/// Requests of one run.
const REQUESTS_MAX: usize = 16;

#[derive(Arbitrary, Debug)]
struct Request {
    method: Method,
    path: Path,
    query: Vec<Query>,
    headers: Vec<Header>,
    body: Body,
    end: Ending,
}

#[derive(Arbitrary, Debug, Clone, Copy, PartialEq)]
enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Patch,
    Options,
}

#[derive(Arbitrary, Debug)]
enum Path {
    Action(Namespace, Name),
    Actions(Namespace),
    Other(Namespace, u8, Name),
    Function(Name, String),
    Web(Name, u8, String),
    Fixed(u8),
    Any(String),
}

#[derive(Arbitrary, Debug)]
enum Namespace {
    Own,
    Guest,
    Any(String),
}

#[derive(Arbitrary, Debug)]
enum Name {
    A,
    B,
    /// The id of an earlier request, and what follows.
    Id(u8, String),
    Any(String),
}

#[derive(Arbitrary, Debug)]
enum Query {
    Known(u8, Value),
    Any(String),
}

#[derive(Arbitrary, Debug)]
enum Value {
    True,
    False,
    Number(i64),
    Any(String),
}

#[derive(Arbitrary, Debug)]
enum Header {
    Key,
    OctetStream,
    Json,
    ExpectContinue,
    Trace(String),
    RequestId(String),
    Accept(String),
    Any(String, String),
}

#[derive(Arbitrary, Debug)]
enum Body {
    None,
    Image(Vec<(u8, u8)>),
    Document(Vec<Member>),
    Text(String),
    Bytes(Vec<u8>),
}

/// A member of a deploy document.
#[derive(Arbitrary, Debug)]
enum Member {
    Exec(Option<String>, Code),
    Limits(Vec<(u8, i64)>),
    Parameters(bool, Vec<(String, String)>),
    Publish(bool),
    Exported(bool),
    Any(String, String),
}

#[derive(Arbitrary, Debug)]
enum Code {
    Image,
    Zip(Vec<u8>),
    Bytes(Vec<u8>),
    Text(String),
    None,
}

/// How an admitted invocation ends.
#[derive(Arbitrary, Debug)]
enum Ending {
    Exit(i32, Vec<u8>, Vec<u8>),
    Json(String),
    Deadline,
    Page(u64),
    NotStarted,
}

fuzz_target!(|requests: Vec<Request>| {
    install_for_test();
    let before = frames::available();
    let records = Records::new(4, 1).expect("the arena is large");
    let mut node = Node::new(Policy::development(400), Share::UNBOUNDED, records);
    let mut now = Now { monotonic_ns: 1_000_000_000, wall_ms: 1_795_402_241_000 };
    for (number, request) in requests.iter().take(REQUESTS_MAX).enumerate() {
        now.monotonic_ns += 1_000_000;
        serve(&mut node, request, now, number as u128 + 1);
    }
    drop(node);
    assert_eq!(frames::available(), before, "every frame came back");
});

fn serve(node: &mut Node, request: &Request, now: Now, id: u128) {
    let bytes = bytes(request);
    let mut connection = Connection::new();
    let (_, step) = connection.receive(&bytes, &mut |method, path, headers| {
        api::check_head(node, method, path, headers, || id)
    });
    let rejected = matches!(step, Step::Reject(_));
    match step {
        Step::Reject(reject) => connection.respond(api::malformed(node.policy(), reject, id)),
        Step::Request(mut parsed) => match decided(node, &mut parsed, now, id) {
            Reply::Deploy(_) | Reply::Read(_) => unreachable!("it was gone on with"),
            Reply::Respond(response) => connection.respond(response),
            Reply::Store(_) => panic!("this node has no store"),
            Reply::Invoke(admission) => {
                let (invocation, mut pending) = admission.split(Ticket(1));
                let environment = &invocation.environment;
                assert!(environment.is_empty() || environment.ends_with(b"\0"));
                assert!(environment.len() <= limits::ENVIRONMENT_LEN_MAX);
                let completion = completion(&request.end, invocation);
                let is_awaited = pending.is_blocking();
                if !is_awaited {
                    connection.respond(api::accepted(&mut pending));
                }
                let answer = api::ended(node, &mut pending, completion, now, is_awaited);
                if let Some((answer, _)) = answer {
                    connection.respond(answer);
                }
            }
        },
        // Refused by its head alone, or waiting for more than was sent.
        Step::More | Step::Continue => {}
    }
    let waiting = connection.phase() == Phase::Receiving;
    let sent = drain(&mut connection, 4096);
    // Of bytes that are no request it may be unknown that they began with HEAD.
    let may_be_head = rejected && request.method == Method::Head;
    if !waiting && !may_be_head {
        let status = check_response(&sent, request.method == Method::Head);
        assert!((200..600).contains(&status), "{status}");
    }
}

/// What becomes of a request; a deploy or a document is gone on with, a page at a time, until that
/// is known.
fn decided(node: &mut Node, request: &mut http::Request, now: Now, id: u128) -> Reply {
    let mut reply = api::handle(node, request, now, id);
    loop {
        let next = match &mut reply {
            Reply::Deploy(deploying) => api::go_on(node, deploying, &mut Slice::new(1), now),
            Reply::Read(reading) => api::read_on(node, reading, &mut Slice::new(1), now),
            _ => return reply,
        };
        reply = next.unwrap_or(reply);
    }
}

fn completion(end: &Ending, invocation: Invocation) -> Completion {
    let pages = |bytes: &[u8]| PageBuffer::from_bytes(bytes).expect("the arena is large");
    let (end, output, log) = match end {
        Ending::Exit(status, output, log) => (End::Exit(*status), &output[..], &log[..]),
        Ending::Json(text) => (End::Exit(0), text.as_bytes(), &b"1\0\0\0\0\0\0\0\0out\n2err\n"[..]),
        Ending::Deadline => (
            End::Fault(Fault::Deadline { timeout_ms: 1, instruction: Some(0x40_1000) }),
            &b""[..],
            &b""[..],
        ),
        Ending::Page(address) => {
            let instruction = *address;
            let access = memory::Access::Write;
            let fault = Fault::Page { access, address: *address, instruction };
            (End::Fault(fault), &b""[..], &b"2log\n"[..])
        }
        Ending::NotStarted => (End::NotStarted, &b""[..], &b""[..]),
    };
    Completion {
        id: invocation.id,
        ticket: invocation.ticket,
        end,
        output: pages(output),
        log: Log { text: pages(log), truncated: log.len() % 2 == 1 },
        timing: Timing::default(),
        usage: Usage::default(),
        permit: invocation.permit,
        environment: invocation.environment,
        reports: None,
        frozen: None,
    }
}

/// The request on the wire. Pieces that would end a line early are left as they are: then it is
/// another request, or none.
fn bytes(request: &Request) -> Vec<u8> {
    let mut head = format!("{} {}", method(request.method), path(&request.path));
    for (index, query) in request.query.iter().enumerate() {
        head.push(if index == 0 { '?' } else { '&' });
        match query {
            Query::Known(which, value) => {
                const NAMES: [&str; 12] = [
                    "blocking",
                    "result",
                    "overwrite",
                    "limit",
                    "skip",
                    "count",
                    "code",
                    "timeout",
                    "docs",
                    "name",
                    "since",
                    "upto",
                ];
                let value = match value {
                    Value::True => "true".to_owned(),
                    Value::False => "false".to_owned(),
                    Value::Number(number) => number.to_string(),
                    Value::Any(text) => text.clone(),
                };
                head.push_str(&format!("{}={value}", NAMES[usize::from(*which) % NAMES.len()]));
            }
            Query::Any(text) => head.push_str(text),
        }
    }
    head.push_str(" HTTP/1.1\r\nHost: node\r\n");
    for header in &request.headers {
        match header {
            Header::Key => {
                head.push_str(&format!(
                    "Authorization: Basic {}",
                    STANDARD.encode(tenants::GUEST_KEY)
                ));
            }
            Header::OctetStream => head.push_str("Content-Type: application/octet-stream"),
            Header::Json => head.push_str("Content-Type: application/json"),
            Header::ExpectContinue => head.push_str("Expect: 100-continue"),
            Header::Trace(more) => head.push_str(&format!(
                "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01{more}"
            )),
            Header::RequestId(text) => head.push_str(&format!("X-Request-ID: {text}")),
            Header::Accept(text) => head.push_str(&format!("Accept: {text}")),
            Header::Any(name, value) => head.push_str(&format!("{name}: {value}")),
        }
        head.push_str("\r\n");
    }
    let body = body(&request.body);
    if !body.is_empty() {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    [head.into_bytes(), body].concat()
}

const fn method(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Patch => "PATCH",
        Method::Options => "OPTIONS",
    }
}

fn path(path: &Path) -> String {
    const COLLECTIONS: [&str; 5] = ["packages", "triggers", "rules", "activations", "other"];
    const FIXED: [&str; 8] =
        ["/", "/ping", "/healthz", "/readyz", "/metrics", "/api/v1", "/api/v1/namespaces", "*"];
    const EXTENSIONS: [&str; 6] = ["", ".http", ".json", ".html", ".svg", ".text"];
    let of = |namespace: &Namespace| match namespace {
        Namespace::Own => "/api/v1/namespaces/_".to_owned(),
        Namespace::Guest => "/api/v1/namespaces/guest".to_owned(),
        Namespace::Any(text) => format!("/api/v1/namespaces/{text}"),
    };
    let name = |name: &Name| match name {
        Name::A => "a".to_owned(),
        Name::B => "b".to_owned(),
        Name::Id(id, rest) => format!("{id:032x}{rest}"),
        Name::Any(text) => text.clone(),
    };
    match path {
        Path::Action(namespace, action) => format!("{}/actions/{}", of(namespace), name(action)),
        Path::Actions(namespace) => format!("{}/actions", of(namespace)),
        Path::Other(namespace, which, what) => {
            let collection = COLLECTIONS[usize::from(*which) % COLLECTIONS.len()];
            format!("{}/{collection}/{}", of(namespace), name(what))
        }
        Path::Function(action, rest) => format!("/function/{}{rest}", name(action)),
        Path::Web(action, which, rest) => {
            let extension = EXTENSIONS[usize::from(*which) % EXTENSIONS.len()];
            format!("/api/v1/web/guest/default/{}{extension}{rest}", name(action))
        }
        Path::Fixed(which) => FIXED[usize::from(*which) % FIXED.len()].to_owned(),
        Path::Any(text) => format!("/{text}"),
    }
}

fn body(body: &Body) -> Vec<u8> {
    match body {
        Body::None => Vec::new(),
        Body::Image(changes) => {
            let mut file = image();
            for (at, value) in changes {
                if let Some(byte) = file.get_mut(usize::from(*at)) {
                    *byte = *value;
                }
            }
            file
        }
        Body::Document(members) => document(members).into_bytes(),
        Body::Text(text) => text.clone().into_bytes(),
        Body::Bytes(bytes) => bytes.clone(),
    }
}

fn document(members: &[Member]) -> String {
    const LIMITS: [&str; 5] = ["timeout", "memory", "logs", "concurrency", "other"];
    let mut text = "{".to_owned();
    for (index, member) in members.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        // Strings go in as they are: what is not JSON then is part of the game.
        let written = match member {
            Member::Exec(kind, code) => {
                let code = match code {
                    Code::Image => format!(",\"code\":\"{}\"", STANDARD.encode(image())),
                    Code::Zip(rest) => {
                        let bytes = [b"PK\x03\x04", &rest[..]].concat();
                        format!(",\"code\":\"{}\"", STANDARD.encode(bytes))
                    }
                    Code::Bytes(bytes) => format!(",\"code\":\"{}\"", STANDARD.encode(bytes)),
                    Code::Text(text) => format!(",\"code\":\"{text}\""),
                    Code::None => String::new(),
                };
                let kind = kind.as_deref().unwrap_or("native:1");
                write!(text, "{comma}\"exec\":{{\"kind\":\"{kind}\"{code}}}")
            }
            Member::Limits(limits) => {
                let limit = |(which, value): &(u8, i64)| {
                    format!("\"{}\":{value}", LIMITS[usize::from(*which) % LIMITS.len()])
                };
                let limits: Vec<_> = limits.iter().map(limit).collect();
                write!(text, "{comma}\"limits\":{{{}}}", limits.join(","))
            }
            Member::Parameters(annotations, list) => {
                let name = if *annotations { "annotations" } else { "parameters" };
                let pair = |(key, value): &(String, String)| {
                    format!("{{\"key\":\"{key}\",\"value\":{value}}}")
                };
                let list: Vec<_> = list.iter().map(pair).collect();
                write!(text, "{comma}\"{name}\":[{}]", list.join(","))
            }
            Member::Publish(publish) => write!(text, "{comma}\"publish\":{publish}"),
            Member::Exported(exported) => {
                let item = format!("{{\"key\":\"web-export\",\"value\":{exported}}}");
                write!(text, "{comma}\"annotations\":[{item}]")
            }
            Member::Any(key, value) => write!(text, "{comma}\"{key}\":{value}"),
        };
        written.expect("a string can be written to");
    }
    text.push('}');
    text
}
