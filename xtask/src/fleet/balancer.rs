//! HAProxy in front of nodes: who gets which request, and which may be sent twice.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Stdio;

use super::registry::wait_for;
use crate::lifeline::{self, TiedChild};

/// The program, and the package that has it.
pub const PROGRAM: &str = "haproxy";

/// A running HAProxy. Dropping it ends it.
#[derive(Debug)]
pub struct Balancer {
    port: u16,
    process: TiedChild,
}

impl Balancer {
    /// Starts one on a port, in front of nodes on these ports: the first is number 1.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(folder: &Path, port: u16, nodes: &[u16]) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let file = folder.join("haproxy.cfg");
        fs::write(&file, config(port, nodes))?;
        let mut command = lifeline::command(PROGRAM);
        command.arg("-db").arg("-q").arg("-f").arg(&file);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = lifeline::spawn(command)?;
        wait_for(([127, 0, 0, 1], port).into())?;
        Ok(Self { port, process })
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.process.kill();
    }
}

/// The configuration, which `docs/fleet.md` explains line by line.
#[must_use]
pub fn config(port: u16, nodes: &[u16]) -> String {
    let mut text = format!(
        "\
global
    maxconn 4096

defaults
    mode http
    timeout connect 2s
    timeout queue 10s
    timeout client 75s
    timeout server 310s
    retries 3
    option redispatch
    retry-on conn-failure empty-response 503
    http-reuse safe

frontend api
    bind 127.0.0.1:{port}
    http-request disable-l7-retry if METH_POST !{{ req.hdr(Idempotency-Key) -m found }}
"
    );
    for number in 1..=nodes.len() {
        let _ = writeln!(
            text,
            "    use_backend node{number} if {{ path_reg \
             ^/api/v1/namespaces/[^/]+/activations/{number:04x} }}"
        );
    }
    text.push_str(
        "    default_backend nodes\n\nbackend nodes\n    balance leastconn\n    option httpchk GET \
         /readyz\n    http-check expect status 200\n    default-server check inter 500ms fall 2 \
         rise 1\n",
    );
    let servers = || nodes.iter().zip(1..);
    for (node, number) in servers() {
        let _ = writeln!(text, "    server node{number} 127.0.0.1:{node}");
    }
    for (node, number) in servers() {
        let _ = writeln!(text, "\nbackend node{number}\n    server node{number} 127.0.0.1:{node}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    #[test]
    fn the_documentation_has_this_configuration() {
        let page = workspace::root().join("docs/fleet.md");
        let page = fs::read_to_string(page).expect("the page is there");
        let config = config(3233, &[3241, 3242, 3243]);
        assert!(page.contains(&config), "docs/fleet.md must have:\n{config}");
    }
}
