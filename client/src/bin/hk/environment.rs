//! Environment variables and secrets, as people type them.
//!
//! A secret is never an argument: arguments are in the shell's history, and everybody on the
//! computer sees them.

use clap::Args;
use hk::Variable;

use crate::failure::Failure;
use crate::input;

/// The options that commands about an action's environment have in common.
#[derive(Args, Debug)]
pub struct Options {
    /// An environment variable of the action; what is not named stays. Can be repeated.
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    variables: Vec<Variable>,
    /// The same from a file or, for -, the standard input, and never shown again. Can be repeated.
    #[arg(long = "secret", value_name = "NAME=@FILE", value_parser = source)]
    secrets: Vec<(String, String)>,
    /// Take an environment variable or a secret away. Can be repeated.
    #[arg(long = "unset", value_name = "NAME", value_parser = name)]
    removed: Vec<String>,
}

impl Options {
    /// What becomes of which variable.
    pub fn read(&self) -> Result<Vec<Variable>, Failure> {
        let mut all: Vec<_> = self.removed.iter().map(|name| Variable::removed(name)).collect();
        all.extend(self.variables.iter().cloned());
        for (name, source) in &self.secrets {
            let bytes = input::bytes(source)?;
            let text = String::from_utf8(bytes).map_err(|_| {
                Failure::usage(format!("the secret {name} is not text"))
                    .hint("encode it first: base64 -w0 FILE")
            })?;
            // Editors and echo end a file with a line break that is not meant.
            let text = text.strip_suffix('\n').unwrap_or(&text);
            let text = text.strip_suffix('\r').unwrap_or(text);
            all.push(Variable::secret(name, text));
        }
        let mut names: Vec<_> = all.iter().map(|variable| &variable.name).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            None => Ok(all),
            Some(pair) => Err(Failure::usage(format!("{} is named more than once", pair[0]))
                .hint("a variable has one value: --env, --secret or --unset")),
        }
    }
}

fn name(text: &str) -> Result<String, String> {
    let is_name = !text.is_empty() && !text.contains(|letter: char| letter.is_control());
    match text {
        _ if text.contains('=') => Err("name a variable, without =".to_owned()),
        _ if is_name => Ok(text.to_owned()),
        _ => Err("the name is empty, or no text".to_owned()),
    }
}

fn variable(text: &str) -> Result<Variable, String> {
    let (key, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok(Variable::plain(&name(key)?, value))
}

fn source(text: &str) -> Result<(String, String), String> {
    let (key, source) = text.split_once('=').ok_or("write NAME=@FILE, or NAME=-")?;
    if source != "-" && !source.starts_with('@') {
        return Err(
            "a command line is seen by others and kept by the shell; write NAME=@FILE, or \
                    NAME=- for the standard input"
                .to_owned(),
        );
    }
    Ok((name(key)?, source.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_have_a_name_and_any_value() {
        assert_eq!(variable("A=b=c"), Ok(Variable::plain("A", "b=c")));
        assert_eq!(variable("A="), Ok(Variable::plain("A", "")));
        for wrong in ["A", "=b", "", "A\n=b"] {
            assert!(variable(wrong).is_err(), "{wrong:?}");
        }
        assert!(name("A=b").is_err() && name("A").is_ok());
    }

    #[test]
    fn a_secret_is_never_an_argument() {
        assert!(source("A=hush").expect_err("it is one").contains("@FILE"));
        assert_eq!(source("A=@f=g"), Ok(("A".to_owned(), "@f=g".to_owned())));
        assert_eq!(source("A=-"), Ok(("A".to_owned(), "-".to_owned())));
        assert!(source("A").is_err() && source("=@f").is_err());
    }

    #[test]
    fn one_name_has_one_value() {
        let twice = Options {
            variables: vec![Variable::plain("A", "1")],
            secrets: Vec::new(),
            removed: vec!["A".to_owned()],
        };
        assert!(twice.read().is_err());
        let missing = Options {
            variables: Vec::new(),
            secrets: vec![("A".to_owned(), "@no/such/file".to_owned())],
            removed: Vec::new(),
        };
        assert!(missing.read().is_err());
    }
}
