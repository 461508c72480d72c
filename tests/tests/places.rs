//! Where a network card can be in a machine, and the modes it can be in: each of QEMU's own ways.
//!
//! Some combinations stand for all; `HOSTKERNEL_BOOT=all` tries every one. Each prints a line.

use std::time::Instant;

use MachineKind::{MicrovmPci, Pc, Q35};
use system_tests::{BOOT_TIMEOUT, MachineKind, PowerOff, boot, brief_machine, machine};

/// `all` tries every card instead of some.
const VARIABLE: &str = "HOSTKERNEL_BOOT";

/// A machine, what stands before the card, and the card.
type Card = (MachineKind, &'static [&'static str], &'static str);

const ROOT_PORT: &str = "pcie-root-port,id=rp,chassis=1";
const EXPANDER: &str = "pxb-pcie,id=xb,bus_nr=128,bus=pcie.0";

/// One of each kind of trouble there was.
const SOME: [Card; 8] = [
    (MicrovmPci, &[], "virtio-net-pci"),
    (MicrovmPci, &[], "e1000e"),
    (Q35, &[EXPANDER, "pcie-root-port,id=rp,chassis=1,bus=xb"], "virtio-net-pci,bus=rp"),
    (Pc, &["pxb,id=xb,bus_nr=64"], "virtio-net-pci,bus=xb,addr=3"),
    (Q35, &[], "virtio-net-pci,page-per-vq=on"),
    (Pc, &[], "virtio-net-pci,modern-pio-notify=on"),
    (Q35, &["intel-iommu"], "virtio-net-pci,iommu_platform=on,disable-legacy=on"),
    (Q35, &[], "virtio-net-pci,vectors=0,packed=on"),
];

/// The others: places.
const PLACES: [Card; 14] = [
    (Q35, &[], "virtio-net-pci,addr=1f.6"),
    (Q35, &[ROOT_PORT], "virtio-net-pci,bus=rp"),
    (Q35, &[ROOT_PORT], "virtio-net-pci,bus=rp,disable-legacy=off"),
    (Q35, &[ROOT_PORT], "e1000e,bus=rp"),
    (Q35, &[EXPANDER, "pcie-root-port,id=rp,chassis=1,bus=xb,addr=9"], "e1000e,bus=rp"),
    (
        Q35,
        &[ROOT_PORT, "x3130-upstream,id=up,bus=rp", "xio3130-downstream,id=down,bus=up,chassis=2"],
        "virtio-net-pci,bus=down",
    ),
    (Q35, &[ROOT_PORT, "pcie-pci-bridge,id=old,bus=rp"], "virtio-net-pci,bus=old,addr=4"),
    (Q35, &["i82801b11-bridge,id=old"], "e1000,bus=old,addr=4"),
    (
        Q35,
        &["virtio-rng-pci,addr=5.0,multifunction=on", "virtio-rng-pci,addr=5.1"],
        "virtio-net-pci,addr=5.7",
    ),
    (Pc, &["pci-bridge,id=b,chassis_nr=1"], "virtio-net-pci,bus=b,addr=1f"),
    (
        Pc,
        &["pci-bridge,id=a,chassis_nr=1", "pci-bridge,id=b,chassis_nr=2,bus=a,addr=2"],
        "e1000,bus=b,addr=2",
    ),
    (Pc, &["pxb,id=xb,bus_nr=200"], "e1000,bus=xb,addr=3"),
    (
        Pc,
        &["pxb,id=one,bus_nr=30,bus=pci.0", "pxb,id=xb,bus_nr=250,bus=pci.0"],
        "virtio-net-pci,bus=xb,addr=1",
    ),
    (MicrovmPci, &["virtio-rng-pci"], "virtio-net-pci,disable-legacy=on"),
];

/// The others: modes.
const MODES: [Card; 20] = [
    (Q35, &[], "virtio-net-pci-transitional"),
    (Q35, &[], "virtio-net-pci-non-transitional"),
    (Pc, &[], "virtio-net-pci,disable-legacy=on"),
    (Pc, &[], "virtio-net-pci,vectors=0"),
    (Q35, &[], "virtio-net-pci,vectors=1"),
    (Q35, &[], "virtio-net-pci,vectors=2"),
    (Q35, &[], "virtio-net-pci,vectors=16"),
    (Q35, &[], "virtio-net-pci,packed=on"),
    (Q35, &[], "virtio-net-pci,event_idx=off,indirect_desc=off,any_layout=off"),
    (Q35, &[], "virtio-net-pci,mrg_rxbuf=off,ctrl_vq=off,status=off"),
    (Q35, &[], "virtio-net-pci,csum=off,guest_csum=off"),
    (Q35, &[], "virtio-net-pci,rx_queue_size=1024"),
    (Q35, &[], "virtio-net-pci,mq=on,vectors=10"),
    (Q35, &[], "virtio-net-pci,rss=on,hash=on"),
    (Q35, &[], "virtio-net-pci,modern-pio-notify=on,disable-legacy=on"),
    (Pc, &[], "virtio-net-pci,page-per-vq=on,vectors=0"),
    (Q35, &[], "virtio-net-pci,iommu_platform=on,disable-legacy=on,ats=on"),
    (Q35, &[ROOT_PORT], "virtio-net-pci,bus=rp,aer=on,ats=on,x-pcie-flr-init=off"),
    (Q35, &[ROOT_PORT], "virtio-net-pci,bus=rp,id=pair,failover=on"),
    (Q35, &["amd-iommu"], "virtio-net-pci,iommu_platform=on,disable-legacy=on"),
];

#[test]
fn a_card_serves_wherever_it_is_and_however_it_is_dressed() {
    let every = std::env::var_os(VARIABLE).is_some_and(|value| value == "all");
    let others = PLACES.iter().chain(&MODES).filter(|_| every);
    for &(kind, bridges, card) in SOME.iter().chain(others) {
        let begin = Instant::now();
        let what = format!("{} {} {card}", kind.name(), bridges.join(" "));
        let machine = brief_machine().kind(kind).memory_mib(256).nic(card);
        let machine = bridges.iter().fold(machine, |machine, bridge| machine.bridge(*bridge));
        let node = boot(machine);
        node.deploy("hello");
        node.greets(card);
        assert_eq!(node.power_off(), PowerOff::Clean, "{what}: {}", node.report());
        assert!(!node.serial().contains("ERROR"), "{what}: {}", node.serial());
        println!("{what}: {:.1} s", begin.elapsed().as_secs_f64());
    }
}

#[test]
fn of_a_failover_pair_the_standby_serves() {
    let node = boot(
        machine()
            .bridge(ROOT_PORT)
            .bridge("pcie-root-port,id=other,chassis=2")
            .nic("virtio-net-pci,bus=rp,id=standby,failover=on")
            .argument("-netdev")
            .argument("user,id=net1")
            .argument("-device")
            .argument("e1000e,id=first,bus=other,netdev=net1,failover_pair_id=standby,romfile="),
    );
    node.deploy("hello");
    node.greets("standby");
    assert!(node.serial().contains("network card 1af4:"), "{}", node.serial());
}

#[test]
fn an_iommu_is_named() {
    for (device, words) in [("intel-iommu", "IOMMU of Intel"), ("amd-iommu", "IOMMU of AMD")] {
        let node = boot(machine().bridge(device));
        assert!(node.serial().contains(words), "{words}: {}", node.serial());
    }
}

#[test]
fn a_card_with_the_legacy_interface_alone_is_refused_by_name() {
    for kind in [Q35, Pc] {
        let machine =
            machine().kind(kind).nic("virtio-net-pci,disable-modern=on,disable-legacy=off");
        let node = machine.boot().expect("QEMU runs");
        let words = "lacks the interface of virtio 1.0, and the legacy one is not enough";
        assert!(node.serial_log().wait_for(words, BOOT_TIMEOUT), "{}", node.report());
    }
}
