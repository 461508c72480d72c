//! Reads the sources of this machine.

use crate::device::fw_cfg::FwCfg;
use crate::device::smbios;
use crate::handover::BootInfo;
use limits::CONFIG_LEN_MAX;
use node::bundle::Bundle;
use node::settings::{Loaded, Loader, Source};

/// Name of the file with settings that QEMU hands over.
const FW_CFG_FILE: &str = "opt/org.hostkernel/config";

/// Reads all of them.
#[must_use]
pub fn read(info: &BootInfo, bundle: Option<&Bundle<'_>>, fw_cfg: Option<&FwCfg>) -> Loaded {
    let mut loader = Loader::default();
    if let Some(bundle) = bundle {
        loader.lines(Source::BootBundle, bundle.config.unwrap_or_default());
        if !bundle.is_whole() {
            loader.close();
        }
    }
    if let Some(table) = smbios::find(info.smbios()) {
        smbios::strings(table).for_each(|string| loader.string(string));
    }
    if let Some(fw_cfg) = fw_cfg
        && let Some(file) = fw_cfg.below(FW_CFG_FILE).find(|file| file.name == FW_CFG_FILE)
    {
        if file.len > CONFIG_LEN_MAX {
            loader.unreadable(Source::FirmwareConfig, "longer than 64 KiB");
        } else {
            match fw_cfg.content(file).and_then(|content| content.to_vec()) {
                Ok(text) => loader.lines(Source::FirmwareConfig, &text),
                Err(_) => {
                    loader.unreadable(Source::FirmwareConfig, "there is no memory to read it")
                }
            }
        }
    }
    match info.command_line() {
        Some(text) => loader.words(Source::CommandLine, text),
        None => loader.unreadable(Source::CommandLine, "longer than 4096 bytes, or not UTF-8"),
    }
    loader.finish()
}
