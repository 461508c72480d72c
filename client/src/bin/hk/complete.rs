//! What a shell offers for the name of an action: those of the node that the rest of the line
//! means.

use std::env;
use std::ffi::OsStr;
use std::time::Duration;

use clap_complete::CompletionCandidate;

use crate::config::matching;
use crate::target::TargetArguments;

/// Who presses a key does not wait longer for a node.
const PATIENCE: Duration = Duration::from_secs(1);

/// Names of actions.
pub fn actions(begin: &OsStr) -> Vec<CompletionCandidate> {
    let words: Vec<_> = env::args().collect();
    let Ok(target) = target(&words).resolve() else { return Vec::new() };
    let client = target.client().with_connect_timeout(PATIENCE).with_timeout(PATIENCE);
    let actions = client.list().unwrap_or_default().into_iter();
    matching(begin, actions.map(|action| (action.name, action.version)))
}

/// The node that a line means, as far as it is written.
fn target(words: &[String]) -> TargetArguments {
    let value = |option: &str| {
        let at = words.iter().rposition(|word| word.starts_with(option))?;
        match words[at].strip_prefix(option)? {
            "" => words.get(at + 1).cloned(),
            rest => rest.strip_prefix('=').map(str::to_owned),
        }
    };
    TargetArguments::of(value("--node"), value("--url"), value("--key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_the_node() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let target = |line: &str| format!("{:?}", target(&words(line)));
        assert!(target("hk invoke --node lab he").contains("node: Some(\"lab\")"));
        assert!(target("hk --url=10.0.0.5:1 invoke he").contains("url: Some(\"10.0.0.5:1\")"));
        assert!(target("hk invoke --node").contains("node: None"));
    }

    #[test]
    fn what_begins_so_is_offered() {
        let names = ["hello", "help", "echo"].map(|name| (name.to_owned(), String::new()));
        let offered = matching(OsStr::new("he"), names.into_iter());
        assert_eq!(offered.len(), 2);
    }
}
