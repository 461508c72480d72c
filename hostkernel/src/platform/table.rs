//! A table that cannot be read beyond its end: the end of what is there, and of what its header
//! says.
//!
//! Fields that came with later versions of ACPI are missing from the tables of earlier ones, which
//! are shorter and may lie at the very end of memory.

use zerocopy::{FromBytes, Immutable, KnownLayout, LittleEndian, U16, U32, U64};

use super::Register;

/// Length of the header that all tables have (ACPI 6.5, 5.2.6).
pub const HEADER_LEN: usize = 36;
const LEN_AT: usize = 4;

/// A table, or an entry of one.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a>(&'a [u8]);

impl<'a> Table<'a> {
    /// The table that begins with these bytes; `None` if they are no whole header, or one that
    /// states less than its own length.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let len = Self(bytes).double(LEN_AT)? as usize;
        let is_whole = len >= HEADER_LEN && bytes.len() >= HEADER_LEN;
        is_whole.then(|| Self(&bytes[..len.min(bytes.len())]))
    }

    /// Whether this is its signature.
    #[must_use]
    pub fn is(self, signature: &[u8; 4]) -> bool {
        self.0.starts_with(signature)
    }

    /// What is behind its first `from` bytes.
    #[must_use]
    pub fn rest(self, from: usize) -> &'a [u8] {
        self.0.get(from..).unwrap_or_default()
    }

    /// The type-length-value entries behind the first `from` bytes. They end where the table does,
    /// or before one that does not fit in it.
    pub fn entries(self, from: usize) -> impl Iterator<Item = Self> {
        const ENTRY_LEN_MIN: usize = 2;
        let mut rest = self.rest(from);
        core::iter::from_fn(move || {
            let len = usize::from(*rest.get(1)?);
            let (entry, behind) = rest.split_at_checked(len).filter(|_| len >= ENTRY_LEN_MIN)?;
            rest = behind;
            Some(Self(entry))
        })
    }

    fn field<T: FromBytes + KnownLayout + Immutable>(self, at: usize) -> Option<T> {
        T::read_from_bytes(self.0.get(at..at.checked_add(size_of::<T>())?)?).ok()
    }

    /// The byte there.
    #[must_use]
    pub fn byte(self, at: usize) -> Option<u8> {
        self.field(at)
    }

    /// The two bytes there.
    #[must_use]
    pub fn word(self, at: usize) -> Option<u16> {
        self.field::<U16<LittleEndian>>(at).map(U16::get)
    }

    /// The four bytes there.
    #[must_use]
    pub fn double(self, at: usize) -> Option<u32> {
        self.field::<U32<LittleEndian>>(at).map(U32::get)
    }

    /// The eight bytes there.
    #[must_use]
    pub fn quad(self, at: usize) -> Option<u64> {
        self.field::<U64<LittleEndian>>(at).map(U64::get)
    }

    /// The register that a generic address structure there names (ACPI 6.5, 5.2.3.2), if it is one
    /// of a kind that can be reached.
    #[must_use]
    pub fn register(self, at: usize) -> Option<Register> {
        const MEMORY: u8 = 0;
        const PORT: u8 = 1;
        let address = self.quad(at.checked_add(4)?).filter(|address| *address != 0)?;
        match self.byte(at)? {
            MEMORY => Some(Register::Memory(address)),
            PORT => u16::try_from(address).ok().map(Register::Port),
            _ => None,
        }
    }
}
