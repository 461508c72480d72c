//! What `getdents64` answers.

/// Bytes in front of the name: inode, offset, length, kind.
const HEADER_LEN: usize = 19;

/// Writes entries (`struct linux_dirent64`) into a buffer of the caller.
#[derive(Debug)]
pub struct DirentWriter<'a> {
    bytes: &'a mut [u8],
    len: usize,
}

impl<'a> DirentWriter<'a> {
    /// Nothing is written yet.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, len: 0 }
    }

    /// Bytes written.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes back what was written behind this length.
    pub fn cut(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Writes an entry; `mode` tells the kind, and `next` is where reading goes on behind it. False
    /// if there is no room, and then nothing is written.
    #[must_use]
    pub fn put(&mut self, inode: u64, next: u64, mode: u32, name: &[u8]) -> bool {
        let len = (HEADER_LEN + name.len() + 1).next_multiple_of(8);
        let Some(entry) = self.bytes.get_mut(self.len..self.len + len) else {
            return false;
        };
        entry[..8].copy_from_slice(&inode.to_le_bytes());
        entry[8..16].copy_from_slice(&next.to_le_bytes());
        entry[16..18].copy_from_slice(&(len as u16).to_le_bytes());
        // The kinds of `d_type` are those of the mode, four bits each.
        entry[18] = (mode >> 12) as u8;
        entry[HEADER_LEN..HEADER_LEN + name.len()].copy_from_slice(name);
        entry[HEADER_LEN + name.len()..].fill(0);
        self.len += len;
        true
    }
}
