//! The peers: who makes an answer.

use std::io;
use std::path::Path;

use crate::container;
use crate::container::HELLO_ASSEMBLY;
use crate::process::Program;
use crate::wasm;

const HELLO_MUSL: &str = "/peers/hello-musl";
const CRUN: &str = "/usr/bin/crun";
const RUNC: &str = "/usr/sbin/runc";
const SOLO5_TENDER: &str = "/peers/solo5-tender";
const SOLO5_IMAGE: &str = "/peers/solo5-image";
/// Programs that are given an input.
const HOSTED: [&str; 4] = ["c-musl", "c-glibc", "rust-musl", "go"];
const HOSTED_FOLDER: &str = "/peers/hosted";
const INPUT: &str = "/peers/input";
const GREETING: &[u8] = br#"{"greeting":"Hello, World!"}"#;

/// The peers of one thread: what can be prepared is.
pub struct Peers {
    named: Vec<(&'static str, Peer)>,
}

/// Something that makes an answer.
pub enum Peer {
    /// The server.
    Constant,
    /// A new process.
    Process(Program),
    /// A new WebAssembly instance.
    Wasm,
}

impl Peers {
    /// Prepares the peers of a thread; threads have different numbers.
    ///
    /// # Errors
    /// What the operating system says to the containers' files.
    pub fn new(thread: usize) -> io::Result<Self> {
        let container = format!("hello-{thread}");
        container::prepare(&container)?;
        let mut named = vec![
            ("constant", Peer::Constant),
            ("process", Peer::Process(Program::new(&[HELLO_ASSEMBLY])?)),
            ("musl", Peer::Process(Program::new(&[HELLO_MUSL])?)),
            ("crun", Peer::Process(container::program(CRUN, &container)?)),
            ("runc", Peer::Process(container::program(RUNC, &container)?)),
            ("wasm", Peer::Wasm),
        ];
        for name in HOSTED {
            let path = format!("{HOSTED_FOLDER}/{name}");
            named.push((name, Peer::Process(Program::new(&[&path])?.with_input(INPUT))));
        }
        if Path::new(SOLO5_TENDER).exists() {
            named.push(("solo5", Peer::Process(Program::new(&[SOLO5_TENDER, SOLO5_IMAGE])?)));
        }
        Ok(Self { named })
    }

    /// The peer of that name.
    pub fn find(&self, name: &str) -> Option<&Peer> {
        self.named.iter().find_map(|(own, peer)| (*own == name).then_some(peer))
    }
}

impl Peer {
    /// Appends an answer to `output`.
    ///
    /// # Errors
    /// Why there is none.
    pub fn run(&self, output: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Constant => {
                output.extend(GREETING);
                Ok(())
            }
            Self::Process(program) => program.run(output),
            Self::Wasm => wasm::run(output),
        }
    }
}
