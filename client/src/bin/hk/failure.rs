//! Why a command did not do what it was told: for people a sentence and what to do next, for
//! scripts an exit code.

use std::process::ExitCode;

use hk::{Client, CodeError, Error, Known, Meaning};
use serde_json::json;

use crate::terminal::note;

/// The exit codes, as `--help` shows them.
pub const EXIT_CODES: &str = "Exit codes:
  0  it worked
  1  the action failed, or requests of a bench did
  2  usage: arguments, files, a build, the configuration
  3  the node refused the request (4xx, 501, 505)
  4  the node is overloaded, booting or draining (429, 503)
  5  the node cannot be reached, or did not answer or end the invocation in time
  6  the answer is none a node should give";

/// Names at least as alike as this are offered instead of one that does not exist.
const SIMILARITY_MIN: f64 = 0.75;
/// How many are offered.
const SIMILAR_MAX: usize = 3;

/// Exit code of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The reader of our output is gone: nothing to complain about.
    Ok = 0,
    ActionFailed = 1,
    Usage = 2,
    Refused = 3,
    Overloaded = 4,
    Unreachable = 5,
    Unexpected = 6,
}

/// Why a command did not do what it was told.
#[derive(Debug, PartialEq)]
pub struct Failure {
    pub exit: Exit,
    /// Nothing if all has been said.
    message: Option<String>,
    pub hint: Option<String>,
    pub status: Option<u16>,
}

impl Failure {
    /// A failure whose reason has been printed already.
    pub fn silent(exit: Exit) -> Self {
        Self { exit, message: None, hint: None, status: None }
    }

    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: Some(message.into()), hint: None, status: None }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Puts a name in front: which of several it is about.
    pub fn of(mut self, name: &str) -> Self {
        self.message = self.message.map(|message| format!("{name}: {message}"));
        self
    }

    /// A refusal because of a name; offers those that are like it.
    pub fn of_action(error: Error, client: &Client, name: &str) -> Self {
        let failure = Self::from(error);
        match failure.status {
            Some(status) => failure.of_status(status, client, name),
            None => failure,
        }
    }

    /// The same for an answer that was not made an error.
    pub fn of_status(mut self, status: u16, client: &Client, name: &str) -> Self {
        self.status = Some(status);
        if status != 404 {
            return self;
        }
        let names: Vec<_> =
            client.list().unwrap_or_default().into_iter().map(|action| action.name).collect();
        match similar(name, &names).as_slice() {
            [] => self.hint("`hk list` shows what is deployed"),
            alike => self.hint(format!("did you mean {}?", alike.join(" or "))),
        }
    }

    /// A refusal because of an activation's id.
    pub fn of_record(error: Error) -> Self {
        let failure = Self::from(error);
        match failure.status {
            Some(404) => failure.hint(
                "it may still run, or have ended long ago: a record is made at the end, and kept \
                 until newer ones need its place; `hk activations` lists what there is",
            ),
            _ => failure,
        }
    }

    /// Prints it and gives the exit code.
    pub fn report(&self, as_json: bool) -> ExitCode {
        self.show(as_json);
        ExitCode::from(self.exit as u8)
    }

    /// Prints it, for who goes on after it.
    pub fn show(&self, as_json: bool) {
        if let Some(message) = &self.message {
            if as_json {
                let (hint, status, code) = (&self.hint, self.status, self.exit as u8);
                let error = json!({ "error": message, "hint": hint, "status": status,
                    "exit": code });
                eprintln!("{error}");
            } else {
                note(format_args!("error: {message}"));
                if let Some(hint) = &self.hint {
                    note(format_args!("hint: {hint}"));
                }
            }
        }
    }
}

/// The exit code of an answer that is not what was asked for.
pub fn exit_of(status: u16) -> Exit {
    match Known::of(status).map(|known| known.meaning) {
        Some(Meaning::Refused) => Exit::Refused,
        Some(Meaning::Overloaded) => Exit::Overloaded,
        Some(Meaning::ActionFailed) => Exit::ActionFailed,
        Some(Meaning::Done) | None => Exit::Unexpected,
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match &error {
            Error::Unreachable { .. } | Error::Unfinished { .. } => Exit::Unreachable,
            Error::Refused { status, .. } => exit_of(*status),
            Error::Unexpected { .. } => Exit::Unexpected,
        };
        let message = match &error {
            Error::Unreachable { url, .. } if error.is_timeout() => {
                format!("no answer from {url} in time; --wait waits longer")
            }
            _ => error.to_string(),
        };
        let failure = Self { status: error.status(), ..Self::new(exit, message) };
        match error {
            Error::Unfinished { id, .. } => failure.hint(format!(
                "`hk activation get {id} --wait-end` waits on; --wait gives it more time at once"
            )),
            _ => failure,
        }
    }
}

impl From<CodeError> for Failure {
    fn from(error: CodeError) -> Self {
        Self::usage(error.to_string())
    }
}

/// The names that are most like this one.
fn similar<'a>(name: &str, names: &'a [String]) -> Vec<&'a str> {
    let likeness = |other: &&str| strsim::jaro_winkler(name, other);
    let mut alike: Vec<_> = names
        .iter()
        .map(String::as_str)
        .filter(|other| likeness(other) >= SIMILARITY_MIN)
        .collect();
    alike.sort_by(|one, other| likeness(other).total_cmp(&likeness(one)));
    alike.truncate(SIMILAR_MAX);
    alike
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_names_are_offered_best_first() {
        let names = ["hello", "echo", "matmul", "hello2"].map(str::to_owned);
        assert_eq!(similar("helo", &names), ["hello", "hello2"]);
        assert!(similar("zzz", &names).is_empty());
    }

    #[test]
    fn statuses_have_the_promised_codes() {
        for (status, exit) in [
            (400, Exit::Refused),
            (404, Exit::Refused),
            (405, Exit::Refused),
            (505, Exit::Refused),
            (200, Exit::Unexpected),
            (429, Exit::Overloaded),
            (500, Exit::Unexpected),
            (501, Exit::Refused),
            (502, Exit::ActionFailed),
            (503, Exit::Overloaded),
        ] {
            assert_eq!(exit_of(status), exit, "{status}");
        }
    }
}
