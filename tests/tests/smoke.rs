//! The whole path once, on a machine of its own: boot, deploy, invoke, power off.

use serde_json::json;
use system_tests::{PowerOff, boot, machine};

#[test]
fn a_node_boots_answers_and_switches_itself_off() {
    let node = boot(machine());
    assert_eq!(node.get("/healthz").status, 200);
    assert_eq!(node.get("/readyz").status, 200);

    node.deploy("hello");
    let names: Vec<_> =
        node.client().list().expect("a list").into_iter().map(|action| action.name).collect();
    assert_eq!(names, ["hello"]);

    let invocation = node.client().invoke("hello", &json!({ "name": "A" })).expect("an answer");
    assert!(invocation.succeeded(), "{invocation:?}");
    assert_eq!(invocation.result(), &json!({ "greeting": "Hello, A!" }));
    assert!(invocation.timing.total.is_some(), "{invocation:?}");

    let reply = node.client().call("hello", br#"{"name":"B"}"#).expect("an answer");
    assert_eq!((reply.status, reply.text().trim_end()), (200, r#"{"greeting":"Hello, B!"}"#));

    node.client().delete("hello").expect("an answer");
    let error = node.client().get("hello").expect_err("it is gone");
    assert_eq!(error.status(), Some(404));

    assert_eq!(node.power_off(), PowerOff::Clean);
}
