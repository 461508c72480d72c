//! `mmap`, `munmap`, `mprotect`, `madvise`, `brk` and their small relatives.
#![forbid(unsafe_code)]

use linux_raw_sys::general as linux;

use super::regions::{PAGE, Protection, Source};
use super::{ADDRESS_MIN, Space, is_free_to_use, pages};
use crate::Errno;
use crate::native::Native;

/// What a mapping shows.
#[derive(Clone, Copy, Debug)]
pub enum Backing<'a> {
    /// Zeroes.
    Anonymous,
    /// A file whose bytes are these pages of the payload, from this offset on.
    Payload {
        /// Offset in the payload, of whole pages.
        offset: u64,
        /// Bytes from there to the file's end.
        len: u64,
    },
    /// A file that is shared; the caller copies its bytes, which can be written until then.
    Shared {
        /// Which file.
        file: u32,
        /// Offset of the first byte.
        offset: u64,
    },
    /// A file whose bytes must be copied.
    Bytes {
        /// From the mapping's offset on to the file's end.
        bytes: &'a [u8],
        /// Which file, for `/proc/self/maps`.
        file: u64,
        /// Offset of the first byte.
        offset: u64,
    },
}

/// The arguments of `mmap` that do not name a file.
#[derive(Clone, Copy, Debug)]
pub struct Mmap {
    /// Where, or near where.
    pub address: u64,
    /// How many bytes.
    pub len: u64,
    /// `PROT_…`
    pub protection: u64,
    /// `MAP_…`
    pub flags: u64,
}

/// Mappings that may be placed anywhere below the first one's end stay above this address.
const PLACE_MIN: u64 = 0x100_0000_0000;

impl Space {
    /// `mmap`.
    ///
    /// # Errors
    /// As Linux; `EACCES` for memory to be written and executed.
    pub fn mmap(
        &mut self,
        native: &mut impl Native,
        request: Mmap,
        backing: Backing<'_>,
    ) -> Result<u64, Errno> {
        let protection = protection(request.protection)?;
        if request.len == 0 {
            return Err(Errno::EINVAL);
        }
        let len = pages(request.len).ok_or(Errno::ENOMEM)?;
        let start = self.place(&request, len)?;
        let range = start..start + len;
        match backing {
            Backing::Anonymous => {
                self.map_zeroed(native, range, protection, Source::Anonymous)?;
            }
            Backing::Payload { offset, len } => {
                self.map_file_pages(native, range, protection, offset, len)?;
            }
            Backing::Shared { file, offset } => {
                let source = Source::Shared { file, offset };
                self.map_zeroed(native, range, Protection::WRITE, source)?;
            }
            Backing::Bytes { bytes, file, offset } => {
                let source = Source::Copied { file, offset };
                self.map_zeroed(native, range.clone(), Protection::WRITE, source)?;
                let copied = &bytes[..bytes.len().min(len as usize)];
                self.write(start, copied)?;
                self.set_protection(native, range, protection)?;
            }
        }
        Ok(start)
    }

    /// Maps the pages of a file in the payload. Behind its end the last of them is zero, and there
    /// are no more: where Linux raises `SIGBUS` there is no access.
    fn map_file_pages(
        &mut self,
        native: &mut impl Native,
        range: core::ops::Range<u64>,
        protection: Protection,
        offset: u64,
        len: u64,
    ) -> Result<(), Errno> {
        let len = len.min(range.end - range.start);
        let (file_end, pages_end) = (range.start + len, range.start + len.next_multiple_of(PAGE));
        if pages_end > range.start {
            self.map_payload(native, range.start..pages_end, protection, offset)?;
        }
        if file_end < pages_end {
            let last = pages_end - PAGE..pages_end;
            self.set_protection(native, last.clone(), Protection::WRITE)?;
            self.bytes_mut(file_end, pages_end - file_end)?.fill(0);
            self.set_protection(native, last, protection)?;
        }
        if range.end > pages_end {
            let rest = pages_end..range.end;
            self.map_zeroed(native, rest, Protection::NONE, Source::Anonymous)?;
        }
        Ok(())
    }

    /// Where a mapping goes.
    fn place(&self, request: &Mmap, len: u64) -> Result<u64, Errno> {
        let flag = |flag: u32| request.flags & u64::from(flag) != 0;
        let whole_pages = request.address.is_multiple_of(PAGE);
        if flag(linux::MAP_FIXED) || flag(linux::MAP_FIXED_NOREPLACE) {
            if !whole_pages {
                return Err(Errno::EINVAL);
            }
            if request.address < ADDRESS_MIN {
                return Err(Errno::EPERM);
            }
            if !is_free_to_use(request.address, len) {
                return Err(Errno::ENOMEM);
            }
            let free = self.regions.is_free(request.address..request.address + len);
            if flag(linux::MAP_FIXED_NOREPLACE) && !free {
                return Err(Errno::EEXIST);
            }
            return Ok(request.address);
        }
        let hint = request.address / PAGE * PAGE;
        if hint >= ADDRESS_MIN
            && is_free_to_use(hint, len)
            && self.regions.is_free(hint..hint + len)
        {
            return Ok(hint);
        }
        self.gap(len).ok_or(Errno::ENOMEM)
    }

    /// A free place for a mapping of this many bytes.
    pub(crate) fn gap(&self, len: u64) -> Option<u64> {
        self.regions.gap_below(self.layout.mmap_top, PLACE_MIN, len)
    }

    /// `munmap`.
    ///
    /// # Errors
    /// As Linux.
    pub fn munmap(
        &mut self,
        native: &mut impl Native,
        address: u64,
        len: u64,
    ) -> Result<(), Errno> {
        let len = pages(len).ok_or(Errno::EINVAL)?;
        if !address.is_multiple_of(PAGE)
            || address.checked_add(len).is_none_or(|end| end > super::ADDRESS_END)
        {
            return Err(Errno::EINVAL);
        }
        self.unmap(native, address..address + len)
    }

    /// `mprotect`.
    ///
    /// # Errors
    /// As Linux: `ENOMEM` at the first page that is not mapped, with those before it changed.
    pub fn mprotect(
        &mut self,
        native: &mut impl Native,
        address: u64,
        len: u64,
        bits: u64,
    ) -> Result<(), Errno> {
        if !address.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        let protection = protection(bits)?;
        if len == 0 {
            return Ok(());
        }
        let len = pages(len).ok_or(Errno::ENOMEM)?;
        let end = address.checked_add(len).ok_or(Errno::ENOMEM)?;
        let mapped = self.regions.covered_len(address, len, Protection::NONE);
        if self.holds_vdso(address..address + mapped) {
            return Err(Errno::EACCES);
        }
        if mapped > 0 {
            self.set_protection(native, address..address + mapped, protection)?;
        }
        if address + mapped == end { Ok(()) } else { Err(Errno::ENOMEM) }
    }

    /// Whether the page with the time functions is in a range: it is the library OS's, too, and
    /// stays as it is.
    pub(super) fn holds_vdso(&self, range: core::ops::Range<u64>) -> bool {
        self.regions.within(range).any(|(_, region)| region.source == Source::Vdso)
    }

    /// Changes the protection of pages that are all mapped.
    pub(crate) fn set_protection(
        &mut self,
        native: &mut impl Native,
        range: core::ops::Range<u64>,
        protection: Protection,
    ) -> Result<(), Errno> {
        let len = range.end - range.start;
        native.protect(range.start, len, protection.bits()).map_err(super::errno)?;
        self.regions.protect(range, protection);
        Ok(())
    }

    /// `madvise`.
    ///
    /// # Errors
    /// As Linux.
    pub fn madvise(
        &mut self,
        native: &mut impl Native,
        address: u64,
        len: u64,
        advice: u64,
    ) -> Result<(), Errno> {
        if !address.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        let advice = u32::try_from(advice).map_err(|_| Errno::EINVAL)?;
        let discards = match advice {
            linux::MADV_DONTNEED | linux::MADV_FREE | linux::MADV_DONTNEED_LOCKED => true,
            linux::MADV_NORMAL..=linux::MADV_WILLNEED
            | linux::MADV_DONTFORK
            | linux::MADV_DOFORK
            | linux::MADV_HUGEPAGE
            | linux::MADV_NOHUGEPAGE
            | linux::MADV_DONTDUMP
            | linux::MADV_DODUMP
            | linux::MADV_WIPEONFORK
            | linux::MADV_KEEPONFORK
            | linux::MADV_COLD
            | linux::MADV_PAGEOUT
            | linux::MADV_POPULATE_READ
            | linux::MADV_POPULATE_WRITE => false,
            _ => return Err(Errno::EINVAL),
        };
        if len == 0 {
            return Ok(());
        }
        let len = pages(len).ok_or(Errno::EINVAL)?;
        let end = address.checked_add(len).ok_or(Errno::EINVAL)?;
        match advice {
            linux::MADV_WIPEONFORK => self.change_source(address..end, Source::Wiped)?,
            linux::MADV_KEEPONFORK => self.change_source(address..end, Source::Anonymous)?,
            _ => {}
        }
        if discards {
            for (start, region) in self.regions.within(address..end) {
                // What was copied out of a file cannot be read again.
                if !matches!(
                    region.source,
                    Source::Copied { .. } | Source::Shared { .. } | Source::Vdso
                ) {
                    native.discard(start, region.end - start).map_err(super::errno)?;
                }
            }
        }
        match self.regions.covered_len(address, len, Protection::NONE) == len {
            true => Ok(()),
            false => Err(Errno::ENOMEM),
        }
    }

    /// Makes anonymous memory some that is wiped behind a fork, or such memory what it was.
    fn change_source(&mut self, range: core::ops::Range<u64>, to: Source) -> Result<(), Errno> {
        let can_be = |source| matches!(source, Source::Anonymous | Source::Wiped);
        if self.regions.within(range.clone()).any(|(_, region)| !can_be(region.source)) {
            return Err(Errno::EINVAL);
        }
        self.regions.change(range, |region| region.source = to);
        Ok(())
    }

    /// Wipes what is to be wiped behind a fork.
    pub(crate) fn wipe(&self, native: &mut impl Native) -> Result<(), Errno> {
        for (start, region) in self.regions.iter() {
            if region.source == Source::Wiped {
                native.discard(start, region.end - start).map_err(super::errno)?;
            }
        }
        Ok(())
    }

    /// `brk`: where the heap ends now. Like Linux it never fails, but leaves the end where it was.
    pub fn brk(&mut self, native: &mut impl Native, wanted: u64) -> u64 {
        let layout = self.layout;
        if wanted < layout.break_start || wanted > super::ADDRESS_END {
            return layout.break_end;
        }
        let (old, new) = (layout.break_end.next_multiple_of(PAGE), wanted.next_multiple_of(PAGE));
        let changed = if new > old {
            let free = is_free_to_use(old, new - old) && self.regions.is_free(old..new);
            free && self.map_zeroed(native, old..new, Protection::WRITE, Source::Heap).is_ok()
        } else if new < old {
            self.unmap(native, new..old).is_ok()
        } else {
            true
        };
        if changed {
            self.layout.break_end = wanted;
        }
        self.layout.break_end
    }

    /// `mincore`: everything that is mapped counts as present.
    ///
    /// # Errors
    /// As Linux.
    pub fn mincore(&mut self, address: u64, len: u64, vector: u64) -> Result<(), Errno> {
        if !address.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        let len = len.checked_next_multiple_of(PAGE).ok_or(Errno::ENOMEM)?;
        if self.regions.covered_len(address, len, Protection::NONE) != len {
            return Err(Errno::ENOMEM);
        }
        self.bytes_mut(vector, len / PAGE)?.fill(1);
        Ok(())
    }

    /// Whether a range is mapped, for calls that only ask that: `msync`, `mlock`.
    ///
    /// # Errors
    /// `EINVAL` unless it begins at a page, `ENOMEM` if a part is not mapped.
    pub fn check_mapped(&self, address: u64, len: u64) -> Result<(), Errno> {
        if !address.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        let len = len.checked_next_multiple_of(PAGE).ok_or(Errno::ENOMEM)?;
        match self.regions.covered_len(address, len, Protection::NONE) == len {
            true => Ok(()),
            false => Err(Errno::ENOMEM),
        }
    }
}

/// Linux's bits as the kernel's. What can be written or executed can be read, as on every x86-64
/// machine without protection keys; both at once is refused, as SELinux refuses it.
fn protection(bits: u64) -> Result<Protection, Errno> {
    let known = linux::PROT_READ
        | linux::PROT_WRITE
        | linux::PROT_EXEC
        | linux::PROT_SEM
        | linux::PROT_GROWSDOWN
        | linux::PROT_GROWSUP;
    let Some(bits) = u32::try_from(bits).ok().filter(|bits| bits & !known == 0) else {
        return Err(Errno::EINVAL);
    };
    let has = |bit| bits & bit != 0;
    match (has(linux::PROT_READ), has(linux::PROT_WRITE), has(linux::PROT_EXEC)) {
        (_, true, true) => Err(Errno::EACCES),
        (_, true, false) => Ok(Protection::WRITE),
        (_, false, true) => Ok(Protection::EXECUTE),
        (true, false, false) => Ok(Protection::READ),
        (false, false, false) => Ok(Protection::NONE),
    }
}
