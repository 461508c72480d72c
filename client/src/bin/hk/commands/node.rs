//! `hk node`: the nodes of the configuration.

use clap::{Args, Subcommand};
use clap_complete::ArgValueCompleter;
use serde_json::json;

use crate::config::{self, Config, Profile};
use crate::failure::Failure;
use crate::target::TargetArguments;
use crate::{input, output};

/// Names for nodes, with address and key, in ~/.config/hk/config.toml.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a node, or change it. The first one becomes the default.
    Add {
        /// Name for it.
        name: String,
        /// Where it is.
        #[arg(value_name = "ADDRESS")]
        address: String,
        /// Read its key, USER:PASSWORD, from @FILE or from the standard input, for -.
        #[arg(long, value_name = "@FILE|-", conflicts_with = "key")]
        key_from: Option<String>,
    },
    /// List them.
    List,
    /// Use this one where none is named.
    Use {
        /// Its name.
        #[arg(add = ArgValueCompleter::new(config::nodes))]
        name: String,
    },
    /// Forget one.
    Remove {
        /// Its name.
        #[arg(add = ArgValueCompleter::new(config::nodes))]
        name: String,
    },
}

/// Key and namespace for `add` are those of `target`, the options every command has.
pub fn run(arguments: &Arguments, target: &TargetArguments, as_json: bool) -> Result<(), Failure> {
    let mut config = Config::load()?;
    match &arguments.command {
        Command::List => return list(&config, as_json),
        Command::Add { name, address, key_from } => {
            checked_name(name)?;
            hk::Address::parse(address).map_err(|error| {
                Failure::usage(format!("`{address}` is no address of a node: {error}"))
            })?;
            let key = match key_from {
                Some(file) => Some(String::from_utf8_lossy(&input::bytes(file)?).into_owned()),
                None => target.key.clone(),
            };
            let key = key.as_deref().map(checked_key).transpose()?;
            let namespace = target.namespace.clone();
            let profile = Profile { url: address.clone(), key, namespace };
            config.nodes.insert(name.clone(), profile);
            config.default.get_or_insert_with(|| name.clone());
        }
        Command::Use { name } => {
            config.profile(name)?;
            config.default = Some(name.clone());
        }
        Command::Remove { name } => {
            config.profile(name)?;
            config.nodes.remove(name);
            config.default = config.default.filter(|default| default != name);
        }
    }
    let path = config.save()?;
    if !as_json {
        eprintln!("Saved in {}.", path.display());
    }
    Ok(())
}

/// A name that can be typed after --node and written as a table of the file.
fn checked_name(name: &str) -> Result<(), Failure> {
    let usual = |letter: char| letter.is_alphanumeric() || "-_.".contains(letter);
    match name.chars().all(usual) && name.starts_with(char::is_alphanumeric) {
        true => Ok(()),
        false => Err(Failure::usage(format!("`{name}` is no name for a node"))
            .hint("letters, digits, `-`, `_` and `.`, a letter or digit first")),
    }
}

fn checked_key(key: &str) -> Result<String, Failure> {
    let key = key.trim();
    if key.chars().any(|letter| letter.is_control() || letter.is_whitespace()) {
        return Err(Failure::usage("the key has a space or line end inside"));
    }
    match key.split_once(':') {
        Some((user, password)) if !user.is_empty() && !password.is_empty() => Ok(key.to_owned()),
        _ => Err(Failure::usage("the key has not the form USER:PASSWORD")),
    }
}

fn list(config: &Config, as_json: bool) -> Result<(), Failure> {
    let is_default = |name: &String| config.default.as_ref() == Some(name);
    if as_json {
        let nodes = config.nodes.iter().map(|(name, profile)| {
            json!({ "name": name, "url": profile.url, "namespace": profile.namespace,
                "hasKey": profile.key.is_some(), "default": is_default(name) })
        });
        return output::json(&nodes.collect::<Vec<_>>());
    }
    let rows = config.nodes.iter().map(|(name, profile)| {
        let mark = if is_default(name) { "*" } else { "" };
        vec![mark.to_owned(), name.clone(), profile.url.clone()]
    });
    output::text(&output::table(&rows.collect::<Vec<_>>()))
}
