//! The wire between the node's card and the clients' one: frames under way in virtual time, and
//! what can happen to them.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;

use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::time::Instant;
use smoltcp::wire::{IPV4_HEADER_LEN, Ipv4Packet};

use crate::net::nic::{Nic, ReceivedChecksum, Receiver, Sender};
use limits::NIC_QUEUE_LEN;

/// From one end to the other.
pub const LATENCY_NS: u64 = 100_000;
/// Ethernet header and 1,500 bytes.
pub const FRAME_LEN_MAX: usize = 1514;
/// Frames a wire remembers for the report of a test that failed.
const HISTORY_LEN: usize = 16;

const UDP: u8 = 17;
const ETHERNET_LEN: usize = 14;
/// Where the checksum of a datagram is in a frame without IP options.
pub const UDP_CHECKSUM: usize = 40;

pub const NODE_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// What happens to one frame, or from it on.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    Lose,
    /// Both copies arrive, one directly behind the other.
    Duplicate,
    /// It arrives this much later than it would, behind others.
    Delay(u64),
    /// One bit of it, modulo its length, is inverted.
    Flip(usize),
    /// It and all that follow arrive this much later, in order.
    Stall(u64),
    /// It and all that follow are lost.
    Cut,
    /// The sender's queue has no room for this many flushes after it.
    Full(usize),
}

/// Takes packet `number`, which has no options, apart, into some of at most `len_max` bytes (RFC
/// 791, 3.2).
pub fn parts(frame: &[u8], len_max: usize, number: u16) -> Vec<Vec<u8>> {
    let (header, payload) = frame.split_at(ETHERNET_LEN + IPV4_HEADER_LEN);
    let step_len = (len_max - IPV4_HEADER_LEN) & !7;
    let cut = payload.chunks(step_len).enumerate().map(|(at, piece)| {
        let mut part = [header, piece].concat();
        let mut packet = Ipv4Packet::new_unchecked(&mut part[ETHERNET_LEN..]);
        packet.set_total_len((IPV4_HEADER_LEN + piece.len()) as u16);
        packet.set_dont_frag(false);
        packet.set_frag_offset((at * step_len) as u16);
        packet.set_more_frags((at + 1) * step_len < payload.len());
        packet.set_ident(number);
        packet.fill_checksum();
        part
    });
    cut.collect()
}

/// One direction of the wire.
pub type Wire = Rc<RefCell<Direction>>;

/// See [`Wire`].
#[derive(Default)]
pub struct Direction {
    /// Virtual time; the lab sets it.
    pub now_ns: u64,
    /// Frames put in so far, which is the number of the next one.
    pub sent: usize,
    /// Every frame put in, if a test wants them.
    pub capture: Option<Vec<Vec<u8>>>,
    /// The last frames put in, with their times.
    pub history: VecDeque<(u64, Vec<u8>)>,
    /// Longer frames vanish.
    pub len_max: Option<usize>,
    /// A router takes longer packets apart.
    pub part_len_max: Option<usize>,
    /// The parts of a packet arrive the last first.
    pub is_backwards: bool,
    /// How long a frame takes beyond [`LATENCY_NS`].
    pub distance_ns: u64,
    /// One frame in so many is lost.
    pub lost_in: Option<usize>,
    /// Frames that found no buffer in the receiver's card.
    pub overruns: usize,
    /// The checksums of datagrams are left open, and this is where the node's card says they are.
    pub left_at: Option<usize>,
    faults: BTreeMap<usize, Fault>,
    cut: bool,
    full_flushes: usize,
    stalled_until_ns: u64,
    /// By time of arrival, then in order of sending.
    travelling: BTreeMap<(u64, usize), Vec<u8>>,
    arrived: VecDeque<Vec<u8>>,
}

impl Direction {
    /// Prepares a fault for the frame with this number.
    pub fn inject(&mut self, number: usize, fault: Fault) {
        self.faults.insert(number, fault);
    }

    /// Prepares a fault for the next frame.
    pub fn inject_now(&mut self, fault: Fault) {
        self.inject(self.sent, fault);
    }

    /// Prepares no fault any more and ends a cut.
    pub fn mend(&mut self) {
        self.faults.clear();
        self.cut = false;
    }

    /// Puts a frame in.
    pub fn send(&mut self, frame: Vec<u8>) {
        match self.part_len_max {
            Some(len_max) if frame.len() > ETHERNET_LEN + len_max => {
                let mut parts = parts(&frame, len_max, self.sent as u16);
                if self.is_backwards {
                    parts.reverse();
                }
                parts.into_iter().for_each(|part| self.put(part));
            }
            _ => self.put(frame),
        }
    }

    fn put(&mut self, mut frame: Vec<u8>) {
        let number = self.sent;
        self.sent += 1;
        let mut at_ns = self.now_ns + LATENCY_NS + self.distance_ns;
        let vanishes = self.len_max.is_some_and(|len_max| frame.len() > len_max)
            || self.lost_in.is_some_and(|lost_in| number % lost_in == lost_in - 1);
        let mut copies = usize::from(!vanishes);
        match self.faults.remove(&number) {
            None => {}
            Some(Fault::Lose) => copies = 0,
            Some(Fault::Duplicate) => copies = 2,
            Some(Fault::Delay(delay_ns)) => at_ns += delay_ns,
            Some(Fault::Flip(bit)) => {
                let bit = bit % (frame.len() * 8);
                frame[bit / 8] ^= 1 << (bit % 8);
            }
            Some(Fault::Stall(stall_ns)) => self.stalled_until_ns = at_ns + stall_ns,
            Some(Fault::Cut) => self.cut = true,
            Some(Fault::Full(flushes)) => self.full_flushes = flushes,
        }
        if self.history.len() == HISTORY_LEN {
            self.history.pop_front();
        }
        self.history.push_back((self.now_ns, frame.clone()));
        if let Some(capture) = &mut self.capture {
            capture.push(frame.clone());
        }
        if !self.cut {
            let at_ns = at_ns.max(self.stalled_until_ns);
            for copy in 0..copies {
                self.travelling.insert((at_ns, 2 * number + copy), frame.clone());
            }
        }
    }

    /// Delivers what is due.
    pub fn deliver(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
        while let Some(entry) = self.travelling.first_entry()
            && entry.key().0 <= now_ns
        {
            let frame = entry.remove();
            if self.arrived.len() < NIC_QUEUE_LEN {
                self.arrived.push_back(frame);
            } else {
                self.overruns += 1;
            }
        }
    }

    /// When the next frame is due.
    pub fn next_ns(&self) -> Option<u64> {
        self.travelling.keys().next().map(|&(at_ns, _)| at_ns)
    }

    /// Whether a frame waits to be taken.
    pub fn has_arrived(&self) -> bool {
        !self.arrived.is_empty()
    }
}

/// The node's card.
pub struct Card {
    receive: ReceiveHalf,
    send: SendHalf,
}

struct ReceiveHalf {
    wire: Wire,
    current: Option<Vec<u8>>,
    checksum: ReceivedChecksum,
}

/// What is queued leaves when the card is told, not before.
struct SendHalf {
    wire: Wire,
    queued: Vec<Vec<u8>>,
}

impl Card {
    pub fn new(receive: &Wire, send: &Wire) -> Self {
        Self {
            receive: ReceiveHalf {
                wire: Rc::clone(receive),
                current: None,
                checksum: ReceivedChecksum::Unknown,
            },
            send: SendHalf { wire: Rc::clone(send), queued: Vec::new() },
        }
    }
}

impl Receiver for ReceiveHalf {
    fn frame(&mut self) -> Option<&[u8]> {
        if self.current.is_none() {
            let mut wire = self.wire.borrow_mut();
            self.current = wire.arrived.pop_front();
            self.checksum = ReceivedChecksum::Unknown;
            if let (Some(at), Some(frame)) = (wire.left_at, &mut self.current)
                && frame[12..14] == [0x08, 0x00]
                && frame[23] == UDP
            {
                frame[UDP_CHECKSUM] ^= 0xa5;
                self.checksum = ReceivedChecksum::Left { at };
            }
        }
        self.current.as_deref()
    }

    fn checksum(&self) -> ReceivedChecksum {
        self.checksum
    }

    fn release(&mut self) {
        self.current = None;
    }
}

impl Sender for SendHalf {
    fn is_ready(&mut self) -> bool {
        self.wire.borrow().full_flushes == 0 && self.queued.len() < NIC_QUEUE_LEN
    }

    fn send(&mut self, len: usize, fill: &mut dyn FnMut(&mut [u8])) {
        if len <= FRAME_LEN_MAX && self.is_ready() {
            let mut frame = vec![0; len];
            fill(&mut frame);
            self.queued.push(frame);
        }
    }
}

impl Nic for Card {
    fn address(&self) -> [u8; 6] {
        NODE_MAC
    }

    fn frame_len_max(&self) -> usize {
        FRAME_LEN_MAX
    }

    fn split(&mut self) -> (&mut dyn Receiver, &mut dyn Sender) {
        (&mut self.receive, &mut self.send)
    }

    fn flush(&mut self) {
        let mut wire = self.send.wire.borrow_mut();
        wire.full_flushes = wire.full_flushes.saturating_sub(1);
        self.send.queued.drain(..).for_each(|frame| wire.send(frame));
    }

    fn arm(&mut self) -> bool {
        !self.receive.wire.borrow().has_arrived()
    }

    fn disarm(&mut self) {}
}

/// The clients' card.
pub struct Plug {
    pub receive: Wire,
    pub send: Wire,
}

impl phy::Device for Plug {
    type RxToken<'a> = Arrived;
    type TxToken<'a> = Leaving<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Arrived, Leaving<'_>)> {
        let frame = self.receive.borrow_mut().arrived.pop_front()?;
        Some((Arrived(frame), Leaving(&self.send)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Leaving<'_>> {
        Some(Leaving(&self.send))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME_LEN_MAX;
        capabilities
    }
}

pub struct Arrived(Vec<u8>);

impl phy::RxToken for Arrived {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

pub struct Leaving<'a>(&'a Wire);

impl phy::TxToken for Leaving<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.borrow_mut().send(frame);
        result
    }
}
