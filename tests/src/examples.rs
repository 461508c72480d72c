//! The examples of a page of the documentation, run by bash as they stand.
//!
//! In a block marked `sh`, a line that starts with `$ ` is a command, as are those after a `\` at
//! its end; what follows is what it prints. White space does not count there, and `…` stands for
//! anything. Lines before the first `$ ` are a script that must succeed; curl does not if the
//! answer is an error. All blocks run in one shell, one after the other, so that variables and
//! files live on.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use xtask::{build, workspace};

use crate::TestNode;
use crate::clients::command;

/// Where pages say the node is.
const DOCUMENTED: &str = "127.0.0.1:3233";
/// Between what two steps print.
const SEPARATOR: char = '\u{1e}';
/// How curl behaves in examples. No answer takes so long, on any computer.
const CURL: &str = "silent\nshow-error\nfail-with-body\nmax-time = 300\n";

/// A command with what it prints, or a script that must succeed.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    line: usize,
    script: String,
    prints: Option<String>,
}

/// The steps of a page, or of its section with this heading.
fn steps(page: &str, section: Option<&str>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut is_wanted, mut is_example, mut is_continued) = (section.is_none(), false, false);
    for (index, text) in page.lines().enumerate() {
        if let Some(block) = text.strip_prefix("```") {
            is_example = is_wanted && block == "sh";
            if is_example {
                steps.push(Step { line: index + 2, script: String::new(), prints: None });
            }
        } else if !is_example {
            if let Some(section) = section.filter(|_| text.starts_with('#')) {
                is_wanted = section == text.trim_start_matches('#').trim();
            }
        } else if let Some(command) = text.strip_prefix("$ ") {
            is_continued = command.ends_with('\\');
            let script = format!("{command}\n");
            steps.push(Step { line: index + 1, script, prints: Some(String::new()) });
        } else if let Some(step) = steps.last_mut() {
            let into = match &mut step.prints {
                Some(prints) if !is_continued => prints,
                _ => &mut step.script,
            };
            is_continued &= text.ends_with('\\');
            into.push_str(text);
            into.push('\n');
        }
    }
    steps.retain(|step| !step.script.trim().is_empty());
    steps
}

/// Whether a text is what was expected, with `…` for anything, white space aside.
fn is_as_expected(expected: &str, text: &str) -> bool {
    let dense = |text: &str| text.split_whitespace().collect::<String>();
    let (expected, text) = (dense(expected), dense(text));
    let mut parts = expected.split('…');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        // What was found last may have to be found further on: at the end.
        if let Some(part) = last.replace(part) {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
    }
    last.map_or(rest.is_empty(), |last| rest.ends_with(last))
}

/// Runs the examples of a page, or of one of its sections, against a node, in the folder `scratch`,
/// where `target/actions`, `action-abi` and `Cargo.toml` are what they are in the workspace, and
/// `hk` is a command that talks to this node.
///
/// # Panics
/// If one fails or prints something else; the message names their lines.
pub fn run(page: &str, section: Option<&str>, node: &TestNode, scratch: &Path) {
    let _ = fs::remove_dir_all(scratch);
    fs::create_dir_all(scratch.join("target")).expect("the folder can be made");
    for (from, to) in [
        (workspace::actions(), "target/actions"),
        (workspace::root().join("Cargo.toml"), "Cargo.toml"),
        (workspace::root().join("action-abi"), "action-abi"),
        (build::client().expect("hk builds"), "hk"),
    ] {
        std::os::unix::fs::symlink(from, scratch.join(to)).expect("the folder is empty");
    }
    fs::write(scratch.join(".curlrc"), CURL).expect("the folder can be written");
    let text = fs::read_to_string(workspace::root().join(page)).expect("the page is there");
    let steps = steps(&text, section);
    assert!(!steps.is_empty(), "no examples in {page}");

    let mut script = "set -o pipefail\n".to_owned();
    for step in &steps {
        let mode = if step.prints.is_some() { "set +e" } else { "set -e" };
        script += &format!("{mode}\n{}printf '\\036'\n", step.script);
    }
    let address = node.base_url().replace("http://", "");
    let file = scratch.join("examples.sh");
    fs::write(&file, script.replace(DOCUMENTED, &address)).expect("the folder can be written");
    let errors = scratch.join("errors.txt");
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", scratch.display());
    let output = command("bash")
        .arg("examples.sh")
        .current_dir(scratch)
        .env("PATH", path)
        .env("HK_URL", node.base_url())
        // Where curl looks for its settings, and others leave things.
        .env("HOME", scratch)
        .env("CURL_HOME", scratch)
        .stdin(Stdio::null())
        .stderr(fs::File::create(&errors).expect("the folder can be written"))
        .output()
        .expect("bash starts");
    let printed = String::from_utf8_lossy(&output.stdout);
    let mut printed = printed.split(SEPARATOR);
    let mut failures = String::new();
    for step in &steps {
        let text = printed.next().unwrap_or_default();
        if step.prints.as_ref().is_some_and(|expected| !is_as_expected(expected, text)) {
            failures += &format!("{page}:{}: {}printed {text:?}\n", step.line, step.script);
        }
        // After the last one that came to its end there is something, if only an empty text.
        if printed.clone().next().is_none() {
            failures += &format!("{page}:{}: {}failed\n", step.line, step.script);
            break;
        }
    }
    let errors = fs::read_to_string(&errors).unwrap_or_default();
    assert!(failures.is_empty(), "{failures}all that went to stderr:\n{errors}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_becomes_steps() {
        let page = "# A\n```sh\nx=1\ny=2\n$ one \\\n  more\nits\noutput\n$ two\n```\ntext\n\
                    ```text\n$ no\n```\n# B\n```sh\nthree\n```\n";
        let step = |line, script: &str, prints: Option<&str>| Step {
            line,
            script: script.to_owned(),
            prints: prints.map(str::to_owned),
        };
        let of_a = [
            step(3, "x=1\ny=2\n", None),
            step(5, "one \\\n  more\n", Some("its\noutput\n")),
            step(9, "two\n", Some("")),
        ];
        assert_eq!(steps(page, Some("A")), of_a);
        assert_eq!(steps(page, Some("B")), [step(17, "three\n", None)]);
        assert_eq!(steps(page, None).len(), 4);
        assert!(steps(page, Some("C")).is_empty());
    }

    #[test]
    fn what_was_left_out_may_be_anything_and_nothing_else() {
        for (expected, text) in [
            ("", " \n"),
            ("a b", "ab\n"),
            ("a…", "a"),
            ("…b", "a b b"),
            ("a…b…c", "a b x b c c"),
            ("{…\"x\":1…}", "{\"y\":2,\"x\":1}"),
        ] {
            assert!(is_as_expected(expected, text), "{expected} {text}");
        }
        for (expected, text) in
            [("", "a"), ("a", ""), ("a", "ab"), ("a…", "ba"), ("…b", "bc"), ("a…b…b", "a b")]
        {
            assert!(!is_as_expected(expected, text), "{expected} {text}");
        }
    }
}
