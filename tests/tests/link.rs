//! What a virtio card says about its link and about the frames it hands over, and what the node
//! makes of it.

use std::fs;
use std::path::Path;

use system_tests::{boot, machine};

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
