//! What a virtio card says about its link and about the frames it hands over, and what the node
//! makes of it.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use system_tests::{BOOT_TIMEOUT, Network, Tap, TapError, boot, machine};

/// Lengths of the frames in a file of QEMU's that the node sent.
fn sent_lens(capture: &Path) -> Vec<usize> {
    const FILE_HEADER_LEN: usize = 24;
    const RECORD_HEADER_LEN: usize = 16;
    /// The first card's address in QEMU.
    const NODE: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];
    let file = fs::read(capture).expect("QEMU wrote it");
    let mut rest = &file[FILE_HEADER_LEN..];
    let mut lens = Vec::new();
    while let Some((header, behind)) = rest.split_at_checked(RECORD_HEADER_LEN) {
        let len = u32::from_le_bytes([header[8], header[9], header[10], header[11]]) as usize;
        // QEMU may be writing the last one.
        let Some((frame, behind)) = behind.split_at_checked(len) else { break };
        if frame.get(6..12) == Some(&NODE) {
            lens.push(len);
        }
        rest = behind;
    }
    lens
}

/// Fetches a large answer, and returns the length of the longest frame of it.
fn longest_frame(properties: &str) -> usize {
    let capture = Path::new(env!("CARGO_TARGET_TMPDIR")).join("link.pcap");
    let node = boot(machine().nic(format!("virtio-net-pci{properties}")).capture(&capture));
    let answer = node.get("/metrics");
    assert!(answer.status == 200 && answer.body.len() > 4000, "{}", answer.text());
    // The file is complete when QEMU has ended.
    node.power_off();
    sent_lens(&capture).into_iter().max().expect("the node sent something")
}

#[test]
fn frames_are_as_long_as_the_card_says_that_its_link_carries() {
    for (properties, longest) in [
        ("", 1514),
        (",host_mtu=1280", 1294),
        // The node has no use for longer ones.
        (",host_mtu=9000", 1514),
    ] {
        assert_eq!(longest_frame(properties), longest, "{properties}");
    }
}

/// Seconds from 1900, where time servers begin, to 1970.
const UNTIL_1970_S: u64 = 2_208_988_800;

/// Answers one question for the time (RFC 5905, 7.3).
fn serve_time(socket: &UdpSocket) {
    let mut packet = [0; 48];
    socket.set_read_timeout(Some(BOOT_TIMEOUT)).expect("a bound");
    let (len, node) = socket.recv_from(&mut packet).expect("the node asks");
    assert_eq!(len, packet.len());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let mut answer = [0; 48];
    // Version 4, a server, of the second stratum; the node's own time stamp comes back.
    answer[..2].copy_from_slice(&[0x24, 2]);
    answer[24..32].copy_from_slice(&packet[40..]);
    for at in [32, 40] {
        let seconds = (now.as_secs() + UNTIL_1970_S) as u32;
        answer[at..at + 4].copy_from_slice(&seconds.to_be_bytes());
    }
    socket.send_to(&answer, node).expect("the node is there");
}

#[test]
fn datagrams_of_the_same_host_arrive_whose_checksum_it_left_open() {
    let tap = match Tap::new() {
        Err(error @ TapError::NeedsRoot) => return eprintln!("skipped: {error}"),
        result => result.expect("a tap device"),
    };
    let _inside = tap.namespace().enter().expect("who made the namespace may enter");
    let socket = UdpSocket::bind((Tap::HOST, 0)).expect("a port");
    let port = socket.local_addr().expect("an address").port();
    let server = thread::spawn(move || serve_time(&socket));
    let words = format!("hostkernel.ntp={}:{port}", Tap::HOST);
    let node = boot(machine().network(Network::Tap(tap)).kernel_words(words));
    let log = node.serial_log();
    assert!(log.wait_for("wall clock: off by ", BOOT_TIMEOUT), "{}", node.report());
    server.join().expect("the node asked");
}
