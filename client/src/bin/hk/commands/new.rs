//! `hk new`: a function of one's own, ready to deploy.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::failure::Failure;
use crate::output;

const PYTHON: &str = include_str!("../../../../templates/function.py");
const JAVASCRIPT: &str = include_str!("../../../../templates/function.js");

/// Make a file with a function, to edit and deploy.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The language.
    #[arg(value_enum)]
    language: Language,
    /// Name of the function; the file is NAME.py or NAME.js.
    name: String,
}

/// A language that functions are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Language {
    /// Python 3.
    Python,
    /// JavaScript.
    Javascript,
}

pub fn run(arguments: &Arguments, is_json: bool) -> Result<(), Failure> {
    let (extension, text) = match arguments.language {
        Language::Python => ("py", PYTHON),
        Language::Javascript => ("js", JAVASCRIPT),
    };
    let file = format!("{}.{extension}", arguments.name);
    // Nothing of anybody's is overwritten.
    let made = OpenOptions::new().write(true).create_new(true).open(&file);
    made.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|cause| Failure::usage(format!("{file} cannot be written: {cause}")))?;
    if is_json {
        return output::json(&json!({ "file": file }));
    }
    let name = Path::new(&arguments.name).file_name().unwrap_or_default().to_string_lossy();
    output::line(format!(
        "Made {file}. Next:\n  hk deploy {file}\n  hk invoke {name} '{{\"name\":\"you\"}}'"
    ))
}
