//! Tests that need the machine: built into the kernel by the feature `selftest`, run instead of the
//! service on every core that booted, reported on the serial port.
//!
//! QEMU's debug-exit device ends the machine with status 33 if all passed; a failed assertion is a
//! crash record and status 7.
#![forbid(unsafe_code)]

mod hosts;
mod interrupts;
mod isolation;
mod machine;
mod mitigations;
mod program;
mod throughput;

use crate::device::{power, serial};
use crate::worker::Worker;
use node::dispatch::Dispatcher;

/// What a test gets: core 0's worker, and the dispatcher to the other cores.
struct Bench {
    worker: Worker,
    dispatcher: &'static Dispatcher,
    cores: usize,
}

/// APIC id of a processor that is not there: it is given up, and costs nobody a number.
pub const ABSENT_PROCESSOR: u32 = 0xf0;

type Test = fn(&mut Bench);

const TESTS: &[(&str, Test)] = &[
    ("an action's tables hold nothing of the kernel but its entry", isolation::live_tables),
    ("the kernel's own pages are never writable and executable", machine::write_xor_execute),
    ("no stack has a mapped neighbour", machine::guard_pages),
    ("the clock goes forward at the stated rate", machine::clock),
    ("bytes are copied as they are, and no others", machine::copies),
    ("interrupts for nothing are switched off", interrupts::switched_off),
    ("an action answers with its input", isolation::answers),
    ("an action sees nothing of the one before it on this core", isolation::nothing_left_behind),
    ("registers are defined when an action starts", isolation::registers),
    ("faults end the action and nothing else", isolation::faults),
    ("odd ways into the kernel end the action or nothing", isolation::odd_entries),
    ("a deadline ends an endless action", isolation::deadline),
    ("a deadline that passed before the action started still ends it", isolation::late_deadline),
    ("time that the network takes is not the action's", isolation::lost_time),
    ("a limit that cannot be reserved starts nothing", isolation::not_started),
    ("an invocation survives every frame that it is refused", isolation::frames_refused),
    ("what is cleared on the way to ring 3 follows what ran", mitigations::way_out),
    ("guards on the way into the kernel change nothing for actions", mitigations::guards),
    ("an invocation survives every byte of heap that it is refused", isolation::heap_refused),
    ("instances go on where one was frozen", hosts::frozen),
    ("what was frozen is the base of the next", hosts::stacked),
    ("a freeze survives every frame that it is refused", hosts::frames_refused),
    ("calls and exceptions of hosted code come to its host", hosts::reflected),
    ("calls beside a host's code are not its own", hosts::edges),
    ("a host that faults itself ends", hosts::misused),
    ("an alarm interrupts hosted code, and is noted for its host", hosts::alarms),
    ("all frames come back", throughput::frames),
    ("every worker runs what it is given", throughput::all_workers),
    ("an idle worker takes work that waits behind a long one", throughput::stealing),
];

/// Code that makes QEMU's debug-exit device end with status 33.
const EXIT_PASSED: u32 = 16;

/// Runs every test and ends the machine.
pub fn run(dispatcher: &'static Dispatcher, cores: usize) {
    let mut bench = Bench { worker: Worker::new(), dispatcher, cores };
    serial::print(format_args!("running {} tests on {cores} cores\n", TESTS.len()));
    for (name, test) in TESTS {
        serial::print(format_args!("test {name} ... "));
        test(&mut bench);
        serial::print(format_args!("ok\n"));
    }
    serial::print(format_args!("{} passed, 0 failed\n", TESTS.len()));
    power::debug_exit(EXIT_PASSED);
    power::off()
}
