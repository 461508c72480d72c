//! The archive Linux unpacks as its first file system: cpio in the format `newc`
//! (`Documentation/driver-api/early-userspace/buffer-format.rst` of Linux).

use std::collections::BTreeSet;
use std::io::{self, Write};

const DIRECTORY: u32 = 0o040_755;
const FILE: u32 = 0o100_755;
/// Everything in an archive starts at a multiple of this.
const ALIGNMENT: usize = 4;

/// Writes an archive. The same entries give the same bytes: owners are root, times are zero.
#[derive(Debug)]
pub struct Archive<W> {
    output: W,
    written: usize,
    entries: u32,
    directories: BTreeSet<String>,
}

impl<W: Write> Archive<W> {
    /// An empty archive.
    pub fn new(output: W) -> Self {
        Self { output, written: 0, entries: 0, directories: BTreeSet::new() }
    }

    /// Adds a file that everybody may execute, and the directories above it. The path is relative.
    ///
    /// # Errors
    /// When the output cannot be written, or the file is longer than the format can say.
    pub fn file(&mut self, path: &str, content: &[u8]) -> io::Result<()> {
        for (end, _) in path.match_indices('/') {
            if self.directories.insert(path[..end].to_owned()) {
                self.entry(&path[..end], DIRECTORY, &[])?;
            }
        }
        self.entry(path, FILE, content)
    }

    /// Writes the end of the archive and returns the output.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.entry("TRAILER!!!", 0, &[])?;
        Ok(self.output)
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        let len = u32::try_from(content.len()).map_err(io::Error::other)?;
        let name_len = u32::try_from(path.len() + 1).map_err(io::Error::other)?;
        self.entries += 1;
        // Number, mode, owner, group, links, time, length, 4 numbers of devices, length of the
        // name with its zero byte, and a sum that this format does not have.
        let fields = [self.entries, mode, 0, 0, 1, 0, len, 0, 0, 0, 0, name_len, 0]
            .map(|field| format!("{field:08X}"));
        self.write(b"070701")?;
        self.write(fields.concat().as_bytes())?;
        self.write(path.as_bytes())?;
        self.write(&[0])?;
        self.align()?;
        self.write(content)?;
        self.align()
    }

    fn align(&mut self) -> io::Result<()> {
        let padding = self.written.next_multiple_of(ALIGNMENT) - self.written;
        self.write(&[0; ALIGNMENT][..padding])
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len();
        self.output.write_all(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Vec<u8> {
        let mut archive = Archive::new(Vec::new());
        archive.file("a/b/c", b"hello").expect("memory takes it");
        archive.file("a/d", b"").expect("memory takes it");
        archive.finish().expect("memory takes it")
    }

    #[test]
    fn directories_come_once_and_before_their_files() {
        let bytes = archive();
        let text = String::from_utf8_lossy(&bytes);
        let names: Vec<_> = text
            .split("070701")
            .skip(1)
            .map(|entry| entry[104..].split('\0').next().unwrap_or_default())
            .collect();
        assert_eq!(names, ["a", "a/b", "a/b/c", "a/d", "TRAILER!!!"]);
    }

    #[test]
    fn every_entry_and_its_content_is_aligned() {
        let bytes = archive();
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.match_indices("070701").all(|(at, _)| at % ALIGNMENT == 0));
        assert_eq!(text.find("hello").map(|at| at % ALIGNMENT), Some(0));
        assert_eq!(bytes.len() % ALIGNMENT, 0);
    }
}
