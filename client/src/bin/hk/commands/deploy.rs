//! `hk deploy`: a file, a crate that becomes one, or a folder with source code, onto a node.

use std::path::PathBuf;

use clap::Args;
use hk::{Code, DeployOptions};
use serde_json::Value;

use crate::environment::Options;
use crate::failure::Failure;
use crate::terminal;
use crate::{Context, input, output};

/// Upload an action: an ELF file, source code in Python or JavaScript, a zip archive with either, a
/// folder with source code, or that of an action crate, which is built first.
#[derive(Args, Debug)]
pub struct Arguments {
    /// A file, a folder with source code, or one with a Cargo.toml.
    #[arg(value_name = "FILE|FOLDER")]
    source: PathBuf,
    /// Name of the action; that of the program if absent.
    #[arg(long)]
    name: Option<String>,
    /// What the code is, such as python:3; found out by the file otherwise.
    #[arg(long)]
    kind: Option<String>,
    /// Name of the function in source code; main if absent.
    #[arg(long, value_name = "FUNCTION")]
    main: Option<String>,
    /// Memory limit of an invocation in MB.
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u64).range(1..))]
    memory: Option<u64>,
    /// Time limit of an invocation in milliseconds.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
    /// A bound parameter; the value is JSON, or else a string. Can be repeated.
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = input::pair)]
    parameters: Vec<(String, Value)>,
    /// An annotation, likewise.
    #[arg(long = "annotation", value_name = "KEY=VALUE", value_parser = input::pair)]
    annotations: Vec<(String, Value)>,
    #[command(flatten)]
    environment: Options,
    /// Make it a web action: the annotation web-export=true.
    #[arg(long)]
    web: bool,
    /// Refuse to replace an action of the same name.
    #[arg(long)]
    no_overwrite: bool,
}

/// Annotations that a node heeds, if they are exactly `true`.
const SWITCHES: [&str; 6] =
    ["cgi", "stream", "web-export", "raw-http", "final", "web-custom-options"];

impl Arguments {
    /// What a node would accept and then not heed.
    fn check(&self) -> Result<(), Failure> {
        let is_wrong =
            |(name, value): &&(String, Value)| SWITCHES.contains(&&**name) && !value.is_boolean();
        if let Some((name, _)) = self.annotations.iter().find(is_wrong) {
            let message = format!("the annotation {name} is true or false");
            return Err(Failure::usage(message).hint(format!("--annotation {name}=true")));
        }
        let is_cgi = self.annotations.iter().any(|(name, value)| name == "cgi" && *value == true);
        if is_cgi && !self.parameters.is_empty() {
            terminal::note(
                "note: /function/NAME hands over no parameters; --env and --secret reach it",
            );
        }
        Ok(())
    }
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    arguments.check()?;
    let environment = arguments.environment.read()?;
    let code = Code::open(&arguments.source)?;
    let name = arguments.name.as_ref().unwrap_or(&code.name);
    let web = arguments.web.then(|| ("web-export".to_owned(), Value::Bool(true)));
    let kind = match (&arguments.kind, code.language) {
        (Some(kind), _) => Some(kind.clone()),
        (None, Some(language)) => Some(context.client.kind_of(language)?),
        (None, None) => None,
    };
    let options = DeployOptions {
        kind,
        main: arguments.main.clone(),
        overwrite: !arguments.no_overwrite,
        timeout_ms: arguments.timeout,
        memory_mb: arguments.memory,
        parameters: arguments.parameters.iter().cloned().collect(),
        annotations: arguments.annotations.iter().cloned().chain(web).collect(),
        environment,
    };
    let bar = output::upload_bar(code.bytes.len() as u64);
    let action = context.client.deploy_watched(name, &code.bytes, &options, &mut |sent, total| {
        bar.set_length(total);
        bar.set_position(sent);
    });
    bar.finish_and_clear();
    let action = action?;
    context.places.keep(&code);
    if context.json {
        return output::json(&action);
    }
    output::line(format!(
        "Deployed {} {}, {} of code, {} ms, {} MB",
        action.name,
        action.version,
        output::size(code.bytes.len() as u64),
        action.limits.timeout_ms,
        action.limits.memory_mb
    ))
}
