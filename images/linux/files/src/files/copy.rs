//! From descriptor to descriptor: `sendfile` and `copy_file_range`.

use super::Files;
use super::read::place;
use crate::abi::open;
use crate::descriptors::Object;
use crate::errno::{Errno, Stop};
use crate::host::Host;
use crate::limits::{COPY_PIECE_LEN, TRANSFER_LEN_MAX};
use crate::tree::{Device, Node, Number};

/// One side of `copy_file_range`: a descriptor, and a place that is used and moved instead of the
/// descriptor's own.
#[derive(Debug)]
pub struct Side<'a> {
    /// The descriptor.
    pub fd: i32,
    /// The place, if one was given.
    pub offset: Option<&'a mut i64>,
}

impl Files<'_> {
    /// `sendfile`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn sendfile(
        &mut self,
        host: &mut dyn Host,
        to: i32,
        from: i32,
        offset: Option<&mut i64>,
        len: usize,
    ) -> Result<usize, Stop> {
        let source = self.table.usable(from)?;
        if !source.is_readable() {
            return Err(Errno::EBADF.into());
        }
        let position = source.position as i64;
        let has_places = super::read::seekable(source).is_ok();
        let start = match &offset {
            Some(_) if !has_places => return Err(Errno::ESPIPE.into()),
            Some(offset) => **offset,
            None => position,
        };
        let target = self.table.usable(to)?;
        if !target.is_writable() {
            return Err(Errno::EBADF.into());
        }
        if target.flags & open::APPEND != 0 {
            return Err(Errno::EINVAL.into());
        }
        self.sends(from)?;
        place(start, len)?;
        let moved = self.pump(host, from, to, start, len)?;
        let end = start + moved as i64;
        match offset {
            Some(offset) => *offset = end,
            None => self.table.get_mut(from)?.position = end as u64,
        }
        Ok(moved)
    }

    /// Whether `sendfile` can read from there: `EINVAL` if not.
    fn sends(&self, fd: i32) -> Result<(), Errno> {
        match self.table.usable(fd)?.object {
            Object::Text(..) => Ok(()),
            Object::Inode(number) => match self.tree.inode(number).node {
                Node::File(_) | Node::Device(Device::Null | Device::Zero | Device::Full) => Ok(()),
                Node::Device(Device::Random | Device::Urandom) => Ok(()),
                _ => Err(Errno::EINVAL),
            },
            _ => Err(Errno::EINVAL),
        }
    }

    /// Copies by pieces until one side has had enough.
    fn pump(
        &mut self,
        host: &mut dyn Host,
        from: i32,
        to: i32,
        start: i64,
        len: usize,
    ) -> Result<usize, Stop> {
        let mut piece = [0; COPY_PIECE_LEN];
        let len = len.min(TRANSFER_LEN_MAX);
        let mut moved = 0;
        while moved < len {
            let wanted = (len - moved).min(piece.len());
            let count = self.pread(host, from, &mut piece[..wanted], start + moved as i64)?;
            if count == 0 {
                break;
            }
            match self.write(host, to, &piece[..count]) {
                Ok(written) => {
                    moved += written;
                    if written < count {
                        break;
                    }
                }
                Err(stop) if moved == 0 => return Err(stop),
                Err(_) => break,
            }
        }
        Ok(moved)
    }

    /// `copy_file_range`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn copy_file_range(
        &mut self,
        host: &mut dyn Host,
        from: Side<'_>,
        to: Side<'_>,
        len: usize,
        flags: u32,
    ) -> Result<usize, Stop> {
        let (source, target) = (self.table.usable(from.fd)?, self.table.usable(to.fd)?);
        let start = from.offset.as_deref().copied().unwrap_or(source.position as i64);
        let to_start = to.offset.as_deref().copied().unwrap_or(target.position as i64);
        if flags != 0 {
            return Err(Errno::EINVAL.into());
        }
        let is_allowed =
            source.is_readable() && target.is_writable() && target.flags & open::APPEND == 0;
        let (source, target) = (self.copies(from.fd)?, self.copies(to.fd)?);
        if !is_allowed {
            return Err(Errno::EBADF.into());
        }
        let (place_from, place_to) = (place(start, len)?, place(to_start, len)?);
        let left = self.tree.inode(source).stat(source).len.saturating_sub(place_from);
        let len = len.min(TRANSFER_LEN_MAX).min(usize::try_from(left).unwrap_or(usize::MAX));
        if source == target && place_from.abs_diff(place_to) < len as u64 {
            return Err(Errno::EINVAL.into());
        }
        let mut piece = [0; COPY_PIECE_LEN];
        let mut moved = 0;
        while moved < len {
            let wanted = (len - moved).min(piece.len());
            let at = moved as i64;
            let count = self.pread(host, from.fd, &mut piece[..wanted], start + at)?;
            match self.pwrite(host, to.fd, &piece[..count], to_start + at) {
                Ok(written) if written > 0 => moved += written,
                Err(stop) if moved == 0 => return Err(stop),
                _ => break,
            }
        }
        for (side, end) in [(from, start + moved as i64), (to, to_start + moved as i64)] {
            match side.offset {
                Some(offset) => *offset = end,
                None => self.table.get_mut(side.fd)?.position = end as u64,
            }
        }
        Ok(moved)
    }

    fn copies(&self, fd: i32) -> Result<Number, Errno> {
        match self.table.usable(fd)?.object {
            Object::Inode(number) => match self.tree.inode(number).node {
                Node::File(_) => Ok(number),
                Node::Directory(_) | Node::Descriptors => Err(Errno::EISDIR),
                _ => Err(Errno::EINVAL),
            },
            _ => Err(Errno::EINVAL),
        }
    }
}
