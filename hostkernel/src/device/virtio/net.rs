//! The virtio network card: one receive and one send queue of fixed buffers (virtio 1.2, 5.1).
//!
//! Negotiated on purpose without event indices and indirect descriptors: a frame is one descriptor,
//! and interrupts and notifications are switched by the rings' flags, which batches better than the
//! crate's event-index logic.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ptr::NonNull;
use core::sync::atomic::{Ordering, fence};

use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::{DeviceStatus, Transport};

use super::hal::KernelHal;
use super::header;
use super::start::{Error, FEATURE_VERSION_1, start};
use limits::{MTU_MAX, MTU_MIN, NIC_BUFFER_LEN, NIC_QUEUE_LEN, PAGE_LEN};
use memory::kernel_map;
use node::net::nic::{ETHERNET_HEADER_LEN, Nic, ReceivedChecksum, Receiver, Sender};

const RECEIVE: u16 = 0;
const SEND: u16 = 1;

const FEATURE_CHECKSUM: u64 = 1 << 0;
const FEATURE_GUEST_CHECKSUM: u64 = 1 << 1;
const FEATURE_MTU: u64 = 1 << 3;
const FEATURE_MAC: u64 = 1 << 5;
const FEATURE_ANY_LAYOUT: u64 = 1 << 27;
const WANTED: u64 = FEATURE_CHECKSUM | FEATURE_GUEST_CHECKSUM | FEATURE_MAC | FEATURE_ANY_LAYOUT;

/// Where the card's own structure has its address, and the MTU of its link (virtio 1.2, 5.1.4).
const CONFIG_MAC: usize = 0;
const CONFIG_MTU: usize = 10;

const _: () = assert!(header::LEN + ETHERNET_HEADER_LEN + MTU_MAX <= NIC_BUFFER_LEN);

type Queue = VirtQueue<KernelHal, NIC_QUEUE_LEN>;

/// One queue and its buffers, one for each descriptor.
struct BufferedQueue {
    queue: Box<Queue>,
    buffers: NonNull<u8>,
    /// Which buffer a descriptor in flight carries.
    carried: [u16; NIC_QUEUE_LEN],
    header_len: usize,
    /// Something was queued since the card was last told.
    dirty: bool,
}

impl BufferedQueue {
    fn new<T: Transport>(transport: &mut T, index: u16, header_len: usize) -> Result<Self, Error> {
        let queue = Queue::new(transport, index, false, false).map_err(Error::Queue)?;
        let pages = NIC_QUEUE_LEN * NIC_BUFFER_LEN / PAGE_LEN;
        let buffers = kernel_map::permanent(pages).map_err(|_| Error::NoMemory)?;
        // SAFETY: the run is ours. Headers in front of sent frames stay as they are made here:
        // zero.
        unsafe { buffers.write_bytes(0, pages * PAGE_LEN) };
        let buffers = NonNull::new(buffers).expect("the direct map is not at address 0");
        Ok(Self {
            queue: Box::new(queue),
            buffers,
            carried: [0; NIC_QUEUE_LEN],
            header_len,
            dirty: false,
        })
    }

    /// The buffer's first `len` bytes.
    ///
    /// # Safety
    /// The buffer is not in flight and `len` is at most its length.
    unsafe fn buffer<'a>(&self, number: u16, len: usize) -> &'a mut [u8] {
        let offset = usize::from(number) * NIC_BUFFER_LEN;
        // SAFETY: numbers are below the queue length; the caller vouches for the rest.
        unsafe { core::slice::from_raw_parts_mut(self.buffers.add(offset).as_ptr(), len) }
    }
}

/// The receiving half.
struct ReceiveRing {
    ring: BufferedQueue,
    /// Buffer and length of the frame that was taken from the card and not released.
    current: Option<(u16, usize)>,
    /// The card was asked to say which checksums need not be looked at.
    trusts_checksums: bool,
}

impl ReceiveRing {
    fn offer(&mut self, number: u16) {
        let ring = &mut self.ring;
        // SAFETY: the buffer is not in flight: it is new, or the card gave it back. From here on
        // only the card touches it, until `take` gets it back.
        let added = unsafe { ring.queue.add(&[], &mut [ring.buffer(number, NIC_BUFFER_LEN)]) };
        // There are as many descriptors as buffers, so this does not fail.
        if let Ok(descriptor) = added {
            ring.carried[usize::from(descriptor)] = number;
            ring.dirty = true;
        }
    }

    /// Takes the next used buffer from the card.
    fn take(&mut self) -> Option<(u16, usize)> {
        let ring = &mut self.ring;
        let descriptor = ring.queue.peek_used()?;
        // A card that names a descriptor outside its queue is broken; it gets no further.
        let number = *ring.carried.get(usize::from(descriptor))?;
        // SAFETY: the card gave this descriptor back, so its buffer is ours again.
        let buffer = unsafe { ring.buffer(number, NIC_BUFFER_LEN) };
        // SAFETY: this is the buffer that was added with this descriptor.
        let len = unsafe { ring.queue.pop_used(descriptor, &[], &mut [buffer]) }.ok()?;
        Some((number, (len as usize).min(NIC_BUFFER_LEN)))
    }
}

impl ReceiveRing {
    fn current(&self) -> Option<&[u8]> {
        let (number, end) = self.current?;
        // SAFETY: the buffer was taken from the card and is offered again only in `release`.
        Some(unsafe { self.ring.buffer(number, end) })
    }
}

impl Receiver for ReceiveRing {
    fn frame(&mut self) -> Option<&[u8]> {
        if self.current.is_none() {
            self.current = self.take();
        }
        Some(self.current()?.get(self.ring.header_len..).unwrap_or_default())
    }

    fn checksum(&self) -> ReceivedChecksum {
        match self.current() {
            Some(buffer) if self.trusts_checksums => header::received_checksum(buffer),
            _ => ReceivedChecksum::Unknown,
        }
    }

    fn release(&mut self) {
        if let Some((number, _)) = self.current.take() {
            self.offer(number);
        }
    }
}

/// The sending half.
struct SendRing {
    ring: BufferedQueue,
    free: Vec<u16>,
    /// The card completes checksums.
    completes_checksums: bool,
    /// Longer ones than the link carries must not be sent (virtio 1.2, 5.1.6.2.1).
    frame_len_max: usize,
}

impl SendRing {
    fn reclaim(&mut self) {
        let ring = &mut self.ring;
        while let Some(descriptor) = ring.queue.peek_used() {
            let Some(&number) = ring.carried.get(usize::from(descriptor)) else { return };
            // SAFETY: the card gave the descriptor back; nobody else refers to its buffer.
            let buffer = unsafe { ring.buffer(number, NIC_BUFFER_LEN) };
            // SAFETY: the buffer that was added with this descriptor.
            if unsafe { ring.queue.pop_used(descriptor, &[&*buffer], &mut []) }.is_err() {
                return;
            }
            self.free.push(number);
        }
    }
}

impl Sender for SendRing {
    fn is_ready(&mut self) -> bool {
        if self.free.is_empty() {
            self.reclaim();
        }
        !self.free.is_empty()
    }

    fn send(&mut self, len: usize, fill: &mut dyn FnMut(&mut [u8])) {
        // Never part of a frame: the rest of the buffer still holds the bytes of an earlier one.
        if len > self.frame_len_max || !self.is_ready() {
            return;
        }
        let Some(number) = self.free.pop() else { return };
        let ring = &mut self.ring;
        // SAFETY: the buffer was free, so it is not in flight.
        let buffer = unsafe { ring.buffer(number, ring.header_len + len) };
        let (header, frame) = buffer.split_at_mut(ring.header_len);
        fill(frame);
        if self.completes_checksums {
            header::leave_checksum(header, frame);
        }
        // SAFETY: nothing touches the buffer until `reclaim` takes it back.
        match unsafe { ring.queue.add(&[&*buffer], &mut []) } {
            Ok(descriptor) => {
                ring.carried[usize::from(descriptor)] = number;
                ring.dirty = true;
            }
            Err(_) => self.free.push(number),
        }
    }
}

/// The MTU that a card states, if it is one to go by. Beyond [`MTU_MAX`] it is not: whoever accepts
/// an MTU must have buffers for frames of that length (virtio 1.2, 5.1.4.2).
fn stated_mtu<T: Transport>(transport: &T, offered: u64) -> Option<usize> {
    if offered & FEATURE_MTU == 0 {
        return None;
    }
    let mtu = usize::from(transport.read_config_space::<u16>(CONFIG_MTU).ok()?);
    if mtu < MTU_MIN {
        log::warn!("the network card states an MTU of {mtu}, which no link has");
    }
    (MTU_MIN..=MTU_MAX).contains(&mtu).then_some(mtu)
}

/// A virtio network card on any transport.
pub struct VirtioNet<T: Transport> {
    transport: T,
    receive: ReceiveRing,
    send: SendRing,
    address: [u8; 6],
}

impl<T: Transport> VirtioNet<T> {
    pub fn new(mut transport: T) -> Result<Self, Error> {
        let mut mtu = None;
        let features = start(&mut transport, |transport, offered| {
            mtu = stated_mtu(transport, offered);
            if mtu.is_some() { WANTED | FEATURE_MTU } else { WANTED }
        })?;
        log::debug!("virtio features {features:#x}");
        let modern = features & FEATURE_VERSION_1 != 0;
        if !modern && features & FEATURE_ANY_LAYOUT == 0 {
            return Err(Error::TooOld);
        }
        let header_len = if modern { header::LEN } else { header::LEN_LEGACY };
        let address = if features & FEATURE_MAC != 0 {
            transport.read_config_space::<[u8; 6]>(CONFIG_MAC).map_err(Error::Queue)?
        } else {
            // Locally administered; a card without an address is alone on its wire.
            [0x02, 0x68, 0x6b, 0, 0, 1]
        };
        let ring = BufferedQueue::new(&mut transport, RECEIVE, header_len)?;
        let trusts_checksums = features & FEATURE_GUEST_CHECKSUM != 0;
        let receive = ReceiveRing { ring, current: None, trusts_checksums };
        let mut ring = BufferedQueue::new(&mut transport, SEND, header_len)?;
        ring.queue.set_dev_notify(false);
        let free = (0..NIC_QUEUE_LEN as u16).collect();
        let completes_checksums = features & FEATURE_CHECKSUM != 0;
        let frame_len_max = ETHERNET_HEADER_LEN + mtu.unwrap_or(MTU_MAX);
        let send = SendRing { ring, free, completes_checksums, frame_len_max };
        transport.finish_init();
        let mut nic = Self { transport, receive, send, address };
        nic.receive.ring.queue.set_dev_notify(false);
        (0..NIC_QUEUE_LEN as u16).for_each(|number| nic.receive.offer(number));
        nic.flush();
        // A device that cannot read its queue finds out when it is first told of it.
        if nic.transport.get_status().contains(DeviceStatus::DEVICE_NEEDS_RESET) {
            return Err(Error::GaveUp);
        }
        Ok(nic)
    }
}

impl<T: Transport> Nic for VirtioNet<T> {
    fn address(&self) -> [u8; 6] {
        self.address
    }

    fn frame_len_max(&self) -> usize {
        self.send.frame_len_max
    }

    fn completes_checksums(&self) -> bool {
        self.send.completes_checksums
    }

    fn split(&mut self) -> (&mut dyn Receiver, &mut dyn Sender) {
        (&mut self.receive, &mut self.send)
    }

    fn flush(&mut self) {
        for (ring, index) in [(&mut self.receive.ring, RECEIVE), (&mut self.send.ring, SEND)] {
            if core::mem::take(&mut ring.dirty) {
                // The card must see the ring's index before we read whether it wants to be told:
                // the one reordering x86 does.
                fence(Ordering::SeqCst);
                if ring.queue.should_notify() {
                    self.transport.notify(index);
                }
            }
        }
    }

    fn arm(&mut self) -> bool {
        // One that was looked at is no longer in the ring.
        if self.receive.current.is_some() {
            return false;
        }
        let queue = &mut self.receive.ring.queue;
        queue.set_dev_notify(true);
        // As in `flush`, the other way round.
        fence(Ordering::SeqCst);
        if queue.can_pop() {
            queue.set_dev_notify(false);
            return false;
        }
        true
    }

    fn disarm(&mut self) {
        self.receive.ring.queue.set_dev_notify(false);
        self.transport.ack_interrupt();
    }
}
