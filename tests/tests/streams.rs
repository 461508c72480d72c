//! Answers that leave while their function still writes: of a native action, and of programs.

use system_tests::openwhisk::ask;
use system_tests::{PowerOff, TestNode, boot, events, machine, sample};

/// A node with `web`, which may stream.
fn node(cores: u32) -> TestNode {
    let node = boot(machine().cores(cores));
    let target = "/api/v1/namespaces/_/actions/web?cgi=true&stream=true";
    let deployed = ask(&node, "PUT", target, &sample("web"));
    assert_eq!(deployed.status, 200, "{}", deployed.text());
    node
}

#[test]
fn events_leave_at_once_whichever_core_makes_them() {
    for cores in [1, 2] {
        let node = node(cores);
        for _ in 0..3 {
            events::read_some_and_leave(&node, "web", "/count?to=1000000&ms=10");
        }
        // As a whole, the next ones and all others.
        let answer = node.get("/function/web/count?to=5&ms=1");
        assert_eq!(answer.header("content-type"), Some("text/event-stream"));
        assert_eq!(answer.text(), "data: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\ndata: 5\n\n");
        let answer = node.get("/function/web/status/404");
        assert_eq!((answer.status, answer.header("transfer-encoding")), (404, None));
        assert_eq!(node.request("HEAD", "/function/web/count?ms=1", &[], b"").status, 200);
        assert_eq!(node.power_off(), PowerOff::Clean);
    }
}

#[test]
fn what_may_not_stream_comes_as_a_whole() {
    let node = node(2);
    let target = "/api/v1/namespaces/_/actions/whole?cgi=true";
    assert_eq!(ask(&node, "PUT", target, &sample("web")).status, 200);
    let answer = node.get("/function/whole/count?to=2&ms=1");
    assert_eq!(answer.header("transfer-encoding"), None);
    assert_eq!(answer.text(), "data: 1\n\ndata: 2\n\n");
}
