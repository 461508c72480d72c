//! Where suites put their figures; each is shown at once, for a whole run is long.

use xtask::lab::conditions::Conditions;
use xtask::lab::report::Distribution;
use xtask::lab::{Count, Report, Row, Unit};

use crate::progress::say;

/// A report in the making.
pub struct Recorder {
    report: Report,
    suite: String,
}

/// Of whom a figure is, and what it is.
#[derive(Clone, Copy, Debug)]
pub struct Figure<'a> {
    /// hostkernel or a peer.
    pub subject: &'a str,
    /// What it is, or by what it grows.
    pub name: &'a str,
    /// How much there is of that.
    pub at: Option<f64>,
}

impl<'a> Figure<'a> {
    /// A figure that stands by itself.
    pub fn new(subject: &'a str, name: &'a str) -> Self {
        Self { subject, name, at: None }
    }

    /// A point of a curve.
    pub fn at(self, at: impl Into<f64>) -> Self {
        Self { at: Some(at.into()), ..self }
    }
}

impl Recorder {
    pub fn new(conditions: Conditions) -> Self {
        Self { report: Report::new(conditions), suite: String::new() }
    }

    /// Announces a suite.
    pub fn begin(&mut self, suite: &str) {
        say(&format!("Suite {suite}"));
        suite.clone_into(&mut self.suite);
    }

    /// Keeps a figure.
    pub fn add(&mut self, figure: Figure<'_>, unit: Unit, value: f64) {
        let row = Row {
            suite: self.suite.clone(),
            subject: figure.subject.to_owned(),
            figure: figure.name.to_owned(),
            at: figure.at,
            unit,
            value,
        };
        say(&format!("  {row}"));
        self.report.rows.push(row);
    }

    /// Keeps instructions, and how many of them are the programs'.
    pub fn add_count(&mut self, figure: Figure<'_>, count: Count) {
        self.add(figure, Unit::Instructions, count.all);
        let name = format!("{}, programs only", figure.name);
        self.add(Figure { name: &name, ..figure }, Unit::Instructions, count.programs);
    }

    /// Keeps the latencies of a subject in full.
    pub fn add_distribution(&mut self, subject: &str, points: Vec<(f64, f64)>) {
        let subject = subject.to_owned();
        self.report.distributions.push(Distribution { subject, points });
    }

    /// The report.
    pub fn finish(mut self) -> Report {
        self.report.conditions.finish();
        self.report
    }
}
