//! The order of modules within the crates that have one, and circles of files in all of them.
//!
//! A module may take names from those below it in its list, and from itself. A file belongs to the
//! longest entry that its path begins with. `docs/architecture.md` draws the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Findings;
use super::imports::{Crate, Import};

/// A crate whose modules have an order.
struct Ordered {
    /// Its `src`.
    root: &'static str,
    /// Modules, the lowest first.
    modules: &'static [&'static str],
}

const ORDERED: [Ordered; 2] = [
    Ordered {
        root: "hostkernel/node/src",
        modules: &[
            "calendar",
            "wall",
            "random",
            "trace",
            "traceparent",
            "digits",
            "slice",
            "document",
            "json",
            "mitigation",
            "http",
            "image",
            "registry",
            "dispatch",
            "call",
            "journal",
            "settings",
            "state",
            "net",
            "client",
            "store",
            "api/request",
            "api/answer",
            "api/lookup",
            "api/manage",
            "api/invoke",
            // A deploy may be an invocation.
            "api/manage/prepare",
            "api/manage/functions",
            "api/manage/runtimes",
            "api/manage/deploy",
            "api/manage/kept",
            "api/push",
            "api",
            "bundle",
            "serve",
            "lib",
        ],
    },
    Ordered {
        root: "hostkernel/src",
        modules: &[
            "platform",
            "handover",
            "arch",
            "device",
            "boot",
            "console",
            "crash",
            "entropy",
            "worker",
            "front",
            "selftest",
            "init",
            "boot/entry",
            "lib",
            "main",
        ],
    },
];

/// Circles that may be: files, and the reason.
const CIRCLES: [(&[&str], &str); 0] = [];

/// Applies both rules to the crates whose `src` folders are `roots`.
pub fn check(roots: &[PathBuf], files: &BTreeMap<PathBuf, String>, findings: &mut Findings) {
    for root in roots {
        let texts = files.iter().map(|(path, text)| (path.as_path(), text.as_str()));
        let imports = Crate::read(root, texts).imports();
        if let Some(ordered) = ORDERED.iter().find(|ordered| root == Path::new(ordered.root)) {
            order(ordered, &imports, files, findings);
        }
        circles(&imports, findings);
    }
}

fn order(
    ordered: &Ordered,
    imports: &[Import],
    files: &BTreeMap<PathBuf, String>,
    findings: &mut Findings,
) {
    for file in files.keys().filter(|file| file.starts_with(ordered.root)) {
        if ordered.position(file).is_none() {
            let message = "belongs to no layer of xtask/src/tidy/layers.rs";
            findings.violation(file, 0, message);
        }
    }
    for import in imports {
        if let (Some(from), Some(to)) =
            (ordered.position(&import.from), ordered.position(&import.to))
            && to > from
        {
            let [from, to] = [from, to].map(|position| ordered.modules[position]);
            let message = format!("upward import: `{from}` lies below `{to}`, see tidy/layers.rs");
            findings.violation(&import.from, import.line, message);
        }
    }
}

impl Ordered {
    /// Where in the list a file is.
    fn position(&self, file: &Path) -> Option<usize> {
        let inside = file.strip_prefix(self.root).ok()?.with_extension("");
        let matching = self.modules.iter().enumerate().filter(|(_, name)| inside.starts_with(name));
        matching.max_by_key(|(_, name)| name.len()).map(|(position, _)| position)
    }
}

/// Whether a file is a part of another: a module below the one that the other is. What a whole says
/// of its parts is no import: it is made of them, and they share its types.
fn is_part(file: &Path, whole: &Path) -> bool {
    let is_face = ["mod.rs", "lib.rs", "main.rs"].iter().any(|name| whole.ends_with(name));
    let folder = if is_face { whole.parent() } else { None };
    file.starts_with(folder.unwrap_or(&whole.with_extension("")))
}

/// Finds files that import each other in a circle.
fn circles(imports: &[Import], findings: &mut Findings) {
    let mut uses: BTreeMap<&Path, Vec<&Import>> = BTreeMap::new();
    for import in imports.iter().filter(|import| !is_part(&import.to, &import.from)) {
        uses.entry(&import.from).or_default().push(import);
    }
    let mut seen: Vec<Vec<&Path>> = Vec::new();
    for start in uses.keys() {
        if seen.iter().any(|circle| circle.contains(start)) {
            continue;
        }
        let forth = reachable(start, &uses);
        let mut circle: Vec<&Path> =
            forth.into_iter().filter(|file| reachable(file, &uses).contains(start)).collect();
        if circle.is_empty() {
            continue;
        }
        circle.sort();
        let is_known = CIRCLES.iter().any(|(known, _)| {
            circle.iter().all(|file| known.iter().any(|known| file.starts_with(known)))
        });
        if !is_known {
            let names: Vec<String> = circle.iter().map(|file| file.display().to_string()).collect();
            let message = format!("files import each other in a circle: {}", names.join(", "));
            let first = uses[start].iter().find(|import| circle.contains(&&*import.to));
            findings.violation(start, first.map_or(0, |import| import.line), message);
        }
        seen.push(circle);
    }
}

/// What a file uses, directly or by way of others.
fn reachable<'a>(start: &Path, uses: &BTreeMap<&'a Path, Vec<&'a Import>>) -> Vec<&'a Path> {
    let mut found: Vec<&Path> = Vec::new();
    let mut open: Vec<&Path> = vec![start];
    while let Some(file) = open.pop() {
        for import in uses.get(file).into_iter().flatten() {
            if !found.contains(&&*import.to) {
                found.push(&import.to);
                open.push(&import.to);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(files: &[(&str, &str)]) -> Vec<String> {
        let files: BTreeMap<PathBuf, String> =
            files.iter().map(|(path, text)| (path.into(), (*text).to_owned())).collect();
        let mut findings = Findings::default();
        check(&["hostkernel/node/src".into(), "x/src".into()], &files, &mut findings);
        findings.violations.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_planted_upward_import_is_found_with_file_line_and_rule() {
        let found = violations(&[
            ("hostkernel/node/src/lib.rs", "pub mod api;\npub mod registry;\n"),
            ("hostkernel/node/src/api/mod.rs", "use crate::registry::Action;\n"),
            ("hostkernel/node/src/registry/mod.rs", "//! x\n\nuse crate::{api::Reject};\n"),
        ]);
        let expected = "hostkernel/node/src/registry/mod.rs:3: upward import: `registry` lies \
                        below `api`, see tidy/layers.rs";
        assert!(found.contains(&expected.to_owned()), "{found:?}");
    }

    #[test]
    fn a_file_without_a_layer_is_found() {
        let found = violations(&[("hostkernel/node/src/attic.rs", "")]);
        assert!(found.len() == 1 && found[0].contains("belongs to no layer"), "{found:?}");
    }

    #[test]
    fn a_whole_and_its_parts_are_no_circle() {
        let files = [
            ("x/src/lib.rs", "mod a;\n"),
            ("x/src/a.rs", "mod b;\npub struct A;\nfn f() { b::g() }\n"),
            ("x/src/a/b.rs", "use super::A;\npub fn g() {}\n"),
        ];
        assert_eq!(violations(&files), [""; 0]);
    }

    #[test]
    fn a_circle_is_found_once() {
        let files = [
            ("x/src/lib.rs", "mod a;\nmod b;\nmod c;\nmod d;\n"),
            ("x/src/a.rs", "use crate::b::B;\n"),
            ("x/src/b.rs", "use crate::c::C;\n"),
            ("x/src/c.rs", "\nuse crate::a::A;\n"),
            ("x/src/d.rs", "use crate::a::A;\n"),
        ];
        let found = violations(&files);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("x/src/a.rs:1: ") && found[0].contains("c.rs"), "{found:?}");
        assert!(!found[0].contains("d.rs"));
    }
}
