//! What an operator relies on: metrics, health, leaving without losing anything.

use std::io::Write as _;
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use system_tests::{
    AUTHORIZATION, BOOT_TIMEOUT, Connection, TestNode, boot, clients, exposition, machine, request,
};

/// What `promtool` has to say.
fn promtool(text: &str) {
    let mut check = Command::new(clients::promtool())
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    let mut input = check.stdin.take().expect("piped");
    input.write_all(text.as_bytes()).expect("it reads");
    drop(input);
    let output = check.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&said));
    assert!(said.is_empty(), "{}\n{text}", String::from_utf8_lossy(&said));
}

fn metrics(node: &TestNode, headers: &[&str]) -> String {
    let answer = node.request("GET", "/metrics", headers, b"");
    let kind = answer.header("content-type");
    assert_eq!(kind, Some("text/plain; version=0.0.4; charset=utf-8"));
    answer.text()
}

/// Calls of a function that takes its time, more than the node has connections.
#[test]
fn who_waits_for_a_slow_function_keeps_no_health_check_out() {
    let node = boot(machine().memory_mib(64));
    node.deploy("sleepless");
    let max = node.metric("hostkernel_connections_max") as usize;
    let slow = request("POST", "/function/sleepless", &[], br#"{"ms":30000}"#);
    let mut waiting = Vec::new();
    for _ in 0..max + 20 {
        let mut connection = node.connect();
        connection.send(&slow).expect("an open connection");
        waiting.push(connection);
    }
    let begun = Instant::now();
    while node.metric("hostkernel_rejected_total{reason=\"connections\"}") == 0 {
        assert!(begun.elapsed() < BOOT_TIMEOUT, "nobody was refused");
        thread::sleep(Duration::from_millis(100));
    }
    for path in ["/healthz", "/readyz", "/metrics", "/ping"] {
        assert_eq!(node.get(path).status, 200, "{path}");
    }
    assert_eq!(node.request("GET", "/api/v1/namespaces", &[AUTHORIZATION], b"").status, 200);
    assert!(node.metric("hostkernel_inflight_invocations") < max as u64);
}

#[test]
fn the_metrics_are_what_prometheus_reads() {
    let node = boot(machine().cores(2));
    exposition::samples(&metrics(&node, &[AUTHORIZATION]));
    promtool(&metrics(&node, &[AUTHORIZATION]));
    node.deploy("hello");
    node.deploy("faults");
    (0..3).for_each(|_| node.greets("A"));
    assert_eq!(
        node.request("POST", "/function/faults", &[], b"{\"kind\":\"read-null\"}").status,
        502
    );
    assert_eq!(node.get("/function/absent").status, 404);
    let mut nonsense = node.connect();
    nonsense.send(b"nonsense\r\n\r\n").expect("an open connection");
    nonsense.receive().expect("an answer");

    let anybody = metrics(&node, &[]);
    promtool(&anybody);
    assert!(!anybody.contains("hello") && !anybody.contains("guest"), "{anybody}");
    let text = metrics(&node, &[AUTHORIZATION]);
    promtool(&text);
    let samples = exposition::samples(&text);
    let hello = "namespace=\"guest\",action=\"hello\"";
    for (name, value) in [
        (&format!("hostkernel_invocations_total{{{hello},outcome=\"success\"}}")[..], 3.0),
        ("hostkernel_invocation_duration_seconds_count", 4.0),
        ("hostkernel_rejected_total{reason=\"http\"}", 1.0),
        ("http_requests_total{code=\"404\",method=\"GET\"}", 1.0),
        ("http_requests_total{code=\"502\",method=\"POST\"}", 1.0),
        ("hostkernel_queued_invocations{cpu=\"1\"}", 0.0),
    ] {
        assert_eq!(samples.get(name), Some(&value), "{name}\n{text}");
    }
    let value = |name: &str| samples.get(name).copied().unwrap_or_else(|| panic!("{name}\n{text}"));
    assert!(value(&format!("hostkernel_action_memory_peak_bytes{{{hello}}}")) > 4096.0);
    assert!(value("net_rx_bytes_total") > value("net_rx_packets_total") * 40.0);
    assert!(value("net_tx_bytes_total") > value("net_tx_packets_total") * 40.0);
    assert!(value("process_start_time_seconds") > 1.7e9);
    for phase in ["firmware", "kernel"] {
        assert!(value(&format!("hostkernel_boot_seconds{{phase=\"{phase}\"}}")) > 0.0, "{text}");
    }
    for core in 0..2 {
        let mode = |mode| {
            value(&format!("hostkernel_cpu_seconds_total{{cpu=\"{core}\",mode=\"{mode}\"}}"))
        };
        assert!(mode("busy") > 0.0 && mode("idle") > 0.0, "{text}");
    }
    // Time goes on, and nothing that is counted goes back.
    let later = exposition::samples(&metrics(&node, &[AUTHORIZATION]));
    for (name, value) in samples.iter().filter(|(name, _)| name.contains("_total")) {
        assert!(later[name] >= *value, "{name}");
    }
}

/// How long a node that was asked to leave takes new connections.
const ACCEPTS: Duration = Duration::from_secs(10);

/// Invokes `hello` over and over. Returns how many were answered when the node takes no more, which
/// must not be before `drained` has been so for [`ACCEPTS`].
fn load(node: &TestNode, drained: &OnceLock<Instant>) -> usize {
    let ask = request("POST", "/function/hello", &[], b"{\"name\":\"B\"}");
    let may_end = || drained.get().is_some_and(|since| since.elapsed() >= ACCEPTS);
    let mut answered = 0;
    loop {
        let Ok(mut connection) = Connection::open(node.address()) else {
            assert!(may_end(), "refused after {answered} answers");
            return answered;
        };
        // Some connections are used again, as long as the node does not close them.
        for _ in 0..3 {
            let answer = connection.send(&ask).and_then(|()| connection.receive());
            match answer {
                Ok(answer) if answer.status == 200 => {
                    assert_eq!(answer.text(), "{\"greeting\":\"Hello, B!\"}");
                    answered += 1;
                    if answer.header("connection") == Some("close") {
                        break;
                    }
                    assert!(!may_end(), "a node that leaves closes its connections");
                }
                Ok(answer) => {
                    assert_eq!(answer.status, 503, "{}", answer.text());
                    assert!(may_end(), "{} after {answered} answers", answer.text());
                    return answered;
                }
                Err(error) => {
                    assert!(may_end(), "{error} after {answered} answers");
                    return answered;
                }
            }
        }
    }
}

#[test]
fn a_node_that_drains_under_load_loses_nothing() {
    let node = boot(machine().cores(2));
    node.deploy("hello");
    node.deploy("sleepless");
    let drained = OnceLock::new();
    thread::scope(|scope| {
        let loads: Vec<_> = (0..3).map(|_| scope.spawn(|| load(&node, &drained))).collect();
        // It outlasts the bound of ten seconds that there was once.
        let long = scope.spawn(|| node.activation("sleepless", &json!({ "ms": 15_000 })));
        thread::sleep(Duration::from_secs(1));
        assert_eq!(node.request("POST", "/admin/drain", &[], b"").status, 401);
        let answer = node.request("POST", "/admin/drain", &[AUTHORIZATION], b"");
        assert_eq!((answer.status, answer.text()), (202, "{\"draining\":true}".to_owned()));
        drained.set(Instant::now()).expect("set once");
        let ready = node.get("/readyz?verbose");
        assert_eq!((ready.status, ready.header("retry-after")), (503, Some("1")));
        assert!(ready.text().contains("[-]shutdown draining"), "{}", ready.text());
        assert_eq!(node.get("/healthz").status, 200);
        for load in loads {
            assert!(load.join().expect("no answer is lost") > 0);
        }
        let record = long.join().expect("no answer is lost");
        assert_eq!(record["response"]["success"], true, "{record}");
    });
    let status = node.wait_exit(BOOT_TIMEOUT);
    assert!(status.is_some_and(|status| status.success()), "{status:?}");
}

/// Seconds from 1900, where NTP begins, to 1970.
const UNIX_S: u64 = 2_208_988_800;

/// A time server: answers one question with a time that is `ahead` of this computer's.
fn tell_time(server: &UdpSocket, ahead: Duration) {
    let mut question = [0; 64];
    server.set_read_timeout(Some(BOOT_TIMEOUT)).expect("a bound");
    let (len, from) = server.recv_from(&mut question).expect("the node asks");
    assert_eq!((len, question[0]), (48, 0x23));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970") + ahead;
    let mut answer = [0; 48];
    answer[..2].copy_from_slice(&[0x24, 1]);
    answer[24..32].copy_from_slice(&question[40..48]);
    for at in [32, 40] {
        let seconds = (now.as_secs() + UNIX_S) as u32;
        let fraction = ((u64::from(now.subsec_nanos()) << 32) / 1_000_000_000) as u32;
        answer[at..at + 4].copy_from_slice(&seconds.to_be_bytes());
        answer[at + 4..at + 8].copy_from_slice(&fraction.to_be_bytes());
    }
    server.send_to(&answer, from).expect("the node is there");
}

#[test]
fn a_time_server_sets_the_clock() {
    const AHEAD: Duration = Duration::from_secs(100 * 86_400);
    let server = UdpSocket::bind(("127.0.0.1", 0)).expect("a port");
    let port = server.local_addr().expect("an address").port();
    thread::scope(|scope| {
        scope.spawn(|| tell_time(&server, AHEAD));
        let node = boot(machine().kernel_words(format!("hostkernel.ntp=10.0.2.2:{port}")));
        node.deploy("hello");
        let source = "hostkernel_clock_source_info{source=\"sntp\"}";
        let deadline = Instant::now() + BOOT_TIMEOUT;
        let samples = loop {
            let samples = exposition::samples(&metrics(&node, &[]));
            if samples.contains_key(source) {
                break samples;
            }
            assert!(Instant::now() < deadline, "the clock is not set");
            thread::sleep(Duration::from_millis(100));
        };
        let offset_s = samples["hostkernel_clock_offset_seconds"];
        assert!((offset_s - AHEAD.as_secs_f64()).abs() < 60.0, "{offset_s}");
        let record = node.activation("hello", &json!({ "name": "A" }));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970") + AHEAD;
        let start_ms = record["start"].as_u64().expect("a time");
        assert!(now.as_millis().abs_diff(start_ms.into()) < 60_000, "{record}");
    });
}

#[test]
fn the_log_is_json_from_the_first_line_on() {
    let node = boot(machine().kernel_words("log=json colour=red"));
    let log = node.serial();
    let lines: Vec<Value> = log
        .lines()
        .skip_while(|line| !line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let has = |level: &str, part: &str| {
        let says = |line: &Value| line["msg"].as_str().is_some_and(|msg| msg.contains(part));
        lines.iter().any(|line| line["level"] == level && says(line))
    };
    assert!(lines[0]["up_us"].is_u64(), "no wall clock yet: {log}");
    assert!(has("info", "hostkernel ") && has("info", "ready after"), "{log}");
    assert!(has("error", "\"colour\" ignored: unknown key"), "{log}");
    let last = lines.last().and_then(|line| line["ts"].as_str()).expect("a time");
    assert!(last.starts_with("20") && last.ends_with('Z') && last.len() == 27, "{last}");
}
