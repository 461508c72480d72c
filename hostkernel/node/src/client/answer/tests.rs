//! Good answers, hostile ones, and all of them in pieces.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

type Read = Result<Option<(u16, bool, Vec<u8>, usize)>, AnswerReject>;

const LEN_MAX: usize = 100;

/// Feeds pieces, and the end of the connection; what was taken comes last.
fn read_pieces<'a>(is_bodiless: bool, pieces: impl Iterator<Item = &'a [u8]>, ends: bool) -> Read {
    memory::install_for_test();
    let mut reader = AnswerReader::new(is_bodiless, LEN_MAX);
    let mut taken = 0;
    for piece in pieces {
        let count = reader.receive(piece)?;
        taken += count;
        if count < piece.len() {
            assert!(reader.is_complete(), "only the end leaves bytes");
            break;
        }
    }
    if ends && !reader.is_complete() {
        reader.end()?;
    }
    let read = reader.finish();
    Ok(read.map(|(head, body)| {
        (head.status, head.is_persistent, body.to_vec().expect("there is memory"), taken)
    }))
}

fn read(text: &str, ends: bool) -> Read {
    read_pieces(false, core::iter::once(text.as_bytes()), ends)
}

fn body(text: &str, ends: bool) -> Option<(u16, bool, String)> {
    let (status, stays, body, _) = read(text, ends).expect("a good answer")?;
    Some((status, stays, String::from_utf8(body).expect("text")))
}

#[test]
fn every_framing_is_read() {
    for (text, stays) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcrest", true),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x\r\nbc\r\n0\r\n\r\n",
            true,
        ),
        ("HTTP/1.1 200 OK\r\nConnection: a, Close\r\nContent-Length: 3\r\n\r\nabc", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", false),
        ("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc", true),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 X\r\nA: b\r\n\r\n\
             HTTP/1.1 200 \r\nContent-Length: 3\r\n\r\nabc",
            true,
        ),
    ] {
        assert_eq!(body(text, false), Some((200, stays, "abc".into())), "{text}");
    }
    let open = "HTTP/1.1 200 OK\r\n\r\nabc";
    assert_eq!(body(open, false), None, "it may go on");
    assert_eq!(body(open, true), Some((200, false, "abc".into())));
    for status in ["204 X", "304 X"] {
        let text = format!("HTTP/1.1 {status}\r\nContent-Length: 3\r\n\r\n");
        assert_eq!(body(&text, false).map(|it| it.2), Some(String::new()), "{text}");
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
    let answer = read_pieces(true, core::iter::once(head.as_bytes()), false);
    assert_eq!(answer, Ok(Some((200, true, Vec::new(), head.len()))));
}

#[test]
fn the_next_answer_is_left_alone() {
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 500 no\r\n\r\n";
    let (.., taken) = read(text, false).expect("good").expect("complete");
    assert_eq!(&text[taken..], "HTTP/1.1 500 no\r\n\r\n");
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let with = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\nabc");
    for fields in [
        "Content-Length: 3\r\nContent-Length: 3",
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: gzip, chunked",
        "Content-Length: +3",
        "Content-Length: 3, 3",
        "Content-Length:",
        "Content-Length: 99999999999999999999999",
        "A: b\r\n folded",
        "A : b",
        "A: b\0",
        "no colon",
        "A: b\nContent-Length: 3",
    ] {
        assert_eq!(read(&with(fields), true), Err(AnswerReject::Head), "{fields:?}");
    }
    for text in ["SSH-2.0-OpenSSH\r\n", "HTTP/2 200\r\n\r\n", "HTTP/1.1 99 x\r\n\r\n", "\r\n", "h"]
    {
        assert_eq!(read(text, false), Err(AnswerReject::Head), "{text:?}");
    }
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd";
    assert!(matches!(read(chunked, false), Err(AnswerReject::Body(_))));
    let old = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(read(old, false), Err(AnswerReject::Head));
    assert_eq!(read("HTTP/1.1 101 x\r\n\r\n", false), Err(AnswerReject::Interim));
}

#[test]
fn what_never_ends_ends_here() {
    let head = "HTTP/1.1 200 OK\r\n";
    let endless = format!("{head}A: {}", "x".repeat(ANSWER_HEAD_LEN_MAX));
    assert_eq!(read(&endless, false), Err(AnswerReject::HeadTooLarge));
    let many = format!("{head}{}\r\n", "a: b\r\n".repeat(ANSWER_HEADERS_MAX + 1));
    assert_eq!(read(&many, false), Err(AnswerReject::HeadTooLarge));
    let interim = "HTTP/1.1 100 x\r\n\r\n".repeat(ANSWER_INTERIM_MAX + 1);
    assert_eq!(read(&interim, false), Err(AnswerReject::Interim));
    let long = "x".repeat(LEN_MAX + 1);
    for fields in [format!("Content-Length: {}\r\n", LEN_MAX + 1), String::new()] {
        let text = format!("{head}{fields}\r\n{long}");
        assert_eq!(read(&text, false), Err(AnswerReject::TooLarge), "{fields}");
    }
}

#[test]
fn what_ends_too_early_is_no_answer() {
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab";
    for len in 0..=text.len() {
        assert_eq!(read(&text[..len], true), Err(AnswerReject::Truncated), "{len}");
    }
}

proptest! {
    #[test]
    fn pieces_make_no_difference(
        lengths in proptest::collection::vec(1..9_usize, 1..40),
        kind in 0..5_usize,
        junk in "\\PC{0,20}",
    ) {
        let text = [
            format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde{junk}"),
            format!(
                "HTTP/1.1 100 x\r\n\r\nHTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\n\
                 2\r\nab\r\n0\r\n\r\n{junk}"
            ),
            format!("HTTP/1.1 200 OK\r\n{junk}\r\n\r\nabc"),
            format!("HTTP/1.1 200 OK\r\n\r\n{junk}"),
            format!("HTTP/1.{junk}"),
        ][kind].clone();
        let mut rest = text.as_bytes();
        let mut pieces = Vec::new();
        for len in lengths.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at(rest.len().min(*len));
            pieces.push(piece);
            rest = after;
        }
        prop_assert_eq!(read_pieces(false, pieces.into_iter(), true), read(&text, true));
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let with = [b"HTTP/1.1 200 OK\r\n".as_slice(), &bytes].concat();
        let _ = read_pieces(false, core::iter::once(&bytes[..]), true);
        let _ = read_pieces(false, core::iter::once(&with[..]), true);
    }
}
