//! The Linux guest: what lies where in it, and how it boots.
//!
//! ```text
//! /init                          peer-server, as the first process
//! /peers/hello-assembly, …       what it starts
//! /peers/hosted/NAME             programs with an input, and /peers/input for it
//! /usr/bin/crun, /usr/sbin/runc  from Debian, and the libraries they need
//! /modules/order, …              drivers, and the order in which to load them
//! ```
//!
//! All of it is one archive in memory: the guest has no disk.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::cpio::Archive;
use super::packages::{self, Packages};
use super::programs::{self, Hosted, Programs};
use super::{LabError, elf};
use crate::qemu::Machine;
use crate::workspace;

/// The processor on which figures are comparable under emulation: there a repeated string
/// instruction costs more than the loop it replaces, and Linux uses it where it is said to be
/// fast. Both guests get the same.
pub const TUNED_CPU: &str = "max,-erms,-fsrm";
/// The address to which QEMU's user-mode network forwards ports, as the node would take it too. A
/// tap network puts its own in front, and the first counts.
const USER_NETWORK: &str = "ip=10.0.2.15::10.0.2.2:255.255.255.0";

/// Programs taken from packages.
const RUNTIMES: [&str; 2] = ["usr/bin/crun", "usr/sbin/runc"];
/// Drivers of QEMU's network card.
const DRIVERS: [&str; 2] = ["virtio_pci", "virtio_net"];
/// Drivers of hardware virtualisation, for a unikernel's tender that uses it.
const VIRTUALISATION: [&str; 2] = ["kvm_amd", "kvm_intel"];
/// The kernel's command line: to the serial port, and no way on after a panic.
const WORDS: &str = "console=ttyS0 quiet panic=-1";

/// What may be different from guest to guest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// A unikernel, from those who have one.
    pub solo5: Option<Solo5>,
}

/// A Solo5 unikernel that prints the greeting and ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Solo5 {
    /// The program that starts it: `solo5-hvt` or `solo5-spt`.
    pub tender: PathBuf,
    /// The unikernel.
    pub image: PathBuf,
}

/// A guest that can be booted.
#[derive(Clone, Debug)]
pub struct Guest {
    kernel: PathBuf,
    archive: PathBuf,
    packages: Vec<String>,
}

/// A file of the guest.
#[derive(Debug)]
struct Entry {
    path: String,
    source: PathBuf,
}

impl Guest {
    /// Makes a guest, from what earlier calls have left where nothing has changed. `say` hears what
    /// is about to be done.
    ///
    /// # Errors
    /// [`LabError`]
    pub fn make(options: &Options, say: impl Fn(&str)) -> Result<Self, LabError> {
        let folder = workspace::target().join("lab");
        let packages = packages::ensure(&folder.join("packages"), &say)?;
        let programs = programs::build(&say)?;
        let hosted = Hosted::ALL.iter().map(|hosted| hosted.build(&say));
        let hosted: Vec<_> = hosted.collect::<Result<_, _>>()?;
        let (entries, order) = contents(&packages, &programs, &hosted, options)?;
        let archive = folder.join("guest.cpio");
        let manifest = manifest(&entries, &order)?;
        let stamp = archive.with_extension("manifest");
        if fs::read_to_string(&stamp).ok().as_ref() != Some(&manifest) || !archive.is_file() {
            say("Writing the Linux guest");
            // Without its stamp an archive does not count: it may be half written.
            let _ = fs::remove_file(&stamp);
            write(&archive, &entries, &order)?;
            fs::write(&stamp, manifest).map_err(LabError::file(&stamp))?;
        }
        Ok(Self { kernel: kernel(&packages.root)?, archive, packages: packages.names })
    }

    /// The guest as a virtual machine with the tuned processor. Cores, memory and network are set
    /// as for a node.
    #[must_use]
    pub fn machine(&self) -> Machine {
        Machine::new(&self.kernel)
            .cpu(TUNED_CPU)
            .kernel_words(WORDS)
            .kernel_words(USER_NETWORK)
            .argument("-initrd")
            .argument(&self.archive)
    }

    /// The Debian packages in it, as `NAME_VERSION_ARCHITECTURE`: to be noted beside results.
    #[must_use]
    pub fn packages(&self) -> &[String] {
        &self.packages
    }
}

/// The files of the guest, and the text of `/modules/order`.
fn contents(
    packages: &Packages,
    programs: &Programs,
    hosted: &[PathBuf],
    options: &Options,
) -> Result<(Vec<Entry>, String), LabError> {
    let root = &packages.root;
    let mut entries = Vec::new();
    let mut add = |path: &str, source: &Path| {
        entries.push(Entry { path: path.to_owned(), source: source.to_path_buf() });
    };
    add("init", &programs.server);
    add("peers/hello-assembly", &programs.hello_assembly);
    add("peers/hello-musl", &programs.hello_musl);
    add("peers/hello.wat", &programs.hello_module);
    for (hosted, source) in Hosted::ALL.iter().zip(hosted) {
        add(&format!("peers/hosted/{}", hosted.name()), source);
    }
    let mut dynamic: Vec<_> = RUNTIMES.iter().map(|path| root.join(path)).collect();
    for (path, source) in RUNTIMES.iter().zip(&dynamic) {
        add(path, source);
    }
    let mut drivers = DRIVERS.to_vec();
    if let Some(solo5) = &options.solo5 {
        add("peers/solo5-tender", &solo5.tender);
        add("peers/solo5-image", &solo5.image);
        dynamic.push(solo5.tender.clone());
        drivers.extend(VIRTUALISATION);
    }
    for library in elf::libraries(root, &dynamic)? {
        add(&library.to_string_lossy(), &root.join(&library));
    }
    let mut order = String::new();
    for module in elf::modules(root, &drivers)? {
        let name = module.file_name().unwrap_or_default().to_string_lossy();
        add(&format!("modules/{name}"), &module);
        order.push_str(&format!("{name}\n"));
    }
    Ok((entries, order))
}

/// A text that changes when a file of the guest does.
fn manifest(entries: &[Entry], order: &str) -> Result<String, LabError> {
    let mut manifest = order.to_owned();
    for Entry { path, source } in entries {
        let file = fs::metadata(source).map_err(LabError::file(source))?;
        let changed = file.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let changed = changed.unwrap_or_default().as_nanos();
        manifest.push_str(&format!("{path} {} {} {changed}\n", source.display(), file.len()));
    }
    Ok(manifest)
}

fn write(file: &Path, entries: &[Entry], order: &str) -> Result<(), LabError> {
    let failed = || LabError::file(file);
    let mut archive = Archive::new(BufWriter::new(File::create(file).map_err(failed())?));
    for Entry { path, source } in entries {
        let content = fs::read(source).map_err(LabError::file(source))?;
        archive.file(path, &content).map_err(failed())?;
    }
    archive.file("modules/order", order.as_bytes()).map_err(failed())?;
    archive.file("peers/input", Hosted::INPUT).map_err(failed())?;
    archive.finish().and_then(|mut output| output.flush()).map_err(failed())
}

/// The kernel among the unpacked packages.
fn kernel(root: &Path) -> Result<PathBuf, LabError> {
    let boot = root.join("boot");
    let entries = fs::read_dir(&boot).map_err(LabError::file(&boot))?;
    let is_kernel = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz"))
    };
    let kernel = entries.flatten().map(|entry| entry.path()).find(is_kernel);
    kernel.ok_or_else(|| LabError::unusable(&boot, "has no kernel"))
}
