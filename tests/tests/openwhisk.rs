//! OpenWhisk's management API: deploying, describing, invoking and deleting actions, and what bad
//! input gets.

use std::io::{Cursor, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use system_tests::openwhisk::{
    RAW, ask, deploy_json, deploy_raw, document, error, greets, registry,
};
use system_tests::{ACTIONS, AUTHORIZATION, SharedNode, boot, machine, request, sample};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

static NODE: SharedNode = SharedNode::new(|| boot(machine()));

#[test]
fn an_action_is_deployed_from_the_file_or_from_json() {
    let node = NODE.get();
    let file = sample("hello");
    let raw = deploy_raw(&node, "from-file", &file);
    let json = deploy_json(&node, "from-json", &document(&file));
    for (name, answer) in [("from-file", raw), ("from-json", json)] {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let action = answer.json();
        assert_eq!(action["name"], name);
        assert_eq!(action["namespace"], "guest");
        assert_eq!(action["version"], "0.0.1");
        assert_eq!(action["exec"]["kind"], "native:1");
        assert_eq!(action["exec"]["binary"], true);
        assert!(action["updated"].as_u64() > Some(1_700_000_000_000), "{}", action["updated"]);
        greets(&node, name, "Hello, A!");
    }
}

#[test]
fn an_action_is_deployed_out_of_a_zip_archive() {
    let node = NODE.get();
    let file = sample("hello");
    let zipped = |name: &str, method| {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(method);
        for (name, bytes) in [("src/main.rs", &b"fn main() {}"[..]), (name, &file)] {
            writer.start_file(name, options).expect("a new file");
            writer.write_all(bytes).expect("memory is left");
        }
        writer.finish().expect("memory is left").into_inner()
    };
    let stored = zipped("exec", CompressionMethod::Stored);
    let deflated = zipped("bootstrap", CompressionMethod::Deflated);
    // As `wsk action create NAME FILE.zip --native` sends it.
    let wsk = json!({ "namespace": "_", "name": "zipped", "exec": {
        "kind": "blackbox", "image": "openwhisk/dockerskeleton", "code": STANDARD.encode(&deflated),
    } });
    for answer in [
        deploy_json(&node, "zipped", &wsk),
        deploy_raw(&node, "zipped?overwrite=true", &stored),
        ask(&node, "PUT", &format!("{ACTIONS}/zipped?overwrite=true"), &deflated),
    ] {
        assert_eq!(answer.status, 200, "{}", answer.text());
        greets(&node, "zipped", "Hello, A!");
    }
    let kept = ask(&node, "GET", &format!("{ACTIONS}/zipped"), b"").json();
    assert_eq!(kept["exec"]["code"], STANDARD.encode(&file));

    // A bomb of 64 MiB, one with no executable, one cut in half.
    let bomb = {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        writer.start_file("exec", options).expect("a new file");
        (0..64).for_each(|_| writer.write_all(&[0; 1 << 20]).expect("memory is left"));
        writer.finish().expect("memory is left").into_inner()
    };
    let other = zipped("main", CompressionMethod::Deflated);
    for (file, status, reason) in [
        (&bomb[..], 413, "exceeds the limit"),
        (&other[..], 400, "no file named exec, bin/exec or bootstrap"),
        (&stored[..stored.len() / 2], 400, "zip archive is damaged"),
    ] {
        let answer = deploy_raw(&node, "zipped?overwrite=true", file);
        assert_eq!((answer.status, error(&answer).contains(reason)), (status, true), "{reason}");
    }
    greets(&node, "zipped", "Hello, A!");
}

#[test]
fn an_action_is_described_listed_and_deleted() {
    let node = NODE.get();
    let file = sample("hello");
    let target = format!("{ACTIONS}/described");
    assert_eq!(ask(&node, "GET", &target, b"").status, 404);
    assert_eq!(deploy_raw(&node, "described", &file).status, 200);

    let with_code = ask(&node, "GET", &target, b"").json();
    assert_eq!(with_code["exec"]["code"], STANDARD.encode(&file));
    let without = ask(&node, "GET", &format!("{target}?code=false"), b"").json();
    assert_eq!(without["exec"]["code"], Value::Null);
    assert_eq!(
        without["limits"],
        json!({
            "timeout": 60_000, "memory": without["limits"]["memory"], "logs": 10, "concurrency": 1
        })
    );
    let listed = registry(&node);
    assert!(listed.as_array().expect("a list").iter().any(|action| action["name"] == "described"));

    let deleted = ask(&node, "DELETE", &target, b"");
    assert_eq!((deleted.status, &deleted.json()["name"]), (200, &json!("described")));
    for method in ["GET", "DELETE", "POST"] {
        assert_eq!(ask(&node, method, &target, b"").status, 404, "{method}");
    }
    assert!(!registry(&node).to_string().contains("described"));
}

#[test]
fn a_list_can_be_taken_in_parts_and_counted() {
    let node = boot(machine());
    let file = sample("echo");
    for number in 0..5 {
        assert_eq!(deploy_raw(&node, &format!("part-{number}"), &file).status, 200);
    }
    for (query, len) in [("limit=2", 2), ("limit=2&skip=4", 1), ("skip=5", 0), ("limit=0", 5)] {
        let list = ask(&node, "GET", &format!("{ACTIONS}?{query}"), b"").json();
        assert_eq!(list.as_array().map(Vec::len), Some(len), "{query}");
    }
    let count = ask(&node, "GET", &format!("{ACTIONS}?count=true"), b"").json();
    assert_eq!(count, json!({ "actions": 5 }));
    assert_eq!(ask(&node, "GET", &format!("{ACTIONS}?limit=201"), b"").status, 400);
}

#[test]
fn an_action_is_overwritten_only_on_request_and_gets_a_new_version() {
    let node = NODE.get();
    assert_eq!(deploy_raw(&node, "versioned", &sample("echo")).status, 200);
    let refused = deploy_raw(&node, "versioned", &sample("hello"));
    assert_eq!((refused.status, error(&refused).as_str()), (409, "resource already exists"));
    let answer = ask(&node, "POST", "/function/versioned", b"still echo");
    assert_eq!(answer.text(), "still echo");

    let answer = deploy_raw(&node, "versioned?overwrite=true", &sample("hello"));
    assert_eq!((answer.status, &answer.json()["version"]), (200, &json!("0.0.2")));
    greets(&node, "versioned", "Hello, A!");

    // What an update does not mention stays, each annotation by itself.
    for (update, annotations) in [
        (json!({ "annotations": [{ "key": "a", "value": 1 }, { "key": "b", "value": [] }] }), 3),
        (json!({ "annotations": [{ "key": "a", "value": 2 }] }), 3),
        (json!({ "delAnnotations": ["a"] }), 2),
    ] {
        let answer = deploy_json(&node, "versioned?overwrite=true", &update).json();
        assert_eq!(answer["annotations"].as_array().map(Vec::len), Some(annotations), "{update}");
    }
    let update = json!({ "limits": { "timeout": 1234, "memory": 12 } });
    let answer = deploy_json(&node, "versioned?overwrite=true", &update).json();
    assert_eq!(answer["version"], "0.0.6");
    assert_eq!(
        (&answer["limits"]["timeout"], &answer["limits"]["memory"]),
        (&json!(1234), &json!(12))
    );
    greets(&node, "versioned", "Hello, A!");
}

#[test]
fn bound_parameters_are_merged_under_those_of_the_request() {
    let node = NODE.get();
    let mut bound = document(&sample("hello"));
    bound["parameters"] = json!([{ "key": "name", "value": "Bound" }]);
    assert_eq!(deploy_json(&node, "bound", &bound).status, 200);
    let target = format!("{ACTIONS}/bound?blocking=true&result=true");
    for (body, greeting) in
        [("", "Hello, Bound!"), ("{}", "Hello, Bound!"), (r#"{"name":"Own"}"#, "Hello, Own!")]
    {
        let answer = ask(&node, "POST", &target, body.as_bytes());
        assert_eq!(answer.json(), json!({ "greeting": greeting }), "{body}");
    }
}

#[test]
fn a_blocking_invocation_returns_its_record_or_its_result() {
    let node = NODE.get();
    assert_eq!(deploy_raw(&node, "invoked", &sample("hello")).status, 200);
    let target = format!("{ACTIONS}/invoked?blocking=true");
    let answer = ask(&node, "POST", &target, br#"{"name":"A"}"#);
    assert_eq!(answer.status, 200);
    let record = answer.json();
    let response = json!({
        "status": "success", "success": true, "result": { "greeting": "Hello, A!" }, "size": 24
    });
    assert_eq!(record["response"], response);
    assert_eq!(record["logs"], json!([]));
    let id = record["activationId"].as_str().expect("an id");
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_eq!(answer.header("x-openwhisk-activation-id"), Some(id));
    assert!(answer.header("server-timing").is_some_and(|timing| timing.contains("run;dur=")));

    // What the action itself reports as an error is its result, and no code comes with it.
    let answer = ask(&node, "POST", &format!("{target}&result=true"), br#"{"name":1}"#);
    assert_eq!(answer.status, 502);
    let body = answer.json();
    assert!(body["error"].as_str().is_some_and(|text| text.contains("invalid type")), "{body}");
    assert_eq!(body["code"], Value::Null);
    let record = ask(&node, "POST", &target, br#"{"name":1}"#).json();
    assert_eq!(record["response"]["status"], "application error");
}

#[test]
fn names_may_hold_what_openwhisk_allows() {
    let node = NODE.get();
    for name in ["a", "with%20space", "dots.and-dashes_@", "Gr%C3%B6%C3%9Fe"] {
        let answer = deploy_raw(&node, name, &sample("hello"));
        // Letters are those of ASCII, as `\w` means in OpenWhisk.
        let allowed = name.is_ascii() && !name.contains("%C3");
        assert_eq!(answer.status, if allowed { 200 } else { 400 }, "{name}: {}", answer.text());
        if allowed {
            greets(&node, name, "Hello, A!");
            let answer = node.request("POST", &format!("/function/{name}"), &[], b"{}");
            assert_eq!(answer.status, 200, "{name}");
        }
    }
    for name in ["", "%20", "-a", "a%20", "a%2Fb", "a/b", "a%00", "a%zz", "..%2F..", "%FF"] {
        let status = deploy_raw(&node, name, &sample("hello")).status;
        assert!(matches!(status, 400 | 404 | 405 | 413), "{name:?}: {status}");
    }
}

#[test]
fn without_the_right_key_nothing_is_learned_or_changed() {
    let node = NODE.get();
    assert_eq!(deploy_raw(&node, "guarded", &sample("hello")).status, 200);
    let before = registry(&node);
    let keys = [
        "X-Authorization: none",
        "Authorization: Basic YTpi",
        "Authorization: Basic !!!",
        "Authorization: Basic ",
        "Authorization: Bearer abc",
    ];
    let file = sample("hello");
    for key in keys {
        for (method, target, body) in [
            ("GET", ACTIONS, &b""[..]),
            ("GET", &format!("{ACTIONS}/guarded"), b""),
            ("GET", &format!("{ACTIONS}/unknown"), b""),
            ("GET", "/api/v1/namespaces", b""),
            ("POST", &format!("{ACTIONS}/guarded?blocking=true"), b"{}"),
            ("DELETE", &format!("{ACTIONS}/guarded"), b""),
            ("PUT", &format!("{ACTIONS}/guarded?overwrite=true"), &file),
            ("PUT", &format!("{ACTIONS}/another"), &file),
        ] {
            let answer = node.request(method, target, &[key, RAW], body);
            assert_eq!(answer.status, 401, "{key} {method} {target}");
            let challenge = answer.header("www-authenticate");
            assert_eq!(challenge, Some("Basic realm=\"OpenWhisk secure realm\""));
            assert!(!error(&answer).is_empty());
        }
    }
    let foreign = ask(&node, "GET", "/api/v1/namespaces/other/actions", b"");
    assert_eq!(foreign.status, 403);
    let still = registry(&node);
    let find = |list: &Value| {
        let list = list.as_array().expect("a list").clone();
        list.into_iter().find(|action| action["name"] == "guarded")
    };
    assert_eq!(find(&still), find(&before));
    assert!(!still.to_string().contains("another"));
}

#[test]
fn the_key_is_the_one_on_the_command_line() {
    let node = boot(machine().kernel_words("hostkernel.auth=me:secret"));
    let own = format!("Authorization: Basic {}", STANDARD.encode("me:secret"));
    assert_eq!(node.request("GET", ACTIONS, &[&own], b"").status, 200);
    assert_eq!(node.request("GET", ACTIONS, &[AUTHORIZATION], b"").status, 401);
    assert!(!node.serial().contains("secret"), "keys do not belong into logs");
}

#[test]
fn what_is_not_there_is_404_and_what_is_not_offered_says_so() {
    let node = NODE.get();
    for (method, target, status) in [
        ("GET", "/", 200),
        ("GET", "/ping", 200),
        ("GET", "/livez", 200),
        ("GET", "/api/v1", 200),
        ("GET", "/api/v1/namespaces", 200),
        ("GET", "/nothing", 404),
        ("GET", "/api/v2", 404),
        ("POST", "/function/unknown", 404),
        ("POST", "/api/v1/namespaces/_/actions/unknown?blocking=true", 404),
        ("GET", "/api/v1/namespaces/_/packages", 200),
        ("PUT", "/api/v1/namespaces/_/triggers/t", 501),
        ("PATCH", "/api/v1/namespaces/_/actions/x", 405),
        ("DELETE", "/healthz", 405),
    ] {
        let answer = ask(&node, method, target, b"");
        assert_eq!(answer.status, status, "{method} {target}: {}", answer.text());
        if status == 405 {
            assert!(answer.header("allow").is_some(), "{method} {target}");
        }
        if status >= 400 {
            assert!(!error(&answer).is_empty());
        }
    }
}

#[test]
fn a_request_id_is_taken_over_or_made() {
    let node = NODE.get();
    let answer = node.request("GET", "/ping", &["X-Request-ID: mine-1"], b"");
    assert_eq!(answer.header("x-request-id"), Some("mine-1"));
    let ids: Vec<_> = (0..2).map(|_| node.get("/ping")).collect();
    let id = |index: usize| ids[index].header("x-request-id").expect("an id");
    assert_ne!(id(0), id(1));
}

#[test]
fn deployment_documents_that_make_no_sense_change_nothing() {
    let node = NODE.get();
    let good = document(&sample("hello")).to_string();
    let code = STANDARD.encode(sample("hello"));
    let with_limits = |limits: &str| {
        format!(r#"{{"exec":{{"kind":"native:1","code":"{code}"}},"limits":{limits}}}"#)
    };
    let cases = [
        (String::new(), "JSON"),
        ("not JSON".to_owned(), "JSON"),
        ("[]".to_owned(), "object"),
        (good[..good.len() - 1].to_owned(), "malformed"),
        (format!("{good}{good}"), "malformed"),
        ("{}".to_owned(), "code"),
        (r#"{"exec":7}"#.to_owned(), "exec must be an object"),
        (r#"{"exec":{"kind":"native:1"}}"#.to_owned(), "code"),
        (r#"{"exec":{"kind":"native:1","code":7}}"#.to_owned(), "exec.code must be a string"),
        (r#"{"exec":{"kind":"native:1","code":"%%%"}}"#.to_owned(), "base64"),
        (r#"{"exec":{"kind":"native:1","code":""}}"#.to_owned(), "code"),
        (r#"{"exec":{"kind":"nodejs:18","code":"function main() {}"}}"#.to_owned(), ""),
        (r#"{"exec":{"kind":"sequence","components":[]}}"#.to_owned(), "equence"),
        (format!(r#"{{"exec":{}1{}}}"#, "[".repeat(500), "]".repeat(500)), ""),
        (
            with_limits(r#"{"timeout":99}"#),
            "timeout 99 milliseconds below allowed threshold of 100",
        ),
        (
            with_limits(r#"{"timeout":300001}"#),
            "timeout 300001 milliseconds exceeds allowed threshold of 300000 milliseconds",
        ),
        (with_limits(r#"{"memory":0}"#), "memory 0 MB below allowed threshold of 1 MB"),
        (with_limits(r#"{"memory":513}"#), "this node can serve"),
        (
            with_limits(r#"{"memory":131073}"#),
            "memory 131073 MB exceeds allowed threshold of 131072 MB",
        ),
        (with_limits(r#"{"logs":11}"#), "log 11 MB exceeds"),
        (with_limits(r#"{"concurrency":2}"#), "concurrency 2 exceeds"),
        (with_limits(r#"{"memory":-1}"#), ""),
        (with_limits(r#"{"memory":"much"}"#), ""),
        (with_limits("7"), ""),
    ];
    for (body, reason) in &cases {
        let answer = ask(&node, "PUT", &format!("{ACTIONS}/senseless"), body.as_bytes());
        let shown = &body[..body.len().min(60)];
        assert_eq!(answer.status, 400, "{shown}: {}", answer.text());
        assert!(error(&answer).contains(reason), "{shown}: {}", error(&answer));
    }
    for query in ["timeout=99", "memory=0", "memory=x", "timeout=300001", "overwrite=maybe"] {
        let answer = deploy_raw(&node, &format!("senseless?{query}"), &sample("hello"));
        assert_eq!(answer.status, 400, "{query}");
    }
    assert_eq!(ask(&node, "GET", &format!("{ACTIONS}/senseless"), b"").status, 404);
}

#[test]
fn bodies_over_the_limits_are_refused() {
    let node = NODE.get();
    assert_eq!(deploy_raw(&node, "limited", &sample("echo")).status, 200);
    let too_long = vec![b' '; (6 << 20) + 1];
    let target = format!("{ACTIONS}/limited?blocking=true");
    for (method, target) in [("POST", target.as_str()), ("POST", "/function/limited")] {
        assert_eq!(ask(&node, method, target, &too_long).status, 413, "{target}");
    }
    // Images may be longer than that.
    let mut file = sample("hello");
    file.resize(5 << 20, 0);
    assert_eq!(deploy_raw(&node, "padded", &file).status, 200);
    greets(&node, "padded", "Hello, A!");
}

#[test]
fn two_clients_that_deploy_and_call_the_same_name_never_see_half_of_it() {
    let node = NODE.get();
    assert_eq!(deploy_raw(&node, "swapped", &sample("echo")).status, 200);
    let files = [sample("hello"), sample("echo")];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..10 {
                let answer = deploy_raw(&node, "swapped?overwrite=true", &files[round % 2]);
                assert_eq!(answer.status, 200, "{}", answer.text());
            }
        });
        let mut connection = node.established();
        for _ in 0..200 {
            let bytes = request("POST", "/function/swapped", &[], br#"{"name":"A"}"#);
            connection.send(&bytes).expect("an open connection");
            let answer = connection.receive().expect("an answer");
            assert_eq!(answer.status, 200, "{}", answer.text());
            let text = answer.text();
            assert!(text == r#"{"name":"A"}"# || text == r#"{"greeting":"Hello, A!"}"#, "{text}");
        }
    });
}
