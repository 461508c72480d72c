//! `hk fleet`, `hk roll`: several nodes at once.
//!
//! Nothing between nodes is asked: each is talked to as `hk` talks to one, with its own key.

use std::collections::BTreeMap;
use std::process::Command as Process;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use clap_complete::ArgValueCompleter;
use hk::{Action, Client, Selection, Summary};
use serde_json::{Value, json};

use crate::failure::{Exit, Failure};
use crate::target::{Target, TargetArguments};
use crate::{config, output, terminal};

/// How often it is looked whether a node has gone, or is back.
const GLANCE: Duration = Duration::from_millis(500);

/// Show several nodes as one.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    nodes: Nodes,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show of each node whether it takes invocations, and its load. Fails with 4 if one does not.
    Status,
    /// List what is deployed, and on which nodes it differs.
    List,
    /// List what ran on all of them, newest first.
    Activations {
        /// How many, up to 200.
        #[arg(long, value_name = "N", default_value_t = 30,
            value_parser = clap::value_parser!(u32).range(1..=200))]
        limit: u32,
    },
}

#[derive(Args, Debug)]
struct Nodes {
    /// Which nodes of the configuration, with commas between; otherwise all.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', global = true,
        add = ArgValueCompleter::new(config::nodes))]
    nodes: Vec<String>,
}

/// Restart nodes, one after the other: each is drained, waited for, started again, and has to be
/// ready before the next one goes.
#[derive(Args, Debug)]
pub struct RollArguments {
    #[command(flatten)]
    nodes: Nodes,
    /// What starts a node that is off, for a shell; HK_NODE and HK_URL say which. Without it
    /// somebody else has to, such as a supervisor.
    #[arg(long, value_name = "COMMAND")]
    restart: Option<String>,
    /// How long a node may take to leave, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 330)]
    leave_wait: u64,
    /// How long one may take to be ready again, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    ready_wait: u64,
    /// How long to go on after that, so that a balancer has seen it, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 3)]
    settle: u64,
}

/// A node, by its name in the configuration.
struct Node {
    name: String,
    target: Target,
    client: Client,
}

impl Nodes {
    fn resolve(&self, target: &TargetArguments) -> Result<Vec<Node>, Failure> {
        let targets = target.each(&self.nodes)?;
        let node = |(name, target): (String, Target)| {
            let client = target.client();
            Node { name, target, client }
        };
        Ok(targets.into_iter().map(node).collect())
    }
}

pub fn run(arguments: &Arguments, target: &TargetArguments, json: bool) -> Result<(), Failure> {
    let nodes = arguments.nodes.resolve(target)?;
    match arguments.command {
        Command::Status => status(&nodes, json),
        Command::List => list(&nodes, json),
        Command::Activations { limit } => activations(&nodes, limit, json),
    }
}

/// What nodes have answered, and how the first has failed that did not.
type Answers<'a, T> = (Vec<(&'a Node, T)>, Option<Exit>);

/// Asks all nodes at once. Those that do not answer are named; if none does, that is a failure.
fn ask<T: Send>(
    nodes: &[Node],
    json: bool,
    question: impl Fn(&Client) -> Result<T, hk::Error> + Sync,
) -> Result<Answers<'_, T>, Failure> {
    let answers: Vec<_> = thread::scope(|scope| {
        let asked: Vec<_> =
            nodes.iter().map(|node| scope.spawn(|| question(&node.client))).collect();
        asked.into_iter().map(|it| it.join()).collect()
    });
    let (mut given, mut failed) = (Vec::new(), None);
    for (node, answer) in nodes.iter().zip(answers) {
        match answer {
            Ok(Ok(answer)) => given.push((node, answer)),
            Ok(Err(error)) => {
                let failure = node.target.explain(Failure::from(error)).of(&node.name);
                failure.show(json);
                failed.get_or_insert(failure.exit);
            }
            Err(_) => return Err(Failure::usage("a thread of this program ended early")),
        }
    }
    Ok((given, failed))
}

fn ended(failed: Option<Exit>) -> Result<(), Failure> {
    failed.map_or(Ok(()), |exit| Err(Failure::silent(exit)))
}

fn status(nodes: &[Node], json: bool) -> Result<(), Failure> {
    let (answers, failed) = ask(nodes, json, |client| {
        let readiness = client.readiness()?;
        // A node that drains may not answer the rest.
        Ok((readiness, client.build().ok(), client.metrics().unwrap_or_default()))
    })?;
    let head = ["NODE", "READY", "ACTIONS", "INFLIGHT", "QUEUED", "STORE", "BUILD"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let (mut lines, mut is_all_ready) = (Vec::new(), true);
    for (node, (readiness, build, metrics)) in answers {
        is_all_ready &= readiness == "ok";
        let sum = |family: &str| metrics.sum(family);
        let actions = sum("hostkernel_actions");
        let inflight = sum("hostkernel_inflight_invocations");
        let queued = sum("hostkernel_queued_invocations");
        // A node without a store does not say.
        let store = sum("hostkernel_store_up").map(|up| if up > 0.0 { "up" } else { "away" });
        let number = |number: Option<f64>| number.map_or("-".to_owned(), |it| it.to_string());
        rows.push(vec![
            node.name.clone(),
            readiness.clone(),
            number(actions),
            number(inflight),
            number(queued),
            store.unwrap_or("-").to_owned(),
            build.clone().unwrap_or_default(),
        ]);
        lines.push(json!({
            "node": node.name, "url": node.client.base_url(), "readiness": readiness,
            "build": build, "store": store,
            "load": {"actions": actions, "inflight": inflight, "queued": queued},
        }));
    }
    match json {
        true => output::json(&lines)?,
        false => output::text(&output::table(&rows))?,
    }
    match is_all_ready {
        true => ended(failed),
        false => ended(failed.or(Some(Exit::Overloaded))),
    }
}

/// An action by name, and the nodes that have it in each version.
type Merged = BTreeMap<String, BTreeMap<String, Vec<String>>>;

fn merge<'a>(lists: impl IntoIterator<Item = (&'a str, Vec<Action>)>) -> Merged {
    let mut merged = Merged::new();
    for (node, actions) in lists {
        for Action { name, version, .. } in actions {
            let versions = merged.entry(name).or_default();
            versions.entry(version).or_default().push(node.to_owned());
        }
    }
    merged
}

fn list(nodes: &[Node], json: bool) -> Result<(), Failure> {
    let (answers, failed) = ask(nodes, json, Client::list)?;
    let merged = merge(answers.into_iter().map(|(node, list)| (node.name.as_str(), list)));
    if json {
        let line = |(name, versions)| json!({"name": name, "versions": versions});
        output::json(&merged.iter().map(line).collect::<Vec<Value>>())?;
        return ended(failed);
    }
    let mut rows = vec![["NAME", "VERSION", "NODES"].map(str::to_owned).to_vec()];
    for (name, versions) in &merged {
        for (version, having) in versions {
            rows.push(vec![name.clone(), version.clone(), having.join(",")]);
        }
    }
    output::text(&output::table(&rows))?;
    ended(failed)
}

fn activations(nodes: &[Node], limit: u32, json: bool) -> Result<(), Failure> {
    let selection = Selection { limit: Some(limit), ..Selection::default() };
    let (answers, failed) = ask(nodes, json, |client| client.activations(&selection))?;
    let of_node = |(node, list): (_, Vec<Summary>)| list.into_iter().map(move |it| (node, it));
    let mut all: Vec<(&Node, Summary)> = answers.into_iter().flat_map(of_node).collect();
    all.sort_by_key(|(_, summary)| std::cmp::Reverse(summary.start_ms));
    all.truncate(limit as usize);
    if json {
        let summaries: Vec<_> = all.iter().map(|(_, summary)| summary).collect();
        output::json(&summaries)?;
        return ended(failed);
    }
    let head = ["START", "NODE", "ID", "ACTION", "STATUS"].map(str::to_owned).to_vec();
    let row = |(node, summary): &(&Node, Summary)| {
        vec![
            output::clock(summary.start_ms),
            node.name.clone(),
            summary.id.clone(),
            summary.name.clone(),
            summary.status().text().to_owned(),
        ]
    };
    let rows: Vec<_> = std::iter::once(head).chain(all.iter().map(row)).collect();
    output::text(&output::table(&rows))?;
    ended(failed)
}

pub fn roll(
    arguments: &RollArguments,
    target: &TargetArguments,
    json: bool,
) -> Result<(), Failure> {
    let nodes = arguments.nodes.resolve(target)?;
    // A fleet of which a node is away already is not to lose another one.
    for node in &nodes {
        let readiness =
            node.client.readiness().map_err(|error| node.explain(Failure::from(error)))?;
        if readiness != "ok" {
            let text = format!("{} is not ready ({readiness}); nothing was restarted", node.name);
            return Err(Failure::new(Exit::Overloaded, text));
        }
    }
    let mut rolled = Vec::new();
    for node in &nodes {
        terminal::note(format_args!("{} leaves", node.name));
        node.client.drain().map_err(|error| node.explain(Failure::from(error)))?;
        let leave_wait = Duration::from_secs(arguments.leave_wait);
        until(leave_wait, || !node.client.is_alive())
            .ok_or_else(|| node.late("has not left", leave_wait))?;
        if let Some(command) = &arguments.restart {
            node.restart(command)?;
        }
        let ready_wait = Duration::from_secs(arguments.ready_wait);
        let took = until(ready_wait, || node.client.is_ready())
            .ok_or_else(|| node.late("is not back", ready_wait))?;
        terminal::note(format_args!("{} is back after {}", node.name, output::time(took)));
        thread::sleep(Duration::from_secs(arguments.settle));
        rolled.push(node.name.clone());
    }
    match json {
        true => output::json(&json!({ "rolled": rolled })),
        false => output::line(format!("Restarted {}", rolled.join(", "))),
    }
}

impl Node {
    fn explain(&self, failure: Failure) -> Failure {
        self.target.explain(failure).of(&self.name)
    }

    fn late(&self, what: &str, waited: Duration) -> Failure {
        let text = format!(
            "{} {what} within {} s; the nodes behind it were not restarted",
            self.name,
            waited.as_secs()
        );
        Failure::new(Exit::Unreachable, text)
    }

    fn restart(&self, command: &str) -> Result<(), Failure> {
        let status = Process::new("sh")
            .args(["-c", command])
            .env("HK_NODE", &self.name)
            .env("HK_URL", self.client.base_url())
            .status();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Failure::usage(format!("`{command}` for {}: {status}", self.name))),
            Err(error) => Err(Failure::usage(format!("`sh` cannot be started: {error}"))),
        }
    }
}

/// Waits until something is so; how long that took, if it became so in time.
fn until(patience: Duration, is_so: impl Fn() -> bool) -> Option<Duration> {
    let begin = Instant::now();
    loop {
        if is_so() {
            return Some(begin.elapsed());
        }
        if begin.elapsed() > patience {
            return None;
        }
        thread::sleep(GLANCE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nodes_have_is_merged_by_name_and_version() {
        let action = |name: &str, version: &str| -> Action {
            let limits = json!({"timeout": 1, "memory": 1});
            let action =
                json!({"name": name, "namespace": "n", "version": version, "limits": limits});
            serde_json::from_value(action).expect("an action")
        };
        let merged = merge([
            ("a", vec![action("x", "0.0.1"), action("y", "0.0.1")]),
            ("b", vec![action("x", "0.0.2")]),
            ("c", vec![action("x", "0.0.2")]),
        ]);
        assert_eq!(merged["x"]["0.0.2"], ["b", "c"]);
        assert_eq!(merged["x"].len(), 2);
        assert_eq!(merged["y"]["0.0.1"], ["a"]);
    }

    #[test]
    fn waiting_ends() {
        assert!(until(Duration::ZERO, || true).is_some());
        assert!(until(Duration::ZERO, || false).is_none());
    }
}
