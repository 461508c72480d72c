//! The figures as pictures.
//!
//! Axes are logarithmic wherever peers differ by orders of magnitude. A logarithm has no zero, so
//! what is at 0 is drawn at 1.

mod bars;
mod chart;

use std::fs;
use std::path::{Path, PathBuf};

use plotters::prelude::*;

use self::bars::bars;
use self::chart::{Line, Scale, Words, chart};
use super::LabError;
use super::report::{Report, Row, Unit, grouped};

const SIZE: (u32, u32) = (900, 540);
const FONT: (&str, u32) = ("sans-serif", 15);
const TITLE_FONT: (&str, u32) = ("sans-serif", 20);
const MARGIN: i32 = 18;
const LABEL_AREA: u32 = 84;
/// Colours that stay apart for most eyes, by Okabe and Ito.
const COLOURS: [RGBColor; 8] = [
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(0, 0, 0),
    RGBColor(128, 128, 128),
];

/// A drawing that cannot be made; the backend writes to memory, so this does not happen.
type Failure = Box<dyn std::error::Error>;

/// Draws what a report has, and returns the files.
///
/// # Errors
/// If one cannot be written.
pub fn write(report: &Report, folder: &Path) -> Result<Vec<PathBuf>, LabError> {
    fs::create_dir_all(folder).map_err(LabError::file(folder))?;
    let mut files = Vec::new();
    for (name, svg) in draw(report).map_err(|error| LabError::unusable(folder, error))? {
        let file = folder.join(format!("{}.svg", name.replace(' ', "-")));
        fs::write(&file, svg).map_err(LabError::file(&file))?;
        files.push(file);
    }
    Ok(files)
}

/// The pictures with their names.
fn draw(report: &Report) -> Result<Vec<(String, String)>, Failure> {
    let mut pictures = Vec::new();
    if !report.distributions.is_empty() {
        pictures.push(("latency".to_owned(), distributions(report)?));
    }
    let mut drawn: Vec<(&str, &str)> = Vec::new();
    for row in report.rows.iter().filter(|row| row.at.is_some()) {
        let key = (&*row.suite, &*row.figure);
        let rows: Vec<_> = report.of(key.0, key.1).collect();
        let is_curve = rows.iter().any(|other| other.at != row.at);
        if !drawn.contains(&key) && is_curve {
            drawn.push(key);
            pictures.push((format!("{} {}", key.0, key.1), curve(&rows)?));
        }
    }
    let greetings = greetings(report);
    if greetings.len() > 1 {
        pictures.push(("hello".to_owned(), bars(&greetings)?));
    }
    Ok(pictures)
}

/// Latency and throughput of each subject that has both: the first picture of the paper.
fn greetings(report: &Report) -> Vec<(&str, f64, f64)> {
    let mut greetings: Vec<(&str, f64, f64)> = Vec::new();
    for row in report.of("latency", "p50").filter(|row| row.subject != "constant") {
        let rates = report.of("throughput", "connections");
        let rates = rates.filter(|rate| rate.subject == row.subject).map(|rate| rate.value);
        if let Some(best) = rates.max_by(f64::total_cmp) {
            greetings.push((&row.subject, row.value, best));
        }
    }
    greetings.sort_by(|one, other| one.1.total_cmp(&other.1));
    greetings
}

fn distributions(report: &Report) -> Result<String, Failure> {
    let to_ms = |(ns, share): &(f64, f64)| (ns / 1e6, share * 100.0);
    let lines = report.distributions.iter().map(|distribution| Line {
        name: &distribution.subject,
        points: distribution.points.iter().map(to_ms).collect(),
    });
    let words = Words {
        title: "Latency, one request at a time".to_owned(),
        x: "milliseconds".to_owned(),
        y: "percent of requests that took no longer".to_owned(),
    };
    chart(&words, &lines.collect::<Vec<_>>(), Scale::Linear)
}

/// How a figure changes with what it grows by, a line for each subject.
fn curve(rows: &[&Row]) -> Result<String, Failure> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    for row in rows {
        let point = (row.at.unwrap_or_default().max(1.0), row.value);
        match lines.iter_mut().find(|line| line.name == row.subject) {
            Some(line) => line.points.push(point),
            None => lines.push(Line { name: &row.subject, points: vec![point] }),
        }
    }
    let unit = rows.first().map_or(Unit::Ratio, |row| row.unit);
    let name = rows.first().map_or_else(String::new, |row| row.figure.clone());
    let y = match unit {
        Unit::Instructions => "guest instructions for an invocation".to_owned(),
        unit => unit.name().to_owned(),
    };
    let words = Words { title: format!("{y}, by {name}"), x: name, y };
    chart(&words, &lines, Scale::Logarithmic)
}

/// A short number for an axis.
fn number(value: f64) -> String {
    match value {
        value if value >= 100.0 => grouped(value),
        value if value >= 10.0 => trimmed(format!("{value:.1}")),
        value if value >= 1.0 => trimmed(format!("{value:.2}")),
        value => trimmed(format!("{value:.3}")),
    }
}

fn trimmed(text: String) -> String {
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::conditions::Conditions;
    use super::super::report::Distribution;
    use super::*;

    fn row(suite: &str, subject: &str, figure: &str, at: Option<f64>, value: f64) -> Row {
        let unit = if at.is_some() { Unit::PerSecond } else { Unit::Nanoseconds };
        let [suite, subject, figure] = [suite, subject, figure].map(str::to_owned);
        Row { suite, subject, figure, at, unit, value }
    }

    #[test]
    fn a_report_becomes_its_pictures() {
        let mut report = Report::new(Conditions::default());
        for (subject, scale) in [("hostkernel", 1.0), ("process", 10.0)] {
            let points = (1..=9).map(|tenth| (f64::from(tenth) * scale * 1e5, 0.1));
            let subject_name = subject.to_owned();
            report
                .distributions
                .push(Distribution { subject: subject_name, points: points.collect() });
            report.rows.push(row("latency", subject, "p50", None, 1e6 * scale));
            for at in [0.0, 8.0] {
                report.rows.push(row("throughput", subject, "connections", Some(at), 9e3 / scale));
            }
        }
        let pictures = draw(&report).expect("they can be drawn");
        let names: Vec<_> = pictures.iter().map(|picture| &*picture.0).collect();
        assert_eq!(names, ["latency", "throughput connections", "hello"]);
        for (name, svg) in pictures {
            assert!(svg.contains("hostkernel") && svg.trim_end().ends_with("</svg>"), "{name}");
            assert!(!svg.contains("NaN"), "{name}");
        }
    }

    #[test]
    fn a_report_without_figures_has_no_pictures() {
        assert!(draw(&Report::new(Conditions::default())).expect("nothing to do").is_empty());
    }

    #[test]
    fn numbers_on_axes_are_short() {
        let shown = [0.05, 1.0, 2.5, 40.0, 25_000.0].map(number);
        assert_eq!(shown, ["0.05", "1", "2.5", "40", "25,000"]);
    }
}
