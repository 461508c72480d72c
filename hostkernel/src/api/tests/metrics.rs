//! What is counted, and who sees whose.

use super::*;
use crate::config::ACTIONS_COUNTED_MAX;

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
fn actions_are_named_for_their_owner_alone() {
    let mut client = Client::with_hello();
    let administrator = client.authorization.take();
    for end in [End::Exit(0), End::Exit(1), End::Fault(Fault::Deadline { timeout_ms: 1 })] {
        let Reply::Invoke(admission) = client.send(Method::Get, "/function/hello", &[], b"") else {
            panic!("hello is deployed");
        };
        let (invocation, pending) = admission.split(TICKET);
        let completion = completion(invocation, end, b"", &[]);
        let now = Now { monotonic_ns: NOW.monotonic_ns + 3_500_000, ..NOW };
        ended(&mut client.node.statistics, &pending, &completion, now);
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
        let Reply::Invoke(admission) =
            client.send(Method::Get, &format!("/function/{name}"), &[], b"")
        else {
            panic!("{name} is deployed");
        };
        let (invocation, pending) = admission.split(TICKET);
        let completion = completion(invocation, End::Exit(0), b"", &[]);
        (0..2).for_each(|_| ended(&mut client.node.statistics, &pending, &completion, NOW));
    }
    let text = client.get("/metrics").text();
    let name = "hostkernel_invocations_total{namespace=";
    let counted = text.lines().filter(|line| line.starts_with(name));
    assert_eq!(counted.count(), ACTIONS_COUNTED_MAX + 1);
    let other = format!("{name}\"_\",action=\"other\",outcome=\"success\"}} 6\n");
    assert!(text.contains(&other), "{text}");
}
