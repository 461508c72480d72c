//! What a function keeps for itself: pages that are not what they were when its runtime was frozen.

use std::fs;
use std::ops::Range;

use crate::process::Process;
use crate::windows::PAGE;

/// Prints how many of each mapping's pages differ between two stopped processes, the second of
/// which came from the first.
pub fn print(runtime: &Process, function: &Process) {
    let mut all = 0;
    for (range, name) in readable(function) {
        let pages = (range.end - range.start) / PAGE;
        let differs = |address: &u64| differs(runtime, function, *address);
        let count = range.clone().step_by(PAGE as usize).filter(differs).count();
        if count > 0 {
            eprintln!("pages: {:#x} {name}: {count} of {pages}", range.start);
        }
        all += count;
    }
    eprintln!("pages: {all}");
}

fn differs(runtime: &Process, function: &Process, address: u64) -> bool {
    let Some(page) = function.read(address, PAGE) else { return false };
    match runtime.read(address, PAGE) {
        Some(before) => before != page,
        None => page.iter().any(|byte| *byte != 0),
    }
}

/// The mappings of a process that can be read, but for those that Linux itself makes (`[vdso]`).
fn readable(process: &Process) -> Vec<(Range<u64>, String)> {
    let maps = fs::read_to_string(format!("/proc/{}/maps", process.number())).unwrap_or_default();
    let mapping = |line: &str| {
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let rights = words.next().filter(|rights| rights.starts_with('r'))?;
        let name = words.nth(3).unwrap_or_default();
        let address = |text| u64::from_str_radix(text, 16).ok();
        let range = address(start)?..address(end)?;
        (!name.starts_with("[v")).then(|| (range, format!("{rights} {name}")))
    };
    maps.lines().filter_map(mapping).collect()
}
