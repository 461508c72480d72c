//! Names of signals, and what they do unless told otherwise (`signal(7)`).
#![forbid(unsafe_code)]

use linux_raw_sys::general as linux;

/// Names of the signals 1 to 31.
const NAMES: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// The name of a signal; real-time signals have none of their own.
#[must_use]
pub fn name(signal: u32) -> &'static str {
    NAMES.get(signal as usize - 1).copied().unwrap_or("a real-time signal")
}

/// Whether a signal does nothing unless it is caught. Those that would stop the process are among
/// them: nobody is there who could let it go on.
#[must_use]
pub fn is_ignored_by_default(signal: u32) -> bool {
    matches!(
        signal,
        linux::SIGCHLD
            | linux::SIGURG
            | linux::SIGWINCH
            | linux::SIGCONT
            | linux::SIGTSTP
            | linux::SIGTTIN
            | linux::SIGTTOU
    )
}
