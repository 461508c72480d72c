//! Which code serves which call about files.
#![forbid(unsafe_code)]

use linux_files::abi::at;
use linux_raw_sys::general as linux;
use syscalls::Sysno;

use crate::frame::Frame;
use crate::native::Native;
use crate::os::Os;
use crate::outcome::Served;

/// The working directory, where a call takes no directory.
const HERE: u64 = at::CURRENT as u64;

impl<N: Native> Os<N> {
    pub(crate) fn serve_file(&mut self, number: Sysno, frame: &Frame) -> Option<Served> {
        if let Some(served) = self.serve_bytes(number, frame) {
            return Some(served);
        }
        if let Some(served) = self.serve_name(number, frame) {
            return Some(served);
        }
        self.serve_descriptor(number, frame)
    }

    fn serve_bytes(&mut self, number: Sysno, frame: &Frame) -> Option<Served> {
        let [one, two, three, four, ..] = frame.arguments();
        Some(match number {
            Sysno::pread64 => self.pread(one, two, three, four),
            Sysno::pwrite64 => self.pwrite(one, two, three, four),
            Sysno::preadv | Sysno::preadv2 => self.readv(one, two, three, position(four)),
            Sysno::pwritev | Sysno::pwritev2 => self.writev(one, two, three, position(four)),
            Sysno::sendfile => self.sendfile(one, two, three, four),
            Sysno::copy_file_range => self.copy_file_range(frame.arguments()),
            Sysno::lseek => self.lseek(one, two, three),
            Sysno::getdents64 => self.getdents64(one, two, three),
            Sysno::ftruncate => self.ftruncate(one, two),
            Sysno::fallocate => self.fallocate(one, two, three, four),
            Sysno::fsync | Sysno::fdatasync => self.fsync(one),
            Sysno::sync_file_range | Sysno::fadvise64 | Sysno::readahead => self.fsync(one),
            Sysno::sync => Ok(0),
            _ => return None,
        })
    }

    fn serve_name(&mut self, number: Sysno, frame: &Frame) -> Option<Served> {
        let [one, two, three, four, five, _] = frame.arguments();
        let remove = u64::from(at::REMOVE_DIRECTORY);
        let no_follow = u64::from(at::NO_FOLLOW);
        let creat = u64::from(linux::O_CREAT | linux::O_WRONLY | linux::O_TRUNC);
        Some(match number {
            Sysno::open => self.openat(HERE, one, two, three),
            Sysno::openat => self.openat(one, two, three, four),
            Sysno::creat => self.openat(HERE, one, creat, two),
            Sysno::mkdir => self.mkdirat(HERE, one, two),
            Sysno::mkdirat => self.mkdirat(one, two, three),
            Sysno::unlink => self.unlinkat(HERE, one, 0),
            Sysno::rmdir => self.unlinkat(HERE, one, remove),
            Sysno::unlinkat => self.unlinkat(one, two, three),
            Sysno::rename => self.renameat((HERE, one), (HERE, two), 0),
            Sysno::renameat => self.renameat((one, two), (three, four), 0),
            Sysno::renameat2 => self.renameat((one, two), (three, four), five),
            Sysno::link => self.linkat((HERE, one), (HERE, two), 0),
            Sysno::linkat => self.linkat((one, two), (three, four), five),
            Sysno::symlink => self.symlinkat(one, HERE, two),
            Sysno::symlinkat => self.symlinkat(one, two, three),
            Sysno::readlink => self.readlinkat(HERE, one, two, three),
            Sysno::readlinkat => self.readlinkat(one, two, three, four),
            Sysno::chdir => self.chdir(one),
            Sysno::getcwd => self.getcwd(one, two),
            Sysno::truncate => self.truncate(one, two),
            Sysno::stat => self.fstatat(HERE, one, two, 0),
            Sysno::lstat => self.fstatat(HERE, one, two, no_follow),
            Sysno::statx => self.statx(frame.arguments()),
            Sysno::statfs => self.statfs(one, two),
            Sysno::access => self.faccessat(HERE, one, two, 0),
            Sysno::faccessat => self.faccessat(one, two, three, 0),
            Sysno::faccessat2 => self.faccessat(one, two, three, four),
            Sysno::chmod => self.fchmodat(HERE, one, two, 0),
            Sysno::fchmodat => self.fchmodat(one, two, three, 0),
            Sysno::chown => self.fchownat(HERE, one, (two, three), 0),
            Sysno::lchown => self.fchownat(HERE, one, (two, three), no_follow),
            Sysno::fchownat => self.fchownat(one, two, (three, four), five),
            Sysno::utimensat => self.utimensat(one, two, three, four),
            Sysno::utimes => self.utimes(HERE, one, two),
            Sysno::futimesat => self.utimes(one, two, three),
            Sysno::umask => self.umask(one),
            _ => return None,
        })
    }

    fn serve_descriptor(&mut self, number: Sysno, frame: &Frame) -> Option<Served> {
        let [one, two, three, four, ..] = frame.arguments();
        Some(match number {
            Sysno::close => self.close(one),
            Sysno::close_range => self.close_range(one, two, three),
            Sysno::dup => self.dup(one),
            Sysno::dup2 => self.dup2(one, two),
            Sysno::dup3 => self.dup3(one, two, three),
            Sysno::fcntl => self.fcntl(one, two, three),
            Sysno::flock => self.flock(one, two),
            Sysno::fstatfs => self.fstatfs(one, two),
            Sysno::fchdir => self.fchdir(one),
            Sysno::fchmod => self.fchmod(one, two),
            Sysno::fchown => self.fchown(one, two, three),
            Sysno::pipe => self.pipe(one, 0),
            Sysno::pipe2 => self.pipe(one, two),
            Sysno::eventfd => self.eventfd(one, 0),
            Sysno::eventfd2 => self.eventfd(one, two),
            Sysno::timerfd_create => self.timerfd_create(one, two),
            Sysno::timerfd_settime => self.timerfd_settime(one, two, three, four),
            Sysno::timerfd_gettime => self.timerfd_gettime(one, two),
            Sysno::epoll_create => self.epoll_create(0),
            Sysno::epoll_create1 => self.epoll_create(one),
            Sysno::epoll_ctl => self.epoll_ctl(one, two, three, four),
            Sysno::epoll_wait => self.epoll_wait(one, two, three, four),
            Sysno::epoll_pwait => self.epoll_pwait(frame.arguments()),
            Sysno::epoll_pwait2 => self.epoll_pwait2(frame.arguments()),
            Sysno::ppoll => self.ppoll(frame.arguments()),
            Sysno::select => self.select(frame.arguments()),
            Sysno::pselect6 => self.pselect(frame.arguments()),
            _ => return None,
        })
    }
}

/// Where `preadv2` begins: -1 is the descriptor's own position.
fn position(offset: u64) -> Option<u64> {
    (offset != u64::MAX).then_some(offset)
}
