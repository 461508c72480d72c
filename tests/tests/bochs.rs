//! Nodes in Bochs: another emulator, other firmware, another card than QEMU's.
//!
//! It has no power button and no virtio. Its network is slirp, its card the 82540EM, and it ends
//! when the machine switches itself off. Time in it is the emulated processor's.
//!
//! `cargo xtask test boot --all` installs it, with all the packages it wants, and runs this.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use system_tests::{AUTHORIZATION, BOOT_TIMEOUT, Connection, Response, request, sample};
use xtask::bundle::Contents;
use xtask::image;
use xtask::lifeline::{self, TiedChild};

/// Cores, processor, drive.
const MACHINES: [(u32, &str, &str); 3] = [
    (1, "core2_penryn_t9600", "type=disk, path=image, mode=volatile\nboot: disk"),
    (2, "corei7_skylake_x", "type=cdrom, path=image, status=inserted\nboot: cdrom"),
    (4, "ryzen", "type=disk, path=image, mode=volatile\nboot: disk"),
];
const PAUSE: Duration = Duration::from_millis(100);

/// A running Bochs, and where it keeps its files.
struct Bochs {
    child: TiedChild,
    folder: PathBuf,
    address: SocketAddr,
}

impl Bochs {
    fn start(image: &[u8], (cores, processor, drive): (u32, &str, &str)) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("bochs-{processor}"));
        // Its lock on the image may be left of a run that was ended.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("the folder for tests can be written");
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = free.local_addr().expect("it has an address");
        drop(free);
        let settings = format!(
            "config_interface: textconfig
display_library: rfb, options=\"timeout=0\"
memory: guest=256, host=256
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
cpu: model={processor}, count={cores}, ips=50000000, reset_on_triple_fault=0
clock: sync=slowdown
pci: enabled=1, chipset=i440fx, slot1=e1000
e1000: enabled=1, mac=52:54:00:12:34:56, ethmod=slirp, script=network
com1: enabled=1, mode=file, dev=serial
log: log
panic: action=fatal
ata0-master: {drive}
"
        );
        // Without this first line it is not taken for such a file.
        let network = format!("# slirp config\nhostfwd = tcp:{address}-10.0.2.15:3233\n");
        for (name, content) in [
            ("image", image),
            ("settings", settings.as_bytes()),
            ("network", network.as_bytes()),
            // Debian's has a debugger, which waits for a word.
            ("debugger", b"continue\n"),
        ] {
            fs::write(folder.join(name), content).expect("the folder is ours");
        }
        let mut command = lifeline::command("bochs");
        command.args(["-q", "-f", "settings", "-rc", "debugger"]).current_dir(&folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = lifeline::spawn(command).expect("`cargo xtask test boot --all` installs Bochs");
        Self { child, folder, address }
    }

    fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.folder.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn report(&self) -> String {
        format!("{}\n{}", self.read("log"), self.read("serial"))
    }

    fn wait_ready(&mut self) {
        let end = Instant::now() + BOOT_TIMEOUT;
        while !self.read("serial").contains("ready after") {
            let has_ended = self.child.try_wait().expect("it is our child").is_some();
            assert!(!has_ended && Instant::now() < end, "{}", self.report());
            thread::sleep(PAUSE);
        }
    }

    fn ask(&self, target: &str, body: &[u8]) -> Response {
        let mut connection = Connection::open(self.address).expect("slirp listens");
        connection.send(&request("POST", target, &[AUTHORIZATION], body)).expect("it is read");
        connection.receive().unwrap_or_else(|error| panic!("{error}: {}", self.report()))
    }

    /// Waits until the machine has switched itself off.
    fn wait_off(&mut self) {
        let end = Instant::now() + BOOT_TIMEOUT;
        while self.child.try_wait().expect("it is our child").is_none() {
            assert!(Instant::now() < end, "{}", self.report());
            thread::sleep(PAUSE);
        }
        assert!(self.read("log").contains("ACPI control: soft power off"), "{}", self.report());
    }
}

#[test]
fn an_image_starts_a_node_in_bochs() {
    let actions = vec![("guest/hello".to_owned(), sample("hello"))];
    let bundle = Contents { actions, ..Contents::default() }.archive().expect("it is short");
    let image = image::of_workspace("", &bundle).expect("an image");
    for machine in MACHINES {
        let begin = Instant::now();
        let mut node = Bochs::start(&image, machine);
        node.wait_ready();
        let (cores, processor, _) = machine;
        for round in 0..3 {
            let answer = node.ask("/function/hello", br#"{"name":"Bochs"}"#);
            let expected = r#"{"greeting":"Hello, Bochs!"}"#.to_owned();
            assert_eq!((answer.status, answer.text()), (200, expected), "{round}");
        }
        assert_eq!(node.ask("/admin/drain", b"").status, 202, "{}", node.report());
        node.wait_off();
        let log = node.read("serial");
        assert!(log.contains(&format!("cores: {cores} of {cores}")), "{log}");
        assert!(log.contains("INFO  boot: firmware ") && log.contains(", loader "), "{log}");
        assert!(!log.contains("ERROR"), "{log}");
        println!("Bochs {cores} {processor}: {:.1} s", begin.elapsed().as_secs_f64());
    }
}
