//! What is counted, and who sees whose.

use super::*;
use crate::mitigation::{Leak, Mode, Threads, Words, decide};
use limits::ACTIONS_COUNTED_MAX;

#[test]
fn metrics_are_what_prometheus_reads() {
    let mut client = Client::with_hello();
    client.authorization = None;
    let answer = client.get("/metrics");
    let kind = answer.header("Content-Type");
    assert_eq!(kind, Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = answer.text();
    assert!(text.ends_with('\n'));
    for line in [
        "# TYPE hostkernel_memory_bytes gauge",
        "hostkernel_ready 1",
        "hostkernel_boot_seconds{phase=\"firmware\"} 0.000500000",
        "hostkernel_boot_seconds{phase=\"loader\"} 0.001500000",
        "hostkernel_actions 1",
        "hostkernel_inflight_invocations 2",
        "hostkernel_open_connections 3",
        "hostkernel_queued_invocations{cpu=\"1\"} 4",
        "hostkernel_cpu_seconds_total{cpu=\"1\",mode=\"idle\"} 0.001000000",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}");
    }
    for sample in text.lines().filter(|line| !line.starts_with('#')) {
        let value = sample.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok());
        assert!(value.is_some(), "{sample}");
    }
}

#[test]
fn what_becomes_of_leaks_is_a_sample_for_each() {
    let mut client = Client::with_hello();
    let name = "hostkernel_processor_leak{";
    assert!(!client.get("/metrics").text().contains(name), "not on a processor");
    let report = decide(&Words::default(), Mode::Auto, Threads::One);
    client.node.set_mitigations(report);
    let text = client.get("/metrics").text();
    let samples = text.lines().filter(|line| line.starts_with(name));
    assert!(samples.clone().all(|line| line.ends_with(" 1")));
    assert_eq!(samples.count(), Leak::COUNT);
    for (leak, state) in [
        ("meltdown", "mitigated"),
        ("mds", "needs microcode"),
        ("ssb", "left"),
        ("tsa", "not affected"),
    ] {
        let line = format!("{name}leak=\"{leak}\",state=\"{state}\"}} 1\n");
        assert!(text.contains(&line), "{line}{text}");
    }
}

#[test]
fn a_node_started_when_it_said_first() {
    const NAME: &str = "process_start_time_seconds";
    let mut client = Client::with_hello();
    let text = client.get("/metrics").text();
    let sample = |text: &str| {
        text.lines().find(|line| line.starts_with(NAME)).expect("there is a clock").to_string()
    };
    let first = sample(&text);
    let moved = Now { wall_ms: NOW.wall_ms + 1_000, ..NOW };
    assert_eq!(client.node.started_ms(moved), client.node.load.started_ms);
    assert_eq!(sample(&client.get("/metrics").text()), first);
    client.node.load.started_ms = None;
    assert_eq!(client.node.started_ms(Now { wall_ms: 0, ..NOW }), None);
    assert_eq!(client.node.started_ms(moved), Some(moved.wall_ms - NOW.monotonic_ns / 1_000_000));
}

fn admitted(client: &mut Client, name: &str) -> Admission {
    let target = format!("/function/{name}");
    let Reply::Invoke(admission) = client.send(Method::Get, &target, &[], b"") else {
        panic!("{name} is deployed");
    };
    admission
}

/// Lets an invocation end 3.5 ms after it was admitted.
fn end_with(client: &mut Client, admission: Admission, end: End) {
    let (invocation, mut pending) = admission.split(TICKET);
    let completion = completion(invocation, end, b"", &[]);
    let now = Now { monotonic_ns: NOW.monotonic_ns + 3_500_000, ..NOW };
    let Node { statistics, records, .. } = &mut client.node;
    Ended::count(statistics, &mut pending, completion, now).record(records);
}

#[test]
fn actions_are_named_for_their_owner_alone() {
    let mut client = Client::with_hello();
    let administrator = client.authorization.take();
    for end in [
        End::Exit(0),
        End::Exit(1),
        End::Fault(Fault::Deadline { timeout_ms: 1, instruction: None }),
    ] {
        let admission = admitted(&mut client, "hello");
        end_with(&mut client, admission, end);
    }
    client.get("/function/absent");
    let name = "hostkernel_invocations_total";
    let hello = "namespace=\"guest\",action=\"hello\"";
    let other = "namespace=\"_\",action=\"other\"";
    let text = client.get("/metrics").text();
    assert!(!text.contains("hello") && !text.contains("guest"), "{text}");
    for outcome in ["success", "error", "timeout"] {
        assert!(text.contains(&format!("{name}{{{other},outcome=\"{outcome}\"}} 1\n")), "{text}");
    }
    client.authorization = administrator;
    let text = client.get("/metrics").text();
    for line in [
        &format!("{name}{{{hello},outcome=\"timeout\"}} 1\n"),
        &format!("{name}{{{other},outcome=\"success\"}} 0\n"),
        &format!("hostkernel_action_memory_peak_bytes{{{hello}}} 49152\n"),
        "hostkernel_invocation_duration_seconds_bucket{le=\"0.0025\"} 0\n",
        "hostkernel_invocation_duration_seconds_bucket{le=\"0.005\"} 3\n",
        "hostkernel_invocation_duration_seconds_sum 0.010500000\n",
        "hostkernel_start_duration_seconds_bucket{le=\"0.0001\"} 3\n",
        "hostkernel_rejected_total{reason=\"request\"} 1\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
}

#[test]
fn more_actions_than_are_counted_are_counted_together() {
    let mut client = Client::with_hello();
    for number in 0..ACTIONS_COUNTED_MAX + 3 {
        let name = format!("a{number}");
        client.deploy(&name, "");
        for _ in 0..2 {
            let admission = admitted(&mut client, &name);
            end_with(&mut client, admission, End::Exit(0));
        }
    }
    let name = "hostkernel_invocations_total{namespace=";
    let counted = |client: &mut Client| {
        let text = client.get("/metrics").text();
        let other = format!("{name}\"_\",action=\"other\",outcome=\"success\"}} ");
        let others = text.lines().find_map(|line| line.strip_prefix(&other)?.parse().ok());
        (text.lines().filter(|line| line.starts_with(name)).count(), others)
    };
    assert_eq!(counted(&mut client), (ACTIONS_COUNTED_MAX + 1, Some(6)));
    // Whoever is deleted makes room for others, and what it did is not forgotten.
    let deleted = admitted(&mut client, "a7");
    client.ask(Method::Delete, "/api/v1/namespaces/_/actions/a7", b"");
    assert_eq!(counted(&mut client), (ACTIONS_COUNTED_MAX, Some(8)));
    end_with(&mut client, deleted, End::Exit(0));
    assert_eq!(counted(&mut client), (ACTIONS_COUNTED_MAX, Some(9)));
    client.deploy("late", "");
    for _ in 0..2 {
        let late = admitted(&mut client, "late");
        client.deploy("late", "");
        end_with(&mut client, late, End::Exit(0));
    }
    assert_eq!(counted(&mut client), (ACTIONS_COUNTED_MAX + 1, Some(9)));
    let text = client.get("/metrics").text();
    assert!(text.contains("action=\"late\",outcome=\"success\"} 2\n"), "{text}");
}
