//! The short form of `cargo xtask soak`: mixed use, every answer checked, everything back.

use system_tests::{PowerOff, boot, machine};
use xtask::trial::{prepare, soak};

/// Where all choices come from. A failure names it.
const SEED: u64 = 1;
/// Invocations on each node.
const INVOCATIONS: u64 = 5_000;

fn soak_on(cores: u32) {
    let node = boot(machine().cores(cores));
    prepare(&node).expect("the control action is accepted");
    let plan = soak::Plan { seed: SEED, invocations: INVOCATIONS, mix: soak::Mix::Everything };
    if let Err(find) = soak::run(&node, plan, |text| eprintln!("{text}"), |_| {}) {
        panic!("{find}");
    }
    assert_eq!(node.power_off(), PowerOff::Clean);
}

#[test]
fn mixed_use_of_two_cores_leaves_nothing_behind() {
    soak_on(2);
}

#[test]
fn mixed_use_of_four_cores_leaves_nothing_behind() {
    soak_on(4);
}
