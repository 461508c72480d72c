//! Web actions as browsers see them: exported, over the network.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use system_tests::openwhisk::{deploy_json, deploy_raw, error};
use system_tests::{AUTHORIZATION, Response, SharedNode, TestNode, boot, machine, sample};

static NODE: SharedNode = SharedNode::new(|| {
    let node = boot(machine());
    node.deploy("hello");
    node
});

const JSON: &str = "Content-Type: application/json";

/// Exports `echo`, whose result is its input, under a name of its own.
fn export(node: &TestNode, name: &str, annotations: &Value) -> String {
    let deployed = deploy_raw(node, &format!("{name}?web-export=true"), &sample("echo"));
    assert_eq!(deployed.status, 200, "{}", deployed.text());
    let document =
        json!({ "annotations": annotations, "parameters": [{ "key": "bound", "value": 7 }] });
    assert_eq!(deploy_json(node, &format!("{name}?overwrite=true"), &document).status, 200);
    format!("/api/v1/web/guest/default/{name}")
}

fn post(node: &TestNode, target: &str, body: &Value) -> Response {
    node.request("POST", target, &[JSON], body.to_string().as_bytes())
}

#[test]
fn an_exported_action_gets_the_request_as_json() {
    let node = NODE.get();
    let target = export(&node, "told", &json!([]));
    let target = format!("{target}.json/a/b%20c?x=1+2&y=%C3%A4");
    let answer = node.request("PUT", &target, &["X-Two: 1", "x-two: 2", JSON], b"{\"z\":[null]}");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.header("x-openwhisk-activation-id").is_some_and(|id| id.len() == 32));
    let told = answer.json();
    for (name, value) in [
        ("__ow_method", json!("put")),
        ("__ow_path", json!("/a/b%20c")),
        ("x", json!("1 2")),
        ("y", json!("ä")),
        ("z", json!([null])),
        ("bound", json!(7)),
    ] {
        assert_eq!(told[name], value, "{name}");
    }
    assert_eq!(told["__ow_headers"]["x-two"], "1, 2");

    let form = ["Content-Type: application/x-www-form-urlencoded"];
    let told = node.request("POST", &target, &form, b"x=form&w=%26").json();
    assert_eq!((&told["x"], &told["w"]), (&json!("form"), &json!("&")));
    let bytes: Vec<u8> = (0..=255).collect();
    let told = node.request("POST", &target, &["Content-Type: image/png"], &bytes).json();
    assert_eq!(told["__ow_body"], STANDARD.encode(&bytes));
}

#[test]
fn its_json_says_what_is_sent() {
    let node = NODE.get();
    let target = export(&node, "teapot", &json!([]));
    let result = json!({
        "statusCode": 418, "body": "<h1>\u{e4}</h1>",
        "headers": { "Set-Cookie": ["a=1", "b=2"], "X-Pot": "tea" },
    });
    let answer = post(&node, &target, &result);
    assert_eq!((answer.status, answer.text().as_str()), (418, "<h1>ä</h1>"));
    assert_eq!(answer.header("content-type"), Some("text/html; charset=UTF-8"));
    assert_eq!(answer.header("x-pot"), Some("tea"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));

    let picture: Vec<u8> = (0..5000).map(|at| (at * 7 % 251) as u8).collect();
    let headers = json!({ "content-type": "image/png" });
    let result = json!({ "headers": headers, "body": STANDARD.encode(&picture) });
    let answer = post(&node, &target, &result);
    assert_eq!((answer.status, answer.body), (200, picture));

    for (extension, field, kind) in [
        (".html", "html", "text/html; charset=UTF-8"),
        (".svg", "svg", "image/svg+xml"),
        (".text", "text", "text/plain; charset=utf-8"),
    ] {
        let answer = post(&node, &format!("{target}{extension}"), &json!({ field: "<x/>" }));
        assert_eq!((answer.status, answer.text().as_str()), (200, "<x/>"), "{extension}");
        assert_eq!(answer.header("content-type"), Some(kind));
    }
    for (extension, result, status, reason) in [
        ("", json!({ "statusCode": 1000 }), 400, "not valid 'message/http'"),
        ("", json!({ "headers": { "a": "b\r\nc: d" }, "body": "x" }), 400, "'message/http'"),
        ("", json!({ "headers": { "Connection": "close" }, "body": "x" }), 400, "'message/http'"),
        ("", json!({ "error": "a text" }), 400, "not valid 'message/http'"),
        (".html", json!({}), 400, "not valid 'text/html'"),
        (".text", json!({}), 404, "does not include requested property"),
        ("", json!({ "__ow_path": "/forged" }), 400, "parameters that are not allowed"),
    ] {
        let answer = post(&node, &format!("{target}{extension}"), &result);
        assert_eq!(answer.status, status, "{result}");
        assert!(error(&answer).contains(reason), "{result}: {}", error(&answer));
    }
    let refused = json!({ "error": { "statusCode": 403, "body": { "who": "you" } } });
    let answer = post(&node, &target, &refused);
    assert_eq!((answer.status, answer.json()), (403, json!({ "who": "you" })));
    assert_eq!(post(&node, &target, &json!({ "statusCode": 204 })).status, 204);
    node.greets("next");
}

#[test]
fn an_action_that_fails_tells_nobody_how() {
    let node = NODE.get();
    let deployed = deploy_raw(&node, "failing?web-export=true", &sample("faults"));
    assert_eq!(deployed.status, 200);
    let target = "/api/v1/web/guest/default/failing";
    let answer = post(&node, target, &json!({ "kind": "read-null" }));
    assert_eq!(
        (answer.status, error(&answer).as_str()),
        (400, "There was an error processing your request.")
    );
    node.greets("next");
}

#[test]
fn only_what_is_exported_is_there_and_only_for_whom_it_is() {
    let node = NODE.get();
    for path in
        ["guest/default/hello", "guest/default/absent", "other/default/hello", "guest/p/hello"]
    {
        let answer = node.get(&format!("/api/v1/web/{path}"));
        assert_eq!(
            (answer.status, error(&answer).as_str()),
            (404, "The requested resource does not exist.")
        );
    }
    let secret = json!([
        { "key": "require-whisk-auth", "value": "sesame" },
        { "key": "final", "value": true },
    ]);
    let target = export(&node, "guarded", &secret) + ".json";
    assert_eq!(node.get(&target).status, 401);
    assert_eq!(node.request("GET", &target, &["X-Require-Whisk-Auth: open"], b"").status, 401);
    assert_eq!(node.get("/function/guarded").status, 401, "nor through the other door");
    let open = ["X-Require-Whisk-Auth: sesame"];
    assert_eq!(node.request("GET", &target, &open, b"").json()["bound"], 7);
    let answer = node.request("GET", &format!("{target}?bound=8"), &open, b"");
    assert_eq!(answer.status, 400, "{}", answer.text());

    let key = json!([{ "key": "require-whisk-auth", "value": true }]);
    let target = export(&node, "keyed", &key) + ".json";
    assert_eq!(node.get(&target).status, 401);
    assert_eq!(node.request("GET", &target, &[AUTHORIZATION], b"").json()["__ow_user"], "guest");
}

#[test]
fn a_raw_action_reads_for_itself() {
    let node = NODE.get();
    let target = export(&node, "raw", &json!([{ "key": "raw-http", "value": true }])) + ".json";
    let answer = node.request("POST", &format!("{target}?a=%zz&a"), &[JSON], b"{broken");
    let told = answer.json();
    assert_eq!(told["__ow_query"], "a=%zz&a");
    assert_eq!(told["__ow_body"], STANDARD.encode("{broken"));
}

#[test]
fn browsers_may_ask_first() {
    let node = NODE.get();
    let target = export(&node, "asked", &json!([]));
    let answer = node.request("OPTIONS", &target, &["Access-Control-Request-Headers: X-Mine"], b"");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-headers"), Some("X-Mine"));
    let methods = "OPTIONS, GET, DELETE, POST, PUT, HEAD, PATCH";
    assert_eq!(answer.header("access-control-allow-methods"), Some(methods));
    let own = json!([{ "key": "web-custom-options", "value": true }]);
    let target = export(&node, "asked-itself", &own) + ".json";
    let answer = node.request("OPTIONS", &target, &[], b"");
    assert_eq!(answer.json()["__ow_method"], "options");
    assert_eq!(answer.header("access-control-allow-origin"), None);
    let head = node.request("HEAD", &target, &[], b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
}
