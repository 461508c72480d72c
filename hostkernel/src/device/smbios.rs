//! SMBIOS (DMTF DSP0134): the strings of type 11, which belong to the machine's owner.

use limits::SMBIOS_LEN_MAX;

/// Type of the structure with strings, and of the one at the end.
const OEM_STRINGS: u8 = 11;
const END: u8 = 127;
/// Type, length of the formatted part, handle.
const HEADER_LEN: usize = 4;

/// Where the structures are: physical address and length. `entry` starts with an entry point of
/// either version, 32 or 64 bits.
#[must_use]
pub fn table(entry: &[u8]) -> Option<(u64, usize)> {
    let word = |at: usize| Some(u16::from_le_bytes(entry.get(at..at + 2)?.try_into().ok()?));
    let double = |at: usize| Some(u32::from_le_bytes(entry.get(at..at + 4)?.try_into().ok()?));
    let (address, len) = if entry.starts_with(b"_SM3_") {
        let low = double(16)?;
        checked(entry, *entry.get(6)?, 24)?;
        (u64::from(double(20)?) << 32 | u64::from(low), double(12)? as usize)
    } else if entry.starts_with(b"_SM_") {
        checked(entry, *entry.get(5)?, 30)?;
        (double(24)?.into(), word(22)?.into())
    } else {
        return None;
    };
    (address != 0 && len != 0).then_some((address, len.min(SMBIOS_LEN_MAX)))
}

/// Whether an entry point is as long as it must be, and its bytes add up to 0.
fn checked(entry: &[u8], len: u8, len_min: u8) -> Option<()> {
    let bytes = entry.get(..usize::from(len)).filter(|_| len >= len_min)?;
    let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    (sum == 0).then_some(())
}

/// The strings of all structures of type 11.
pub fn strings(table: &[u8]) -> impl Iterator<Item = &[u8]> {
    structures(table)
        .filter(|(kind, _)| *kind == OEM_STRINGS)
        .flat_map(|(_, strings)| strings.split(|byte| *byte == 0))
        .filter(|string| !string.is_empty())
}

/// Type and strings of each structure. The strings are separated by a NUL byte; what is behind the
/// last one ends with two.
fn structures(table: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = table;
    core::iter::from_fn(move || {
        let (kind, len) = (*rest.first()?, usize::from(*rest.get(1)?));
        if kind == END || len < HEADER_LEN {
            return None;
        }
        let strings = rest.get(len..)?;
        let end = strings.windows(2).position(|pair| pair == [0, 0])?;
        rest = strings.get(end + 2..).unwrap_or_default();
        Some((kind, &strings[..end]))
    })
}

#[cfg(target_os = "none")]
pub use hardware::find;

#[cfg(target_os = "none")]
mod hardware {
    use memory::kernel_map;
    use memory::physical::PhysicalAddress;

    /// Where a BIOS leaves the entry point, at a multiple of 16 bytes.
    const BIOS_AREA: core::ops::Range<u64> = 0xf_0000..0x10_0000;
    const ALIGNMENT: usize = 16;
    /// The longest entry point.
    const ENTRY_LEN_MAX: usize = 31;

    /// The structures of this machine. `entry` is the address of the entry point, from those who
    /// know it.
    #[must_use]
    pub fn find(entry: Option<u64>) -> Option<&'static [u8]> {
        let (address, len) = match entry {
            Some(entry) => super::table(firmware(entry, ENTRY_LEN_MAX)?)?,
            None => {
                let area = firmware(BIOS_AREA.start, (BIOS_AREA.end - BIOS_AREA.start) as usize)?;
                let mut places = (0..area.len()).step_by(ALIGNMENT);
                places.find_map(|at| super::table(&area[at..]))?
            }
        };
        firmware(address, len)
    }

    fn firmware(address: u64, len: usize) -> Option<&'static [u8]> {
        let address = PhysicalAddress(address);
        if !kernel_map::is_reachable(address, len) {
            return None;
        }
        let start = kernel_map::firmware(address, len);
        // SAFETY: memory or nothing is there on every PC, and mapped now; firmware's tables lie in
        // memory that is not free, and are not written any more.
        Some(unsafe { core::slice::from_raw_parts(start, len) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn entry(start: &[u8], len: u8, len_at: usize, fields: &[(usize, &[u8])]) -> Vec<u8> {
        let mut entry = vec![0; len.into()];
        entry[..start.len()].copy_from_slice(start);
        entry[len_at] = len;
        for (at, bytes) in fields {
            entry[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        let sum = entry.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        entry[len_at - 1] = 0_u8.wrapping_sub(sum);
        entry
    }

    #[test]
    fn both_entry_points_are_read_if_they_add_up() {
        let old = entry(b"_SM_", 31, 5, &[(22, &[2, 1]), (24, &[4, 3, 2, 1])]);
        assert_eq!(table(&old), Some((0x0102_0304, 0x0102)));
        let address = 0x1_0000_0002_u64.to_le_bytes();
        let new = entry(b"_SM3_", 24, 6, &[(12, &[0xff; 4]), (16, &address)]);
        assert_eq!(table(&new), Some((0x1_0000_0002, SMBIOS_LEN_MAX)));
        for good in [old, new] {
            for at in 0..good.len() {
                let mut bad = good.clone();
                bad[at] ^= 1;
                assert_eq!(table(&bad), None, "{at}");
                assert_eq!(table(&good[..at]), None, "{at}");
            }
        }
    }

    #[test]
    fn strings_of_type_11_are_found() {
        let bytes = [
            &[0, 5, 0, 0, 9][..],
            b"vendor\0\0",
            &[11, 5, 1, 0, 2],
            b"a=b\0io.systemd.credential:x=y\0\0",
            &[1, 4, 2, 0, 0, 0, 11, 5, 3, 0, 1],
            b"c\0\0",
            &[127, 4, 4, 0, 0, 0, 11, 5, 5, 0, 1],
            b"behind the end\0\0",
        ]
        .concat();
        let found: Vec<_> = strings(&bytes).collect();
        assert_eq!(found, [&b"a=b"[..], b"io.systemd.credential:x=y", b"c"]);
        for len in 0..bytes.len() {
            assert!(strings(&bytes[..len]).count() <= 3);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (table(&bytes), strings(&bytes).count());
        }
    }
}
