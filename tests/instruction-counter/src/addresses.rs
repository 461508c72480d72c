//! How often one core executed the instruction at each address.
//!
//! The file is an array of [`Record`]s in the order in which QEMU translated them; one with
//! the address 0 ends it. It can be read while QEMU runs.

use std::collections::HashMap;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::MmapRaw;

/// Addresses there is room for; further ones are not counted.
pub const ADDRESSES_MAX: usize = 1 << 19;
/// Length of the file.
pub const FILE_LEN: usize = ADDRESSES_MAX * size_of::<Record>();

/// An address, and how often the instruction there was executed.
#[derive(Debug)]
#[repr(C)]
pub struct Record {
    /// The address.
    pub address: AtomicU64,
    /// How often.
    pub executions: AtomicU64,
}

/// The file, mapped.
#[derive(Debug)]
pub struct Addresses {
    file: MmapRaw,
    core: usize,
    /// Positions of the addresses that have a record.
    known: Mutex<HashMap<u64, usize>>,
}

impl Addresses {
    /// Counts what `core` executes into a mapping of [`FILE_LEN`] zeros.
    #[must_use]
    pub fn new(file: MmapRaw, core: usize) -> Self {
        assert!(file.len() >= FILE_LEN, "who maps the file looks at its length");
        Self { file, core, known: Mutex::default() }
    }

    /// The record of an address, if there is room for it. It stays where it is.
    #[must_use]
    pub fn record(&self, address: u64) -> Option<*mut Record> {
        let mut known = self.known.lock().ok()?;
        let next = known.len();
        let position = *known.entry(address).or_insert(next);
        if position >= ADDRESSES_MAX {
            return None;
        }
        // SAFETY: the position is below the number of records in the mapping.
        let record = unsafe { self.file.as_mut_ptr().cast::<Record>().add(position) };
        // SAFETY: a mapping starts at a page, so the record is aligned; it lives as long as `self`.
        unsafe { (*record).address.store(address, Ordering::Relaxed) };
        Some(record)
    }

    /// Counts one execution, if it is the core's.
    ///
    /// # Safety
    /// `record` came from [`Self::record`] of the same value.
    pub unsafe fn count(&self, core: usize, record: *mut Record) {
        if core == self.core {
            // SAFETY: the caller's promise.
            crate::increment(unsafe { &*ptr::addr_of!((*record).executions) });
        }
    }
}
