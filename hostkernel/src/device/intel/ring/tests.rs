//! Both rings against a card that owns what the data sheet says it owns, and lies about the rest.

extern crate std;
use std::alloc::{Layout, alloc, dealloc};

use alloc::vec;
use alloc::vec::Vec;
use core::ptr::NonNull;

use proptest::prelude::*;

use super::*;
use limits::PAGE_LEN;

const WHOLE: u32 = DONE | LAST_PIECE;

/// The card's half of a ring: it sees memory at the address that it was told.
struct Card {
    start: NonNull<u8>,
    head: u16,
    tail: u16,
}

fn layout() -> Layout {
    Layout::from_size_align(RING_LEN, PAGE_LEN).expect("a small constant")
}

/// Memory for a ring, with bytes of somebody else in it; freed with the card.
fn memory() -> (DescriptorRing, Card) {
    // SAFETY: the length is not zero.
    let start = NonNull::new(unsafe { alloc(layout()) }).expect("the host has memory");
    // SAFETY: the memory is there and nobody else's.
    let ring = unsafe {
        start.write_bytes(0xee, RING_LEN);
        DescriptorRing::new(start, start.as_ptr().expose_provenance() as u64)
    };
    (ring, Card { start, head: 0, tail: 0 })
}

impl Drop for Card {
    fn drop(&mut self) {
        // SAFETY: made in `memory`; rings do not touch it when they are dropped.
        unsafe { dealloc(self.start.as_ptr(), layout()) };
    }
}

impl Card {
    fn told(&mut self, ring: &mut DescriptorRing) {
        self.tail = ring.take_tail().map_or(self.tail, |tail| tail as u16);
    }

    fn owned(&self) -> u16 {
        (self.tail + SLOTS - self.head) % SLOTS
    }

    /// The next slot that is the card's, and its buffer.
    fn next(&mut self) -> Option<(*mut Descriptor, *mut u8)> {
        if self.owned() == 0 {
            return None;
        }
        let descriptor = self.start.as_ptr().cast::<Descriptor>().wrapping_add(self.head.into());
        self.head = (self.head + 1) % SLOTS;
        // SAFETY: the slot is the card's.
        let address = unsafe { (*descriptor).address };
        let offset = (address as usize).wrapping_sub(self.start.as_ptr().addr());
        Some((descriptor, self.start.as_ptr().wrapping_add(offset)))
    }

    /// Receives a frame, and says this about it. Returns whether there was a buffer.
    fn receive(&mut self, frame: &[u8], len: u32, status: u32) -> bool {
        let Some((descriptor, buffer)) = self.next() else { return false };
        // SAFETY: slot and buffer are the card's.
        unsafe {
            buffer.copy_from_nonoverlapping(frame.as_ptr(), frame.len());
            (*descriptor).command = len;
            (*descriptor).status = status;
        }
        true
    }

    /// Sends what was queued: each frame, and whether its checksum is to be completed.
    fn send(&mut self) -> Option<(Vec<u8>, bool)> {
        let (descriptor, buffer) = self.next()?;
        // SAFETY: slot and buffer are the card's.
        let Descriptor { command, status, .. } = unsafe { *descriptor };
        assert_eq!(command & (REPORT | EXTENDED), REPORT | EXTENDED);
        // SAFETY: as above.
        unsafe { (*descriptor).status |= DONE };
        if command & KIND_DATA == 0 {
            return self.send();
        }
        assert_eq!(command & (LAST | WITH_FRAME_CHECK), LAST | WITH_FRAME_CHECK);
        let len = (command & 0xf_ffff) as usize;
        // SAFETY: as above; a frame is in its buffer.
        let frame = unsafe { core::slice::from_raw_parts(buffer, len) };
        Some((frame.to_vec(), status & COMPLETE_TCP != 0))
    }
}

fn receiving() -> (ReceiveRing, Card) {
    let (ring, mut card) = memory();
    let mut receive = ReceiveRing::new(ring);
    card.told(&mut receive.ring);
    (receive, card)
}

fn sending() -> (SendRing, Card) {
    let (ring, mut card) = memory();
    let mut send = SendRing::new(ring);
    card.told(&mut send.ring);
    (send, card)
}

#[test]
fn frames_arrive_in_order_for_many_rounds() {
    let (mut receive, mut card) = receiving();
    assert_eq!(card.owned(), SLOTS - 1);
    for round in 0..2000_usize {
        let frame = vec![round as u8; 60 + round % 1400];
        assert!(!receive.has_frame() && receive.frame().is_none());
        assert!(card.receive(&frame, frame.len() as u32, WHOLE), "round {round}");
        assert!(receive.has_frame());
        assert_eq!(receive.frame(), Some(&frame[..]));
        assert_eq!(receive.frame(), Some(&frame[..]), "the same one until it is released");
        receive.release();
        card.told(&mut receive.ring);
        assert!(card.owned() >= SLOTS - 1 - RECEIVE_BATCH, "the card has buffers");
    }
}

#[test]
fn a_flood_fills_the_ring_and_no_further() {
    let (mut receive, mut card) = receiving();
    for flood in 0..5_u8 {
        let mut count = 0_usize;
        while card.receive(&[flood; 60], 60, WHOLE) {
            count += 1;
        }
        assert!(count > usize::from(SLOTS - 1 - RECEIVE_BATCH));
        for _ in 0..count {
            assert_eq!(receive.frame(), Some(&[flood; 60][..]));
            receive.release();
        }
        assert_eq!(receive.frame(), None);
        receive.release();
        card.told(&mut receive.ring);
    }
}

#[test]
fn only_a_checksum_that_was_found_right_is_vouched_for() {
    let (mut receive, mut card) = receiving();
    for (status, expected) in [
        (WHOLE | TCP_CHECKED, true),
        (WHOLE, false),
        (WHOLE | TCP_CHECKED | TCP_WRONG, false),
        (WHOLE | TCP_CHECKED | CHECKSUM_IGNORED, false),
        (WHOLE | TCP_WRONG, false),
    ] {
        assert_eq!(receive.checksum(), ReceivedChecksum::Unknown, "no frame, no claim");
        assert!(card.receive(&[1; 60], 60, status));
        assert!(receive.frame().is_some_and(|frame| frame.len() == 60));
        assert_eq!(receive.checksum() == ReceivedChecksum::Verified, expected, "{status:#x}");
        receive.release();
    }
}

#[test]
fn no_piece_of_a_frame_passes_for_one() {
    let (mut receive, mut card) = receiving();
    for status in [DONE, DONE, WHOLE, WHOLE] {
        assert!(card.receive(&[7; 60], 60, status));
    }
    let lens: Vec<usize> = core::iter::from_fn(|| {
        let len = receive.frame()?.len();
        receive.release();
        Some(len)
    })
    .collect();
    assert_eq!(lens, [0, 0, 0, 60]);
}

#[test]
fn what_is_sent_arrives_and_only_tcp_is_completed() {
    let (mut send, mut card) = sending();
    let mut tcp = vec![0; 60];
    (tcp[12], tcp[14], tcp[23]) = (0x08, 0x45, 6);
    for round in 0..2000_usize {
        let is_tcp = round.is_multiple_of(3);
        let frame = if is_tcp { tcp.clone() } else { vec![round as u8; 60 + round % 1400] };
        assert!(send.is_ready());
        send.send(frame.len(), &mut |buffer| buffer.copy_from_slice(&frame));
        card.told(&mut send.ring);
        let (sent, completes) = card.send().expect("a frame");
        assert_eq!((completes, sent.len()), (is_tcp, frame.len()));
        assert!(is_tcp || sent == frame, "round {round}");
        assert!(card.send().is_none());
    }
}

#[test]
fn the_context_names_the_places_that_the_data_sheet_means() {
    let bytes = CONTEXT.to_le_bytes();
    assert_eq!(bytes, [14, 24, 33, 0, 34, 50, 0, 0]);
}

#[test]
fn a_full_ring_has_no_room_until_the_card_has_sent() {
    let (mut send, mut card) = sending();
    let mut count = 0_u16;
    while send.is_ready() {
        send.send(60, &mut |buffer| buffer.fill(1));
        count += 1;
    }
    assert_eq!(count, SLOTS - 2, "one slot for the context, one never used");
    send.send(60, &mut |_| panic!("there is no buffer"));
    card.told(&mut send.ring);
    assert!(card.send().is_some());
    assert!(send.is_ready());
    send.send(FRAME_LEN_MAX + 1, &mut |_| panic!("too long"));
    // Without a cable nobody waits for room; what is sent is lost.
    while send.has_room() {
        send.send(60, &mut |buffer| buffer.fill(2));
    }
    send.is_connected = false;
    assert!(send.is_ready());
    send.send(60, &mut |_| panic!("there is no buffer"));
    card.told(&mut send.ring);
    assert_eq!(core::iter::from_fn(|| card.send()).count(), usize::from(SLOTS - 1));
}

proptest! {
    /// Whatever the card writes into its descriptors, frames are inside their buffers, and the ring
    /// goes on.
    #[test]
    fn hostile_descriptors_do_no_harm(words in prop::collection::vec(any::<(u32, u32)>(), 1..600)) {
        let (mut receive, mut card) = receiving();
        for (command, status) in words {
            prop_assert!(card.receive(&[9; 60], command, status | DONE));
            let len = receive.frame().map(<[u8]>::len);
            prop_assert!(len == Some(0) || len == Some((command & 0xffff) as usize));
            prop_assert!(len <= Some(NIC_BUFFER_LEN));
            receive.release();
            card.told(&mut receive.ring);
        }
    }

    /// A sender fares the same: with every slot marked done at any time it sends on.
    #[test]
    fn hostile_completions_do_no_harm(marks in prop::collection::vec(any::<(u8, bool)>(), 1..600)) {
        let (mut send, mut card) = sending();
        for (slot, is_done) in marks {
            let descriptor = card.start.as_ptr().cast::<Descriptor>().wrapping_add(slot.into());
            // SAFETY: a slot of the ring.
            unsafe { (*descriptor).status = u32::from(is_done) };
            send.send(60, &mut |buffer| buffer.fill(slot));
            card.told(&mut send.ring);
            prop_assert!(card.owned() < SLOTS);
        }
    }
}
