//! TCP's checksum (RFC 1071, RFC 9293 section 3.1), where no card computes it.
//!
//! smoltcp sums up two bytes at a time, which for one request and its answer is more work than all
//! else it does. Here it is eight: the sum of longer words, with each carry added again, is the
//! same modulo what a checksum counts in, whatever the order of bytes.

use smoltcp::wire::IPV4_HEADER_LEN;

use super::nic::TCP_CHECKSUM_OFFSET;

const TCP: u8 = 6;
/// A header without options, which is how smoltcp sends.
const PLAIN_HEADER: u8 = 0x45;
const PROTOCOL: usize = 9;
const ADDRESSES: core::ops::Range<usize> = 12..20;
const CHECKSUM: usize = IPV4_HEADER_LEN + TCP_CHECKSUM_OFFSET;

/// Adds the words of `bytes` to a sum, the last one filled up with zeros.
fn add(sum: u64, bytes: &[u8]) -> u64 {
    let add_word = |sum: u64, word: u64| {
        let (sum, is_carried) = sum.overflowing_add(word);
        sum.wrapping_add(u64::from(is_carried))
    };
    let (words, rest) = bytes.as_chunks::<8>();
    let sum = words.iter().fold(sum, |sum, word| add_word(sum, u64::from_ne_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    add_word(sum, u64::from_ne_bytes(last))
}

/// The sum in 16 bits, as its bytes stand in a packet.
fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

/// The sum of a segment between `addresses`, both as they stand in a header.
fn sum_of(addresses: &[u8], segment: &[u8]) -> u16 {
    let len = segment.len() as u16;
    let pseudo = u64::from(u16::from(TCP).to_be()) + u64::from(len.to_be());
    fold(add(add(pseudo, addresses), segment))
}

/// Whether a segment's checksum is right. `packet` is what it came in.
pub fn is_segment_right(packet: &[u8], segment: &[u8]) -> bool {
    packet.get(ADDRESSES).is_some_and(|addresses| sum_of(addresses, segment) == u16::MAX)
}

/// Fills in the checksum of a packet with a segment, which is 0 there. Whatever else it is stays as
/// it is.
pub fn complete(packet: &mut [u8]) {
    let is_segment =
        packet.len() >= CHECKSUM + 2 && packet[0] == PLAIN_HEADER && packet[PROTOCOL] == TCP;
    if is_segment {
        let sum = !sum_of(&packet[ADDRESSES], &packet[IPV4_HEADER_LEN..]);
        packet[CHECKSUM..CHECKSUM + 2].copy_from_slice(&sum.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use proptest::prelude::*;
    use smoltcp::wire::{IpProtocol, Ipv4Address, Ipv4Packet, TcpPacket};

    /// A packet with a segment that has such a header and `payload`, and no checksum.
    fn packet(addresses: [u32; 2], header: [u8; 16], payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; IPV4_HEADER_LEN];
        bytes.extend(header);
        bytes.extend([0; 4]);
        bytes.extend(payload);
        let len = bytes.len() as u16;
        let mut packet = Ipv4Packet::new_unchecked(&mut bytes[..]);
        packet.set_version(4);
        packet.set_header_len(IPV4_HEADER_LEN as u8);
        packet.set_total_len(len);
        packet.set_next_header(IpProtocol::Tcp);
        packet.set_src_addr(Ipv4Address::from_bits(addresses[0]));
        packet.set_dst_addr(Ipv4Address::from_bits(addresses[1]));
        TcpPacket::new_unchecked(packet.payload_mut()).set_header_len(20);
        bytes
    }

    fn is_right(bytes: &[u8]) -> bool {
        let packet = Ipv4Packet::new_checked(bytes).expect("a whole packet");
        let (from, to) = (packet.src_addr().into(), packet.dst_addr().into());
        let segment = TcpPacket::new_checked(packet.payload()).expect("a whole segment");
        let theirs = segment.verify_checksum(&from, &to);
        assert_eq!(is_segment_right(bytes, packet.payload()), theirs, "as smoltcp says");
        theirs
    }

    proptest! {
        #[test]
        fn it_is_what_smoltcp_computes_and_a_flipped_bit_is_found(
            addresses in any::<[u32; 2]>(),
            header in any::<[u8; 16]>(),
            payload in prop::collection::vec(any::<u8>(), 0..1500),
            flipped in any::<prop::sample::Index>(),
        ) {
            let mut bytes = packet(addresses, header, &payload);
            complete(&mut bytes);
            prop_assert!(is_right(&bytes));
            let bit = flipped.index((bytes.len() - IPV4_HEADER_LEN) * 8);
            let at = IPV4_HEADER_LEN + bit / 8;
            // Where the segment says how long its header is, another length may be none.
            if at != IPV4_HEADER_LEN + 12 {
                bytes[at] ^= 1 << (bit % 8);
                prop_assert!(!is_right(&bytes));
            }
        }
    }

    #[test]
    fn carries_are_not_lost() {
        for len in 0..40 {
            for byte in [0, 1, 0xfe, 0xff] {
                let mut bytes = packet([u32::MAX; 2], [byte; 16], &vec![byte; len]);
                complete(&mut bytes);
                assert!(is_right(&bytes), "{len} bytes of {byte:#x}");
            }
        }
    }

    #[test]
    fn whatever_is_no_segment_stays_as_it_is() {
        let whole = packet([1, 2], [3; 16], b"x");
        for (at, byte) in [(0, 0x46), (0, 0x65), (PROTOCOL, 17)] {
            let mut other = whole.clone();
            other[at] = byte;
            let before = other.clone();
            complete(&mut other);
            assert_eq!(other, before);
        }
        for len in 0..CHECKSUM + 2 {
            let mut short = whole[..len].to_vec();
            complete(&mut short);
            assert_eq!(short, whole[..len]);
            assert!(len >= ADDRESSES.end || !is_segment_right(&short, &[]));
        }
    }
}
