//! A network card as smoltcp wants to see it, with two filters in front.

use alloc::boxed::Box;
use alloc::vec;

use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, TcpPacket};

use super::neighbours::Neighbours;
use crate::device::nic::{Nic, Receiver, Sender};

/// The card.
pub struct Adapter {
    nic: Box<dyn Nic>,
    port: u16,
    neighbours: Neighbours,
    /// Drop attempts to connect. smoltcp would answer them with a reset, and the client would give
    /// up; this way it tries again, and finds a connection free by then.
    pub refuse_connects: bool,
}

impl Adapter {
    pub fn new(nic: Box<dyn Nic>, port: u16) -> Self {
        Self { nic, port, neighbours: Neighbours::new(), refuse_connects: false }
    }

    pub fn flush(&mut self) {
        self.nic.flush();
    }

    pub fn arm(&mut self) -> bool {
        self.nic.arm()
    }

    pub fn disarm(&mut self) {
        self.nic.disarm();
    }
}

/// Whether a frame asks for a new TCP connection to `port`.
fn is_connect(frame: &[u8], port: u16) -> bool {
    let parse = || {
        let frame = EthernetFrame::new_checked(frame).ok()?;
        if frame.ethertype() != EthernetProtocol::Ipv4 {
            return None;
        }
        let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
        if packet.next_header() != IpProtocol::Tcp || packet.frag_offset() != 0 {
            return None;
        }
        let segment = TcpPacket::new_checked(packet.payload()).ok()?;
        Some(segment.syn() && !segment.ack() && segment.dst_port() == port)
    };
    parse().unwrap_or(false)
}

impl Device for Adapter {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, now: Instant) -> Option<(Received<'_>, Sending<'_>)> {
        let (receiver, sender) = self.nic.split();
        while let Some(frame) = receiver.frame() {
            let refused = self.refuse_connects && is_connect(frame, self.port);
            if !refused && self.neighbours.admits(frame, now) {
                return Some((Received(receiver), Sending(sender)));
            }
            receiver.release();
        }
        None
    }

    fn transmit(&mut self, _: Instant) -> Option<Sending<'_>> {
        let (_, sender) = self.nic.split();
        sender.is_ready().then_some(Sending(sender))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.nic.frame_len_max();
        capabilities
    }
}

/// The frame that waits.
pub struct Received<'a>(&'a mut dyn Receiver);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        let result = f(self.0.frame().unwrap_or_default());
        self.0.release();
        result
    }
}

/// The right to send one frame.
pub struct Sending<'a>(&'a mut dyn Sender);

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut f = Some(f);
        let mut result = None;
        self.0.send(len, &mut |buffer| {
            result = f.take().map(|f| f(buffer));
        });
        match (result, f) {
            (Some(result), _) => result,
            // No buffer is free, or none is long enough: the frame is composed and lost, as on any
            // full queue.
            (None, Some(f)) => f(&mut vec![0; len]),
            (None, None) => unreachable!("what was taken gave a result"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(flags: u8, port: u16) -> [u8; 54] {
        let mut frame = [0; 54];
        frame[12..14].copy_from_slice(&[0x08, 0x00]);
        frame[14] = 0x45;
        frame[16..18].copy_from_slice(&40_u16.to_be_bytes());
        frame[23] = 6;
        frame[36..38].copy_from_slice(&port.to_be_bytes());
        frame[46] = 5 << 4;
        frame[47] = flags;
        frame
    }

    /// A card that sends no frame longer than this.
    struct Short(usize, usize);

    impl Sender for Short {
        fn is_ready(&mut self) -> bool {
            true
        }

        fn send(&mut self, len: usize, fill: &mut dyn FnMut(&mut [u8])) {
            if len <= self.0 {
                fill(&mut vec![0; len]);
                self.1 += 1;
            }
        }
    }

    #[test]
    fn a_frame_longer_than_the_card_takes_is_lost_and_nothing_else() {
        let mut card = Short(60, 0);
        assert_eq!(Sending(&mut card).consume(60, |frame| frame.len()), 60);
        assert_eq!(Sending(&mut card).consume(2000, |frame| frame.len()), 2000);
        assert_eq!(card.1, 1, "frames sent");
    }

    #[test]
    fn only_a_connect_to_the_port_is_one() {
        const SYN: u8 = 2;
        const ACK: u8 = 16;
        assert!(is_connect(&frame(SYN, 3233), 3233));
        assert!(!is_connect(&frame(SYN | ACK, 3233), 3233));
        assert!(!is_connect(&frame(ACK, 3233), 3233));
        assert!(!is_connect(&frame(SYN, 80), 3233));
        for len in 0..54 {
            assert!(!is_connect(&frame(SYN, 3233)[..len], 3233));
        }
    }
}
