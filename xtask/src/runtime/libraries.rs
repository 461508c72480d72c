//! The shared libraries that programs need, found by the system's own loader.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::copy;
use super::error::{RuntimeError, output};

/// The folder of a runtime for libraries and their loader.
pub(super) const FOLDER: &str = "lib";
/// The loader's name.
pub(super) const LOADER: &str = "ld-linux-x86-64.so.2";
/// Where a program says that it is.
pub(super) const LOADER_FOLDER: &str = "lib64";
/// Where a runtime is on a node.
pub(super) const ROOT: &str = "/runtime";

/// Copies what `programs` need into the folder of a runtime.
pub(super) fn collect(programs: &[PathBuf], stage: &Path) -> Result<(), RuntimeError> {
    let mut needed = BTreeSet::new();
    for program in programs {
        let mut ldd = Command::new("ldd");
        ldd.arg(program).env("LC_ALL", "C");
        needed.extend(paths(&output(ldd)?));
    }
    for library in needed {
        let Some(name) = library.file_name() else { continue };
        copy(&library, &stage.join(FOLDER).join(name))?;
    }
    let loader = Path::new("/lib64").join(LOADER);
    copy(&loader, &stage.join(FOLDER).join(LOADER))
}

/// Copies a library of this name, from where the compiler would find it.
pub(super) fn add(name: &str, stage: &Path) -> Result<(), RuntimeError> {
    let mut compiler = Command::new("cc");
    compiler.arg(format!("-print-file-name={name}"));
    copy(Path::new(output(compiler)?.trim()), &stage.join(FOLDER).join(name))
}

/// The files in what `ldd` prints: `NAME => PATH (ADDRESS)`.
fn paths(text: &str) -> Vec<PathBuf> {
    let of_line = |line: &str| {
        let (_, found) = line.split_once(" => ")?;
        let (path, _) = found.rsplit_once(" (")?;
        path.starts_with('/').then(|| PathBuf::from(path))
    };
    text.lines().filter_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_what_a_name_leads_to() {
        let text = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibz.so.1 => /lib/libz.so.1 (0x7f)\n\
                    \tlibnone.so => not found\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n\
                    \tstatically linked\n\tlibc.so.6 => /a b/libc.so.6 (0x7f)\n";
        assert_eq!(paths(text), [Path::new("/lib/libz.so.1"), Path::new("/a b/libc.so.6")]);
    }
}
