//! The data of one entry: checked, and inflated where it was deflated.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crc::{CRC_32_ISO_HDLC, Crc, Table};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use crate::errno::Errno;

/// Sixteen bytes at a time: archives of runtimes have a hundred megabytes.
const CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);

/// Why a file of an archive cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// Its data makes no sense.
    Damaged,
    /// It is not what the archive's directory says.
    Checksum,
    /// It does not fit into the budget.
    TooLarge,
}

impl From<Unusable> for Errno {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::Damaged | Unusable::Checksum => Self::EIO,
            Unusable::TooLarge => Self::ENOMEM,
        }
    }
}

/// Data that nobody has looked at.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'p> {
    pub bytes: &'p [u8],
    /// Bytes that come out.
    pub len: usize,
    pub crc: u32,
    pub is_deflated: bool,
}

impl<'p> Packed<'p> {
    /// The bytes themselves, if they are not compressed.
    pub fn stored(&self) -> Option<&'p [u8]> {
        (!self.is_deflated).then_some(self.bytes)
    }

    /// The same bytes, if they are what the directory says.
    pub fn check<'b>(&self, bytes: &'b [u8]) -> Result<&'b [u8], Unusable> {
        match CRC.checksum(bytes) == self.crc {
            true => Ok(bytes),
            false => Err(Unusable::Checksum),
        }
    }

    /// The bytes that were deflated: exactly as many as the directory says. The caller has made
    /// sure that there may be so many.
    pub fn inflate(&self) -> Result<Box<[u8]>, Unusable> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(self.len).map_err(|_| Unusable::TooLarge)?;
        bytes.resize(self.len, 0);
        let mut state = Box::new(DecompressorOxide::new());
        let flags = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        let (status, read, written) = decompress(&mut state, self.bytes, &mut bytes, 0, flags);
        if (status, read, written) != (TINFLStatus::Done, self.bytes.len(), self.len) {
            return Err(Unusable::Damaged);
        }
        self.check(&bytes)?;
        Ok(bytes.into_boxed_slice())
    }

    /// The bytes, however they are kept: for links.
    pub fn unpack(&self) -> Result<Box<[u8]>, Unusable> {
        match self.stored() {
            Some(bytes) => Ok(Box::from(self.check(bytes)?)),
            None => self.inflate(),
        }
    }
}
