//! A bug of the kernel, made on purpose: the node says everything about it and comes back.

use std::thread::sleep;
use std::time::{Duration, Instant};

use hk::DeployOptions;
use serde_json::json;
use system_tests::{
    BOOT_TIMEOUT, Connection, Machine, PowerOff, TestNode, boot, machine, request, sample,
};
use xtask::qemu::Node;
use xtask::symbols::Symboliser;
use xtask::workspace;

/// The call that crashes a node booted with [`ALLOWED`], and what its first argument chooses.
const CRASH: u64 = 0xdead;
const PANIC: u64 = 0;
const EXHAUST_STACK: u64 = 1;
const ALLOWED: &str = "hostkernel.debug=crash";
/// Further arguments, to be found in the record's registers.
const MARKS: [u64; 2] = [0x123_4567_89ab, 0xfedc_ba98];

const RECORD_TIMEOUT: Duration = Duration::from_secs(60);

fn boot_with_faults(machine: Machine) -> TestNode {
    let node = boot(machine);
    node.deploy("faults");
    node
}

fn make_call(node: &TestNode, first: u64) -> Connection {
    let arguments = [first, MARKS[0], MARKS[1]];
    let input = json!({ "kind": "call", "number": CRASH, "arguments": arguments }).to_string();
    let mut connection = node.established();
    connection
        .send(&request("POST", "/function/faults", &[], input.as_bytes()))
        .expect("an open connection");
    connection
}

/// Crashes the node and returns its record, from the first line to the one that ends in `end`.
fn crash(node: &TestNode, first: u64, end: &str) -> String {
    let _never_answered = make_call(node, first);
    assert!(node.serial_log().wait_for(end, RECORD_TIMEOUT), "no record\n{}", node.report());
    let log = node.serial().replace('\r', "");
    let (_, record) = log.split_once("=== crash: ").expect("a record");
    let (record, _) = record.split_once(end).expect("its end");
    record.to_owned()
}

#[track_caller]
fn assert_says(record: &str, expected: &str) {
    assert!(record.contains(expected), "{expected:?} is not in\n{record}");
}

/// The rest of the line that starts with `start`.
fn line<'a>(record: &'a str, start: &str) -> &'a str {
    let line = record.lines().find_map(|line| line.strip_prefix(start));
    line.unwrap_or_else(|| panic!("no line starts with {start:?} in\n{record}"))
}

fn assert_works_after_reboot(node: &TestNode) {
    node.wait_ready(BOOT_TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(node.serial().matches(" ready after ").count(), 2, "{}", node.report());
    // Not by the client of before the crash: it has connections the node knows nothing of.
    let client = Node::client(node);
    client.deploy("hello", &sample("hello"), &DeployOptions::default()).expect("it works again");
    node.greets("again");
}

#[test]
fn a_panic_is_recorded_completely_and_the_node_comes_back() {
    let node = boot_with_faults(machine().cores(3).reboots().kernel_words(ALLOWED));
    node.deploy("sleepless");
    // Something for another core's line: it runs until long after the crash.
    let mut busy = node.established();
    let input = json!({ "ms": 50_000 }).to_string();
    busy.send(&request("POST", "/function/sleepless", &[], input.as_bytes())).expect("it is open");

    let record = crash(&node, PANIC, "=== restarting");
    let version = format!("hostkernel {}, build ", env!("CARGO_PKG_VERSION"));
    assert!(record.starts_with(&version), "{record}");
    assert_says(&record, " of 3, ");
    assert_says(&record, " ms after boot\n");
    assert_says(&record, "panicked at hostkernel/node/src/call/crash.rs:");
    assert_says(&record, "an action asked for it with call 0xdead");

    assert_says(&record, "registers of the action:\nrax 000000000000dead ");
    let [second, third] = MARKS;
    assert_says(&record, &format!("rdx {third:016x}\nrsi {second:016x} rdi {PANIC:016x} "));
    assert_says(&record, "control registers:\ncr0 00000000");

    let core: u32 = record
        .split_once(", core ")
        .and_then(|(_, rest)| rest.split_once(' '))
        .and_then(|(core, _)| core.parse().ok())
        .expect("the core");
    assert!([1, 2].contains(&core), "actions run on the cores behind the first\n{record}");
    for (running, what) in [(core, "the crashed core"), (3 - core, "the other worker")] {
        let id = line(&record, &format!("running on core {running}: invocation "));
        assert_eq!(id.len(), 32, "{what}");
        assert!(u128::from_str_radix(id, 16).is_ok_and(|id| id != 0), "{what}: {id}");
    }
    assert!(!record.contains("running on core 0"), "{record}");

    let backtrace = line(&record, "backtrace: ").split(' ');
    assert!(backtrace.clone().count() >= 4, "{record}");
    assert!(backtrace.into_iter().all(|address| address.starts_with("0xffffffff8")), "{record}");

    let (_, events) = record
        .split_once(&format!("last events of core {core}:\n"))
        .expect("events of the crashed core");
    let events: Vec<_> = events.lines().filter_map(|line| line.split_once(" us  ")).collect();
    let last: Vec<_> = events.iter().rev().map(|(_, event)| *event).take(2).collect();
    assert_eq!(last[0], "Call 0xdead", "{record}");
    assert!(events.iter().any(|(_, event)| event.starts_with("Start 0x")), "{record}");
    assert!(events.iter().any(|(_, event)| event.starts_with("Enter 0x")), "{record}");

    let explained = Symboliser::new(workspace::kernel()).pass(&node.serial());
    assert_says(&explained, "node::call::crash::serve");
    assert_says(&explained, "hostkernel/node/src/call/crash.rs:");
    assert_says(&explained, "hostkernel::worker::");

    assert_works_after_reboot(&node);
    assert_eq!(node.power_off(), PowerOff::Clean);
}

#[test]
fn a_full_kernel_stack_is_recorded_and_the_node_comes_back() {
    let node = boot_with_faults(machine().cores(1).reboots().kernel_words(ALLOWED));
    let record = crash(&node, EXHAUST_STACK, "=== restarting");
    assert_says(&record, "double fault (#DF) in the kernel, ");
    assert_says(&record, ": the kernel stack is full\n");
    assert_says(&record, "registers of the kernel:\n");
    assert_says(&record, "registers of the action:\nrax 000000000000dead ");
    assert_says(&record, "running on core 0: invocation ");
    let explained = Symboliser::new(workspace::kernel()).pass(&node.serial());
    assert_says(&explained, "node::call::crash::deeper");
    assert_works_after_reboot(&node);
}

/// Starts an action that runs for longer than a test.
fn keep_busy(node: &TestNode) -> Connection {
    node.deploy("sleepless");
    let mut busy = node.established();
    let input = json!({ "ms": 50_000 }).to_string();
    busy.send(&request("POST", "/function/sleepless", &[], input.as_bytes())).expect("it is open");
    while node.metric("hostkernel_inflight_invocations") == 0 {}
    busy
}

/// Waits for the record that what was done to the machine leads to.
fn record_of(node: &TestNode) -> String {
    let end = "=== restarting";
    assert!(node.serial_log().wait_for(end, RECORD_TIMEOUT), "no record\n{}", node.report());
    node.serial().replace('\r', "")
}

#[test]
fn a_non_maskable_interrupt_in_ring_3_and_in_a_halt_is_recorded() {
    for busy in [true, false] {
        let node = boot(machine().reboots());
        let _running = busy.then(|| keep_busy(&node));
        node.execute("inject-nmi").expect("QEMU listens");
        assert_says(&record_of(&node), "non-maskable interrupt");
        assert_works_after_reboot(&node);
    }
}

#[test]
fn a_node_told_to_log_non_maskable_interrupts_goes_on() {
    let node = boot(machine().kernel_words("hostkernel.nmi=log"));
    node.deploy("hello");
    // Those that come while one is served are one.
    let inject = || {
        (0..5).for_each(|_| drop(node.execute("inject-nmi").expect("QEMU listens")));
        node.greets("still here");
        node.metric("hostkernel_nmi_total")
    };
    let halted = inject();
    let running = keep_busy(&node);
    let busy = inject();
    assert!(halted > 0 && busy > halted, "{halted}, then {busy}");
    let log = node.serial();
    assert!(log.contains("non-maskable interrupt: ") && !log.contains("=== crash"), "{log}");
    drop(running);
}

#[test]
fn broken_hardware_under_an_action_is_recorded() {
    let node = boot(machine().reboots());
    let _running = keep_busy(&node);
    // Bank 9 of the worker's processor: uncorrected, context corrupt, address valid.
    let line = "mce 1 9 0xbe00000000800400 0x5 0x12345000 0x8c";
    node.execute_human(line).expect("QEMU listens");
    assert_says(&record_of(&node), "machine check (#MC) while an action ran");
    assert_works_after_reboot(&node);
}

#[test]
fn a_machine_check_that_goes_to_all_threads_is_recorded() {
    // Two of the four are second threads, which run nothing.
    let node = boot(machine().cores(4).argument("-smp").argument("4,threads=2").reboots());
    assert!(node.serial().contains("cores: 2 of 4"), "{}", node.serial());
    let line = "mce -b 1 9 0xbe00000000800400 0x5 0x12345000 0x8c";
    node.execute_human(line).expect("QEMU listens");
    let record = record_of(&node);
    assert_says(&record, "machine check (#MC) ");
    assert_says(&record, "machine check on core ");
    assert_says(&record, ": bank 9, status be00000000800400, address 0x12345000");
    assert_works_after_reboot(&node);
}

#[test]
fn errors_that_hardware_corrected_are_counted() {
    let node = boot(machine());
    let count = || node.metric("hostkernel_machine_errors_corrected_total");
    assert_eq!(count(), 0);
    // Bank 3 of each processor: valid, with an address, corrected.
    for core in 0..2 {
        let line = format!("mce {core} 3 0x8c00000000800400 0 0x12345000 0x8c");
        node.execute_human(&line).expect("QEMU listens");
    }
    let begin = Instant::now();
    while count() < 2 && begin.elapsed() < RECORD_TIMEOUT {
        sleep(Duration::from_millis(100));
    }
    assert_eq!(count(), 2, "{}", node.report());
    assert_says(&node.serial(), "bank 3, status 8c00000000800400, address 0x12345000");
    node.deploy("hello");
    node.greets("corrected");
}

#[test]
fn a_node_told_to_halt_stays_as_it_crashed() {
    // Without `reboots` a reset would end QEMU.
    let node = boot_with_faults(machine().kernel_words(ALLOWED).kernel_words("panic=halt"));
    let record = crash(&node, PANIC, "=== halted");
    assert_says(&record, "registers of the action:\nrax 000000000000dead ");
    let before = node.cpu_time().expect("QEMU runs");
    assert!(node.wait_exit(Duration::from_secs(2)).is_none(), "{}", node.report());
    let used = node.cpu_time().expect("QEMU runs") - before;
    assert!(used < Duration::from_millis(500), "every core halts, but {used:?} were used");
    assert!(node.client().clone().with_timeout(Duration::from_secs(1)).list().is_err());
    assert!(!node.serial().contains("=== restarting"));
}

#[test]
fn without_the_operators_word_the_call_does_not_exist() {
    let node = boot_with_faults(machine());
    let answer = make_call(&node, PANIC).receive().expect("an answer");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["call_error"], "UnknownCall", "{}", answer.text());
}
