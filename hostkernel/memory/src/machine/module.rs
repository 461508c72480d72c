//! What the boot loader put into memory beside the kernel, until it is no longer needed.

use core::sync::atomic::{AtomicBool, Ordering};

use super::kernel_map;
use crate::layout::MemoryLayout;
use crate::physical::PhysicalAddress;
use limits::{BUNDLE_LEN_MAX, PAGE_LEN};

/// The module, kept out of the frame pool. Its frames go there when it is dropped.
pub struct BootModule {
    layout: MemoryLayout<'static>,
    bytes: &'static [u8],
}

/// The module is longer than [`BUNDLE_LEN_MAX`].
#[derive(Clone, Copy, Debug)]
pub struct TooLong;

impl BootModule {
    /// The boot loader's module, if there is one. The second call finds none.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn take(layout: MemoryLayout<'static>) -> Result<Option<Self>, TooLong> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        let Some((start, end)) = layout.module else { return Ok(None) };
        if TAKEN.swap(true, Ordering::Relaxed) {
            return Ok(None);
        }
        let len = (end - start) as usize;
        if len > BUNDLE_LEN_MAX {
            return Err(TooLong);
        }
        let pointer = kernel_map::firmware(PhysicalAddress(start), len);
        // SAFETY: the boot loader says that the module is there; its frames are not in the pool,
        // and are mapped now. Nobody writes to them while `self` lives, and `bytes` hands nothing
        // out for longer.
        let bytes = unsafe { core::slice::from_raw_parts(pointer, len) };
        Ok(Some(Self { layout, bytes }))
    }

    /// Its content.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes
    }

    /// Frames it will give back.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.bytes.len() / PAGE_LEN
    }
}

impl Drop for BootModule {
    fn drop(&mut self) {
        // SAFETY: `take` makes one of these, whose only reference to the frames ends here.
        unsafe { kernel_map::add_module_memory(self.layout) };
    }
}
