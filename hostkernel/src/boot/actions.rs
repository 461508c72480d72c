//! Starts and deploys what came with the boot of this machine.

use crate::device::fw_cfg::{File, FwCfg};
use limits::{CODE_LEN_MAX, CONFIG_PROBLEMS_MAX};
use node::api::{Boot, CodeReject, Reject, deploy_at_boot};
use node::bundle::Bundle;
use node::settings::GUEST;
use node::state::Node;

/// What the names of QEMU's files with actions of [`GUEST`] start with.
const FW_CFG_ACTIONS: &str = "opt/org.hostkernel/action/";

/// Starts the runtimes of the boot bundle, deploys its actions, then those of QEMU's files. What is
/// refused is logged.
pub fn deploy_all(
    node: &mut Node,
    bundle: Option<&Bundle<'_>>,
    fw_cfg: Option<&FwCfg>,
    boot: &mut Boot<'_>,
) {
    let mut problems = 0;
    let mut report = |problem: &dyn core::fmt::Display| {
        problems += 1;
        if problems <= CONFIG_PROBLEMS_MAX {
            log::error!("{problem}");
        }
    };
    let mut count = 0;
    if let Some(bundle) = bundle {
        bundle.problems.iter().for_each(|problem| report(problem));
        let deployed = bundle.deploy(node, boot, |problem| report(&problem));
        count += deployed.actions;
        for runtime in node.registry().runtimes().iter() {
            log::info!("runtime: {} waits for code", runtime.name);
        }
    }
    if let Some(fw_cfg) = fw_cfg {
        for file in fw_cfg.below(FW_CFG_ACTIONS) {
            match deploy_file(node, fw_cfg, file, boot) {
                Ok(()) => count += 1,
                Err(reject) => report(&format_args!("fw_cfg: {} refused: {reject}", file.name)),
            }
        }
    }
    if problems > CONFIG_PROBLEMS_MAX {
        log::error!("and {} more", problems - CONFIG_PROBLEMS_MAX);
    }
    if count > 0 {
        log::info!("deployed: {count} actions that came with the boot");
    }
}

fn deploy_file(
    node: &mut Node,
    fw_cfg: &FwCfg,
    file: &File,
    boot: &mut Boot<'_>,
) -> Result<(), Reject> {
    if file.len > CODE_LEN_MAX {
        return Err(Reject::Code(CodeReject::TooLong));
    }
    let guest = node.policy().tenants.namespace(GUEST).ok_or(Reject::NotFound)?;
    let name = file.name.strip_prefix(FW_CFG_ACTIONS).unwrap_or_default();
    deploy_at_boot(node, &guest, name, fw_cfg.content(file)?, None, boot)
}
