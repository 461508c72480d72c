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
        let [one, two, three, ..] = frame.arguments();
        match Sysno::new(frame.rax as usize) {
            // Those that are called most, before the long table.
            Some(Sysno::read) => self.read(one, two, three),
            Some(Sysno::write) => self.write(one, two, three),
            Some(Sysno::getpid | Sysno::getppid) => Ok(self.process_number(frame.rax)),
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
            Sysno::mmap => self.mmap(frame.arguments()),
            Sysno::munmap => nothing(space.munmap(native, one, two)),
            Sysno::mprotect => nothing(space.mprotect(native, one, two, three)),
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
            Sysno::brk => Ok(space.brk(native, one)),
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
            Sysno::futex => self.futex(frame.arguments()),
            Sysno::sched_yield => Err(Break::Yield),
            Sysno::clone => self.clone(frame),
            Sysno::clone3 => self.clone3(frame),
            Sysno::exit => self.exit_thread(one),
            Sysno::exit_group => Err(Break::Exit(one as u32 & 0xff)),
            Sysno::set_tid_address => {
                let thread = self.threads.running();
                thread.clear = one;
                Ok(u64::from(thread.number))
            }
            Sysno::set_robust_list => self.set_robust_list(one, two),
            Sysno::get_robust_list => self.get_robust_list(one, two, three),
            Sysno::gettid => Ok(u64::from(self.threads.running().number)),
            Sysno::arch_prctl => self.arch_prctl(one, two),
            Sysno::rt_sigaction => self.sigaction(one, two, three, four),
            Sysno::rt_sigprocmask => self.sigprocmask(one, two, three, four),
            Sysno::rt_sigreturn => self.sigreturn(frame),
            Sysno::rt_sigpending => self.sigpending(one, two),
            Sysno::rt_sigsuspend => self.sigsuspend(one, two),
            Sysno::rt_sigtimedwait => self.sigtimedwait(one, two, three, four),
            Sysno::rt_sigqueueinfo => self.sigqueue(one, None, two, three),
            Sysno::rt_tgsigqueueinfo => self.sigqueue(one, Some(two), three, four),
            Sysno::sigaltstack => self.sigaltstack(one, two, frame.rsp),
            Sysno::kill => self.kill(one, two),
            Sysno::tkill => self.tgkill(None, one, two),
            Sysno::tgkill => self.tgkill(Some(one), two, three),
            Sysno::pause => self.pause(),
            _ => return None,
        })
    }
}
