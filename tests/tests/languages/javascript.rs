//! The kind `javascript`.

use super::*;

static NODE: SharedNode = SharedNode::new(|| node_with(Language::JavaScript));
const JAVASCRIPT: Functions = Functions { kind: "javascript:default", node: &NODE };

#[test]
fn its_kind_is_listed_and_others_are_refused_with_the_list() {
    JAVASCRIPT.are_listed("javascript", "javascript");
}

#[test]
fn results_are_objects_arrays_nothing_or_promises_of_one() {
    for (source, expected) in [
        ("function main(args) { return { a: args.b + 1 } }", json!({"a": 2})),
        ("const main = async ({ b }) => ({ a: b });", json!({"a": 1})),
        ("exports.main = () => [1, 'ä☃', null]", json!([1, "ä☃", null])),
        ("module.exports = { main() {} }", json!({})),
        ("module.exports = () => null", json!({})),
        (
            "function main() { return new Promise((done) => setTimeout(() => done({ t: 1 }), 5)) }",
            json!({"t": 1}),
        ),
        ("function main() { undeclared = 5; return { undeclared } }", json!({"undeclared": 5})),
        ("function main() { return { error: { code: 7 } } }", Value::Null),
    ] {
        let outcome = JAVASCRIPT.run(source, &json!({"b": 1}));
        match expected {
            Value::Null => assert_eq!(outcome.result, json!({"error": {"code": 7}})),
            expected => outcome.succeeded(&expected),
        }
    }
}

#[test]
fn what_goes_wrong_in_a_call_is_said_and_the_next_one_is_clean() {
    let source = "let calls = 0; function main({ how }) { calls += 1; \
                  if (how === 'count') return { calls }; \
                  if (how === 'throw') throw new TypeError('thrown'); \
                  if (how === 'reject') return Promise.reject(new Error('rejected')); \
                  if (how === 'nothing') return Promise.reject(); \
                  if (how === 'text') return 'text'; \
                  if (how === 'never') return new Promise(() => {}); \
                  if (how === 'exit') process.exit(3); \
                  if (how === 'recurse') return main({ how }); \
                  if (how === 'require') require('fs'); \
                  if (how === 'circle') { const it = {}; it.it = it; return it } \
                  if (how === 'loop') for (;;); \
                  if (how === 'memory') for (const all = [];;) all.push(new Array(1e5).fill(1)); }";
    JAVASCRIPT.deploy("wrong", source.as_bytes());
    for (how, status, part) in [
        ("throw", APPLICATION_ERROR, "TypeError: thrown"),
        ("reject", APPLICATION_ERROR, "Error: rejected"),
        ("nothing", APPLICATION_ERROR, "without a reason"),
        ("text", DEVELOPER_ERROR, "did not return a dictionary or array"),
        ("never", DEVELOPER_ERROR, "nothing can settle"),
        ("exit", DEVELOPER_ERROR, "process.exit(3)"),
        ("recurse", APPLICATION_ERROR, "call stack"),
        ("require", APPLICATION_ERROR, "Cannot find module 'fs'"),
        ("circle", DEVELOPER_ERROR, "circular"),
        ("memory", DEVELOPER_ERROR, "memory"),
    ] {
        JAVASCRIPT.call("wrong", &json!({ "how": how })).failed(status, part);
        JAVASCRIPT.call("wrong", &json!({"how": "count"})).succeeded(&json!({"calls": 1}));
    }
    JAVASCRIPT.call("wrong", &json!({"how": "throw"})).logged("stderr: TypeError: thrown");
}

#[test]
fn archives_have_an_entry_and_modules_of_their_own() {
    let modules = [
        ("package.json", r#"{"main":"lib/entry.js"}"#),
        (
            "lib/entry.js",
            "const { f } = require('dep'); exports.run = { it: () => f(require('./d')) }",
        ),
        ("lib/d.json", r#"{"n":41}"#),
        ("source", "a name like any other"),
        ("node_modules/dep/package.json", r#"{"main":"x"}"#),
        ("node_modules/dep/x.js", "exports.f = ({ n }) => ({ n: n + 1, at: __filename })"),
    ];
    JAVASCRIPT.deploy_main("packed", &archive(&modules), Some("run.it"));
    let expected = json!({"n": 42, "at": "/action/node_modules/dep/x.js"});
    JAVASCRIPT.call("packed", &json!({})).succeeded(&expected);
    JAVASCRIPT.deploy("index", &archive(&[("index.js", "exports.main = () => ({ i: 1 })")]));
    JAVASCRIPT.call("index", &json!({})).succeeded(&json!({"i": 1}));
}

#[test]
fn code_that_cannot_be_loaded_is_refused_by_name() {
    for (code, parts) in [
        (&b"function main( { return {} }"[..], &["SyntaxError", "/action/source"][..]),
        (b"require('left-pad'); function main() {}", &["Cannot find module 'left-pad'"]),
        (b"function other() {}", &["The code has no function 'main'."]),
        (b"throw new RangeError('at load')", &["RangeError: at load", "/action/source"]),
        (b"process.exit(1)", &["process.exit(1)"]),
    ] {
        let text = JAVASCRIPT.refused("bad", code);
        for part in parts {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
    let text = JAVASCRIPT.refused("bad", &archive(&[("other.js", "")]));
    assert!(text.contains("neither package.json nor index.js"), "{text}");
    let text = JAVASCRIPT.refused("bad", &archive(&[("package.json", r#"{"main":"gone.js"}"#)]));
    assert!(text.contains("no file gone.js"), "{text}");
    assert_eq!(ask(&NODE.get(), "GET", "/api/v1/namespaces/_/actions/bad", b"").status, 404);
}

#[test]
fn a_call_has_its_own_environment_randomness_and_log() {
    let source = "const early = crypto.randomUUID(); function main() { \
                  console.log('one', { a: [1] }); console.error('two'); \
                  return { early, late: crypto.randomUUID(), number: Math.random(), \
                  name: process.env.__OW_ACTION_NAME, \
                  id: process.env.__OW_ACTIVATION_ID, \
                  ours: Object.keys(process.env).filter((it) => it.startsWith('HOSTKERNEL')) } }";
    JAVASCRIPT.deploy("own", source.as_bytes());
    let [one, two] = [(); 2].map(|()| JAVASCRIPT.call("own", &json!({})));
    assert_eq!(one.result["early"], two.result["early"]);
    assert_ne!(one.result["late"], two.result["late"]);
    assert_ne!(one.result["id"], two.result["id"]);
    assert_ne!(one.result["number"], two.result["number"]);
    assert_eq!((&one.result["name"], &one.result["ours"]), (&json!("/guest/own"), &json!([])));
    let text = |line: &String| line.split_once(' ').map(|(_, text)| text.to_owned());
    let lines: Vec<_> = one.logs.iter().filter_map(text).collect();
    assert_eq!(lines, ["stdout: one { a: [ 1 ] }", "stderr: two"]);
}

#[test]
fn what_the_language_of_the_web_has_is_there() {
    let source = "function main() { const url = new URL('../b?q=1#h', 'https://h:8080/a/c'); \
                  return { url: url.href, q: url.searchParams.get('q'), \
                  bytes: [...new TextEncoder().encode('ä')], \
                  text: new TextDecoder().decode(new Uint8Array([0xe2, 0x98, 0x83])), \
                  base64: btoa('hello') + atob('aGk='), set: [...new Set([1, 1])], \
                  big: String(2n ** 70n), re: 'a1b22'.match(/\\d+/g) } }";
    JAVASCRIPT.run(source, &json!({})).succeeded(&json!({
        "url": "https://h:8080/b?q=1#h", "q": "1", "bytes": [0xc3, 0xa4], "text": "☃",
        "base64": "aGVsbG8=hi", "set": [1], "big": "1180591620717411303424", "re": ["1", "22"],
    }));
}

#[test]
fn clients_of_openwhisk_deploy_text_and_read_it_back() {
    let source = "function main(args) {\n  return { hello: args.name };\n}\n";
    let answer = JAVASCRIPT.document("wsk-js", source);
    assert_eq!(
        (&answer["exec"]["code"], &answer["exec"]["binary"]),
        (&json!(source), &json!(false))
    );
    JAVASCRIPT.call("wsk-js", &json!({"name": "ä"})).succeeded(&json!({"hello": "ä"}));
}

#[test]
fn archives_that_do_harm_are_refused_by_name() {
    let [function, reader] = archives::SMALL;
    JAVASCRIPT.refuse_bad_archives(function, reader);
}

#[test]
fn what_a_call_does_to_itself_has_an_outcome_and_the_next_is_clean() {
    attacks::javascript(JAVASCRIPT);
}

#[test]
fn the_samples_do_what_they_say() {
    samples::javascript(JAVASCRIPT);
}

#[test]
fn the_npm_package_openwhisk_deploys_and_calls_source_text() {
    JAVASCRIPT.are_deployed_by_npm(npm::JAVASCRIPT);
}
