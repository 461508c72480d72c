//! A network card as smoltcp wants to see it, with a look at every frame before.

use alloc::boxed::Box;
use alloc::vec;

use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::EthernetFrame;

use super::arrival::{self, Arrival};
use super::neighbours::Neighbours;
use crate::net::nic::{Checksums, Nic, Receiver, Sender};
use crate::state::statistics::{Frames, Traffic};

/// The card.
pub struct Adapter {
    nic: Box<dyn Nic>,
    port: u16,
    neighbours: Neighbours,
    checksums: Checksums,
    pub traffic: Traffic,
}

impl Adapter {
    pub fn new(nic: Box<dyn Nic>, port: u16) -> Self {
        let checksums = nic.checksums();
        Self { nic, port, neighbours: Neighbours::new(), checksums, traffic: Traffic::default() }
    }

    /// Who the oldest frame that waits concerns. Frames that smoltcp must not see are dropped here.
    pub fn arrival(&mut self, now: Instant) -> Option<Arrival> {
        let (receiver, _) = self.nic.split();
        while let Some(frame) = receiver.frame() {
            self.traffic.received.add(frame.len());
            if let Ok(ethernet) = EthernetFrame::new_checked(frame)
                && self.neighbours.admits(&ethernet, now)
            {
                let arrival = Arrival::of(&ethernet, self.port);
                // smoltcp was told not to look, since most frames need no looking at.
                let known = receiver.checksum();
                let is_sound = |frame: &[u8]| arrival::has_sound_checksum(frame, known);
                let sound = !self.checksums.on_receive || receiver.frame().is_none_or(is_sound);
                if sound {
                    return Some(arrival);
                }
            }
            self.traffic.received.dropped += 1;
            receiver.release();
        }
        None
    }

    /// Drops the oldest frame that waits.
    pub fn discard(&mut self) {
        self.traffic.received.dropped += 1;
        self.nic.split().0.release();
    }

    pub fn is_pending(&mut self) -> bool {
        self.nic.split().0.frame().is_some()
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

impl Device for Adapter {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Sending<'_>)> {
        let (receiver, sender) = self.nic.split();
        let sending = Sending(sender, &mut self.traffic.sent);
        receiver.frame().is_some().then_some((Received(receiver), sending))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sending<'_>> {
        let (_, sender) = self.nic.split();
        sender.is_ready().then_some(Sending(sender, &mut self.traffic.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.nic.frame_len_max();
        capabilities.checksum.tcp = match (self.checksums.on_receive, self.checksums.on_send) {
            (false, false) => Checksum::Both,
            (false, true) => Checksum::Rx,
            (true, false) => Checksum::Tx,
            (true, true) => Checksum::None,
        };
        if self.checksums.on_receive {
            capabilities.checksum.udp = Checksum::Tx;
        }
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
pub struct Sending<'a>(&'a mut dyn Sender, &'a mut Frames);

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut f = Some(f);
        let mut result = None;
        self.0.send(len, &mut |buffer| {
            result = f.take().map(|f| f(buffer));
        });
        match (result, f) {
            (Some(result), _) => {
                self.1.add(len);
                result
            }
            // No buffer is free, or none is long enough: the frame is composed and lost, as on any
            // full queue.
            (None, Some(f)) => {
                self.1.dropped += 1;
                f(&mut vec![0; len])
            }
            (None, None) => unreachable!("what was taken gave a result"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let (mut card, mut counted) = (Short(60, 0), Frames::default());
        for len in [60, 2000] {
            assert_eq!(Sending(&mut card, &mut counted).consume(len, |frame| frame.len()), len);
        }
        assert_eq!(counted, Frames { frames: 1, bytes: 60, dropped: 1 });
        assert_eq!(card.1, 1, "frames sent");
    }
}
