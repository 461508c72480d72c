//! `cargo xtask build-image`: one file to start a node from, wherever it is put.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use sha2::{Digest, Sha256};
use xtask::bundle::check_words;
use xtask::image;
use xtask::prerequisites::{
    BIOS_TARGET, KERNEL_TARGET, UEFI_TARGET, ensure_qemu_img, ensure_targets, find_ovmf,
};
use xtask::{build, lifeline, workspace};

use super::bundle::{Parts, refuse};
use crate::progress::say;

/// Build one image that starts a node under BIOS and UEFI: from a USB stick, a disk or a CD.
///
/// The kernel, its settings and the actions it starts with are all in the image. The same parts
/// give the same bytes.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Where to put the image; target/hostkernel.img, .iso or .qcow2 if absent.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// What to make.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    parts: Parts,
    /// Words for the kernel's command line, which win over --config.
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true, default_value = "")]
    cmdline: String,
}

/// A form of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For disks and USB sticks, byte by byte; it is a CD too.
    #[default]
    Raw,
    /// The same bytes under the name that CDs have.
    Iso,
    /// For clouds and virtual machines that want QEMU's format.
    Qcow2,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    // What can be refused is refused before minutes of building.
    refuse(&check_words(&arguments.cmdline))?;
    let bundle = arguments.parts.archive()?;
    if arguments.format == Format::Qcow2 {
        ensure_qemu_img(say)?;
    }
    ensure_targets(&[KERNEL_TARGET, BIOS_TARGET, UEFI_TARGET], say)?;
    say("Building the kernel");
    build::kernel()?;
    say("Building the BIOS stage and the UEFI loader");
    build::boot_programs()?;
    let image = image::of_workspace(&arguments.cmdline, &bundle)?;
    let out = out(arguments);
    write(&out, &image, arguments.format)?;
    report(&out, arguments.format)
}

fn out(arguments: &Arguments) -> PathBuf {
    let extension = match arguments.format {
        Format::Raw => "img",
        Format::Iso => "iso",
        Format::Qcow2 => "qcow2",
    };
    let default = || workspace::target().join("hostkernel").with_extension(extension);
    arguments.out.clone().unwrap_or_else(default)
}

fn write(out: &Path, image: &[u8], format: Format) -> Result<()> {
    if format != Format::Qcow2 {
        return fs::write(out, image).with_context(|| workspace::display(out));
    }
    let raw = out.with_extension("raw.tmp");
    fs::write(&raw, image).with_context(|| workspace::display(&raw))?;
    let mut convert = lifeline::command("qemu-img");
    convert.args(["convert", "-f", "raw", "-O", "qcow2"]).arg(&raw).arg(out);
    let converted = lifeline::status(convert).context("qemu-img could not be started");
    fs::remove_file(&raw).with_context(|| workspace::display(&raw))?;
    if !converted?.success() {
        bail!("qemu-img could not write {}; its message is above", workspace::display(out));
    }
    Ok(())
}

/// Says what there is now, and how to try it.
fn report(out: &Path, format: Format) -> Result<()> {
    let bytes = fs::read(out).with_context(|| workspace::display(out))?;
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let file = workspace::display(out);
    println!("{:.1} MiB  {file}", bytes.len() as f64 / f64::from(1 << 20));
    println!("SHA-256  {digest}");
    let (kind, drive) = match format {
        Format::Raw => ("raw", "if=virtio"),
        Format::Iso => ("raw", "media=cdrom"),
        Format::Qcow2 => ("qcow2", "if=virtio"),
    };
    let qemu = format!(
        "qemu-system-x86_64 -M q35 -cpu max -smp 2 -m 512 -display none -serial stdio \
         -nic user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{port}-:{port} \
         -drive format={kind},{drive},file={file}",
        port = xtask::qemu::NODE_PORT
    );
    println!("\nBIOS:  {qemu}");
    match find_ovmf() {
        Some(ovmf) => println!("UEFI:  {qemu} -bios {}", ovmf.display()),
        None => println!("UEFI:  the same with -bios OVMF.fd, of the package ovmf"),
    }
    if format == Format::Raw {
        println!("Stick: sudo dd if={file} of=/dev/sdX bs=4M conv=fsync status=progress");
        println!("       /dev/sdX is the whole stick (lsblk lists them); all on it is lost");
    }
    Ok(())
}
