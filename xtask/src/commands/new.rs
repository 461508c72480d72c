//! `cargo xtask new`: an action crate of one's own, ready to edit and deploy.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use xtask::workspace;

const MANIFEST: &str = include_str!("../../templates/Cargo.toml.in");
const SOURCE: &str = include_str!("../../templates/main.rs.in");

/// Make an action crate of your own, which `deploy` builds and uploads.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Name of the crate and of the action: lower-case letters, digits and hyphens.
    name: String,
    /// Where to put the crate; a folder of its name if absent.
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    let name = &arguments.name;
    if !is_crate_name(name) {
        bail!("`{name}` is no name for a crate; use lower-case letters, digits and hyphens");
    }
    let folder = arguments.path.clone().unwrap_or_else(|| name.into());
    create(name, &folder)?;
    let shown = folder.display();
    println!("Made the action `{name}` in {shown}. Next:");
    println!("  edit {shown}/src/main.rs");
    println!("  cd {shown} && cargo run '{{\"name\":\"you\"}}'    (tries it here; cargo test)");
    println!("  cargo xtask run                  (in another terminal, unless a node runs)");
    println!("  cargo xtask deploy {shown}");
    println!("  cargo xtask invoke {name} '{{\"name\":\"you\"}}'");
    Ok(())
}

fn create(name: &str, folder: &Path) -> Result<()> {
    if folder.exists() {
        bail!("{} exists already; choose another name or another --path", folder.display());
    }
    let abi = workspace::root().join("action-abi");
    let abi = abi.canonicalize().with_context(|| format!("finding {}", abi.display()))?;
    let abi = abi.to_str().context("the path of this workspace is not UTF-8")?;
    // A JSON string is a TOML string too, with the same escapes.
    let abi = serde_json::Value::from(abi).to_string();
    let identifier = name.replace('-', "_");
    let files = [
        ("Cargo.toml", MANIFEST.replace("@NAME@", name).replace("@ABI_PATH@", &abi)),
        ("src/main.rs", SOURCE.replace("@FUNCTION@", &identifier)),
        (".gitignore", "/target\n".to_owned()),
    ];
    for (file, text) in files {
        let file = folder.join(file);
        let parent = file.parent().unwrap_or(folder);
        fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(())
}

/// Names that Cargo and the node's interface both take, and that can be a function.
fn is_crate_name(name: &str) -> bool {
    const KEYWORDS: [&str; 12] = [
        "action", "async", "await", "core", "crate", "fn", "impl", "main", "match", "std", "test",
        "type",
    ];
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|letter| matches!(letter, 'a'..='z' | '0'..='9' | '-' | '_'))
        && !KEYWORDS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_must_serve_as_crate_action_and_function() {
        for name in ["hello", "my-action", "a2_b"] {
            assert!(is_crate_name(name), "{name}");
        }
        for name in ["", "Hello", "2a", "-a", "a b", "../a", "fn", "ä"] {
            assert!(!is_crate_name(name), "{name}");
        }
    }

    #[test]
    fn nothing_is_overwritten() {
        let error = create("x", Path::new("/")).expect_err("the root folder exists");
        assert!(error.to_string().contains("exists already"), "{error}");
    }
}
