//! Requests of OpenWhisk's management API, and what their answers must have.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::{ACTIONS, AUTHORIZATION, Response, TestNode};

/// A file as it is.
pub const RAW: &str = "Content-Type: application/octet-stream";
/// A document.
pub const JSON: &str = "Content-Type: application/json";

/// A request with the key.
#[must_use]
pub fn ask(node: &TestNode, method: &str, target: &str, body: &[u8]) -> Response {
    node.request(method, target, &[AUTHORIZATION, JSON], body)
}

/// Sends a file.
#[must_use]
pub fn deploy_raw(node: &TestNode, name_and_query: &str, file: &[u8]) -> Response {
    node.request("PUT", &format!("{ACTIONS}/{name_and_query}"), &[AUTHORIZATION, RAW], file)
}

/// Sends a document.
#[must_use]
pub fn deploy_json(node: &TestNode, name_and_query: &str, document: &Value) -> Response {
    ask(node, "PUT", &format!("{ACTIONS}/{name_and_query}"), document.to_string().as_bytes())
}

/// A deployment document with the file in base64, as OpenWhisk's clients send it.
#[must_use]
pub fn document(file: &[u8]) -> Value {
    json!({ "exec": { "kind": "native:1", "code": STANDARD.encode(file) } })
}

/// All the node says about its actions.
///
/// # Panics
/// If it says nothing.
#[must_use]
pub fn registry(node: &TestNode) -> Value {
    let answer = ask(node, "GET", &format!("{ACTIONS}?limit=0"), b"");
    assert_eq!(answer.status, 200);
    answer.json()
}

/// The text of an error, which has all that clients need.
///
/// # Panics
/// If it has not.
#[must_use]
pub fn error(answer: &Response) -> String {
    let body = answer.json();
    assert!(body["code"].is_string(), "clients need a code: {body}");
    body["error"].as_str().expect("clients need an error").to_owned()
}

/// Calls `hello` under a name of its own.
///
/// # Panics
/// If it does not greet.
pub fn greets(node: &TestNode, name: &str, greeting: &str) {
    let target = format!("{ACTIONS}/{name}?blocking=true&result=true");
    let answer = ask(node, "POST", &target, br#"{"name":"A"}"#);
    assert_eq!((answer.status, answer.json()), (200, json!({ "greeting": greeting })), "{name}");
}
