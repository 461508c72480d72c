//! What was measured, under which conditions: the file that `cargo xtask bench` writes.

use std::fmt;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::LabError;
use super::conditions::Conditions;

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Where, when, and by which command.
    pub conditions: Conditions,
    /// The figures.
    pub rows: Vec<Row>,
    /// Latencies in full.
    pub distributions: Vec<Distribution>,
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The suite that measured it.
    pub suite: String,
    /// Of whom it is: hostkernel or a peer.
    pub subject: String,
    /// What it is, or by what it grows.
    pub figure: String,
    /// How much there was of that by which it grows.
    pub at: Option<f64>,
    /// What is counted.
    pub unit: Unit,
    /// How many.
    pub value: f64,
}

/// The latencies of a subject: in nanoseconds, with the share of requests that took no longer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// Of whom they are.
    pub subject: String,
    /// Points of the curve, ascending.
    pub points: Vec<(f64, f64)>,
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Instructions of the guest.
    Instructions,
    /// Time.
    Nanoseconds,
    /// Answers in a second.
    PerSecond,
    /// Memory.
    Bytes,
    /// One figure divided by another.
    Ratio,
    /// Things that there is room for.
    Count,
}

impl Unit {
    /// Whether more of it is better.
    #[must_use]
    pub const fn more_is_better(self) -> bool {
        matches!(self, Self::PerSecond | Self::Count)
    }

    /// How much of it may change without a meaning, as a share: instructions and bytes repeat, time
    /// on a busy computer does not.
    #[must_use]
    pub const fn tolerance(self) -> f64 {
        match self {
            Self::Bytes | Self::Count => 0.02,
            Self::Instructions => 0.03,
            Self::PerSecond => 0.2,
            Self::Nanoseconds | Self::Ratio => 0.3,
        }
    }

    /// Its name on an axis.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Instructions => "instructions",
            Self::Nanoseconds => "nanoseconds",
            Self::PerSecond => "per second",
            Self::Bytes => "bytes",
            Self::Ratio => "ratio",
            Self::Count => "number",
        }
    }

    /// A value as people like to read it.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Instructions | Self::Count => grouped(value),
            Self::Nanoseconds if value >= 1e9 => format!("{:.2} s", value / 1e9),
            Self::Nanoseconds if value >= 1e6 => format!("{:.2} ms", value / 1e6),
            Self::Nanoseconds => format!("{:.1} us", value / 1e3),
            Self::PerSecond if value < 100.0 => format!("{value:.1} /s"),
            Self::PerSecond => format!("{} /s", grouped(value)),
            Self::Bytes if value < 10_240.0 => format!("{} B", grouped(value)),
            Self::Bytes => format!("{} KiB", grouped(value / 1024.0)),
            Self::Ratio => format!("{value:.3}"),
        }
    }
}

/// A rounded number with a comma at every thousand.
#[must_use]
pub fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let (sign, digits) = digits.strip_prefix('-').map_or(("", &*digits), |rest| ("-", rest));
    let mut text = sign.to_owned();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl Row {
    /// Whether two runs mean the same by it.
    #[must_use]
    pub fn is_same_figure(&self, other: &Self) -> bool {
        (&self.suite, &self.subject, &self.figure, self.unit)
            == (&other.suite, &other.subject, &other.figure, other.unit)
            && self.at == other.at
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.subject, self.figure)?;
        if let Some(at) = self.at {
            write!(f, " {}", grouped(at))?;
        }
        write!(f, ": {}", self.unit.show(self.value))
    }
}

impl Report {
    /// A report without figures.
    #[must_use]
    pub fn new(conditions: Conditions) -> Self {
        Self { conditions, rows: Vec::new(), distributions: Vec::new() }
    }

    /// The names of the suites that are in it, in order.
    #[must_use]
    pub fn suites(&self) -> Vec<&str> {
        let mut suites: Vec<_> = self.rows.iter().map(|row| &*row.suite).collect();
        suites.dedup();
        suites
    }

    /// The rows of one figure, in order.
    pub fn of<'a>(&'a self, suite: &'a str, figure: &'a str) -> impl Iterator<Item = &'a Row> {
        self.rows.iter().filter(move |row| row.suite == suite && row.figure == figure)
    }

    /// Reads a file that [`write`](Self::write) wrote.
    ///
    /// # Errors
    /// If it cannot be read or is something else.
    pub fn read(file: &Path) -> Result<Self, LabError> {
        let text = fs::read_to_string(file).map_err(LabError::file(file))?;
        serde_json::from_str(&text).map_err(|error| LabError::unusable(file, error))
    }

    /// Writes it as JSON, and the folder if there is none.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn write(&self, file: &Path) -> Result<(), LabError> {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).map_err(LabError::file(folder))?;
        }
        let text = serde_json::to_string_pretty(self);
        let text = text.map_err(|error| LabError::unusable(file, error))?;
        fs::write(file, text + "\n").map_err(LabError::file(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_well() {
        assert_eq!(grouped(0.4), "0");
        assert_eq!(grouped(1234.0), "1,234");
        assert_eq!(grouped(-123_456.0), "-123,456");
        assert_eq!(Unit::Nanoseconds.show(1_470_000.0), "1.47 ms");
        assert_eq!(Unit::PerSecond.show(2.34), "2.3 /s");
        assert_eq!(Unit::Bytes.show(45_056.0), "44 KiB");
    }

    #[test]
    fn a_report_survives_its_file() {
        let mut report = Report::new(Conditions::default());
        report.rows.push(Row {
            suite: "growth".to_owned(),
            subject: "hostkernel".to_owned(),
            figure: "deployed actions".to_owned(),
            at: Some(100.0),
            unit: Unit::Instructions,
            value: 25_000.5,
        });
        let points = vec![(1.5, 0.5), (2.0, 0.999)];
        report.distributions.push(Distribution { subject: "wasm".to_owned(), points });
        let file = std::env::temp_dir().join(format!("report-{}.json", std::process::id()));
        report.write(&file).expect("it can be written");
        assert_eq!(Report::read(&file).expect("it can be read"), report);
        std::fs::remove_file(&file).expect("it is ours");
        assert_eq!(report.suites(), ["growth"]);
        assert_eq!(report.rows[0].to_string(), "hostkernel, deployed actions 100: 25,000");
    }
}
