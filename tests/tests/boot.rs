//! Nodes started by firmware, from an image: every drive, both firmwares, and images that are not
//! as they should be.
//!
//! UEFI takes its time under emulation, so some combinations stand for all; `HOSTKERNEL_BOOT=all`
//! tries every one. Each prints a line.

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Instant;

use system_tests::{BOOT_TIMEOUT, Drive, Firmware, Machine, MachineKind, PowerOff, boot, sample};
use xtask::bundle::Contents;

use Drive::{Cd, Disk, Nvme, Scsi, Usb, Virtio};
use Firmware::{Bios, Uefi};
use MachineKind::{Pc, Q35};

const VARIABLE: &str = "HOSTKERNEL_BOOT";

/// A combination: firmware, machine, drive, cores, memory in MiB.
type Combination = (Firmware, MachineKind, Drive, u32, u32);

/// Each firmware, machine, and drive; memory from little to beyond the hole below 4 GiB.
const SOME: [Combination; 8] = [
    (Bios, Q35, Virtio, 2, 512),
    (Bios, Pc, Disk, 1, 128),
    (Bios, Q35, Usb, 4, 4096),
    (Bios, Pc, Cd, 2, 128),
    (Bios, Q35, Nvme, 1, 256),
    (Bios, Pc, Scsi, 4, 256),
    (Uefi, Q35, Usb, 4, 4096),
    (Uefi, Pc, Cd, 1, 128),
];

fn all() -> Vec<Combination> {
    let mut all = Vec::new();
    for firmware in [Bios, Uefi] {
        for kind in [Q35, Pc] {
            for drive in [Virtio, Scsi, Disk, Nvme, Usb, Cd] {
                for (cores, memory_mib) in [(1, 128), (4, 4096)] {
                    all.push((firmware, kind, drive, cores, memory_mib));
                }
            }
        }
    }
    all
}

/// An image with `hello`, and where it is.
static IMAGE: LazyLock<(PathBuf, Vec<u8>)> = LazyLock::new(|| {
    let image = image("loglevel=debug", sample("hello"));
    (write("good", &image), image)
});

/// An image whose node has this as `hello`.
fn image(words: &str, hello: Vec<u8>) -> Vec<u8> {
    let actions = vec![("guest/hello".to_owned(), hello)];
    let bundle = Contents { actions, ..Contents::default() };
    xtask::image::of_workspace(words, &bundle.archive().expect("it is short"))
        .unwrap_or_else(|error| panic!("{error}; `cargo xtask test system` builds it"))
}

fn write(name: &str, image: &[u8]) -> PathBuf {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.img"));
    fs::write(&file, image).expect("the folder for tests can be written");
    file
}

#[test]
fn an_image_starts_a_node_from_every_drive_under_both_firmwares() {
    let every = std::env::var_os(VARIABLE).is_some_and(|value| value == "all");
    let combinations = if every { all() } else { SOME.to_vec() };
    for (firmware, kind, drive, cores, memory_mib) in combinations {
        let begin = Instant::now();
        let what = format!("{firmware:?} {} {drive:?} {cores} {memory_mib} MiB", kind.name());
        let machine = Machine::with_image(&IMAGE.0, drive, firmware)
            .argument("-smbios")
            .argument("type=11,value=hostkernel.queue_len=12,value=hostkernel.drain_s=1");
        let node = boot(machine.kind(kind).cores(cores).memory_mib(memory_mib));
        node.greets(&what);
        let log = node.serial();
        assert!(log.contains(&format!("cores: {cores} of {cores}")), "{what}: {log}");
        assert!(log.contains("2 from SMBIOS"), "{what}: {log}");
        let times = node.boot_times(&["firmware", "loader", "kernel"]);
        assert_eq!(node.power_off(), PowerOff::Clean, "{what}: {}", node.report());
        assert!(!node.serial().contains("ERROR"), "{what}: {}", node.serial());
        println!("{what}: {:.1} s; {times}", begin.elapsed().as_secs_f64());
    }
}

#[test]
fn a_bundle_need_not_fit_beside_the_kernel() {
    // OVMF keeps memory at 8 MiB for good.
    let mut long = sample("hello");
    long.resize(16 << 20, 0);
    let image = write("long", &image("hostkernel.drain_s=1", long));
    for firmware in [Bios, Uefi] {
        let node = boot(Machine::with_image(&image, Virtio, firmware).memory_mib(256));
        assert_eq!(node.get("/readyz").status, 200);
        assert_eq!(node.power_off(), PowerOff::Clean, "{}", node.report());
    }
}

/// Starts a machine that must say why it does not go on.
#[track_caller]
fn refuses(machine: Machine, words: &str) {
    let node = machine.boot().unwrap_or_else(|error| panic!("{error}"));
    let said = node.serial_log().wait_for(&format!("hostkernel: {words}"), BOOT_TIMEOUT);
    assert!(said, "{}", node.report());
}

#[test]
fn a_damaged_image_says_so() {
    let mut image = IMAGE.1.clone();
    // In the middle of the kernel: everything around it is a loader's or the firmware's.
    image[512 << 10] ^= 0x10;
    let file = write("damaged", &image);
    for firmware in [Bios, Uefi] {
        refuses(Machine::with_image(&file, Disk, firmware), "this image is damaged");
    }
}

#[test]
fn an_image_that_was_not_written_to_its_end_says_so() {
    let file = write("short", &IMAGE.1[..512 << 10]);
    refuses(Machine::with_image(&file, Virtio, Bios), "cannot read the disk");
}

#[test]
fn a_machine_that_cannot_run_it_says_so() {
    let machine = || Machine::with_image(&IMAGE.0, Virtio, Bios);
    refuses(machine().cpu("qemu32"), "this processor has no 64-bit mode");
    refuses(machine().cpu("qemu64,-nx"), "this processor has no 64-bit mode");
    refuses(machine().memory_mib(3), "not enough memory above 1 MiB");
}
