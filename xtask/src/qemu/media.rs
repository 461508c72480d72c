//! What a machine starts from when QEMU does not load the kernel itself: an image, and firmware.

use std::path::{Path, PathBuf};

use super::plan::Plan;

/// The firmware that looks for something to start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS, which comes with QEMU.
    #[default]
    Bios,
    /// OVMF, a package of its own.
    Uefi,
}

/// The device an image is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Drive {
    /// A virtio disk, as KVM clouds have it.
    #[default]
    Virtio,
    /// A disk at a virtio SCSI controller.
    Scsi,
    /// A disk at the machine's own controller: IDE of `pc`, AHCI of `q35`.
    Disk,
    /// An NVMe disk.
    Nvme,
    /// A USB stick.
    Usb,
    /// A CD at the machine's own controller.
    Cd,
}

/// An image in a drive.
#[derive(Clone, Debug)]
pub(super) struct Medium {
    pub(super) image: PathBuf,
    pub(super) drive: Drive,
    pub(super) firmware: Firmware,
}

impl Drive {
    /// QEMU's devices: a controller, if the machine does not have it, and the drive.
    const fn devices(self) -> (Option<&'static str>, &'static str) {
        match self {
            Self::Virtio => (None, "virtio-blk-pci"),
            Self::Scsi => (Some("virtio-scsi-pci"), "scsi-hd"),
            Self::Disk => (None, "ide-hd"),
            Self::Nvme => (None, "nvme,serial=hostkernel"),
            Self::Usb => (Some("qemu-xhci"), "usb-storage"),
            Self::Cd => (None, "ide-cd"),
        }
    }
}

impl Medium {
    pub(super) fn plan(&self, firmware: Option<&Path>, plan: &mut Plan) {
        if let Some(file) = firmware {
            plan.option("-bios", file);
        }
        // Writes go to a file of QEMU's own; nothing we start writes.
        let mut drive = std::ffi::OsString::from("if=none,id=image,format=raw,snapshot=on,file=");
        drive.push(self.image.to_string_lossy().replace(',', ",,"));
        plan.option("-drive", drive);
        let (controller, device) = self.drive.devices();
        if let Some(controller) = controller {
            plan.option("-device", controller);
        }
        plan.option("-device", format!("{device},drive=image,bootindex=0"));
    }
}
