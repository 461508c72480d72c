//! The program in an archive.
#![forbid(unsafe_code)]

use alloc::boxed::Box;
use alloc::vec;

use linux_files::Mapping;
use linux_files::abi::{at, open};

use super::reject::Reject;
use crate::memory::values::PATH_LEN_MAX;
use crate::native::Native;
use crate::os::Os;

/// What it may be called, by the conventions of OpenWhisk and Lambda.
const PROGRAMS: [&[u8]; 2] = [b"/exec", b"/bootstrap"];

impl<N: Native> Os<N> {
    /// Finds the program, and all of its bytes.
    ///
    /// If it is a symbolic link, the program is called by the name of what that leads to: one file
    /// can be many programs, which look at how they were called.
    pub(super) fn find_program(&mut self, root: &[u8]) -> Result<&'static [u8], Reject> {
        let refused = |_| Reject::NoProgram;
        let files = self.files.files.as_mut().ok_or(Reject::NoProgram)?;
        files.unpack().map_err(Reject::file)?;
        let opened = PROGRAMS.iter().find_map(|name| {
            let path = [root, name].concat();
            let fd = self.with_files(|io| {
                Ok(io.files.openat(io.host, at::CURRENT, &path, open::READ_ONLY, 0)?)
            });
            Some((path, fd.ok()?))
        });
        let (path, fd) = opened.ok_or(Reject::NoProgram)?;
        let mapping = self.with_files(|io| Ok(io.files.mapping(fd, 0)?)).map_err(refused)?;
        let bytes = match mapping {
            Mapping::Payload(bytes) => bytes,
            Mapping::Copy => self.read_whole(fd)?,
        };
        self.with_files(|io| Ok(io.files.close(io.host, fd)?)).map_err(refused)?;
        let mut target = vec![0; PATH_LEN_MAX as usize];
        let link = self
            .with_files(|io| Ok(io.files.readlinkat(io.host, at::CURRENT, &path, &mut target)?));
        if let Ok(len) = link {
            target.truncate(len);
            self.identity.called = target;
        } else {
            self.identity.called.clone_from(&path);
        }
        self.identity.executable = path;
        Ok(bytes)
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
