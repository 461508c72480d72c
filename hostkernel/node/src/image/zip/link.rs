//! Symbolic links of an archive, as packers on Unix write them: the text is where it leads.

use alloc::string::String;
use alloc::vec::Vec;

use super::record::Record;
use super::reject::ZipReject;
use limits::ZIP_LINK_LEN_MAX;
use memory::PageBuffer;

/// The name that a link of this name leads to, from the archive's root.
pub fn target(name: &str, text: &PageBuffer) -> Result<String, ZipReject> {
    let bytes: Vec<u8> = text.chunks().flatten().copied().collect();
    let target = core::str::from_utf8(&bytes).map_err(|_| ZipReject::Link)?;
    if target.starts_with('/') {
        return Err(ZipReject::Link);
    }
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut path: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(path.pop().ok_or(ZipReject::Link)?),
            part => path.push(part),
        }
    }
    Ok(path.join("/"))
}

/// Whether a directory header is that of a link: made on Unix (4.4.2), with a link's mode (4.4.15).
pub fn is_link<const LEN: usize>(header: &Record<LEN>) -> bool {
    const UNIX: usize = 3;
    const KIND: usize = 0o170_000;
    const LINK: usize = 0o120_000;
    header.half(4) >> 8 == UNIX && header.half(40) & KIND == LINK
}

/// Refuses a link whose text is too long to be one.
pub fn check_len(len: usize) -> Result<(), ZipReject> {
    if len <= ZIP_LINK_LEN_MAX { Ok(()) } else { Err(ZipReject::Link) }
}
