//! A running QEMU with a node in it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::monitor::Monitor;
use super::plan::Plan;
use super::verdict::Verdict;
use super::{Namespace, QEMU_VARIABLE, QemuError, Report, Transcript};
use crate::lifeline::{self, TiedChild};
use crate::prerequisites::QEMU;
use crate::programs::find_program;

/// How long a node may take from the power button to the end of QEMU: its drain, 20 s by default,
/// on a busy computer.
const POWER_OFF_TIMEOUT: Duration = Duration::from_secs(90);
/// How long QEMU may take to obey `quit`.
const QUIT_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause between two looks at something that cannot wake us.
const POLL_PAUSE: Duration = Duration::from_millis(30);
/// Time for one `GET /readyz`: the first bound is short, since QEMU's network accepts connections
/// for a guest that does not listen yet and such a connection never answers. It grows for
/// slow hosts.
const READY_PROBE_MIN: Duration = Duration::from_millis(300);
const READY_PROBE_MAX: Duration = Duration::from_secs(5);
/// How long a node that says it is ready may not answer: for the probe that is under way, and a
/// busy computer.
const READY_GRACE: Duration = Duration::from_secs(60);
/// Lines of the serial log in a report.
const REPORT_LINES: usize = 40;
/// What QEMU says when it cannot listen on a forwarded port.
const FORWARD_FAILED: &str = "Could not set up host forwarding rule";

/// How a node went down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerOff {
    /// The node reacted to its power button and switched the machine off.
    Clean,
    /// It did not, and QEMU was told to quit.
    Quit,
    /// Not even QEMU reacted and was killed.
    Killed,
    /// It had ended before.
    AlreadyOff,
}

/// A running machine. Dropping it ends QEMU at once; [`power_off`](Self::power_off) is the clean
/// way.
#[derive(Debug)]
pub struct Node {
    process: Mutex<TiedChild>,
    pid: u32,
    monitor: Monitor,
    serial: Transcript,
    messages: Transcript,
    place: Option<Place>,
    command_line: String,
}

/// Where a node is.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) address: SocketAddr,
    /// The network that has this address, where it is not the computer's own.
    pub(super) namespace: Option<Namespace>,
}

impl Node {
    pub(super) fn start(plan: &Plan, place: Option<Place>) -> Result<Self, QemuError> {
        let program = std::env::var_os(QEMU_VARIABLE).unwrap_or_else(|| QEMU.into());
        if find_program(&program).is_none() {
            return Err(QemuError::NoQemu(program.to_string_lossy().into_owned()));
        }
        let node = Self::spawn(program, plan, place).map_err(|cause| QemuError::Spawn { cause })?;
        match node.monitor.negotiate() {
            Ok(()) => Ok(node),
            Err(error) => Err(node.start_failed(&error)),
        }
    }

    fn spawn(program: OsString, plan: &Plan, place: Option<Place>) -> io::Result<Self> {
        let (monitor, qemu_end) = Monitor::pair()?;
        let mut command = match place.as_ref().and_then(|place| place.namespace.as_ref()) {
            None => lifeline::command(&program),
            Some(namespace) => {
                let mut command = namespace.command();
                command.arg(&program);
                command
            }
        };
        command
            .args(&plan.arguments)
            .args(["-chardev", "socket,id=qmp,fd=0", "-mon", "chardev=qmp,mode=control"])
            .args(["-chardev", "file,id=serial,path=/dev/stdout", "-serial", "chardev:serial"])
            .stdin(OwnedFd::from(qemu_end))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C in a terminal goes to a whole group; the node is to be powered off instead.
            .process_group(0);
        let mut process = lifeline::spawn(command)?;
        let missing = || io::Error::other("a pipe to QEMU is missing");
        let serial = process.pipes().stdout.take().ok_or_else(missing)?;
        let messages = process.pipes().stderr.take().ok_or_else(missing)?;
        let words = std::iter::once(&program).chain(&plan.arguments);
        let words: Vec<_> = words.map(|word| quote(&word.to_string_lossy())).collect();
        Ok(Self {
            pid: process.id(),
            process: Mutex::new(process),
            monitor,
            serial: Transcript::capture(serial),
            messages: Transcript::capture(messages),
            place,
            command_line: format!("{} -serial stdio", words.join(" ")),
        })
    }

    fn start_failed(self, error: &io::Error) -> QemuError {
        // A closed connection means that QEMU ended, and the status follows within moments.
        let Some(status) = self.wait_exit(QUIT_TIMEOUT) else {
            return QemuError::Silent { reason: error.to_string(), report: self.report() };
        };
        match &self.place {
            Some(place) if self.messages.text().contains(FORWARD_FAILED) => {
                QemuError::PortTaken { port: place.address.port() }
            }
            _ => QemuError::Ended { status, report: self.report() },
        }
    }

    /// Where the node's HTTP interface is, without a slash at the end.
    ///
    /// # Panics
    /// If the machine has no network.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The socket address behind [`base_url`](Self::base_url). With a tap it is one that only
    /// threads in the tap's namespace reach.
    ///
    /// # Panics
    /// If the machine has no network.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.place.as_ref().expect("the machine was given a network").address
    }

    /// A client for this node with the public development key.
    ///
    /// # Panics
    /// If the machine has no network.
    #[must_use]
    pub fn client(&self) -> hk::Client {
        hk::Client::new(&self.base_url())
    }

    /// Waits until `GET /readyz` answers 200.
    ///
    /// # Errors
    /// [`QemuError::NotReady`] after `timeout`, [`QemuError::Ended`] as soon as QEMU ends,
    /// [`QemuError::Halted`] as soon as the node says so, [`QemuError::Elsewhere`] if it is ready
    /// for somebody else.
    pub fn wait_ready(&self, timeout: Duration) -> Result<(), QemuError> {
        self.wait_ready_unless(timeout, || false)
    }

    /// Like [`wait_ready`](Self::wait_ready), but gives up when `cancelled` says so.
    ///
    /// # Errors
    /// Also [`QemuError::Interrupted`].
    ///
    /// # Panics
    /// If the machine has no network, or has a tap and this process is not root any more.
    pub fn wait_ready_unless(
        &self,
        timeout: Duration,
        cancelled: impl Fn() -> bool,
    ) -> Result<(), QemuError> {
        let begin = Instant::now();
        let namespace = self.place.as_ref().and_then(|place| place.namespace.as_ref());
        let _inside = namespace.map(|it| it.enter().expect("who created it may enter"));
        let mut probe = READY_PROBE_MIN;
        let mut says_ready = None;
        loop {
            if self.client().with_timeout(probe).is_ready() {
                return Ok(());
            }
            if let Some(status) = self.exit_status() {
                self.settle();
                return Err(QemuError::Ended { status, report: self.report() });
            }
            match Verdict::of(&self.serial()) {
                Some(Verdict::Halted(words)) => {
                    return Err(QemuError::Halted { words, report: self.report() });
                }
                Some(Verdict::Ready(words)) => {
                    let since = *says_ready.get_or_insert_with(Instant::now);
                    if since.elapsed() >= READY_GRACE.min(timeout / 2) {
                        let (address, report) = (self.address(), Box::new(self.report()));
                        return Err(QemuError::Elsewhere { words, address, report });
                    }
                }
                None => {}
            }
            if cancelled() {
                return Err(QemuError::Interrupted);
            }
            if begin.elapsed() >= timeout {
                return Err(QemuError::NotReady { waited: timeout, report: self.report() });
            }
            probe = (probe * 5 / 4).min(READY_PROBE_MAX);
            thread::sleep(POLL_PAUSE);
        }
    }

    /// The whole serial log so far.
    #[must_use]
    pub fn serial(&self) -> String {
        self.serial.text()
    }

    /// The last lines of the serial log.
    #[must_use]
    pub fn serial_tail(&self, lines: usize) -> String {
        self.serial.tail(lines)
    }

    /// The serial log as a stream to follow or to wait on.
    #[must_use]
    pub fn serial_log(&self) -> &Transcript {
        &self.serial
    }

    /// The QEMU command, ready to paste into a shell; it prints the serial log to the terminal.
    #[must_use]
    pub fn command_line(&self) -> &str {
        &self.command_line
    }

    /// Command, QEMU's messages and serial tail, for a failure message.
    #[must_use]
    pub fn report(&self) -> Report {
        Report {
            command_line: self.command_line.clone(),
            messages: self.messages.text(),
            serial_tail: self.serial.tail(REPORT_LINES),
        }
    }

    /// Process id of QEMU.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Processor time QEMU has used so far, all its threads together. `None` after its end.
    #[must_use]
    pub fn cpu_time(&self) -> Option<Duration> {
        cpu_time(&fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?)
    }

    /// The exit status, if QEMU has ended.
    #[must_use]
    pub fn exit_status(&self) -> Option<ExitStatus> {
        // An error means the process is not ours to wait for any more, which cannot be: we own it.
        self.process().try_wait().ok().flatten()
    }

    /// Waits for QEMU to end by itself. `None` if it still runs after `timeout`.
    #[must_use]
    pub fn wait_exit(&self, timeout: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + timeout;
        loop {
            let status = self.exit_status();
            if status.is_some() {
                self.settle();
                return status;
            }
            if Instant::now() >= end {
                return None;
            }
            thread::sleep(POLL_PAUSE);
        }
    }

    /// Presses the power button, without waiting.
    ///
    /// # Errors
    /// When QEMU does not listen any more.
    pub fn press_power_button(&self) -> io::Result<()> {
        self.monitor.execute("system_powerdown").map(drop)
    }

    /// Executes a command without arguments of QEMU's machine protocol, for instance `stop`.
    ///
    /// # Errors
    /// When QEMU refuses it or does not listen any more.
    pub fn execute(&self, command: &str) -> io::Result<serde_json::Value> {
        self.monitor.execute(command)
    }

    /// Executes a line of QEMU's monitor for people, for instance `mce …`.
    ///
    /// # Errors
    /// When QEMU does not listen any more. What the monitor says is the result.
    pub fn execute_human(&self, line: &str) -> io::Result<serde_json::Value> {
        self.monitor.execute_human(line)
    }

    /// Presses the power button and waits for the node to switch off; if it does not, ends QEMU.
    pub fn power_off(&self) -> PowerOff {
        self.power_off_within(POWER_OFF_TIMEOUT)
    }

    /// Like [`power_off`](Self::power_off), with a time limit for the node.
    pub fn power_off_within(&self, timeout: Duration) -> PowerOff {
        if self.exit_status().is_some() {
            return PowerOff::AlreadyOff;
        }
        if self.press_power_button().is_ok() && self.wait_exit(timeout).is_some() {
            return PowerOff::Clean;
        }
        // The answer to `quit` may get lost in the end it asks for; only the end itself counts.
        let _ = self.monitor.execute("quit");
        if self.wait_exit(QUIT_TIMEOUT).is_some() {
            return PowerOff::Quit;
        }
        self.process().kill();
        PowerOff::Killed
    }

    /// Ends QEMU at once, as a power cut would.
    pub fn kill(&self) {
        self.process().kill();
        self.settle();
    }

    /// After QEMU's end: lets the reading threads catch up with what it said.
    fn settle(&self) {
        self.serial.wait_closed(QUIT_TIMEOUT);
        self.messages.wait_closed(QUIT_TIMEOUT);
    }

    fn process(&self) -> MutexGuard<'_, TiedChild> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// User and system time from `/proc/PID/stat`, which counts in hundredths of a second on every
/// Linux. The fields are counted from behind the program name, which may contain anything.
fn cpu_time(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * 10))
}

/// A word as a shell needs it.
fn quote(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_=+./:,@%".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_past_any_program_name() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 9 0 0 0 150 50 0 0 20 0 1 0 8 0 0";
        assert_eq!(cpu_time(stat), Some(Duration::from_secs(2)));
        assert_eq!(cpu_time("nonsense"), None);
    }

    #[test]
    fn words_are_quoted_only_where_a_shell_needs_it() {
        assert_eq!(quote("virtio-net-pci,netdev=net0"), "virtio-net-pci,netdev=net0");
        assert_eq!(quote("ip=dhcp log=json"), "'ip=dhcp log=json'");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
    }
}
