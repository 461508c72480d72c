//! The hardware a node runs on: machine types, numbers of cores, amounts of memory.

use system_tests::{MachineKind, PowerOff, boot, machine};

#[test]
fn every_machine_boots_answers_and_switches_itself_off() {
    use MachineKind::{Microvm, Pc, Q35};
    // Every machine type with every number of cores; memory from the least to beyond the hole
    // below 4 GiB. QEMU takes memory from the host only as it is touched.
    for (kind, cores, memory_mib) in [
        (Q35, 1, 64),
        (Q35, 2, 128),
        (Q35, 4, 5120),
        (Q35, 16, 16_384),
        (Pc, 1, 128),
        (Pc, 2, 64),
        (Pc, 4, 1024),
        (Pc, 16, 5120),
        (Microvm, 1, 64),
        (Microvm, 2, 5120),
        (Microvm, 4, 128),
        (Microvm, 16, 1024),
    ] {
        let what = format!("{} with {cores} cores and {memory_mib} MiB", kind.name());
        let node = boot(machine().kind(kind).cores(cores).memory_mib(memory_mib));
        node.deploy("hello");
        node.greets(kind.name());
        let log = node.serial();
        assert!(log.contains(&format!("cores: {cores} of {cores}")), "{what}: {log}");
        assert_eq!(node.power_off(), PowerOff::Clean, "{what}: {}", node.report());
        assert!(!node.serial().contains("ERROR"), "{what}: {}", node.serial());
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
        let node = boot(machine().cpu(cpu));
        node.deploy("hello");
        node.greets(cpu);
        assert_eq!(node.power_off(), PowerOff::Clean, "{cpu}");
    }
}

#[test]
fn cores_beyond_those_to_be_used_stay_parked() {
    let node = boot(machine().cores(4).kernel_words("hostkernel.cores=2"));
    node.deploy("hello");
    node.greets("two");
    assert!(node.serial().contains("cores: 2 of 4"), "{}", node.serial());
}
