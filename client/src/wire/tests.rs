//! The reader against servers that answer well, badly, slowly and for ever.

use std::net::TcpListener;
use std::thread;

use super::*;

/// A connection to a server that says `answer`, in pieces of this length, and closes.
fn hearing_pieces(answer: impl Into<Vec<u8>>, piece: usize) -> Connection {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let answer = answer.into();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let _ = stream.set_nodelay(true);
        for piece in answer.chunks(piece) {
            // A client that has heard enough may be gone.
            if stream.write_all(piece).is_err() {
                break;
            }
        }
    });
    Connection::open(address).expect("the server listens")
}

fn hearing(answer: impl Into<Vec<u8>>) -> Connection {
    hearing_pieces(answer, usize::MAX)
}

/// What is wrong with an answer.
fn flaw(answer: impl Into<Vec<u8>>) -> Option<Flaw> {
    let error = hearing(answer).receive().expect_err("no answer");
    error.get_ref()?.downcast_ref::<Flaw>().copied()
}

#[test]
fn answers_follow_each_other_on_one_connection() {
    let mut connection = hearing(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi\
         HTTP/1.0 204 No Content\r\n\r\n",
    );
    assert_eq!(connection.receive().expect("an answer").status, 100);
    let response = connection.receive().expect("an answer");
    assert_eq!((response.status, response.text().as_str()), (200, "hi"));
    assert_eq!(response.header("content-length"), Some("2"));
    assert!(connection.has_more());
    assert_eq!(connection.receive().expect("an answer").minor_version, 0);
    assert!(!connection.has_more());
    assert_eq!(connection.wait_closed().expect("the end"), b"");
}

#[test]
fn half_an_answer_is_an_error() {
    for half in [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nA: b\r\n",
    ] {
        let error = hearing(half).receive().expect_err("it is not complete");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{half:?}");
    }
}

#[test]
fn a_body_without_length_ends_with_the_connection() {
    let response = hearing("HTTP/1.1 200 OK\r\n\r\nhello").receive().expect("an answer");
    assert_eq!(response.text(), "hello");
}

#[test]
fn chunks_are_joined_however_they_arrive() {
    let answers = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        4\r\nWiki\r\n0a;name=value\r\npedia in\r\n\r\n5\r\n\r\n\r\n.\r\n0\r\nTrailer: x\r\n\r\n\
        HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext";
    for piece in [1, 2, 7, 4096] {
        let mut connection = hearing_pieces(answers, piece);
        let response = connection.receive().expect("an answer");
        assert_eq!(response.text(), "Wikipedia in\r\n\r\n\r\n.", "{piece}");
        let (head, body) = connection.receive_in_place().expect("the next");
        assert_eq!((head.status, body), (200, &b"next"[..]), "{piece}");
    }
}

#[test]
fn hostile_answers_are_refused_by_name() {
    let chunked =
        |body: &str| format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    assert_eq!(flaw("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), Some(Flaw::Length));
    assert_eq!(flaw(chunked("x\r\n")), Some(Flaw::Chunk));
    assert_eq!(flaw(chunked("2\r\nhello")), Some(Flaw::Chunk));
    assert_eq!(flaw(chunked("ffffffffffffffff\r\n")), Some(Flaw::BodyTooLong));
    assert_eq!(flaw(chunked("fffffffffffffffff\r\n")), Some(Flaw::Chunk));
    assert_eq!(flaw(chunked("4000001\r\n")), Some(Flaw::BodyTooLong));
    let line = format!("1;{}", "x".repeat(2 * HEAD_LEN_MAX));
    assert_eq!(flaw(chunked(&line)), Some(Flaw::Chunk));
    let trailer = format!("0\r\n{}", "A: b\r\n".repeat(HEAD_LEN_MAX));
    assert_eq!(flaw(chunked(&trailer)), Some(Flaw::HeadTooLong));
    let trailer = format!("0\r\nA: {}", "b".repeat(4 * HEAD_LEN_MAX));
    assert_eq!(flaw(chunked(&trailer)), Some(Flaw::HeadTooLong));
    assert!(matches!(flaw("nonsense\r\n\r\n"), Some(Flaw::Grammar(_))));
}

#[test]
fn a_body_without_end_is_cut_off() {
    let mut endless = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    endless.resize(BODY_LEN_MAX + (1 << 20), b'x');
    assert_eq!(flaw(endless), Some(Flaw::BodyTooLong));
}

#[test]
fn silence_is_a_time_out() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let brief = Duration::from_millis(50);
    let mut connection = Connection::open_within(address, CONNECT_TIMEOUT, brief).expect("open");
    let error = connection.receive().expect_err("nobody answers");
    assert!(matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{error}");
}

#[test]
fn a_body_has_its_length() {
    let bytes = request("POST", "/", &["A: b"], b"xy");
    assert_eq!(bytes, b"POST / HTTP/1.1\r\nHost: node\r\nA: b\r\nContent-Length: 2\r\n\r\nxy");
}
