//! Files: from the calls' arguments to `linux-files`, which knows what they mean, and back.
#![forbid(unsafe_code)]

pub mod descriptors;
pub mod host;
pub mod names;
pub mod readiness;
pub mod shared;
pub mod side;
pub mod table;
pub mod transfer;

use linux_files::{Files, Host};

use crate::Errno;
use crate::memory::access::Memory;
use crate::memory::calls::{Backing, Mmap};
use crate::memory::regions::{PAGE, Regions};
use crate::native::Native;
use crate::os::Os;
use crate::outcome::{Break, Served};
use host::Surroundings;

/// What a call about files works with.
pub(crate) struct Io<'a> {
    pub files: &'a mut Files<'static>,
    pub host: &'a mut dyn Host,
    pub memory: &'a mut Memory,
    pub regions: &'a Regions,
}

impl<N: Native> Os<N> {
    /// Does something with the files.
    #[inline]
    pub(crate) fn with_files<T>(
        &mut self,
        work: impl FnOnce(Io<'_>) -> Result<T, Break>,
    ) -> Result<T, Break> {
        let threads = self.threads.all.len() as u32;
        let Some(files) = &mut self.files.files else { return Err(Errno::EBADF.into()) };
        let mut host = Surroundings {
            native: &mut self.native,
            regions: &self.space.regions,
            identity: &self.identity,
            output: &mut self.files.output,
            sockets: &mut self.sockets,
            random: &mut self.files.random,
            threads,
        };
        let result = work(Io {
            files,
            host: &mut host,
            memory: &mut self.space.memory,
            regions: &self.space.regions,
        });
        self.note_answer();
        result
    }

    /// `mmap`, of memory or of a file.
    pub(crate) fn mmap(&mut self, arguments: [u64; 6]) -> Served {
        use linux_raw_sys::general as linux;

        let [address, len, protection, flags, fd, offset] = arguments;
        let request = Mmap { address, len, protection, flags };
        let kind = flags as u32 & linux::MAP_TYPE;
        let shared = kind == linux::MAP_SHARED || kind == linux::MAP_SHARED_VALIDATE;
        if !shared && kind != linux::MAP_PRIVATE || !offset.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL.into());
        }
        if flags as u32 & linux::MAP_ANONYMOUS != 0 {
            if kind == linux::MAP_SHARED_VALIDATE {
                return Err(Errno::EINVAL.into());
            }
            return self
                .space
                .mmap(&mut self.native, request, Backing::Anonymous)
                .map_err(Break::Errno);
        }
        if shared && self.is_to_be_shared(protection, fd as i32) {
            return self.map_shared(request, fd as i32, offset);
        }
        self.map_file(request, fd as i32, offset)
    }
}
