//! What programs and kernel modules need besides themselves, read from their ELF files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use object::elf::{DT_NEEDED, FileHeader64};
use object::read::elf::{Dyn, ElfFile64, FileHeader, ProgramHeader};
use object::{Endianness, Object, ObjectSection};

use super::LabError;

/// Where Debian's dynamic linker looks for libraries without being told.
const LIBRARY_FOLDERS: [&str; 4] =
    ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "lib64", "usr/lib64"];

/// What a program needs at run time.
#[derive(Debug, Default, PartialEq, Eq)]
struct Needs {
    /// The path of the dynamic linker.
    interpreter: Option<String>,
    /// Names of libraries.
    libraries: Vec<String>,
}

/// The libraries and dynamic linkers some programs need, as paths below `root`.
///
/// # Errors
/// [`LabError::Unusable`] for a program whose library is not there.
pub fn libraries(root: &Path, programs: &[PathBuf]) -> Result<BTreeSet<PathBuf>, LabError> {
    let mut found = BTreeSet::new();
    let mut new = programs.to_vec();
    while let Some(program) = new.pop() {
        let bytes = fs::read(&program).map_err(LabError::file(&program))?;
        let needs = needs(&bytes).map_err(|error| LabError::unusable(&program, error))?;
        let interpreter = needs.interpreter.iter().map(|path| {
            let path = PathBuf::from(path.trim_start_matches('/'));
            root.join(&path).is_file().then_some(path).ok_or("its dynamic linker".to_owned())
        });
        let libraries = needs.libraries.iter().map(|name| {
            let mut places = LIBRARY_FOLDERS.iter().map(|folder| Path::new(folder).join(name));
            places.find(|path| root.join(path).is_file()).ok_or_else(|| name.clone())
        });
        for path in interpreter.chain(libraries) {
            let path = path.map_err(|name| {
                LabError::unusable(&program, format!("needs {name}, which no package has brought"))
            })?;
            if found.insert(path.clone()) {
                new.push(root.join(path));
            }
        }
    }
    Ok(found)
}

fn needs(bytes: &[u8]) -> object::read::Result<Needs> {
    let header = FileHeader64::<Endianness>::parse(bytes)?;
    let endian = header.endian()?;
    let mut needs = Needs::default();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    for segment in header.program_headers(endian, bytes)? {
        needs.interpreter = needs.interpreter.or(segment.interpreter(endian, bytes)?.map(text));
    }
    let sections = header.sections(endian, bytes)?;
    if let Some((entries, strings)) = sections.dynamic(endian, bytes)? {
        let strings = sections.strings(endian, bytes, strings)?;
        for entry in entries.iter().filter(|entry| entry.tag(endian) == DT_NEEDED) {
            needs.libraries.push(text(entry.string(endian, strings)?));
        }
    }
    Ok(needs)
}

/// The files of kernel modules below `root` that must be loaded for some drivers, in order.
///
/// # Errors
/// [`LabError::Unusable`] if a module is not there, or not readable.
pub fn modules(root: &Path, drivers: &[&str]) -> Result<Vec<PathBuf>, LabError> {
    let files = module_files(root)?;
    let mut order = Vec::new();
    for driver in drivers {
        add_module(&files, driver, root, &mut order)?;
    }
    Ok(order)
}

/// Adds a module behind those it depends on. The depth is bounded: the kernel has no cycles.
fn add_module(
    files: &BTreeMap<String, PathBuf>,
    name: &str,
    root: &Path,
    order: &mut Vec<PathBuf>,
) -> Result<(), LabError> {
    let file = files
        .get(name)
        .ok_or_else(|| LabError::unusable(root, format!("has no kernel module {name}.ko")))?;
    if order.contains(file) {
        return Ok(());
    }
    let bytes = fs::read(file).map_err(LabError::file(file))?;
    for dependency in depends(&bytes).map_err(|error| LabError::unusable(file, error))? {
        add_module(files, &dependency, root, order)?;
    }
    order.push(file.clone());
    Ok(())
}

/// All kernel modules by name.
fn module_files(root: &Path) -> Result<BTreeMap<String, PathBuf>, LabError> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.join("lib/modules"), root.join("usr/lib/modules")];
    folders.retain(|folder| folder.is_dir());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(LabError::file(&folder))?.flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            } else if let Some(name) = name.strip_suffix(".ko") {
                files.insert(canonical(name), path);
            }
        }
    }
    Ok(files)
}

/// A module's file may be called with a dash where its name has an underscore.
fn canonical(name: &str) -> String {
    name.replace('-', "_")
}

/// The modules a module says it depends on.
fn depends(bytes: &[u8]) -> object::read::Result<Vec<String>> {
    let file = ElfFile64::<Endianness>::parse(bytes)?;
    let information = file.section_by_name(".modinfo").map(|section| section.data());
    Ok(depends_in(information.transpose()?.unwrap_or_default()))
}

/// The words behind `depends=` in a list of strings that end with zero.
fn depends_in(information: &[u8]) -> Vec<String> {
    let strings = information.split(|byte| *byte == 0);
    let words = strings.filter_map(|string| str::from_utf8(string).ok()?.strip_prefix("depends="));
    words
        .flat_map(|words| words.split(','))
        .filter(|word| !word.is_empty())
        .map(canonical)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_found_among_other_information() {
        let information = b"license=GPL\0depends=virtio,virtio-ring\0name=virtio_pci\0";
        assert_eq!(depends_in(information), ["virtio", "virtio_ring"]);
        assert!(depends_in(b"depends=\0name=virtio\0").is_empty());
    }

    #[test]
    fn a_dynamic_program_needs_its_linker_and_a_c_library() {
        let own = fs::read("/proc/self/exe").expect("this program can be read");
        let needs = needs(&own).expect("it is an ELF file");
        assert!(needs.interpreter.is_some(), "{needs:?}");
        assert!(needs.libraries.iter().any(|name| name.starts_with("libc.so")), "{needs:?}");
    }

    #[test]
    fn a_missing_library_is_named() {
        let own = PathBuf::from("/proc/self/exe");
        let error = libraries(Path::new("/nonexistent"), &[own]).expect_err("it is not there");
        assert!(error.to_string().contains("no package has brought"), "{error}");
    }
}
