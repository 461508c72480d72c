//! What the QEMU runner promises when things go wrong, with kernels of a few bytes.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use system_tests::{Machine, Network, PowerOff, boot, machine};
use xtask::qemu::{QemuError, SELFTEST_PASSED};

/// Longer than QEMU takes on any computer; nothing depends on the exact time.
const PLENTY: Duration = Duration::from_secs(120);
/// Where the kernels are loaded.
const BASE: u32 = 0x20_0000;
/// Length of the ELF header, two program headers and the PVH note.
const HEAD_LEN: u32 = 64 + 2 * 56 + 24;

/// What a kernel does after it has said `I am here`.
#[derive(Clone, Copy)]
enum Ending {
    /// Nothing, for ever.
    Hang,
    /// Resets the machine by a triple fault.
    TripleFault,
    /// Ends QEMU as the in-kernel tests do.
    DebugExit,
}

fn kernel(name: &str, ending: Ending) -> PathBuf {
    kernel_saying(name, "I am here\n", ending)
}

/// Writes a PVH kernel of about 250 bytes: 32-bit code that prints to the first serial port.
fn kernel_saying(name: &str, message: &str, ending: Ending) -> PathBuf {
    let text = [message.as_bytes(), b"\0"].concat();
    let print_len = 17;
    let ending: &[u8] = match ending {
        Ending::Hang => &[],
        // lidt [BASE + 8]: the padding of the ELF identification, a table of length 0; int3
        Ending::TripleFault => &[0x0f, 0x01, 0x1d, 0x08, 0x00, 0x20, 0x00, 0xcc],
        // mov dx, 0xf4; mov eax, 16; out dx, eax
        Ending::DebugExit => &[0x66, 0xba, 0xf4, 0, 0xb8, 16, 0, 0, 0, 0xef],
    };
    let halt = [0xfa, 0xf4, 0xeb, 0xfd]; // cli; again: hlt; jmp again
    let message = BASE + HEAD_LEN + print_len + (ending.len() + halt.len()) as u32;
    let mut code = vec![0xbe]; // mov esi, message
    code.extend(message.to_le_bytes());
    code.extend([0x66, 0xba, 0xf8, 0x03]); // mov dx, 0x3f8
    code.extend([0xac, 0x84, 0xc0, 0x74, 3, 0xee, 0xeb, 0xf8]); // lodsb … out dx, al; jmp
    code.extend(ending);
    code.extend(halt);
    code.extend(text);

    let file_len = u64::from(HEAD_LEN) + code.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    elf.extend([2, 0, 62, 0, 1, 0, 0, 0]); // executable, x86-64, version
    elf.extend(u64::from(BASE + HEAD_LEN).to_le_bytes()); // entry
    elf.extend(64_u64.to_le_bytes()); // program headers
    elf.extend([0; 12]); // section headers, flags
    elf.extend([64, 0, 56, 0, 2, 0, 0, 0, 0, 0, 0, 0]); // sizes and numbers of headers
    let mut segment = |kind: u32, offset: u64, len: u64, align: u64| {
        elf.extend(kind.to_le_bytes());
        elf.extend(7_u32.to_le_bytes());
        let address = u64::from(BASE) + offset;
        for word in [offset, address, address, len, len, align] {
            elf.extend(word.to_le_bytes());
        }
    };
    segment(1, 0, file_len, 4096);
    segment(4, u64::from(HEAD_LEN) - 24, 24, 4);
    for word in [4_u32, 8, 18] {
        elf.extend(word.to_le_bytes()); // XEN_ELFNOTE_PHYS32_ENTRY
    }
    elf.extend(b"Xen\0");
    elf.extend(u64::from(BASE + HEAD_LEN).to_le_bytes());
    elf.extend(code);

    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&file, elf).expect("the folder for temporary files can be written");
    file
}

fn is_running(pid: u32) -> bool {
    // A process that has ended and was not collected yet is a zombie, with state Z.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, fields)| !fields.trim_start().starts_with('Z'))
}

fn wait_gone(pid: u32) {
    for _ in 0..12_000 {
        if !is_running(pid) {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("QEMU, process {pid}, is still there");
}

#[test]
fn a_boot_that_hangs_is_reported_with_command_and_log() {
    let node = Machine::new(kernel("hang.elf", Ending::Hang)).boot().expect("QEMU runs");
    assert!(node.serial_log().wait_for("I am here", PLENTY));
    let error = node.wait_ready(Duration::from_secs(1)).expect_err("it hangs");
    assert!(matches!(error, QemuError::NotReady { .. }));
    let text = error.to_string();
    assert!(text.contains("qemu-system-x86_64") && text.contains("I am here"), "{text}");
    assert!(node.cpu_time().is_some());
    assert_eq!(node.exit_status(), None);

    let pid = node.pid();
    drop(node);
    assert!(!is_running(pid));
}

#[test]
fn a_machine_that_resets_is_reported_at_once() {
    let node = Machine::new(kernel("fault.elf", Ending::TripleFault)).boot().expect("QEMU runs");
    let error = node.wait_ready(PLENTY).expect_err("it resets");
    assert!(matches!(error, QemuError::Ended { .. }), "{error}");
    assert!(error.to_string().contains("I am here"), "{error}");
    assert_eq!(node.power_off(), PowerOff::AlreadyOff);
}

#[test]
fn a_node_that_will_not_serve_is_believed_at_once() {
    let words = "[0.1] ERROR hostkernel.auth is UUID:KEY\n\
        [0.1] ERROR who may use this node is not clear: it does not serve, and halts\n";
    let kernel = kernel_saying("halts.elf", words, Ending::Hang);
    let node = Machine::new(kernel).boot().expect("QEMU runs");
    let error = node.wait_ready(PLENTY).expect_err("it halts");
    assert!(matches!(error, QemuError::Halted { .. }), "{error}");
    assert!(error.to_string().contains("will not become ready: [0.1] ERROR hostkernel.auth"));
}

#[test]
fn a_node_that_is_ready_elsewhere_is_not_waited_for() {
    let kernel = kernel_saying("ready.elf", "INFO  ready after 5 us\n", Ending::Hang);
    let node = Machine::new(kernel).boot().expect("QEMU runs");
    let error = node.wait_ready(Duration::from_secs(2)).expect_err("it is not there");
    assert!(matches!(error, QemuError::Elsewhere { .. }), "{error}");
    assert!(error.to_string().contains("ready after 5 us"), "{error}");
}

#[test]
fn a_node_serves_at_the_port_of_its_settings() {
    let machine = machine().kernel_words("hostkernel.port=8080").node_port(8080);
    assert!(boot(machine).client().is_ready());
}

#[test]
fn a_kernel_can_choose_the_exit_status() {
    let machine = Machine::new(kernel("exit.elf", Ending::DebugExit)).network(Network::None);
    let node = machine.debug_exit().boot().expect("QEMU runs");
    let status = node.wait_exit(PLENTY).expect("it ends");
    assert_eq!(status.code(), Some(SELFTEST_PASSED));
    assert_eq!(node.serial(), "I am here\n");
}

#[test]
fn a_machine_qemu_does_not_know_is_reported_with_its_words() {
    let machine = Machine::new(kernel("cpu.elf", Ending::Hang)).cpu("no-such-processor");
    let error = machine.boot().expect_err("there is no such processor");
    assert!(error.to_string().contains("no-such-processor"), "{error}");
}

#[test]
fn a_node_that_ignores_its_power_button_is_switched_off() {
    let node = Machine::new(kernel("deaf.elf", Ending::Hang)).boot().expect("QEMU runs");
    assert_eq!(node.power_off_within(Duration::from_millis(200)), PowerOff::Quit);
}

/// Not a test by itself: boots a node in a process that the next test kills.
#[test]
fn victim() {
    if std::env::var_os("RUNNER_VICTIM").is_none() {
        return;
    }
    // From a thread that ends at once: QEMU must live on, and die with the process nevertheless.
    let boot = || Machine::new(kernel("victim.elf", Ending::Hang)).boot().expect("QEMU runs");
    let node = thread::spawn(boot).join().expect("the thread ends");
    println!("\nQEMU {}", node.pid());
    thread::sleep(PLENTY);
}

#[test]
fn qemu_does_not_survive_the_killing_of_its_parent() {
    let program = std::env::current_exe().expect("this program has a path");
    let mut parent = Command::new(program)
        .args(["--exact", "victim", "--nocapture"])
        .env("RUNNER_VICTIM", "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program starts");
    let output = BufReader::new(parent.stdout.take().expect("a pipe"));
    let pid = output
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("QEMU ")?.parse().ok())
        .expect("the victim names its QEMU");
    assert!(is_running(pid));
    parent.kill().expect("the victim can be killed");
    parent.wait().expect("the victim can be collected");
    wait_gone(pid);
}
