//! `hk env`: the environment variables and secrets of an action that is deployed.

use clap::Args;
use clap_complete::ArgValueCompleter;
use hk::Action;

use crate::environment::Options;
use crate::failure::Failure;
use crate::{Context, complete, output, terminal};

/// Show or change an action's environment variables. Of secrets there is only the name.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Name of the action.
    #[arg(add = ArgValueCompleter::new(complete::actions))]
    name: String,
    #[command(flatten)]
    options: Options,
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let name = &arguments.name;
    let variables = arguments.options.read()?;
    let action = match variables.is_empty() {
        true => context.client.get(name),
        false => context.client.set_environment(name, &variables),
    };
    let action = action.map_err(|error| Failure::of_action(error, &context.client, name))?;
    if context.json {
        return output::json(&action.other.get("environment").unwrap_or(&serde_json::json!([])));
    }
    output::text(&terminal::visible(&lines(&action)))
}

/// `NAME=VALUE`, line by line, as they can be given again.
fn lines(action: &Action) -> String {
    let list = action.other.get("environment").and_then(|list| list.as_array());
    let line = |variable: &serde_json::Value| {
        let name = variable["key"].as_str().unwrap_or_default();
        match variable["value"].as_str() {
            Some(value) => format!("{name}={value}\n"),
            None => format!("{name} (secret)\n"),
        }
    };
    list.into_iter().flatten().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn of_a_secret_there_is_only_the_name() {
        let action = json!({"name": "a", "environment": [
            {"key": "MODE", "value": "quiet"}, {"key": "TOKEN", "secret": true}]});
        let action: Action = serde_json::from_value(action).expect("an action");
        assert_eq!(lines(&action), "MODE=quiet\nTOKEN (secret)\n");
        let action: Action = serde_json::from_value(json!({"name": "a"})).expect("an action");
        assert_eq!(lines(&action), "");
    }
}
