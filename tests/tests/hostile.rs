//! The short forms of `cargo xtask fuzz live-images`, `live-http` and `live-calls`.

use system_tests::{PowerOff, TestNode, boot, machine};
use xtask::trial::{Effort, Find, calls, images, prepare, requests};

/// Where all choices come from. A failure names it.
const SEED: u64 = 1;
/// Random mutants of images, besides those that are always tried.
const IMAGES: Effort = Effort::Cases(500);
/// Random mutants of requests, besides the seeds.
const REQUESTS: Effort = Effort::Cases(1_500);
/// Random calls of one invocation.
const CALLS: u64 = 100_000;

fn node(cores: u32, memory_mib: u32) -> TestNode {
    ready(boot(machine().cores(cores).memory_mib(memory_mib)))
}

fn ready(node: TestNode) -> TestNode {
    prepare(&node).expect("the control action is accepted");
    node
}

/// The result of a trial, of which a find is a panic that names seed and case.
#[track_caller]
fn nothing_found<T>(result: Result<T, Find>) -> T {
    result.unwrap_or_else(|find| panic!("{find}"))
}

#[test]
fn mutated_images_are_refused_or_end_with_a_name() {
    let node = node(2, 256);
    let counts = nothing_found(images::run(&node, SEED, IMAGES, |_| {}));
    assert!(counts.accepted > 0 && counts.refused > counts.accepted, "{counts:?}");
    assert_eq!(node.power_off(), PowerOff::Clean);
}

#[test]
fn mutated_requests_are_answered_as_documented_or_closed() {
    let node = node(2, 256);
    let counts = nothing_found(requests::run(&node, SEED, REQUESTS, |_| {}));
    assert!(counts.answered > counts.closed, "{counts:?}");
    assert_eq!(node.power_off(), PowerOff::Clean);
}

#[test]
fn random_calls_are_answered_as_the_contract_says_alone_and_on_all_cores_at_once() {
    // Three results of the length that `write` is drawn for fit into a share of the budget.
    let machine = machine().cores(4).memory_mib(512).kernel_words("hostkernel.body_mb=1");
    let node = ready(boot(machine));
    for at_once in [1, 3] {
        let plan = calls::Plan { seed: SEED, calls: CALLS, at_once, rounds: Effort::Cases(1) };
        let counts = nothing_found(calls::run(&node, plan, |_| {}));
        assert_eq!(counts.calls, at_once * CALLS);
        assert!(counts.succeeded > counts.calls / 10, "{counts}");
    }
    assert_eq!(node.power_off(), PowerOff::Clean);
}
