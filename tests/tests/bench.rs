//! `cargo xtask bench`, as CI can afford it: a quick run on a node alone.

use std::fs;

use xtask::lab::{Report, Unit};
use xtask::{build, lifeline, workspace};

/// No `hello` is made with less or needs more, whatever the compiler does.
const PLAUSIBLE: std::ops::Range<f64> = 1000.0..1e6;

#[test]
fn a_quick_bench_writes_plausible_figures() {
    let folder = workspace::target().join(format!("tmp/bench-{}", std::process::id()));
    let file = folder.join("report.json");
    let mut command = build::cargo();
    command.args(["xtask", "bench", "--suite", "instructions", "--quick", "--no-peers"]);
    command.arg("--json").arg(&file).arg("--plots").arg(&folder);
    assert!(lifeline::status(command).expect("Cargo starts").success());

    let report = Report::read(&file).expect("a report");
    assert!(report.conditions.command.contains("--suite instructions --quick --no-peers"));
    assert!(report.conditions.qemu.contains("QEMU"), "{}", report.conditions.qemu);
    let cores: Vec<_> = report.of("instructions", "a request, by cores").collect();
    assert_eq!(cores.iter().filter_map(|row| row.at).collect::<Vec<_>>(), [1.0, 2.0, 4.0]);
    for row in &report.rows {
        assert!(row.unit == Unit::Instructions && PLAUSIBLE.contains(&row.value), "{row}");
    }
    let value = |figure| {
        let row = report.of("instructions", figure).next();
        row.unwrap_or_else(|| panic!("no figure `{figure}`")).value
    };
    assert!(value("without network") < value("a request"));
    assert!(value("a request, programs only") < value("without network"));
    let picture = fs::read_to_string(folder.join("instructions-a-request,-by-cores.svg"));
    assert!(picture.expect("a picture").contains("<svg"));
    fs::remove_dir_all(&folder).expect("it is ours");
}
