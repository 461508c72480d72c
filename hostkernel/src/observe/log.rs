//! The node's log: one line per record on the serial port, through the `log` crate.

use log::{LevelFilter, Log, Metadata, Record};

use crate::arch::clock;
use crate::device::serial;

struct SerialLog;

static LOG: SerialLog = SerialLog;

impl Log for SerialLog {
    fn enabled(&self, metadata: &Metadata) -> bool {
        // The network stack's own debug records say nothing to an operator.
        metadata.target().starts_with("hostkernel") || metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let microseconds = clock::now_ns() / 1000;
        serial::print(format_args!(
            "[{:5}.{:06}] {:5} {}\n",
            microseconds / 1_000_000,
            microseconds % 1_000_000,
            record.level(),
            record.args(),
        ));
    }

    fn flush(&self) {}
}

/// Sends log records to the serial port from now on.
pub fn initialise() {
    // The only caller is the boot; a second logger cannot be there.
    let _ = log::set_logger(&LOG);
    log::set_max_level(LevelFilter::Info);
}
