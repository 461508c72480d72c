//! The figures as text: a table for each suite.

use comfy_table::{CellAlignment, Table, presets};

use super::compare::Comparison;
use super::report::{Report, Row, grouped};

/// All suites of a report, with figures side by side that differ in their subject only.
#[must_use]
pub fn report(report: &Report) -> String {
    let mut text = String::new();
    for suite in report.suites() {
        let rows: Vec<_> = report.rows.iter().filter(|row| row.suite == suite).collect();
        text.push_str(&format!("\n{suite}\n{}\n", matrix(&rows)));
    }
    text
}

/// Lines are figures, columns are subjects.
fn matrix(rows: &[&Row]) -> Table {
    let mut subjects: Vec<&str> = Vec::new();
    let mut figures: Vec<(&str, Option<f64>)> = Vec::new();
    for row in rows {
        if !subjects.contains(&&*row.subject) {
            subjects.push(&row.subject);
        }
        if !figures.contains(&(&*row.figure, row.at)) {
            figures.push((&row.figure, row.at));
        }
    }
    let mut table = plain([&["", ""], &*subjects].concat());
    for (figure, at) in figures {
        let mut cells = vec![figure.to_owned(), at.map(grouped).unwrap_or_default()];
        cells.extend(subjects.iter().map(|subject| {
            let has = |row: &&&Row| (&*row.subject, &*row.figure, row.at) == (subject, figure, at);
            rows.iter().find(has).map(|row| row.unit.show(row.value)).unwrap_or_default()
        }));
        table.add_row(cells);
    }
    table
}

/// Two runs beside each other, a line for each figure.
#[must_use]
pub fn comparison(comparisons: &[Comparison<'_>]) -> String {
    let heads = ["", "", "", "", "old", "new", "change", "verdict"];
    let mut table = plain(heads.to_vec());
    for comparison in comparisons {
        let row = comparison.row;
        let old = comparison.old.map(|old| row.unit.show(old)).unwrap_or_default();
        let change = comparison.change().map(|change| format!("{:+.1} %", change * 100.0));
        table.add_row([
            row.suite.clone(),
            row.subject.clone(),
            row.figure.clone(),
            row.at.map(grouped).unwrap_or_default(),
            old,
            row.unit.show(row.value),
            change.unwrap_or_default(),
            comparison.verdict.to_string(),
        ]);
    }
    table.to_string()
}

/// A table that reads well in a terminal and in a file: figures to the right, no lines between.
fn plain(heads: Vec<&str>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_BORDERS_ONLY_CONDENSED).set_header(heads);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::compare::compare;
    use super::super::conditions::Conditions;
    use super::super::report::Unit;
    use super::*;

    #[test]
    fn subjects_stand_side_by_side() {
        let mut measured = Report::new(Conditions::default());
        for (subject, value) in [("hostkernel", 25_000.0), ("process", 250_000.0)] {
            measured.rows.push(Row {
                suite: "instructions".to_owned(),
                subject: subject.to_owned(),
                figure: "cores".to_owned(),
                at: Some(1.0),
                unit: Unit::Instructions,
                value,
            });
        }
        let text = report(&measured);
        let line = text.lines().find(|line| line.contains("cores")).expect("a line");
        assert!(line.contains("25,000") && line.contains("250,000"), "{text}");
        let text = comparison(&compare(&measured, &measured));
        assert_eq!(text.matches("same").count(), 2, "{text}");
        assert!(text.contains("+0.0 %"), "{text}");
    }
}
