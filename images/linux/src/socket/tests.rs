//! Sockets and answers as values, without a program.

use alloc::vec::Vec;

use linux_files::Stop;
use linux_files::abi::ready;
use proptest::prelude::*;

use super::address::{Address, Given};
use super::answer::{Answer, Unanswered};
use super::request::{self, Request};
use super::stream::{Directions, Reading};
use super::{Family, Kind, Number, Sockets};
use crate::Errno;
use crate::limits::{ANSWER_HEAD_LEN_MAX, CONNECTION_HELD_MAX};

/// What an answer comes to, cut into pieces of this length.
fn answered(
    bytes: &[u8],
    is_bare: bool,
    piece_len: usize,
    closes: bool,
) -> (Option<Result<(), Unanswered>>, Vec<u8>) {
    let mut answer = Answer::new(is_bare);
    let mut result = Vec::new();
    let mut put = |bytes: &[u8]| {
        result.extend_from_slice(bytes);
        true
    };
    for piece in bytes.chunks(piece_len) {
        answer.take(piece, &mut put);
    }
    if closes {
        answer.close();
    }
    (answer.end(), result)
}

const OK: Option<Result<(), Unanswered>> = Some(Ok(()));

#[test]
fn an_answer_is_over_where_its_head_says() {
    for (bytes, result) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: b\r\n\r\nhi", "Status: 200\r\nA: b\r\n\r\nhi"),
        ("HTTP/1.0 404 No\r\nContent-Length: 0\r\n\r\n", "Status: 404\r\n\r\n"),
        ("HTTP/1.1 204 No Content\r\nA: b\r\n\r\n", "Status: 204\r\nA: b\r\n\r\n"),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "Status: 304\r\n\r\n"),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n\
             HTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nxbehind",
            "Status: 201\r\n\r\nx",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3;a=b\r\nabc\r\n00A\r\n0123456789\
             \r\n0\r\nTrailer: t\r\n\r\nmore",
            "Status: 200\r\n\r\nabc0123456789",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "Status: 200\r\n\r\n",
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: close, X-One\r\nX-One: 1\r\nKeep-Alive: 5\r\nX-Two: 2\
             \r\nSet-Cookie: a\r\nSet-Cookie: b\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n",
            "Status: 200\r\nX-Two: 2\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n",
        ),
        ("HTTP/1.1 200 OK\nA: b\nContent-Length: 1\n\nx", "Status: 200\r\nA: b\r\n\r\nx"),
    ] {
        for piece_len in [1, 2, 3, 7, bytes.len()] {
            let (end, written) = answered(bytes.as_bytes(), false, piece_len, false);
            let written = str::from_utf8(&written).expect("it is text");
            assert_eq!((end, written), (OK, result), "{bytes:?} in pieces of {piece_len}");
        }
    }
}

#[test]
fn an_answer_without_a_length_ends_with_the_connection() {
    let bytes = b"HTTP/1.0 200 OK\r\n\r\nall of it";
    assert_eq!(answered(bytes, false, 4, false).0, None);
    assert_eq!(answered(bytes, false, 4, true), (OK, b"Status: 200\r\n\r\nall of it".to_vec()));
}

#[test]
fn an_answer_to_head_has_a_length_and_no_body() {
    let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n";
    let expected = b"Status: 200\r\nContent-Length: 12\r\n\r\n".to_vec();
    assert_eq!(answered(bytes, true, 5, false), (OK, expected));
    let bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(answered(bytes, true, 5, false), (OK, b"Status: 200\r\n\r\n".to_vec()));
}

#[test]
fn what_is_no_answer_is_named() {
    let head = |fields: &str| alloc::format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
    for (bytes, why) in [
        ("nonsense\r\n\r\n".into(), Unanswered::NotHttp),
        ("HTTP/2 200 OK\r\n\r\n".into(), Unanswered::NotHttp),
        ("HTTP/1.1 999 OK\r\n\r\n".into(), Unanswered::NotHttp),
        ("HTTP/1.1 200 OK\r\nno colon\r\n\r\n".into(), Unanswered::NotHttp),
        ("HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n".into(), Unanswered::NotHttp),
        ("HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n".into(), Unanswered::Switches),
        (head("Content-Length: 1\r\nContent-Length: 2\r\n"), Unanswered::Length),
        (head("Content-Length: +1\r\n"), Unanswered::Length),
        (head("Content-Length: \r\n"), Unanswered::Length),
        (head("Content-Length: 99999999999999999999\r\n"), Unanswered::Length),
        (head("Transfer-Encoding: gzip, chunked\r\n"), Unanswered::Coding),
        (head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), Unanswered::Coding),
        (head("Transfer-Encoding: chunked\r\n") + "xyz\r\n", Unanswered::Chunks),
        (head("Transfer-Encoding: chunked\r\n") + "1\r\nabc\r\n", Unanswered::Chunks),
        (head("Transfer-Encoding: chunked\r\n") + &"0".repeat(5000), Unanswered::Chunks),
        (head(&"A: b\r\n".repeat(200)), Unanswered::HeadTooLong),
        ("HTTP/1.1 200 OK\r\nA: ".to_owned() + &"x".repeat(ANSWER_HEAD_LEN_MAX), {
            Unanswered::HeadTooLong
        }),
    ] {
        for piece_len in [1, 1000] {
            let bytes: &str = &bytes;
            assert_eq!(answered(bytes.as_bytes(), false, piece_len, false).0, Some(Err(why)));
        }
    }
    let closed = |bytes: &str| answered(bytes.as_bytes(), false, 9, true).0;
    assert_eq!(closed(""), Some(Err(Unanswered::Nothing)));
    assert_eq!(closed("HTTP/1.1 100 Continue\r\n\r\n"), Some(Err(Unanswered::Nothing)));
    assert_eq!(closed("HTTP/1.1 2"), Some(Err(Unanswered::Truncated)));
    assert_eq!(closed(&(head("Content-Length: 9\r\n") + "12345678")), {
        Some(Err(Unanswered::Truncated))
    });
    assert_eq!(closed(&(head("Transfer-Encoding: chunked\r\n") + "0\r\n")), {
        Some(Err(Unanswered::Truncated))
    });
}

#[test]
fn an_answer_that_has_no_room_is_refused_whole() {
    let mut answer = Answer::new(false);
    let mut room = 20;
    let mut put = |bytes: &[u8]| {
        let fits = bytes.len() <= room;
        room -= if fits { bytes.len() } else { 0 };
        fits
    };
    answer.take(b"HTTP/1.1 200 OK\r\n\r\nabc", &mut put);
    assert_eq!(answer.end(), None);
    answer.take(b"abcdef", &mut put);
    assert_eq!(answer.end(), Some(Err(Unanswered::TooLong)));
}

proptest! {
    /// However an answer is cut, and whatever it is, it comes to the same.
    #[test]
    fn pieces_make_no_difference(
        bytes in "(HTTP/1.[01] [0-9]{3}|Content-Length: [0-9]|Transfer-Encoding: chunked|[0-9a-f]|\
                  A: b|\r\n|\r\n\r\n|\n|\r|.){0,20}",
        piece_len in 1_usize..40,
        is_bare: bool,
        closes: bool,
    ) {
        let whole = answered(bytes.as_bytes(), is_bare, bytes.len().max(1), closes);
        prop_assert_eq!(&answered(bytes.as_bytes(), is_bare, piece_len, closes), &whole);
        if let Some(Ok(())) = whole.0 {
            prop_assert!(whole.1.starts_with(b"Status: "));
        }
    }
}

#[test]
fn a_request_is_read_head_first() {
    let environment = b"HOSTKERNEL_REQUEST=HEAD / HTTP/1.1\r\n\r\n\0A=b\0";
    let (head, rest) = request::part(request::VARIABLE, environment);
    assert_eq!((head, rest), (Some(&b"HEAD / HTTP/1.1\r\n\r\n"[..]), &b"A=b\0"[..]));
    assert_eq!(request::part(request::VARIABLE, b"A=b\0"), (None, &b"A=b\0"[..]));
    for len in [1, 3, 18, 100] {
        let mut request = Request::new(b"HEAD / HTTP/1.1\r\n\r\n", b"body");
        assert!(request.is_head());
        let (mut all, mut bytes) = (Vec::new(), alloc::vec![0; len]);
        while request.left() > 0 {
            let seen = request.read(&mut bytes, true);
            assert_eq!(request.read(&mut bytes, false), seen);
            all.extend_from_slice(&bytes[..seen]);
        }
        assert_eq!(all, b"HEAD / HTTP/1.1\r\n\r\nbody");
    }
}

/// An address as a program gives it.
fn at(text: &str) -> Given {
    Given::Net(text.parse().expect("an address"))
}

fn listening(sockets: &mut Sockets, family: Family, address: &str) -> Number {
    let socket = sockets.open(family, Kind::Stream).expect("there is room");
    sockets.bind(socket, at(address)).expect("it is free");
    sockets.listen(socket, 5).expect("it is bound");
    socket
}

fn local(sockets: &Sockets, socket: Number) -> alloc::string::String {
    match sockets.local(socket) {
        Ok(Address::Net(address)) => alloc::format!("{address}"),
        other => alloc::format!("{other:?}"),
    }
}

/// Where nothing is expected to go.
fn nowhere(_: &[u8]) -> bool {
    false
}

const ALL: Reading = Reading { blocks: false, is_peek: false, at_least: 1 };

#[test]
fn names_collide_as_on_linux() {
    let mut sockets = Sockets::new();
    listening(&mut sockets, Family::Inet, "127.0.0.1:80");
    let mut bound = |family, address: &str| {
        let socket = sockets.open(family, Kind::Stream).expect("there is room");
        sockets.bind(socket, at(address))
    };
    assert_eq!(bound(Family::Inet, "0.0.0.0:80"), Err(Errno::EADDRINUSE));
    assert_eq!(bound(Family::Inet6, "[::]:80"), Err(Errno::EADDRINUSE));
    assert_eq!(bound(Family::Inet6, "[::1]:80"), Ok(()));
    assert_eq!(bound(Family::Inet, "127.0.0.2:80"), Ok(()));
    assert_eq!(bound(Family::Inet, "127.0.0.1:81"), Ok(()));
    assert_eq!(bound(Family::Inet, "10.0.0.1:80"), Err(Errno::EADDRNOTAVAIL));
    assert_eq!(bound(Family::Inet, "[::1]:82"), Err(Errno::EAFNOSUPPORT));
}

#[test]
fn connections_lead_to_who_listens_or_nowhere() {
    let mut sockets = Sockets::new();
    let listener = listening(&mut sockets, Family::Inet6, "[::]:8000");
    let mut dial = |family, address: &str| {
        let socket = sockets.open(family, Kind::Stream).expect("there is room");
        sockets.connect(socket, at(address)).map(|()| socket)
    };
    assert_eq!(dial(Family::Inet, "127.0.0.1:9"), Err(Errno::ECONNREFUSED));
    assert_eq!(dial(Family::Inet, "192.0.2.1:80"), Err(Errno::ENETUNREACH));
    assert_eq!(dial(Family::Inet6, "[2001:db8::1]:80"), Err(Errno::ENETUNREACH));
    let client = dial(Family::Inet, "127.0.0.1:8000").expect("somebody listens");
    let server = sockets.accept(listener, true).expect("somebody has come");
    assert_eq!(local(&sockets, server), "[::ffff:127.0.0.1]:8000");
    assert_eq!(sockets.remote(server), {
        let own = local(&sockets, client).replace("127.0.0.1", "[::ffff:127.0.0.1]");
        Ok(Address::Net(own.parse().expect("an address")))
    });
    assert_eq!(sockets.accept(listener, true), Err(Stop::NeedsInput));
    assert_eq!(sockets.accept(listener, false), Err(Errno::EAGAIN.into()));
    assert_eq!(sockets.readiness(listener), Err(Stop::NeedsInput));
}

#[test]
fn bytes_arrive_in_order_until_an_end_is_closed() {
    let mut sockets = Sockets::new();
    let [one, other] = sockets.pair().expect("there is room");
    let mut bytes = [0; 8];
    assert_eq!(sockets.read(other, &mut bytes, ALL), Err(Errno::EAGAIN.into()));
    assert_eq!(sockets.write(one, b"abc", true, &mut nowhere), Ok(3));
    let all = Reading { blocks: true, at_least: 4, ..ALL };
    assert_eq!(sockets.read(other, &mut bytes, all), Err(Stop::WouldBlock), "not four yet");
    assert_eq!(sockets.read(other, &mut bytes, Reading { is_peek: true, ..ALL }), Ok(3));
    assert_eq!(sockets.readable_len(other), Ok(3));
    assert_eq!(sockets.read(other, &mut bytes[..2], ALL), Ok(2));
    let before = sockets.readiness(other).expect("it is known").events;
    assert_eq!(before & ready::READ_HANG_UP, 0);
    sockets.shutdown(one, Directions { reading: false, writing: true }).expect("it is connected");
    assert_eq!(sockets.write(one, b"x", true, &mut nowhere), Err(Errno::EPIPE.into()));
    assert_eq!(sockets.read(other, &mut bytes, ALL), Ok(1));
    assert_eq!(sockets.read(other, &mut bytes, ALL), Ok(0));
    sockets.close(one);
    assert_ne!(sockets.readiness(other).expect("it is known").events & ready::HANG_UP, 0);
    assert_eq!(sockets.write(other, b"x", true, &mut nowhere), Err(Errno::EPIPE.into()));
}

#[test]
fn a_connection_holds_so_much() {
    let mut sockets = Sockets::new();
    let [one, other] = sockets.pair().expect("there is room");
    let many = alloc::vec![7; CONNECTION_HELD_MAX + 1];
    assert_eq!(sockets.write(one, &many, true, &mut nowhere), Ok(CONNECTION_HELD_MAX));
    assert_eq!(sockets.write(one, &many, true, &mut nowhere), Err(Stop::WouldBlock));
    let full = sockets.readiness(one).expect("it is known");
    assert_eq!(full.events & ready::OUT, 0);
    assert_eq!(sockets.read(other, &mut [0; 10], ALL), Ok(10));
    let room = sockets.readiness(one).expect("it is known");
    assert_ne!(room.events & ready::OUT, 0);
    assert_ne!(room.writable_edges, full.writable_edges);
    sockets.close(other);
    sockets.close(one);
    assert_eq!(sockets.held_len, 0);
}

#[test]
fn the_client_is_accepted_once_where_it_is_expected() {
    let mut sockets = Sockets::new();
    let first = listening(&mut sockets, Family::Inet, "0.0.0.0:9000");
    let expected = listening(&mut sockets, Family::Inet6, "[::]:8080");
    assert!(sockets.exchange.is_server());
    sockets.offer(Request::new(b"", b"GET / HTTP/1.1\r\n\r\n"));
    assert_eq!(sockets.accept(first, true), Err(Stop::WouldBlock));
    assert_eq!(sockets.readiness(first).map(|ready| ready.events), Ok(0));
    assert_ne!(sockets.readiness(expected).expect("it is known").events & ready::IN, 0);
    let client = sockets.accept(expected, true).expect("it waits");
    assert_eq!(local(&sockets, client), "[::ffff:127.0.0.1]:8080");
    assert_eq!(sockets.accept(expected, true), Err(Stop::WouldBlock));

    let mut bytes = [0; 64];
    assert_eq!(sockets.read(client, &mut bytes, ALL), Ok(18));
    assert_eq!(sockets.read(client, &mut bytes, ALL), Err(Errno::EAGAIN.into()));
    let mut result = Vec::new();
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    let mut put = |bytes: &[u8]| {
        result.extend_from_slice(bytes);
        true
    };
    assert_eq!(sockets.write(client, answer, true, &mut put), Ok(answer.len()));
    assert_eq!(sockets.exchange.end(), Some(Ok(())));
    assert!(sockets.exchange.take_news() && !sockets.exchange.take_news());
    assert_eq!(result, b"Status: 200\r\n\r\nhi");
    assert_eq!(sockets.read(client, &mut bytes, ALL), Ok(0), "the client has its answer");
}

#[test]
fn datagrams_reach_nobody() {
    let mut sockets = Sockets::new();
    let socket = sockets.open(Family::Inet, Kind::Datagram).expect("there is room");
    assert_eq!(sockets.connect(socket, at("10.253.155.219:58162")), Err(Errno::ENETUNREACH));
    assert_eq!(sockets.write(socket, b"x", true, &mut nowhere), Err(Errno::EDESTADDRREQ.into()));
    assert_eq!(sockets.connect(socket, at("127.0.0.1:53")), Ok(()));
    assert_eq!(sockets.write(socket, b"x", true, &mut nowhere), Ok(1));
    assert_eq!(sockets.read(socket, &mut [0; 9], ALL), Err(Errno::ECONNREFUSED.into()));
    assert_eq!(sockets.read(socket, &mut [0; 9], ALL), Err(Errno::EAGAIN.into()));
}

#[test]
fn the_kernel_knows_of_the_loopback() {
    let mut sockets = Sockets::new();
    let socket = sockets.open(Family::Netlink, Kind::Datagram).expect("there is room");
    assert_eq!(sockets.bind(socket, Given::Netlink(0)), Ok(()));
    let own = sockets.local(socket).expect("it is bound");
    let mut bytes = [0; 512];
    assert_eq!(sockets.read(socket, &mut bytes, ALL), Err(Errno::EAGAIN.into()));
    for (kind, family, types) in [
        (18_u8, 0, &[16, 3][..]),
        (22, 0, &[20, 20, 3]),
        (22, 2, &[20, 3]),
        (22, 10, &[20, 3]),
        (26, 0, &[3]),
        (99, 0, &[2]),
    ] {
        let question = [20, 0, 0, 0, kind, 0, 1, 3, 7, 0, 0, 0, 0, 0, 0, 0, family, 0, 0, 0];
        assert_eq!(sockets.write(socket, &question, true, &mut nowhere), Ok(20));
        assert_ne!(sockets.readiness(socket).expect("it is known").events & ready::IN, 0);
        let len = sockets.read(socket, &mut bytes, ALL).expect("an answer");
        let mut rest = &bytes[..len];
        let mut found = Vec::new();
        while let Some(len) = rest.first_chunk::<4>() {
            found.push(rest[4]);
            assert_eq!(rest[8..12], [7, 0, 0, 0], "the question's number");
            assert_eq!(Address::Netlink(u32::from(rest[12])), own);
            rest = &rest[u32::from_le_bytes(*len) as usize..];
        }
        assert_eq!(found, types);
    }
}
