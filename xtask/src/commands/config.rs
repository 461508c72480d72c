//! `cargo xtask config`: what can be set on a node.

use std::fmt::Write as _;

use anyhow::Result;
use clap::Args;
use node::settings::KEYS;

/// List the keys of a node's configuration.
#[derive(Args, Debug)]
pub struct Arguments {}

/// Runs the command.
pub fn run(_: &Arguments) -> Result<()> {
    print!("{}", list());
    Ok(())
}

/// All keys, from the kernel's own table.
fn list() -> String {
    let mut list = "| key | value | without it | meaning |\n|---|---|---|---|\n".to_owned();
    for key in &KEYS {
        let (name, syntax, default, meaning) = (key.name, key.syntax, key.default, key.meaning);
        let _ = writeln!(list, "| `{name}` | {syntax} | {default} | {meaning} |");
    }
    list
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_documentation_has_this_list() {
        let file = xtask::workspace::root().join("docs/configuration.md");
        let text = fs::read_to_string(file).expect("the page is there");
        assert!(text.contains(&list()), "docs/configuration.md must have:\n{}", list());
    }
}
