//! Rings of descriptors, and the buffers behind them.
//!
//! Slot n of a ring always has buffer n. The card owns the slots from its head up to the tail that
//! it was told last, and never all of them: equal ends mean an empty ring. It gives a slot back by
//! setting its done bit. What it writes beside that is a claim: lengths and marks are checked, and
//! a frame in pieces, for which no buffer is too short, is dropped with all of them.
//!
//! Received frames use the legacy format (SDM 3.2.3, 82574 7.1.4), the only one that all cards
//! have; it says as much about checksums as the extended one. Sent ones use the extended data
//! format (SDM 3.3.7, 82574 7.2.10): in the legacy one a card could complete checksums too, but
//! hypervisors did not build that. The one context descriptor it needs stays valid until another
//! one comes, so a ring begins with it.

use core::ptr::NonNull;
use core::sync::atomic::{Ordering, fence};

use limits::{MTU_MAX, NIC_BUFFER_LEN, NIC_QUEUE_LEN};
use node::net::nic::{
    self, ETHERNET_HEADER_LEN, ReceivedChecksum, Receiver, Sender, TCP_CHECKSUM_OFFSET, TCP_START,
};

/// Longest frame to send.
pub const FRAME_LEN_MAX: usize = ETHERNET_HEADER_LEN + MTU_MAX;
const DESCRIPTORS_LEN: usize = NIC_QUEUE_LEN * size_of::<Descriptor>();
/// Memory of a ring.
pub const RING_LEN: usize = DESCRIPTORS_LEN + NIC_QUEUE_LEN * NIC_BUFFER_LEN;
const SLOTS: u16 = NIC_QUEUE_LEN as u16;
/// Free buffers that the card is given at a time.
const RECEIVE_BATCH: u16 = 32;

// What the card requires (SDM 13.4.27): rings are a multiple of 128 bytes. And buffers are as long
// as `card.rs` tells it.
const _: () = assert!(DESCRIPTORS_LEN.is_multiple_of(128) && NIC_BUFFER_LEN == 2048);
const _: () = assert!(FRAME_LEN_MAX <= NIC_BUFFER_LEN && NIC_QUEUE_LEN <= 1 << 15);
const _: () = assert!(SLOTS.is_multiple_of(RECEIVE_BATCH) && SLOTS > RECEIVE_BATCH);

/// In the status word of both kinds of rings: the card is done with this one.
const DONE: u32 = 1 << 0;

// Status word of a received frame; errors begin at bit 8. What is wrong with its checksums is for
// the network stack to find.
const LAST_PIECE: u32 = 1 << 1;
const CHECKSUM_IGNORED: u32 = 1 << 2;
const TCP_CHECKED: u32 = 1 << 5;
const BROKEN: u32 = 0b1001_0111 << 8;
const TCP_WRONG: u32 = 1 << 13;
const RECEIVED_LEN: u32 = 0xffff;

// Command word of a frame to be sent.
const KIND_DATA: u32 = 1 << 20;
const LAST: u32 = 1 << 24;
const WITH_FRAME_CHECK: u32 = 1 << 25;
const REPORT: u32 = 1 << 27;
const EXTENDED: u32 = 1 << 29;
/// In its status word: complete the TCP checksum, where the context says.
const COMPLETE_TCP: u32 = 1 << 9;
// Command word of the context: the checksum is TCP's, the header in front of it IPv4's.
const CONTEXT_TCP: u32 = 1 << 24;
const CONTEXT_IPV4: u32 = 1 << 25;

/// Where checksums begin, are put and end, of the IPv4 header and of TCP (SDM 3.3.6). Zero is the
/// end of the frame.
const CONTEXT: u64 = {
    const IP_START: u64 = 14;
    const IP_CHECKSUM: u64 = IP_START + 10;
    let tcp = TCP_START as u64;
    let tcp_checksum = tcp + TCP_CHECKSUM_OFFSET as u64;
    IP_START | IP_CHECKSUM << 8 | (tcp - 1) << 16 | tcp << 32 | tcp_checksum << 40
};

#[repr(C)]
#[derive(Clone, Copy)]
struct Descriptor {
    /// Of the buffer, or the context.
    address: u64,
    command: u32,
    status: u32,
}

fn after(slot: u16) -> u16 {
    (slot + 1) % SLOTS
}

/// The memory of a ring: descriptors, then buffers.
pub struct DescriptorRing {
    start: NonNull<u8>,
    address: u64,
    /// First slot that is not the card's, once it is told.
    tail: u16,
    /// The tail was moved since the card was told.
    is_dirty: bool,
}

impl DescriptorRing {
    /// A ring at `start`, which is `address` to the card.
    ///
    /// # Safety
    /// From now on [`RING_LEN`] bytes there belong to the ring and to a card that is told this
    /// address. They are aligned like a page.
    #[must_use]
    pub unsafe fn new(start: NonNull<u8>, address: u64) -> Self {
        // SAFETY: the memory is ours.
        unsafe { start.write_bytes(0, RING_LEN) };
        Self { start, address, tail: 0, is_dirty: false }
    }

    /// Where the card finds the descriptors.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.address
    }

    /// The new tail, if the card has to be told one.
    pub fn take_tail(&mut self) -> Option<u32> {
        core::mem::take(&mut self.is_dirty).then_some(u32::from(self.tail))
    }

    fn descriptor(&self, slot: u16) -> *mut Descriptor {
        self.start.as_ptr().cast::<Descriptor>().wrapping_add(usize::from(slot % SLOTS))
    }

    /// Command and status of a slot, if the card is done with it.
    fn done(&self, slot: u16) -> Option<(u32, u32)> {
        let descriptor = self.descriptor(slot);
        // SAFETY: slots are in the ring's memory, aligned; whatever the card writes is a value.
        let status = unsafe { (&raw const (*descriptor).status).read_volatile() };
        if status & DONE == 0 {
            return None;
        }
        // All else is read after the bit that says it is there.
        fence(Ordering::Acquire);
        // SAFETY: as above.
        let command = unsafe { (&raw const (*descriptor).command).read_volatile() };
        Some((command, status))
    }

    /// Makes a slot ready for the card.
    fn put(&mut self, slot: u16, address: u64, command: u32, status: u32) {
        // The card may look as soon as it is told the tail, which is a volatile write, too; what
        // the buffer holds has to be there by then.
        fence(Ordering::Release);
        // SAFETY: as in `done`.
        unsafe { self.descriptor(slot).write_volatile(Descriptor { address, command, status }) };
    }

    fn buffer_address(&self, slot: u16) -> u64 {
        self.address + (DESCRIPTORS_LEN + usize::from(slot) * NIC_BUFFER_LEN) as u64
    }

    /// The first `len` bytes of a slot's buffer.
    ///
    /// # Safety
    /// The slot is not the card's, nobody else refers to its buffer, and `len` is at most its
    /// length.
    unsafe fn buffer<'a>(&self, slot: u16, len: usize) -> &'a mut [u8] {
        let offset = DESCRIPTORS_LEN + usize::from(slot % SLOTS) * NIC_BUFFER_LEN;
        // SAFETY: the buffer is in the ring's memory; the caller vouches for the rest.
        unsafe { core::slice::from_raw_parts_mut(self.start.add(offset).as_ptr(), len) }
    }
}

/// What the card said about the oldest frame.
#[derive(Clone, Copy)]
struct Received {
    /// 0 for what is not a whole frame.
    len: usize,
    is_verified: bool,
    /// More of the same frame follows.
    goes_on: bool,
}

/// The receiving half.
pub struct ReceiveRing {
    /// The ring's memory.
    pub ring: DescriptorRing,
    oldest: u16,
    current: Option<Received>,
    /// What comes next is the rest of a frame that was dropped.
    in_frame: bool,
}

impl ReceiveRing {
    /// Offers all buffers but one to the card.
    #[must_use]
    pub fn new(mut ring: DescriptorRing) -> Self {
        (0..SLOTS).for_each(|slot| ring.put(slot, ring.buffer_address(slot), 0, 0));
        ring.tail = SLOTS - 1;
        ring.is_dirty = true;
        Self { ring, oldest: 0, current: None, in_frame: false }
    }

    /// Whether a frame waits.
    #[must_use]
    pub fn has_frame(&self) -> bool {
        self.current.is_some() || self.ring.done(self.oldest).is_some()
    }

    fn look(&self) -> Option<Received> {
        let (command, status) = self.ring.done(self.oldest)?;
        let len = (command & RECEIVED_LEN) as usize;
        let goes_on = status & LAST_PIECE == 0;
        let is_sound = !goes_on && !self.in_frame && status & BROKEN == 0 && len <= NIC_BUFFER_LEN;
        let checks = status & (CHECKSUM_IGNORED | TCP_CHECKED | TCP_WRONG);
        Some(Received {
            len: if is_sound { len } else { 0 },
            is_verified: checks == TCP_CHECKED,
            goes_on,
        })
    }
}

impl Receiver for ReceiveRing {
    fn frame(&mut self) -> Option<&[u8]> {
        self.current = self.current.or_else(|| self.look());
        let len = self.current?.len;
        // SAFETY: the card gave the slot back, and gets it again only in `release`, which needs us
        // exclusively. `look` has checked the length.
        Some(unsafe { self.ring.buffer(self.oldest, len) })
    }

    fn checksum(&self) -> ReceivedChecksum {
        match self.current {
            Some(Received { is_verified: true, .. }) => ReceivedChecksum::Verified,
            _ => ReceivedChecksum::Unknown,
        }
    }

    fn release(&mut self) {
        if let Some(frame) = self.current.take() {
            self.in_frame = frame.goes_on;
            let slot = self.oldest;
            self.ring.put(slot, self.ring.buffer_address(slot), 0, 0);
            self.oldest = after(slot);
            // Telling costs more than a slot is worth. The slot at the tail stays ours.
            if after(slot).is_multiple_of(RECEIVE_BATCH) {
                self.ring.tail = slot;
                self.ring.is_dirty = true;
            }
        }
    }
}

/// The sending half.
pub struct SendRing {
    /// The ring's memory.
    pub ring: DescriptorRing,
    /// The oldest slot that the card may still be busy with.
    oldest: u16,
    /// Frames get through. If not, a full ring counts as one with room: who waits for it would wait
    /// for a cable. What is in it is old when the cable comes, what is lost is no loss.
    pub is_connected: bool,
}

impl SendRing {
    /// Begins with the context, for all checksums to come.
    #[must_use]
    pub fn new(mut ring: DescriptorRing) -> Self {
        ring.put(0, CONTEXT, CONTEXT_TCP | CONTEXT_IPV4 | REPORT | EXTENDED, 0);
        ring.tail = 1;
        ring.is_dirty = true;
        Self { ring, oldest: 0, is_connected: true }
    }

    fn has_room(&mut self) -> bool {
        if after(self.ring.tail) == self.oldest {
            while self.oldest != self.ring.tail && self.ring.done(self.oldest).is_some() {
                self.oldest = after(self.oldest);
            }
        }
        after(self.ring.tail) != self.oldest
    }
}

impl Sender for SendRing {
    fn is_ready(&mut self) -> bool {
        self.has_room() || !self.is_connected
    }

    fn send(&mut self, len: usize, fill: &mut dyn FnMut(&mut [u8])) {
        if len > FRAME_LEN_MAX || !self.has_room() {
            return;
        }
        let slot = self.ring.tail;
        // SAFETY: the slot at the tail is not the card's.
        let frame = unsafe { self.ring.buffer(slot, len) };
        fill(frame);
        let checksum = if nic::prepare_checksum(frame) { COMPLETE_TCP } else { 0 };
        let command = len as u32 | KIND_DATA | LAST | WITH_FRAME_CHECK | REPORT | EXTENDED;
        self.ring.put(slot, self.ring.buffer_address(slot), command, checksum);
        self.ring.tail = after(slot);
        self.ring.is_dirty = true;
    }
}

#[cfg(test)]
mod tests;
