//! The matrix in `docs/linux.md`. Each of its lines is a test's: the program is run on this
//! computer and under the library OS, what it writes and how it ends is compared, and the line must
//! say what was seen.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use xtask::workspace;

use crate::{INPUT, Run, image, native, run};

/// Begins the heading of the matrix, and its table.
const HEADING: &str = "## Matrix";
const COLUMNS: &str = "| program | made of | size | calls | what was run | result | not served |";
/// The programs that tests write lines for.
const PROGRAMS: [&str; 13] = [
    "BusyBox 1.35",
    "C with musl",
    "C with glibc",
    "C++17",
    "C++17, static-pie",
    "Rust for musl",
    "Rust for glibc",
    "Go 1.19",
    "Zig 0.17",
    "Lua 5.4",
    "QuickJS",
    "SQLite 3.40",
    "CPython 3.11, static",
];

/// `clone` and `clone3`, and what threads wait by.
const STARTS_THREADS: [u64; 2] = [56, 435];
const FUTEX: u64 = 202;

/// A line of the matrix, as far as it is seen.
pub struct Line<'a> {
    program: &'a str,
    made_of: &'a str,
    size: u64,
    calls: BTreeSet<u64>,
    not_served: BTreeSet<String>,
    runs: usize,
    different: Vec<String>,
}

impl<'a> Line<'a> {
    /// The line of a program in this file, made of that.
    pub fn new(program: &'a str, made_of: &'a str, file: &Path) -> Self {
        let size = fs::metadata(file).expect("it was made").len();
        let (calls, not_served) = Default::default();
        Self { program, made_of, size, calls, not_served, runs: 0, different: Vec::new() }
    }

    /// Runs a payload with these arguments under the library OS, and the program on this computer.
    pub fn run(&mut self, payload: &Path, program: &Path, arguments: &[&str]) {
        let (ours, log) = counted(payload, arguments);
        let expected = native(program, arguments);
        self.runs += 1;
        for line in log.lines() {
            if let Some(numbers) = line.strip_prefix("calls: ") {
                let numbers = numbers.split(' ').filter_map(|number| number.parse::<u64>().ok());
                self.calls.extend(numbers);
            } else if let Some(calls) = line.strip_prefix("report: 1: ") {
                self.not_served.insert(calls.to_owned());
            }
        }
        if ours != expected {
            self.different.push(format!("{arguments:?}: {ours:?} for {expected:?}; log: {log}"));
        }
    }

    /// The line must be in the documentation.
    #[track_caller]
    pub fn shows(self, what: &str) {
        let Self { program, made_of, size, mut calls, not_served, runs, different } = self;
        assert!(different.is_empty(), "{}", different.join("\n"));
        assert!(PROGRAMS.contains(&program), "{program} has no place in the matrix");
        let not_served = match not_served.is_empty() {
            true => "–".to_owned(),
            false => Vec::from_iter(not_served).join(", "),
        };
        let result = match runs {
            1 => "as on Linux".to_owned(),
            runs => format!("{runs} of {runs} as on Linux"),
        };
        // Whether threads have to wait for each other is a matter of time.
        if STARTS_THREADS.iter().any(|call| calls.contains(call)) {
            calls.insert(FUTEX);
        }
        let (size, calls) = (rounded(size), calls.len());
        let line = format!(
            "| {program} | {made_of} | {size} | {calls} | {what} | {result} | {not_served} |"
        );
        let is_there = table().contains(&line);
        assert!(is_there, "docs/linux.md has another line for {program}; this was seen:\n{line}");
    }
}

/// Runs a payload under the library OS, which then says what was called.
fn counted(payload: &Path, arguments: &[&str]) -> (Run, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linux-emulator"));
    command.arg(image()).arg(payload).args(arguments).env("CALLS", "1");
    run(command, INPUT)
}

/// A size in two or three digits: compilers differ in the rest.
fn rounded(size: u64) -> String {
    match size {
        0..1_000_000 => format!("{} KB", size.div_ceil(10_000) * 10),
        size => format!("{:.1} MB", size as f64 / 1e6),
    }
}

/// The lines of the table.
fn table() -> Vec<String> {
    let file = workspace::root().join("docs/linux.md");
    let text = fs::read_to_string(file).expect("the page is there");
    let matrix = text.split_once(HEADING).expect("the page has a matrix").1;
    let table = matrix.lines().skip_while(|line| *line != COLUMNS);
    table.take_while(|line| line.starts_with('|')).skip(2).map(str::to_owned).collect()
}

#[test]
fn each_line_of_the_matrix_is_a_tests() {
    let programs: Vec<String> = table()
        .iter()
        .filter_map(|line| line.split('|').nth(1).map(|program| program.trim().to_owned()))
        .collect();
    assert_eq!(programs, PROGRAMS);
}
