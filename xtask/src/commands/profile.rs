//! `cargo xtask profile`: which functions the instructions of a request are in.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::process;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use hk::symbols::Place;
use xtask::build;
use xtask::connection::{ACTIONS, AUTHORIZATION};
use xtask::lab::guest::TUNED_CPU;
use xtask::lab::profile::Executions;
use xtask::lab::{Call, Hosted, Plan, Profile};
use xtask::prerequisites::ensure_qemu;
use xtask::qemu::{Machine, Network};
use xtask::runtime::Language;
use xtask::symbols;
use xtask::workspace;

use super::bench::laboratory;
use super::bench::machine::{OCTETS, annotation, deployment};
use super::bench::pages::LATER;
use super::runtime::Named;
use crate::progress::say;

/// What the action is called on the node.
const NAME: &str = "profiled";
const MEMORY_MIB: u32 = 2048;
const BOOT_TIMEOUT: Duration = Duration::from_secs(300);
const PLAN: Plan = Plan { warm_up: 300, runs: 300, rounds: 1 };
/// An interpreter takes a hundred times as long.
const INTERPRETED: Plan = Plan { warm_up: 20, runs: 20, rounds: 1 };
/// The lowest address of the upper half: programs are below, the kernel is above.
const KERNEL_HALF: u64 = 1 << 63;
/// Less than this in one request is not printed.
const LEAST: f64 = 0.5;

/// Count the instructions of a request in each function, exactly.
///
/// Boots a node in QEMU's emulator and invokes a sample action again and again, a Linux program of
/// `bench --suite hosted`, or with `--runtime` the code of a function or a web server. An
/// instruction counts for the innermost function of this workspace it was inlined into: so what
/// core does inline is found under its caller's name. A repeated string instruction counts once.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The sample action or program to invoke; with `--runtime` a file with code.
    #[arg(long, value_name = "NAME", default_value = "hello")]
    action: String,
    /// Its input.
    #[arg(long, value_name = "JSON", default_value = r#"{"name":"you"}"#)]
    input: String,
    /// Cores of the machine.
    #[arg(long, value_name = "N", default_value_t = 2,
        value_parser = clap::value_parser!(u32).range(1..=255))]
    cores: u32,
    /// The core to look at: 0 has network and API, and the others run actions.
    #[arg(long, value_name = "N", default_value_t = 1)]
    core: u32,
    /// Clients that ask at the same time, each on a connection of its own.
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u64).range(1..=256))]
    connections: u64,
    /// Lines of source instead of functions, of those whose name contains this.
    #[arg(long, value_name = "FUNCTION")]
    lines: Option<String>,
    /// The runtime that runs the code.
    #[arg(long)]
    runtime: Option<Named>,
    /// The code is a web server, warmed up with this path, which it is then asked for.
    #[arg(long, value_name = "PATH", requires = "runtime")]
    warm: Option<String>,
    /// Functions as they were compiled, each with all that was inlined into it.
    #[arg(long, conflicts_with = "lines")]
    compiled: bool,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    let core = arguments.core;
    ensure!(core < arguments.cores, "there is no core {core} among {}", arguments.cores);
    ensure_qemu(say)?;
    super::build::everything()?;
    let language = arguments.runtime.map(Named::ready).transpose()?;
    let hosted = Hosted::ALL.into_iter().find(|hosted| hosted.name() == arguments.action);
    // Addresses are those of the library OS first, for it is where no program is.
    let (programs, deployed) = match (language, hosted) {
        (Some(language), _) => {
            let mut programs = vec![build::linux_image_with_symbols()?.file];
            programs.extend(Some(language.interpreter_with_symbols()).filter(|it| it.exists()));
            (programs, PathBuf::from(&arguments.action))
        }
        (None, Some(hosted)) => {
            let program = hosted.build(say)?;
            (vec![build::linux_image_with_symbols()?.file, program.clone()], program)
        }
        (None, None) => {
            let program = build::action_with_symbols(&arguments.action)?.file;
            (vec![program.clone()], program)
        }
    };
    let code = fs::read(&deployed).with_context(|| deployed.display().to_string())?;
    let executions = measure(arguments, language, &code)?;
    let kernel = symbols::load(&workspace::kernel())?;
    let symbols = programs.iter().map(|file| symbols::load(file)).collect::<Result<Vec<_>, _>>()?;
    let total: f64 = executions.values().sum();
    let programs: f64 =
        executions.iter().filter(|(address, _)| **address < KERNEL_HALF).map(|it| it.1).sum();
    ensure!(total > 0.0, "the plugin in QEMU has counted nothing");
    println!("core {core}: {total:.0} instructions a request, {programs:.0} of them the program's");
    let mut shares: HashMap<String, f64> = HashMap::new();
    for (address, count) in executions {
        let places = match address < KERNEL_HALF {
            true => symbols.iter().map(|it| it.places(address)).find(|places| !places.is_empty()),
            false => Some(kernel.places(address)),
        };
        let places = places.unwrap_or_default();
        let name = match &arguments.lines {
            Some(function) => line(&places, function),
            None if arguments.compiled => places.last().map(|place| place.function.clone()),
            None => Some(own(&places).map_or("(unknown)".to_owned(), function)),
        };
        if let Some(name) = name {
            *shares.entry(name).or_default() += count;
        }
    }
    let mut shares: Vec<_> = shares.into_iter().filter(|it| it.1.abs() >= LEAST).collect();
    shares.sort_by(|one, other| other.1.total_cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    shares.iter().for_each(|(name, count)| println!("{count:10.1}  {name}"));
    Ok(())
}

fn measure(arguments: &Arguments, language: Option<Language>, code: &[u8]) -> Result<Executions> {
    say("Building the instruction counter");
    let plugin = build::instruction_counter()?;
    let folder = workspace::target().join(format!("profile/{}", process::id()));
    let profile = Profile::create(&folder, arguments.core)?;
    let mut machine = Machine::new(workspace::kernel()).cpu(TUNED_CPU).cores(arguments.cores);
    if language.is_some() {
        machine = machine.memory_mib(MEMORY_MIB);
    }
    // As `bench` has it: on another network the card does other work.
    let tap = laboratory::tap()?;
    let _inside = tap.as_ref().map(|tap| tap.namespace().enter()).transpose()?;
    if let Some(tap) = &tap {
        machine = machine.network(Network::Tap(tap.clone()));
    }
    let node = profile.attach(machine, &plugin).boot()?;
    node.wait_ready(BOOT_TIMEOUT)?;
    for deployment in deployments(arguments, language, code)? {
        deployment.connect(node.address())?.exchange(&deployment)?;
    }
    let call = match &arguments.warm {
        Some(path) => Call::new("GET", &format!("/function/{NAME}{path}"), &[], b""),
        None => {
            let path = format!("/function/{NAME}");
            let headers = ["Content-Type: application/json"];
            Call::new("POST", &path, &headers, arguments.input.as_bytes())
        }
    };
    let connections = arguments.connections;
    let mut clients =
        (0..connections).map(|_| call.connect(node.address())).collect::<Result<Vec<_>, _>>()?;
    let plan = if language.is_some() { INTERPRETED } else { PLAN };
    let plan = Plan { warm_up: plan.warm_up * connections, runs: plan.runs * connections, ..plan };
    if arguments.warm.is_some() {
        thread::sleep(LATER);
    }
    let executions = profile.per_run(plan, |runs| {
        thread::scope(|scope| {
            let mut begun = Vec::new();
            for client in &mut clients {
                let runs = runs / connections;
                let call = &call;
                begun.push(scope.spawn(move || client.send(call, runs)));
            }
            begun.into_iter().try_for_each(|client| client.join().expect("it does not panic"))
        })
    });
    drop(node);
    // What stays behind takes room, and nothing else.
    let _ = fs::remove_dir_all(folder);
    executions.context("counting")
}

/// What gives the node the code, and the runtime before.
fn deployments(
    arguments: &Arguments,
    language: Option<Language>,
    code: &[u8],
) -> Result<Vec<Call>> {
    let Some(language) = language else { return Ok(vec![deployment(NAME, code)]) };
    let file = language.file();
    let runtime = fs::read(&file).with_context(|| file.display().to_string())?;
    let headers = [AUTHORIZATION, OCTETS];
    let kind = language.kind();
    let action = format!("{ACTIONS}/{NAME}?kind={kind}&overwrite=true&code=false&memory=128");
    let mut calls = vec![
        Call::new("PUT", &format!("/api/v1/runtimes/{kind}"), &headers, &runtime),
        Call::new("PUT", &action, &headers, code),
    ];
    if let Some(path) = &arguments.warm {
        calls.push(annotation(NAME, "warm", path));
    }
    Ok(calls)
}

/// The innermost place in this workspace; that of the compiled function if there is none.
fn own(places: &[Place]) -> Option<&Place> {
    let is_own = |place: &&Place| {
        let file = place.line.as_ref().map(|(file, _)| file);
        file.is_some_and(|file| workspace::root().join(file).is_file())
    };
    places.iter().find(is_own).or(places.last())
}

/// A function's name, behind its file: line tables name inlined functions without their module.
fn function(place: &Place) -> String {
    match &place.line {
        Some((file, _)) => format!("{file}  {}", place.function),
        None => place.function.clone(),
    }
}

/// The line of an instruction of a function whose name contains `function`.
fn line(places: &[Place], function: &str) -> Option<String> {
    let inside = places.iter().rposition(|place| place.function.contains(function))?;
    let place = own(places.get(..=inside)?)?;
    Some(place.to_string())
}
