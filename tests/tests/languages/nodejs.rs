//! The kind `nodejs`, where it differs from the small one.

use super::*;

static NODE: SharedNode = SharedNode::new(|| node_with(Language::NodeJs));
const NODEJS: Functions = Functions { kind: "nodejs:default", node: &NODE };

#[test]
fn its_kind_is_listed_and_others_are_refused_with_the_list() {
    // Of which version it is turns out when it is built.
    let kinds = NODE.get().client().kinds().expect("an answer");
    assert!(kinds.contains_key("nodejs"), "{kinds:?}");
    NODEJS.are_listed("nodejs", &Language::NodeJs.kind());
}

#[test]
fn results_are_objects_arrays_nothing_or_promises_of_one() {
    for (source, expected) in [
        ("function main(args) { return { a: args.b + 1 } }", json!({"a": 2})),
        ("exports.main = async () => [1, 'ä☃', null]", json!([1, "ä☃", null])),
        ("module.exports = () => {}", json!({})),
        (
            "function main() { return new Promise((done) => setTimeout(() => done({ t: 1 }), 5)) }",
            json!({"t": 1}),
        ),
        (
            "const zlib = require('zlib'), path = require('path'); \
             function main() { undeclared = zlib.gunzipSync(zlib.gzipSync('hi')).toString(); \
             return { undeclared, \
             h: require('crypto').createHash('md5').update('a').digest('hex'), \
             p: path.join('a', '..', 'b') } }",
            json!({"undeclared": "hi", "h": "0cc175b9c0f1b6a831c399e269772661", "p": "b"}),
        ),
    ] {
        NODEJS.run(source, &json!({"b": 1})).succeeded(&expected);
    }
}

#[test]
fn what_goes_wrong_in_a_call_is_said_and_the_next_one_is_clean() {
    let source = "let calls = 0; const fs = require('fs'); function main({ how }) { calls += 1; \
                  if (how === 'count') return { calls, left: fs.existsSync('/tmp/left') }; \
                  fs.writeFileSync('/tmp/left', 'x'); \
                  if (how === 'throw') throw new TypeError('thrown'); \
                  if (how === 'late') return new Promise(() => setTimeout(() => lost(), 1)); \
                  if (how === 'nothing') return Promise.reject(); \
                  if (how === 'text') return 'text'; \
                  if (how === 'never') return new Promise(() => {}); \
                  if (how === 'exit') process.exit(3); \
                  if (how === 'kill') process.kill(process.pid, 'SIGKILL'); \
                  if (how === 'recurse') return main({ how }); }";
    NODEJS.deploy("wrong", source.as_bytes());
    for (how, status, part) in [
        ("throw", APPLICATION_ERROR, "TypeError: thrown"),
        ("late", APPLICATION_ERROR, "ReferenceError: lost is not defined"),
        ("nothing", APPLICATION_ERROR, "without a reason"),
        ("text", DEVELOPER_ERROR, "did not return a dictionary or array"),
        ("never", DEVELOPER_ERROR, "nothing can settle"),
        ("exit", DEVELOPER_ERROR, "process.exit(3)"),
        ("kill", DEVELOPER_ERROR, "SIGKILL"),
        ("recurse", APPLICATION_ERROR, "call stack"),
    ] {
        NODEJS.call("wrong", &json!({ "how": how })).failed(status, part);
        let clean = json!({"calls": 1, "left": false});
        NODEJS.call("wrong", &json!({"how": "count"})).succeeded(&clean);
    }
}

#[test]
fn archives_have_modules_of_their_own() {
    let modules = [
        ("package.json", r#"{"main":"entry.js"}"#),
        ("entry.js", "exports.run = { it: () => require('dep').f(require('./d')) }"),
        ("d.json", r#"{"n":41}"#),
        ("source", "a name like any other"),
        ("node_modules/dep/index.js", "exports.f = ({ n }) => ({ n: n + 1 })"),
    ];
    NODEJS.deploy_main("packed", &archive(&modules), Some("run.it"));
    NODEJS.call("packed", &json!({})).succeeded(&json!({"n": 42}));
    let text = NODEJS.refused("bad", &archive(&[("other.js", "")]));
    assert!(text.contains("neither package.json nor index.js"), "{text}");
    for (code, part) in [
        (&b"function main( { return {} }"[..], "SyntaxError: Unexpected token"),
        (b"require('left-pad')", "Cannot find module 'left-pad'"),
        (b"function other() {}", "The code has no function 'main'."),
    ] {
        let text = NODEJS.refused("bad", code);
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_call_has_its_own_environment_randomness_and_log() {
    let source = "const crypto = require('crypto'); const early = crypto.randomUUID(); \
                  function main() { console.log('one', { a: [1] }); console.error('two'); \
                  return { early, late: crypto.randomUUID(), number: Math.random(), \
                  bytes: crypto.randomBytes(8).toString('hex'), \
                  id: process.env.__OW_ACTIVATION_ID } }";
    NODEJS.deploy("own", source.as_bytes());
    let [one, two] = [(); 2].map(|()| NODEJS.call("own", &json!({})));
    assert_eq!(one.result["early"], two.result["early"]);
    for other in ["late", "number", "bytes", "id"] {
        assert_ne!(one.result[other], two.result[other], "{other}");
    }
    let text = |line: &String| line.split_once(' ').map(|(_, text)| text.to_owned());
    let lines: Vec<_> = one.logs.iter().filter_map(text).collect();
    assert_eq!(lines, ["stdout: one { a: [ 1 ] }", "stderr: two"]);
}

#[test]
fn archives_that_do_harm_are_refused_by_name() {
    let [function, reader] = archives::NODE;
    NODEJS.refuse_bad_archives(function, reader);
}

#[test]
fn what_a_call_does_to_itself_has_an_outcome_and_the_next_is_clean() {
    attacks::node(NODEJS);
}

#[test]
fn servers_with_packages_answer_each_request_afresh() {
    servers::node(NODEJS);
}

#[test]
fn the_samples_do_what_they_say() {
    samples::node(NODEJS);
}

#[test]
fn the_npm_package_openwhisk_deploys_and_calls_source_text() {
    NODEJS.are_deployed_by_npm(npm::JAVASCRIPT);
}
