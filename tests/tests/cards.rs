//! The devices a node finds: network cards of every kind it has a driver for, several and none,
//! cables that are pulled out, sources of randomness.
//!
//! `cargo xtask test system --nic e1000e` runs all other tests on another card.

use std::thread;

use system_tests::{
    BOOT_TIMEOUT, DeployOptions, Machine, MachineKind, PowerOff, TestNode, boot, brief_machine,
    machine, request,
};

/// Intel's cards as QEMU calls them, what the log says about each, and where it is at home.
const CARDS: [(&str, &str, MachineKind); 3] = [
    ("e1000e", "network card 8086:10d3 at 00:01.0: 82574L", MachineKind::Q35),
    ("e1000", "network card 8086:100e at 00:01.0: 82540EM", MachineKind::Q35),
    ("e1000-82545em", "network card 8086:100f at 00:02.0: 82545EM", MachineKind::Pc),
];

/// Waits until the log has these words `count` times.
fn wait_for(node: &TestNode, words: &str, count: usize) {
    let mut position = 0;
    while node.serial().matches(words).count() < count {
        let chunk = node.serial_log().after(position, BOOT_TIMEOUT);
        assert!(chunk.next > position, "no {words} after a long time: {}", node.report());
        position = chunk.next;
    }
}

#[test]
fn each_card_carries_the_largest_bodies_and_overload() {
    for (card, line, kind) in CARDS {
        // With one core, interrupts of the card arrive in the middle of actions.
        for cores in [1, 2] {
            let words = "hostkernel.queue_len=4";
            let node = boot(brief_machine().kind(kind).nic(card).cores(cores).kernel_words(words));
            assert!(node.serial().contains(line), "{card}: {}", node.serial());
            node.deploy("hello");
            node.deploy_as("mirror", "echo", &DeployOptions::default());
            node.greets(card);
            thread::scope(|scope| {
                for client in 0..4_u8 {
                    let node = &node;
                    scope.spawn(move || bodies(node, client));
                }
            });
            overload(&node);
            node.greets("still there");
            assert_eq!(node.power_off(), PowerOff::Clean, "{card}: {}", node.report());
        }
    }
}

/// Bodies of a mebibyte there and back, in competition with others.
fn bodies(node: &TestNode, client: u8) {
    let body: Vec<u8> = (0..1_u32 << 20).map(|at| (at / 97) as u8 ^ client).collect();
    let mut connection = node.established();
    for _ in 0..3 {
        connection.send(&request("POST", "/function/mirror", &[], &body)).expect("it is read");
        let answer = connection.receive().expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.body == body, "client {client}: other bytes came back");
    }
}

/// More requests at a time than the queue takes: each is answered.
fn overload(node: &TestNode) {
    let connections: Vec<_> = (0..16).map(|_| node.established()).collect();
    thread::scope(|scope| {
        for mut connection in connections {
            scope.spawn(move || {
                for _ in 0..25 {
                    let request = request("POST", "/function/hello", &[], br#"{"name":"x"}"#);
                    connection.send(&request).expect("an open connection");
                    let answer = connection.receive().expect("an answer");
                    assert!(matches!(answer.status, 200 | 503), "{}", answer.text());
                }
            });
        }
    });
}

#[test]
fn a_cable_that_comes_back_carries_again() {
    for (card, _, kind) in CARDS {
        let node = boot(brief_machine().kind(kind).nic(card));
        node.deploy("hello");
        for round in 1..=2 {
            node.greets("connected");
            node.execute_human("set_link net0 off").expect("QEMU listens");
            wait_for(&node, "network link down", round);
            node.execute_human("set_link net0 on").expect("QEMU listens");
            wait_for(&node, "network link up, 1000 Mb/s, full duplex", round + 1);
        }
        node.greets("connected again");
        assert_eq!(node.power_off(), PowerOff::Clean, "{card}: {}", node.report());
    }
}

#[test]
fn of_several_cards_the_first_supported_one_is_taken() {
    let node = boot(
        machine()
            .nic("e1000e,addr=0x10")
            .argument("-device")
            .argument("rtl8139,addr=0x8,romfile=")
            .argument("-device")
            .argument("virtio-net-pci,addr=0x11,romfile="),
    );
    node.deploy("hello");
    node.greets("one of three");
    let log = node.serial();
    for line in [
        "network card 10ec:8139 at 00:08.0: not supported",
        "network card 8086:10d3 at 00:10.0: 82574L",
        "network card 1af4:1000 at 00:11.0: not used, one is enough",
    ] {
        assert!(log.contains(line), "no {line}: {log}");
    }
}

#[test]
fn without_a_supported_card_the_node_says_what_it_saw() {
    for (machine, seen) in [
        (machine().nic("rtl8139"), "seen: 10ec:8139 at 00:01.0."),
        (
            machine().nic("virtio-net-pci,disable-modern=on"),
            "seen: 1af4:1000 at 00:01.0 (virtio: lacks the interface of virtio 1.0, and the legacy \
             one is not enough).",
        ),
        (machine().network(system_tests::Network::None), "none was seen on PCI."),
    ] {
        let node = machine.boot().expect("QEMU runs");
        let words = format!("no network card that is supported; {seen} This machine cannot serve");
        assert!(node.serial_log().wait_for(&words, BOOT_TIMEOUT), "{words}: {}", node.report());
    }
}

#[test]
fn randomness_comes_from_what_there_is() {
    let with = |machine: Machine, device: &str| machine.argument("-device").argument(device);
    let old = || machine().cpu("qemu64");
    for (machine, line) in [
        (machine(), "INFO  random: RDRAND\n"),
        (with(machine(), "virtio-rng-pci"), "INFO  random: RDRAND and virtio-rng"),
        (with(old(), "virtio-rng-pci,disable-legacy=on"), "INFO  random: virtio-rng"),
        (with(old().kind(MachineKind::Pc), "virtio-rng-pci"), "INFO  random: virtio-rng"),
        (with(old().kind(MachineKind::Microvm), "virtio-rng-device"), "INFO  random: virtio-rng"),
        // Nothing is ever silently weak.
        (old(), "WARN  neither a working RDRAND nor virtio-rng"),
        // One byte a minute: a device that does not answer in time.
        (with(old(), "virtio-rng-pci,max-bytes=1,period=60000"), "WARN  neither a working RDRAND"),
    ] {
        let node = boot(machine);
        node.deploy("hello");
        node.greets("random");
        let log = node.serial().replace('\r', "");
        assert!(log.contains(line), "no {line}: {log}");
    }
}
