//! The hardware a node runs on: machine types, numbers of cores, amounts of memory.

use std::time::Instant;

use MachineKind::{Microvm, Pc, Q35};
use system_tests::{BOOT_TIMEOUT, MachineKind, PowerOff, boot, brief_machine, machine};

/// A machine: type, cores, memory in MiB, network card, processor, further options of its type.
type Combination = (MachineKind, u32, u32, &'static str, &'static str, &'static str);

/// `all` tries every combination instead of some.
const VARIABLE: &str = "HOSTKERNEL_BOOT";
/// A card with a legacy interface beside the modern one, and one without.
const CARDS: [&str; 2] = ["virtio-net-pci", "virtio-net-pci,disable-legacy=on"];
const MMIO: &str = "virtio-net-device";
const CPUS: [&str; 5] = ["qemu64", "Nehalem", "Skylake-Server", "EPYC", "max"];
const HPET: [&str; 2] = ["hpet=on", "hpet=off"];

/// Every machine type with every number of cores; every card, processor and memory from the least
/// to beyond the hole below 4 GiB somewhere. QEMU takes memory from the host as it is touched.
const SOME: [Combination; 12] = [
    (Q35, 1, 64, CARDS[0], CPUS[4], HPET[0]),
    (Q35, 2, 128, CARDS[1], CPUS[0], HPET[1]),
    (Q35, 4, 5120, CARDS[0], CPUS[2], HPET[1]),
    (Q35, 16, 16_384, CARDS[1], CPUS[4], HPET[0]),
    (Pc, 1, 128, CARDS[1], CPUS[3], HPET[1]),
    (Pc, 2, 64, CARDS[0], CPUS[1], HPET[0]),
    (Pc, 4, 1024, CARDS[1], CPUS[4], HPET[1]),
    (Pc, 16, 5120, CARDS[0], CPUS[0], HPET[0]),
    (Microvm, 1, 64, MMIO, CPUS[0], "pit=off"),
    (Microvm, 2, 5120, MMIO, CPUS[4], "rtc=off"),
    (Microvm, 4, 128, MMIO, CPUS[3], "pic=off"),
    (Microvm, 16, 1024, MMIO, CPUS[2], "x-option-roms=off"),
];

fn all() -> Vec<Combination> {
    let mut all = Vec::new();
    for cores in [1, 2, 4] {
        for memory_mib in [128, 4096] {
            for cpu in CPUS {
                for option in HPET {
                    for (kind, card) in [Q35, Pc]
                        .into_iter()
                        .flat_map(|kind| CARDS.into_iter().map(move |card| (kind, card)))
                    {
                        all.push((kind, cores, memory_mib, card, cpu, option));
                    }
                }
                for option in ["pit=on", "pit=off,pic=off,rtc=off,x-option-roms=off"] {
                    all.push((Microvm, cores, memory_mib, MMIO, cpu, option));
                }
            }
        }
    }
    all
}

#[test]
fn every_machine_boots_answers_and_switches_itself_off() {
    let every = std::env::var_os(VARIABLE).is_some_and(|value| value == "all");
    for combination in if every { all() } else { SOME.to_vec() } {
        let begin = Instant::now();
        let (kind, cores, memory_mib, card, cpu, option) = combination;
        let name = kind.name();
        let what = format!("PVH {name},{option} {cores} {memory_mib} MiB {cpu} {card}");
        let machine =
            brief_machine().kind(kind).cores(cores).memory_mib(memory_mib).cpu(cpu).nic(card);
        let node = boot(machine.argument("-machine").argument(option));
        node.deploy("hello");
        node.greets(name);
        let log = node.serial();
        assert!(log.contains(&format!("cores: {cores} of {cores}")), "{what}: {log}");
        // QEMU's own loader does not say when it began.
        let times = node.boot_times(&["firmware", "kernel"]);
        assert_eq!(node.power_off(), PowerOff::Clean, "{what}: {}", node.report());
        assert!(!node.serial().contains("ERROR"), "{what}: {}", node.serial());
        println!("{what}: {:.1} s; {times}", begin.elapsed().as_secs_f64());
    }
}

#[test]
fn all_cores_run_actions() {
    for kind in [MachineKind::Q35, MachineKind::Microvm] {
        let node = boot(machine().kind(kind).cores(4));
        node.deploy("matmul");
        let answers: Vec<_> = std::thread::scope(|scope| {
            let call = || node.request("POST", "/function/matmul", &[], br#"{"n":64}"#);
            let calls: Vec<_> = (0..9).map(|_| scope.spawn(call)).collect();
            calls.into_iter().map(|call| call.join().expect("an answer").text()).collect()
        });
        assert!(answers[0].starts_with(r#"{"n":64,"#), "{}", answers[0]);
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    }
}

#[test]
fn a_processor_without_the_newer_features_will_do() {
    for cpu in ["qemu64", "max,-smap,-smep,-umip,-fsgsbase", "max,-avx,-xsave"] {
        let node = boot(brief_machine().cpu(cpu));
        node.deploy("hello");
        node.greets(cpu);
        assert_eq!(node.power_off(), PowerOff::Clean, "{cpu}");
    }
}

#[test]
fn firmware_that_limits_the_leaves_of_cpuid_is_believed() {
    // Feature bits stay and name leaves that are not there: 0xd with the layout of XSAVE, 7 with
    // SMEP, 0x80000008 with the processor's addresses.
    for cpu in ["max,level=7", "max,level=1", "max,xlevel=0x80000001"] {
        let node = boot(machine().cpu(cpu));
        node.deploy("hello");
        node.greets(cpu);
        assert!(!node.serial().contains("ERROR"), "{cpu}: {}", node.serial());
    }
}

#[test]
fn tables_of_acpi_1_at_the_end_of_memory_are_read_to_their_end() {
    // Without QEMU's own tables SeaBIOS makes some: a description of 116 bytes, high up in memory.
    for memory_mib in [256, 1024] {
        let machine = machine().memory_mib(memory_mib).argument("-machine").argument("acpi=off");
        let node = boot(machine);
        node.deploy("hello");
        node.greets("1996");
        assert!(node.serial().contains("cores: 2 of 2"), "{}", node.serial());
    }
}

#[test]
fn a_clock_of_the_last_century_is_of_the_last_century() {
    for (year, start_s, is_set) in
        [(1999, 928_195_200, false), (2001, 991_353_600, false), (2030, 1_906_502_400, true)]
    {
        let base = format!("base={year}-06-01T00:00:00");
        let words = "hostkernel.ntp=off";
        let node = boot(machine().kernel_words(words).argument("-rtc").argument(base));
        let text = node.get("/metrics").text();
        let line = text.lines().find_map(|line| line.strip_prefix("process_start_time_seconds "));
        let start: f64 = line.and_then(|value| value.parse().ok()).expect("a time");
        // The kernel was entered a moment ago by its own clock.
        let (first, last) = (f64::from(start_s - 60), f64::from(start_s + 3600));
        assert!((first..last).contains(&start), "{year}: {start}");
        let warned = node.serial().contains("before this software was written");
        assert_eq!(warned, !is_set, "{year}: {}", node.serial());
    }
}

#[test]
fn the_memory_map_is_shown_to_who_asks_for_details() {
    let node = boot(machine().kernel_words("loglevel=debug"));
    let log = node.serial();
    let ranges: Vec<_> = log.lines().filter(|line| line.contains("memory map: 0x")).collect();
    assert!(log.contains(&format!(" of which {} ranges are used", ranges.len())), "{log}");
    // 256 MiB from 1 MiB on, less what SeaBIOS keeps at the end.
    assert!(ranges.iter().any(|line| line.contains("memory map: 0x100000 to 0xff")), "{log}");
}

#[test]
fn a_processor_that_leaks_is_named() {
    // The emulator has models by name, family and number, and none of the microcode.
    for (cpu, leak, open) in [
        ("qemu64", "spectre-v2", "needs microcode: spectre-v2"),
        ("Haswell", "mds", "needs microcode: mds srbds spectre-v2 bhi"),
        ("EPYC-Rome", "zenbleed", "needs microcode: zenbleed spectre-v2 retbleed srso"),
    ] {
        let node = boot(machine().cpu(cpu));
        node.deploy("hello");
        node.greets(cpu);
        let log = node.serial();
        let line = log.lines().find(|line| line.contains("WARN  mitigations: auto: "));
        assert!(line.is_some_and(|line| line.contains(open)), "{cpu}: {log}");
        let metrics = node.request("GET", "/metrics", &[], b"").text();
        for (leak, state) in [(leak, "needs microcode"), ("gds", "not affected")] {
            let sample =
                format!("hostkernel_processor_leak{{leak=\"{leak}\",state=\"{state}\"}} 1\n");
            assert!(metrics.contains(&sample), "{cpu}: {sample}{metrics}");
        }
    }
}

#[test]
fn who_wants_no_leak_gets_no_node_that_has_one() {
    let off = boot(machine().cpu("Haswell").kernel_words("hostkernel.mitigations=off"));
    off.deploy("hello");
    off.greets("off");
    let log = off.serial();
    assert!(log.contains("WARN  mitigations: off: ") && log.contains("left: mds srbds"), "{log}");
    let strict = machine().cpu("Haswell").kernel_words("hostkernel.mitigations=strict");
    let node = strict.boot().expect("QEMU runs");
    let said =
        node.serial_log().wait_for("this processor leaks. This machine cannot", BOOT_TIMEOUT);
    assert!(said && !node.serial().contains("ready after"), "{}", node.report());
}

#[test]
fn cores_beyond_those_to_be_used_stay_parked() {
    let node = boot(machine().cores(4).kernel_words("hostkernel.cores=2"));
    node.deploy("hello");
    node.greets("two");
    assert!(node.serial().contains("cores: 2 of 4"), "{}", node.serial());
}
