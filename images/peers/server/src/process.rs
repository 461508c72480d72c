//! Starts a program, reads what it prints, and collects it.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use nix::fcntl::OFlag;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, posix_spawn};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{pipe2, read};

const STDIN: i32 = 0;
const STDOUT: i32 = 1;
/// How much is read at once: the greeting is shorter.
const READ_LEN: usize = 512;

/// A program with its arguments, ready to be started again and again.
pub struct Program {
    arguments: Vec<CString>,
    /// The file that is its standard input, if it reads any.
    input: Option<&'static str>,
}

impl Program {
    /// A program by its path, and its arguments.
    ///
    /// # Errors
    /// If a word contains a zero byte.
    pub fn new(words: &[&str]) -> io::Result<Self> {
        let arguments = words.iter().map(|word| CString::new(*word)).collect::<Result<_, _>>()?;
        Ok(Self { arguments, input: None })
    }

    /// The same, which reads this file.
    pub fn with_input(self, file: &'static str) -> Self {
        Self { input: Some(file), ..self }
    }

    /// Runs it to its end and appends what it prints to `output`.
    ///
    /// # Errors
    /// If it cannot be started, or does not end with status 0.
    pub fn run(&self, output: &mut Vec<u8>) -> io::Result<()> {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
        let mut files = PosixSpawnFileActions::init()?;
        files.add_dup2(writer.as_raw_fd(), STDOUT)?;
        let input = self.input.map(File::open).transpose()?;
        if let Some(input) = &input {
            files.add_dup2(input.as_raw_fd(), STDIN)?;
        }
        // The library shares its memory with the child until that has become the program: vfork.
        let attributes = PosixSpawnAttr::init()?;
        let environment: [&CString; 0] = [];
        let program = self.arguments[0].as_c_str();
        let child = posix_spawn(program, &files, &attributes, &self.arguments, &environment)?;
        drop(writer);
        let mut buffer = [0; READ_LEN];
        loop {
            match read(&reader, &mut buffer)? {
                0 => break,
                len => output.extend_from_slice(&buffer[..len]),
            }
        }
        match waitpid(child, None)? {
            WaitStatus::Exited(_, 0) => Ok(()),
            status => {
                let name = self.arguments[0].to_string_lossy();
                Err(io::Error::other(format!("{name}: {status:?}")))
            }
        }
    }
}
