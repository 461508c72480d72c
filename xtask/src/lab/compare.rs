//! Two runs beside each other: a verdict for each figure.

use std::fmt;

use super::report::{Report, Row};

/// What became of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It improved by more than figures of its kind vary.
    Better,
    /// It did not change by more than that.
    Same,
    /// It became worse by more than that.
    Worse,
    /// The old run has no such figure.
    New,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Better => "better",
            Self::Same => "same",
            Self::Worse => "worse",
            Self::New => "new",
        })
    }
}

/// A figure, what it was, and the verdict.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison<'a> {
    /// The figure as it is.
    pub row: &'a Row,
    /// What it was.
    pub old: Option<f64>,
    /// What to think of it.
    pub verdict: Verdict,
}

impl Comparison<'_> {
    /// By what part of the old value it changed.
    #[must_use]
    pub fn change(&self) -> Option<f64> {
        self.old.filter(|old| *old != 0.0).map(|old| self.row.value / old - 1.0)
    }
}

/// Compares each figure of a run with the same one of an older run.
#[must_use]
pub fn compare<'a>(new: &'a Report, old: &Report) -> Vec<Comparison<'a>> {
    let compared = |row: &'a Row| {
        let before = old.rows.iter().find(|before| before.is_same_figure(row));
        let old = before.map(|before| before.value);
        Comparison { row, old, verdict: old.map_or(Verdict::New, |old| judge(row, old)) }
    };
    new.rows.iter().map(compared).collect()
}

/// What the few slowest requests take varies more than what most of them do, by this factor.
const TAIL_FACTOR: f64 = 3.0;
/// How figures about them are called.
const TAIL: &str = "p99";

fn judge(row: &Row, old: f64) -> Verdict {
    let factor = if row.figure.contains(TAIL) { TAIL_FACTOR } else { 1.0 };
    let allowed = factor * row.unit.tolerance() * old.abs();
    let gain = if row.unit.more_is_better() { row.value - old } else { old - row.value };
    match gain {
        gain if gain > allowed => Verdict::Better,
        gain if gain < -allowed => Verdict::Worse,
        _ => Verdict::Same,
    }
}

#[cfg(test)]
mod tests {
    use super::super::conditions::Conditions;
    use super::super::report::Unit;
    use super::*;

    fn report(rows: &[(&str, Unit, f64)]) -> Report {
        let mut report = Report::new(Conditions::default());
        report.rows.extend(rows.iter().map(|(figure, unit, value)| Row {
            suite: "s".to_owned(),
            subject: "hostkernel".to_owned(),
            figure: (*figure).to_owned(),
            at: None,
            unit: *unit,
            value: *value,
        }));
        report
    }

    #[test]
    fn each_kind_of_figure_has_its_direction_and_tolerance() {
        let old = report(&[
            ("a", Unit::Instructions, 1000.0),
            ("b", Unit::Instructions, 1000.0),
            ("c", Unit::PerSecond, 1000.0),
            ("d", Unit::PerSecond, 1000.0),
            ("e", Unit::Nanoseconds, 1000.0),
            ("f", Unit::Bytes, 0.0),
            ("p99.9", Unit::Nanoseconds, 1000.0),
        ]);
        let new = report(&[
            ("a", Unit::Instructions, 1031.0),
            ("b", Unit::Instructions, 1029.0),
            ("c", Unit::PerSecond, 1500.0),
            ("d", Unit::PerSecond, 700.0),
            ("e", Unit::Nanoseconds, 600.0),
            ("f", Unit::Bytes, 1.0),
            ("p99.9", Unit::Nanoseconds, 1800.0),
            ("g", Unit::Bytes, 1.0),
        ]);
        let verdicts: Vec<_> = compare(&new, &old).iter().map(|it| it.verdict).collect();
        use Verdict::{Better, New, Same, Worse};
        assert_eq!(verdicts, [Worse, Same, Better, Worse, Better, Worse, Same, New]);
        assert_eq!(compare(&new, &old)[2].change(), Some(0.5));
        assert_eq!(compare(&new, &old)[5].change(), None);
    }
}
