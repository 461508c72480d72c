//! Memory for virtio queues and buffers: permanent runs of frames, seen through the direct map.

use core::ptr::NonNull;

use virtio_drivers::{BufferDirection, Hal, PhysAddr};

use limits::PAGE_LEN;
use memory::kernel_map;
use memory::physical::PhysicalAddress;

/// See the module.
pub struct KernelHal;

// SAFETY: `dma_alloc` returns zeroed, page-aligned, contiguous memory that nothing else uses; all
// addresses are those of the direct map, for which both translations are an addition.
unsafe impl Hal for KernelHal {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let start = kernel_map::permanent(pages).expect("a machine has memory for its queues");
        // SAFETY: the run belongs to the caller from now on.
        unsafe { start.write_bytes(0, pages * PAGE_LEN) };
        let pointer = NonNull::new(start).expect("the direct map is not at address 0");
        (kernel_map::physical_of(start), pointer)
    }

    unsafe fn dma_dealloc(_: PhysAddr, _: NonNull<u8>, _: usize) -> i32 {
        // Queues live as long as the node; only a card that failed to open leaves its pages behind.
        0
    }

    unsafe fn mmio_phys_to_virt(address: PhysAddr, len: usize) -> NonNull<u8> {
        let registers = kernel_map::device(PhysicalAddress(address), len);
        NonNull::new(registers).expect("the direct map is not at address 0")
    }

    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        kernel_map::physical_of(buffer.as_ptr().cast())
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}
