//! `docs/first-hour.md`, line by line: from nothing to an answer for each kind of function.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use system_tests::{SharedNode, boot, clients, examples, machine};
use xtask::runtime::Language;

static NODE: SharedNode = SharedNode::new(|| boot(machine().memory_mib(1024)));

const PAGE: &str = "docs/first-hour.md";
/// How long an interpreter may take to start, emulated, on a busy computer.
const RUNTIME_TIMEOUT: Duration = Duration::from_secs(330);

/// Follows a section of the page on a node, which is given a runtime first if it takes one.
fn follow(section: &str, runtime: Option<Language>) {
    clients::ensure(&[("curl", "curl"), ("musl-gcc", "musl-tools"), ("c++", "g++")]);
    let node = NODE.get();
    if let Some(language) = runtime {
        let archive = language.ready(|doing| println!("{doing}"));
        let archive = archive.unwrap_or_else(|error| panic!("{error}"));
        let client = node.client().clone().with_timeout(RUNTIME_TIMEOUT);
        let archive = fs::read(&archive).expect("it was built");
        client.install_runtime(&language.kind(), &archive).expect("the node takes it");
    }
    examples::run(PAGE, Some(section), &node, &scratch(section));
}

fn scratch(section: &str) -> PathBuf {
    let name: String = section.chars().filter(char::is_ascii_alphanumeric).collect();
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("first-hour-{name}"))
}

#[test]
fn first_hour_of_a_linux_program() {
    follow("A Linux program", None);
}

#[test]
fn first_hour_of_a_function_in_python() {
    follow("A function in Python", Some(Language::Python));
}

#[test]
fn first_hour_of_a_function_in_javascript() {
    follow("A function in JavaScript", Some(Language::JavaScript));
}

#[test]
fn first_hour_of_a_web_server() {
    follow("A web server", Some(Language::Python));
}

#[test]
fn first_hour_with_c_and_cpp() {
    follow("C and C++", None);
}

#[test]
fn first_hour_when_it_fails() {
    follow("When something does not work", None);
}

/// Commands of a section up to the first that shows what it prints, files that are written aside.
fn commands(page: &str, section: &str) -> usize {
    let (_, text) = page.split_once(&format!("\n## {section}\n")).expect("the section");
    let mut lines = text.lines();
    let mut count = 0;
    lines.find(|line| line.starts_with("```")).expect("a block");
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            break;
        } else if line.starts_with("cat > ") {
            lines.find(|line| *line == "END").expect("the end of a file");
        } else {
            count += 1;
            if line.starts_with("$ ") {
                break;
            }
            // What goes on in the next line is the same command.
            let mut last = line;
            while last.ends_with('\\') {
                last = lines.next().expect("more of the command");
            }
        }
    }
    count
}

#[test]
fn first_hour_takes_as_many_commands_as_it_says() {
    let page = fs::read_to_string(xtask::workspace::root().join(PAGE)).expect("the page");
    let rows = page.lines().filter(|line| line.starts_with("| ") && line.contains("](#"));
    let rows: Vec<(usize, &str)> = rows
        .map(|row| {
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            let section = cells[3].split(['[', ']']).nth(1).expect("a link");
            (cells[2].parse().expect("a number"), section)
        })
        .collect();
    assert_eq!(rows.len(), 6);
    for (count, section) in rows {
        assert_eq!(commands(&page, section), count, "{section}");
    }
}
