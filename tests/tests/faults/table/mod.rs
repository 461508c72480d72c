//! The attack table: every way to misbehave, with its outcome.
//!
//! To add one: a kind in `images/faults` and a line in the module it belongs to. Machine code needs
//! no kind of its own: `{"kind":"code","code":"0f0b"}`. In patterns `*` stands for anything.

mod calls;
mod instructions;
mod memory;
mod resources;
mod state;
mod transfers;

use system_tests::TestNode;

use crate::attack::Case;

const GENERAL_PROTECTION: &str = "general protection fault (#GP) at 0x*";
const INVALID: &str = "invalid instruction (#UD) at 0x*";
const DEBUG: &str = "debug exception (#DB) at 0x*";
const BREAKPOINT: &str = "breakpoint (#BP) at 0x*";
const STACK_SEGMENT: &str = "stack-segment fault (#SS) at 0x*";
/// A call that did what it was to do.
const CALLED: &str = r#"{"result":*}"#;
const SURVIVED: &str = r#"{"survived":"*"}"#;

/// A kind without parameters, and how it may end.
pub type Line = (&'static str, &'static [&'static str]);

fn cases(lines: &[Line]) -> impl Iterator<Item = Case> {
    lines.iter().map(|(kind, ways)| Case::kind(kind, ways))
}

/// The sections that any node can run.
pub fn sections(node: &TestNode) -> Vec<(&'static str, Vec<Case>)> {
    vec![
        ("memory", memory::cases(node)),
        ("instructions", instructions::cases()),
        ("calls", calls::cases()),
        ("resources", resources::cases()),
        ("state", state::cases()),
    ]
}

/// What ends otherwise with a host: its own pages are all its own to shape, memory is charged when
/// it is touched, and who goes back to a program that is traced is traced itself.
const HOSTED: &[Line] = &[
    ("trap-ud2", &[DEBUG]),
    ("trap-page-fault", &[DEBUG]),
    ("map without rights", &[CALLED]),
    ("map more than the limit", &[CALLED]),
    ("unmap stack", &[CALLED]),
    ("protect text", &[CALLED]),
    ("protect stack", &[CALLED]),
];

/// The sections once more, for programs with a host between them and the kernel.
pub fn sections_with_a_host(node: &TestNode) -> Vec<(&'static str, Vec<Case>)> {
    let of_a_host = |case: Case| HOSTED.iter().fold(case, |case, line| case.otherwise(line));
    let sections = sections(node).into_iter();
    sections.map(|(name, cases)| (name, cases.into_iter().map(of_a_host).collect())).collect()
}

/// What a node runs whose processor has no SMAP.
pub fn sections_without_smap() -> Vec<(&'static str, Vec<Case>)> {
    vec![("transfers", transfers::cases())]
}
