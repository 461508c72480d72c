//! Chunked bodies against a second reader that sees the whole stream at once.

extern crate std;

use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use memory::install_for_test;

/// Feeds `pieces`; returns the body, and how many bytes were not part of it, once it is complete.
fn read<'a>(
    framing: Framing,
    len_max: usize,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> Result<Option<(Vec<u8>, usize)>, MessageReject> {
    install_for_test();
    let mut reader = BodyReader::new(framing, len_max)?;
    let mut left = 0;
    for piece in pieces {
        left += piece.len() - reader.receive(piece)?;
    }
    let complete = reader.is_complete();
    Ok(complete.then(|| (reader.into_body().to_vec().expect("the heap is large"), left)))
}

fn chunked(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, MessageReject> {
    read(Framing::Chunked, 100, core::iter::once(bytes))
}

/// The grammar, top down: what [`BodyReader`] must make of a complete stream. `Err(true)` if the
/// stream ends too early, `Err(false)` if it is refused.
fn reference(stream: &[u8], len_max: usize) -> Result<(Vec<u8>, usize), bool> {
    fn line<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], bool> {
        let end = rest.iter().position(|byte| byte.is_ascii_control() && *byte != b'\t');
        let end = end.ok_or(true)?;
        let tail = &rest[end..];
        if tail.len() == 1 && tail[0] == b'\r' {
            return Err(true);
        }
        if !tail.starts_with(b"\r\n") {
            return Err(false);
        }
        let line = &rest[..end];
        *rest = &tail[2..];
        Ok(line)
    }
    let mut rest = stream;
    let mut body = Vec::new();
    loop {
        let size = line(&mut rest)?;
        let digits = size.split(|byte| *byte == b';').next().ok_or(false)?;
        let hexadecimal = digits.iter().all(u8::is_ascii_hexdigit);
        if !hexadecimal || !(1..=CHUNK_SIZE_DIGITS_MAX).contains(&digits.len()) {
            return Err(false);
        }
        let text = core::str::from_utf8(digits).map_err(|_| false)?;
        let len = usize::from_str_radix(text, 16).map_err(|_| false)?;
        if len > len_max - body.len() {
            return Err(false);
        }
        if len == 0 {
            break;
        }
        body.extend(rest.get(..len).ok_or(true)?);
        rest = &rest[len..];
        if !line(&mut rest)?.is_empty() {
            return Err(false);
        }
    }
    loop {
        let trailer = line(&mut rest)?;
        if trailer.is_empty() {
            return Ok((body, rest.len()));
        }
        let name_len = trailer.iter().position(|byte| !is_token(*byte)).ok_or(false)?;
        if name_len == 0 || trailer[name_len] != b':' {
            return Err(false);
        }
    }
}

#[test]
fn a_length_is_kept_to_the_byte() {
    let whole = |len, bytes| read(Framing::Length(len), 10, core::iter::once(bytes));
    assert_eq!(whole(0, b"GET"), Ok(Some((vec![], 3))));
    assert_eq!(whole(3, b"abcGET"), Ok(Some((b"abc".to_vec(), 3))));
    assert_eq!(whole(4, b"abc"), Ok(None));
    assert_eq!(whole(10, b"0123456789"), Ok(Some((b"0123456789".to_vec(), 0))));
    assert_eq!(whole(11, b""), Err(MessageReject::BodyTooLarge));
    assert_eq!(whole(usize::MAX, b""), Err(MessageReject::BodyTooLarge));
}

#[test]
fn chunks() {
    for (stream, expected, left) in [
        ("0\r\n\r\n", "", 0),
        ("3\r\nabc\r\n0\r\n\r\nGET", "abc", 3),
        ("3\r\nabc\r\n00a\r\n0123456789\r\n000\r\n\r\n", "abc0123456789", 0),
        ("A;name=\"v;\t\u{e4}\"\r\n0123456789\r\n0;\r\n\r\n", "0123456789", 0),
        ("1\r\n\r\r\n2\r\n\r\n\r\n0\r\n\r\n", "\r\r\n", 0),
        ("0\r\nX-Sum: 1\r\ny:\r\n\r\n", "", 0),
    ] {
        let body = expected.as_bytes().to_vec();
        assert_eq!(chunked(stream.as_bytes()), Ok(Some((body, left))), "{stream:?}");
    }
    for stream in [
        "\r\n",
        "x\r\n",
        "0x3\r\n",
        "-1\r\n",
        "+1\r\n",
        " 1\r\n",
        "1 \r\n",
        "1 ;a\r\n",
        "1\n",
        "1\rx",
        ";\r\n",
        "1;a\n",
        "1;\0",
        "1;a\rb",
        "1\r\nab",
        "1\r\na\n",
        "1\r\na\rb",
        "1\r\na0",
        "0\r\n\n",
        "0\r\n\rx",
        "0\r\n:v\r\n",
        "0\r\n a: b\r\n",
        "0\r\nname\r\n",
        "0\r\nna me: b\r\n",
        "0\r\nGET / HTTP/1.1\r\n",
        "0\r\na: b\n",
        "0\r\na: \0",
        "0\r\na: b\rc",
        "00000000000000001",
    ] {
        let status = chunked(stream.as_bytes()).map_err(MessageReject::status);
        assert_eq!(status, Err(400), "{stream:?}");
    }
}

#[test]
fn bounds() {
    let data = "x".repeat(100);
    assert!(matches!(chunked(format!("64\r\n{data}\r\n0\r\n\r\n").as_bytes()), Ok(Some(_))));
    for stream in ["65", "10000000000000000", "ffffffffffffffff", "FFFFFFFFFFFFFFFFF"] {
        assert_eq!(chunked(stream.as_bytes()), Err(MessageReject::BodyTooLarge), "{stream}");
    }
    let stream = format!("60\r\n{}\r\n5", "x".repeat(0x60));
    assert_eq!(chunked(stream.as_bytes()), Err(MessageReject::BodyTooLarge), "the sum counts");

    let extension = |len: usize| format!("1;{}\r\nx\r\n0\r\n", "e".repeat(len));
    let trailer = |len: usize| format!("t:{}\r\n\r\n", "v".repeat(len - 2));
    let half = CHUNK_OVERHEAD_LEN_MAX / 2;
    let read = |stream: String| chunked(stream.as_bytes());
    assert_eq!(read(extension(half) + &trailer(half)), Ok(Some((b"x".to_vec(), 0))));
    assert_eq!(read(extension(half) + &trailer(half + 1)), Err(MessageReject::HeadTooLarge));
    assert_eq!(read(extension(2 * half + 1)), Err(MessageReject::HeadTooLarge));
}

#[test]
fn bodies_longer_than_a_page() {
    let data: Vec<u8> = (0..10_000_u32).map(|n| n as u8).collect();
    let mut stream = Vec::new();
    for chunk in data.chunks(4097) {
        stream.extend(format!("{:X}\r\n", chunk.len()).bytes());
        stream.extend(chunk);
        stream.extend(b"\r\n");
    }
    stream.extend(b"0\r\n\r\n");
    for segment_len in [1, 1459, stream.len()] {
        let expected = Ok(Some((data.clone(), 0)));
        assert_eq!(read(Framing::Chunked, 10_000, stream.chunks(segment_len)), expected);
        let length = Framing::Length(data.len());
        assert_eq!(read(length, 10_000, data.chunks(segment_len)), expected);
    }
}

/// Streams that are mostly right.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        4 => Just(&b"3\r\nabc\r\n"[..]),
        2 => Just(&b"0\r\n"[..]),
        2 => Just(&b"\r\n"[..]),
        1 => Just(&b"name: value\r\n"[..]),
        2 => prop::sample::select(vec![
            &b"00"[..], b"1", b"2\r\n", b"f", b"F;e=\"x\"\r\n", b";", b"\r", b"\n", b":", b" ",
            b"\0", b"\xff", b"a", b"x", b"00000000000000000", b"0\r\n\r\n",
        ]),
    ];
    prop::collection::vec(word, 0..10).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn what_is_accepted_is_what_the_grammar_says(
        stream in stream(),
        len_max in 0_usize..40,
        segment_len in 1_usize..20,
    ) {
        let whole = read(Framing::Chunked, len_max, core::iter::once(&stream[..]));
        prop_assert_eq!(&read(Framing::Chunked, len_max, stream.chunks(segment_len)), &whole);
        match reference(&stream, len_max) {
            Ok(expected) => prop_assert_eq!(whole, Ok(Some(expected))),
            Err(false) => prop_assert!(whole.is_err(), "{:?}", whole),
            // What comes too early to be complete may be refused already.
            Err(true) => prop_assert!(!matches!(whole, Ok(Some(_))), "{:?}", whole),
        }
    }

    #[test]
    fn what_is_encoded_is_read_back(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..6),
        decoration in prop::sample::select(vec!["", ";x", ";a=\"b\";c"]),
        zeros in 0_usize..8,
        trailer in prop::sample::select(vec!["", "A: b\r\n", "A:\r\nB: c\r\n"]),
        segment_len in 1_usize..50,
    ) {
        let mut stream = Vec::new();
        for chunk in &chunks {
            let size = format!("{}{:x}{decoration}\r\n", "0".repeat(zeros), chunk.len());
            stream.extend(size.into_bytes());
            stream.extend(chunk);
            stream.extend(b"\r\n");
        }
        stream.extend(format!("0{decoration}\r\n{trailer}\r\nrest").into_bytes());
        let result = read(Framing::Chunked, 300, stream.chunks(segment_len));
        prop_assert_eq!(result, Ok(Some((chunks.concat(), 4))));
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let whole = chunked(&bytes);
        prop_assert_eq!(read(Framing::Chunked, 100, bytes.chunks(1)), whole);
    }
}
