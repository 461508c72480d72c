//! The node's log: one line per record on serial port and screen, and for the log server if there
//! is one, through the `log` crate.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicBool, Ordering};

use alloc::sync::Arc;

use log::{LevelFilter, Log, Metadata, Record};
use spin::Once;

use crate::arch::clock;
use crate::device::{screen, serial};
use node::journal;
use node::journal::line::{Format, LogLine};
use node::journal::syslog::Queue;

struct NodeLog;

static LOG: NodeLog = NodeLog;
static JSON: AtomicBool = AtomicBool::new(false);
static SYSLOG: Once<Arc<Queue>> = Once::new();

/// How lines look on the serial port from now on.
pub fn set_format(format: Format) {
    JSON.store(format == Format::Json, Ordering::Relaxed);
}

/// Keeps records from now on for a log server, too.
pub fn open_syslog() {
    SYSLOG.call_once(|| Arc::new(Queue::new(log::max_level(), clock::wall_ns)));
}

/// What is kept for it.
pub fn syslog() -> Option<Arc<Queue>> {
    SYSLOG.get().cloned()
}

impl Log for NodeLog {
    fn enabled(&self, metadata: &Metadata) -> bool {
        // The network stack's own debug records say nothing to an operator.
        journal::is_ours(metadata.target()) || metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let monotonic_ns = clock::now_ns();
        let wall_ns = clock::wall_ns_at(monotonic_ns);
        let format = if JSON.load(Ordering::Relaxed) { Format::Json } else { Format::Text };
        let line = |format| LogLine { record, monotonic_ns, wall_ns, format };
        serial::print(format_args!("{}", line(format)));
        // People read it.
        screen::print(format_args!("{}", line(Format::Text)));
        if let Some(queue) = SYSLOG.get() {
            queue.log(record);
        }
    }

    fn flush(&self) {}
}

/// Sends log records to serial port and screen from now on.
pub fn initialise() {
    // The only caller is the boot; a second logger cannot be there.
    let _ = log::set_logger(&LOG);
    log::set_max_level(LevelFilter::Info);
}
