//! Why there is no runtime.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::build::BuildError;
use crate::lifeline;
use crate::prerequisites::PrerequisiteError;

/// Why there is no runtime.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// Something is missing that could not be installed.
    #[error(transparent)]
    Prerequisite(#[from] PrerequisiteError),
    /// A program does not build.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// Something is installed, but not where it was expected.
    #[error("{what} was not found; it is part of the package {package}")]
    Missing {
        /// What.
        what: String,
        /// The Debian package.
        package: &'static str,
    },
    /// A command failed. It has said why.
    #[error("`{command}` failed; its message is above")]
    Failed {
        /// The command.
        command: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {cause}", .path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        cause: io::Error,
    },
    /// The archive cannot be written.
    #[error("{}: {cause}", .path.display())]
    Archive {
        /// The file in it.
        path: PathBuf,
        /// What the library says.
        cause: zip::result::ZipError,
    },
}

pub(super) fn file_error(path: &Path) -> impl FnOnce(io::Error) -> RuntimeError {
    move |cause| RuntimeError::File { path: path.to_path_buf(), cause }
}

/// A command, as people would type it.
fn words(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Runs a command to its end.
pub(super) fn run(program: &str, arguments: &[&str]) -> Result<(), RuntimeError> {
    let mut command = lifeline::command(program);
    command.args(arguments);
    match lifeline::status(command) {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => {
            Err(RuntimeError::Failed { command: format!("{program} {}", arguments.join(" ")) })
        }
        Err(cause) => Err(RuntimeError::File { path: program.into(), cause }),
    }
}

/// Runs a command to its end and returns what it prints.
pub(super) fn output(mut command: Command) -> Result<String, RuntimeError> {
    let output = command.output().map_err(file_error(Path::new(command.get_program())))?;
    if !output.status.success() {
        return Err(RuntimeError::Failed { command: words(&command) });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
