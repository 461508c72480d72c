//! The program's memory as bytes. With the entry code the only place where an address that came
//! from the program is dereferenced.
//!
//! An address is a claim. It is looked up in the [`Regions`], which never hold memory of the
//! library OS itself, and only then touched; so the worst a bad one can cause is `EFAULT`. What is
//! handed out borrows both the one [`Memory`] there is and the regions: while it lives no mapping
//! can change under it, and nothing can be written that is also being read.

use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};
use core::slice;

use super::regions::{Protection, Regions};
use crate::Errno;

/// The right to touch the program's memory: there is one, inside [`Space`](super::Space).
#[derive(Debug)]
pub struct Memory(());

impl Memory {
    /// The program's memory.
    pub(super) const fn new() -> Self {
        Self(())
    }

    /// Bytes of the program that it could read itself.
    ///
    /// # Errors
    /// `EFAULT` if it could not.
    #[inline]
    pub fn bytes<'a>(
        &'a self,
        regions: &'a Regions,
        address: u64,
        len: u64,
    ) -> Result<&'a [u8], Errno> {
        if len == 0 {
            return Ok(&[]);
        }
        if !regions.covers(address, len, Protection::READ) {
            return Err(Errno::EFAULT);
        }
        let first = with_exposed_provenance(address as usize);
        // SAFETY: the regions say that the program can read all these bytes, and the kernel maps
        // what they say (`Space` changes both together). A region never begins at 0. The program
        // does not run while the library OS does, and `&self` keeps `bytes_mut` from existing.
        Ok(unsafe { slice::from_raw_parts(first, len as usize) })
    }

    /// Bytes of the program that it could write itself.
    ///
    /// # Errors
    /// `EFAULT` if it could not.
    #[inline]
    pub fn bytes_mut<'a>(
        &'a mut self,
        regions: &'a Regions,
        address: u64,
        len: u64,
    ) -> Result<&'a mut [u8], Errno> {
        if len == 0 {
            return Ok(&mut []);
        }
        if !regions.covers(address, len, Protection::WRITE) {
            return Err(Errno::EFAULT);
        }
        let first = with_exposed_provenance_mut(address as usize);
        // SAFETY: as in `bytes`, for writing; `&mut self` makes it the only view.
        Ok(unsafe { slice::from_raw_parts_mut(first, len as usize) })
    }
}
