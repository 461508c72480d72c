//! Which code serves which call.
#![forbid(unsafe_code)]

pub mod process;
pub mod system;

use syscalls::Sysno;

use crate::Errno;
use crate::frame::Frame;
use crate::memory::moves::Mremap;
use crate::native::Native;
use crate::os::Os;
use crate::outcome::{Break, Served, nothing, waits};

impl<N: Native> Os<N> {
    /// Serves the call whose number and arguments are in the frame.
    #[inline]
    pub(crate) fn serve(&mut self, frame: &mut Frame) -> Served {
        match self.space.shares {
            false => self.serve_any(frame),
            true => self.serve_sharing(frame),
        }
    }

    #[inline]
    pub(crate) fn serve_any(&mut self, frame: &mut Frame) -> Served {
        let [one, two, three, four, ..] = frame.arguments();
        match Sysno::new(frame.rax as usize) {
            // Those that are called most: each table below would look at the number again.
            Some(Sysno::read) => self.read(one, two, three),
            Some(Sysno::write) => self.write(one, two, three),
            Some(Sysno::readv) => self.readv(one, two, three, None),
            Some(Sysno::writev) => self.writev(one, two, three, None),
            Some(Sysno::getpid | Sysno::getppid) => Ok(self.process_number(frame.rax)),
            Some(Sysno::mmap) => self.mmap(frame.arguments()),
            Some(Sysno::munmap) => nothing(self.space.munmap(&mut self.native, one, two)),
            Some(Sysno::mprotect) => {
                nothing(self.space.mprotect(&mut self.native, one, two, three))
            }
            Some(Sysno::brk) => Ok(self.space.brk(&mut self.native, one)),
            Some(Sysno::futex) => self.futex(frame.arguments()),
            Some(Sysno::rt_sigaction) => self.sigaction(one, two, three, four),
            Some(Sysno::rt_sigprocmask) => self.sigprocmask(one, two, three, four),
            Some(Sysno::sigaltstack) => self.sigaltstack(one, two, frame.rsp),
            Some(Sysno::arch_prctl) => self.arch_prctl(one, two),
            Some(Sysno::set_tid_address) => Ok(self.set_tid_address(one)),
            Some(Sysno::set_robust_list) => self.set_robust_list(one, two),
            Some(Sysno::prlimit64) => self.prlimit(one, two, three, four),
            Some(Sysno::getrandom) => self.getrandom(one, two, three),
            // What glibc asks for and does without.
            Some(Sysno::rseq) => Err(Errno::ENOSYS.into()),
            Some(Sysno::exit_group) => Err(Break::Exit(one as u32 & 0xff)),
            Some(number @ (Sysno::ioctl | Sysno::newfstatat | Sysno::fstat | Sysno::poll)) => {
                let served = match number {
                    Sysno::ioctl => self.ioctl(one, two, three),
                    Sysno::newfstatat => self.fstatat(one, two, three, four),
                    Sysno::fstat => self.fstat(one, two),
                    _ => self.poll(one, two, three),
                };
                self.threads.files_used(waits(&served));
                served
            }
            Some(number) => self.serve_other(number, frame),
            None => self.unsupported(frame.rax),
        }
    }

    fn serve_other(&mut self, number: Sysno, frame: &mut Frame) -> Served {
        if let Some(served) = self.serve_memory(number, frame) {
            return served;
        }
        if let Some(served) = self.serve_thread(number, frame) {
            return served;
        }
        if let Some(served) = self.serve_system(number, frame) {
            return served;
        }
        if let Some(served) = self.serve_file(number, frame) {
            self.threads.files_used(waits(&served));
            return served;
        }
        if let Some(served) = self.serve_socket(number, frame) {
            self.threads.files_used(waits(&served));
            return served;
        }
        self.unsupported(frame.rax)
    }

    /// A call that is not served.
    fn unsupported(&mut self, number: u64) -> Served {
        self.count_unsupported(number);
        Err(Errno::ENOSYS.into())
    }

    /// Notes that a call was made that is not served.
    pub(crate) fn count_unsupported(&mut self, number: u64) {
        self.unsupported.count(number);
    }

    fn serve_memory(&mut self, number: Sysno, frame: &Frame) -> Option<Served> {
        let [one, two, three, four, five, _] = frame.arguments();
        let (space, native) = (&mut self.space, &mut self.native);
        Some(match number {
            Sysno::mremap => {
                let request = Mremap {
                    address: one,
                    old_len: two,
                    new_len: three,
                    flags: four,
                    new_address: five,
                };
                space.mremap(native, request).map_err(Break::Errno)
            }
            Sysno::madvise => nothing(space.madvise(native, one, two, three)),
            Sysno::mincore => nothing(space.mincore(one, two, three)),
            Sysno::msync | Sysno::mlock | Sysno::mlock2 | Sysno::munlock => {
                nothing(space.check_mapped(one, two))
            }
            Sysno::mlockall | Sysno::munlockall => Ok(0),
            _ => return None,
        })
    }

    fn serve_thread(&mut self, number: Sysno, frame: &mut Frame) -> Option<Served> {
        let [one, two, three, four, ..] = frame.arguments();
        Some(match number {
            Sysno::sched_yield => Err(Break::Yield),
            Sysno::clone => self.clone(frame),
            Sysno::clone3 => self.clone3(frame),
            Sysno::exit => self.exit_thread(one),
            Sysno::get_robust_list => self.get_robust_list(one, two, three),
            Sysno::gettid => Ok(u64::from(self.threads.running().number)),
            Sysno::rt_sigreturn => self.sigreturn(frame),
            Sysno::rt_sigpending => self.sigpending(one, two),
            Sysno::rt_sigsuspend => self.sigsuspend(one, two),
            Sysno::rt_sigtimedwait => self.sigtimedwait(one, two, three, four),
            Sysno::rt_sigqueueinfo => self.sigqueue(one, None, two, three),
            Sysno::rt_tgsigqueueinfo => self.sigqueue(one, Some(two), three, four),
            Sysno::kill => self.kill(one, two),
            Sysno::tkill => self.tgkill(None, one, two),
            Sysno::tgkill => self.tgkill(Some(one), two, three),
            Sysno::pause => self.pause(),
            _ => return None,
        })
    }
}
