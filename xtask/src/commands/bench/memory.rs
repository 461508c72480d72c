//! `cargo xtask bench memory`: what a deployed action and a live instance take, by the node's own
//! books.

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::json;
use xtask::connection::Connection;
use xtask::prerequisites::ensure_qemu;
use xtask::qemu::{Machine, Node};
use xtask::workspace;

use super::super::build as build_command;
use crate::progress::say;

const SAMPLES: [&str; 2] = ["hello", "echo"];
const PAGE_LEN: u64 = 4096;

/// Measure the memory of deployed actions and of live instances.
///
/// Deploys many copies of an action and divides what the node has less by their number; an
/// instance's memory is what its activation says it took.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Copies to deploy of each sample.
    #[arg(long, value_name = "N", default_value_t = 500,
        value_parser = clap::value_parser!(u64).range(1..))]
    copies: u64,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    ensure_qemu(say)?;
    let actions = build_command::everything()?;
    let node = super::boot(Machine::new(workspace::kernel()).memory_mib(512))?;
    println!("Command: cargo xtask bench memory --copies {}\n", arguments.copies);
    println!(
        "{:>8} {:>16} {:>16} {:>18}",
        "action", "deployed: frames", "deployed: heap", "live instance"
    );
    for sample in SAMPLES {
        // The first may make room that the others share.
        super::deploy(&node, &actions, sample, sample)?;
        let before = Books::read(&node)?;
        for copy in 0..arguments.copies {
            super::deploy(&node, &actions, sample, &format!("{sample}-{copy:06}"))?;
        }
        let after = Books::read(&node)?;
        let invocation = node.client().invoke(sample, &json!({"name": "you"}))?;
        let taken = invocation.activation.annotations.iter().find_map(|annotation| {
            annotation["value"]["taken_bytes"].as_u64().filter(|_| annotation["key"] == "memory")
        });
        let taken = taken.context("the activation does not say how much memory it took")?;
        println!(
            "{sample:>8} {:>16.1} {:>10.0} bytes {:>7} frames ({} KiB)",
            (before.available - after.available) as f64 / (arguments.copies * PAGE_LEN) as f64,
            (before.heap_free - after.heap_free) as f64 / arguments.copies as f64,
            taken / PAGE_LEN,
            taken / 1024,
        );
    }
    node.power_off();
    Ok(())
}

/// What the node has left.
struct Books {
    available: u64,
    heap_free: u64,
}

impl Books {
    fn read(node: &Node) -> Result<Self> {
        let mut connection = Connection::open(node.address())?;
        connection.send(b"GET /metrics HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n")?;
        let answer = connection.receive()?;
        ensure!(answer.status == 200, "/metrics answers {}", answer.status);
        let text = answer.text();
        let sample = |kind: &str| {
            let name = format!("hostkernel_memory_bytes{{kind=\"{kind}\"}} ");
            let value = text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok());
            value.with_context(|| format!("no {name}in /metrics"))
        };
        Ok(Self { available: sample("available")?, heap_free: sample("heap_free")? })
    }
}
