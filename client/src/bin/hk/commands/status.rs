//! `hk status`: is it there, does it take work, how loaded is it.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::{Context, output};

/// Show whether a node takes invocations, what it is, and its load. Fails with 4 if it does not.
#[derive(Args, Debug)]
pub struct Arguments {}

pub fn run(_: &Arguments, context: &Context) -> Result<(), Failure> {
    let client = &context.client;
    let readiness = client.readiness()?;
    let is_ready = readiness == "ok";
    // A node that drains may not answer the rest; what it says of itself is news already.
    let build = client.build().ok();
    let kinds = client.kinds().unwrap_or_default().into_values().flatten().collect::<Vec<_>>();
    let metrics = client.metrics().unwrap_or_default();
    let memory = metrics.by("hostkernel_memory_bytes", "kind");
    let counts: BTreeMap<_, _> = [
        ("actions", "hostkernel_actions"),
        ("inflight", "hostkernel_inflight_invocations"),
        ("queued", "hostkernel_queued_invocations"),
        ("connections", "hostkernel_open_connections"),
    ]
    .into_iter()
    .filter_map(|(name, family)| Some((name, metrics.sum(family)?)))
    .collect();
    if context.json {
        output::json(&json!({
            "url": client.base_url(),
            "ready": is_ready,
            "readiness": readiness,
            "build": build,
            "kinds": kinds,
            "load": counts,
            "memory_bytes": memory,
        }))?;
    } else {
        let mut rows = vec![vec!["node".to_owned(), client.base_url().to_owned()]];
        rows.push(vec!["ready".to_owned(), readiness.clone()]);
        rows.extend(build.map(|build| vec!["build".to_owned(), build]));
        rows.push(vec!["kinds".to_owned(), kinds.join(", ")]);
        rows.extend(counts.iter().map(|(name, count)| vec![(*name).to_owned(), count.to_string()]));
        let memory = memory.iter().map(|(kind, bytes)| {
            vec![format!("memory {}", kind.replace('_', " ")), output::size(*bytes as u64)]
        });
        rows.extend(memory);
        output::text(&output::table(&rows))?;
    }
    match is_ready {
        true => Ok(()),
        false => Err(Failure::silent(Exit::Overloaded)),
    }
}
