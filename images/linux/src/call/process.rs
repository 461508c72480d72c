//! What the process is and may: numbers, users, limits, segments.
#![forbid(unsafe_code)]

use linux_raw_sys::general as linux;
use linux_raw_sys::prctl;
use syscalls::Sysno;

use crate::Errno;
use crate::limits::{SIGNALS_PENDING_MAX, STACK_LEN, THREADS_MAX};
use crate::memory::ADDRESS_END;
use crate::native::Native;
use crate::os::Os;
use crate::outcome::Served;

/// Bytes of the head of a robust list.
const ROBUST_HEAD_LEN: u64 = 24;
/// Codes of `arch_prctl` (`asm/prctl.h`).
const ARCH_SET_GS: u64 = 0x1001;
const ARCH_SET_FS: u64 = 0x1002;
const ARCH_GET_FS: u64 = 0x1003;
const ARCH_GET_GS: u64 = 0x1004;
/// No limit.
const INFINITY: u64 = u64::MAX;
/// Bytes of a thread's name, with its NUL.
const NAME_LEN: u64 = 16;

impl<N: Native> Os<N> {
    /// `getpid`, `getppid`.
    pub(super) fn process_number(&self, number: u64) -> u64 {
        match number == Sysno::getpid as u64 {
            true => u64::from(self.identity.process_id),
            // As a rule nobody is above it, as for the first process of a container.
            false => u64::from(self.identity.parent_id),
        }
    }

    /// `set_tid_address`.
    pub(super) fn set_tid_address(&mut self, address: u64) -> u64 {
        let thread = self.threads.running();
        thread.clear = address;
        u64::from(thread.number)
    }

    /// `set_robust_list`.
    pub(super) fn set_robust_list(&mut self, head: u64, len: u64) -> Served {
        if len != ROBUST_HEAD_LEN {
            return Err(Errno::EINVAL.into());
        }
        self.threads.running().robust = head;
        Ok(0)
    }

    /// `get_robust_list`.
    pub(super) fn get_robust_list(&mut self, thread: u64, head: u64, len: u64) -> Served {
        let thread = match thread {
            0 => self.threads.running(),
            number => self.threads.find(number as u32).ok_or(Errno::ESRCH)?,
        };
        let robust = thread.robust;
        self.space.write_u64(head, robust)?;
        self.space.write_u64(len, ROBUST_HEAD_LEN)?;
        Ok(0)
    }

    /// `arch_prctl`. GS is not kept for each thread, so it cannot be set.
    pub(super) fn arch_prctl(&mut self, code: u64, address: u64) -> Served {
        match code {
            ARCH_SET_FS if address >= ADDRESS_END => Err(Errno::EPERM.into()),
            ARCH_SET_FS => {
                self.native.set_thread_pointer(address);
                Ok(0)
            }
            ARCH_GET_FS => {
                let base = self.native.thread_pointer();
                self.space.write_u64(address, base)?;
                Ok(0)
            }
            ARCH_SET_GS | ARCH_GET_GS => Err(Errno::EINVAL.into()),
            _ => Err(Errno::EINVAL.into()),
        }
    }

    /// `prlimit64`, `getrlimit`, `setrlimit`: limits are told, and of those that are set only that
    /// of descriptors has an effect.
    pub(super) fn prlimit(&mut self, process: u64, which: u64, new: u64, old: u64) -> Served {
        if process != 0 && process as u32 != self.identity.process_id {
            return Err(Errno::ESRCH.into());
        }
        let [soft, hard] = self.limit(which)?;
        let wanted = match new {
            0 => None,
            address => Some(self.space.read_words::<2>(address)?),
        };
        if let Some([soft_wanted, hard_wanted]) = wanted {
            if soft_wanted > hard_wanted {
                return Err(Errno::EINVAL.into());
            }
            if hard_wanted > hard {
                return Err(Errno::EPERM.into());
            }
            if which as u32 == linux::RLIMIT_NOFILE {
                let most = u32::try_from(soft_wanted).map_err(|_| Errno::EPERM)?;
                self.with_files(|io| Ok(io.files.set_descriptors_max(most)?))?;
            }
        }
        if old != 0 {
            self.space.write_words(old, &[soft, hard])?;
        }
        Ok(0)
    }

    /// A limit: the soft one and the hard one.
    fn limit(&mut self, which: u64) -> Result<[u64; 2], Errno> {
        let memory = self.identity.memory_limit;
        Ok(match which as u32 {
            linux::RLIMIT_STACK => [STACK_LEN, INFINITY],
            linux::RLIMIT_CORE => [0, 0],
            linux::RLIMIT_NPROC => [THREADS_MAX as u64; 2],
            linux::RLIMIT_NOFILE => {
                let files = self.files.files.as_ref();
                let most = files.map_or(0, linux_files::Files::descriptors_max);
                [u64::from(most), u64::from(linux_files::limits::DESCRIPTORS_MAX)]
            }
            linux::RLIMIT_MEMLOCK => [memory; 2],
            linux::RLIMIT_SIGPENDING => [SIGNALS_PENDING_MAX as u64; 2],
            linux::RLIMIT_MSGQUEUE | linux::RLIMIT_NICE | linux::RLIMIT_RTPRIO => [0, 0],
            linux::RLIMIT_CPU
            | linux::RLIMIT_FSIZE
            | linux::RLIMIT_DATA
            | linux::RLIMIT_RSS
            | linux::RLIMIT_AS
            | linux::RLIMIT_LOCKS
            | linux::RLIMIT_RTTIME => [INFINITY; 2],
            _ => return Err(Errno::EINVAL),
        })
    }

    /// `prctl`.
    pub(super) fn prctl(&mut self, option: u64, argument: u64) -> Served {
        match option as u32 {
            prctl::PR_SET_NAME => {
                let mut name = [0; NAME_LEN as usize];
                // As much as is there, up to its NUL.
                for (at, place) in name.iter_mut().take(NAME_LEN as usize - 1).enumerate() {
                    let [byte] = self.space.read(argument.wrapping_add(at as u64))?;
                    if byte == 0 {
                        break;
                    }
                    *place = byte;
                }
                self.threads.running().name = name;
                Ok(0)
            }
            prctl::PR_GET_NAME => {
                let name = self.threads.running().name;
                self.space.write(argument, &name)?;
                Ok(0)
            }
            prctl::PR_GET_DUMPABLE | prctl::PR_GET_NO_NEW_PRIVS => Ok(1),
            prctl::PR_SET_DUMPABLE
            | prctl::PR_SET_PDEATHSIG
            | prctl::PR_SET_NO_NEW_PRIVS
            | prctl::PR_SET_TIMERSLACK
            | prctl::PR_SET_THP_DISABLE
            | prctl::PR_SET_CHILD_SUBREAPER => Ok(0),
            prctl::PR_GET_TIMERSLACK => Ok(50_000),
            prctl::PR_GET_SECCOMP | prctl::PR_GET_KEEPCAPS | prctl::PR_GET_SECUREBITS => Ok(0),
            prctl::PR_CAPBSET_READ => Ok(0),
            _ => Err(Errno::EINVAL.into()),
        }
    }

    /// `capget`: no capabilities.
    pub(super) fn capget(&mut self, header: u64, data: u64) -> Served {
        /// `_LINUX_CAPABILITY_VERSION_1` and `_3`.
        const VERSIONS: [u32; 3] = [0x1998_0330, 0x2007_1026, 0x2008_0522];
        let version = self.space.read_u32(header)?;
        if !VERSIONS.contains(&version) {
            self.space.write_u32(header, VERSIONS[2])?;
            return Err(Errno::EINVAL.into());
        }
        if data != 0 {
            let words = if version == VERSIONS[0] { 12 } else { 24 };
            self.space.bytes_mut(data, words)?.fill(0);
        }
        Ok(0)
    }
}
