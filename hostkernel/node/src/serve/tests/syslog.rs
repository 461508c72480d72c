//! A log server that takes every line, one that is not there, and what the node makes of them.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddrV4};

use log::{Level, Record};
use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr, EthernetFrame, EthernetProtocol};

use super::lab::{Lab, NS_PER_MS, PING, invoke, invoke_with};
use super::peer::{Client, PEER_IP};
use super::wire::Fault;
use crate::journal::syslog::Queue;
use crate::settings::{Server, Settings};
use limits::{
    FRAMES_PER_POLL_MAX, REQUEST_ID_LEN_MAX, SYSLOG_LEN_MAX, SYSLOG_LINES_PER_POLL_MAX,
    SYSLOG_PORT, SYSLOG_RETRY_MS, SYSLOG_RETRY_MS_MAX,
};

/// Nobody has it.
pub const ABSENT: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 99);
const ACCESS: &str = "<134>1 2026-11-23T02:50:41.500000Z 10.0.2.15 hostkernel - access ";

fn lab_with(server: Server, log_level: log::LevelFilter) -> Lab {
    let settings = Settings { log_server: server, log_level, ..Settings::default() };
    let mut lab = Lab::with_settings(settings);
    lab.peer.listen_to_datagrams(SYSLOG_PORT);
    lab
}

fn lab_at(address: Ipv4Addr) -> Lab {
    lab_with(Server::At(SocketAddrV4::new(address, SYSLOG_PORT)), log::LevelFilter::Info)
}

fn queue(lab: &Lab) -> Arc<Queue> {
    lab.service.node().syslog.clone().expect("there is a log server")
}

/// Writes a line into the node's log, and wakes it as the loop of core 0 does.
fn log(lab: &mut Lab, message: &str) {
    let args = format_args!("{message}");
    let record = Record::builder().level(Level::Info).target("hostkernel").args(args).build();
    queue(lab).log(&record);
    if lab.service.has_log() {
        lab.wake();
    }
}

fn line(lab: &mut Lab) -> String {
    let (bytes, _) = lab.until("a line", |lab| lab.peer.take_datagram());
    assert!(bytes.len() <= SYSLOG_LEN_MAX);
    String::from_utf8(bytes).expect("characters are whole")
}

fn access(lab: &mut Lab) -> String {
    let line = line(lab);
    let access = line.strip_prefix(ACCESS).unwrap_or_else(|| panic!("{line}"));
    access.into()
}

fn ask(lab: &mut Lab, client: Client, head: &str) -> u16 {
    lab.send(client, head.as_bytes());
    lab.answer(client).status
}

#[test]
fn every_request_is_a_line() {
    let mut lab = lab_at(PEER_IP);
    let client = lab.connect();
    lab.worker.run_ns = 7 * NS_PER_MS;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let fields =
        format!("X-Request-ID: a]\"\\b\r\ntraceparent: 00-{trace}-00f067aa0ba902b7-01\r\n");
    lab.send(client, &invoke_with(&fields, b"x"));
    lab.is_echoed(client, b"x");
    let line = access(&mut lab);
    let (id, line) = line.split_at("[hostkernel@32473 aid=\"".len() + 32);
    assert!(id.starts_with("[hostkernel@32473 aid=\""), "{id}");
    let expected =
        "\" namespace=\"guest\" action=\"echo\" outcome=\"success\" status=\"200\" dur_us=\"";
    let line = line.strip_prefix(expected).unwrap_or_else(|| panic!("{line}"));
    let (us, line) = line.split_once('"').expect("a number");
    assert!((7_000..7_100).contains(&us.parse::<u32>().expect("a number")), "{us}");
    let expected = format!(" req=\"a\\]\\\"\\\\b\" trace=\"{trace}\"] POST /function/echo");
    assert_eq!(line, expected);
    for (head, status, end) in [
        ("GET /absent?secret HTTP/1.1\r\nHost: n\r\n\r\n", 404, "] GET /absent"),
        ("GET /function/no HTTP/1.1\r\nHost: n\r\n\r\n", 404, "] GET /function/no"),
        (
            "PUT /api/v1/namespaces/_/actions/a HTTP/1.1\r\nHost: n\r\nContent-Length: 9\r\n\
             X-Request-ID: mine\r\n\r\n",
            401,
            "] PUT /api/v1/namespaces/_/actions/a",
        ),
    ] {
        let client = lab.connect();
        assert_eq!(ask(&mut lab, client, head), status);
        let line = access(&mut lab);
        let data = format!("[hostkernel@32473 status=\"{status}\" dur_us=\"");
        assert!(line.starts_with(&data) && line.ends_with(end), "{line}");
        assert!(!line.contains("secret") && line.contains(" trace=\""), "{line}");
        assert_eq!(line.contains(" req=\"mine\" "), head.contains("mine"), "{line}");
    }
    assert_eq!(ask(&mut lab, client, "nonsense\r\n\r\n"), 400);
    let line = access(&mut lab);
    assert!(line.contains(" status=\"400\" ") && line.ends_with("\"] - -"), "{line}");
    lab.settle();
    assert!(lab.peer.take_datagram().is_none() && queue(&lab).lost() == 0);
}

#[test]
fn an_unreasonable_request_id_is_replaced_and_the_line_has_what_the_client_got() {
    let mut lab = lab_at(PEER_IP);
    for len in [REQUEST_ID_LEN_MAX, REQUEST_ID_LEN_MAX + 1, 8 * 1024] {
        let client = lab.connect();
        let id = "i".repeat(len);
        lab.send(client, &invoke_with(&format!("X-Request-ID: {id}\r\n"), b"x"));
        lab.is_echoed(client, b"x");
        let line = access(&mut lab);
        assert_eq!(line.contains(&format!(" req=\"{id}\" ")), len <= REQUEST_ID_LEN_MAX, "{line}");
    }
    lab.settle();
}

#[test]
fn probes_and_lines_below_the_level_are_left_out() {
    let mut lab = lab_at(PEER_IP);
    let client = lab.connect();
    lab.send(client, PING);
    assert_eq!(lab.answer(client).status, 200);
    lab.pass_ms(10);
    assert!(lab.peer.take_datagram().is_none());
    let server = Server::At(SocketAddrV4::new(PEER_IP, SYSLOG_PORT));
    let mut lab = lab_with(server, log::LevelFilter::Warn);
    let client = lab.connect();
    lab.echo(client, b"x");
    lab.service.drain(lab.now_ns);
    lab.pass_ms(limits::DRAIN_QUIET_MS / 2);
    assert_eq!(ask(&mut lab, client, "nonsense\r\n\r\n"), 400);
    assert!(lab.peer.take_datagram().is_none());
}

#[test]
fn a_client_that_does_not_wait_is_a_line() {
    let mut lab = lab_at(PEER_IP);
    let client = lab.connect();
    lab.worker.holds = true;
    lab.send(client, &invoke(b"x"));
    lab.until("the invocation", |lab| (lab.worker.begun == 1).then_some(()));
    lab.peer.reset(client);
    let line = access(&mut lab);
    assert!(line.contains(" action=\"echo\" status=\"499\" "), "{line}");
    lab.settle();
    assert!(lab.peer.take_datagram().is_none(), "the end is nobody's answer");
}

#[test]
fn lines_of_the_log_leave_at_once_and_in_order() {
    let mut lab = lab_at(PEER_IP);
    // More than one turn sends.
    let count = 2 * SYSLOG_LINES_PER_POLL_MAX + 7;
    (0..count).for_each(|number| log(&mut lab, &format!("line {number}")));
    let since_ns = lab.now_ns;
    for number in 0..count {
        assert!(line(&mut lab).ends_with(&format!(" hostkernel - log - line {number}")));
    }
    log(&mut lab, "last");
    assert!(line(&mut lab).ends_with(" last") && lab.since_ms(since_ns) < 20);
    lab.settle();
}

#[test]
fn lines_wait_while_the_card_is_full() {
    let mut lab = lab_at(PEER_IP);
    log(&mut lab, "first");
    assert!(line(&mut lab).ends_with(" first"));
    lab.to_peer.borrow_mut().inject_now(Fault::Full(50));
    (0..9).for_each(|number| log(&mut lab, &format!("line {number}")));
    for number in 0..9 {
        assert!(line(&mut lab).ends_with(&format!(" line {number}")));
    }
    assert_eq!(queue(&lab).lost(), 0);
}

#[test]
fn a_flood_loses_lines_and_says_how_many() {
    let mut lab = lab_at(PEER_IP);
    log(&mut lab, "first");
    assert!(line(&mut lab).ends_with(" first"));
    let message = "x".repeat(500);
    (0..1000).for_each(|_| log(&mut lab, &message));
    let lost = queue(&lab).lost();
    assert!((800..1000).contains(&lost), "{lost}");
    (lost..1000).for_each(|_| assert!(line(&mut lab).ends_with(&message)));
    let last = line(&mut lab);
    assert!(last.starts_with("<132>1 "), "{last}");
    assert!(last.ends_with(&format!(" log - {lost} lines before this one were lost")), "{last}");
    lab.settle();
}

/// When the node asked for the hardware address of the absent server.
pub fn asked_ms(lab: &Lab) -> Vec<u64> {
    let history = lab.to_peer.borrow().history.clone();
    let asks = |frame: &[u8]| {
        let frame = EthernetFrame::new_checked(frame).expect("a frame");
        let packet = (frame.ethertype() == EthernetProtocol::Arp).then(|| frame.payload());
        let message = ArpRepr::parse(&ArpPacket::new_checked(packet?).ok()?).ok()?;
        let ArpRepr::EthernetIpv4 { operation, target_protocol_addr, .. } = message else {
            return None;
        };
        Some(operation == ArpOperation::Request && target_protocol_addr == ABSENT)
    };
    let asked = history.iter().filter(|(_, frame)| asks(frame) == Some(true));
    asked.map(|(at_ns, _)| at_ns / NS_PER_MS).collect()
}

#[test]
fn a_server_that_is_not_there_is_sought_ever_less_often_and_harms_nobody() {
    let mut lab = lab_at(ABSENT);
    let client = lab.connect();
    lab.echo(client, b"before");
    let mut waits_ms = Vec::new();
    let mut last_ms = asked_ms(&lab).last().copied().expect("it was sought at once");
    let polls = lab.polls;
    while waits_ms.len() < 9 {
        let now_ms = lab.until_longer("a search", |lab| {
            asked_ms(lab).last().copied().filter(|at_ms| *at_ms > last_ms)
        });
        waits_ms.push(now_ms - last_ms);
        last_ms = now_ms;
    }
    let mut expected_ms = SYSLOG_RETRY_MS;
    for wait_ms in waits_ms {
        assert!(wait_ms.abs_diff(expected_ms) <= 10, "{wait_ms} {expected_ms}");
        expected_ms = (2 * expected_ms).min(SYSLOG_RETRY_MS_MAX);
    }
    assert!(lab.polls - polls < 100, "{} polls", lab.polls - polls);
    let client = lab.connect();
    for _ in 0..2000 {
        lab.echo(client, b"x");
    }
    assert!(queue(&lab).lost() > 1000, "{}", queue(&lab).lost());
    assert!(!lab.service.has_log(), "nothing can be done at once");
}

#[test]
fn without_a_server_by_dhcp_lines_are_forgotten() {
    let mut lab = lab_with(Server::Dhcp, log::LevelFilter::Info);
    let client = lab.connect();
    for _ in 0..FRAMES_PER_POLL_MAX {
        lab.echo(client, b"x");
    }
    assert!(queue(&lab).is_empty() && queue(&lab).lost() == 0);
    lab.settle();
}
