//! What people see while they wait: one line a step, and a spinner where something moves.
//!
//! All of it goes to stderr, so that stdout carries results only. Where stderr is not a terminal
//! the spinner disappears and the lines remain.

use std::fmt;
use std::io::{self, Write};
use std::process;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

const TICK: Duration = Duration::from_millis(100);

/// Announces a step.
pub fn say(message: &str) {
    eprintln!("» {message}");
}

/// Prints a line of results: what `println!` is in this program. A reader that has seen enough
/// (`| head -1`) ends it, and is no failure.
pub fn print_line(line: fmt::Arguments<'_>) {
    let mut out = io::stdout().lock();
    match writeln!(out, "{line}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => process::exit(0),
        Err(error) => {
            eprintln!("error: the standard output cannot be written: {error}");
            process::exit(1);
        }
        Ok(()) => {}
    }
}

/// A spinner with the time a step takes. It disappears when dropped.
pub struct Spinner {
    bar: ProgressBar,
}

impl Spinner {
    /// Starts turning.
    pub fn new(message: &str) -> Self {
        let bar = ProgressBar::new_spinner();
        if bar.is_hidden() {
            say(message);
        }
        // A template that does not parse leaves the default style, which serves as well.
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {prefix} ({elapsed}) {wide_msg:.dim}")
        {
            bar.set_style(style);
        }
        bar.set_prefix(message.to_owned());
        bar.enable_steady_tick(TICK);
        Self { bar }
    }

    /// Shows what is going on at the moment, next to the step's name.
    pub fn detail(&self, detail: &str) {
        self.bar.set_message(detail.to_owned());
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
