//! As much of ELF as the attack table needs: where segments and sections lie. The files are our
//! own, so nothing is checked.

pub const EXECUTE: u32 = 1;
pub const WRITE: u32 = 2;
pub const READ: u32 = 4;

/// `PT_LOAD`.
const LOAD: u32 = 1;

/// A loadable segment.
pub struct Segment {
    pub address: u64,
    pub len: u64,
    /// An or of [`READ`], [`WRITE`], [`EXECUTE`].
    pub rights: u32,
}

/// The loadable segments.
pub fn segments(file: &[u8]) -> Vec<Segment> {
    let headers = table(file, 32, 54, 56);
    let loaded = headers.filter(|header| word(header, 0) == LOAD);
    loaded
        .map(|header| Segment {
            address: long(header, 16),
            len: long(header, 40),
            rights: word(header, 4),
        })
        .collect()
}

/// The address of a section.
pub fn section(file: &[u8], name: &str) -> Option<u64> {
    let names = table(file, 40, 58, 60).nth(half(file, 62).into())?;
    let names = &file[long(names, 24) as usize..][..long(names, 32) as usize];
    table(file, 40, 58, 60).find_map(|header| {
        let found = names[word(header, 0) as usize..].split(|byte| *byte == 0).next();
        (found == Some(name.as_bytes())).then(|| long(header, 16))
    })
}

/// The entries of a table, by where the file header has its offset, entry length and count.
fn table(file: &[u8], offset: usize, len: usize, count: usize) -> impl Iterator<Item = &[u8]> {
    let entries = file[long(file, offset) as usize..].chunks(half(file, len).into());
    entries.take(half(file, count).into())
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
