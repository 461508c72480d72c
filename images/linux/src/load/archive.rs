//! The program in an archive.
#![forbid(unsafe_code)]

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use linux_files::Mapping;
use linux_files::abi::{at, open};

use super::reject::Reject;
use crate::native::Native;
use crate::os::Os;

/// What it may be called, by the conventions of OpenWhisk and Lambda.
const PROGRAMS: [&[u8]; 2] = [b"/exec", b"/bootstrap"];
/// What of a script's first line counts (`BINPRM_BUF_SIZE`).
const SCRIPT_LINE_LEN_MAX: usize = 254;

impl<N: Native> Os<N> {
    /// Finds the program, and all of its bytes.
    ///
    /// If it is a symbolic link, the program is called by the name of what that leads to: one file
    /// can be many programs, which look at how they were called. If it is a script, that is an
    /// argument of its interpreter, which is the program (`execve(2)`).
    pub(super) fn find_program(&mut self, root: &[u8]) -> Result<&'static [u8], Reject> {
        let files = self.files.files.as_mut().ok_or(Reject::NoProgram)?;
        files.unpack().map_err(Reject::file)?;
        files.expose(root).map_err(|_| Reject::NoMemory)?;
        let found = PROGRAMS.iter().find_map(|name| {
            let path = [root, name].concat();
            let bytes = self.open_whole(&path)?;
            Some((path, bytes))
        });
        let (path, bytes) = found.ok_or(Reject::NoProgram)?;
        if let Some((interpreter, argument)) = script(bytes) {
            let bytes =
                self.open_whole(interpreter).ok_or_else(|| Reject::interpreter(interpreter))?;
            let words: Vec<&[u8]> =
                [Some(interpreter), argument, Some(&path)].into_iter().flatten().collect();
            self.identity.called = words.join(&0);
            self.identity.set_path(interpreter);
            return Ok(bytes);
        }
        let link = self.with_files(|io| Ok(io.files.readlinkat(io.host, at::CURRENT, &path)?));
        self.identity.called = link.unwrap_or_else(|_| path.clone());
        self.identity.set_path(&path);
        Ok(bytes)
    }

    /// All bytes of a file of the tree.
    pub(super) fn open_whole(&mut self, path: &[u8]) -> Option<&'static [u8]> {
        let fd = self
            .with_files(|io| Ok(io.files.openat(io.host, at::CURRENT, path, open::READ_ONLY, 0)?))
            .ok()?;
        let mapping = self.with_files(|io| Ok(io.files.mapping(fd, 0)?)).ok()?;
        let bytes = match mapping {
            Mapping::Payload(bytes) => bytes,
            Mapping::Copy => self.read_whole(fd).ok()?,
        };
        self.with_files(|io| Ok(io.files.close(io.host, fd)?)).ok()?;
        Some(bytes)
    }

    /// Reads a file that is in no one place. Its bytes are kept for good: the program is made of
    /// them.
    fn read_whole(&mut self, fd: i32) -> Result<&'static [u8], Reject> {
        let refused = |_| Reject::NoProgram;
        let stat = self.with_files(|io| Ok(io.files.fstat(fd)?)).map_err(refused)?;
        let mut bytes = vec![0; usize::try_from(stat.len).map_err(|_| Reject::NoMemory)?];
        let mut read = 0;
        while read < bytes.len() {
            let part = self
                .with_files(|io| {
                    Ok(io.files.pread(io.host, fd, &mut bytes[read..], read as i64)?)
                })
                .map_err(refused)?;
            if part == 0 {
                return Err(Reject::NoProgram);
            }
            read += part;
        }
        Ok(Box::leak(bytes.into_boxed_slice()))
    }
}

/// The interpreter that a script names in its first line, and its one argument.
fn script(file: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let line = file.strip_prefix(b"#!")?;
    let line = line[..line.len().min(SCRIPT_LINE_LEN_MAX)].split(|byte| *byte == b'\n').next()?;
    let line = line.trim_ascii();
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    let argument = line[end..].trim_ascii();
    Some((&line[..end], Some(argument).filter(|argument| !argument.is_empty())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_names_its_interpreter() {
        let plain: (&[u8], _) = (b"/bin/a", None);
        let argument: (&[u8], _) = (b"/bin/a", Some(&b"-x y"[..]));
        assert_eq!(script(b"#!/bin/a\nrest"), Some(plain));
        assert_eq!(script(b"#! /bin/a \n"), Some(plain));
        assert_eq!(script(b"#!/bin/a -x y\n"), Some(argument));
        assert_eq!(script(b"#!"), Some((&b""[..], None)));
        assert_eq!(script(b"\x7fELF"), None);
    }
}
