//! Running the attack table: every case, with a line for each, and a good invocation behind it.

use std::io;

use serde_json::{Value, json};
use system_tests::{ACTIONS, AUTHORIZATION, Connection, TestNode, request};

use crate::matches;
use crate::table::Line;

/// The action that misbehaves, unless a case says otherwise.
pub const FAULTS: &str = "faults";
/// Another action with the same code.
pub const OTHERS: &str = "others";
/// The same code once more, with the shortest run time.
pub const BRIEF: &str = "brief";

/// What is printed of an outcome.
const OUTCOME_LEN_SHOWN: usize = 120;

/// One way to misbehave and how it may end.
#[derive(Clone)]
pub struct Case {
    name: String,
    /// Actions and their inputs. All but the last only prepare.
    steps: Vec<(&'static str, Value)>,
    /// Patterns of the outcome; more than one where processors and emulators differ.
    ways: Vec<String>,
}

impl Case {
    /// An invocation of [`FAULTS`] with this input.
    pub fn new(name: impl Into<String>, input: Value, ways: &[&str]) -> Self {
        let ways = ways.iter().map(|way| (*way).to_owned()).collect();
        Self { name: name.into(), steps: vec![(FAULTS, input)], ways }
    }

    /// A kind without parameters.
    pub fn kind(kind: &str, ways: &[&str]) -> Self {
        Self::new(kind, json!({ "kind": kind }), ways)
    }

    /// The same by another action.
    pub fn by(mut self, action: &'static str) -> Self {
        if let Some((last, _)) = self.steps.last_mut() {
            *last = action;
        }
        self
    }

    /// Right after another invocation of [`FAULTS`].
    pub fn after(mut self, input: Value) -> Self {
        self.steps.insert(0, (FAULTS, input));
        self
    }

    /// With other outcomes, if it is the one of that name.
    pub fn otherwise(self, (name, ways): &Line) -> Self {
        if self.name != *name {
            return self;
        }
        Self { ways: ways.iter().map(|way| (*way).to_owned()).collect(), ..self }
    }

    /// The kinds it is made of.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|(_, input)| input["kind"].as_str())
    }

    /// Runs it and then a good invocation. All requests are sent at once on one connection, so that
    /// they run in this order with nothing in between.
    ///
    /// # Panics
    /// If the node stops answering.
    fn run(&self, connection: &mut Connection) -> Result<String, String> {
        let mut requests = Vec::new();
        for (action, input) in &self.steps {
            let target = format!("{ACTIONS}/{action}?blocking=true");
            let body = input.to_string();
            requests.extend(request("POST", &target, &[AUTHORIZATION], body.as_bytes()));
        }
        requests.extend(request("POST", "/function/hello", &[], br#"{"name":"next"}"#));
        connection.send(&requests).unwrap_or_else(|error| self.lost(&error));
        let mut answers = Vec::new();
        for _ in 0..=self.steps.len() {
            answers.push(connection.receive().unwrap_or_else(|error| self.lost(&error)));
        }
        let greeting = answers.pop().map(|answer| answer.text()).unwrap_or_default();
        let outcome = answers.pop().map(|answer| outcome(&answer.json())).unwrap_or_default();
        if greeting != r#"{"greeting":"Hello, next!"}"# {
            return Err(format!("{outcome}, and then hello answers {greeting}"));
        }
        if self.ways.iter().any(|way| matches(way, &outcome)) {
            return Ok(outcome);
        }
        Err(format!("{outcome}; expected {}", self.ways.join(", or ")))
    }

    fn lost(&self, error: &io::Error) -> ! {
        panic!("{}: the node stopped answering: {error}", self.name)
    }
}

/// What became of an invocation: the reason for which it failed, or its result as JSON.
fn outcome(activation: &Value) -> String {
    let result = &activation["response"]["result"];
    match activation["response"]["status"].as_str() {
        Some("action developer error") => result["error"].as_str().unwrap_or_default().to_owned(),
        Some("success") => result.to_string(),
        _ => activation.to_string(),
    }
}

/// An outcome on one line; some quote what an action returned.
fn shown(outcome: &str) -> String {
    let printable = |letter: char| if letter.is_control() { '.' } else { letter };
    outcome.chars().take(OUTCOME_LEN_SHOWN).map(printable).collect()
}

/// What came of the cases so far.
#[derive(Default)]
pub struct Tally {
    passed: u32,
    /// A line for each that did not end as it should.
    failures: Vec<String>,
}

impl Tally {
    /// Runs sections of the table and prints a line for each case.
    ///
    /// # Panics
    /// If the node stops answering.
    pub fn run(&mut self, node: &TestNode, sections: &[(&str, Vec<Case>)]) {
        let mut connection = node.established();
        for (section, cases) in sections {
            println!("\n{section}");
            for case in cases {
                match case.run(&mut connection) {
                    Ok(outcome) => {
                        self.passed += 1;
                        println!("ok    {:44} {}", case.name, shown(&outcome));
                    }
                    Err(difference) => {
                        println!("FAIL  {:44} {difference}", case.name);
                        self.failures.push(format!("{}: {difference}", case.name));
                    }
                }
            }
        }
    }

    /// Prints the summary, which `cargo xtask test isolation` reads.
    ///
    /// # Panics
    /// If a case did not end as it should.
    pub fn finish(self) {
        println!("\nattacks: {} passed, {} failed", self.passed, self.failures.len());
        let failures = self.failures.join("\n");
        assert!(failures.is_empty(), "not every attack ended as it should:\n{failures}");
    }
}
