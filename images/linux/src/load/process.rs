//! Archives that are whole file systems, and say how their program is started.
//!
//! ```text
//!   exec             a link to the program
//!   .process/cmdline its arguments, each with its NUL       as in proc(5)
//!   .process/environ its environment, each with its NUL     likewise; may be absent
//!   .process/cwd     a link to its working directory        likewise; may be absent
//! ```
//!
//! A node writes such archives of container images. Other than an archive without `.process` they
//! are the root of the tree, and the input is no argument.
#![forbid(unsafe_code)]

use linux_files::abi::at;
use linux_files::has_entry;

use super::reject::Reject;
use crate::identity::Process;
use crate::native::Native;
use crate::os::Os;

/// Where the archive is.
pub(super) const ROOT: &[u8] = b"";
const COMMAND_LINE: &[u8] = b".process/cmdline";
const ENVIRONMENT: &[u8] = b"/.process/environ";
const WORKING_DIRECTORY: &[u8] = b"/.process/cwd";

/// Whether an archive says how its program is started.
pub(super) fn is_whole(archive: &[u8]) -> bool {
    has_entry(archive, COMMAND_LINE)
}

impl<N: Native> Os<N> {
    /// Takes over how the archive wants its program to be started.
    pub(super) fn read_process(&mut self) -> Result<(), Reject> {
        let line = self.open_whole(&[b"/", COMMAND_LINE].concat()).ok_or(Reject::NoProgram)?;
        let environment = self.open_whole(ENVIRONMENT).unwrap_or_default();
        let first_len = line.iter().position(|byte| *byte == 0).ok_or(Reject::NoProgram)?;
        let (first, arguments) = (&line[..first_len], &line[first_len + 1..]);
        let is_list = |bytes: &[u8]| bytes.last().is_none_or(|last| *last == 0);
        if !is_list(arguments) || !is_list(environment) {
            return Err(Reject::NoProgram);
        }
        let mut called = core::mem::take(&mut self.identity.called);
        match called.iter().rposition(|byte| *byte == 0) {
            // A script's interpreter has arguments of its own, the last of which is the script.
            Some(at) => called.truncate(at + 1),
            // A link leads to it from the root.
            None if called.starts_with(b"/") => called.clear(),
            None => {
                self.identity.set_path(&[b"/", &*called].concat());
                called.clear();
            }
        }
        called.extend_from_slice(first);
        self.identity.called = called;
        self.identity.process =
            Some(Process { arguments: arguments.into(), environment: environment.into() });
        let link = self
            .with_files(|io| Ok(io.files.readlinkat(io.host, at::CURRENT, WORKING_DIRECTORY)?));
        let directory = link.unwrap_or_else(|_| b"/".to_vec());
        self.with_files(|io| Ok(io.files.chdir(io.host, &directory)?))
            .map_err(|_| Reject::WorkingDirectory)
    }
}
