//! Packets that a router took apart on their way here, put together again (RFC 791, RFC 815).
//!
//! Who asks for fragments: tunnels and firewalls that clear "don't fragment" and have less room
//! than both ends believe. All the client's segments that are full come in two parts then, the
//! short ones whole, and without this a request of more than a packet never arrives. No packet that
//! left a client for this node was longer than the node's own largest, so nothing longer is put
//! together: no `ping` of 60 KiB, and none of the attacks that need so much.
//!
//! Bounded: `FRAGMENTED_MAX` packets at once, of each sender `FRAGMENTED_PER_SENDER_MAX`, each of
//! at most `MTU_MAX` bytes. The oldest makes room. Parts of a packet follow each other closely, so
//! a flood delays nobody's who is not displaced between the two. Parts that overlap end their
//! packet (RFC 8900, 3.7; it is how filters were deceived), the same part twice does not. What is
//! not complete in time goes when another part comes: no timer is kept.

use alloc::vec::Vec;

use smoltcp::wire::{IPV4_HEADER_LEN, Ipv4Address, Ipv4Packet};

use limits::{
    FRAGMENT_TIMEOUT_MS, FRAGMENTED_MAX, FRAGMENTED_PER_SENDER_MAX, FRAGMENTS_EACH_MAX, MTU_MAX,
};

const NS_PER_MS: u64 = 1_000_000;
/// Offsets count these.
const UNIT_LEN: usize = 8;
const PAYLOAD_LEN_MAX: usize = MTU_MAX - IPV4_HEADER_LEN;
const UNITS_MAX: usize = PAYLOAD_LEN_MAX.div_ceil(UNIT_LEN);
const WORDS: usize = UNITS_MAX.div_ceil(u64::BITS as usize);

/// What of packets has arrived.
#[derive(Default)]
pub struct Fragments {
    /// The oldest first.
    partial: Vec<Partial>,
    /// Parts that were given up since somebody asked.
    lost: u64,
}

/// Whose part something is (RFC 791, 3.2).
type Key = (Ipv4Address, u16, u8);

struct Partial {
    key: Key,
    begun_ns: u64,
    /// Header and payload, as far as they are there.
    packet: Vec<u8>,
    /// Which units of the payload are.
    units: [u64; WORDS],
    /// The payload's length, when its last part has come.
    payload_len: Option<usize>,
    parts: u32,
}

/// Why a packet was given up: nobody is told.
#[derive(Debug)]
struct Broken;

impl Fragments {
    /// Takes a part of a packet to this node. Returns the packet if it was the last that was
    /// missing: with a header without options, and checksums as its sender made them.
    #[inline(never)]
    pub fn add(&mut self, part: &[u8], now_ns: u64) -> Option<Vec<u8>> {
        self.expire(now_ns);
        let Some(part) = Part::read(part) else {
            self.lost += 1;
            return None;
        };
        let at = match self.partial.iter().position(|partial| partial.key == part.key) {
            Some(at) => at,
            None => match self.begin(part.key, now_ns) {
                Some(at) => at,
                None => {
                    self.lost += 1;
                    return None;
                }
            },
        };
        let partial = &mut self.partial[at];
        match partial.add(&part) {
            Ok(false) => None,
            Ok(true) => self.partial.remove(at).finish(),
            Err(Broken) => {
                self.give_up(at);
                None
            }
        }
    }

    /// Parts that were given up since the last call.
    pub fn take_lost(&mut self) -> u64 {
        core::mem::take(&mut self.lost)
    }

    /// Forgets everything: the node is somewhere else.
    pub fn clear(&mut self) {
        self.lost += self.partial.iter().map(|partial| u64::from(partial.parts)).sum::<u64>();
        self.partial.clear();
    }

    fn begin(&mut self, key: Key, now_ns: u64) -> Option<usize> {
        let mut of_sender = (0..self.partial.len()).filter(|at| self.partial[*at].key.0 == key.0);
        let oldest = of_sender.next();
        if let Some(oldest) = oldest.filter(|_| of_sender.count() + 1 >= FRAGMENTED_PER_SENDER_MAX)
        {
            self.give_up(oldest);
        } else if self.partial.len() >= FRAGMENTED_MAX {
            self.give_up(0);
        }
        let mut packet = Vec::new();
        // Without memory it is lost, as packets are.
        packet.try_reserve_exact(MTU_MAX).ok()?;
        packet.resize(MTU_MAX, 0);
        self.partial.try_reserve(1).ok()?;
        let (units, payload_len) = ([0; WORDS], None);
        self.partial.push(Partial { key, begun_ns: now_ns, packet, units, payload_len, parts: 0 });
        Some(self.partial.len() - 1)
    }

    fn give_up(&mut self, at: usize) {
        self.lost += u64::from(self.partial.remove(at).parts);
    }

    fn expire(&mut self, now_ns: u64) {
        let timeout_ns = FRAGMENT_TIMEOUT_MS * NS_PER_MS;
        while self
            .partial
            .first()
            .is_some_and(|it| now_ns.saturating_sub(it.begun_ns) >= timeout_ns)
        {
            self.give_up(0);
        }
    }
}

/// A part.
struct Part<'a> {
    key: Key,
    header: &'a [u8],
    at: usize,
    payload: &'a [u8],
    is_last: bool,
}

impl<'a> Part<'a> {
    /// `None` if it cannot be one.
    fn read(packet: &'a [u8]) -> Option<Self> {
        let part = Ipv4Packet::new_checked(packet).ok().filter(Ipv4Packet::verify_checksum)?;
        let payload = &packet[usize::from(part.header_len())..usize::from(part.total_len())];
        let (at, is_last) = (usize::from(part.frag_offset()), !part.more_frags());
        let is_sound = !payload.is_empty()
            && at + payload.len() <= PAYLOAD_LEN_MAX
            && (is_last || payload.len().is_multiple_of(UNIT_LEN));
        let key = (part.src_addr(), part.ident(), part.next_header().into());
        let header = &packet[..IPV4_HEADER_LEN];
        is_sound.then_some(Self { key, header, at, payload, is_last })
    }
}

impl Partial {
    /// Takes a part in. Returns whether nothing is missing any more.
    fn add(&mut self, part: &Part<'_>) -> Result<bool, Broken> {
        self.parts += 1;
        if self.parts > FRAGMENTS_EACH_MAX {
            return Err(Broken);
        }
        let end = part.at + part.payload.len();
        let is_beyond = self.payload_len.is_some_and(|len| end > len || part.is_last && end != len);
        let had_to = self.highest() * UNIT_LEN;
        if is_beyond || part.is_last && end.next_multiple_of(UNIT_LEN) < had_to {
            return Err(Broken);
        }
        let begin = IPV4_HEADER_LEN + part.at;
        let place = &mut self.packet[begin..begin + part.payload.len()];
        let units = part.at / UNIT_LEN..end.div_ceil(UNIT_LEN);
        let had =
            units.clone().filter(|unit| self.units[unit / 64] >> (unit % 64) & 1 != 0).count();
        if had != 0 && (had != units.len() || *place != *part.payload) {
            return Err(Broken);
        }
        place.copy_from_slice(part.payload);
        units.for_each(|unit| self.units[unit / 64] |= 1 << (unit % 64));
        if part.at == 0 {
            self.packet[..IPV4_HEADER_LEN].copy_from_slice(part.header);
        }
        if part.is_last {
            self.payload_len = Some(end);
        }
        let count: u32 = self.units.iter().map(|word| word.count_ones()).sum();
        Ok(self.payload_len.is_some_and(|len| count as usize == len.div_ceil(UNIT_LEN)))
    }

    /// Behind the last unit that has come.
    fn highest(&self) -> usize {
        let word = self.units.iter().rposition(|word| *word != 0);
        word.map_or(0, |at| (at + 1) * 64 - self.units[at].leading_zeros() as usize)
    }

    /// The packet.
    fn finish(mut self) -> Option<Vec<u8>> {
        let len = IPV4_HEADER_LEN + self.payload_len?;
        self.packet.truncate(len);
        let mut packet = Ipv4Packet::new_unchecked(&mut self.packet[..]);
        packet.set_header_len(IPV4_HEADER_LEN as u8);
        packet.set_total_len(len as u16);
        packet.clear_flags();
        packet.set_frag_offset(0);
        packet.fill_checksum();
        Some(self.packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;
    use smoltcp::wire::IpProtocol;

    const PEER: Ipv4Address = Ipv4Address::new(10, 0, 0, 9);
    const NODE: Ipv4Address = Ipv4Address::new(10, 0, 0, 2);
    const S: u64 = 1_000_000_000;

    /// Bytes `at..end` of a payload as a part of packet `number`.
    fn part(payload: &[u8], (at, end): (usize, usize), number: u16) -> Vec<u8> {
        part_of(PEER, payload, (at, end), number, end < payload.len())
    }

    fn part_of(
        from: Ipv4Address,
        payload: &[u8],
        (at, end): (usize, usize),
        number: u16,
        more: bool,
    ) -> Vec<u8> {
        let mut bytes = vec![0; IPV4_HEADER_LEN + end - at];
        bytes[IPV4_HEADER_LEN..].copy_from_slice(&payload[at..end]);
        let len = bytes.len() as u16;
        let mut packet = Ipv4Packet::new_unchecked(&mut bytes[..]);
        packet.set_version(4);
        packet.set_header_len(IPV4_HEADER_LEN as u8);
        packet.set_total_len(len);
        packet.set_ident(number);
        packet.set_more_frags(more);
        packet.set_frag_offset(at as u16);
        packet.set_hop_limit(9);
        packet.set_next_header(IpProtocol::Tcp);
        packet.set_src_addr(from);
        packet.set_dst_addr(NODE);
        packet.fill_checksum();
        bytes
    }

    fn payload(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at * 7 + at / 256) as u8).collect()
    }

    fn is_whole(packet: &[u8], expected: &[u8]) -> bool {
        let packet = Ipv4Packet::new_checked(packet).expect("a packet");
        let is_alone = packet.frag_offset() == 0 && !packet.more_frags();
        packet.verify_checksum() && is_alone && packet.payload() == expected
    }

    /// Adds parts `ranges` of a payload; whether all of it came out with the last.
    fn comes(fragments: &mut Fragments, payload: &[u8], ranges: &[(usize, usize)]) -> bool {
        let add = |range: &(usize, usize)| fragments.add(&part(payload, *range, 7), 0);
        let mut results: Vec<_> = ranges.iter().map(add).collect();
        let last = results.pop().flatten();
        results.iter().all(Option::is_none) && last.is_some_and(|packet| is_whole(&packet, payload))
    }

    #[test]
    fn parts_in_any_order_and_twice_are_one_packet() {
        let payload = payload(100);
        let (a, b, c) = ((0, 40), (40, 80), (80, 100));
        for ranges in [&[a, b, c][..], &[c, b, a], &[b, c, a], &[a, a, c, b], &[c, c, b, b, a]] {
            let mut fragments = Fragments::default();
            assert!(comes(&mut fragments, &payload, ranges), "{ranges:?}");
            assert!(fragments.partial.is_empty());
            assert_eq!(fragments.take_lost(), 0);
        }
    }

    #[test]
    fn parts_that_overlap_or_contradict_each_other_end_their_packet() {
        let (short, long) = (payload(96), payload(104));
        let mut other = payload(104);
        other[50] ^= 1;
        for (first, second) in [
            (part(&long, (0, 48), 7), part(&long, (40, 88), 7)),
            (part(&long, (0, 48), 7), part(&long, (40, 104), 7)),
            (part(&long, (48, 96), 7), part(&other, (48, 96), 7)),
            // Two ends, an end before what is there, something behind the end.
            (part(&short, (88, 96), 7), part(&long, (96, 104), 7)),
            (part(&long, (48, 96), 7), part(&short[..56], (48, 56), 7)),
            (part(&short, (88, 96), 7), part(&long[..100], (96, 100), 7)),
        ] {
            let mut fragments = Fragments::default();
            assert!(fragments.add(&first, 0).is_none());
            assert!(fragments.add(&second, 0).is_none());
            assert!(fragments.partial.is_empty());
            assert_eq!(fragments.take_lost(), 2);
        }
    }

    #[test]
    fn what_can_be_no_part_is_lost() {
        let long = payload(4000);
        let mut fragments = Fragments::default();
        for odd in [
            part(&long, (0, 0), 7),
            part(&long, (0, 7), 7),
            part(&long, (1400, 1488), 7),
            part(&long[..1484], (1480, 1484), 7),
            part(&long, (3000, 4000), 7),
            vec![],
            part(&long, (0, 800), 7)[..700].to_vec(),
        ] {
            assert!(fragments.add(&odd, 0).is_none());
        }
        let mut garbled = part(&long, (0, 800), 7);
        garbled[8] ^= 1;
        assert!(fragments.add(&garbled, 0).is_none());
        assert_eq!((fragments.take_lost(), fragments.partial.len()), (8, 0));
        assert!(comes(&mut fragments, &long[..1480], &[(1400, 1480), (0, 1400)]));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_makes_room() {
        let payload = payload(100);
        let mut fragments = Fragments::default();
        for number in 0..1000 {
            assert!(fragments.add(&part(&payload, (0, 40), number), 0).is_none());
            assert!(fragments.partial.len() <= FRAGMENTED_PER_SENDER_MAX);
        }
        for number in 0..1000 {
            let stranger = Ipv4Address::from_bits(0x0b00_0000 + number);
            let stray = part_of(stranger, &payload, (0, 40), 7, true);
            assert!(fragments.add(&stray, 0).is_none());
            assert!(fragments.partial.len() <= FRAGMENTED_MAX);
            // Meanwhile.
            if number % 100 == 0 {
                assert!(comes(&mut fragments, &payload, &[(40, 100), (0, 40)]));
            }
        }
        let lost = fragments.take_lost() + fragments.partial.len() as u64;
        assert_eq!(lost, 2000);
    }

    #[test]
    fn what_is_not_complete_in_time_is_forgotten() {
        let payload = payload(100);
        let mut fragments = Fragments::default();
        assert!(fragments.add(&part(&payload, (0, 40), 7), S).is_none());
        let late_ns = S + FRAGMENT_TIMEOUT_MS * NS_PER_MS;
        assert!(fragments.add(&part(&payload, (40, 100), 7), late_ns).is_none());
        assert_eq!(fragments.take_lost(), 1);
        assert!(fragments.add(&part(&payload, (0, 40), 7), late_ns + S).is_some());
    }

    proptest! {
        #[test]
        fn however_it_is_cut_it_is_the_same(
            len in 1_usize..=PAYLOAD_LEN_MAX,
            mut cuts in proptest::collection::vec(0_usize..UNITS_MAX, 0..20),
            order: u64,
        ) {
            let payload = payload(len);
            cuts.push(0);
            cuts.sort_unstable();
            cuts.dedup();
            let begins: Vec<_> =
                cuts.into_iter().map(|cut| cut * UNIT_LEN).filter(|at| *at < len).collect();
            let ends = begins.iter().skip(1).copied().chain([len]);
            let mut ranges: Vec<_> = begins.iter().copied().zip(ends).collect();
            ranges.sort_by_key(|(at, _)| (*at as u64 + 1).wrapping_mul(order | 1) >> 7);
            prop_assert!(comes(&mut Fragments::default(), &payload, &ranges));
        }

        #[test]
        fn any_parts_do_no_harm(
            parts in proptest::collection::vec(
                (0_usize..200, 1_usize..1480, 0_u16..3, any::<bool>(), any::<u8>()), 1..100,
            ),
        ) {
            let mut fragments = Fragments::default();
            let mut lost = 0;
            let mut taken = 0_u64;
            for (unit, len, number, more, fill) in parts.iter().copied() {
                let bytes = vec![fill; unit * UNIT_LEN + len];
                let odd = part_of(PEER, &bytes, (unit * UNIT_LEN, bytes.len()), number, more);
                let before: u64 = fragments.partial.iter().map(|it| u64::from(it.parts)).sum();
                if let Some(packet) = fragments.add(&odd, 0) {
                    prop_assert!(Ipv4Packet::new_checked(&packet[..]).is_ok());
                    let after: u64 = fragments.partial.iter().map(|it| u64::from(it.parts)).sum();
                    taken += before + 1 - after;
                }
                lost += fragments.take_lost();
            }
            let left: u64 = fragments.partial.iter().map(|it| u64::from(it.parts)).sum();
            prop_assert_eq!(lost + left + taken, parts.len() as u64);
        }
    }
}
