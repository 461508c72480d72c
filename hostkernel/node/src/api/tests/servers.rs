//! Actions that are web servers: what they are told of a request, and what becomes of their answer.

use super::*;
use alloc::sync::Arc;

use crate::registry::Action;
use action_abi::host::Moment;
use limits::{ENVIRONMENT_LEN_MAX, PAGE_LEN};
use memory::Template;
use memory::{AddressSpace, LoadPlan, Processor, Protection, Reservation, Segment, Skeleton};

/// Frames that an instance needs to be frozen at once.
const FRAMES: usize = 100;
/// Bytes of its heap.
const HEAP_LEN: u64 = 1 << 20;

/// A template that was frozen there.
fn frozen(at: Moment) -> Arc<Template> {
    let code = PageBuffer::from_bytes(&[0; PAGE_LEN]).expect("frames are left");
    let len = PAGE_LEN as u64;
    let text = Segment {
        address: 0x40_0000,
        memory_len: len,
        file_offset: 0,
        file_len: len,
        protection: Protection::ReadExecute,
    };
    let plan = LoadPlan { entry: text.address, segments: vec![text], is_host: true };
    let template = Arc::new(Template::build(&plan, code).expect("frames are left"));
    let reservation = Reservation::new(FRAMES).expect("frames are left");
    let mut space =
        AddressSpace::empty(template, PageBuffer::new(), reservation, Skeleton::default());
    space.set_payload(Arc::new(PageBuffer::new())).expect("it is the first stage");
    space.lay_out(HEAP_LEN, INPUT_LEN_MAX).expect("it fits");
    let processor = Processor { words: [0; Processor::WORDS], extended: None, at };
    Arc::new(space.freeze(processor).expect("frames are left"))
}

/// The client, without a key, of a node with an action `web` that was frozen there.
fn client(at: Moment) -> Client {
    let mut client = Client::new();
    let annotations = r#","annotations":[{"key":"init","value":"input"},
        {"key":"web-export","value":true}]"#;
    let answer = client.put("/api/v1/namespaces/_/actions/web", &document(annotations));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let namespace = Namespace::new("guest");
    let action = client.node.registry.get(&namespace, "web").expect("it was deployed");
    let action: Action = action.with_template(frozen(at));
    client.node.registry.insert(Arc::new(action)).expect("there is room");
    client
}

/// What the server is told of a request.
fn told(method: Method, target: &str, headers: &[(&str, &str)], body: &[u8]) -> String {
    let mut client = client(Moment::Accept);
    client.authorization = None;
    let Reply::Invoke(admission) = client.send(method, target, headers, body) else {
        panic!("{target} was not admitted");
    };
    assert_eq!(admission.input.to_vec().expect("memory is left"), body);
    let rest = admission.variables().strip_prefix("HOSTKERNEL_REQUEST=").expect("it comes first");
    let (head, rest) = rest.split_once('\0').expect("it ends");
    assert!(rest.starts_with("__OW_ACTIVATION_ID="), "{rest}");
    head.to_string()
}

#[test]
fn a_server_is_told_of_the_request_as_a_proxy_would() {
    let head = told(
        Method::Post,
        "/function/web/a/%20b?c=d&e",
        &[
            ("X-B", "2"),
            ("Host", "example.test:3233"),
            ("Cookie", "a=b"),
            ("x-b", "3"),
            ("Connection", "keep-alive, X-Hop"),
            ("X-Hop", "1"),
            ("Keep-Alive", "5"),
            ("Transfer-Encoding", "chunked"),
            ("Content-Length", "99"),
            ("Expect", "100-continue"),
            ("Upgrade", "h2c"),
            ("TE", "trailers"),
            ("X-Forwarded-Prefix", "/forged"),
            ("X-Forwarded-Proto", "https"),
            ("Authorization", "Bearer x"),
        ],
        b"body",
    );
    assert_eq!(
        head,
        "POST /a/%20b?c=d&e HTTP/1.1\r\nHost: example.test:3233\r\nX-B: 2\r\nCookie: a=b\r\n\
         x-b: 3\r\nX-Forwarded-Proto: https\r\nAuthorization: Bearer x\r\n\
         X-Forwarded-Host: example.test:3233\r\nX-Forwarded-Prefix: /function/web\r\n\
         Content-Length: 4\r\nConnection: close\r\n\r\n"
    );
    let head = told(Method::Get, "/function/web", &[], b"");
    assert_eq!(
        head,
        "GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Host: localhost\r\n\
         X-Forwarded-Proto: http\r\nX-Forwarded-Prefix: /function/web\r\nConnection: close\r\n\r\n"
    );
    let head = told(Method::Options, "/function/web/x", &[], b"");
    assert!(head.starts_with("OPTIONS /x HTTP/1.1\r\n"), "it answers them itself: {head}");
    assert!(told(Method::Put, "/function/web", &[], b"").contains("\r\nContent-Length: 0\r\n"));
}

#[test]
fn no_request_has_two_ends() {
    // What the parser refuses must not do harm here either.
    let headers = [("A", "b\r\nContent-Length: 3"), ("B", "c\0d"), ("Host", "h\r\n\r\nGET /")];
    let head = told(Method::Get, "/function/web/\r\n\r\n?a=\0b", &headers, b"");
    assert_eq!(head.matches("\r\n\r\n").count(), 1);
    assert!(head.ends_with("\r\n\r\n") && !head.contains("\nContent-Length"), "{head}");
}

#[test]
fn a_long_head_is_refused() {
    let mut client = client(Moment::Accept);
    // Together with the other variables, too, of which it alone would be short enough.
    for len in [ENVIRONMENT_LEN_MAX, ENVIRONMENT_LEN_MAX - 500] {
        let long = "x".repeat(len);
        let reply = client.send(Method::Get, "/function/web", &[("Cookie", &long)], b"");
        let Reply::Respond(response) = reply else { panic!("it was admitted") };
        Answer::of(response).refused(431, "header fields");
    }
    let fits = "x".repeat(ENVIRONMENT_LEN_MAX - 1500);
    let reply = client.send(Method::Get, "/function/web", &[("Cookie", &fits)], b"");
    assert!(matches!(reply, Reply::Invoke(_)));
}

/// What a client gets for what a server's library OS made of its answer.
fn answered(method: Method, output: &[u8]) -> Answer {
    let mut client = client(Moment::Accept);
    let admission = client.admit(method, "/function/web", b"");
    finish(&mut client, admission, End::Exit(0), output, &[])
}

#[test]
fn a_servers_answer_is_its_own() {
    let answer = answered(
        Method::Get,
        b"Status: 404\r\nServer: s\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nstatus: mine\r\n\r\n\
          not here",
    );
    assert_eq!((answer.status(), answer.text().as_str()), (404, "not here"));
    let fields: Vec<_> = answer.response.headers.iter().take(4).collect();
    let expected = [("Server", "s"), ("Set-Cookie", "a"), ("Set-Cookie", "b"), ("status", "mine")];
    assert_eq!(fields, expected);
    // Neither a type nor an origin that it did not name.
    assert_eq!(answer.header("Content-Type"), None);
    assert_eq!(answer.header("Access-Control-Allow-Origin"), None);
    assert!(answer.header("X-Request-ID").is_some());
}

#[test]
fn an_answer_to_head_keeps_its_length() {
    for (fields, len) in [("Content-Length: 1234\r\n", Some(1234)), ("", None)] {
        let output = format!("Status: 200\r\n{fields}\r\n");
        let answer = answered(Method::Head, output.as_bytes());
        assert!(matches!(answer.response.body, Body::Unsent(told) if told == len));
    }
}

#[test]
fn what_is_no_answer_is_the_servers_fault() {
    for output in ["", "text", "A: b\r\n\r\n", "Status: 200\r\nConnection: close\r\n\r\n"] {
        let expected = if output == "A: b\r\n\r\n" { 200 } else { 502 };
        assert_eq!(answered(Method::Get, output.as_bytes()).status(), expected, "{output:?}");
    }
}

#[test]
fn servers_take_requests_and_no_json() {
    let mut client = client(Moment::Accept);
    for target in ["/api/v1/namespaces/_/actions/web", "/api/v1/web/guest/default/web"] {
        client.ask(Method::Post, target, b"{}").refused(400, "/function/NAME");
    }
}

#[test]
fn what_was_frozen_at_its_input_is_no_server() {
    let mut client = client(Moment::Input);
    let admission = client.admit(Method::Get, "/function/web", b"");
    assert!(admission.variables().starts_with("__OW_ACTIVATION_ID="));
    let answer = finish(&mut client, admission, End::Exit(0), b"plain", &[]);
    assert_eq!((answer.status(), answer.text().as_str()), (200, "plain"));
}
