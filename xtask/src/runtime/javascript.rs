//! JavaScript: `QuickJS` from a crate, in one static program with our launcher in it.

use std::path::Path;

use super::copy;
use super::error::RuntimeError;
use crate::build;
use crate::prerequisites::{ensure_programs, ensure_targets};

/// Puts a runtime's files into `stage`. Says what is in it.
pub(super) fn stage(stage: &Path, say: impl Fn(&str)) -> Result<String, RuntimeError> {
    ensure_targets(&[build::MUSL_TARGET], &say)?;
    ensure_programs(&[(build::MUSL_COMPILER, "musl-tools")], &say)?;
    say("Building the interpreter");
    copy(&build::javascript_runtime()?, &stage.join("exec"))?;
    Ok("QuickJS".to_owned())
}
