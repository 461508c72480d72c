//! Runs a host image and its payload on this computer: the kernel's mechanisms, as far as a host
//! image sees them, made of `ptrace`.
//!
//! ```sh
//! linux-emulator IMAGE PAYLOAD [ARGUMENT…] <INPUT >RESULT 2>LOG
//! ```
//!
//! The image runs as a process whose every `syscall` stops. One from its declared code is a native
//! call and answered here; any other continues at the image's handler, as the kernel does it.
//! Signals of the process become upcalls. So the library OS can be tried and debugged in seconds,
//! with the very bytes that a node runs; what differs is freezing, which here only goes on.
//!
//! With `COUNT=1` in the environment it counts the instructions of an instance, one by one, and
//! prints how many were the program's, and for each of its calls how many the image took to answer
//! it.
//!
//! The exit status is that of the invocation. What the image reports is printed to standard error,
//! each line beginning with `report:`.

mod calls;
mod count;
mod image;
mod process;
mod upcalls;
mod windows;

use std::env;
use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use calls::Machine;

/// Why a run gave no status.
#[derive(Debug, thiserror::Error)]
pub enum EmulatorError {
    /// The arguments name no image and payload.
    #[error("usage: linux-emulator IMAGE PAYLOAD [ARGUMENT…]")]
    Usage,
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
    let mut arguments = env::args_os().skip(1);
    let image = arguments.next().ok_or(EmulatorError::Usage)?;
    let payload = arguments.next().ok_or(EmulatorError::Usage)?;
    let arguments: Vec<_> = arguments.collect();
    let system = |what| move |cause| EmulatorError::System { what, cause };
    let image = std::fs::read(image).map_err(system("the image"))?;
    let payload = File::open(payload).map_err(system("the payload"))?;
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input).map_err(system("standard input"))?;

    let entry = image::map(&image)?;
    let windows = windows::map(&payload, &arguments, &input)?;
    let process = process::start(entry, &windows)?;
    Machine::new(process, windows, payload).run()
}
