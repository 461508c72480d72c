//! How the kernel reaches an action's memory, on its behalf.

use super::layout::PAGE;
use super::{AddressSpace, Refusal};
use crate::Access;
use crate::buffer::{PageBuffer, Pages};
use crate::frames::Frame;
use crate::physical::{frame_pointer, speculation_barrier};
use limits::PAGE_LEN;

impl AddressSpace {
    /// Passes the bytes of `address..address + len` to `sink`, piece by piece.
    ///
    /// # Errors
    /// [`Refusal`] at the first page the action itself could not read; earlier pieces were passed.
    pub fn read(
        &mut self,
        address: u64,
        len: u64,
        mut sink: impl FnMut(&[u8]) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let end = address.checked_add(len).ok_or(Refusal::NotAllowed)?;
        let mut next = address;
        while next < end {
            let frame = self.page_for(next, Access::Read)?;
            speculation_barrier();
            let offset = (next % PAGE) as usize;
            let count = (PAGE - next % PAGE).min(end - next);
            // SAFETY: the frame is mapped in this space, so it is alive while `self` is; the action
            // that could write to it does not run while the kernel of its core does.
            let page = unsafe { Frame::borrow(frame) };
            sink(&page.bytes()[offset..offset + count as usize])?;
            next += count;
        }
        Ok(())
    }

    /// Writes bytes to an address.
    ///
    /// # Errors
    /// [`Refusal`] at the first page the action itself could not write; what lies below was
    /// written.
    pub fn write(&mut self, address: u64, mut bytes: &[u8]) -> Result<(), Refusal> {
        let mut next = address;
        while !bytes.is_empty() {
            let frame = self.page_for(next, Access::Write)?;
            speculation_barrier();
            let offset = (next % PAGE) as usize;
            let piece;
            (piece, bytes) = bytes.split_at(bytes.len().min(PAGE_LEN - offset));
            // SAFETY: the frame is this space's own and alive, since the action may write to it,
            // which does not run meanwhile; the piece ends within it.
            unsafe {
                frame_pointer(frame).add(offset).copy_from(piece.as_ptr(), piece.len());
            }
            next = next.checked_add(piece.len() as u64).ok_or(Refusal::NotAllowed)?;
        }
        Ok(())
    }

    /// Copies `len` bytes from one of the action's addresses to another, low addresses first.
    ///
    /// # Errors
    /// [`Refusal`] at the first page the action itself could not read or write; what lies below was
    /// copied.
    pub fn copy_within(&mut self, from: u64, to: u64, len: u64) -> Result<(), Refusal> {
        let end = from.checked_add(len).ok_or(Refusal::NotAllowed)?;
        let mut next = from;
        while next < end {
            let target = to + (next - from);
            let source_frame = self.page_for(next, Access::Read)?;
            let target_frame = self.page_for(target, Access::Write)?;
            speculation_barrier();
            let count = (PAGE - next % PAGE).min(PAGE - target % PAGE).min(end - next);
            // The target may have been the source's page, and a copy made of it; look again.
            let source_frame =
                if target / PAGE == next / PAGE { target_frame } else { source_frame };
            // SAFETY: both frames are mapped in this space and alive; the target is its own, since
            // the action may write to it. They may be the same frame, so the copy allows overlap.
            unsafe {
                frame_pointer(target_frame).add((target % PAGE) as usize).copy_from(
                    frame_pointer(source_frame).add((next % PAGE) as usize),
                    count as usize,
                );
            }
            next += count;
        }
        Ok(())
    }

    /// Takes the first `len` bytes of the output window out of the address space.
    ///
    /// # Errors
    /// [`Refusal::NotAllowed`] if the window is shorter; [`Refusal::OutOfMemory`] if pages the
    /// action never touched cannot be provided.
    pub fn take_output(&mut self, len: u64) -> Result<PageBuffer, Refusal> {
        if len > self.windows.output.end - self.windows.output.start {
            return Err(Refusal::NotAllowed);
        }
        let mut pages = Pages::new();
        let count = len.div_ceil(PAGE);
        pages.try_reserve_exact(count as usize).map_err(|_| Refusal::OutOfMemory)?;
        for page in 0..count {
            let address = self.windows.output.start + page * PAGE;
            if self.tables.leaf(self.tables.place(address)).is_borrowed() {
                // It was written before the instance was frozen that this one was made from.
                self.page_for(address, Access::Write)?;
            }
            let frame = match self.tables.take_page(address) {
                Some(frame) => frame,
                // The action never touched it; it is zeros.
                None => self.reservation.take()?,
            };
            pages.push(frame);
        }
        Ok(PageBuffer::from_pages(pages, len as usize))
    }
}
