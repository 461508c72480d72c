//! Environment variables and secrets of an action: set, changed, shown, and where they go.

use super::*;
use crate::store::manifest;
use limits::{VARIABLE_NAME_LEN_MAX, VARIABLES_LEN_MAX, VARIABLES_MAX};
use serde_json::json;

const UPDATE: &str = "/api/v1/namespaces/_/actions/hello?overwrite=true&code=false";

fn put(client: &mut Client, more: &Value) -> Value {
    let answer = client.put(UPDATE, &more.to_string());
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.json()
}

/// What an instance gets besides what it is told of its request.
fn block(client: &mut Client) -> String {
    let admission = client.admit(Method::Post, &format!("{ACTION}?blocking=true"), b"{}");
    let function = client.admit(Method::Get, "/function/hello", b"");
    let text = |admission: &Admission| {
        let block = admission.variables.as_ref().map_or(&b""[..], |variables| variables.block());
        String::from_utf8(block.to_vec()).expect("text")
    };
    assert_eq!(text(&admission), text(&function), "every door leads to the same environment");
    text(&admission)
}

#[test]
fn variables_reach_every_invocation_and_secrets_are_never_shown() {
    let mut client = Client::with_hello();
    assert_eq!(block(&mut client), "");
    let shown = put(
        &mut client,
        &json!({"environment": [
            {"key": "MODE", "value": "quiet"},
            {"key": "TOKEN", "value": "hu\"sh\n\u{1F600}", "secret": true},
        ]}),
    );
    let expected = json!([{"key": "MODE", "value": "quiet"}, {"key": "TOKEN", "secret": true}]);
    assert_eq!(shown["environment"], expected);
    assert_eq!(block(&mut client), "MODE=quiet\0TOKEN=hu\"sh\n\u{1F600}\0");
    for target in [ACTION.into(), format!("{ACTION}?code=false"), ACTION.replace("/hello", "")] {
        let text = client.get(&target).text();
        assert!(!text.contains("hu") && !text.contains("\u{1F600}"), "{text}");
    }
    let record = client.ask(Method::Delete, ACTION, b"").json();
    assert_eq!(record["environment"], expected);
}

#[test]
fn an_update_changes_what_it_names_and_what_was_read_can_be_sent_back() {
    let mut client = Client::with_hello();
    put(
        &mut client,
        &json!({"environment": [
            {"key": "A", "value": "1"}, {"key": "B", "value": "2", "secret": true},
        ]}),
    );
    // New code, other limits, other parameters: the environment stays.
    client.deploy("hello", "memory=4");
    put(&mut client, &json!({"parameters": [{"key": "x", "value": 1}]}));
    assert_eq!(block(&mut client), "A=1\0B=2\0");
    let shown = client.get(&format!("{ACTION}?code=false")).json();
    let again = put(&mut client, &json!({"environment": shown["environment"]}));
    assert_eq!(again["environment"], shown["environment"]);
    assert_eq!(block(&mut client), "A=1\0B=2\0");
    put(
        &mut client,
        &json!({"environment": [{"key": "A", "value": null}, {"key": "C", "value": ""}]}),
    );
    assert_eq!(block(&mut client), "B=2\0C=\0");
    let rest =
        put(&mut client, &json!({"environment": [{"key": "B"}, {"key": "C"}, {"key": "D"}]}));
    assert_eq!((block(&mut client), rest.get("environment")), (String::new(), None));
}

#[test]
fn parameters_for_the_start_are_in_the_environment_and_not_in_the_input() {
    let mut client = Client::with_hello();
    let parameters = json!([
        {"key": "name", "value": "A"},
        {"key": "TEXT", "value": "t", "init": true},
        {"key": "LIST", "value": [1, "x"], "init": true},
        {"key": "later", "value": 7, "init": false},
    ]);
    let shown = put(&mut client, &json!({"parameters": parameters}));
    let expected = json!([
        {"key": "name", "value": "A"},
        {"key": "later", "value": 7},
        {"key": "LIST", "value": [1, "x"], "init": true},
        {"key": "TEXT", "value": "t", "init": true},
    ]);
    assert_eq!((&shown["parameters"], shown.get("environment")), (&expected, Some(&json!([]))));
    assert_eq!(block(&mut client), "LIST=[1,\"x\"]\0TEXT=t\0");
    let invoke = format!("{ACTION}?blocking=true");
    // What a request calls the same is an argument, and no variable.
    let admission = client.admit(Method::Post, &invoke, br#"{"TEXT":"forged"}"#);
    let input: Value =
        serde_json::from_slice(&admission.input.to_vec().expect("room")).expect("JSON");
    assert_eq!(input, json!({"name": "A", "later": 7, "TEXT": "forged"}));
    assert_eq!(block(&mut client), "LIST=[1,\"x\"]\0TEXT=t\0");
    // Parameters are replaced together, variables one by one; of a name there is one.
    put(&mut client, &json!({"environment": [{"key": "LIST", "value": "own", "secret": true}]}));
    assert_eq!(block(&mut client), "TEXT=t\0LIST=own\0");
    let rest = put(&mut client, &json!({"parameters": []}));
    assert_eq!((block(&mut client), &rest["parameters"]), ("LIST=own\0".into(), &json!([])));
}

#[test]
fn what_is_wrong_is_refused_and_changes_nothing() {
    let mut client = Client::with_hello();
    put(&mut client, &json!({"environment": [{"key": "A", "value": "1"}]}));
    let long = "x".repeat(VARIABLES_LEN_MAX);
    let many: Vec<_> = (0..=VARIABLES_MAX)
        .map(|number| json!({"key": format!("N{number}"), "value": ""}))
        .collect();
    let starts: Vec<_> = (0..=VARIABLES_MAX)
        .map(|number| json!({"key": format!("N{number}"), "value": "", "init": true}))
        .collect();
    for (change, status, part) in [
        (json!({"environment": {"A": "2"}}), 400, "environment must be a list"),
        (json!({"environment": ["A=2"]}), 400, "environment must be a list"),
        (json!({"environment": [{"value": "2"}]}), 400, "environment must be a list"),
        (json!({"environment": [{"key": "A", "value": 2}]}), 400, "environment must be a list"),
        (json!({"environment": [{"key": "A", "value": "2", "secret": "yes"}]}), 400, "'secret'"),
        (json!({"environment": [{"key": "B", "secret": true}]}), 400, "to be kept"),
        (json!({"environment": [{"key": "A=B", "value": ""}]}), 400, "without '='"),
        (json!({"environment": [{"key": "", "value": ""}]}), 400, "1 to 128"),
        (json!({"environment": [{"key": "__OW_API_KEY", "value": ""}]}), 400, "node itself"),
        (json!({"environment": [{"key": "A", "value": "2\0B=3"}]}), 400, "without NUL"),
        (json!({"environment": [{"key": "A", "value": long}]}), 413, "8192 bytes"),
        (json!({"environment": many}), 413, "128 variables"),
        (json!({"parameters": starts}), 413, "128 variables"),
        (
            json!({"environment": [{"key": "k".repeat(VARIABLE_NAME_LEN_MAX + 1), "value": ""}]}),
            400,
            "1 to 128",
        ),
        (json!({"parameters": [{"key": "PORT", "value": "1", "init": true}]}), 400, "'PORT'"),
    ] {
        client.put(UPDATE, &change.to_string()).refused(status, part);
    }
    assert_eq!(block(&mut client), "A=1\0");
    assert_eq!(client.get(ACTION).json()["version"], "0.0.2");
}

#[test]
fn what_a_registry_keeps_is_the_same_action_again() {
    let mut client = Client::with_hello();
    let secret = "s\"e\\c\nret";
    put(
        &mut client,
        &json!({
            "environment": [
                {"key": "A", "value": "1"}, {"key": "B", "value": secret, "secret": true},
            ],
            "parameters": [
                {"key": "C", "value": {"d": 1}, "init": true}, {"key": "e", "value": 2},
            ],
        }),
    );
    let expected = format!("C={{\"d\":1}}\0A=1\0B={secret}\0");
    assert_eq!(block(&mut client), expected);
    let guest = Namespace::new(crate::settings::GUEST);
    let action = client.node.registry.get(&guest, "hello").expect("deployed");
    let kept: Value =
        serde_json::from_slice(&manifest::describe(action)).expect("the document is JSON");
    let shown = client.get(&format!("{ACTION}?code=false")).json();
    client.ask(Method::Delete, ACTION, b"");
    assert_eq!(client.put(ACTION, &document("")).status(), 200);
    let again = put(
        &mut client,
        &json!({"environment": kept["environment"], "parameters": kept["parameters"]}),
    );
    assert_eq!(block(&mut client), expected);
    assert_eq!(again["environment"], shown["environment"]);
    assert_eq!(again["parameters"], shown["parameters"]);
}
