//! Debian's registry on a port of this computer, in a folder of its own.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::lifeline::{self, TiedChild};

/// The program, and the package that has it.
pub const PROGRAM: &str = "docker-registry";
/// What a node behind QEMU's own network calls this computer.
pub const HOST: &str = "10.0.2.2";
/// How long a server may take to start, on a busy computer.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A registry. Dropping it ends it; what it has stays in its folder.
#[derive(Debug)]
pub struct Registry {
    folder: PathBuf,
    port: u16,
    process: Option<TiedChild>,
}

impl Registry {
    /// Starts one with what is in a folder. It lets actions be deleted.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(folder: impl Into<PathBuf>, port: u16) -> io::Result<Self> {
        let mut registry = Self { folder: folder.into(), port, process: None };
        registry.restart()?;
        Ok(registry)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What a node is told of it.
    #[must_use]
    pub fn setting(&self) -> String {
        format!("hostkernel.store=http://{HOST}:{}/hostkernel", self.port)
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
        let (data, port) = (self.folder.join("data"), self.port);
        let text = format!(
            "version: 0.1\nlog:\n  level: warn\n  accesslog:\n    disabled: true\nstorage:\n  \
             filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\nhttp:\n  \
             addr: 127.0.0.1:{port}\n",
            data.display()
        );
        fs::write(&config, text)?;
        let mut command = lifeline::command(PROGRAM);
        command.args(["serve".as_ref(), config.as_os_str()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(lifeline::spawn(command)?);
        wait_for(port)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits until somebody listens on a port.
pub(super) fn wait_for(port: u16) -> io::Result<()> {
    let end = Instant::now() + START_TIMEOUT;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    loop {
        match TcpStream::connect(address) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() >= end => return Err(error),
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}
