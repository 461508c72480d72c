//! HTTP/1.1 and 1.0 as clients really speak it, and as they should not.

use std::time::Duration;

use system_tests::{
    ACTIONS, AUTHORIZATION, Connection, Response, SharedNode, TestNode, boot, machine, request,
};

static NODE: SharedNode = SharedNode::new(|| {
    let node = boot(machine());
    node.deploy("hello");
    node.deploy("echo");
    node
});

/// What the node waits for bytes that complete a request, `PROGRESS_TIMEOUT_MS` of the kernel.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest input of an action.
const INPUT_LEN_MAX: usize = 6 << 20;

/// A request for `hello` that stays on its connection.
fn hello(name: &str) -> Vec<u8> {
    request("POST", "/function/hello", &[], format!(r#"{{"name":"{name}"}}"#).as_bytes())
}

fn assert_greets(answer: &Response, name: &str) {
    let expected = format!(r#"{{"greeting":"Hello, {name}!"}}"#);
    assert_eq!((answer.status, answer.text()), (200, expected));
}

/// Sends bytes, which the node may stop reading at any point, and returns its answer.
fn send_and_receive(connection: &mut Connection, bytes: &[u8]) -> Response {
    let _ = connection.send(bytes);
    connection.receive().unwrap_or_else(|error| {
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
        panic!("no answer to {start:?}: {error}")
    })
}

#[test]
fn a_connection_stays_open_for_many_requests() {
    let node = NODE.get();
    let mut connection = node.connect();
    for round in 0..100 {
        let name = format!("number {round}");
        let answer = send_and_receive(&mut connection, &hello(&name));
        assert_greets(&answer, &name);
        assert_eq!(answer.header("connection"), Some("keep-alive"));
        assert!(answer.header("keep-alive").is_some_and(|value| value.starts_with("timeout=")));
        assert!(answer.header("date").is_some_and(|value| value.ends_with(" GMT")));
    }
}

#[test]
fn version_and_connection_field_decide_whether_a_connection_stays() {
    let node = NODE.get();
    for (head, stays) in [
        ("GET /healthz HTTP/1.1\r\nHost: node\r\n", true),
        ("GET /healthz HTTP/1.1\r\nHost: node\r\nConnection: close\r\n", false),
        ("GET /healthz HTTP/1.1\r\nHost: node\r\nConnection: te, Close\r\n", false),
        ("GET /healthz HTTP/1.0\r\n", false),
        ("GET /healthz HTTP/1.0\r\nConnection: Keep-Alive\r\n", true),
    ] {
        let mut connection = node.connect();
        let answer = send_and_receive(&mut connection, format!("{head}\r\n").as_bytes());
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"), "{head}");
        let expected = if stays { "keep-alive" } else { "close" };
        assert_eq!(answer.header("connection"), Some(expected), "{head}");
        if stays {
            assert_greets(&send_and_receive(&mut connection, &hello("again")), "again");
        } else {
            assert_eq!(connection.wait_closed().expect("it closes"), b"", "{head}");
        }
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let node = NODE.get();
    let names: Vec<_> = (0..20).map(|number| format!("client {number}")).collect();
    let mut connection = node.connect();
    let bytes: Vec<u8> = names.iter().flat_map(|name| hello(name)).collect();
    connection.send(&bytes).expect("an open connection");
    for name in &names {
        assert_greets(&connection.receive().expect("an answer"), name);
    }
}

#[test]
fn a_request_may_arrive_in_any_pieces() {
    let node = NODE.get();
    for piece_len in [1, 2, 7, 64] {
        let mut connection = node.connect();
        for piece in hello("patience").chunks(piece_len) {
            connection.send(piece).expect("an open connection");
            // So that the pieces do not become one segment on their way.
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_greets(&connection.receive().expect("an answer"), "patience");
    }
}

#[test]
fn a_client_that_waits_to_be_asked_for_its_body_is_asked() {
    let node = NODE.get();
    let head = "POST /function/echo HTTP/1.1\r\nHost: node\r\nContent-Length: 4\r\n\
                Expect: 100-continue\r\n\r\n";
    let mut connection = node.connect();
    let interim = send_and_receive(&mut connection, head.as_bytes());
    assert_eq!(interim.status, 100);
    let answer = send_and_receive(&mut connection, b"body");
    assert_eq!((answer.status, answer.text().as_str()), (200, "body"));

    // Who does not wait is not asked.
    let answer = send_and_receive(&mut connection, format!("{head}more").as_bytes());
    assert_eq!((answer.status, answer.text().as_str()), (200, "more"));
}

#[test]
fn a_client_is_refused_before_it_sends_a_body_in_vain() {
    let node = NODE.get();
    let action = format!("{ACTIONS}/x");
    let wrong = "Authorization: Basic YTpi";
    for (target, key, length, status) in [
        ("/function/echo", AUTHORIZATION, INPUT_LEN_MAX + 1, 413),
        ("/healthz", AUTHORIZATION, 1 << 20, 413),
        (&action, AUTHORIZATION, 1 << 30, 413),
        (&action, "X-Key: none", 1 << 20, 401),
        (&action, wrong, 1 << 20, 401),
    ] {
        let mut connection = node.connect();
        let head = format!(
            "PUT {target} HTTP/1.1\r\nHost: node\r\n{key}\r\nContent-Length: {length}\r\n\
             Expect: 100-continue\r\n\r\n"
        );
        let answer = send_and_receive(&mut connection, head.as_bytes());
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
        assert_eq!(connection.wait_closed().expect("it closes"), b"");
    }
}

#[test]
fn chunked_bodies_are_put_together() {
    let node = NODE.get();
    const HEAD: &str =
        "POST /function/echo HTTP/1.1\r\nHost: node\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (chunks, body) in [
        ("0\r\n\r\n", ""),
        ("5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("3;name=\"value\"\r\nabc\r\n000A\r\n0123456789\r\n0\r\n\r\n", "abc0123456789"),
        ("1\r\nx\r\n0\r\nTrailer: ignored\r\n\r\n", "x"),
    ] {
        let mut connection = node.connect();
        let answer = send_and_receive(&mut connection, format!("{HEAD}{chunks}").as_bytes());
        assert_eq!((answer.status, answer.text().as_str()), (200, body), "{chunks:?}");
        assert_greets(&send_and_receive(&mut connection, &hello("next")), "next");
    }
    // Across segments and pages, with chunks whose length is none of theirs.
    let body: Vec<u8> = (0..100_000_u32).map(|number| (number % 251) as u8).collect();
    let mut bytes = HEAD.as_bytes().to_vec();
    for chunk in body.chunks(4099) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    let answer = send_and_receive(&mut node.connect(), &bytes);
    assert_eq!(answer.status, 200);
    assert!(answer.body == body, "the body came back changed");
}

#[test]
fn bodies_up_to_the_limit_come_back_unchanged() {
    let node = NODE.get();
    for len in [0, 1, 1023, 1024, 1025, 4096, 16_384, 65_537, INPUT_LEN_MAX] {
        let body: Vec<u8> = (0..len).map(|index| (index * 7 % 253) as u8).collect();
        let answer = node.request("POST", "/function/echo", &[], &body);
        assert_eq!(answer.status, 200, "{len}");
        assert!(answer.body == body, "{len} bytes came back as {}", answer.body.len());
    }
}

#[test]
fn an_answer_to_head_is_one_without_body() {
    let node = NODE.get();
    let mut connection = node.connect();
    for target in ["/healthz", "/readyz", "/ping"] {
        connection.send(&request("HEAD", target, &[], &[])).expect("an open connection");
        let answer = connection.receive_for("HEAD").expect("an answer");
        assert_eq!(answer.status, 200, "{target}");
        assert_ne!(answer.header("content-length"), Some("0"), "{target}");
    }
    assert_greets(&send_and_receive(&mut connection, &hello("after")), "after");
}

#[test]
fn a_client_that_has_finished_sending_is_still_answered() {
    let node = NODE.get();
    let mut connection = node.connect();
    connection.send(&hello("quiet one")).expect("an open connection");
    connection.finish_sending().expect("an open connection");
    assert_greets(&connection.receive().expect("an answer"), "quiet one");
    assert_eq!(connection.wait_closed().expect("it closes"), b"");
}

/// What must be refused, each with its status; afterwards the connection is closed.
fn refused() -> Vec<(&'static str, Vec<u8>, u16)> {
    let text = |text: &str| text.as_bytes().to_vec();
    let fields = |fields: &str| text(&format!("GET /healthz HTTP/1.1\r\n{fields}\r\n"));
    let hosted = |more: &str| fields(&format!("Host: node\r\n{more}"));
    let long = |len: usize| "x".repeat(len);
    let mut client_hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec();
    client_hello.resize(517, 0xA5);
    let chunked = |chunks: &str| {
        text(&format!(
            "POST /function/echo HTTP/1.1\r\nHost: node\r\nTransfer-Encoding: chunked\r\n\r\n\
             {chunks}"
        ))
    };
    vec![
        ("TLS", client_hello, 400),
        ("the preface of HTTP/2", text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0"), 505),
        ("a later version", text("GET /healthz HTTP/3.0\r\nHost: node\r\n\r\n"), 505),
        ("HTTP/0.9", text("GET /healthz\r\n"), 505),
        ("another protocol", text("SSH-2.0-OpenSSH_9.2p1\r\n"), 400),
        ("a binary protocol", b"\0\x01\x02\x03\xff\xfe".repeat(20), 400),
        ("an unknown method", text("BREW /healthz HTTP/1.1\r\nHost: node\r\n\r\n"), 501),
        ("an endless method", text(&long(100)), 501),
        ("a long target", text(&format!("GET /{} HTTP/1.1\r\n", long(9000))), 414),
        ("a target that is none", text("GET healthz HTTP/1.1\r\nHost: node\r\n\r\n"), 400),
        ("a large head", hosted(&format!("A: {}\r\n", long(17_000))), 431),
        ("a large head in many fields", hosted(&format!("A: {}\r\n", long(90)).repeat(180)), 431),
        ("101 fields", hosted(&"A: b\r\n".repeat(100)), 431),
        ("no host", fields(""), 400),
        ("two hosts", hosted("Host: other\r\n"), 400),
        ("a bare line feed", text("GET /healthz HTTP/1.1\nHost: node\n\n"), 400),
        ("a space before the colon", hosted("Content-Length : 0\r\n"), 400),
        ("a folded field", hosted("A: b\r\n c\r\n"), 400),
        ("a NUL in a field", hosted("A: b\0c\r\n"), 400),
        ("two lengths", hosted("Content-Length: 1\r\nContent-Length: 1\r\n"), 400),
        ("a list of lengths", hosted("Content-Length: 1, 1\r\n"), 400),
        ("a signed length", hosted("Content-Length: +1\r\n"), 400),
        ("length and coding", hosted("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), 400),
        ("two codings", hosted("Transfer-Encoding: chunked\r\n".repeat(2).as_str()), 400),
        ("another coding", hosted("Transfer-Encoding: gzip, chunked\r\n"), 501),
        ("coding in HTTP/1.0", text("POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400),
        (
            "a length over all bounds",
            hosted(&format!("Content-Length: 1{}\r\n", "0".repeat(30))),
            413,
        ),
        ("another expectation", hosted("Expect: 200-ok\r\n"), 417),
        ("a chunk without length", chunked("\r\nabc\r\n"), 400),
        ("a chunk of negative length", chunked("-1\r\nabc\r\n"), 400),
        ("a chunk longer than it says", chunked("2\r\nabc\r\n"), 400),
        ("a chunk over all bounds", chunked("FFFFFFFFFFFFFFFFF\r\n"), 413),
        ("a chunk over the limit", chunked("7FFFFFFF\r\n"), 413),
    ]
}

#[test]
fn what_is_no_acceptable_request_is_refused_and_the_connection_closed() {
    let node = NODE.get();
    for (name, bytes, status) in refused() {
        let mut connection = node.connect();
        let answer = send_and_receive(&mut connection, &bytes);
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
        assert_eq!(answer.header("connection"), Some("close"), "{name}");
        let body = answer.json();
        assert!(body["error"].is_string() && body["code"].is_string(), "{name}: {body}");
        assert_eq!(connection.wait_closed().expect(name), b"", "{name}");
    }
    node.greets("still here");
}

#[test]
fn what_follows_a_refused_request_is_not_taken_for_another() {
    let node = NODE.get();
    for (name, bytes, _) in refused() {
        let mut connection = node.connect();
        let _ = connection.send(&[bytes, hello("smuggled")].concat());
        let answers = connection.wait_closed().expect(name);
        let answers = String::from_utf8_lossy(&answers);
        assert!(!answers.contains("smuggled"), "{name}: {answers}");
        assert!(answers.matches("Content-Length: ").count() <= 1, "{name}: {answers}");
    }
}

#[test]
fn a_request_that_stops_arriving_is_answered_408_and_disturbs_nobody() {
    let node = NODE.get();
    let cases = [
        ("nothing but a letter", &b"G"[..]),
        ("half a head", b"POST /function/echo HTTP/1.1\r\nHost: no"),
        (
            "half a body",
            b"POST /function/echo HTTP/1.1\r\nHost: node\r\nContent-Length: 9\r\n\r\nab",
        ),
    ];
    let mut slow = cases.map(|(name, bytes)| {
        let mut connection = node.connect();
        connection.send(bytes).expect("an open connection");
        (name, connection)
    });
    for (name, connection) in &mut slow {
        node.greets("meanwhile");
        connection
            .stream()
            .set_read_timeout(Some(PROGRESS_TIMEOUT * 6))
            .expect("a time-out can be set");
        let answer = connection.receive().expect(name);
        assert_eq!(answer.status, 408, "{name}");
        assert_eq!(connection.wait_closed().expect(name), b"", "{name}");
    }
}

#[test]
fn a_request_that_keeps_arriving_is_waited_for() {
    let node = NODE.get();
    let mut connection = node.connect();
    // Longer in all than the node waits for progress, but never without progress for that long.
    let request = hello("slow but steady");
    for piece in request.chunks(request.len().div_ceil(4)) {
        connection.send(piece).expect("an open connection");
        std::thread::sleep(PROGRESS_TIMEOUT * 3 / 10);
    }
    assert_greets(&connection.receive().expect("an answer"), "slow but steady");
}

/// Open connections at once: a node of its own, so that the number is known.
#[test]
fn two_hundred_and_fifty_six_connections_are_open_at_once_and_all_are_answered() {
    let node = boot(machine());
    node.deploy("hello");
    let mut connections: Vec<_> = (0..256).map(|_| node.established()).collect();
    for round in 0..3 {
        for (number, connection) in connections.iter_mut().enumerate() {
            connection.send(&hello(&format!("{round}.{number}"))).expect("an open connection");
        }
        for (number, connection) in connections.iter_mut().enumerate() {
            assert_greets(&connection.receive().expect("an answer"), &format!("{round}.{number}"));
        }
    }
    node.greets("one more");
}

#[test]
fn connections_that_break_off_are_cleaned_up() {
    let node = boot(machine());
    node.deploy("hello");
    node.deploy("echo");
    let large = request("POST", "/function/echo", &[], &vec![b'x'; 300_000]);
    type BreakOff = fn(&TestNode, &[u8]);
    let breaks: [(&str, BreakOff); 4] = [
        ("between requests", |node, _| drop(node.established())),
        ("within a head", |node, _| drop(node.established().send(b"POST /function/hello HT"))),
        ("within a body", |node, large| drop(node.established().send(&large[..100_000]))),
        // The rest of the answer is never read, so closing resets the connection.
        ("within an answer", |node, large| {
            let mut connection = node.established();
            connection.send(large).expect("an open connection");
            let mut first = [0];
            std::io::Read::read_exact(&mut connection.stream(), &mut first).expect("an answer");
        }),
    ];
    // More often than the node has connections, see `at most … connections` in its log.
    for round in 0..120 {
        for (name, break_off) in breaks {
            break_off(&node, &large);
            if round % 40 == 0 {
                node.greets(name);
            }
        }
    }
    node.greets("after all");
}
