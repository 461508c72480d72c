//! Conversations: what a connection makes of bytes, and when it is over.

extern crate std;

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use proptest::prelude::*;

use super::super::{Body, FieldLine, Fields};
use super::*;
use limits::{CHUNK_OVERHEAD_LEN_MAX, TARGET_LEN_MAX, TEXT_LEN_KEPT_MAX};
use memory::install_for_test;

const LEN_MAX: usize = 20;

/// Routes of the tests: `/none` takes no body.
fn body_len_max(method: Method, path: &str) -> usize {
    if path == "/none" || method == Method::Delete { 0 } else { LEN_MAX }
}

fn receive(connection: &mut Connection, bytes: &[u8]) -> (usize, Step) {
    install_for_test();
    connection.receive(bytes, &mut |method, path, _| Ok(body_len_max(method, path)))
}

fn answer(body: &'static str) -> Response {
    let mut headers = Fields::new();
    headers.push_line(FieldLine::new("Content-Type: text/plain\r\n"));
    Response { status: 200, headers, body: Body::Static(body.as_bytes()) }
}

fn send_all(connection: &mut Connection) -> String {
    let mut all = Vec::new();
    while !connection.output().is_empty() {
        all.extend(connection.output());
        connection.advance(connection.output().len());
    }
    String::from_utf8(all).expect("the tests send text")
}

/// Sends one whole request, answers it and returns the answer.
fn exchange(connection: &mut Connection, request: &str) -> String {
    let (consumed, step) = receive(connection, request.as_bytes());
    assert_eq!(consumed, request.len());
    assert!(matches!(step, Step::Request(_)), "{request:?} gave {step:?}");
    assert_eq!(connection.phase(), Phase::Answering);
    connection.respond(answer("hi"));
    send_all(connection)
}

fn rejected(request: &str) -> MessageReject {
    let mut connection = Connection::new();
    match receive(&mut connection, request.as_bytes()) {
        (consumed, Step::Reject(reject)) if consumed == request.len() => reject,
        other => panic!("{request:?} gave {other:?}"),
    }
}

#[test]
fn a_request_is_handed_out_with_its_body() {
    let mut connection = Connection::new();
    let text = b"POST /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello";
    let (consumed, Step::Request(request)) = receive(&mut connection, text) else {
        panic!("the request is complete")
    };
    assert_eq!(consumed, text.len());
    assert_eq!((request.method, request.text.path()), (Method::Post, "/a"));
    assert_eq!(request.text.query(), Some("b"));
    assert_eq!(request.text.headers().get("host"), Some("h"));
    assert_eq!(request.body.chunk_at(0), b"hello");
}

#[test]
fn keep_alive() {
    let stays = "Connection: keep-alive\r\nKeep-Alive: timeout=70\r\n";
    let closes = "Connection: close\r\n";
    for (version, field, persistent) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
    ] {
        let mut connection = Connection::new();
        let request = format!("GET / HTTP/{version}\r\nHost: h\r\n{field}\r\n");
        let answer = exchange(&mut connection, &request);
        assert!(answer.contains(if persistent { stays } else { closes }), "{request:?} {answer:?}");
        let phase = if persistent { Phase::Idle } else { Phase::Closing };
        assert_eq!(connection.phase(), phase, "{request:?}");
        if persistent {
            assert!(exchange(&mut connection, &request).contains(stays));
        }
    }
}

#[test]
fn the_last_request_is_announced() {
    const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut worn = Connection { requests: REQUESTS_PER_CONNECTION_MAX - 2, ..Connection::new() };
    assert!(exchange(&mut worn, GET).contains("keep-alive"));
    assert!(exchange(&mut worn, GET).contains("Connection: close"));
    assert_eq!(worn.phase(), Phase::Closing);

    let mut draining = Connection::new();
    assert!(exchange(&mut draining, GET).contains("keep-alive"));
    assert!(matches!(receive(&mut draining, GET.as_bytes()), (_, Step::Request(_))));
    draining.close_after_response();
    draining.respond(answer("hi"));
    assert!(send_all(&mut draining).contains("Connection: close"));
    assert_eq!(draining.phase(), Phase::Closing);
}

#[test]
fn pipelined_requests_wait_for_their_turn() {
    let mut connection = Connection::new();
    const ONE: &str = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab";
    let is_one = |(consumed, step)| consumed == ONE.len() && matches!(step, Step::Request(_));
    let two = ONE.repeat(2);
    assert!(is_one(receive(&mut connection, two.as_bytes())));
    assert!(matches!(receive(&mut connection, ONE.as_bytes()), (0, Step::More)));
    connection.respond(answer("hi"));
    assert_eq!(connection.phase(), Phase::Sending);
    assert!(matches!(receive(&mut connection, ONE.as_bytes()), (0, Step::More)));
    send_all(&mut connection);
    assert_eq!(connection.phase(), Phase::Idle);
    assert!(is_one(receive(&mut connection, ONE.as_bytes())));
}

#[test]
fn a_refused_head_request_is_answered_without_a_body() {
    for request in ["HEAD /none HTTP/9.9\r\n\r\n", "\r\nHEAD /none HTTP/1.1\r\n\r\n", "HEAD /none"]
    {
        for cut in 0..request.len() {
            let mut connection = Connection::new();
            let (first, second) = request.as_bytes().split_at(cut);
            receive(&mut connection, first);
            receive(&mut connection, second);
            connection.respond(answer("hi"));
            let answer = send_all(&mut connection);
            assert!(answer.contains("Content-Length: 2\r\n"), "{answer}");
            assert!(answer.ends_with("\r\n\r\n"), "{request:?} cut at {cut}: {answer}");
        }
    }
}

#[test]
fn head_is_answered_without_a_body() {
    let mut connection = Connection::new();
    let answer = exchange(&mut connection, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(answer.contains("Content-Length: 2\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    assert!(exchange(&mut connection, "GET / HTTP/1.1\r\nHost: h\r\n\r\n").ends_with("\r\n\r\nhi"));
}

#[test]
fn a_client_that_waits_is_asked_for_the_body() {
    let head = "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n";
    for (framing, body) in
        [("Content-Length: 2", "ab"), ("Transfer-Encoding: chunked", "2\r\nab\r\n0\r\n\r\n")]
    {
        let mut connection = Connection::new();
        let text = format!("{head}{framing}\r\n\r\n");
        let (consumed, step) = receive(&mut connection, text.as_bytes());
        assert!(consumed == text.len() && matches!(step, Step::Continue), "{step:?}");
        assert_eq!(connection.phase(), Phase::Receiving);
        assert_eq!(connection.output(), b"HTTP/1.1 100 Continue\r\n\r\n");
        connection.advance(5);
        assert!(matches!(receive(&mut connection, body.as_bytes()), (_, Step::Request(_))));
        connection.respond(answer("hi"));
        let sent = send_all(&mut connection);
        assert!(sent.starts_with("1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), "{sent}");
        assert_eq!(connection.phase(), Phase::Idle);

        // Whoever sends the body along has stopped waiting; whoever sends none has nothing to wait
        // for.
        let mut eager = Connection::new();
        assert!(matches!(receive(&mut eager, (text + body).as_bytes()), (_, Step::Request(_))));
        assert!(eager.output().is_empty());
    }
    let mut empty = Connection::new();
    assert!(!exchange(&mut empty, &format!("{head}Content-Length: 0\r\n\r\n")).contains("100"));
    let too_large = format!("{head}Content-Length: {}\r\n\r\n", LEN_MAX + 1);
    assert_eq!(rejected(&too_large), MessageReject::BodyTooLarge);
}

#[test]
fn rejects_close_after_their_answer() {
    for (text, status) in [
        ("GET / HTTP/1.1\r\n\r\n".to_string(), 400),
        ("\x16\x03\x01\x02\x00".to_string(), 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_string(), 505),
        (format!("GET /{}", "a".repeat(TARGET_LEN_MAX + 20)), 414),
        ("POST / HTTP/1.0\r\nContent-Length: 21\r\n\r\n".to_string(), 413),
        ("POST /none HTTP/1.0\r\nContent-Length: 1\r\n\r\n".to_string(), 413),
        ("DELETE / HTTP/1.0\r\nContent-Length: 1\r\n\r\n".to_string(), 413),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n15".to_string(), 413),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx".to_string(), 400),
        (
            format!(
                "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;{}",
                "e".repeat(CHUNK_OVERHEAD_LEN_MAX + 1)
            ),
            431,
        ),
    ] {
        assert_eq!(rejected(&text).status(), status, "{text:?}");
    }
    let mut connection = Connection::new();
    let text = b"HEAD / HTTP/1.1\r\nHost: h\r\nContent-Length: 21\r\n\r\n";
    assert!(matches!(
        receive(&mut connection, text),
        (_, Step::Reject(MessageReject::BodyTooLarge))
    ));
    assert_eq!(connection.phase(), Phase::Answering);
    assert!(matches!(receive(&mut connection, b"more"), (0, Step::More)));
    connection.respond(Response { status: 413, ..answer("no") });
    assert_eq!(connection.phase(), Phase::Closing);
    assert!(matches!(receive(&mut connection, b"body"), (4, Step::More)), "the client may finish");
    let sent = send_all(&mut connection);
    assert!(sent.starts_with("HTTP/1.1 413 Content Too Large\r\n"), "{sent}");
    assert!(sent.ends_with("Connection: close\r\n\r\n"), "no body in an answer to HEAD: {sent}");
    assert_eq!(connection.phase(), Phase::Closing);
}

#[test]
fn a_slow_client_can_be_given_up_at_any_byte() {
    let text = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello";
    for len in 0..text.len() {
        let mut connection = Connection::new();
        assert!(matches!(receive(&mut connection, &text.as_bytes()[..len]), (_, Step::More)));
        let phase = if len == 0 { Phase::Idle } else { Phase::Receiving };
        assert_eq!(connection.phase(), phase);
        connection.respond(Response { status: 408, ..answer("slow") });
        let sent = send_all(&mut connection);
        assert!(sent.contains("408 Request Timeout") && sent.contains("Connection: close"));
        assert_eq!(connection.phase(), Phase::Closing);
    }
}

#[test]
fn an_idle_connection_is_small() {
    let mut connection = Connection::new();
    exchange(&mut connection, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(size_of::<Connection>() <= 512, "{} bytes", size_of::<Connection>());
}

#[test]
fn the_memory_of_a_request_becomes_that_of_its_answer_and_of_the_next_request() {
    let mut connection = Connection::new();
    let mut text_of_next = |padding: usize| {
        let request = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(padding));
        let (_, step) = receive(&mut connection, request.as_bytes());
        let Step::Request(request) = step else { panic!("the request is complete") };
        let buffer = request.text.into_buffer();
        let (address, capacity) = (buffer.as_ptr(), buffer.capacity());
        let headers = Fields::in_buffer(buffer);
        connection.respond(Response { headers, ..answer("hi") });
        send_all(&mut connection);
        assert!(connection.buffer.capacity() <= TEXT_LEN_KEPT_MAX);
        (address, capacity)
    };
    let first = text_of_next(100);
    assert_eq!(text_of_next(50), first);
    let (_, long) = text_of_next(2 * TEXT_LEN_KEPT_MAX);
    assert!(long > TEXT_LEN_KEPT_MAX);
    assert!(text_of_next(50).1 <= TEXT_LEN_KEPT_MAX, "a long request leaves nothing behind");
}

#[test]
fn a_body_that_is_not_wanted_is_answered_before_it_arrives() {
    install_for_test();
    let mut refuse = |_: Method, _: &str, _: Headers<'_>| Err(Box::new(answer("no")));
    let mut connection = Connection::new();
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    let (consumed, step) = connection.receive(head, &mut refuse);
    assert!(matches!((consumed, step), (len, Step::More) if len == head.len()));
    assert_eq!(connection.phase(), Phase::Closing);
    assert!(send_all(&mut connection).contains("Connection: close"));
    assert!(matches!(connection.receive(b"12345", &mut refuse), (5, Step::More)));
    let mut without_body = Connection::new();
    let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let (_, step) = without_body.receive(head, &mut refuse);
    assert!(matches!(step, Step::Request(_)), "nothing is asked for without a body");
}

/// Everything that happens on a connection to which `stream` is sent in `pieces`.
fn transcript<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    let mut connection = Connection::new();
    let mut events = Vec::new();
    let mut window = Vec::new();
    for piece in pieces {
        window.extend(piece);
        while !window.is_empty() && connection.phase() != Phase::Closing {
            let (consumed, step) = receive(&mut connection, &window);
            window.drain(..consumed);
            match step {
                Step::More => assert!(window.is_empty()),
                Step::Continue => assert_eq!(send_all(&mut connection).len(), 25),
                Step::Request(request) => {
                    let Request { method, text, body } = request;
                    let body = body.to_vec().expect("the heap is large");
                    events.push(format!("{method:?} {text:?} {body:?}"));
                    connection.respond(answer("hi"));
                    events.push(send_all(&mut connection));
                }
                Step::Reject(reject) => {
                    events.push(format!("{reject:?}"));
                    connection.respond(Response { status: reject.status(), ..answer("no") });
                    send_all(&mut connection);
                }
            }
        }
    }
    events.push(format!("{:?}", connection.phase()));
    events
}

const REQUESTS: [&str; 8] = [
    "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "\r\nGET /x?y HTTP/1.1\r\nhost: h\r\naccept: */*\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
    "PUT /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
     3;x\r\nabc\r\n0\r\nt: 1\r\n\r\n",
    "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\n",
];

#[test]
fn every_cut_of_a_conversation_gives_the_same() {
    let stream = REQUESTS[..7].concat();
    let whole = transcript(core::iter::once(stream.as_bytes()));
    assert_eq!(whole.len(), 2 * 7 + 1);
    for cut in 0..=stream.len() {
        let (first, second) = stream.as_bytes().split_at(cut);
        assert_eq!(transcript([first, second].into_iter()), whole, "cut at {cut}");
    }
    for len in [1, 2, 3, 7, 50] {
        assert_eq!(transcript(stream.as_bytes().chunks(len)), whole);
    }
}

proptest! {
    #[test]
    fn cuts_of_any_conversation_do_not_matter(
        requests in prop::collection::vec(prop::sample::select(&REQUESTS[..]), 0..6),
        changes in prop::collection::vec((any::<usize>(), any::<u8>()), 0..3),
        segment_len in 1_usize..80,
    ) {
        let mut stream = requests.concat().into_bytes();
        let len = stream.len().max(1);
        for (at, byte) in changes {
            if let Some(place) = stream.get_mut(at % len) {
                *place = byte;
            }
        }
        let whole = transcript(core::iter::once(&stream[..]));
        prop_assert_eq!(transcript(stream.chunks(1)), whole.clone());
        prop_assert_eq!(transcript(stream.chunks(segment_len)), whole);
    }
}
