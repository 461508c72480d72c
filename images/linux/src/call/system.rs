//! The machine and its clocks, and calls whose answer is always the same.
#![forbid(unsafe_code)]

use linux_raw_sys::general as linux;
use syscalls::Sysno;

use crate::Errno;
use crate::frame::Frame;
use crate::native::Native;
use crate::os::Os;
use crate::outcome::Served;
use crate::thread::fork::Child;

/// Bytes of a field of `struct utsname`, and their number.
const NAME_LEN: usize = 65;
/// What `uname` says. The release is one that all C libraries of today run on.
const NAMES: [&[u8]; 6] =
    [b"Linux", b"hostkernel", b"6.1.0", b"#1 hostkernel", b"x86_64", b"(none)"];
/// Bytes of one `getrandom` made at a time.
const RANDOM_LEN_MAX: u64 = 32 << 20;
/// Bytes of a set of processors, as small as `sched_getaffinity` answers.
const PROCESSORS_LEN: u64 = 8;

impl<N: Native> Os<N> {
    pub(super) fn serve_system(&mut self, number: Sysno, frame: &Frame) -> Option<Served> {
        if let Some(served) = self.serve_time(number, frame) {
            return Some(served);
        }
        let [one, two, three, ..] = frame.arguments();
        Some(match number {
            Sysno::uname => self.uname(one),
            Sysno::sysinfo => self.sysinfo(one),
            Sysno::getcpu => self.getcpu(one, two),
            Sysno::getrusage => self.getrusage(two),
            Sysno::times => self.times(one),
            Sysno::getrlimit => self.prlimit(0, one, 0, two),
            Sysno::setrlimit => self.prlimit(0, one, two, 0),
            Sysno::prctl => self.prctl(one, two),
            Sysno::capget => self.capget(one, two),
            Sysno::sched_getaffinity => self.sched_getaffinity(two, three),
            Sysno::sched_setaffinity | Sysno::setpriority => Ok(0),
            Sysno::getpriority => Ok(20),
            Sysno::sched_getscheduler | Sysno::sched_get_priority_min => Ok(0),
            Sysno::sched_get_priority_max => Ok(0),
            Sysno::sched_getparam => self.zeroes(two, 4),
            Sysno::getuid | Sysno::geteuid | Sysno::getgid | Sysno::getegid => Ok(0),
            Sysno::getresuid | Sysno::getresgid => self.ids(one, two, three),
            Sysno::setuid | Sysno::setgid | Sysno::setreuid | Sysno::setregid => Ok(0),
            Sysno::setresuid | Sysno::setresgid | Sysno::setgroups | Sysno::getgroups => Ok(0),
            Sysno::getpgrp | Sysno::getpgid | Sysno::getsid => {
                Ok(u64::from(self.identity.process_id))
            }
            Sysno::setpgid => Ok(0),
            Sysno::setsid => Err(Errno::EPERM.into()),
            Sysno::personality => Ok(0),
            // No command but the one that asks which there are, and there are none.
            Sysno::membarrier if one == 0 => Ok(0),
            Sysno::membarrier => Err(Errno::ENOSYS.into()),
            Sysno::wait4 | Sysno::waitid => Err(Errno::ECHILD.into()),
            Sysno::fork => self.fork(frame.rax, Child::default()),
            Sysno::vfork | Sysno::execve | Sysno::execveat => {
                self.count_unsupported(frame.rax);
                Err(Errno::EPERM.into())
            }
            Sysno::clock_settime | Sysno::settimeofday | Sysno::adjtimex => {
                Err(Errno::EPERM.into())
            }
            Sysno::mount | Sysno::umount2 | Sysno::chroot | Sysno::reboot | Sysno::sethostname => {
                Err(Errno::EPERM.into())
            }
            _ => return None,
        })
    }

    fn serve_time(&mut self, number: Sysno, frame: &Frame) -> Option<Served> {
        let [one, two, three, four, ..] = frame.arguments();
        Some(match number {
            Sysno::clock_gettime => self.clock_gettime(one, two),
            Sysno::clock_getres => self.clock_getres(one, two),
            Sysno::gettimeofday => self.gettimeofday(one, two),
            Sysno::time => self.time(one),
            Sysno::nanosleep => self.nanosleep(one),
            Sysno::clock_nanosleep => self.clock_nanosleep(one, two, three),
            Sysno::alarm => self.alarm_call(one),
            Sysno::setitimer => self.setitimer(one, two, three),
            Sysno::getitimer => self.getitimer(one, two),
            Sysno::timer_create => self.timer_create(one, two, three),
            Sysno::timer_settime => self.timer_settime(one, two, three, four),
            Sysno::timer_gettime => self.timer_gettime(one, two),
            Sysno::timer_getoverrun => self.timer_getoverrun(one),
            Sysno::timer_delete => self.timer_delete(one),
            _ => return None,
        })
    }

    fn uname(&mut self, to: u64) -> Served {
        let mut names = [0; NAME_LEN * NAMES.len()];
        for (field, name) in names.chunks_exact_mut(NAME_LEN).zip(NAMES) {
            field[..name.len()].copy_from_slice(name);
        }
        self.space.write(to, &names)?;
        Ok(0)
    }

    fn sysinfo(&mut self, to: u64) -> Served {
        let memory = self.identity.memory_limit;
        let uptime = self.native.now_ns() / crate::timers::SECOND_NS;
        let processes = u64::from(self.threads.all.len() as u16);
        // uptime, three loads, memory, free, shared, buffers, swap twice, processes, high memory
        // twice, the unit.
        let words = [uptime, 0, 0, 0, memory, memory / 4 * 3, 0, 0, 0, 0, processes, 0, 0, 1];
        self.space.write_words(to, &words)?;
        Ok(0)
    }

    pub(super) fn getrandom(&mut self, to: u64, len: u64, flags: u64) -> Served {
        let flags = flags as u32;
        let known = linux::GRND_NONBLOCK | linux::GRND_RANDOM | linux::GRND_INSECURE;
        let both = linux::GRND_RANDOM | linux::GRND_INSECURE;
        if flags & !known != 0 || flags & both == both {
            return Err(Errno::EINVAL.into());
        }
        let len = len.min(RANDOM_LEN_MAX);
        let bytes = self.space.bytes_mut(to, len)?;
        self.files.random.fill(bytes);
        Ok(len)
    }

    fn getcpu(&mut self, processor: u64, node: u64) -> Served {
        for address in [processor, node] {
            if address != 0 {
                self.space.write_u32(address, 0)?;
            }
        }
        Ok(0)
    }

    /// Time since the start counts as the program's own: the core is its alone.
    fn getrusage(&mut self, to: u64) -> Served {
        let used = self.native.now_ns().saturating_sub(self.identity.start_ns);
        let mut words = [0; 18];
        words[0] = used / crate::timers::SECOND_NS;
        words[1] = used % crate::timers::SECOND_NS / 1000;
        self.space.write_words(to, &words)?;
        Ok(0)
    }

    fn times(&mut self, to: u64) -> Served {
        /// `USER_HZ`
        const TICK_NS: u64 = 10_000_000;
        let now = self.native.now_ns();
        let used = now.saturating_sub(self.identity.start_ns) / TICK_NS;
        if to != 0 {
            self.space.write_words(to, &[used, 0, 0, 0])?;
        }
        Ok(now / TICK_NS)
    }

    fn sched_getaffinity(&mut self, len: u64, to: u64) -> Served {
        if len < PROCESSORS_LEN || !len.is_multiple_of(8) {
            return Err(Errno::EINVAL.into());
        }
        self.space.write_u64(to, 1)?;
        Ok(PROCESSORS_LEN)
    }

    fn zeroes(&mut self, to: u64, len: u64) -> Served {
        self.space.bytes_mut(to, len)?.fill(0);
        Ok(0)
    }

    fn ids(&mut self, real: u64, effective: u64, saved: u64) -> Served {
        for address in [real, effective, saved] {
            self.space.write_u32(address, 0)?;
        }
        Ok(0)
    }
}
