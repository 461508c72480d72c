//! `mremap`. The kernel cannot move pages, so what cannot grow where it is gets copied.
#![forbid(unsafe_code)]

use linux_raw_sys::general as linux;

use super::regions::{PAGE, Protection, Region, Source};
use super::{ADDRESS_MIN, Space, is_free_to_use, pages};
use crate::Errno;
use crate::native::Native;

/// The arguments of `mremap`.
#[derive(Clone, Copy, Debug)]
pub struct Mremap {
    /// Where the mapping is.
    pub address: u64,
    /// How long it is.
    pub old_len: u64,
    /// How long it shall be.
    pub new_len: u64,
    /// `MREMAP_…`
    pub flags: u64,
    /// Where it shall be, with `MREMAP_FIXED`.
    pub new_address: u64,
}

impl Space {
    /// `mremap`.
    ///
    /// # Errors
    /// As Linux.
    pub fn mremap(&mut self, native: &mut impl Native, request: Mremap) -> Result<u64, Errno> {
        let flags = u32::try_from(request.flags).map_err(|_| Errno::EINVAL)?;
        let known = linux::MREMAP_MAYMOVE | linux::MREMAP_FIXED | linux::MREMAP_DONTUNMAP;
        let may_move = flags & linux::MREMAP_MAYMOVE != 0;
        let fixed = flags & linux::MREMAP_FIXED != 0;
        let keep = flags & linux::MREMAP_DONTUNMAP != 0;
        let address = request.address;
        if flags & !known != 0 || !address.is_multiple_of(PAGE) || ((fixed || keep) && !may_move) {
            return Err(Errno::EINVAL);
        }
        let new_len = pages(request.new_len).ok_or(Errno::EINVAL)?;
        // Length 0 would mean a second view of shared memory, which does not exist here.
        let old_len = pages(request.old_len).ok_or(Errno::EINVAL)?;
        if keep && old_len != new_len {
            return Err(Errno::EINVAL);
        }
        let (start, region) = self.regions.find(address).ok_or(Errno::EFAULT)?;
        if self.holds_vdso(address..address.saturating_add(old_len)) {
            return Err(Errno::EFAULT);
        }
        let old = Old { address, len: old_len, start, region };
        if fixed {
            return self.move_to(native, &old, new_len, request.new_address, keep);
        }
        if keep {
            let place = self.gap(new_len).ok_or(Errno::ENOMEM)?;
            return self.copy(native, &old, place, new_len, true);
        }
        if new_len <= old_len {
            if new_len < old_len {
                self.unmap(native, address + new_len..address + old_len)?;
            }
            return Ok(address);
        }
        if address.checked_add(old_len).is_none_or(|end| end > region.end) {
            return Err(Errno::EFAULT);
        }
        if self.grow(native, &old, new_len)? {
            return Ok(address);
        }
        if !may_move {
            return Err(Errno::ENOMEM);
        }
        let place = self.gap(new_len).ok_or(Errno::ENOMEM)?;
        self.copy(native, &old, place, new_len, false)
    }

    /// Makes the mapping longer where it is, if what follows is free.
    fn grow(&mut self, native: &mut impl Native, old: &Old, new_len: u64) -> Result<bool, Errno> {
        let (end, new_end) = (old.address + old.len, old.address.saturating_add(new_len));
        let free = old.region.end == end
            && is_free_to_use(end, new_len - old.len)
            && self.regions.is_free(end..new_end);
        if !free {
            return Ok(false);
        }
        match old.region.source {
            Source::Payload { offset } => {
                let offset = offset + (end - old.start);
                self.map_payload(native, end..new_end, old.region.protection, offset)?;
            }
            Source::Former { .. } | Source::Shared { .. } | Source::Copied { .. } => {
                return Ok(false);
            }
            source => self.map_zeroed(native, end..new_end, old.region.protection, source)?,
        }
        Ok(true)
    }

    /// `MREMAP_FIXED`.
    fn move_to(
        &mut self,
        native: &mut impl Native,
        old: &Old,
        new_len: u64,
        place: u64,
        keep: bool,
    ) -> Result<u64, Errno> {
        let end = place.checked_add(new_len).ok_or(Errno::EINVAL)?;
        let overlaps = place < old.address.saturating_add(old.len) && old.address < end;
        if !place.is_multiple_of(PAGE) || overlaps || !is_free_to_use(place, new_len) {
            return Err(Errno::EINVAL);
        }
        if place < ADDRESS_MIN {
            return Err(Errno::EPERM);
        }
        if old.address.checked_add(old.len).is_none_or(|end| end > old.region.end) {
            return Err(Errno::EFAULT);
        }
        self.unmap(native, place..end)?;
        self.copy(native, old, place, new_len, keep)
    }

    /// Copies the mapping to a free place and removes it, or with `keep` leaves zeroes behind.
    fn copy(
        &mut self,
        native: &mut impl Native,
        old: &Old,
        place: u64,
        new_len: u64,
        keep: bool,
    ) -> Result<u64, Errno> {
        let protection = old.region.protection;
        let source = match old.region.source {
            // The copy is no longer the file's.
            Source::Payload { .. } | Source::Former { .. } | Source::Stack | Source::Heap => {
                Source::Anonymous
            }
            source => source,
        };
        self.map_zeroed(native, place..place + new_len, Protection::WRITE, source)?;
        let readable = protection.allows(Protection::READ);
        if !readable {
            let range = old.address..old.address + old.len;
            native.protect(range.start, old.len, Protection::READ.bits()).map_err(super::errno)?;
            self.regions.protect(range, Protection::READ);
        }
        self.copy_pages(old.address, place, old.len.min(new_len))?;
        if protection != Protection::WRITE {
            self.set_protection(native, place..place + new_len, protection)?;
        }
        if keep {
            let range = old.address..old.address + old.len;
            self.map_zeroed(native, range, protection, Source::Anonymous)?;
        } else {
            self.unmap(native, old.address..old.address + old.len)?;
        }
        Ok(place)
    }

    /// Copies page by page and leaves out those that are zero, so that reserved memory stays free.
    fn copy_pages(&mut self, from: u64, to: u64, len: u64) -> Result<(), Errno> {
        for at in (0..len).step_by(PAGE as usize) {
            let page: [u8; PAGE as usize] = self.read(from + at)?;
            if page.iter().any(|byte| *byte != 0) {
                self.write(to + at, &page)?;
            }
        }
        Ok(())
    }
}

/// What is to be moved.
struct Old {
    address: u64,
    len: u64,
    /// The region it is in.
    start: u64,
    region: Region,
}
