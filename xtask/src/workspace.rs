//! Where sources and results lie.

use std::env;
use std::path::{Path, PathBuf};

/// The workspace root: the folder that holds `Cargo.toml`, `hostkernel/`, `images/`.
#[must_use]
pub fn root() -> PathBuf {
    // Cargo sets the variable when it runs us; the constant serves a binary started by hand.
    let manifest = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let xtask = manifest
        .filter(|folder| folder.join("host-linker.sh").is_file())
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    xtask.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Cargo's target folder, honouring `CARGO_TARGET_DIR`.
#[must_use]
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => std::path::absolute(&folder).unwrap_or_else(|_| folder.into()),
        None => root().join("target"),
    }
}

/// The kernel as QEMU boots it.
#[must_use]
pub fn kernel() -> PathBuf {
    target().join("hostkernel.elf")
}

/// The kernel with its tests built in.
#[must_use]
pub fn test_kernel() -> PathBuf {
    target().join("hostkernel-selftest.elf")
}

/// The image that hosts Linux programs.
#[must_use]
pub fn linux_image() -> PathBuf {
    target().join("linux.elf")
}

/// What starts the kernel from an image under a BIOS.
#[must_use]
pub fn bios_stage() -> PathBuf {
    target().join("boot/bios-stage.bin")
}

/// What starts the kernel from an image under UEFI.
#[must_use]
pub fn uefi_loader() -> PathBuf {
    target().join("boot/uefi-loader.efi")
}

/// The folder of built sample actions, one `NAME.elf` each.
#[must_use]
pub fn actions() -> PathBuf {
    target().join("actions")
}

/// A path as people like to read it: relative to the current folder where that is possible.
#[must_use]
pub fn display(path: &Path) -> String {
    let shown = match env::current_dir() {
        Ok(current) => path.strip_prefix(current).unwrap_or(path),
        Err(_) => path,
    };
    shown.display().to_string()
}
