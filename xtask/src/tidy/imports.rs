//! Which file of a crate takes names from which: paths that begin with `crate`, `super`, `self` or
//! a module declared in the file, in `use` declarations and anywhere else in code.
//!
//! Tests are left out: they may look at anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::source;

/// A module's path within its crate.
pub type Module = Vec<String>;

/// One file's use of another one of its crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Who takes.
    pub from: PathBuf,
    /// In which line.
    pub line: usize,
    /// From whom.
    pub to: PathBuf,
}

/// The files of one crate.
#[derive(Debug)]
pub struct Crate {
    files: BTreeMap<Module, File>,
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    code: Vec<String>,
    /// Modules the file declares, and names it hands on from them.
    children: BTreeSet<String>,
    handed_on: BTreeMap<String, String>,
}

impl Crate {
    /// Reads the files below `root`, which is a crate's `src`; paths are relative to the workspace.
    #[must_use]
    pub fn read<'a>(root: &Path, files: impl Iterator<Item = (&'a Path, &'a str)>) -> Self {
        let mut modules: BTreeMap<Module, File> = BTreeMap::new();
        for (path, text) in files {
            let Ok(inside) = path.strip_prefix(root) else { continue };
            let Some(module) = module_of(inside) else { continue };
            let mut file = File::read(path, text);
            // A library and a program in one folder see each other's modules here.
            if let Some(other) = modules.remove(&module) {
                file.join(other);
            }
            modules.insert(module, file);
        }
        Self { files: modules }
    }

    /// Every use of one file by another.
    #[must_use]
    pub fn imports(&self) -> Vec<Import> {
        let mut imports = Vec::new();
        for (module, file) in &self.files {
            for (line, path) in file.paths() {
                let Some(to) = self.resolve(module, &path) else { continue };
                if to != file.path {
                    imports.push(Import { from: file.path.clone(), line, to: to.to_path_buf() });
                }
            }
        }
        imports
    }

    /// The file in which what a path names is defined, as far as modules tell.
    fn resolve(&self, from: &[String], path: &[String]) -> Option<&Path> {
        let mut module = from.to_vec();
        let mut rest = path;
        while let [first, after @ ..] = rest {
            match first.as_str() {
                "crate" => module.clear(),
                "super" => {
                    module.pop()?;
                }
                "self" => {}
                _ => break,
            }
            rest = after;
        }
        let mut file = self.files.get(&module)?;
        for name in rest {
            let next = if file.children.contains(name) {
                Some(name)
            } else {
                file.handed_on.get(name).filter(|child| file.children.contains(*child))
            };
            let Some(next) = next else { break };
            module.push(next.clone());
            // A module without a file of its own is part of the one that declares it.
            let Some(inner) = self.files.get(&module) else { break };
            file = inner;
        }
        Some(&file.path)
    }
}

impl File {
    fn read(path: &Path, text: &str) -> Self {
        let code = source::code_without_tests(&source::lines(text));
        let mut file = Self {
            path: path.to_path_buf(),
            children: code.iter().filter_map(|line| declared_module(line)).collect(),
            handed_on: BTreeMap::new(),
            code,
        };
        for (_, path) in file.paths() {
            if let [first, .., last] = path.as_slice()
                && file.children.contains(first)
            {
                file.handed_on.insert(last.clone(), first.clone());
            }
        }
        file
    }

    fn join(&mut self, other: Self) {
        self.children.extend(other.children);
        self.handed_on.extend(other.handed_on);
    }

    /// Every path that leads somewhere within the crate, with its line.
    fn paths(&self) -> Vec<(usize, Vec<String>)> {
        let text = self.code.join("\n");
        let mut paths = Vec::new();
        let mut at = 0;
        while let Some(word) = next_word(&text, at) {
            at = word.end;
            let name = &text[word.clone()];
            let is_head =
                matches!(name, "crate" | "super" | "self") || self.children.contains(name);
            let before = text[..word.start].trim_end();
            let is_inside = before.ends_with("::") || before.ends_with('$');
            let is_visibility = before.ends_with("pub(in");
            if is_head && !is_inside && !is_visibility && text[at..].starts_with("::") {
                let line = text[..word.start].matches('\n').count() + 1;
                let mut found = Vec::new();
                at = tree(&text, word.start, &mut Vec::new(), &mut found);
                paths.extend(found.into_iter().map(|path| (line, path)));
            }
        }
        paths
    }
}

/// The module that a file below a crate's `src` is; `None` for tests.
fn module_of(inside: &Path) -> Option<Module> {
    let mut module: Module =
        inside.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    // Programs beside a library are crates of their own.
    if module.iter().any(|part| part == "tests") || module.first().is_some_and(|part| part == "bin")
    {
        return None;
    }
    if matches!(module.last()?.as_str(), "lib" | "main" | "mod") {
        module.pop();
    }
    Some(module)
}

/// The name in `mod NAME;`, whatever its visibility.
fn declared_module(line: &str) -> Option<String> {
    let (before, name) = line.trim().strip_suffix(';')?.rsplit_once("mod ")?;
    let is_declaration = before.trim().is_empty() || before.trim_start().starts_with("pub");
    is_declaration.then(|| name.trim().to_owned())
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The next identifier from `at` on.
fn next_word(text: &str, at: usize) -> Option<std::ops::Range<usize>> {
    let start = at + text[at..].find(is_word)?;
    let len = text[start..].find(|letter| !is_word(letter)).unwrap_or(text.len() - start);
    Some(start..start + len)
}

/// Reads a path, or a tree of them in braces, into `found`. Returns where it ends.
fn tree(text: &str, mut at: usize, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let depth = path.len();
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        if text[at..].starts_with('{') {
            at += 1;
            while let Some(next) = text[at..].find(|letter: char| !letter.is_whitespace()) {
                at += next;
                match text.as_bytes()[at] {
                    b'}' => {
                        at += 1;
                        break;
                    }
                    b',' => at += 1,
                    _ => {
                        let end = tree(text, at, path, found);
                        // What is neither a word nor a brace ends nothing: `*`, `as`, a lifetime.
                        at = if end > at { end } else { at + 1 };
                    }
                }
            }
            path.truncate(depth);
            return at;
        }
        match next_word(text, at) {
            Some(word) if word.start == at => {
                path.push(text[word.clone()].to_owned());
                at = word.end;
            }
            _ => break,
        }
        if !text[at..].starts_with("::") {
            break;
        }
        at += 2;
    }
    if path.len() > depth {
        found.push(path.clone());
        path.truncate(depth);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports(files: &[(&str, &str)]) -> Vec<(String, usize, String)> {
        let files = files.iter().map(|(path, text)| (Path::new(path), *text));
        let name = |path: PathBuf| path.display().to_string().replace("a/src/", "");
        let found = Crate::read(Path::new("a/src"), files).imports();
        found.into_iter().map(|found| (name(found.from), found.line, name(found.to))).collect()
    }

    fn import(from: &str, line: usize, to: &str) -> (String, usize, String) {
        (from.to_owned(), line, to.to_owned())
    }

    #[test]
    fn trees_of_names_are_taken_apart() {
        let found = imports(&[
            ("a/src/lib.rs", "mod b;\nmod c;\nmod d;\n"),
            ("a/src/b.rs", "//! x\nuse crate::{\n    c::{self, X},\n    d::Y as Z,\n};\n"),
            ("a/src/c.rs", "fn f() -> super::d::Y { crate::d::g::<u8>() }\n"),
            ("a/src/d.rs", "// crate::b\nconst TEXT: &str = \"crate::b\";\n"),
        ]);
        assert!(
            found.contains(&import("b.rs", 2, "c.rs"))
                && found.contains(&import("b.rs", 2, "d.rs"))
        );
        assert_eq!(found.iter().filter(|found| found.0 == "c.rs").count(), 2);
        assert!(found.iter().all(|found| found.0 != "d.rs"), "{found:?}");
    }

    #[test]
    fn a_name_handed_on_belongs_to_the_file_that_has_it() {
        let found = imports(&[
            ("a/src/lib.rs", "mod b;\nmod c;\n"),
            ("a/src/b/mod.rs", "mod inner;\npub use inner::{X, Y};\nuse inner::Z;\nfn g() {}\n"),
            ("a/src/b/inner.rs", "use super::g;\n"),
            ("a/src/c.rs", "use crate::b::X;\nuse crate::b::g;\n"),
        ]);
        assert!(found.contains(&import("c.rs", 1, "b/inner.rs")));
        assert!(found.contains(&import("c.rs", 2, "b/mod.rs")));
        assert!(found.contains(&import("b/inner.rs", 1, "b/mod.rs")));
        assert!(found.contains(&import("b/mod.rs", 2, "b/inner.rs")));
    }

    #[test]
    fn tests_and_visibilities_are_no_imports() {
        let found = imports(&[
            ("a/src/lib.rs", "mod b;\nmod c;\n"),
            (
                "a/src/b.rs",
                "pub(in crate::c) fn f() {}\n#[cfg(test)]\nmod tests {\n    use crate::c;\n}\n",
            ),
            ("a/src/c/tests.rs", "use crate::b::f;\n"),
        ]);
        assert_eq!(found, []);
    }
}
