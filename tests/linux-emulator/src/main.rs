//! Runs a host image and its payload on this computer: the kernel's mechanisms, as far as a host
//! image sees them, made of `ptrace`.
//!
//! ```sh
//! linux-emulator [OPTION…] IMAGE PAYLOAD [ARGUMENT…] <INPUT >RESULT 2>LOG
//! ```
//!
//! | option | |
//! |---|---|
//! | `--at-input` | the program is frozen where it first looks at its input, not at its start |
//! | `--call FILE` | one more call with this input, each in a process of its own; may be repeated |
//! | `--function FILE` | the payload is a runtime, and this the code of a function for it |
//! | `--init TEXT` | the line that the function's stage gets as input; otherwise `{"value":{}}` |
//! | `--warm PATH` | a server answers requests for this before it is frozen |
//!
//! Variables of this process that begin with `ACTION_` are, without that, a call's environment.
//!
//! The image runs as a process whose every `syscall` stops. One from its declared code is a native
//! call and answered here; any other continues at the image's handler, as the kernel does it.
//! Signals of the process become upcalls. So the library OS can be tried and debugged in seconds,
//! with the very bytes that a node runs; what differs is freezing, which here is a `fork` for each
//! instance.
//!
//! With `COUNT=1` in the environment it counts the instructions of an instance, one by one, and
//! prints how many were the program's, and for each of its calls how many the image took to answer
//! it. With `CALLS=1` it prints the numbers of the calls that the program made.
//!
//! With `PAGES=1` it prints how many pages a function keeps: those that are not what they were when
//! its runtime was frozen.
//!
//! The exit status is that of the invocation. What the image reports is printed to standard error,
//! each line beginning with `report:`.

mod calls;
mod count;
mod image;
mod options;
mod pages;
mod process;
mod upcalls;
mod windows;

use std::env;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use calls::Machine;
use options::Job;

/// Why a run gave no status.
#[derive(Debug, thiserror::Error)]
pub enum EmulatorError {
    /// The arguments name no image and payload.
    #[error("usage: linux-emulator [OPTION…] IMAGE PAYLOAD [ARGUMENT…]")]
    Usage,
    /// Input, arguments or environment do not fit their windows.
    #[error("the input, or arguments and environment, are too long")]
    TooLong,
    /// A file cannot be read, or a system call of this computer failed.
    #[error("{what}: {cause}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        cause: std::io::Error,
    },
    /// The image is no executable this program understands.
    #[error("the image is no static executable")]
    BadImage,
    /// The image did something that ends its invocation.
    #[error("the image faulted: {0}")]
    Fault(String),
}

/// The tunable that keeps the C library from registering memory with the kernel that the process
/// will not have any more.
const TUNABLES: (&str, &str) = ("GLIBC_TUNABLES", "glibc.pthread.rseq=0");

fn main() -> ExitCode {
    if env::var_os(TUNABLES.0).is_none()
        && let Ok(program) = env::current_exe()
    {
        let cause =
            Command::new(program).args(env::args_os().skip(1)).env(TUNABLES.0, TUNABLES.1).exec();
        eprintln!("linux-emulator: {cause}");
        return ExitCode::FAILURE;
    }
    match run() {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("linux-emulator: {error}");
            ExitCode::from(255)
        }
    }
}

fn run() -> Result<u8, EmulatorError> {
    let Job { image, payload, beginning, plan } = options::parse()?;
    let image = std::fs::read(image).map_err(system("the image"))?;
    let payload = File::open(payload).map_err(system("the payload"))?;
    let payload_len = payload.metadata().map_err(system("the payload's length"))?.len();
    let entry = image::map(&image)?;
    let mut windows = windows::map(payload_len)?;
    let process = process::start(entry, &windows)?;
    windows.fill(&process, &beginning)?;
    Machine::new(process, windows, payload, plan).run()
}

/// An error of this computer, about this.
fn system(what: &'static str) -> impl Fn(std::io::Error) -> EmulatorError {
    move |cause| EmulatorError::System { what, cause }
}
