//! Files that QEMU hands to what it boots (`docs/specs/fw_cfg.rst` of QEMU), through two ports.
//!
//! A file is selected by number, then read byte by byte. File 0x19 lists the others.

use alloc::string::String;
/// Bytes of an entry of the list: length, number, two reserved, name with NUL bytes behind it.
const ENTRY_LEN: usize = 64;
const NAME_AT: usize = 8;

/// A file of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub name: String,
    /// Its length in bytes.
    pub len: usize,
    number: u16,
}

/// The files of a list, without those whose name is no text.
pub fn files(list: &[u8]) -> impl Iterator<Item = File> {
    list.as_chunks::<ENTRY_LEN>().0.iter().filter_map(|entry| {
        let [len_0, len_1, len_2, len_3, number_0, number_1, ..] = *entry;
        let name = entry[NAME_AT..].split(|byte| *byte == 0).next().unwrap_or_default();
        Some(File {
            name: core::str::from_utf8(name).ok()?.into(),
            len: u32::from_be_bytes([len_0, len_1, len_2, len_3]) as usize,
            number: u16::from_be_bytes([number_0, number_1]),
        })
    })
}

#[cfg(target_os = "none")]
pub use hardware::FwCfg;

#[cfg(target_os = "none")]
mod hardware {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::{ENTRY_LEN, File, files};
    use crate::arch::{cpuid, port};
    use limits::FW_CFG_FILES_MAX;
    use memory::{OutOfFrames, PageBuffer};

    const SELECT_PORT: u16 = 0x510;
    const DATA_PORT: u16 = 0x511;
    const SIGNATURE: u16 = 0;
    const LIST: u16 = 0x19;
    /// How much of a file is read before it is put away.
    const CHUNK_LEN: usize = 2048;

    /// The device.
    #[derive(Debug)]
    pub struct FwCfg {
        files: Vec<File>,
    }

    impl FwCfg {
        /// Looks for the device. Machines without hypervisor do not have it, and may have something
        /// else at its ports.
        #[must_use]
        pub fn find() -> Option<Self> {
            if !cpuid::has_hypervisor() {
                return None;
            }
            let mut signature = [0; 4];
            select(SIGNATURE);
            read(&mut signature);
            if &signature != b"QEMU" {
                return None;
            }
            let mut count = [0; 4];
            select(LIST);
            read(&mut count);
            let count = (u32::from_be_bytes(count) as usize).min(FW_CFG_FILES_MAX);
            let mut list = vec![0; count * ENTRY_LEN];
            read(&mut list);
            Some(Self { files: files(&list).collect() })
        }

        /// The files whose names start like this.
        pub fn below(&self, start: &str) -> impl Iterator<Item = &File> {
            self.files.iter().filter(move |file| file.name.starts_with(start))
        }

        /// What is in a file.
        ///
        /// # Errors
        /// [`OutOfFrames`] if there is no memory for it.
        pub fn content(&self, file: &File) -> Result<PageBuffer, OutOfFrames> {
            let mut content = PageBuffer::new();
            let mut chunk = [0; CHUNK_LEN];
            select(file.number);
            while content.len() < file.len {
                let len = (file.len - content.len()).min(CHUNK_LEN);
                read(&mut chunk[..len]);
                content.append(&chunk[..len])?;
            }
            Ok(content)
        }
    }

    fn select(number: u16) {
        // SAFETY: under a hypervisor nothing but this device is at the port; it selects a file.
        unsafe { port::write_u16(SELECT_PORT, number) };
    }

    fn read(bytes: &mut [u8]) {
        // SAFETY: as in `select`; behind the end of a file the device gives zeros.
        unsafe { port::read_all_u8(DATA_PORT, bytes) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn entry(name: &[u8], len: u32, number: u16) -> Vec<u8> {
        let mut entry = [&len.to_be_bytes()[..], &number.to_be_bytes(), &[0, 0], name].concat();
        entry.resize(ENTRY_LEN, 0);
        entry
    }

    #[test]
    fn a_list_is_read() {
        let long = [b'x'; ENTRY_LEN - NAME_AT];
        let mut list = [entry(b"etc/e820", 40, 0x20), entry(b"\xff", 1, 1)].concat();
        list.extend([entry(&long, u32::MAX, 0xffff), entry(b"cut", 1, 1)[..63].to_vec()].concat());
        let long = core::str::from_utf8(&long).expect("letters");
        let expected = [("etc/e820", 40, 0x20), (long, u32::MAX as usize, 0xffff)]
            .map(|(name, len, number)| File { name: name.into(), len, number });
        assert_eq!(files(&list).collect::<Vec<_>>(), expected);
    }

    proptest! {
        #[test]
        fn any_list_is_read(list in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(files(&list).count() <= list.len() / ENTRY_LEN);
        }
    }
}
