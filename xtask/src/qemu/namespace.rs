//! A network namespace: a network stack of its own, which threads can enter.
//!
//! Nothing names it in the file system. It is a file descriptor, and the operating system removes
//! it, with every device in it, when the last descriptor, thread and process in it are gone. So it
//! cannot outlive this process, whatever ends it.

use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

use crate::lifeline;

/// A network namespace. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Namespace {
    file: Arc<File>,
}

/// The calling thread is in a namespace as long as it keeps this.
#[derive(Debug)]
#[must_use = "the thread leaves the namespace when this is dropped"]
pub struct Entered {
    outside: File,
    // It is a thread that entered, and the same one has to leave.
    not_send: PhantomData<*const ()>,
}

impl Namespace {
    /// An empty namespace: no device but a loopback that is down.
    ///
    /// # Errors
    /// What the operating system says; `PermissionDenied` without root.
    pub fn new() -> io::Result<Self> {
        // A thread of its own is moved and ends, so that no other one has to find its way back.
        let mover = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            current()
        });
        let file =
            mover.join().map_err(|_| io::Error::other("the thread that moves panicked"))??;
        Ok(Self { file: Arc::new(file) })
    }

    /// Moves the calling thread into the namespace: sockets it opens from now on are in there, and
    /// so are threads it starts. Children that [`lifeline`] starts are not, see
    /// [`command`](Self::command).
    ///
    /// # Errors
    /// What the operating system says.
    pub fn enter(&self) -> io::Result<Entered> {
        let outside = current()?;
        setns(&*self.file, CloneFlags::CLONE_NEWNET)?;
        Ok(Entered { outside, not_send: PhantomData })
    }

    /// Does `work` in the namespace.
    ///
    /// # Errors
    /// What the operating system says when the thread cannot enter.
    pub fn run<T>(&self, work: impl FnOnce() -> T) -> io::Result<T> {
        let _inside = self.enter()?;
        Ok(work())
    }

    /// A command for [`lifeline::spawn`] that runs in the namespace.
    #[must_use]
    pub fn command(&self) -> Command {
        // The thread that forks our children stays outside; `nsenter` moves the child instead. It
        // is part of util-linux, as `setpriv` is.
        let mut command = lifeline::command("nsenter");
        let (pid, descriptor) = (std::process::id(), self.file.as_raw_fd());
        command.arg(format!("--net=/proc/{pid}/fd/{descriptor}"));
        command
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // A thread that cannot go back would talk to a wrong network without a word.
        setns(&self.outside, CloneFlags::CLONE_NEWNET).expect("who may enter may leave");
    }
}

/// The namespace of the calling thread.
fn current() -> io::Result<File> {
    File::open("/proc/thread-self/ns/net")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    fn inode() -> u64 {
        fs::metadata("/proc/thread-self/ns/net").expect("a namespace").ino()
    }

    #[test]
    fn a_thread_enters_and_leaves() {
        let namespace = match Namespace::new() {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return eprintln!("skipped: a network namespace needs root");
            }
            result => result.expect("a namespace"),
        };
        let outside = inode();
        let inside = namespace.run(inode).expect("who may create may enter");
        assert_ne!(inside, outside);
        assert_eq!(inode(), outside);
        let mut command = namespace.command();
        command.args(["test", "/proc/self/ns/net", "-ef"]);
        command.arg(format!("/proc/{}/fd/{}", std::process::id(), namespace.file.as_raw_fd()));
        assert!(lifeline::status(command).expect("nsenter starts").success());
    }
}
