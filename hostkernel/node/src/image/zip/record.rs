//! Records of the format, out of an archive's pages.

use super::reject::{Damage, ZipReject};
use memory::PageBuffer;

/// A record of the format, read whole.
pub(super) struct Record<const LEN: usize>(pub [u8; LEN]);

impl<const LEN: usize> Record<LEN> {
    /// The bytes there, as a record.
    pub(super) fn read(archive: &PageBuffer, at: usize) -> Result<Self, ZipReject> {
        let mut bytes = [0; LEN];
        let mut filled = 0;
        while filled < LEN {
            let chunk = archive.chunk_at(at + filled);
            if chunk.is_empty() {
                return Err(ZipReject::Damaged(Damage::End));
            }
            let count = chunk.len().min(LEN - filled);
            bytes[filled..filled + count].copy_from_slice(&chunk[..count]);
            filled += count;
        }
        Ok(Self(bytes))
    }

    /// A record with this signature.
    pub(super) fn expect(
        archive: &PageBuffer,
        at: usize,
        signature: &[u8; 4],
    ) -> Result<Self, ZipReject> {
        let record = Self::read(archive, at)?;
        if record.0.starts_with(signature) {
            Ok(record)
        } else {
            Err(ZipReject::Damaged(Damage::Record))
        }
    }

    /// The number in two bytes from there on.
    pub(super) fn half(&self, at: usize) -> usize {
        usize::from(u16::from_le_bytes([self.0[at], self.0[at + 1]]))
    }

    /// The number in four.
    pub(super) fn word(&self, at: usize) -> usize {
        self.half(at) | self.half(at + 2) << 16
    }
}
