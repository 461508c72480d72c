//! What a log server gets of a node: its log, and a line for each request, by the letter of
//! RFC 5424.

use std::net::UdpSocket;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use syslog_rfc5424::{SyslogFacility, SyslogMessage, SyslogSeverity, parse_message};
use system_tests::{ACTIONS, BOOT_TIMEOUT, TestNode, boot, machine};

/// A log server on this computer, which the node knows as 10.0.2.2.
struct Server(UdpSocket);

impl Server {
    fn open() -> (Self, String) {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a port");
        let port = socket.local_addr().expect("an address").port();
        (Self(socket), format!("hostkernel.syslog=10.0.2.2:{port}"))
    }

    /// The next line, if one comes in time.
    fn line(&self, timeout: Duration) -> Option<SyslogMessage> {
        self.0.set_read_timeout(Some(timeout)).expect("a bound");
        let mut bytes = [0; 2048];
        let (len, _) = self.0.recv_from(&mut bytes).ok()?;
        assert!(len <= 1024, "{len} bytes");
        let text = std::str::from_utf8(&bytes[..len]).expect("UTF-8");
        assert!(!text.contains(|char: char| char.is_ascii_control()), "{text:?}");
        let message = parse_message(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(message.facility, SyslogFacility::LOG_LOCAL0, "{text}");
        assert_eq!(message.hostname.as_deref(), Some("10.0.2.15"), "{text}");
        assert_eq!((message.appname.as_deref(), &message.procid), (Some("hostkernel"), &None));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let at_s = message.timestamp.unwrap_or_else(|| panic!("no time: {text}"));
        assert!(now.as_secs().abs_diff(at_s as u64) < 600, "{text}");
        Some(message)
    }

    /// The next line of a kind.
    fn next(&self, kind: &str) -> SyslogMessage {
        loop {
            let message = self.line(BOOT_TIMEOUT).unwrap_or_else(|| panic!("no {kind} line"));
            if message.msgid.as_deref() == Some(kind) {
                return message;
            }
        }
    }

    /// The next line about a request: its severity, a look at its parameters, and its message.
    fn access(&self) -> Access {
        Access(self.next("access"))
    }
}

struct Access(SyslogMessage);

impl Access {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.sd.find_tuple("hostkernel@32473", name).map(String::as_str)
    }

    /// Checks what every one has.
    fn is(&self, severity: SyslogSeverity, status: &str, message: &str) {
        let line = &self.0;
        assert_eq!((line.severity, line.msg.as_str()), (severity, message), "{line:?}");
        assert_eq!(self.get("status"), Some(status), "{line:?}");
        let us: u64 = self.get("dur_us").and_then(|us| us.parse().ok()).expect("a number");
        assert!(us < 60_000_000, "{line:?}");
    }
}

fn ask(node: &TestNode, method: &str, target: &str, fields: &[&str], body: &[u8]) -> String {
    let answer = node.request(method, target, fields, body);
    answer.header("x-request-id").expect("every answer has one").to_owned()
}

#[test]
fn a_log_server_hears_of_the_node_and_of_every_request() {
    let (server, word) = Server::open();
    let node = boot(machine().cores(2).kernel_words(word));
    let said: Vec<_> = std::iter::repeat_with(|| server.next("log").msg)
        .take_while(|message| !message.starts_with("ready after"))
        .collect();
    let has = |part: &str| said.iter().any(|message| message.contains(part));
    assert!(has("configuration: 1 from command line") && has("address 10.0.2.15"), "{said:#?}");
    node.deploy("hello");
    node.deploy("faults");
    for name in ["hello", "faults"] {
        let message = format!("PUT /api/v1/namespaces/_/actions/{name}");
        server.access().is(SyslogSeverity::SEV_INFO, "200", &message);
    }

    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let fields = ["X-Request-ID: a]\"\\b", &format!("traceparent: 00-{trace}-00f067aa0ba902b7-01")];
    assert_eq!(ask(&node, "POST", "/function/hello", &fields, b"{}"), "a]\"\\b");
    let line = server.access();
    line.is(SyslogSeverity::SEV_INFO, "200", "POST /function/hello");
    let of = |name| line.get(name).unwrap_or_else(|| panic!("{name}: {:?}", line.0));
    assert_eq!((of("namespace"), of("action"), of("outcome")), ("guest", "hello", "success"));
    assert_eq!((of("req"), of("trace"), of("aid").len()), ("a]\"\\b", trace, 32));

    let id = ask(&node, "POST", "/function/faults", &[], b"{\"kind\":\"read-null\"}");
    let line = server.access();
    line.is(SyslogSeverity::SEV_WARNING, "502", "POST /function/faults");
    assert_eq!((line.get("outcome"), line.get("req")), (Some("fault"), Some(&id[..])));

    let long = format!("/absent/{}", "x".repeat(4000));
    for (method, target, status) in [
        ("GET", "/function/absent?token=secret", "404"),
        ("GET", ACTIONS, "401"),
        ("PUT", &format!("{ACTIONS}/hello"), "401"),
        ("GET", &long, "404"),
    ] {
        let id = ask(&node, method, target, &[], if method == "PUT" { b"body" } else { b"" });
        let line = server.access();
        let path = target.split('?').next().unwrap_or_default();
        let message = format!("{method} {path}");
        let cut = message.get(..line.0.msg.len()).unwrap_or_default();
        assert!(message.len() < 500 && cut == message || cut.len() > 500, "{:?}", line.0);
        line.is(SyslogSeverity::SEV_INFO, status, cut);
        assert_eq!((line.get("req"), line.get("aid")), (Some(&id[..]), None));
    }
    assert_eq!(node.get("/healthz").status, 200);
    assert_eq!(node.metric("hostkernel_log_dropped_total"), 0);
    let more = server.line(Duration::from_secs(1));
    assert!(more.is_none(), "probes are no news: {more:?}");
}
