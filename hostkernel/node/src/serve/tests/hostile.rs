//! Frames that nobody should send: whatever arrives, the node serves the next client.

extern crate std;

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;
use smoltcp::wire::{EthernetFrame, IpAddress, IpProtocol, Ipv4Packet, TcpPacket};

use super::lab::{Lab, PING, pattern};
use super::peer::{NODE_IP, PEER_IP, PEER_MAC, PORT};
use super::wire::{FRAME_LEN_MAX, Fault, NODE_MAC};

/// A change to one frame of a conversation.
#[derive(Clone, Debug)]
enum Change {
    Set { at: usize, value: u8 },
    Truncate { len: usize },
    Extend { by: usize },
    Repeat,
    Drop,
}

fn change() -> impl Strategy<Value = Change> {
    // Most of what is interpreted is in the headers.
    let at = prop_oneof![3 => 0..74_usize, 1 => 0..FRAME_LEN_MAX];
    prop_oneof![
        6 => (at, any::<u8>()).prop_map(|(at, value)| Change::Set { at, value }),
        1 => (0..FRAME_LEN_MAX).prop_map(|len| Change::Truncate { len }),
        1 => (1..100_usize).prop_map(|by| Change::Extend { by }),
        1 => Just(Change::Repeat),
        1 => Just(Change::Drop),
    ]
}

/// What the node receives in a conversation. Every lab has the same: the node's numbers are the
/// same in each, so these frames are a conversation with a node that never saw it, too.
fn conversation() -> Vec<Vec<u8>> {
    let mut lab = Lab::new();
    lab.to_node.borrow_mut().capture = Some(Vec::new());
    let client = lab.connect();
    lab.echo(client, &pattern(3000));
    lab.send(client, PING);
    lab.answer(client);
    lab.peer.close(client);
    lab.pass_ms(100);
    lab.to_node.borrow_mut().capture.take().expect("it was set")
}

/// Makes the checksums right again, so that more than they refuses the frame.
fn set_checksums(frame: &mut [u8]) {
    let Ok(mut frame) = EthernetFrame::new_checked(frame) else { return };
    let Ok(mut packet) = Ipv4Packet::new_checked(frame.payload_mut()) else { return };
    packet.fill_checksum();
    let (source, target) = (packet.src_addr(), packet.dst_addr());
    if packet.next_header() == IpProtocol::Tcp
        && let Ok(mut segment) = TcpPacket::new_checked(packet.payload_mut())
    {
        segment.fill_checksum(&IpAddress::Ipv4(source), &IpAddress::Ipv4(target));
    }
}

/// Which headers are good before the bytes become arbitrary.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Layer {
    Arp,
    Ip,
    /// Whatever this protocol is.
    Above(u8),
    /// A segment to the node's port with these flags.
    Segment(u8),
}

fn layer() -> impl Strategy<Value = Layer> {
    prop_oneof![
        Just(Layer::Arp),
        Just(Layer::Ip),
        prop_oneof![Just(1), Just(6), Just(17), any::<u8>()].prop_map(Layer::Above),
        any::<u8>().prop_map(Layer::Segment),
    ]
}

/// A frame with good headers up to a layer.
fn beneath(layer: Layer, mut rest: Vec<u8>) -> Vec<u8> {
    let kind = if layer == Layer::Arp { [0x08, 0x06] } else { [0x08, 0x00] };
    let mut frame = [&NODE_MAC[..], &PEER_MAC, &kind].concat();
    if let Layer::Segment(flags) = layer {
        rest.resize(rest.len().max(20), 0);
        rest[2..4].copy_from_slice(&PORT.to_be_bytes());
        rest[13] = flags;
    }
    if let Layer::Above(protocol) | Layer::Segment(protocol) = layer {
        let protocol = if matches!(layer, Layer::Segment(_)) { 6 } else { protocol };
        let len = (20 + rest.len() as u16).to_be_bytes();
        frame.extend([0x45, 0, len[0], len[1], 0, 0, 0x40, 0, 64, protocol, 0, 0]);
        frame.extend([PEER_IP.octets(), NODE_IP.octets()].concat());
    }
    frame.extend(rest);
    set_checksums(&mut frame);
    frame
}

/// Plays changed frames to a node, then looks whether it serves.
fn survives(frames: impl IntoIterator<Item = Vec<u8>>) {
    let mut lab = Lab::new();
    // The clients know nothing of these frames, and would end the connections they began.
    lab.to_peer.borrow_mut().inject(0, Fault::Cut);
    for frame in frames {
        lab.to_node.borrow_mut().send(frame);
        // Longer than both ways, so that each frame meets the state the one before it made.
        lab.pass_ms(1);
    }
    lab.to_peer.borrow_mut().mend();
    let client = lab.peer.connect_from(50_000);
    lab.echo(client, b"still there");
    lab.settle();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_bytes_are_a_frame_like_any_other(
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2000), 0..20)
    ) {
        survives(frames);
    }

    #[test]
    fn any_bytes_behind_good_addresses_do_no_harm(
        frames in prop::collection::vec(
            (layer(), prop::collection::vec(any::<u8>(), 0..FRAME_LEN_MAX - 40)), 1..20
        )
    ) {
        survives(frames.into_iter().map(|(layer, rest)| beneath(layer, rest)));
    }

    #[test]
    fn a_conversation_with_changed_frames_does_no_harm(
        changes in prop::collection::vec((any::<prop::sample::Index>(), change()), 1..12),
        checksums in any::<bool>(),
    ) {
        let mut frames: Vec<_> = conversation().into_iter().map(|frame| (frame, 1)).collect();
        for (index, change) in changes {
            let (frame, copies) = index.get_mut(&mut frames);
            match change {
                Change::Set { at, value } if at < frame.len() => frame[at] = value,
                Change::Set { .. } => {}
                Change::Truncate { len } => frame.truncate(len),
                Change::Extend { by } => frame.extend(pattern(by)),
                Change::Repeat => *copies += 1,
                Change::Drop => *copies = 0,
            }
            if checksums {
                set_checksums(frame);
            }
        }
        survives(frames.into_iter().flat_map(|(frame, copies)| vec![frame; copies]));
    }
}
