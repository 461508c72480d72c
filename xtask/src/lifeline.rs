//! Child processes that cannot outlive this one, whatever ends it.
//!
//! Dropping a [`TiedChild`] kills it. That does not help when this process is itself killed with
//! `SIGKILL`, so on top of it the kernel is asked to deliver `SIGKILL` to the child when its parent
//! dies (`setpriv --pdeathsig`, part of util-linux). Three traps are closed here:
//!
//! * The signal fires when the *thread* that forked ends, and tests boot nodes from short-lived
//!   threads. All children are therefore forked by one thread that lives as long as the process.
//! * The parent may die before `setpriv` runs. The shell behind it starts the program only if its
//!   parent is still the process that asked.
//! * A system without `setpriv` gets a watchdog instead: a shell that waits for the end of a pipe
//!   only we hold open.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;

use crate::programs::find_program;

static HAS_SETPRIV: LazyLock<bool> = LazyLock::new(|| find_program("setpriv").is_some());

/// The words that make a command die with its parent; empty where `setpriv` does not exist.
///
/// For tools that start our test programs themselves, such as Cargo's `runner` setting.
#[must_use]
pub fn runner() -> &'static [&'static str] {
    if *HAS_SETPRIV { &["setpriv", "--pdeathsig", "KILL", "--"] } else { &[] }
}

/// A command that dies with this process when it is started by [`spawn`] or [`status`].
#[must_use]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let [setpriv, options @ ..] = runner() else {
        return Command::new(program);
    };
    let mut command = Command::new(setpriv);
    command
        .args(options)
        .args(["sh", "-c", r#"[ "$PPID" = "$0" ] && exec "$@""#])
        .arg(std::process::id().to_string())
        .arg(program);
    command
}

/// Starts a command made by [`command`].
///
/// # Errors
/// What the operating system says when it cannot start the program.
pub fn spawn(command: Command) -> io::Result<TiedChild> {
    let mut child = fork(command)?;
    let watchdog = if *HAS_SETPRIV {
        None
    } else {
        match watchdog(child.id()) {
            Ok(watchdog) => Some(watchdog),
            Err(error) => {
                end(&mut child);
                return Err(error);
            }
        }
    };
    Ok(TiedChild { child, watchdog })
}

/// Runs a command made by [`command`] to its end.
///
/// # Errors
/// What the operating system says when it cannot start the program.
pub fn status(command: Command) -> io::Result<ExitStatus> {
    spawn(command)?.wait()
}

/// A running child. Dropping it kills it.
#[derive(Debug)]
pub struct TiedChild {
    child: Child,
    watchdog: Option<Child>,
}

impl TiedChild {
    /// Process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The child itself, to take its pipes.
    pub fn pipes(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The exit status, if the child has ended.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        if status.is_some() {
            self.dismiss_watchdog();
        }
        Ok(status)
    }

    /// Waits for the child to end.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait()?;
        self.dismiss_watchdog();
        Ok(status)
    }

    /// Kills the child if it still runs, and collects it.
    pub fn kill(&mut self) {
        self.dismiss_watchdog();
        end(&mut self.child);
    }

    // Before the child is collected: afterwards its process id may belong to somebody else.
    fn dismiss_watchdog(&mut self) {
        if let Some(mut watchdog) = self.watchdog.take() {
            end(&mut watchdog);
        }
    }
}

impl Drop for TiedChild {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Kills and collects; both fail only for a child that is already gone, which is what we want.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn watchdog(pid: u32) -> io::Result<Child> {
    Command::new("sh")
        .args(["-c", r#"read -r _; kill -KILL "$0""#])
        .arg(pid.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

struct Request {
    command: Command,
    reply: Sender<io::Result<Child>>,
}

/// Hands the command to the one thread that forks.
fn fork(command: Command) -> io::Result<Child> {
    static FORKER: LazyLock<Mutex<Sender<Request>>> = LazyLock::new(|| {
        let (sender, receiver): (_, Receiver<Request>) = channel();
        thread::spawn(move || {
            for Request { mut command, reply } in receiver {
                let result = command.spawn();
                // The pipe ends the command holds must close now, or readers never see the end.
                drop(command);
                // A receiver that is gone drops the child; it is tied to this thread all the same.
                let _ = reply.send(result);
            }
        });
        Mutex::new(sender)
    });
    let (reply, answer) = channel();
    FORKER
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send(Request { command, reply })
        .map_err(|_| io::Error::other("the thread that starts processes has ended"))?;
    answer.recv().map_err(|_| io::Error::other("the thread that starts processes has ended"))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_survives_the_thread_that_asked_for_it() {
        let mut child = thread::spawn(|| {
            let mut sleep = command("sleep");
            sleep.arg("1000");
            spawn(sleep).expect("sleep starts")
        })
        .join()
        .expect("the thread ends");
        assert!(child.try_wait().expect("the child can be asked").is_none());
        child.kill();
    }

    #[test]
    fn dropping_a_child_ends_it() {
        let mut sleep = command("sleep");
        sleep.arg("1000");
        let child = spawn(sleep).expect("sleep starts");
        let status = format!("/proc/{}/status", child.id());
        drop(child);
        assert!(!std::path::Path::new(&status).exists());
    }

    #[test]
    fn the_exit_status_comes_through_the_wrapper() {
        let mut shell = command("sh");
        shell.args(["-c", "exit 7"]);
        assert_eq!(status(shell).expect("sh starts").code(), Some(7));
    }
}
