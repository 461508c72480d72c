//! The bytes of a file: what it was made of, and the pages written since.
//!
//! A page that was written lies over the base; what neither covers is zero. A file grows by pages,
//! so nothing is ever copied as a whole.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::mem;

use super::Budget;
use crate::archive::{Packed, Unusable};
use crate::errno::Errno;
use crate::limits::{FILE_LEN_MAX, PAGE_LEN};

const PAGE: u64 = PAGE_LEN as u64;

type Page = Box<[u8; PAGE_LEN]>;

#[derive(Debug, Default)]
pub struct Content<'p> {
    len: u64,
    base: Base<'p>,
    /// Bytes of the base that still count; the file may have been cut and grown again.
    base_len: u64,
    pages: BTreeMap<u64, Page>,
}

/// What a file was made of.
#[derive(Debug, Default)]
pub enum Base<'p> {
    #[default]
    Nothing,
    /// These bytes of the archive.
    Stored(&'p [u8]),
    /// An entry of the archive that nobody has looked at yet.
    Packed(Packed<'p>),
    /// What came out of that.
    Inflated(Box<[u8]>),
}

impl<'p> Content<'p> {
    pub fn new(base: Base<'p>) -> Self {
        let len = match &base {
            Base::Nothing => 0,
            Base::Stored(bytes) => bytes.len() as u64,
            Base::Packed(packed) => packed.len as u64,
            Base::Inflated(bytes) => bytes.len() as u64,
        };
        Self { len, base, base_len: len, pages: BTreeMap::new() }
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    /// What it was charged.
    pub fn cost(&self) -> u64 {
        let inflated = if let Base::Inflated(bytes) = &self.base { bytes.len() as u64 } else { 0 };
        self.pages.len() as u64 * PAGE + inflated
    }

    /// Of 512 bytes each.
    pub fn blocks(&self) -> u64 {
        (self.pages.len() as u64 + self.base_len.div_ceil(PAGE)) * (PAGE / 512)
    }

    /// Checks and inflates what has not been yet. Before that, nothing can be read or written.
    pub fn prepare(&mut self, budget: &mut Budget) -> Result<(), Unusable> {
        if let Base::Packed(packed) = &self.base {
            self.base = match packed.stored() {
                Some(bytes) => Base::Stored(packed.check(bytes)?),
                None => {
                    budget.take(packed.len as u64).map_err(|_| Unusable::TooLarge)?;
                    Base::Inflated(
                        packed.inflate().inspect_err(|_| budget.give(packed.len as u64))?,
                    )
                }
            };
        }
        Ok(())
    }

    /// The bytes of the payload from an offset on, if the file is nothing else.
    pub fn payload(&self, offset: u64) -> Option<&'p [u8]> {
        match self.base {
            Base::Stored(bytes) if self.pages.is_empty() && self.len == self.base_len => {
                let len = usize::try_from(self.base_len).ok()?;
                bytes.get(..len)?.get(usize::try_from(offset).ok()?..)
            }
            _ => None,
        }
    }

    fn base(&self) -> &[u8] {
        let bytes = match &self.base {
            Base::Stored(bytes) => bytes,
            Base::Inflated(bytes) => &**bytes,
            Base::Nothing | Base::Packed(_) => &[],
        };
        &bytes[..bytes.len().min(self.base_len as usize)]
    }

    /// Copies from an offset on; answers how many bytes.
    pub fn read(&self, offset: u64, bytes: &mut [u8]) -> usize {
        let len = self.len.saturating_sub(offset).min(bytes.len() as u64) as usize;
        let bytes = &mut bytes[..len];
        if self.pages.is_empty() {
            self.read_base(offset, bytes);
            return len;
        }
        let mut done = 0;
        while done < len {
            let at = offset + done as u64;
            let (index, within) = (at / PAGE, (at % PAGE) as usize);
            let count = (PAGE_LEN - within).min(len - done);
            let piece = &mut bytes[done..done + count];
            match self.pages.get(&index) {
                Some(page) => piece.copy_from_slice(&page[within..within + count]),
                None => self.read_base(at, piece),
            }
            done += count;
        }
        len
    }

    fn read_base(&self, offset: u64, bytes: &mut [u8]) {
        let base = self.base();
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(base.len());
        let count = (base.len() - from).min(bytes.len());
        bytes[..count].copy_from_slice(&base[from..from + count]);
        bytes[count..].fill(0);
    }

    /// Writes at an offset; fewer bytes than given if the budget ends on the way.
    pub fn write(
        &mut self,
        offset: u64,
        bytes: &[u8],
        budget: &mut Budget,
    ) -> Result<usize, Errno> {
        if bytes.is_empty() {
            return Ok(0);
        }
        if offset >= FILE_LEN_MAX {
            return Err(Errno::EFBIG);
        }
        let len = (FILE_LEN_MAX - offset).min(bytes.len() as u64) as usize;
        let mut done = 0;
        while done < len {
            let at = offset + done as u64;
            let (index, within) = (at / PAGE, (at % PAGE) as usize);
            let count = (PAGE_LEN - within).min(len - done);
            let page = match self.page(index, count == PAGE_LEN, budget) {
                Ok(page) => page,
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            };
            page[within..within + count].copy_from_slice(&bytes[done..done + count]);
            done += count;
        }
        self.len = self.len.max(offset + done as u64);
        Ok(done)
    }

    /// The page with this index, with what was there before unless all of it will be overwritten.
    fn page(
        &mut self,
        index: u64,
        is_whole: bool,
        budget: &mut Budget,
    ) -> Result<&mut Page, Errno> {
        if !self.pages.contains_key(&index) {
            budget.take(PAGE)?;
            let mut page = Box::new([0; PAGE_LEN]);
            if !is_whole {
                self.read_base(index * PAGE, &mut *page);
            }
            self.pages.insert(index, page);
        }
        self.pages.get_mut(&index).ok_or(Errno::EIO)
    }

    /// Cuts the file, or lets it grow by zeros.
    pub fn set_len(&mut self, len: u64, budget: &mut Budget) -> Result<(), Errno> {
        if len > FILE_LEN_MAX {
            return Err(Errno::EFBIG);
        }
        if len < self.len {
            let gone = self.pages.split_off(&len.div_ceil(PAGE));
            budget.give(gone.len() as u64 * PAGE);
            if let Some(page) = self.pages.get_mut(&(len / PAGE)) {
                page[(len % PAGE) as usize..].fill(0);
            }
            self.base_len = self.base_len.min(len);
            if self.base_len == 0
                && let Base::Inflated(bytes) = mem::take(&mut self.base)
            {
                budget.give(bytes.len() as u64);
            }
        }
        self.len = len;
        Ok(())
    }

    /// Takes memory for a range, so that writing there cannot fail.
    pub fn reserve(&mut self, start: u64, end: u64, budget: &mut Budget) -> Result<(), Errno> {
        let missing: u64 = (end.div_ceil(PAGE) - start / PAGE)
            .saturating_sub(self.pages.range(start / PAGE..end.div_ceil(PAGE)).count() as u64);
        if missing.checked_mul(PAGE).is_none_or(|bytes| bytes > budget.bytes) {
            return Err(Errno::ENOSPC);
        }
        for index in start / PAGE..end.div_ceil(PAGE) {
            self.page(index, false, budget)?;
        }
        Ok(())
    }

    /// The next offset, from one on, that holds data (or, if not `data`, that is a hole).
    pub fn seek(&self, offset: u64, data: bool) -> Result<u64, Errno> {
        if offset >= self.len {
            return Err(Errno::ENXIO);
        }
        let index = offset / PAGE;
        let base_end = self.base_len.div_ceil(PAGE);
        let found = if data {
            let page = self.pages.range(index..).next().map(|(index, _)| *index);
            let base = (index < base_end).then_some(index);
            base.or(page).ok_or(Errno::ENXIO)?
        } else {
            let mut hole = index.max(if index < base_end { base_end } else { 0 });
            while self.pages.contains_key(&hole) {
                hole += 1;
            }
            hole
        };
        let found = (found * PAGE).max(offset).min(self.len);
        if data && found >= self.len { Err(Errno::ENXIO) } else { Ok(found) }
    }
}
