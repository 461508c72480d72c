//! The assembly program in a container: the smallest bundle `runc` and `crun` both take.

use std::fs;
use std::io;
use std::path::Path;

use crate::process::Program;

/// The assembly program.
pub const HELLO_ASSEMBLY: &str = "/peers/hello-assembly";

/// Where the bundles lie, by the names of containers. Those that live at the same time must not
/// share one: the runtimes make devices in it, and `crun` fails if another one is quicker.
const BUNDLES: &str = "/run/bundles";

/// Four namespaces, a root of its own, no terminal, no network, and the one mount without which
/// `runc` does not start.
const CONFIG: &str = r#"{
  "ociVersion": "1.0.0",
  "process": {
    "terminal": false,
    "user": { "uid": 0, "gid": 0 },
    "args": ["/hello"],
    "cwd": "/",
    "noNewPrivileges": true
  },
  "root": { "path": "rootfs", "readonly": true },
  "mounts": [{ "destination": "/proc", "type": "proc", "source": "proc" }],
  "linux": {
    "namespaces": [
      { "type": "mount" }, { "type": "pid" }, { "type": "ipc" }, { "type": "uts" }
    ]
  }
}
"#;

/// Writes the bundle of a container.
///
/// # Errors
/// What the operating system says.
pub fn prepare(name: &str) -> io::Result<()> {
    let bundle = Path::new(BUNDLES).join(name);
    // The runtimes mount here, and cannot make folders in a root that is read-only.
    for folder in ["rootfs/dev", "rootfs/proc"] {
        fs::create_dir_all(bundle.join(folder))?;
    }
    fs::write(bundle.join("config.json"), CONFIG)?;
    // Copied with its permission to be executed.
    fs::copy(HELLO_ASSEMBLY, bundle.join("rootfs/hello"))?;
    Ok(())
}

/// The command that runs a container whose bundle has been written.
///
/// # Errors
/// If the name contains a zero byte.
pub fn program(runtime: &str, name: &str) -> io::Result<Program> {
    Program::new(&[runtime, "run", "--bundle", &format!("{BUNDLES}/{name}"), name])
}
