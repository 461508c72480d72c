//! Deploying, updating, reading, listing and deleting actions.

extern crate std;

use std::io::{Cursor, Write as _};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;
use limits::{
    ACTIONS_MAX, CODE_LEN_MAX, KIND_LEN_MAX, NAME_LEN_MAX, PARAMETER_NAME_LEN_MAX,
    PARAMETERS_LEN_MAX, PARAMETERS_MAX,
};
use serde_json::json;

/// The action with limits and versions as they should be.
fn described(version: &str, with_code: bool) -> Value {
    let mut exec = json!({"kind": "native:1", "binary": true});
    if with_code {
        exec["code"] = STANDARD.encode(image()).into();
    }
    json!({
        "namespace": "guest", "name": "hello", "version": version, "publish": false,
        "exec": exec,
        "annotations": [{"key": "exec", "value": "native:1"}],
        "parameters": [],
        "limits": {"timeout": 60000, "memory": 256, "logs": 10, "concurrency": 1},
        "updated": WALL_MS,
    })
}

#[test]
fn a_description_holds_no_copy_of_the_code() {
    let mut client = Client::new();
    let mut file = image();
    file.resize(100_000, 7);
    assert_eq!(client.ask(Method::Put, ACTION, &file).status(), 200);
    let Reply::Respond(response) = client.send(Method::Get, ACTION, &[], b"") else {
        panic!("nothing is invoked")
    };
    assert!(response.body.len() > 133_000 && response.body.held_len() < 1000);
    assert_eq!(Answer::of(response).json()["exec"]["code"], STANDARD.encode(&file));
}

#[test]
fn an_action_is_created_updated_read_and_deleted() {
    let mut client = Client::new();
    let created = client.put(ACTION, &document(""));
    assert_eq!(created.status(), 200);
    assert_eq!(created.json(), described("0.0.1", true));
    client.put(ACTION, &document("")).refused(409, "resource already exists");
    client.put(&format!("{ACTION}?overwrite=false"), "junk").refused(409, "already exists");
    let updated = client.put(&format!("{ACTION}?overwrite=true&code=false"), &document(""));
    assert_eq!(updated.json(), described("0.0.2", false));
    assert_eq!(client.get(ACTION).json(), described("0.0.2", true));
    assert_eq!(client.get(&format!("{ACTION}?")).json(), described("0.0.2", true));
    assert_eq!(client.get(&format!("{ACTION}?code=false")).json(), described("0.0.2", false));
    client.get(&format!("{ACTION}?code=maybe")).refused(400, "'code'");
    let deleted = client.ask(Method::Delete, ACTION, b"");
    assert_eq!((deleted.status(), deleted.json()), (200, described("0.0.2", false)));
    client.get(ACTION).refused(404, "does not exist");
    client.ask(Method::Delete, ACTION, b"").refused(404, "does not exist");
    assert_eq!(client.put(ACTION, &document("")).json()["version"], "0.0.1");
}

#[test]
fn the_file_itself_can_be_put() {
    let mut client = Client::new();
    let target = format!("{ACTION}?timeout=1000&memory=2&logs=0");
    let octets = [("content-type", "Application/Octet-Stream; x=y")];
    let Reply::Respond(response) = client.send(Method::Put, &target, &octets, &image()) else {
        panic!("admitted");
    };
    let limits = json!({"timeout": 1000, "memory": 2, "logs": 0, "concurrency": 1});
    let answer = Answer::of(response).json();
    assert_eq!((&answer["limits"], &answer["exec"]["code"]), (&limits, &Value::Null));
    let again = client.ask(Method::Put, &format!("{ACTION}?overwrite=true"), &image()).json();
    assert_eq!((&again["version"], &again["limits"]), (&json!("0.0.2"), &limits));
    assert_eq!(client.get(ACTION).json()["exec"]["code"], STANDARD.encode(image()));
    for (query, part) in
        [("timeout=x", "'timeout'"), ("memory=-1", "'memory'"), ("logs=1.5", "'logs'")]
    {
        let target = format!("{ACTION}?overwrite=true&{query}");
        client.ask(Method::Put, &target, &image()).refused(400, part);
    }
    for (body, part) in
        [(&b""[..], "no code"), (b"PK\x03\x04", "zip archive is damaged"), (b"x", "not an ELF")]
    {
        let target = "/api/v1/namespaces/_/actions/new";
        let Reply::Respond(response) = client.send(Method::Put, target, &octets, body) else {
            panic!("admitted");
        };
        Answer::of(response).refused(400, part);
    }
    assert_eq!(client.node.registry.len(), 1);
    assert_eq!(client.get(ACTION).json()["version"], "0.0.2", "unchanged by what was refused");
}

#[test]
fn annotations_of_the_node_can_be_in_the_query() {
    let mut client = Client::new();
    let overwrite = format!("{ACTION}?overwrite=true");
    let mut annotations = |query: &str| {
        let answer = client.ask(Method::Put, &format!("{overwrite}&{query}"), &image());
        answer.json()["annotations"].clone()
    };
    let exec = json!({"key": "exec", "value": "native:1"});
    let cgi = |value: bool| json!({"key": "cgi", "value": value});
    let export = json!({"key": "web-export", "value": true});
    assert_eq!(annotations("cgi=true&other=true"), json!([cgi(true), exec]));
    assert_eq!(annotations("web-export"), json!([cgi(true), export, exec]));
    assert_eq!(annotations("cgi=false"), json!([export, cgi(false), exec]));
    client.ask(Method::Put, &format!("{overwrite}&cgi=1"), &image()).refused(400, "'cgi'");
}

#[test]
fn the_file_can_be_in_a_zip_archive() {
    let mut client = Client::new();
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in [("README", b"text".as_slice()), ("bin/exec", &image())] {
        writer.start_file(name, SimpleFileOptions::default()).expect("a new file");
        writer.write_all(bytes).expect("memory is left");
    }
    let archive = writer.finish().expect("memory is left").into_inner();
    let overwrite = format!("{ACTION}?overwrite=true");
    let zipped = |kind: &str| {
        format!(r#"{{"exec":{{"kind":"{kind}","code":"{}"}}}}"#, STANDARD.encode(&archive))
    };
    for kind in ["blackbox", "native:1", "go:1.23"] {
        let answer = client.put(&overwrite, &zipped(kind)).json();
        let exec = json!({"kind": kind, "code": STANDARD.encode(image()), "binary": true});
        assert_eq!(answer["exec"], exec);
    }
    for headers in [&[][..], &[("Content-Type", "application/zip")]] {
        let Reply::Respond(response) = client.send(Method::Put, &overwrite, headers, &archive)
        else {
            panic!("admitted");
        };
        assert_eq!(Answer::of(response).status(), 200);
    }
    assert_eq!(client.get(ACTION).json()["exec"]["code"], STANDARD.encode(image()));
    let mut encrypted = archive.clone();
    let header = archive.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").expect("a header");
    encrypted[header + 8] |= 1;
    client.ask(Method::Put, &overwrite, &encrypted).refused(400, "encryption");
    assert_eq!(client.get(ACTION).json()["version"], "0.0.5", "unchanged by what was refused");
}

#[test]
fn an_update_keeps_what_it_does_not_mention() {
    let mut client = Client::new();
    let more = r#","parameters":[{"key":"p","value":1}],"annotations":[{"key":"a","value":2}],
        "publish":true,"limits":{"timeout":1000,"memory":3,"logs":1}"#;
    assert_eq!(client.put(ACTION, &document(more)).status(), 200);
    let before = client.get(ACTION).json();
    let target = format!("{ACTION}?overwrite=true");
    let mut expected = before.clone();
    for (version, change, field, value) in [
        ("0.0.2", r#"{"limits":{"memory":5}}"#, "/limits/memory", json!(5)),
        ("0.0.3", r#"{"parameters":[]}"#, "/parameters", json!([])),
        ("0.0.4", r#"{"publish":false,"exec":null}"#, "/publish", json!(false)),
        (
            "0.0.5",
            r#"{"delAnnotations":["a"],"name":"x","namespace":"_"}"#,
            "/annotations",
            json!([{"key": "exec", "value": "native:1"}]),
        ),
        ("0.0.6", r#"{"annotations":[]}"#, "/version", json!("0.0.6")),
        ("2.1.0", r#"{"version":"2.1.0"}"#, "/version", json!("2.1.0")),
        ("2.1.1", "{}", "/version", json!("2.1.1")),
    ] {
        *expected.pointer_mut(field).expect("the field exists") = value;
        expected["version"] = json!(version);
        assert_eq!(client.put(&target, change).status(), 200, "{change}");
        assert_eq!(client.get(ACTION).json(), expected, "{change}");
    }
    client.put("/api/v1/namespaces/_/actions/new", "{}").refused(400, "no code");
    client.put("/api/v1/namespaces/_/actions/new?overwrite=true", "{}").refused(400, "no code");
}

#[test]
fn bad_deploys_are_refused_and_change_nothing() {
    let mut client = Client::with_hello();
    let exec = |fields: &str| format!("{{\"exec\":{{{fields}}}}}");
    let coded = |kind: &str, bytes: &[u8]| {
        exec(&format!("\"kind\":\"{kind}\",\"code\":\"{}\"", STANDARD.encode(bytes)))
    };
    let mut truncated = image();
    truncated.truncate(100);
    let mut machine = image();
    machine[18] = 40;
    let mut writable = image();
    writable[68] = 7;
    for (document, part) in [
        ("".into(), "JSON object was expected"),
        ("[]".into(), "JSON object was expected"),
        ("{\"exec\"".into(), "malformed"),
        ("{\"exec\":[]}".into(), "exec must be an object"),
        (exec(""), "no code"),
        (exec(r#""kind":"native:1""#), "no code"),
        (exec(r#""kind":"blackbox","image":"a/b""#), "no code"),
        (exec(r#""kind":"native","code":"""#), "no code"),
        (exec(r#""kind":"native","code":null"#), "no code"),
        (exec(r#""kind":7,"code":"""#), "exec.kind"),
        (exec(r#""kind":"","code":"""#), "exec.kind"),
        (exec(r#""kind":"a b","code":"""#), "exec.kind"),
        (exec(&format!(r#""kind":"{}","code":"""#, "k".repeat(KIND_LEN_MAX + 1))), "exec.kind"),
        (exec(r#""kind":"native","code":7"#), "exec.code must be a string"),
        (exec(r#""kind":"native","code":"*""#), "not valid base64"),
        (exec(r#""kind":"native","code":"\u007fELF\u0002\ufffd""#), "sent as text"),
        (exec(r#""kind":"sequence","components":["/_/a"]"#), "sequences"),
        (coded("blackbox", b"PK\x03\x04rest"), "zip archive is damaged"),
        (coded("wasm", b"\0asm\x01\0\0\0"), "wasm is not supported"),
        (
            coded("nodejs:default", b"function main"),
            "The specified runtime 'nodejs:default' is not",
        ),
        (coded("native", b"#!/bin/sh"), "not an ELF"),
        (coded("native", &truncated), "ends before"),
        (coded("native", &machine), "machine 40"),
        (coded("native", &writable), "writable"),
    ] as [(String, &str); 24]
    {
        let answer = client.put(&format!("{ACTION}?overwrite=true"), &document);
        answer.refused(400, part);
        client.put("/api/v1/namespaces/_/actions/new", &document).refused(400, part);
    }
    assert_eq!(client.node.registry.len(), 1);
    assert_eq!(client.get(ACTION).json()["version"], "0.0.1");
}

#[test]
fn any_kind_will_do_for_an_elf_file() {
    let mut client = Client::new();
    let code = STANDARD.encode(image());
    for kind in ["native", "native:1", "blackbox", "rust:1.34", "nodejs:default"] {
        let document = format!(r#"{{"exec":{{"kind":"{kind}","code":"{code}"}}}}"#);
        let answer = client.put(&format!("{ACTION}?overwrite=true"), &document).json();
        assert_eq!(answer["exec"]["kind"], kind);
        assert_eq!(answer["annotations"], json!([{"key": "exec", "value": kind}]));
    }
    let document = format!(r#"{{"exec":{{"code":"{code}"}}}}"#);
    let answer = client.put(&format!("{ACTION}?overwrite=true"), &document).json();
    assert_eq!(answer["exec"]["kind"], "native:1");
}

#[test]
fn limits_have_ranges() {
    let mut client = Client::with_hello();
    for (limits, text) in [
        (
            r#"{"timeout":400000}"#,
            "timeout 400000 milliseconds exceeds allowed threshold of 300000 milliseconds",
        ),
        (
            r#"{"timeout":99}"#,
            "timeout 99 milliseconds below allowed threshold of 100 milliseconds",
        ),
        (r#"{"memory":0}"#, "memory 0 MB below allowed threshold of 1 MB"),
        (r#"{"memory":131073}"#, "memory 131073 MB exceeds allowed threshold of 131072 MB"),
        (r#"{"memory":401}"#, "memory 401 MB exceeds the 400 MB this node can serve"),
        (r#"{"logs":11}"#, "log 11 MB exceeds allowed threshold of 10 MB"),
        (r#"{"concurrency":2}"#, "concurrency 2 exceeds allowed threshold of 1"),
        (r#"{"concurrency":0}"#, "concurrency 0 below allowed threshold of 1"),
        (r#"{"timeout":"1000"}"#, "limits.timeout must be a whole number"),
        (r#"{"memory":1.5}"#, "limits.memory must be a whole number"),
        (r#"{"logs":-1}"#, "limits.logs must be a whole number"),
        (r#"{"concurrency":18446744073709551616}"#, "limits.concurrency must be"),
        ("[]", "limits must be an object"),
        ("7", "limits must be an object"),
    ] {
        let document = document(&format!(",\"limits\":{limits}"));
        client.put(&format!("{ACTION}?overwrite=true"), &document).refused(400, text);
    }
    assert_eq!(client.get(ACTION).json()["version"], "0.0.1");
    let document = document(r#","limits":{"timeout":100,"memory":400,"logs":0,"concurrency":1}"#);
    let answer = client.put(&format!("{ACTION}?overwrite=true"), &document).json();
    let limits = json!({"timeout": 100, "memory": 400, "logs": 0, "concurrency": 1});
    assert_eq!(answer["limits"], limits);
    let raw = client.ask(Method::Put, &format!("{ACTION}?overwrite=true&memory=401"), &image());
    raw.refused(400, "memory 401 MB exceeds the 400 MB this node can serve");
}

#[test]
fn parameters_and_annotations_are_kept_as_they_are() {
    let mut client = Client::new();
    let more = r#","parameters":[{"key":"b","value":{"x":[1, 2]}},{"value":"v","key":"a\u0062"},
        {"key":"b","value":1e400},{"key":"none"}],
        "annotations":[{"key":"web-export","value":true},{"key":"exec","value":"forged"}]"#;
    let answer = client.put(ACTION, &document(more));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let text = client.get(ACTION).text();
    let parameters = concat!(
        r#""parameters":[{"key":"ab","value":"v"},{"key":"b","value":1e400},"#,
        r#"{"key":"none","value":null}]"#
    );
    assert!(text.contains(parameters), "{text}");
    let annotations = concat!(
        r#""annotations":[{"key":"web-export","value":true},"#,
        r#"{"key":"exec","value":"native:1"}]"#
    );
    assert!(text.contains(annotations), "{text}");
}

#[test]
fn an_update_amends_annotations() {
    let mut client = Client::new();
    let more = r#","annotations":[{"key":"web-export","value":true},{"key":"b\n","value":1}]"#;
    assert_eq!(client.put(ACTION, &document(more)).status(), 200);
    let target = format!("{ACTION}?overwrite=true&code=false");
    for (change, items) in [
        (r#"{}"#, r#"{"key":"web-export","value":true},{"key":"b\n","value":1}"#),
        (
            r#"{"annotations":[{"key":"c","value":{}},{"key":"web-export","value":false}]}"#,
            r#"{"key":"b\n","value":1},{"key":"c","value":{}},{"key":"web-export","value":false}"#,
        ),
        (
            r#"{"delAnnotations":["b\u000a","absent","c"],"annotations":[{"key":"c","value":2}]}"#,
            r#"{"key":"web-export","value":false},{"key":"c","value":2}"#,
        ),
        (r#"{"delAnnotations":["web-export"]}"#, r#"{"key":"c","value":2}"#),
    ] {
        let answer = client.put(&target, change);
        let expected = format!(r#""annotations":[{items},{{"key":"exec","#);
        assert!(answer.text().contains(&expected), "{change}: {}", answer.text());
    }
    // Update by update they cannot become more than they could at once.
    let many = |start: usize| {
        let items: Vec<_> =
            (start..start + 600).map(|n| format!("{{\"key\":\"{n}\",\"value\":0}}")).collect();
        format!("{{\"annotations\":[{}]}}", items.join(","))
    };
    assert_eq!(client.put(&target, &many(0)).status(), 200);
    client.put(&target, &many(600)).refused(413, "annotations exceed the limit");
    assert_eq!(client.put(&target, &many(10)).status(), 200);
    let names = alloc::vec!["\"x\""; PARAMETERS_MAX + 1].join(",");
    let names = format!("{{\"delAnnotations\":[{names}]}}");
    client.put(&target, &names).refused(413, "delAnnotations exceed the limit");
    for value in ["7", "[7]", "{}", "[\"\\ud800\"]", "\"a\""] {
        let document = format!("{{\"delAnnotations\":{value}}}");
        client.put(&target, &document).refused(400, "delAnnotations must be a list of names");
    }
    for value in ["7", "\"1\"", "\"1.2.x\"", "[]"] {
        let document = format!("{{\"version\":{value}}}");
        client.put(&target, &document).refused(400, "version must be like");
    }
}

#[test]
fn malformed_parameters_name_the_field() {
    let mut client = Client::new();
    let many = |count: usize| {
        let items: Vec<_> =
            (0..count).map(|n| format!("{{\"key\":\"{n}\",\"value\":0}}")).collect();
        format!("[{}]", items.join(","))
    };
    for field in ["parameters", "annotations"] {
        for (value, status) in [
            ("{}".into(), 400),
            ("7".into(), 400),
            ("[7]".into(), 400),
            ("[{\"value\":1}]".into(), 400),
            ("[{\"key\":7,\"value\":1}]".into(), 400),
            ("[{\"key\":\"\\ud800\",\"value\":1}]".into(), 400),
            (format!("[{{\"key\":\"{}\"}}]", "k".repeat(PARAMETER_NAME_LEN_MAX + 1)), 400),
            (many(PARAMETERS_MAX + 1), 413),
            (format!("[{{\"key\":\"k\",\"value\":\"{}\"}}]", "x".repeat(PARAMETERS_LEN_MAX)), 413),
        ] as [(String, u16); 9]
        {
            let answer = client.put(ACTION, &document(&format!(",\"{field}\":{value}")));
            answer.refused(status, field);
        }
        let most = document(&format!(",\"{field}\":{}", many(PARAMETERS_MAX)));
        assert_eq!(client.put(&format!("{ACTION}?overwrite=true"), &most).status(), 200);
        client.ask(Method::Delete, ACTION, b"");
    }
    client.put(ACTION, &document(",\"publish\":1")).refused(400, "publish must be true or false");
    assert!(client.node.registry.is_empty());
}

#[test]
fn names_are_percent_decoded_and_checked() {
    let mut client = Client::new();
    let target = |name: &str| format!("/api/v1/namespaces/_/actions/{name}");
    for (name, text) in [("my%20action", "my action"), ("a@b.c-d", "a@b.c-d"), ("%68i", "hi")] {
        client.deploy(name, "");
        assert_eq!(client.get(&target(name)).json()["name"], text);
    }
    assert_eq!(client.get(&target("hi")).status(), 200, "the same name, spelt otherwise");
    let long = "n".repeat(NAME_LEN_MAX + 1);
    for name in ["..", ".", "%2e%2e", "a%00", "a%2fb", "%2Fetc", "%20a", "a%20", "a+b", "~", &long]
    {
        for method in [Method::Get, Method::Put, Method::Delete, Method::Post] {
            let answer = client.ask(method, &target(name), &image());
            answer.refused(400, "the name");
        }
    }
    for name in ["%", "%4", "%zz", "%ff", "%c3%28"] {
        client.get(&target(name)).refused(400, "percent-encoded");
        client.ask(Method::Put, &target(name), &image()).refused(400, "percent-encoded");
    }
    for name in ["pkg/name", "a/b/c", "a//b", "../hi", "/hi"] {
        client.get(&target(name)).refused(404, "Packages are not supported");
        client.ask(Method::Delete, &target(name), b"").refused(404, "Packages");
        client.ask(Method::Post, &target(name), b"").refused(404, "Packages");
        client.ask(Method::Put, &target(name), &image()).refused(400, "Packages");
    }
    assert_eq!(client.node.registry.len(), 3);
}

#[test]
fn lists_are_ordered_and_paged() {
    let mut client = Client::new();
    for number in (0..250).rev() {
        client.deploy(&format!("a{number:03}"), "memory=1");
    }
    let list = "/api/v1/namespaces/_/actions";
    let mut names = |query: &str| -> Vec<String> {
        let answer = client.get(&format!("{list}{query}"));
        assert_eq!(answer.status(), 200, "{query}");
        let json = answer.json();
        let actions = json.as_array().expect("an array");
        actions.iter().map(|action| action["name"].as_str().expect("a name").to_string()).collect()
    };
    let range = |range: core::ops::Range<usize>| -> Vec<String> {
        range.map(|number| format!("a{number:03}")).collect()
    };
    assert_eq!(names(""), range(0..30));
    assert_eq!(names("?"), range(0..30));
    assert_eq!(names("?limit=0"), range(0..200));
    assert_eq!(names("?limit=200&skip=100"), range(100..250));
    assert_eq!(names("?limit=1&skip=249"), range(249..250));
    assert!(names("?skip=250").is_empty());
    assert!(names("?skip=18446744073709551615").is_empty());
    assert_eq!(client.get(&format!("{list}?count=true")).text(), "{\"actions\":250}");
    let value = "The value '201' is not in the range of 0 to 200";
    client.get(&format!("{list}?limit=201")).refused(400, value);
    for query in ["limit=-1", "limit=x", "skip=-1", "count=maybe", "skip=99999999999999999999"] {
        client.get(&format!("{list}?{query}")).refused(400, "The query parameter");
    }
    let first = &client.get(&format!("{list}?limit=1")).json()[0];
    assert_eq!(first["exec"], json!({"binary": true}));
    assert!(first.get("parameters").is_none() && first["limits"]["memory"] == 1);
}

#[test]
fn a_full_registry_is_no_place_for_a_new_name() {
    let mut client = Client::with_hello();
    let guest = Namespace::new(crate::settings::GUEST);
    let hello =
        alloc::sync::Arc::clone(client.node.registry.get(&guest, "hello").expect("deployed"));
    for number in 1..ACTIONS_MAX {
        let action = crate::registry::Action {
            makes_fields: false,
            namespace: guest.clone(),
            name: crate::registry::Name::new(&format!("n{number}")).expect("a good name"),
            version: hello.version,
            digest: hello.digest,
            of_code: hello.of_code,
            kind: hello.kind.clone(),
            main: None,
            limits: hello.limits,
            annotations: alloc::sync::Arc::clone(&hello.annotations),
            parameters: alloc::sync::Arc::clone(&hello.parameters),
            variables: None,
            publish: false,
            updated_ms: 0,
            template: alloc::sync::Arc::clone(&hello.template),
            counted_at: Default::default(),
            charge: Default::default(),
        };
        client.node.registry.insert(alloc::sync::Arc::new(action)).expect("there is room");
    }
    let answer = client.put("/api/v1/namespaces/_/actions/new", &document(""));
    answer.refused(503, "already holds");
    assert_eq!(answer.header("Retry-After"), Some("1"));
    assert_eq!(client.put(&format!("{ACTION}?overwrite=true"), &document("")).status(), 200);
}

#[test]
fn code_that_is_too_long_is_refused() {
    let mut client = Client::new();
    let mut file = image();
    file.resize(CODE_LEN_MAX + 1, 0);
    client.ask(Method::Put, ACTION, &file).refused(413, "The code exceeds the limit");
    let document = format!(r#"{{"exec":{{"kind":"native","code":"{}"}}}}"#, STANDARD.encode(&file));
    assert!(document.len() <= DEPLOY_LEN_MAX, "a body of this length arrives");
    client.put(ACTION, &document).refused(413, "The code exceeds the limit");
    assert!(client.node.registry.is_empty());
}
