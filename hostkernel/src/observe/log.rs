//! The node's log: one line per record on serial port and screen, through the `log` crate.

use core::fmt;

use log::{LevelFilter, Log, Metadata, Record};

use crate::arch::clock;
use crate::device::{screen, serial};

struct NodeLog;

static LOG: NodeLog = NodeLog;

impl Log for NodeLog {
    fn enabled(&self, metadata: &Metadata) -> bool {
        // The network stack's own debug records say nothing to an operator.
        metadata.target().starts_with("hostkernel") || metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let microseconds = clock::now_ns() / 1000;
        let print = |line: fmt::Arguments| {
            serial::print(line);
            screen::print(line);
        };
        print(format_args!(
            "[{:5}.{:06}] {:5} {}\n",
            microseconds / 1_000_000,
            microseconds % 1_000_000,
            record.level(),
            record.args(),
        ));
    }

    fn flush(&self) {}
}

/// Sends log records to serial port and screen from now on.
pub fn initialise() {
    // The only caller is the boot; a second logger cannot be there.
    let _ = log::set_logger(&LOG);
    log::set_max_level(LevelFilter::Info);
}
