//! What `hk top` shows: computed from two readings, and written as text or JSON. What a node does
//! not count is missing in both.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hk::{Histogram, Metrics};
use serde::Serialize;

use crate::output;

/// Actions in the table, by rate.
const ACTIONS_MAX: usize = 15;
/// Characters of a full bar.
const BAR_LEN: f64 = 20.0;
/// What the family of outcomes calls those that went well.
const GOOD: &str = "success";

/// One picture of a node.
#[derive(Debug, Default, Serialize)]
pub struct View {
    #[serde(skip_serializing_if = "Option::is_none")]
    uptime_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inflight: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connections: Option<f64>,
    /// Events in a second.
    per_second: BTreeMap<String, f64>,
    /// Invocations by outcome in a second.
    outcomes_per_second: BTreeMap<String, f64>,
    /// Refusals by reason in a second.
    rejected_per_second: BTreeMap<String, f64>,
    /// Of whole invocations.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_us: Option<Percentiles>,
    /// Of starts: from a free core to the action's first instruction.
    #[serde(skip_serializing_if = "Option::is_none")]
    start_us: Option<Percentiles>,
    /// By number of the core.
    cores: BTreeMap<u32, Core>,
    memory_bytes: BTreeMap<String, f64>,
    actions: Vec<ActionRate>,
}

#[derive(Debug, Serialize)]
struct Percentiles {
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
}

#[derive(Debug, Default, Serialize)]
struct Core {
    /// Share of the time it worked, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    busy: Option<f64>,
    /// Invocations that wait for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    queued: Option<f64>,
}

#[derive(Debug, Serialize)]
struct ActionRate {
    name: String,
    per_second: f64,
}

impl View {
    pub fn new(earlier: &Metrics, now: &Metrics, between: Duration) -> Self {
        let new = now.since(earlier);
        let seconds = between.as_secs_f64();
        let rates = |family: &str, label: &str| -> BTreeMap<String, f64> {
            let sums = new.by(family, label).into_iter();
            sums.map(|(key, count)| (key.to_owned(), count / seconds)).collect()
        };
        let invocations = "hostkernel_invocations_total";
        let families = [
            ("invocations", invocations),
            ("requests", "http_requests_total"),
            ("received_bytes", "net_rx_bytes_total"),
            ("sent_bytes", "net_tx_bytes_total"),
        ];
        let mut actions: Vec<_> = rates(invocations, "action")
            .into_iter()
            .filter(|(_, per_second)| *per_second > 0.0)
            .map(|(name, per_second)| ActionRate { name, per_second })
            .collect();
        actions.sort_by(|one, other| other.per_second.total_cmp(&one.per_second));
        actions.truncate(ACTIONS_MAX);
        let memory = now.by("hostkernel_memory_bytes", "kind").into_iter();
        Self {
            uptime_s: now.sum("process_start_time_seconds").and_then(uptime),
            inflight: now.sum("hostkernel_inflight_invocations"),
            connections: now.sum("hostkernel_open_connections"),
            per_second: families
                .into_iter()
                .filter_map(|(name, family)| Some((name.to_owned(), new.sum(family)? / seconds)))
                .collect(),
            outcomes_per_second: rates(invocations, "outcome"),
            rejected_per_second: rates("hostkernel_rejected_total", "reason"),
            duration_us: percentiles(&new.histogram("hostkernel_invocation_duration_seconds")),
            start_us: percentiles(&new.histogram("hostkernel_start_duration_seconds")),
            cores: cores(now, &new),
            memory_bytes: memory.map(|(kind, bytes)| (kind.to_owned(), bytes)).collect(),
            actions,
        }
    }

    /// The picture, at most 100 columns wide.
    pub fn text(&self, url: &str) -> String {
        let mut text = url.to_owned();
        if let Some(seconds) = self.uptime_s {
            let up = humantime::format_duration(Duration::from_secs(seconds as u64));
            let _ = write!(text, "   up {up}");
        }
        for (name, value) in [("in flight", self.inflight), ("connections", self.connections)] {
            if let Some(value) = value {
                let _ = write!(text, "   {name} {value}");
            }
        }
        text.push('\n');
        let rates = self.per_second.iter().map(|(name, rate)| match name.strip_suffix("_bytes") {
            Some(name) => format!("{name} {}/s", output::size(*rate as u64)),
            None => format!("{name} {rate:.1}/s"),
        });
        paragraph(&mut text, "", rates);
        let good = |name: &String| name.as_str() != GOOD;
        let outcomes = self.outcomes_per_second.iter().filter(|(name, _)| good(name));
        let failures = outcomes.chain(&self.rejected_per_second).filter(|(_, rate)| **rate > 0.0);
        paragraph(
            &mut text,
            "failed: ",
            failures.map(|(name, rate)| format!("{name} {rate:.1}/s")),
        );
        let histograms = [("duration", &self.duration_us), ("start", &self.start_us)];
        for (name, percentiles) in histograms {
            let Some(Percentiles { p50, p90, p99, p999 }) = percentiles else { continue };
            let [p50, p90, p99, p999] = [p50, p90, p99, p999].map(|microseconds| {
                output::time(Duration::from_secs_f64(microseconds.max(0.0) / 1e6))
            });
            let _ = writeln!(text, "{name:<9} p50 {p50}   p90 {p90}   p99 {p99}   p99.9 {p999}");
        }
        let memory = self.memory_bytes.iter();
        let memory = memory.map(|(kind, bytes)| {
            format!("{} {}", kind.replace('_', " "), output::size(*bytes as u64))
        });
        paragraph(&mut text, "memory: ", memory);
        for (number, Core { busy, queued }) in &self.cores {
            let _ = write!(text, "core {number:<3}");
            if let Some(busy) = busy {
                let bar = "█".repeat((busy * BAR_LEN).round() as usize);
                let _ = write!(text, " {:3.0} % ▕{bar:20}▏", busy * 100.0);
            }
            if let Some(queued) = queued {
                let _ = write!(text, " {queued} waiting");
            }
            text.push('\n');
        }
        for ActionRate { name, per_second } in &self.actions {
            let _ = writeln!(text, "{per_second:>10.1}/s  {name}");
        }
        text
    }
}

fn paragraph(text: &mut String, head: &str, parts: impl Iterator<Item = String>) {
    let parts: Vec<_> = parts.collect();
    if !parts.is_empty() {
        let _ = writeln!(text, "{head}{}", parts.join("   "));
    }
}

fn percentiles(histogram: &Histogram) -> Option<Percentiles> {
    let microseconds = |share| Some(histogram.quantile(share)? * 1e6);
    Some(Percentiles {
        p50: microseconds(0.5)?,
        p90: microseconds(0.9)?,
        p99: microseconds(0.99)?,
        p999: microseconds(0.999)?,
    })
}

/// Busy is what is busy of what was counted, so that it does not depend on our clock.
fn cores(now: &Metrics, new: &Metrics) -> BTreeMap<u32, Core> {
    const SECONDS: &str = "hostkernel_cpu_seconds_total";
    let mut cores: BTreeMap<u32, Core> = BTreeMap::new();
    let busy = new.with("mode", "busy");
    let busy = busy.by(SECONDS, "cpu");
    for (number, all) in new.by(SECONDS, "cpu") {
        if let Ok(core) = number.parse() {
            let busy = busy.get(number).copied().unwrap_or_default();
            let share = (all > 0.0).then(|| (busy / all).clamp(0.0, 1.0));
            cores.entry(core).or_default().busy = share;
        }
    }
    for (number, queued) in now.by("hostkernel_queued_invocations", "cpu") {
        if let Ok(core) = number.parse() {
            cores.entry(core).or_default().queued = Some(queued);
        }
    }
    cores
}

fn uptime(started_s: f64) -> Option<f64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    // A node whose clock is ahead of ours has been up for no time at all.
    Some((now.as_secs_f64() - started_s).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLIER: &str = "hostkernel_invocations_total{action=\"hello\",outcome=\"success\"} 10\n\
        hostkernel_cpu_seconds_total{cpu=\"0\",mode=\"busy\"} 1\n\
        hostkernel_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 1\n";
    const NOW: &str = "hostkernel_invocations_total{action=\"hello\",outcome=\"success\"} 30\n\
        hostkernel_invocations_total{action=\"bad\",outcome=\"fault\"} 4\n\
        hostkernel_cpu_seconds_total{cpu=\"0\",mode=\"busy\"} 1.5\n\
        hostkernel_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 2.5\n\
        hostkernel_queued_invocations{cpu=\"1\"} 3\n\
        hostkernel_invocation_duration_seconds_bucket{le=\"0.001\"} 24\n\
        hostkernel_invocation_duration_seconds_bucket{le=\"+Inf\"} 24\n";

    #[test]
    fn rates_are_of_what_is_new() {
        let (earlier, now) = (Metrics::parse(EARLIER), Metrics::parse(NOW));
        let view = View::new(&earlier, &now, Duration::from_secs(2));
        assert_eq!(view.per_second["invocations"], 12.0);
        assert_eq!(view.outcomes_per_second["success"], 10.0);
        assert_eq!(view.cores[&0].busy, Some(0.25));
        assert_eq!(view.cores[&1].queued, Some(3.0));
        assert_eq!(view.actions[0].name, "hello");
        let text = view.text("http://node");
        for expected in ["invocations 12.0/s", "failed: fault 2.0/s", "p50 500 µs", " 25 % "] {
            assert!(text.contains(expected), "{expected} is not in {text}");
        }
    }

    #[test]
    fn a_node_that_counts_little_is_shown_too() {
        let metrics = Metrics::parse("hostkernel_inflight_invocations 2\n");
        let text = View::new(&metrics, &metrics, Duration::from_secs(1)).text("http://node");
        assert_eq!(text, "http://node   in flight 2\n");
    }
}
