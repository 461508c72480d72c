//! Files, directories and names, by scripts and at random.

use proptest::prelude::*;

use crate::operation::{Operation, compare};
use crate::script::{flags, parse};

/// One script a line. Each begins in an empty directory.
const SCRIPTS: &str = include_str!("scripts.txt");

fn scripts() -> impl Iterator<Item = (usize, &'static str)> {
    let lines = SCRIPTS.lines().enumerate();
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

fn all_agree() {
    let mut failures = Vec::new();
    let mut count = 0;
    for (line, script) in scripts() {
        count += 1;
        if let Err(difference) = compare(&parse(script)) {
            failures.push(format!("line {}: {script}\n{difference}\n", line + 1));
        }
    }
    assert!(count > 100, "the scripts were read");
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_script_answers_as_linux_does() {
    all_agree();
}

/// Root may do nearly everything; so the scripts run as somebody else too, if they can.
#[test]
fn every_script_answers_as_linux_does_for_nobody() {
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65_534;
    if !rustix::process::geteuid().is_root() {
        return all_agree();
    }
    // The program may stand where nobody may go: it is started by its open file.
    let program = std::fs::File::open(std::env::current_exe().expect("it runs"));
    let program = program.expect("it can be read");
    let inherited = rustix::io::dup(&program).expect("there is room");
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&inherited));
    let mut command = std::process::Command::new(path);
    command.args(["--exact", "files::every_script_answers_as_linux_does"]).uid(NOBODY).gid(NOBODY);
    command.current_dir("/");
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = {
        let _alone = crate::calls::SPAWNING.write();
        command.spawn().expect("it starts")
    };
    let output = child.wait_with_output().expect("it was started");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}

/// Short names that collide often, and ways to write them that matter.
fn some_path() -> impl Strategy<Value = String> {
    let name = || prop_oneof![Just("a"), Just("b"), Just("d"), Just("e"), Just("l")];
    prop_oneof![
        4 => name().prop_map(str::to_owned),
        4 => (name(), name()).prop_map(|(one, other)| format!("{one}/{other}")),
        1 => (name(), name(), name()).prop_map(|(a, b, c)| format!("{a}/{b}/{c}")),
        1 => name().prop_map(|name| format!("{name}/")),
        1 => (name(), name()).prop_map(|(one, other)| format!("{one}/../{other}")),
        1 => name().prop_map(|name| format!("{name}/.")),
        1 => Just(".".to_owned()),
    ]
}

/// Links stay inside the test's directory.
fn some_target() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => some_path(),
        1 => Just("a/b/".to_owned()),
        1 => Just("l/l".to_owned()),
    ]
}

fn some_flags() -> impl Strategy<Value = u32> {
    let letters =
        ["r", "w", "b", "wc", "bc", "bct", "wcx", "wca", "rd", "rn", "p", "wt", "rc", "rt", "pdn"];
    proptest::sample::select(letters.to_vec()).prop_map(flags)
}

fn some_operation() -> impl Strategy<Value = Operation> {
    use Operation as Op;
    let slot = || 0..4_usize;
    let mode =
        || prop_oneof![8 => Just(0o755_u32), 1 => Just(0o500), 1 => Just(0), 1 => Just(0o7777)];
    let bytes = || (0..9000_usize, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]);
    let place = || prop_oneof![0..20_000_u64, Just(4096), Just(8191)];
    let maybe = || proptest::option::of(0..10_000_u64);
    prop_oneof![
        6 => (proptest::option::weighted(0.2, slot()), some_path(), some_flags(), mode())
            .prop_map(|(at, path, flags, mode)| Op::Open { at, path, flags, mode }),
        2 => slot().prop_map(Op::Close),
        2 => (slot(), 0..9000_usize).prop_map(|(slot, len)| Op::Read(slot, len)),
        4 => (slot(), bytes()).prop_map(|(slot, bytes)| Op::Write(slot, bytes)),
        2 => (slot(), 0..9000_usize, place()).prop_map(|(slot, len, at)| Op::ReadAt(slot, len, at)),
        2 => (slot(), bytes(), place()).prop_map(|(slot, bytes, at)| Op::WriteAt(slot, bytes, at)),
        // Holes are left to the scripts: what was allocated and not written is one for Linux, and
        // is none here.
        2 => (slot(), 0..3_u32, -100..20_000_i64).prop_map(|(slot, whence, offset)| {
            Op::Seek(slot, whence, if whence == 0 { offset.abs() } else { offset })
        }),
        2 => (slot(), place()).prop_map(|(slot, len)| Op::Truncate(slot, len)),
        1 => (slot(), any::<bool>(), place(), 1..9000_u64)
            .prop_map(|(slot, keep, offset, len)| Op::Allocate { slot, keep, offset, len }),
        2 => slot().prop_map(Op::StatSlot),
        1 => slot().prop_map(Op::Duplicate),
        1 => (slot(), slot(), maybe(), 0..9000_usize)
            .prop_map(|(to, from, offset, len)| Op::Send { to, from, offset, len }),
        1 => (slot(), maybe(), slot(), maybe(), 0..9000_usize)
            .prop_map(|(f, fo, t, to, len)| Op::Copy { from: (f, fo), to: (t, to), len }),
        1 => slot().prop_map(Op::ListSlot),
        6 => (some_path(), mode()).prop_map(|(path, mode)| Op::Mkdir(path, mode)),
        2 => some_path().prop_map(Op::Rmdir),
        2 => some_path().prop_map(Op::Unlink),
        5 => (some_path(), some_path(), prop_oneof![4 => Just(0), 1 => Just(1), 2 => Just(2)])
            .prop_map(|(from, to, flags)| Op::Rename { from, to, flags }),
        2 => (some_path(), some_path(), any::<bool>())
            .prop_map(|(from, to, follow)| Op::Link { from, to, follow }),
        3 => (some_target(), some_path())
            .prop_map(|(target, path)| Op::Symlink { target, path }),
        1 => some_path().prop_map(Op::Readlink),
        3 => (some_path(), any::<bool>()).prop_map(|(path, follow)| Op::Stat { path, follow }),
        1 => (some_path(), 0..8_u32).prop_map(|(path, mode)| Op::Access { path, mode }),
        1 => (some_path(), mode()).prop_map(|(path, mode)| Op::Chmod(path, mode)),
        3 => some_path().prop_map(Op::List),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_is_what_happens_on_tmpfs(
        operations in proptest::collection::vec(some_operation(), 1..60)
    ) {
        if let Err(difference) = compare(&operations) {
            return Err(TestCaseError::fail(difference));
        }
    }
}
