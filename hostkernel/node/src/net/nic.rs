//! What a network card is to the network stack.

/// What a card knows of the checksum in a received frame, of its TCP segment or UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceivedChecksum {
    /// Nothing: whoever wants to know has to look.
    Unknown,
    /// It was looked at, and is right.
    Verified,
    /// The frame never was on a wire: its sender, on the same host, left the checksum at this place
    /// of the frame to a card that would send it, and it is not complete.
    Left {
        /// Where in the frame.
        at: usize,
    },
}

impl ReceivedChecksum {
    /// The same of what begins at this place of the frame.
    #[must_use]
    pub const fn from(self, start: usize) -> Self {
        match self {
            Self::Left { at } if at >= start => Self::Left { at: at - start },
            Self::Left { .. } => Self::Unknown,
            known => known,
        }
    }
}

/// Receives frames.
pub trait Receiver {
    /// The oldest frame that waits, the same one until [`release`](Self::release).
    fn frame(&mut self) -> Option<&[u8]>;

    /// What the card knows of that frame's checksum.
    fn checksum(&self) -> ReceivedChecksum {
        ReceivedChecksum::Unknown
    }

    /// Gives the buffer of that frame back to the card.
    fn release(&mut self);
}

/// Sends frames.
pub trait Sender {
    /// Whether there is a free buffer.
    fn is_ready(&mut self) -> bool;

    /// Lets `fill` write a frame of `len` bytes and queues it. Does nothing when no buffer is free
    /// or the frame is longer than the card takes.
    fn send(&mut self, len: usize, fill: &mut dyn FnMut(&mut [u8]));
}

/// A network card.
pub trait Nic {
    /// Its hardware address.
    fn address(&self) -> [u8; 6];

    /// Largest frame to send, Ethernet header included, without checksum.
    fn frame_len_max(&self) -> usize;

    /// Longest IP packet that its link carries, as far as the card knows; [`MTU_MIN`] at least.
    ///
    /// [`MTU_MIN`]: limits::MTU_MIN
    fn mtu(&self) -> usize {
        self.frame_len_max().saturating_sub(ETHERNET_HEADER_LEN)
    }

    /// Whether it completes the checksums of TCP in frames it sends.
    fn completes_checksums(&self) -> bool {
        false
    }

    /// Both directions, to be used at the same time.
    fn split(&mut self) -> (&mut dyn Receiver, &mut dyn Sender);

    /// Tells the card about everything queued since the last call.
    fn flush(&mut self);

    /// Switches receive interrupts on. Returns false, leaving them off, if a frame waits, be it one
    /// that arrived meanwhile or one that was looked at and not released.
    fn arm(&mut self) -> bool;

    /// Switches receive interrupts off and acknowledges one that arrived.
    fn disarm(&mut self);
}

/// Length of the header of an Ethernet frame.
pub const ETHERNET_HEADER_LEN: usize = 14;
/// Where the header of TCP begins in a frame without IP options, which is how we send.
pub const TCP_START: usize = ETHERNET_HEADER_LEN + 20;
/// Where its checksum is.
pub const TCP_CHECKSUM_OFFSET: usize = 16;

/// Leaves in a TCP segment's checksum what a card needs to complete it: the sum over addresses,
/// protocol and length (RFC 9293, 3.1). Returns whether the frame carries TCP.
pub fn prepare_checksum(frame: &mut [u8]) -> bool {
    const ETHERNET_AND_IP: [(usize, u8); 4] = [(12, 0x08), (13, 0x00), (14, 0x45), (23, 6)];
    let is_tcp = frame.len() >= TCP_START + TCP_CHECKSUM_OFFSET + 4
        && ETHERNET_AND_IP.iter().all(|(at, byte)| frame[*at] == *byte);
    if !is_tcp {
        return false;
    }
    let word = |at: usize| u32::from(u16::from_be_bytes([frame[at], frame[at + 1]]));
    let segment_len = word(16).saturating_sub(20);
    let addresses = word(26) + word(28) + word(30) + word(32);
    let sum = addresses + 6 + segment_len;
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    let checksum = TCP_START + TCP_CHECKSUM_OFFSET;
    frame[checksum..checksum + 2].copy_from_slice(&(folded as u16).to_be_bytes());
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{
        EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpAddress, IpProtocol,
        Ipv4Address, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
    };

    const US: Ipv4Address = Ipv4Address::new(10, 0, 0, 2);
    const CLIENT: Ipv4Address = Ipv4Address::new(255, 254, 253, 252);

    /// A segment without checksum, as smoltcp leaves it to a card.
    fn frame(payload: &[u8]) -> Vec<u8> {
        let tcp = TcpRepr {
            src_port: 3233,
            dst_port: 65_535,
            control: TcpControl::Psh,
            seq_number: TcpSeqNumber(0x7fff_ffff),
            ack_number: Some(TcpSeqNumber(-1)),
            window_len: 65_535,
            window_scale: None,
            max_seg_size: None,
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload,
        };
        let ip = Ipv4Repr {
            src_addr: US,
            dst_addr: CLIENT,
            next_header: IpProtocol::Tcp,
            payload_len: tcp.buffer_len(),
            hop_limit: 64,
        };
        let address = EthernetAddress([2; 6]);
        let ethernet = EthernetRepr {
            src_addr: address,
            dst_addr: address,
            ethertype: EthernetProtocol::Ipv4,
        };
        let mut bytes = vec![0; TCP_START + tcp.buffer_len()];
        let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
        ethernet.emit(&mut frame);
        let mut packet = Ipv4Packet::new_unchecked(frame.payload_mut());
        ip.emit(&mut packet, &ChecksumCapabilities::default());
        let mut segment = TcpPacket::new_unchecked(packet.payload_mut());
        tcp.emit(&mut segment, &US.into(), &CLIENT.into(), &ChecksumCapabilities::ignored());
        bytes
    }

    /// What a card does (virtio 1.2, 5.1.6.2).
    fn complete(frame: &mut [u8]) {
        let pairs = frame[TCP_START..].chunks(2);
        let sum: u32 = pairs
            .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from))
            .sum();
        let folded = (sum & 0xffff) + (sum >> 16);
        let folded = !((folded & 0xffff) + (folded >> 16)) as u16;
        let at = TCP_START + TCP_CHECKSUM_OFFSET;
        frame[at..at + 2].copy_from_slice(&folded.to_be_bytes());
    }

    #[test]
    fn a_card_completes_what_was_prepared() {
        for len in 0..300 {
            let payload: Vec<u8> = (0..len).map(|byte| (byte * 37 % 256) as u8 | 0x80).collect();
            let mut bytes = frame(&payload);
            assert!(prepare_checksum(&mut bytes));
            complete(&mut bytes);
            let packet = Ipv4Packet::new_checked(&bytes[14..]).expect("a whole packet");
            let segment = TcpPacket::new_checked(packet.payload()).expect("a whole segment");
            let (us, client) = (IpAddress::from(US), IpAddress::from(CLIENT));
            assert!(segment.verify_checksum(&us, &client), "{len} bytes");
        }
    }

    #[test]
    fn nothing_else_is_touched() {
        let whole = frame(b"x");
        for (at, byte) in [(12, 0x86), (14, 0x46), (23, 17)] {
            let mut other = whole.clone();
            other[at] = byte;
            let before = other.clone();
            assert!(!prepare_checksum(&mut other));
            assert_eq!(other, before);
        }
        for len in 0..TCP_START + TCP_CHECKSUM_OFFSET {
            assert!(!prepare_checksum(&mut whole.clone()[..len]));
        }
    }
}
