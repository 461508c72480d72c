//! What a node shows on a screen, and that it needs neither a screen nor a serial port.

use std::time::Duration;

use serde_json::json;
use system_tests::{
    BOOT_TIMEOUT, Drive, Firmware, Machine, MachineKind, Network, PowerOff, boot, machine, screen,
};
use xtask::image;
use xtask::qemu::Node;

fn with_vga(machine: Machine) -> Machine {
    machine.argument("-vga").argument("std")
}

/// The status line.
fn status(node: &Node) -> String {
    screen::text(node).lines().next().unwrap_or_default().to_owned()
}

#[test]
fn a_text_screen_shows_log_and_status() {
    let node = boot(with_vga(machine()));
    let shown = screen::wait_for(&node, screen::text, "] INFO  ready after ");
    assert!(shown.contains("] INFO  hostkernel "), "{shown}");
    assert!(shown.contains("] WARN  the public development key is in use"), "{shown}");
    screen::wait_for(&node, status, "ready 10.0.2.15:3233  up ");
    node.deploy("hello");
    screen::wait_for(&node, status, "  1 actions  0 running  ");
    node.deploy("sleepless");
    std::thread::scope(|scope| {
        scope.spawn(|| node.activation("sleepless", &json!({ "ms": 5000 })));
        screen::wait_for(&node, status, "  2 actions  1 running  ");
    });
    // The end is shown, too, when nobody asks for anything any more.
    screen::wait_for(&node, status, "  2 actions  0 running  0/s  ");
    assert_eq!(node.power_off(), PowerOff::Clean, "{}", node.report());
}

#[test]
fn an_idle_node_with_a_screen_leaves_the_host_alone() {
    let node = boot(with_vga(machine()));
    screen::wait_for(&node, status, "  0 running  0/s  ");
    let cpu_time = || node.cpu_time().expect("QEMU runs");
    let used = cpu_time();
    std::thread::sleep(Duration::from_secs(5));
    let used = cpu_time() - used;
    assert!(used < Duration::from_millis(200), "{used:?} in 5 s");
}

#[test]
fn a_crash_is_on_the_screen() {
    let node =
        boot(with_vga(machine()).kernel_words("hostkernel.debug=crash").kernel_words("panic=halt"));
    node.deploy("faults");
    let mut connection = node.established();
    let input = json!({ "kind": "call", "number": 0xdead, "arguments": [0, 1, 2] }).to_string();
    let request = system_tests::request("POST", "/function/faults", &[], input.as_bytes());
    connection.send(&request).expect("an open connection");
    let shown = screen::wait_for(&node, screen::text, "=== crash: hostkernel ");
    for expected in ["panicked at hostkernel/node/src/call/crash.rs:", "registers of the action:"] {
        let shown = screen::wait_for(&node, screen::text, expected);
        assert!(shown.starts_with('\n') || !shown.contains(" ready after "), "{shown}");
    }
    assert!(!shown.contains("] INFO "), "{shown}");
}

#[test]
fn uefi_leaves_a_screen_of_pixels() {
    let image = image::of_workspace("", &[]).unwrap_or_else(|error| panic!("{error}"));
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("screen.img");
    std::fs::write(&file, image).expect("the folder for tests can be written");
    let machine = Machine::with_image(&file, Drive::Virtio, Firmware::Uefi).memory_mib(256);
    let node = boot(with_vga(machine));
    let shown = screen::wait_for(&node, screen::pixels, "ready 10.0.2.15:3233  up ");
    assert!(shown.contains("] INFO  ready after "), "{shown}");
    assert!(shown.contains("] WARN  the public development key is in use"), "{shown}");
}

/// Starts a machine that must say, on serial port and screen, why it is of no use, and then rest.
#[track_caller]
fn refuses(machine: Machine, words: &str) {
    let node = with_vga(machine).boot().unwrap_or_else(|error| panic!("{error}"));
    assert!(node.serial_log().wait_for(words, BOOT_TIMEOUT), "{words}\n{}", node.report());
    // Lines may be broken anywhere.
    let on_screen: fn(&Node) -> String = |node| screen::text(node).split_whitespace().collect();
    screen::wait_for(&node, on_screen, &words.split_whitespace().collect::<String>());
    let used = node.cpu_time().expect("QEMU runs");
    assert!(node.wait_exit(Duration::from_secs(2)).is_none(), "{}", node.report());
    let used = node.cpu_time().expect("QEMU runs") - used;
    assert!(used < Duration::from_millis(500), "it halts, but {used:?} were used");
}

#[test]
fn a_machine_without_an_essential_says_what_is_missing() {
    let lacks = "ERROR the processor (QEMU Virtual CPU version 2.5+) lacks: ";
    for (machine, words) in [
        (machine().cpu("qemu64,-nx"), format!("{lacks}no-execute pages (NX)")),
        (machine().cpu("qemu64,-apic"), format!("{lacks}local APIC")),
        (machine().cpu("qemu64,-sse2,-syscall"), format!("{lacks}SSE2, SYSCALL")),
        (machine().cpu("qemu32"), "hostkernel: this processor has no 64-bit mode".into()),
        (machine().memory_mib(16), "ERROR too little memory: 15 MiB, and at least 56".into()),
        (machine().network(Network::None), "ERROR no network card that is supported".into()),
        (
            machine().kind(MachineKind::Pc).nic("ne2k_pci"),
            "ERROR no network card that is supported; seen: 10ec:8029 at".into(),
        ),
    ] {
        refuses(machine, &words);
    }
}

/// QEMU's microvm without what PCs have had since 1981. It takes the last of two options.
fn microvm(without: &str) -> Machine {
    machine().kind(MachineKind::Microvm).argument("-machine").argument(without)
}

#[test]
fn a_machine_without_legacy_devices_serves() {
    let without = "pit=off,pic=off,rtc=off,isa-serial=off,x-option-roms=off";
    for acpi in ["on", "off"] {
        let node = boot(microvm(&format!("{without},acpi={acpi}")).cores(1));
        assert_eq!(node.serial(), "", "there is no serial port");
        node.deploy("hello");
        node.greets(acpi);
        // A deadline needs a clock that is right.
        let begin = std::time::Instant::now();
        node.deploy("sleepless");
        let record = node.activation("sleepless", &json!({ "ms": 1000 }));
        assert!(begin.elapsed() >= Duration::from_millis(900), "{record}");
        // Without ACPI there is no button, and no way to switch the machine off.
        if acpi == "on" {
            assert_eq!(node.power_off(), PowerOff::Clean, "{}", node.report());
        }
    }
}

#[test]
fn without_acpi_devices_are_those_of_the_command_line() {
    let node = boot(microvm("pit=off,pic=off,rtc=off,x-option-roms=off,acpi=off").cores(1));
    node.deploy("hello");
    node.greets("somebody");
    let log = node.serial();
    for expected in ["no ACPI tables", "hypervisor's APIC timer", "no wall clock"] {
        assert!(log.contains(expected), "{expected} is not in {log}");
    }
}
