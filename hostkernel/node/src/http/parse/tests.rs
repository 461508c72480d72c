//! What a head may look like, and that it does not matter how it arrives.

extern crate std;

use std::format;
use std::string::{String, ToString};
use std::vec;

use proptest::prelude::*;

use super::*;

fn read(bytes: &[u8]) -> Result<Option<Head>, MessageReject> {
    HeadReader::default().receive(bytes, &mut Vec::new()).map(|(_, head)| head)
}

fn head(text: &str) -> Head {
    match read(text.as_bytes()) {
        Ok(Some(head)) => head,
        other => panic!("{text:?} gave {other:?}"),
    }
}

/// A request with one more header line.
fn with_field(line: &str) -> String {
    format!("POST /p HTTP/1.1\r\nHost: h\r\n{line}\r\n\r\n")
}

fn status(text: impl AsRef<[u8]>) -> u16 {
    read(text.as_ref())
        .map_or_else(MessageReject::status, |head| if head.is_some() { 200 } else { 100 })
}

#[test]
fn a_head_becomes_its_parts() {
    let head = head(
        "PUT /api/v1/a%20b?x=1&y=?z HTTP/1.1\r\nHost: node:3233\r\nX-Mixed-Case: \t a: b \t\r\n\
         Empty:\r\nx-mixed-case: second\r\nUtf8: k\u{f6}\r\nContent-Length: 0017\r\n\r\n",
    );
    assert_eq!(head.method, Method::Put);
    assert_eq!(head.text.path(), "/api/v1/a%20b");
    assert_eq!(head.text.query(), Some("x=1&y=?z"));
    assert_eq!(head.framing, Framing::Length(17));
    assert!(head.persistent && !head.expects_continue);
    let fields: Vec<_> = head.text.headers().iter().collect();
    assert_eq!(
        fields,
        [
            ("Host", "node:3233"),
            ("X-Mixed-Case", "a: b"),
            ("Empty", ""),
            ("x-mixed-case", "second"),
            ("Utf8", "k\u{f6}"),
            ("Content-Length", "0017"),
        ]
    );
    assert_eq!(head.text.headers().get("x-mixed-case"), Some("a: b"));
}

#[test]
fn targets() {
    for (line, path, query) in [
        ("GET / HTTP/1.0", "/", None),
        ("GET /? HTTP/1.0", "/", Some("")),
        ("GET http://host:80/a?b HTTP/1.0", "/a", Some("b")),
        ("GET HTTP://host HTTP/1.0", "/", None),
        ("GET http://[::1]?q HTTP/1.0", "/", Some("q")),
        ("OPTIONS * HTTP/1.0", "*", None),
        ("OPTIONS /x HTTP/1.0", "/x", None),
        ("GET //a/../b HTTP/1.0", "//a/../b", None),
    ] {
        let head = head(&format!("{line}\r\n\r\n"));
        assert_eq!((head.text.path(), head.text.query()), (path, query), "{line}");
    }
    for target in
        ["*", "a", "host:80", "https://h/", "http:///", "http://u@h/", "/#f", "/\u{e4}", "ftp://h/"]
    {
        assert_eq!(status(format!("GET {target} HTTP/1.0\r\n\r\n")), 400, "{target}");
    }
}

#[test]
fn request_lines() {
    for (line, expected) in [
        ("GET / HTTP/1.1", 400), // no Host
        ("GET / HTTP/1.0", 200),
        ("GET / HTTP/1.2", 505),
        ("GET / HTTP/0.9", 505),
        ("GET / HTTP/2", 505),
        ("PRI * HTTP/2.0", 505),
        ("GET /", 505),
        ("BREW / HTTP/1.0", 501),
        ("get / HTTP/1.0", 501),
        ("CONNECT h:80 HTTP/1.0", 501),
        ("TRACE / HTTP/1.0", 501),
        ("GET / http/1.1", 400),
        ("GET  / HTTP/1.0", 400),
        ("GET /  HTTP/1.0", 400),
        ("GET / HTTP/1.0 ", 400),
        ("GET / x HTTP/1.0", 400),
        ("GET\t/ HTTP/1.0", 400),
        (" GET / HTTP/1.0", 400),
        ("GET /\u{0}x HTTP/1.0", 400),
        ("GET /\u{7f} HTTP/1.0", 400),
        ("G:T / HTTP/1.0", 400),
        ("GET", 400),
    ] {
        assert_eq!(status(format!("{line}\r\n\r\n")), expected, "{line:?}");
    }
}

#[test]
fn fields_that_decide_where_a_request_ends() {
    for (line, expected) in [
        ("Content-Length: 5", 200),
        ("Content-Length:5", 200),
        ("Content-Length: ", 400),
        ("Content-Length: +5", 400),
        ("Content-Length: -5", 400),
        ("Content-Length: 0x5", 400),
        ("Content-Length: 5 5", 400),
        ("Content-Length: 5, 5", 400),
        ("Content-Length: 5\r\nContent-Length: 5", 400),
        ("Content-Length: 5\r\ncontent-length: 6", 400),
        ("Content-Length: 18446744073709551616", 413),
        ("Content-Length : 5", 400),
        ("Content-Length: 5\r\n 6", 400),
        ("Content-Length: \u{0}5", 400),
        ("Content-Length: 5\u{b}", 400),
        ("Transfer-Encoding: chunked", 200),
        ("Transfer-Encoding: CHUNKED", 200),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", 400),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: identity", 501),
        ("Transfer-Encoding: gzip, chunked", 501),
        ("Transfer-Encoding: chunked, chunked", 501),
        ("Transfer-Encoding: chunked;q=1", 501),
        ("Transfer-Encoding: \u{b}chunked", 400),
        ("Transfer-Encoding: xchunked", 501),
        ("Transfer-Encoding:", 501),
        ("Transfer-Encoding : chunked", 400),
        ("Host: other", 400),
        ("Expect: 100-continue", 200),
        ("Expect: 200-ok", 417),
        ("Expect: 200-ok\r\nExpect: 100-continue", 417),
        ("No colon", 400),
        (": no name", 400),
        (" Folded: first", 400),
        ("A: b\r\n\tfolded", 400),
        ("A: b\rc", 400),
        ("A: b\nc: d", 400),
        ("A: b\u{1b}", 400),
        ("A\u{e4}: b", 400),
        ("A: \u{e4}", 200),
    ] {
        assert_eq!(status(with_field(line)), expected, "{line:?}");
    }
    for (value, text) in
        [(&b"caf\xe9"[..], "café"), (b"caf\xc3\xa9", "café"), (b"\x93x", "\u{93}x")]
    {
        let bytes = [b"GET / HTTP/1.0\r\nB: \xc3\xa4\r\nA: ", value, b"\r\n\r\n"].concat();
        let head = read(&bytes).expect("a head").expect("all of it");
        let fields = (head.text.headers().get("a"), head.text.headers().get("b"));
        assert_eq!(fields, (Some(text), Some("ä")), "opaque bytes are kept apart");
    }
    assert_eq!(head(&with_field("Transfer-Encoding: chunked")).framing, Framing::Chunked);
    assert_eq!(head(&with_field("A: b")).framing, Framing::Length(0));
    assert_eq!(status("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
    assert_eq!(status("POST / HTTP/1.0\r\nExpect: 200-ok\r\n\r\n"), 200);
    assert!(!head("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").expects_continue);
    assert!(head(&with_field("Expect: 100-Continue")).expects_continue);
    for host in ["", "h", "[::1]:3233", "a-b.c_d:1"] {
        assert_eq!(status(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")), 200, "{host}");
    }
    for host in ["a b", "a,b", "a/b", "a@b", "\u{e4}"] {
        assert_eq!(status(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")), 400, "{host}");
    }
    assert_eq!(status("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), 400);
}

#[test]
fn connection_options() {
    for (version, field, persistent) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: Upgrade, CLOSE\r\n", false),
        ("1.1", "Connection: a\r\nConnection: close\r\n", false),
        ("1.1", "Connection: Upgrade, HTTP2-Settings\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: x ,\tkeep-alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ] {
        let text = format!("GET / HTTP/{version}\r\nHost: h\r\n{field}\r\n");
        assert_eq!(head(&text).persistent, persistent, "{text:?}");
    }
}

#[test]
fn bounds() {
    let target = |len: usize| format!("GET /{} HTTP/1.0\r\n\r\n", "a".repeat(len - 1));
    assert_eq!(status(target(TARGET_LEN_MAX)), 200);
    assert_eq!(status(target(TARGET_LEN_MAX + 1)), 414);
    assert_eq!(status(&target(TARGET_LEN_MAX + 20)[..TARGET_LEN_MAX + 16]), 414, "without an end");
    let fields = |count: usize| format!("GET / HTTP/1.0\r\n{}\r\n", "a: b\r\n".repeat(count));
    assert_eq!(status(fields(HEADERS_MAX)), 200);
    assert_eq!(status(fields(HEADERS_MAX + 1)), 431);
    let long = |len: usize| {
        let start = "GET / HTTP/1.0\r\na: ";
        format!("{start}{}\r\n\r\n", "b".repeat(len - start.len() - 4))
    };
    assert_eq!(long(HEAD_LEN_MAX).len(), HEAD_LEN_MAX);
    assert_eq!(status(long(HEAD_LEN_MAX)), 200);
    assert_eq!(status(long(HEAD_LEN_MAX + 1)), 431);
    assert_eq!(status(&long(HEAD_LEN_MAX + 9)[..HEAD_LEN_MAX]), 431, "without an end");
    assert_eq!(status("A".repeat(METHOD_LEN_MAX - 1)), 100);
    assert_eq!(status("A".repeat(METHOD_LEN_MAX)), 501);
    let blank = |count: usize| format!("{}GET / HTTP/1.0\r\n\r\n", "\r\n".repeat(count));
    assert_eq!(status(blank(BLANK_LINES_MAX)), 200);
    assert_eq!(status(blank(BLANK_LINES_MAX + 1)), 400);
}

#[test]
fn garbage_is_refused_at_its_first_wrong_byte() {
    for (text, expected) in [
        (&b"\x16"[..], 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"\0", 400),
        (b"GE", 100),
        (b"\r", 100),
        (b"{", 400),
        (b"\n", 400),
        (b"\rx", 400),
        (b"SSH-2.0-OpenSSH_9.2\r", 400),
        (b"GET /\r\n", 505),
        (b"PRI * HTTP/2.0\r\n", 505),
        (b"GET / HTTP/1.0\n", 400),
        (b"GET / HTTP/1.0\r\na: b\n", 400),
    ] {
        assert_eq!(status(text), expected, "{:?}", text.escape_ascii().to_string());
    }
}

#[test]
fn blank_lines_are_no_request() {
    let mut reader = HeadReader::default();
    assert!(reader.is_idle());
    assert!(matches!(reader.receive(b"\r\n", &mut Vec::new()), Ok((2, None))));
    assert!(reader.is_idle());
    assert!(matches!(reader.receive(b"G", &mut Vec::new()), Ok((1, None))));
    assert!(!reader.is_idle());
    assert!(matches!(
        reader.receive(b"ET / HTTP/1.0\r\n\r\nrest", &mut Vec::new()),
        Ok((17, Some(_)))
    ));
    assert!(reader.is_idle() && reader.buffer.capacity() == 0);
}

#[test]
fn newlines_are_found_wherever_they_are() {
    for len in 0..40 {
        let mut bytes = vec![b'\n' ^ 0x80; len];
        assert_eq!(find_newline(&bytes), None);
        for at in (0..len).rev() {
            bytes[at] = b'\n';
            assert_eq!(find_newline(&bytes), Some(at));
            if at + 1 < len {
                bytes[at + 1] = 0x0b;
            }
        }
    }
}

/// What became of the stream: the head and where it ended, a reject, or neither yet.
fn outcome<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> String {
    let mut reader = HeadReader::default();
    let mut total = 0;
    for piece in pieces {
        match reader.receive(piece, &mut Vec::new()) {
            Ok((consumed, None)) => {
                assert_eq!(consumed, piece.len());
                total += consumed;
            }
            Ok((consumed, Some(head))) => {
                assert!(consumed <= piece.len());
                return format!("{head:?} after {}", total + consumed);
            }
            Err(reject) => return format!("{reject:?}"),
        }
        assert!(reader.buffer.len() <= HEAD_LEN_MAX);
    }
    "more".to_string()
}

fn assert_cuts_do_not_matter(bytes: &[u8], cuts: &[usize]) {
    let whole = outcome(core::iter::once(bytes));
    assert_eq!(outcome(bytes.chunks(1)), whole);
    for cut in cuts {
        let (first, second) = bytes.split_at(cut % (bytes.len() + 1));
        assert_eq!(outcome([first, second].into_iter()), whole);
    }
}

#[test]
fn every_cut_of_a_request_gives_the_same() {
    let text = "\r\nPOST /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: \
                100-continue\r\nConnection: close\r\n\r\nabcGET";
    let cuts: Vec<usize> = (0..=text.len()).collect();
    assert_cuts_do_not_matter(text.as_bytes(), &cuts);
    let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(TARGET_LEN_MAX + 30));
    assert_cuts_do_not_matter(long.as_bytes(), &[TARGET_LEN_MAX, TARGET_LEN_MAX + 20]);
    let fields = format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(HEADERS_MAX + 2));
    assert_cuts_do_not_matter(fields.as_bytes(), &[600, 615, 616, 617]);
}

/// Streams that get far: words of the grammar, in likely and unlikely order.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        4 => Just(&b"\r\n"[..]),
        2 => Just(&b"GET / HTTP/1.1\r\nHost: h\r\n"[..]),
        2 => Just(&b"Content-Length: 5\r\n"[..]),
        1 => Just(&b"Transfer-Encoding: chunked\r\n"[..]),
        1 => prop::sample::select(vec![
            &b" "[..], b":", b"\n", b"\r", b"\t", b"\0", b"\xff", b"\xc3\xa4", b"GET", b"OPTIONS",
            b"*", b"/", b"HTTP/1.0", b"HTTP/1.1", b"HTTP/2.0", b"Host: ", b"Expect: x\r\n",
            b"\x16\x03", b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", b"Connection: close",
        ]),
    ];
    prop::collection::vec(word, 0..24).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn cuts_of_any_stream_do_not_matter(
        bytes in stream(),
        cuts in prop::collection::vec(any::<usize>(), 4),
    ) {
        assert_cuts_do_not_matter(&bytes, &cuts);
    }

    #[test]
    fn cuts_of_random_bytes_do_not_matter(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        cuts in prop::collection::vec(any::<usize>(), 2),
    ) {
        assert_cuts_do_not_matter(&bytes, &cuts);
    }

    #[test]
    fn mutated_requests_are_read_or_refused(
        changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = with_field("Content-Length: 5\r\nConnection: close").into_bytes();
        for (at, byte) in changes {
            let len = bytes.len();
            bytes[at % len] = byte;
        }
        assert_cuts_do_not_matter(&bytes, &[1, 20]);
        if let Ok(Some(head)) = read(&bytes) {
            let path = head.text.path();
            assert!(path.is_ascii() && (path.starts_with('/') || path == "*"));
            for (name, value) in head.text.headers().iter() {
                assert!(!name.is_empty() && name.bytes().all(is_token));
                assert!(value.bytes().all(|byte| byte == b'\t' || !byte.is_ascii_control()));
            }
        }
    }
}
