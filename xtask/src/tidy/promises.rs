//! The table of what went wrong once: every test it names is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::Findings;

/// Where the table is, and the heading above it.
const FILE: &str = "tests/README.md";
const HEADING: &str = "## What went wrong once";
/// Where the names of tests are in a row.
const COLUMN: usize = 2;

/// Checks the table against the tests of all files.
pub fn check(files: &BTreeMap<PathBuf, String>, findings: &mut Findings) {
    let file = Path::new(FILE);
    let Some(text) = files.get(file) else { return };
    let sources = files.iter().filter(|(path, _)| path.extension().is_some_and(|it| it == "rs"));
    let tests: BTreeSet<&str> = sources.flat_map(|(_, text)| tests(text)).collect();
    let lines = text.lines().enumerate().skip_while(|(_, line)| *line != HEADING).skip(1);
    let section = lines.take_while(|(_, line)| !line.starts_with("## "));
    // Behind the head of the table and the line below it.
    let rows = section.filter(|(_, line)| line.starts_with('|')).skip(2);
    for (number, row) in rows {
        let names: Vec<&str> = names(row).collect();
        if names.is_empty() {
            findings.violation(file, number + 1, "no test is named");
        }
        for name in names.into_iter().filter(|name| !tests.contains(name)) {
            findings.violation(file, number + 1, format!("there is no test `{name}`"));
        }
    }
}

/// The names in a row of the table.
fn names(row: &str) -> impl Iterator<Item = &str> {
    let cell = row.split('|').nth(COLUMN).unwrap_or_default();
    cell.split('`').skip(1).step_by(2)
}

/// The names of the tests in a source.
fn tests(source: &str) -> impl Iterator<Item = &str> {
    source.split("#[test]").skip(1).filter_map(|behind| {
        let name = behind.split_once("fn ")?.1;
        name.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(rows: &str) -> Vec<String> {
        let source = "#[test]\n#[should_panic]\nfn it_is_there() {}\nfn it_is_no_test() {}\n";
        let table =
            format!("{HEADING}\n\n| what | test |\n|---|---|\n{rows}\n## Else\n| a | `b` |\n");
        let files = BTreeMap::from([
            (PathBuf::from(FILE), table),
            (PathBuf::from("a/src/lib.rs"), source.to_owned()),
        ]);
        let mut findings = Findings::default();
        check(&files, &mut findings);
        findings.violations.into_iter().map(|it| format!("{}: {}", it.line, it.message)).collect()
    }

    #[test]
    fn only_tests_that_are_there_are_named() {
        assert!(found("| one | `it_is_there` |").is_empty());
        assert_eq!(
            found("| two | `it_is_there`, `it_is_no_test` |\n| three | |"),
            ["5: there is no test `it_is_no_test`", "6: no test is named"]
        );
    }
}
