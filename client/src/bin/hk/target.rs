//! Which node a command talks to, and with which key.
//!
//! Command line before environment before configuration before what is built in. The key of a
//! profile goes only to the address of that profile.

use std::env;
use std::time::Duration;

use clap::Args;
use clap_complete::ArgValueCompleter;
use hk::{Address, Client};

use crate::config::{self, Config, Profile};
use crate::failure::{Exit, Failure};

const URL_DEFAULT: &str = "http://127.0.0.1:3233";

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Node")]
pub struct TargetArguments {
    /// A node of the configuration, see `hk node`.
    #[arg(long, value_name = "NAME", global = true, conflicts_with = "url",
        add = ArgValueCompleter::new(config::nodes))]
    node: Option<String>,
    /// Address of the node; also HK_URL.
    #[arg(long, global = true)]
    url: Option<String>,
    /// Key for the node, USER:PASSWORD; also HK_KEY, which does not show in lists of processes.
    #[arg(long, global = true, hide_default_value = true)]
    pub key: Option<String>,
    /// Namespace; that of the key if absent.
    #[arg(long, global = true)]
    pub namespace: Option<String>,
    /// How long to wait for all of an answer, and for an invocation to end, in seconds. Otherwise
    /// 30 seconds of silence are too long, and 330 where an action runs.
    #[arg(long, value_name = "SECONDS", global = true,
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    wait: Option<u64>,
    /// How long to wait for a connection, in seconds [default: 10].
    #[arg(long, value_name = "SECONDS", global = true,
        value_parser = clap::value_parser!(u64).range(1..=3_600))]
    connect_wait: Option<u64>,
}

/// The node, and who said so.
#[derive(Debug, PartialEq)]
pub struct Target {
    pub url: String,
    pub url_origin: &'static str,
    key: Option<String>,
    pub key_origin: &'static str,
    namespace: Option<String>,
    pub wait: Option<Duration>,
    pub connect_wait: Option<Duration>,
}

impl TargetArguments {
    /// What completion knows of the words on the command line.
    pub fn of(node: Option<String>, url: Option<String>, key: Option<String>) -> Self {
        Self { node, url, key, ..Self::default() }
    }

    pub fn resolve(&self) -> Result<Target, Failure> {
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        // Who says everything on the command line is not bothered with a broken file.
        let config = match (&self.url, &self.key) {
            (Some(_), Some(_)) => Config::default(),
            _ => Config::load()?,
        };
        self.resolve_in(&config, variable)
    }

    /// Several nodes of the configuration by these names, or all of them. Each has its own key
    /// unless one was typed.
    pub fn each(&self, names: &[String]) -> Result<Vec<(String, Target)>, Failure> {
        if self.node.is_some() || self.url.is_some() {
            let text = "several nodes are those of the configuration";
            return Err(Failure::usage(text).hint("--nodes says which"));
        }
        let config = Config::load()?;
        let all: Vec<String> = config.nodes.keys().cloned().collect();
        let names = if names.is_empty() { &all } else { names };
        if names.is_empty() {
            let text = "the configuration has no node yet";
            return Err(Failure::usage(text).hint("`hk node add NAME URL` adds one"));
        }
        let resolve = |name: &String| {
            let one = Self { node: Some(name.clone()), ..self.clone() };
            Ok((name.clone(), one.resolve_in(&config, |_| None)?))
        };
        names.iter().map(resolve).collect()
    }

    fn resolve_in(
        &self,
        config: &Config,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Target, Failure> {
        let url_variable = variable("HK_URL");
        let default = config.default.as_ref();
        let default = default.filter(|_| self.url.is_none() && url_variable.is_none());
        let profile = match self.node.as_ref().or(default) {
            Some(name) => Some(config.profile(name)?),
            None => None,
        };
        // Consulted after the environment unless it was named on the command line.
        let (named, implied) = if self.node.is_some() { (profile, None) } else { (None, profile) };
        let choose = |given: &Option<String>,
                      variable: Option<String>,
                      field: fn(&Profile) -> Option<String>| {
            first([
                (given.clone(), "the command line"),
                (named.and_then(field), "the configuration"),
                (variable, "the environment"),
                (implied.and_then(field), "the configuration"),
            ])
        };
        let (url, url_origin) =
            choose(&self.url, url_variable, |profile| Some(profile.url.clone())).unwrap_or_else(
                || (URL_DEFAULT.to_owned(), "no setting at all: it is the default"),
            );
        Address::parse(&url).map_err(|error| {
            Failure::usage(format!("the address `{url}` comes from {url_origin}: {error}"))
        })?;
        let (key, key_origin) =
            choose(&self.key, variable("HK_KEY"), |profile| profile.key.clone()).map_or(
                (None, "no setting at all: it is the public development key"),
                |(key, origin)| (Some(key), origin),
            );
        let namespace = choose(&self.namespace, None, |profile| profile.namespace.clone());
        Ok(Target {
            url,
            url_origin,
            key,
            key_origin,
            namespace: namespace.map(|(namespace, _)| namespace),
            wait: self.wait.map(Duration::from_secs),
            connect_wait: self.connect_wait.map(Duration::from_secs),
        })
    }
}

fn first<const N: usize>(
    choices: [(Option<String>, &'static str); N],
) -> Option<(String, &'static str)> {
    choices.into_iter().find_map(|(value, origin)| Some((value?, origin)))
}

impl Target {
    /// Says where address and key came from, if that is what is wrong.
    pub fn explain(&self, failure: Failure) -> Failure {
        match (failure.exit, failure.status) {
            (Exit::Unreachable, _) if failure.hint.is_none() => {
                let origin = self.url_origin;
                failure.hint(format!(
                    "the address comes from {origin}; --url, --node or HK_URL name another"
                ))
            }
            (_, Some(401 | 403)) if failure.hint.is_none() => {
                let origin = self.key_origin;
                failure.hint(format!(
                    "the key comes from {origin}; set it with `hk node add`, --key or HK_KEY"
                ))
            }
            _ => failure,
        }
    }

    pub fn client(&self) -> Client {
        let mut client = Client::new(&self.url);
        if let Some(key) = &self.key {
            client = client.with_key(key);
        }
        if let Some(namespace) = &self.namespace {
            client = client.with_namespace(namespace);
        }
        if let Some(wait) = self.wait {
            client = client.with_timeout(wait);
        }
        if let Some(wait) = self.connect_wait {
            client = client.with_connect_timeout(wait);
        }
        client
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let text = "default = 'lab'\n[node.lab]\nurl = 'http://lab'\nkey = 'lab:key'\n\
            [node.edge]\nurl = 'edge:1'\nnamespace = 'n'\n";
        toml::from_str(text).expect("a configuration")
    }

    fn target(arguments: &TargetArguments, variables: &[(&str, &str)]) -> Target {
        let variable = |name: &str| {
            variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
        };
        arguments.resolve_in(&config(), variable).expect("a node")
    }

    #[test]
    fn the_command_line_goes_before_the_environment_before_the_configuration() {
        let nothing = TargetArguments::default();
        let lab = target(&nothing, &[]);
        assert_eq!((lab.url.as_str(), lab.key.as_deref()), ("http://lab", Some("lab:key")));
        assert_eq!(target(&nothing, &[("HK_URL", "http://env")]).url, "http://env");
        let url = TargetArguments { url: Some("typed:1".to_owned()), ..nothing };
        assert_eq!(target(&url, &[("HK_URL", "http://env")]).url, "typed:1");
        let edge = TargetArguments { node: Some("edge".to_owned()), ..Default::default() };
        let edge = target(&edge, &[("HK_URL", "http://env"), ("HK_KEY", "env:key")]);
        assert_eq!((edge.url.as_str(), edge.key.as_deref()), ("edge:1", Some("env:key")));
        assert_eq!(edge.namespace.as_deref(), Some("n"));
    }

    #[test]
    fn the_key_of_a_profile_goes_nowhere_else() {
        let url = TargetArguments { url: Some("other".to_owned()), ..Default::default() };
        assert_eq!(target(&url, &[]).key, None);
        assert_eq!(target(&TargetArguments::default(), &[("HK_URL", "other")]).key, None);
    }

    #[test]
    fn an_unknown_node_is_an_error() {
        let node = TargetArguments { node: Some("nowhere".to_owned()), ..Default::default() };
        assert!(node.resolve_in(&config(), |_| None).is_err());
        let url = TargetArguments { url: Some("https://node".to_owned()), ..Default::default() };
        let failure = url.resolve_in(&config(), |_| None).expect_err("no TLS here");
        assert_eq!(failure.exit, Exit::Usage);
    }
}
