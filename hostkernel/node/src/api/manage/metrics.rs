//! `GET /metrics`: the text format of Prometheus, version 0.0.4.
//!
//! Whoever asks sees the sums of everything. What the actions are called is their owners' business:
//! an action has samples of its own for who sends the key of its namespace, or the administrator's.

use core::fmt::{self, Display, Write as _};

use crate::api::answer::error::Reject;
use crate::api::answer::respond;
use crate::api::request::Parts;
use crate::document::Document;
use crate::http::{Body, FieldLine, Response};
use crate::registry::{Namespace, Purpose};
use crate::state::Node;
use crate::state::Now;
use crate::state::Readiness;
use crate::state::histogram::Histogram;
use crate::state::machine::{MachineCounts, Source};
use crate::state::statistics::{ActionCounts, Outcome, Statistics, Traffic};
use crate::state::store::{FetchOutcome, StoreCounts};
use limits::PAGE_LEN;
use memory::{frames, heap_free};

/// What Prometheus insists on, to the letter.
const METRICS: FieldLine =
    FieldLine::new("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n");

const NS_PER_S: u64 = 1_000_000_000;

/// Whose actions are named.
enum Viewer<'a> {
    Anybody,
    Tenant(&'a Namespace),
    Administrator,
}

impl Viewer<'_> {
    fn may_name(&self, counts: &ActionCounts) -> bool {
        counts.action.as_ref().is_some_and(|(namespace, _)| match self {
            Viewer::Anybody => false,
            Viewer::Tenant(own) => namespace == *own,
            Viewer::Administrator => true,
        })
    }
}

/// The answer to `GET /metrics`.
pub fn metrics(parts: &Parts<'_>, node: &mut Node) -> Result<Response, Reject> {
    let started_ms = node.started_ms(parts.now);
    let authorization = parts.headers.get("authorization");
    let viewer = if node.policy.tenants.is_admin(authorization) {
        Viewer::Administrator
    } else {
        let tenant = node.policy.tenants.authenticate(authorization);
        tenant.map_or(Viewer::Anybody, |tenant| Viewer::Tenant(&tenant.namespace))
    };
    let pages = Document::compose(|out| {
        write_node(out, node, started_ms, parts.now)?;
        write_actions(out, &node.statistics, &viewer)?;
        write_requests(out, &node.statistics)?;
        if let Some(store) = &node.load.store {
            write_store(out, store)?;
        }
        write_traffic(out, &node.load.traffic)?;
        write_cores(out, node, parts.now)?;
        write_machine(out, &node.load.machine)
    })?;
    Ok(respond::plain(200, METRICS, Body::Pages(pages), &parts.request_id))
}

/// The head of a family of samples.
fn family(out: &mut Document, kind: &str, name: &str, help: &str) -> fmt::Result {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

/// A gauge without labels.
fn gauge(out: &mut Document, name: &str, help: &str, value: impl Display) -> fmt::Result {
    family(out, "gauge", name, help)?;
    writeln!(out, "{name} {value}")
}

fn write_node(out: &mut Document, node: &Node, started_ms: Option<u64>, now: Now) -> fmt::Result {
    family(out, "gauge", "hostkernel_build_info", "Version and build of the node; always 1.")?;
    writeln!(out, "hostkernel_build_info{{version=\"{}\"}} 1", Label(&node.policy.build))?;
    let is_ready = u8::from(node.readiness == Readiness::Ready);
    gauge(out, "hostkernel_ready", "Whether the node takes requests.", is_ready)?;
    if let Some(start_ms) = started_ms {
        let help = "When the kernel was entered, since 1970.";
        gauge(out, "process_start_time_seconds", help, Seconds(start_ms * 1_000_000))?;
    }
    let name = "hostkernel_boot_seconds";
    family(out, "gauge", name, "Time of the boot, from power on to ready, by phase.")?;
    for (phase, ns) in node.load.boot_times.phases() {
        writeln!(out, "{name}{{phase=\"{phase}\"}} {}", Seconds(ns))?;
    }
    write_clock(out, node, now)?;
    write_mitigations(out, node)?;
    let name = "hostkernel_memory_bytes";
    let help = "Memory by kind: installed, available to images and invocations, kernel heap.";
    family(out, "gauge", name, help)?;
    for (kind, bytes) in [
        ("installed", frames::installed() * PAGE_LEN),
        ("available", frames::available() * PAGE_LEN),
        ("heap_free", heap_free()),
    ] {
        writeln!(out, "{name}{{kind=\"{kind}\"}} {bytes}")?;
    }
    gauge(out, "hostkernel_actions", "Deployed actions.", node.registry.len())?;
    let help = "Invocations admitted and not yet answered.";
    gauge(out, "hostkernel_inflight_invocations", help, node.load.in_flight)?;
    let help = "Deploys whose code is being read.";
    gauge(out, "hostkernel_inflight_deploys", help, node.load.deploys)?;
    let help = "Open TCP connections to the API.";
    gauge(out, "hostkernel_open_connections", help, node.load.connections)?;
    let help = "The most connections there can be.";
    gauge(out, "hostkernel_connections_max", help, node.load.connections_max)?;
    let name = "hostkernel_connects_dropped_total";
    family(out, "counter", name, "Attempts to connect that found no room and got no answer.")?;
    writeln!(out, "{name} {}", node.load.connects_dropped)?;
    let name = "hostkernel_held_bytes";
    family(out, "gauge", name, "What requests, answers and code on its way hold, by purpose.")?;
    for purpose in Purpose::ALL {
        let held_len = node.books.held_len(purpose);
        writeln!(out, "{name}{{purpose=\"{}\"}} {held_len}", purpose.name())?;
    }
    let name = "hostkernel_held_bytes_max";
    family(out, "gauge", name, "What they may hold.")?;
    for purpose in Purpose::ALL {
        let budget_len = node.budget_len(purpose);
        writeln!(out, "{name}{{purpose=\"{}\"}} {budget_len}", purpose.name())?;
    }
    let name = "hostkernel_answers_dropped_total";
    let help = "Answers given up for others of their namespace before their clients took them.";
    family(out, "counter", name, help)?;
    writeln!(out, "{name} {}", node.load.answers_dropped)?;
    let name = "hostkernel_log_dropped_total";
    family(out, "counter", name, "Lines that found no room on the way to the log server.")?;
    let lost = node.syslog.as_ref().map_or(0, |queue| queue.lost());
    writeln!(out, "{name} {lost}")
}

fn write_clock(out: &mut Document, node: &Node, now: Now) -> fmt::Result {
    let source = match (node.load.clock_is_synchronised, now.wall_ms) {
        (true, _) => "sntp",
        (false, 0) => "none",
        (false, _) => "machine",
    };
    let name = "hostkernel_clock_source_info";
    family(out, "gauge", name, "What the wall clock goes by; always 1.")?;
    writeln!(out, "{name}{{source=\"{source}\"}} 1")?;
    let help = "By how much the wall clock was behind a time server when that was last asked.";
    let offset_ns = node.load.clock_offset_ns;
    let sign = if offset_ns < 0 { "-" } else { "" };
    let offset = Seconds(offset_ns.unsigned_abs());
    gauge(out, "hostkernel_clock_offset_seconds", help, format_args!("{sign}{offset}"))?;
    let name = "hostkernel_clock_answers_doubted_total";
    family(out, "counter", name, "Answers of a time server that the wall clock did not follow.")?;
    writeln!(out, "{name} {}", node.load.clock_answers_doubted)
}

fn write_mitigations(out: &mut Document, node: &Node) -> fmt::Result {
    let Some(report) = &node.load.mitigations else { return Ok(()) };
    let name = "hostkernel_processor_leak";
    family(out, "gauge", name, "What becomes of each leak of processors on this one; always 1.")?;
    for (leak, state) in report.leaks() {
        let (leak, state) = (leak.name(), state.label());
        writeln!(out, "{name}{{leak=\"{leak}\",state=\"{state}\"}} 1")?;
    }
    Ok(())
}

fn write_actions(out: &mut Document, statistics: &Statistics, viewer: &Viewer) -> fmt::Result {
    let mut others = ActionCounts::default();
    let is_named = |counts: &&ActionCounts| viewer.may_name(counts);
    statistics.actions().filter(|counts| !is_named(counts)).for_each(|counts| others.add(counts));
    let all = || statistics.actions().filter(is_named).chain([&others]);
    let name = "hostkernel_invocations_total";
    let help = "Invocations by how they ended. Actions without samples of their own are other.";
    family(out, "counter", name, help)?;
    for counts in all() {
        for (outcome, count) in Outcome::ALL.into_iter().zip(counts.outcomes) {
            // Success is always there: a rate needs a sample from before the first one.
            if count > 0 || outcome == Outcome::Success {
                let outcome = outcome.name();
                writeln!(out, "{name}{{{},outcome=\"{outcome}\"}} {count}", Whose(counts))?;
            }
        }
    }
    let name = "hostkernel_action_memory_peak_bytes";
    let help = "The most memory one invocation had at a time, page tables included.";
    family(out, "gauge", name, help)?;
    for counts in all() {
        let bytes = u64::from(counts.frames_peak) * PAGE_LEN as u64;
        writeln!(out, "{name}{{{}}} {bytes}", Whose(counts))?;
    }
    let help = "From admission to the end of an invocation.";
    write_histogram(out, "hostkernel_invocation_duration_seconds", help, &statistics.duration)?;
    let help = "Making the address space of an invocation.";
    write_histogram(out, "hostkernel_start_duration_seconds", help, &statistics.start)
}

fn write_histogram(out: &mut Document, name: &str, help: &str, of: &Histogram) -> fmt::Result {
    family(out, "histogram", name, help)?;
    for (end, count) in of.cumulative() {
        writeln!(out, "{name}_bucket{{le=\"{end}\"}} {count}")?;
    }
    writeln!(out, "{name}_sum {}\n{name}_count {}", Seconds(of.sum_ns()), of.count())
}

fn write_requests(out: &mut Document, statistics: &Statistics) -> fmt::Result {
    let name = "hostkernel_rejected_total";
    family(out, "counter", name, "Requests refused, by reason. Nothing ran.")?;
    for (reason, count) in statistics.refusals() {
        writeln!(out, "{name}{{reason=\"{}\"}} {count}", reason.name())?;
    }
    let name = "http_requests_total";
    family(out, "counter", name, "Answers by status and method of the request.")?;
    for (status, method, count) in statistics.answers().filter(|(_, _, count)| *count > 0) {
        match status {
            0 => write!(out, "{name}{{code=\"other\"")?,
            status => write!(out, "{name}{{code=\"{status}\"")?,
        }
        writeln!(out, ",method=\"{method}\"}} {count}")?;
    }
    Ok(())
}

fn write_traffic(out: &mut Document, traffic: &Traffic) -> fmt::Result {
    let Traffic { received, sent } = traffic;
    for (name, help, count) in [
        ("net_rx_bytes_total", "Bytes of frames received.", received.bytes),
        ("net_rx_packets_total", "Frames received.", received.frames),
        ("net_rx_dropped_total", "Frames received and not accepted.", received.dropped),
        ("net_tx_bytes_total", "Bytes of frames sent.", sent.bytes),
        ("net_tx_packets_total", "Frames sent.", sent.frames),
        ("net_tx_dropped_total", "Frames for which the card had no room.", sent.dropped),
    ] {
        family(out, "counter", name, help)?;
        writeln!(out, "{name} {count}")?;
    }
    Ok(())
}

fn write_store(out: &mut Document, store: &StoreCounts) -> fmt::Result {
    let name = "hostkernel_store_fetches_total";
    family(out, "counter", name, "Questions to the registry for an action, by outcome.")?;
    for (outcome, count) in FetchOutcome::ALL.into_iter().zip(store.fetches) {
        writeln!(out, "{name}{{outcome=\"{}\"}} {count}", outcome.name())?;
    }
    let name = "hostkernel_store_fetch_seconds_total";
    family(out, "counter", name, "How long they took, all together.")?;
    writeln!(out, "{name} {}", Seconds(store.fetch_ns))?;
    for (name, help, count) in [
        ("hostkernel_store_fetched_bytes_total", "Bytes of code fetched.", store.fetched_len),
        ("hostkernel_store_hits_total", "Uses of actions confirmed a moment ago.", store.hits),
        (
            "hostkernel_store_stale_total",
            "Uses of actions that the registry could not confirm.",
            store.stale,
        ),
        ("hostkernel_store_evicted_total", "Actions that made room for others.", store.evicted),
    ] {
        family(out, "counter", name, help)?;
        writeln!(out, "{name} {count}")?;
    }
    let help = "Requests that wait for the registry.";
    gauge(out, "hostkernel_store_waiting_requests", help, store.waiting)?;
    let help = "Actions that the node has and the registry had.";
    gauge(out, "hostkernel_store_held_actions", help, store.held)?;
    let help = "Whether the registry answered when it was asked last.";
    gauge(out, "hostkernel_store_up", help, u8::from(!store.is_away))
}

fn write_cores(out: &mut Document, node: &Node, now: Now) -> fmt::Result {
    let cores = &node.load.cores;
    let name = "hostkernel_queued_invocations";
    family(out, "gauge", name, "Invocations that wait, by the core in whose queue they are.")?;
    for core in cores {
        if let Some(queued) = core.queued {
            writeln!(out, "{name}{{cpu=\"{}\"}} {queued}", core.core)?;
        }
    }
    let help = "Invocations that wait for their turn, before they are in a core's queue.";
    gauge(out, "hostkernel_backlog_invocations", help, node.load.backlog)?;
    let name = "hostkernel_cpu_seconds_total";
    family(out, "counter", name, "Time since the boot, by core: halted, or not.")?;
    for core in cores {
        let busy_ns = now.monotonic_ns.saturating_sub(core.idle_ns);
        for (mode, ns) in [("busy", busy_ns), ("idle", core.idle_ns)] {
            writeln!(out, "{name}{{cpu=\"{}\",mode=\"{mode}\"}} {}", core.core, Seconds(ns))?;
        }
    }
    Ok(())
}

fn write_machine(out: &mut Document, machine: &MachineCounts) -> fmt::Result {
    let sources = || Source::ALL.into_iter().map(Source::name).zip(machine.sources);
    let name = "hostkernel_interrupts_total";
    family(out, "counter", name, "Interrupts of the network's core, by source.")?;
    for (source, counts) in sources() {
        writeln!(out, "{name}{{source=\"{source}\"}} {}", counts.interrupts)?;
    }
    let name = "hostkernel_interrupts_unserviced_total";
    family(out, "counter", name, "Those among them for which nothing was to be done.")?;
    for (source, counts) in sources() {
        writeln!(out, "{name}{{source=\"{source}\"}} {}", counts.unserviced)?;
    }
    let name = "hostkernel_interrupt_polled";
    family(out, "gauge", name, "Whether a source was switched off for that, and is polled.")?;
    for (source, counts) in sources() {
        writeln!(out, "{name}{{source=\"{source}\"}} {}", u8::from(counts.is_polled))?;
    }
    for (name, help, count) in [
        ("hostkernel_nmi_total", "Non-maskable interrupts survived.", machine.nmis),
        (
            "hostkernel_machine_errors_corrected_total",
            "Errors that the hardware found and corrected, as its machine check banks say.",
            machine.errors_corrected,
        ),
    ] {
        family(out, "counter", name, help)?;
        writeln!(out, "{name} {count}")?;
    }
    Ok(())
}

/// The labels that say whose samples follow. No namespace is called `_`.
struct Whose<'a>(&'a ActionCounts);

impl Display for Whose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.action.as_ref();
        let (namespace, action) =
            names.map_or(("_", "other"), |names| (names.0.as_str(), names.1.as_str()));
        write!(f, "namespace=\"{}\",action=\"{}\"", Label(namespace), Label(action))
    }
}

/// The value of a label.
struct Label<'a>(&'a str);

impl Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| match char {
            '"' | '\\' => write!(f, "\\{char}"),
            '\n' => f.write_str("\\n"),
            char => f.write_char(char),
        })
    }
}

/// Nanoseconds, as seconds.
struct Seconds(u64);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0 / NS_PER_S, self.0 % NS_PER_S)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn values_are_written_as_prometheus_reads_them() {
        assert_eq!(Label("a\"b\\c\nd").to_string(), r#"a\"b\\c\nd"#);
        assert_eq!(Seconds(1_000_000_007).to_string(), "1.000000007");
    }
}
