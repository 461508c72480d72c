//! The virtio entropy device (virtio 1.2, 5.4): asked once, while booting.

use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::{DeviceStatus, Transport};
use virtio_drivers::{BufferDirection, Hal};

use super::hal::KernelHal;
use super::start::start;
use crate::arch::clock;

/// What is asked for: twice a seed.
pub type Entropy = [u8; 64];

/// How long a device may take to find them; nobody waits longer for a better seed.
const TIMEOUT_NS: u64 = 1_000_000_000;
/// Descriptors: it is asked for one buffer at a time.
const QUEUE_LEN: usize = 2;

/// Asks for random bytes and resets the device. `None` if they do not come in time.
pub fn read<T: Transport>(mut transport: T) -> Option<Entropy> {
    let mut entropy = [0; size_of::<Entropy>()];
    let filled = fill(&mut transport, &mut entropy);
    // From here on it does not write to memory.
    transport.set_status(DeviceStatus::empty());
    filled.map(|()| entropy)
}

fn fill<T: Transport>(transport: &mut T, entropy: &mut Entropy) -> Option<()> {
    start(transport, |_, _| 0).ok()?;
    let mut queue = VirtQueue::<KernelHal, QUEUE_LEN>::new(transport, 0, false, false).ok()?;
    queue.set_dev_notify(false);
    transport.finish_init();
    let (_, page) = KernelHal::dma_alloc(1, BufferDirection::DeviceToDriver);
    let end_ns = clock::now_ns() + TIMEOUT_NS;
    let mut done = 0;
    while done < entropy.len() {
        let rest = &mut entropy[done..];
        // SAFETY: the page is ours for good, and larger; between `add` and `pop_used` it is not
        // touched.
        let buffer = unsafe { core::slice::from_raw_parts_mut(page.as_ptr(), rest.len()) };
        // SAFETY: as above. After a time-out the device is reset, and the page never used again.
        let token = unsafe { queue.add(&[], &mut [&mut *buffer]) }.ok()?;
        transport.notify(0);
        while !queue.can_pop() {
            if clock::now_ns() >= end_ns {
                return None;
            }
            core::hint::spin_loop();
        }
        // SAFETY: the buffer that was added with this descriptor.
        let len = unsafe { queue.pop_used(token, &[], &mut [&mut *buffer]) }.ok()? as usize;
        let len = len.min(rest.len());
        rest[..len].copy_from_slice(&buffer[..len]);
        done += len;
        if clock::now_ns() >= end_ns {
            return None;
        }
    }
    Some(())
}
