//! `read` and its kind.

use super::Files;
use crate::abi::DirentWriter;
use crate::descriptors::{Description, Object};
use crate::errno::{Errno, Stop};
use crate::host::Host;
use crate::limits::TRANSFER_LEN_MAX;
use crate::tree::{Device, Node, Number};

/// What a call that must wait answers.
pub(super) fn wait(blocks: bool) -> Stop {
    if blocks { Stop::WouldBlock } else { Stop::Errno(Errno::EAGAIN) }
}

/// The place of a `pread`, `pwrite`: neither it nor the end may leave `off_t`.
pub(super) fn place(offset: i64, len: usize) -> Result<u64, Errno> {
    let end = offset.checked_add(len.min(TRANSFER_LEN_MAX) as i64);
    if offset < 0 || end.is_none() { Err(Errno::EINVAL) } else { Ok(offset as u64) }
}

impl Files<'_> {
    /// `read`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn read(&mut self, host: &mut dyn Host, fd: i32, bytes: &mut [u8]) -> Result<usize, Stop> {
        let description = self.table.get_mut(fd)?;
        if !description.is_readable() {
            return Err(Errno::EBADF.into());
        }
        let len = bytes.len().min(TRANSFER_LEN_MAX);
        let bytes = &mut bytes[..len];
        let blocks = description.blocks();
        match &mut description.object {
            Object::Input => self.input.read(bytes),
            Object::Inode(number) => {
                let (number, position) = (*number, description.position);
                place(position as i64, bytes.len())?;
                if matches!(self.tree.inode(number).node, Node::Device(Device::Freeze)) {
                    self.input.need()?;
                }
                let count = read_inode(self.tree.inode(number), host, position, bytes)?;
                description.position += count as u64;
                Ok(count)
            }
            Object::Text(_, text) => {
                let count = read_text(text, description.position, bytes);
                description.position += count as u64;
                Ok(count)
            }
            Object::Pipe(pipe) => {
                let pipe = &mut self.pipes[*pipe as usize];
                match pipe.read(bytes) {
                    0 if pipe.writers > 0 && !bytes.is_empty() => Err(wait(blocks)),
                    count => Ok(count),
                }
            }
            Object::Event(_) | Object::Timer(_) => self.read_counter(host, fd, bytes),
            Object::Socket(socket) => host.socket_read(*socket, bytes, blocks),
            Object::Output(_) | Object::Epoll(_) => Err(Errno::EINVAL.into()),
        }
    }

    /// An eventfd or a timer: a number of 8 bytes.
    fn read_counter(
        &mut self,
        host: &mut dyn Host,
        fd: i32,
        bytes: &mut [u8],
    ) -> Result<usize, Stop> {
        let bytes = bytes.first_chunk_mut::<8>().ok_or(Errno::EINVAL)?;
        let description = self.table.get_mut(fd)?;
        let blocks = description.blocks();
        let count = match &mut description.object {
            Object::Event(counter) => counter.take(),
            Object::Timer(timer) => {
                timer.advance(super::timer::now_ns(host, timer));
                timer.take()
            }
            _ => None,
        };
        *bytes = count.ok_or(wait(blocks))?.to_le_bytes();
        Ok(bytes.len())
    }

    /// `readv`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn readv(
        &mut self,
        host: &mut dyn Host,
        fd: i32,
        pieces: &mut [&mut [u8]],
    ) -> Result<usize, Stop> {
        let mut total = 0;
        let mut is_first = true;
        for piece in pieces.iter_mut().filter(|piece| !piece.is_empty()) {
            match self.read(host, fd, piece) {
                Ok(count) => {
                    total += count;
                    if count < piece.len() {
                        return Ok(total);
                    }
                }
                Err(stop) if is_first => return Err(stop),
                Err(_) => return Ok(total),
            }
            is_first = false;
        }
        if is_first { self.read(host, fd, &mut []) } else { Ok(total) }
    }

    /// `pread64`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn pread(
        &mut self,
        host: &mut dyn Host,
        fd: i32,
        bytes: &mut [u8],
        offset: i64,
    ) -> Result<usize, Stop> {
        if offset < 0 {
            return Err(Errno::EINVAL.into());
        }
        let description = self.table.usable(fd)?;
        seekable(description)?;
        if !description.is_readable() {
            return Err(Errno::EBADF.into());
        }
        let offset = place(offset, bytes.len())?;
        match &description.object {
            Object::Inode(number) => Ok(read_inode(self.tree.inode(*number), host, offset, bytes)?),
            Object::Text(_, text) => Ok(read_text(text, offset, bytes)),
            _ => self.read(host, fd, bytes),
        }
    }

    /// `getdents64`.
    ///
    /// # Errors
    /// As Linux answers; `EINVAL` if not even one entry fits.
    pub fn getdents64(&mut self, fd: i32, bytes: &mut [u8]) -> Result<usize, Errno> {
        let description = self.table.usable(fd)?;
        let Object::Inode(number) = description.object else {
            return Err(Errno::ENOTDIR);
        };
        let inode = self.tree.inode(number);
        if !inode.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        if inode.links == 0 {
            return Err(Errno::ENOENT);
        }
        let mut writer = DirentWriter::new(bytes);
        let position = self.list(number, description.position, &mut writer)?;
        if writer.is_empty() && position.is_some() {
            return Err(Errno::EINVAL);
        }
        let len = writer.len();
        if let Some(position) = position {
            self.table.get_mut(fd)?.position = position;
        } else {
            self.table.get_mut(fd)?.position = END;
        }
        Ok(len)
    }

    /// Lists a directory from a position on; answers where to go on, or nothing if all is listed.
    fn list(
        &self,
        number: Number,
        from: u64,
        writer: &mut DirentWriter<'_>,
    ) -> Result<Option<u64>, Errno> {
        let inode = self.tree.inode(number);
        let id = |number: Number| u64::from(number) + 1;
        let dots: [(&[u8], Number); 2] = [(b".", number), (b"..", inode.parent)];
        for (index, (name, number)) in dots.into_iter().enumerate().skip(from.min(2) as usize) {
            if !writer.put(id(number), index as u64 + 1, self.tree.inode(number).mode(), name) {
                return Ok(Some(index as u64));
            }
        }
        match &inode.node {
            Node::Directory(directory) => {
                for (next, entries) in directory.from(from) {
                    let before = writer.len();
                    for (name, number) in entries {
                        let mode = self.tree.inode(number).mode();
                        if !writer.put(id(number), next, mode, name) {
                            // Entries of one position are read together.
                            writer.cut(before);
                            return Ok(Some(next - 1));
                        }
                    }
                }
                Ok(None)
            }
            Node::Descriptors => {
                for (fd, _) in self.table.open_descriptors() {
                    let at = fd as u64 + 2;
                    let mut text = [0; 10];
                    let name = decimal(fd as u32, &mut text);
                    let link = crate::abi::kind::LINK;
                    if at >= from && !writer.put(id(number) + at, at + 1, link, name) {
                        return Ok(Some(at));
                    }
                }
                Ok(None)
            }
            _ => Err(Errno::ENOTDIR),
        }
    }
}

/// The position behind everything: behind all hashes of names, and still an `off_t`.
const END: u64 = 1 << 62 | 1 << 61;

/// Whether a description has places: `ESPIPE` if it is a stream.
pub(super) fn seekable(description: &Description) -> Result<(), Errno> {
    match description.object {
        Object::Input | Object::Output(_) | Object::Pipe(_) | Object::Socket(_) => {
            Err(Errno::ESPIPE)
        }
        _ => Ok(()),
    }
}

fn read_text(text: &[u8], position: u64, bytes: &mut [u8]) -> usize {
    let from = usize::try_from(position).unwrap_or(usize::MAX).min(text.len());
    let count = (text.len() - from).min(bytes.len());
    bytes[..count].copy_from_slice(&text[from..from + count]);
    count
}

fn read_inode(
    inode: &crate::tree::Inode<'_>,
    host: &mut dyn Host,
    position: u64,
    bytes: &mut [u8],
) -> Result<usize, Errno> {
    match &inode.node {
        Node::File(content) => Ok(content.read(position, bytes)),
        Node::Device(Device::Null | Device::Freeze) => Ok(0),
        Node::Device(Device::Zero | Device::Full) => {
            bytes.fill(0);
            Ok(bytes.len())
        }
        Node::Device(Device::Random | Device::Urandom) => {
            host.random(bytes);
            Ok(bytes.len())
        }
        Node::Directory(_) | Node::Descriptors => Err(Errno::EISDIR),
        _ => Err(Errno::EINVAL),
    }
}

/// A number in decimal digits.
fn decimal(mut number: u32, text: &mut [u8; 10]) -> &[u8] {
    let mut at = text.len();
    loop {
        at -= 1;
        text[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &text[at..];
        }
    }
}
