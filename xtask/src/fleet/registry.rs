//! Debian's registry on a port of this computer, in a folder of its own.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use super::shelf;
use crate::lifeline::{self, TiedChild};
use crate::qemu::{Namespace, Tap};

/// The program, and the package that has it.
pub const PROGRAM: &str = "docker-registry";
/// What a node behind QEMU's own network calls this computer.
pub const HOST: &str = "10.0.2.2";
/// What the names of its repositories begin with.
const PREFIX: &str = "hostkernel";
/// How long a server may take to start, on a busy computer.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A registry. Dropping it ends it; what it has stays in its folder.
#[derive(Debug)]
pub struct Registry {
    folder: PathBuf,
    /// Where it listens.
    address: SocketAddr,
    /// What nodes call that.
    host: String,
    /// Where nodes reach it, if not at this computer's own addresses.
    namespace: Option<Namespace>,
    process: Option<TiedChild>,
}

impl Registry {
    /// Starts one with what is in a folder. It lets actions be deleted.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(folder: impl Into<PathBuf>, port: u16) -> io::Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Self::start_at(folder.into(), address, HOST.to_owned(), None)
    }

    /// Starts one for nodes on a tap, in its namespace, where the calling thread has to be.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start_beside(folder: impl Into<PathBuf>, port: u16, tap: &Tap) -> io::Result<Self> {
        let address = SocketAddr::from((Tap::HOST, port));
        let namespace = Some(tap.namespace().clone());
        Self::start_at(folder.into(), address, Tap::HOST.to_string(), namespace)
    }

    fn start_at(
        folder: PathBuf,
        address: SocketAddr,
        host: String,
        namespace: Option<Namespace>,
    ) -> io::Result<Self> {
        let mut registry = Self { folder, address, host, namespace, process: None };
        registry.restart()?;
        Ok(registry)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What a node is told of it.
    #[must_use]
    pub fn setting(&self) -> String {
        format!("hostkernel.store=http://{}:{}/{PREFIX}", self.host, self.port())
    }

    /// Puts many actions, by tag and code, into the repository of the namespace `guest`.
    ///
    /// # Errors
    /// If its folder cannot be written.
    pub fn shelve(&self, actions: impl IntoIterator<Item = (String, Vec<u8>)>) -> io::Result<()> {
        shelf::fill(&self.folder.join("data"), &format!("{PREFIX}/guest"), actions)
    }

    /// Ends it.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Starts it again.
    ///
    /// # Errors
    /// If it does not start.
    pub fn restart(&mut self) -> io::Result<()> {
        self.stop();
        fs::create_dir_all(&self.folder)?;
        let config = self.folder.join("config.yml");
        let (data, address) = (self.folder.join("data"), self.address);
        let text = format!(
            "version: 0.1\nlog:\n  level: warn\n  accesslog:\n    disabled: true\nstorage:\n  \
             filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\nhttp:\n  \
             addr: {address}\n",
            data.display()
        );
        fs::write(&config, text)?;
        let mut command = match &self.namespace {
            None => lifeline::command(PROGRAM),
            Some(namespace) => {
                let mut command = namespace.command();
                command.arg(PROGRAM);
                command
            }
        };
        command.args(["serve".as_ref(), config.as_os_str()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(lifeline::spawn(command)?);
        wait_for(address)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits until somebody listens.
pub(super) fn wait_for(address: SocketAddr) -> io::Result<()> {
    let end = Instant::now() + START_TIMEOUT;
    loop {
        match TcpStream::connect(address) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() >= end => return Err(error),
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}
