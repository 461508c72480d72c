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
const SURVIVED: &str = r#"{"survived":"*"}"#;

/// A kind without parameters, and how it may end.
type Line = (&'static str, &'static [&'static str]);

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

/// What a node runs whose processor has no SMAP.
pub fn sections_without_smap() -> Vec<(&'static str, Vec<Case>)> {
    vec![("transfers", transfers::cases())]
}
