//! The rules, one function each.

use std::path::Path;

use super::Findings;
use super::source::{self, Line, has_word};

/// Longest file, tests not counted; and the length at which to think about splitting it.
const FILE_LINES_MAX: usize = 800;
const FILE_LINES_WARNED: usize = 500;
/// Longest line of code, in characters.
const COLUMNS_MAX: usize = 100;
/// Longest README.
const README_LINES_MAX: usize = 150;

/// Where `unsafe` may stand: folders, or single files with the reason beside them.
const UNSAFE_ZONES: [&str; 13] = [
    "hostkernel/src/boot",
    "hostkernel/src/arch",
    "hostkernel/memory/src",
    "hostkernel/src/device",
    "action-abi/src/runtime",
    // Firmware's memory, and the way out of it.
    "boot/uefi/src",
    // Actions whose purpose is to misbehave.
    "images/faults",
    "images/storm",
    // Its entry point, and the calls of host images.
    "images/host-probe",
    // The program's memory, and what only the machine has: entry, native calls, allocator.
    "images/linux/src/memory/access.rs",
    "images/linux/src/machine",
    // Traces another process.
    "tests/linux-emulator/src",
    // A QEMU plugin is called from C.
    "tests/instruction-counter",
];

/// The roots of crates and modules that decide and compute, and must say that they cannot do more.
const SAFE_ROOTS: [&str; 11] = [
    "hostkernel/limits/src/lib.rs",
    "hostkernel/node/src/lib.rs",
    "hostkernel/src/console.rs",
    "hostkernel/src/crash.rs",
    "hostkernel/src/entropy.rs",
    "hostkernel/src/front.rs",
    "hostkernel/src/init.rs",
    "hostkernel/src/platform/mod.rs",
    "hostkernel/src/selftest/mod.rs",
    "hostkernel/src/worker/mod.rs",
    "images/linux/files/src/lib.rs",
];
const FORBID_UNSAFE: &str = "#![forbid(unsafe_code)]";

/// The kernel asks the processor through one file, which knows which leaves there are.
const KERNEL: &str = "hostkernel";
const CPUID: [&str; 2] = ["__cpuid", "__cpuid_count"];
const CPUID_FILE: &str = "arch/cpuid.rs";

/// What ends the kernel if somebody was wrong; so many there may be in a thousand lines of it.
const EXPECTATIONS: [&str; 2] = [".expect(", ".unwrap()"];
const EXPECTATIONS_MAX: usize = 1;
/// Folders and files of the kernel that only test it.
const TESTING: [&str; 2] = ["tests", "selftest"];

/// What must not stay in code.
const LEFT_BEHIND: [&str; 4] = ["todo!", "unimplemented!", "dbg!", "#[ignore"];
/// What must not stay in code or comments. Split, so that this file does not contain them.
const MARKS: [&str; 2] = [concat!("FIX", "ME"), concat!("X", "XX")];

/// Whether any rule is about this file.
pub fn has_rules(file: &Path) -> bool {
    let kind = file.extension().and_then(|kind| kind.to_str());
    matches!(kind, Some("rs" | "sh" | "ld" | "S")) || file.ends_with("README.md")
}

/// Applies the rules for one file.
pub fn file(file: &Path, text: &str, findings: &mut Findings) {
    if file.ends_with("README.md") {
        readme(file, text, findings);
        return;
    }
    columns(file, text, findings);
    if file.extension().is_some_and(|kind| kind == "rs") {
        let lines = source::lines(text);
        header(file, text, findings);
        size(file, &lines, findings);
        unsafe_zone(file, &lines, findings);
        raw_cpuid(file, &lines, findings);
        left_behind(file, &lines, findings);
    }
}

fn readme(file: &Path, text: &str, findings: &mut Findings) {
    let lines = text.lines().count();
    if lines > README_LINES_MAX {
        let message = format!("{lines} lines, at most {README_LINES_MAX}; move detail to docs/");
        findings.violation(file, 0, message);
    }
}

fn columns(file: &Path, text: &str, findings: &mut Findings) {
    for (index, line) in text.lines().enumerate() {
        let columns = line.chars().count();
        // An address cannot be broken.
        if columns > COLUMNS_MAX && !line.contains("://") {
            let message = format!("{columns} columns, at most {COLUMNS_MAX}");
            findings.violation(file, index + 1, message);
        }
    }
}

fn header(file: &Path, text: &str, findings: &mut Findings) {
    if !text.starts_with("//! ") {
        findings.violation(file, 1, "opens without `//!` and a line that says what the file is");
    }
}

fn size(file: &Path, lines: &[Line], findings: &mut Findings) {
    if file.ends_with("tests.rs") {
        return;
    }
    let lines = source::lines_without_tests(lines);
    if lines > FILE_LINES_MAX {
        let message = format!("{lines} lines without tests, at most {FILE_LINES_MAX}; split it");
        findings.violation(file, 0, message);
    } else if lines > FILE_LINES_WARNED {
        findings.warning(file, format!("{lines} lines without tests; think about splitting it"));
    }
}

fn unsafe_zone(file: &Path, lines: &[Line], findings: &mut Findings) {
    if UNSAFE_ZONES.iter().any(|zone| file.starts_with(zone)) {
        return;
    }
    for (index, line) in lines.iter().enumerate() {
        if has_word(&line.code, "unsafe") {
            let message = "`unsafe` outside the zones of xtask/src/tidy/rules.rs";
            findings.violation(file, index + 1, message);
        }
    }
}

fn raw_cpuid(file: &Path, lines: &[Line], findings: &mut Findings) {
    if !file.starts_with(KERNEL) || file.ends_with(CPUID_FILE) {
        return;
    }
    for (index, line) in lines.iter().enumerate() {
        if CPUID.iter().any(|word| has_word(&line.code, word)) {
            let message = "`cpuid` without a look at the highest leaf; use arch::cpuid";
            findings.violation(file, index + 1, message);
        }
    }
}

fn left_behind(file: &Path, lines: &[Line], findings: &mut Findings) {
    for (index, line) in lines.iter().enumerate() {
        for word in LEFT_BEHIND {
            let macro_of_another_name = |at: usize| {
                line.code[..at].ends_with(|letter: char| letter.is_alphanumeric() || letter == '_')
            };
            if line.code.find(word).is_some_and(|at| !macro_of_another_name(at)) {
                findings.violation(file, index + 1, format!("`{word}` must not stay"));
            }
        }
        for mark in MARKS {
            if has_word(&line.code, mark) || has_word(&line.comment, mark) {
                findings.violation(file, index + 1, format!("`{mark}` must not stay"));
            }
        }
    }
}

/// The kernel expects little of itself: what can fail is an error, not a crash.
pub fn expectations<'a>(texts: impl Iterator<Item = (&'a Path, &'a str)>, findings: &mut Findings) {
    let (mut lines, mut found) = (0, 0);
    for (_, text) in texts.filter(|(file, _)| is_kernel(file)) {
        let code = source::code_without_tests(&source::lines(text));
        lines += code.len();
        let in_line = |line: &String| -> usize {
            EXPECTATIONS.iter().map(|word| line.matches(word).count()).sum()
        };
        found += code.iter().map(in_line).sum::<usize>();
    }
    if found * 1000 > lines * EXPECTATIONS_MAX {
        let message = format!(
            "`expect` or `unwrap` {found} times in {lines} lines, at most {EXPECTATIONS_MAX} in \
             1000; return an error"
        );
        findings.violation(Path::new(KERNEL), 0, message);
    }
}

fn is_kernel(file: &Path) -> bool {
    let part = |name: &str| file.iter().any(|part| part == name);
    let is_test = file.to_str().is_some_and(|name| name.ends_with("tests.rs"));
    let is_code = file.extension().is_some_and(|kind| kind == "rs") && part("src");
    file.starts_with(KERNEL) && is_code && !is_test && !TESTING.iter().any(|name| part(name))
}

/// Every file of [`SAFE_ROOTS`] exists and forbids unsafe code.
pub fn safe_roots(read: impl Fn(&Path) -> Option<String>, findings: &mut Findings) {
    for root in SAFE_ROOTS.map(Path::new) {
        match read(root) {
            None => findings.violation(root, 0, "is on the list of safe roots and does not exist"),
            Some(text) if !text.lines().any(|line| line == FORBID_UNSAFE) => {
                findings.violation(root, 1, format!("lacks `{FORBID_UNSAFE}`"));
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(path: &str, text: &str) -> Vec<String> {
        let mut findings = Findings::default();
        file(Path::new(path), text, &mut findings);
        findings.violations.iter().map(ToString::to_string).collect()
    }

    #[track_caller]
    fn one(path: &str, text: &str, expected: &str) {
        let found = violations(path, text);
        assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    }

    #[test]
    fn a_good_file_has_no_findings() {
        let text = "//! Says \"unsafe\", not `unsafe`.\n\nfn f() {} // unsafe\n";
        assert!(violations("client/src/lib.rs", text).is_empty());
    }

    #[test]
    fn a_file_without_header_is_found() {
        one("a/src/b.rs", "fn f() {}\n", "opens without");
    }

    #[test]
    fn unsafe_is_found_outside_its_zones_only() {
        let text = "//! a\nunsafe fn f() {}\n";
        one("hostkernel/src/http/mod.rs", text, "http/mod.rs:2: `unsafe` outside");
        one("hostkernel/src/memory_of_mine.rs", text, "outside");
        assert!(violations("hostkernel/memory/src/frames.rs", text).is_empty());
        assert!(violations("images/faults/src/main.rs", text).is_empty());
    }

    #[test]
    fn the_processor_is_asked_in_one_file() {
        let text = "//! a\nfn f() { let _ = __cpuid_count(7, 0); }\n";
        one("hostkernel/src/arch/cpu.rs", text, "cpu.rs:2: `cpuid` without");
        assert!(violations("hostkernel/src/arch/cpuid.rs", text).is_empty());
        assert!(violations("images/faults/src/state.rs", text).is_empty());
    }

    #[test]
    fn a_long_file_is_found_and_its_tests_do_not_count() {
        let code = "fn f() {}\n".repeat(FILE_LINES_MAX);
        one("a.rs", &format!("//! a\n{code}"), "split it");
        let tests =
            format!("//! a\n#[cfg(test)]\nmod tests {{\n{}}}\n", code.replace("fn", "    fn"));
        assert!(violations("a.rs", &tests).is_empty());
        let mut findings = Findings::default();
        let warned = "fn f() {}\n".repeat(FILE_LINES_WARNED);
        file(Path::new("a.rs"), &format!("//! a\n{warned}"), &mut findings);
        assert_eq!((findings.violations.len(), findings.warnings.len()), (0, 1));
    }

    #[test]
    fn a_long_line_is_found() {
        one("a.sh", &"x".repeat(COLUMNS_MAX + 1), "columns");
        assert!(violations("a.sh", &"ä".repeat(COLUMNS_MAX)).is_empty());
    }

    #[test]
    fn a_kernel_that_expects_much_is_found() {
        let found = |path: &str, text: &str| {
            let mut findings = Findings::default();
            expectations([(Path::new(path), text)].into_iter(), &mut findings);
            findings.violations.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let code = "fn f() { g().expect(\"\"); }\n";
        let much = found("hostkernel/src/a.rs", &(code.to_owned() + &"fn h() {}\n".repeat(900)));
        assert!(much.len() == 1 && much[0].contains("1 times"), "{much:?}");
        let little = code.to_owned() + &"fn h() {}\n".repeat(1000);
        assert!(found("hostkernel/src/a.rs", &little).is_empty());
        for path in ["hostkernel/src/tests.rs", "hostkernel/src/selftest/a.rs", "client/src/a.rs"] {
            assert!(found(path, code).is_empty(), "{path}");
        }
    }

    #[test]
    fn what_must_not_stay_is_found() {
        for left in LEFT_BEHIND {
            one("a.rs", &format!("//! a\nfn f() {{ {left}() }}\n"), "must not stay");
            assert!(violations("a.rs", &format!("//! {left}\n")).is_empty());
        }
        for mark in MARKS {
            one("a.rs", &format!("//! a\n// {mark}: later\n"), "must not stay");
        }
        assert!(violations("a.rs", "//! a\nfn f() { my_todo!() }\n").is_empty());
    }

    #[test]
    fn a_long_readme_is_found() {
        one("README.md", &"x\n".repeat(README_LINES_MAX + 1), "move detail");
        assert!(violations("README.md", &"x\n".repeat(README_LINES_MAX)).is_empty());
    }

    #[test]
    fn safe_roots_must_exist_and_forbid_unsafe() {
        let found = |text: Option<&str>| {
            let mut findings = Findings::default();
            safe_roots(|_| text.map(str::to_owned), &mut findings);
            findings.violations.len()
        };
        assert_eq!(found(Some("//! a\n\n#![forbid(unsafe_code)]\n")), 0);
        assert_eq!(found(Some("//! a\n// #![forbid(unsafe_code)]\n")), SAFE_ROOTS.len());
        assert_eq!(found(None), SAFE_ROOTS.len());
    }
}
