//! How windows are told. All connections announce the same shift, that of the largest window one
//! may get later; smoltcp shifts by what the buffer needs that its socket has now. The rest is made
//! up for here, in the header of each segment (RFC 7323, 2.3).

use smoltcp::wire::{IPV4_HEADER_LEN, IpProtocol};

use limits::RECEIVE_WIDE_LEN_MAX;

/// By how much a window is shifted that a client is told, if it can read that.
pub const WINDOW_SHIFT: u8 = shift_of(RECEIVE_WIDE_LEN_MAX);

// Offsets in a packet without IP options, which is how smoltcp sends.
const PROTOCOL: usize = 9;
const DATA_OFFSET: usize = IPV4_HEADER_LEN + 12;
const FLAGS: usize = IPV4_HEADER_LEN + 13;
const WINDOW: usize = IPV4_HEADER_LEN + 14;
const OPTIONS: usize = IPV4_HEADER_LEN + 20;
const SYN: u8 = 2;
const NO_OPERATION: u8 = 1;
const WINDOW_SCALE: u8 = 3;

/// By how much smoltcp shifts the window of a buffer.
pub const fn shift_of(buffer_len: usize) -> u8 {
    (usize::BITS - buffer_len.leading_zeros()).saturating_sub(u16::BITS) as u8
}

/// Shifts the window in a segment further: the announcement in an answer to a connect, else the
/// window itself. The checksum is computed after.
pub fn shift(packet: &mut [u8], by: u8) {
    if packet.len() < OPTIONS || packet[PROTOCOL] != u8::from(IpProtocol::Tcp) {
        return;
    }
    if packet[FLAGS] & SYN == 0 {
        let window = u16::from_be_bytes([packet[WINDOW], packet[WINDOW + 1]]);
        packet[WINDOW..WINDOW + 2].copy_from_slice(&(window >> by).to_be_bytes());
    } else if let Some(shift) = announcement(packet) {
        packet[shift] += by;
    }
}

/// Where the announced shift stands.
fn announcement(packet: &[u8]) -> Option<usize> {
    let end = (IPV4_HEADER_LEN + usize::from(packet[DATA_OFFSET] >> 4) * 4).min(packet.len());
    let mut at = OPTIONS;
    while at + 2 < end {
        match packet[at] {
            NO_OPERATION => at += 1,
            WINDOW_SCALE => return Some(at + 2),
            0 => return None,
            _ => at += usize::from(packet[at + 1]).max(2),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{
        Ipv4Address, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
    };

    const NODE: Ipv4Address = Ipv4Address::new(10, 0, 0, 2);
    const CLIENT: Ipv4Address = Ipv4Address::new(10, 0, 0, 9);

    fn segment(control: TcpControl, window_len: u16, payload: &[u8]) -> Vec<u8> {
        let is_connect = control == TcpControl::Syn;
        let segment = TcpRepr {
            src_port: 3233,
            dst_port: 50_000,
            control,
            seq_number: TcpSeqNumber(7),
            ack_number: Some(TcpSeqNumber(9)),
            window_len,
            window_scale: is_connect.then_some(0),
            max_seg_size: is_connect.then_some(1460),
            sack_permitted: is_connect,
            sack_ranges: [None; 3],
            timestamp: None,
            payload,
        };
        let header = Ipv4Repr {
            src_addr: NODE,
            dst_addr: CLIENT,
            next_header: IpProtocol::Tcp,
            payload_len: segment.buffer_len(),
            hop_limit: 64,
        };
        let sums = ChecksumCapabilities::default();
        let mut bytes = vec![0; IPV4_HEADER_LEN + segment.buffer_len()];
        let mut packet = Ipv4Packet::new_unchecked(&mut bytes[..]);
        header.emit(&mut packet, &sums);
        let mut tcp = TcpPacket::new_unchecked(packet.payload_mut());
        segment.emit(&mut tcp, &NODE.into(), &CLIENT.into(), &sums);
        bytes
    }

    fn read(packet: &[u8]) -> (u16, Option<u8>) {
        let packet = Ipv4Packet::new_checked(packet).expect("a whole packet");
        let segment = TcpPacket::new_checked(packet.payload()).expect("a whole segment");
        let sums = ChecksumCapabilities::ignored();
        let segment = TcpRepr::parse(&segment, &NODE.into(), &CLIENT.into(), &sums);
        let segment = segment.expect("a whole segment");
        (segment.window_len, segment.window_scale)
    }

    #[test]
    fn a_window_is_shifted() {
        for window in (0..=u16::MAX).step_by(251).chain([1, 7, 8, u16::MAX]) {
            for payload in [&b""[..], b"x", b"some bytes"] {
                let mut packet = segment(TcpControl::Psh, window, payload);
                shift(&mut packet, 3);
                assert_eq!(read(&packet), (window >> 3, None));
            }
        }
    }

    #[test]
    fn an_answer_to_a_connect_announces_the_shift() {
        let mut packet = segment(TcpControl::Syn, 8192, b"");
        shift(&mut packet, WINDOW_SHIFT);
        assert_eq!(read(&packet), (8192, Some(WINDOW_SHIFT)));
    }

    #[test]
    fn whatever_is_no_segment_stays_as_it_is() {
        let whole = segment(TcpControl::Psh, 8192, b"x");
        let mut other = whole.clone();
        other[PROTOCOL] = 17;
        let before = other.clone();
        shift(&mut other, 3);
        assert_eq!(other, before);
        for len in 0..OPTIONS {
            let mut short = whole[..len].to_vec();
            shift(&mut short, 3);
            assert_eq!(short, whole[..len]);
        }
    }

    #[test]
    fn the_shift_is_that_of_smoltcp() {
        let shifts = [8 << 10, 64 << 10, 128 << 10, 256 << 10].map(shift_of);
        assert_eq!(shifts, [0, 1, 2, 3]);
    }
}
