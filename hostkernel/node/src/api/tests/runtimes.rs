//! Runtimes, and functions in source code, with a worker that freezes whatever it prepares.

use alloc::sync::Arc;

use super::*;
use action_abi::host::Moment;
use memory::{AddressSpace, LoadPlan, Processor, Protection, Reservation, Segment, Template};
use serde_json::json;

const RUNTIME: &str = "/api/v1/runtimes/python:3";
const F: &str = "/api/v1/namespaces/_/actions/f";
/// The start of a zip archive; nobody looks further.
const ARCHIVE: &[u8] = b"PK\x03\x04 runtime";
const FROZEN: End = End::Frozen { at: Moment::Input };

pub(crate) fn host() -> Arc<Template> {
    let segments = vec![Segment {
        address: 0x40_0000,
        memory_len: 4096,
        file_offset: 0,
        file_len: 4096,
        protection: Protection::ReadExecute,
    }];
    let plan = LoadPlan { entry: 0x40_0000, segments, is_host: true };
    let code = PageBuffer::from_bytes(&[0xcc; 4096]).expect("frames are left");
    Arc::new(Template::build(&plan, code).expect("frames are left"))
}

/// A node that can host programs.
fn client() -> Client {
    let mut client = Client::new();
    client.node.policy.host = Some(host());
    client
}

/// A node with a runtime.
fn client_with_runtime() -> Client {
    let mut client = client();
    assert_eq!(prepare(&mut client, RUNTIME, ARCHIVE).status(), 200);
    client
}

/// What a worker makes of an invocation that prepares something.
pub(crate) fn freeze(invocation: &Invocation) -> Arc<Template> {
    let reservation = Reservation::new(100).expect("frames are left");
    let template = Arc::clone(&invocation.template);
    let mut space =
        AddressSpace::empty(template, PageBuffer::new(), reservation, Default::default());
    let payload = invocation.payload.as_ref().expect("it has a payload");
    space.set_payload(Arc::clone(payload)).expect("there are few stages");
    space.lay_out(1 << 20, 1 << 20).expect("it fits");
    let words = [0; Processor::WORDS];
    let processor = Processor { words, extended: None, at: Moment::Input };
    Arc::new(space.freeze(processor).expect("frames are left"))
}

/// Ends a preparation.
fn end(client: &mut Client, admission: Admission, end: End, out: &[u8], log: &[&str]) -> Answer {
    let (invocation, pending) = admission.split(TICKET);
    assert!(pending.is_deploy());
    let frozen = (end == FROZEN).then(|| freeze(&invocation));
    let mut completion = completion(invocation, end, out, log);
    completion.frozen = frozen;
    match deployed(&mut client.node, &pending, completion) {
        (Done::Answer(response), _) => Answer::of(response),
        (done, _) => panic!("this node has no store: {done:?}"),
    }
}

/// Puts what is prepared well.
fn prepare(client: &mut Client, target: &str, body: &[u8]) -> Answer {
    let admission = client.admit(Method::Put, target, body);
    end(client, admission, FROZEN, b"", &[])
}

fn input(admission: &Admission) -> String {
    String::from_utf8(admission.input.to_vec().expect("there is memory")).expect("it is text")
}

#[test]
fn a_runtime_is_put_listed_replaced_and_deleted() {
    let mut client = client();
    assert_eq!(client.get("/api/v1/runtimes").text(), "[]");
    let admission = client.admit(Method::Put, RUNTIME, ARCHIVE);
    assert_eq!(
        admission.variables(),
        "HOSTKERNEL_INIT=input\0HOSTKERNEL_STAGE=runtime\0PORT=8080\0"
    );
    assert_eq!((input(&admission).as_str(), admission.limits.memory_mb), ("", 256));
    assert!(Arc::ptr_eq(&admission.template, client.node.policy.host.as_ref().expect("it is set")));
    client.get(RUNTIME).refused(404, "does not exist");
    let answer = end(&mut client, admission, FROZEN, b"", &[]);
    let described = answer.json();
    assert_eq!((answer.status(), &described["name"]), (200, &json!("python:3")), "{described}");
    assert_eq!(described["size"], ARCHIVE.len());
    assert_eq!(described["digest"].as_str().map(str::len), Some(64));
    assert_eq!(client.get(RUNTIME).json(), described);
    assert_eq!(client.get("/api/v1/runtimes").json(), json!([described]));
    let kinds = client.get("/").json()["runtimes"].clone();
    assert_eq!(
        kinds["python"],
        json!([{"kind": "python:3", "default": true, "deprecated": false}])
    );
    let limits = client.get("/api/v1/namespaces/_/limits").json();
    assert_eq!(limits["allowedKinds"], json!(["native:1", "linux", "blackbox", "python:3"]));
    let again = prepare(&mut client, &format!("{RUNTIME}?memory=7"), b"PK\x03\x04 newer").json();
    assert_ne!(again["digest"], described["digest"]);
    assert_eq!(client.get("/api/v1/runtimes").json(), json!([again]));
    assert_eq!(client.ask(Method::Delete, RUNTIME, b"").json(), again);
    client.ask(Method::Delete, RUNTIME, b"").refused(404, "does not exist");
    assert_eq!(client.get("/").json()["runtimes"]["python"], Value::Null);
}

#[test]
fn a_runtime_that_does_not_start_changes_nothing() {
    let mut client = client();
    let admission = client.admit(Method::Put, RUNTIME, ARCHIVE);
    let log = ["2no interpreter\n"];
    end(&mut client, admission, End::Exit(1), b"", &log).refused(400, "exit status 1");
    let admission = client.admit(Method::Put, RUNTIME, ARCHIVE);
    end(&mut client, admission, End::NotStarted, b"", &[]).refused(503, "Nothing ran");
    assert_eq!(client.get("/api/v1/runtimes").text(), "[]");
    client.ask(Method::Put, RUNTIME, b"\x7fELF").refused(400, "A runtime is a zip archive");
    client.ask(Method::Put, RUNTIME, b"").refused(400, "A runtime is a zip archive");
    for name in ["native:1", "python:default", "-x", "%20", "a:b:c"] {
        let target = format!("/api/v1/runtimes/{name}");
        client.ask(Method::Put, &target, ARCHIVE).refused(400, "The name of a runtime is");
    }
    client.ask(Method::Put, "/api/v1/runtimes", ARCHIVE).refused(405, "HTTP method not allowed");
    client.ask(Method::Post, RUNTIME, ARCHIVE).refused(405, "GET, HEAD, PUT, DELETE");
    client.node.policy.host = None;
    client.ask(Method::Put, RUNTIME, ARCHIVE).refused(400, "no image that hosts");
}

#[test]
fn runtimes_are_the_administrators() {
    let mut client = client_with_runtime();
    client.node.policy.tenants = tenants(
        "hostkernel.auth=23bc46b1-71f6-4ed5-8c54-816aa4f8c502:\
         123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP",
    );
    for method in [Method::Put, Method::Get, Method::Delete] {
        client.ask(method, RUNTIME, ARCHIVE).refused(403, "administrator");
    }
    client.authorization = None;
    client.get(RUNTIME).refused(401, "");
    let text = RequestText::of(RUNTIME, None, &[]);
    let refused = check_head(&mut client.node, Method::Put, RUNTIME, text.headers(), || 1);
    assert_eq!(refused.expect_err("before the body").status, 401);
}

#[test]
fn a_function_starts_from_its_runtime_and_is_told_how_it_is_called() {
    let mut client = client_with_runtime();
    let source = "def main(args):\n\treturn {\"ä\": '\\\\'}\n";
    let exec = json!({"exec": {"kind": "python:3.11", "code": source, "main": "mäin"}});
    let admission = client.admit(Method::Put, F, exec.to_string().as_bytes());
    let variables = "HOSTKERNEL_INIT=input\0HOSTKERNEL_STAGE=function\0PORT=8080\0";
    assert_eq!(admission.variables(), variables);
    let line = "{\"value\":{\"name\":\"f\",\"main\":\"mäin\",\"binary\":false,\"env\":{}}}\n";
    assert_eq!(input(&admission), line);
    let payload = admission.payload.as_ref().expect("it has one").to_vec().expect("it is short");
    assert_eq!(payload, source.as_bytes());
    let runtime = client.node.registry.runtimes().get("python:3").expect("it is there");
    assert!(Arc::ptr_eq(&admission.template, &runtime.template));
    let answer = end(&mut client, admission, FROZEN, b"", &[]).json();
    let exec = json!({"kind": "python:3.11", "code": source, "main": "mäin", "binary": false});
    assert_eq!((&answer["exec"], &answer["version"]), (&exec, &json!("0.0.1")), "{answer}");
    assert_eq!(answer["annotations"][0], json!({"key": "exec", "value": "python:3.11"}));
    // The same code is loaded once, and limits are changed without loading it again.
    let same = json!({"exec": exec, "limits": {"memory": 64}}).to_string();
    assert_eq!(client.put(&format!("{F}2"), &same).status(), 200);
    let target = format!("{F}?overwrite=true");
    let changed = client.put(&target, "{\"limits\":{\"memory\":128}}").json();
    assert_eq!((&changed["exec"], &changed["limits"]["memory"]), (&exec, &json!(128)));
    // Another function of it is another one.
    let other = json!({"exec": {"kind": "python:3.11", "code": source}}).to_string();
    let admission = client.admit(Method::Put, &target, other.as_bytes());
    assert!(!input(&admission).contains("main"));
}

#[test]
fn archives_and_bare_files_of_a_kind_are_functions() {
    let mut client = client_with_runtime();
    let zip = b"PK\x03\x04 function";
    let exec = json!({"exec": {"kind": "python:default", "code": STANDARD.encode(zip)}});
    let admission = client.admit(Method::Put, F, exec.to_string().as_bytes());
    assert!(input(&admission).contains("\"binary\":true"));
    let exec = end(&mut client, admission, FROZEN, b"", &[]).json()["exec"].clone();
    assert_eq!(
        exec,
        json!({"kind": "python:default", "code": STANDARD.encode(zip), "binary": true})
    );
    let target = format!("{F}?overwrite=true&kind=python:3&main=go&memory=32");
    let admission = client.admit(Method::Put, &target, b"def go(args): pass");
    let line = input(&admission);
    assert!(line.contains("\"main\":\"go\",\"binary\":false"), "{line}");
    let answer = end(&mut client, admission, FROZEN, b"", &[]).json();
    assert_eq!(answer["exec"], json!({"kind": "python:3", "main": "go", "binary": false}));
    let admission = client.admit(Method::Put, &target, zip);
    assert!(input(&admission).contains("\"binary\":true"));
    // A program is one whatever is said of it.
    let target = format!("{F}?overwrite=true&kind=python:3");
    assert_eq!(client.ask(Method::Put, &target, &image()).status(), 200);
}

#[test]
fn a_server_is_told_what_to_answer_before_it_is_frozen() {
    let mut client = client_with_runtime();
    let warm = |path: &str| json!({"annotations": [{"key": "warm", "value": path}]});
    let function = |path: &str| {
        let mut document = warm(path);
        document["exec"] = json!({"kind": "python:3", "code": "serve()"});
        document.to_string()
    };
    for path in ["", "page", "/a b", "/a\r\nX: y"] {
        client.put(F, &function(path)).refused(400, "annotation 'warm' is a path");
    }
    let stage = "HOSTKERNEL_INIT=input\0HOSTKERNEL_STAGE=function\0PORT=8080\0";
    let environment = |path: &str| {
        format!(
            "HOSTKERNEL_WARM=GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: hostkernel\r\n\
             X-Forwarded-Host: localhost\r\nX-Forwarded-Proto: http\r\n\
             X-Forwarded-Prefix: /function/f\r\nConnection: close\r\n\r\n\0{stage}"
        )
    };
    let admission = client.admit(Method::Put, F, function("/a?b=c").as_bytes());
    assert_eq!(admission.variables(), environment("/a?b=c"));
    let first = end(&mut client, admission, FROZEN, b"", &[]).json();
    // Another path makes another template of the same code, nothing else does.
    let target = format!("{F}?overwrite=true");
    assert_eq!(client.put(&target, &warm("/a?b=c").to_string()).status(), 200);
    let admission = client.admit(Method::Put, &target, warm("/").to_string().as_bytes());
    assert_eq!(admission.variables(), environment("/"));
    let runtime = client.node.registry.runtimes().get("python:3").expect("it is there");
    assert!(Arc::ptr_eq(&admission.template, &runtime.template));
    assert!(input(&admission).contains("\"binary\":false"));
    assert_eq!(end(&mut client, admission, FROZEN, b"", &[]).json()["exec"], first["exec"]);
    let without = json!({"delAnnotations": ["warm"]}).to_string();
    let admission = client.admit(Method::Put, &target, without.as_bytes());
    assert_eq!(admission.variables(), stage);
    assert_eq!(end(&mut client, admission, FROZEN, b"", &[]).status(), 200);
}

#[test]
fn a_program_that_is_warmed_up_is_frozen_where_it_waits() {
    let mut client = client();
    let target = format!("{F}?memory=32");
    // Without the note of ours it is a program for the host.
    let mut program = image();
    let note = program.windows(10).position(|it| it == b"hostkernel").expect("it has the note");
    program[note] = b'H';
    let code = STANDARD.encode(program);
    let annotations = json!([{"key": "warm", "value": "/"}]);
    let document = json!({"exec": {"kind": "linux", "code": code}, "annotations": annotations});
    let admission = client.admit(Method::Put, &target, document.to_string().as_bytes());
    let variables = admission.variables();
    assert!(variables.starts_with("HOSTKERNEL_WARM=GET / HTTP/1.1\r\n"), "{variables}");
    assert!(variables.ends_with("\0HOSTKERNEL_INIT=input\0PORT=8080\0"), "{variables}");
}

#[test]
fn code_that_cannot_be_loaded_is_refused_with_what_it_said() {
    let mut client = client_with_runtime();
    let mut refused = |how, output: &[u8], log: &[&str], text| {
        let admission = client.admit(Method::Put, &format!("{F}?kind=python:3"), b"import nope");
        let answer = end(&mut client, admission, how, output, log);
        answer.refused(400, text);
    };
    let output = br#"{"error":"ModuleNotFoundError: No module named 'nope'"}"#;
    let log = ["2Traceback:\n", "2  line 1\n"];
    let text = "could not be prepared: ModuleNotFoundError: No module named 'nope'. \
                | Traceback: |   line 1";
    refused(End::Exit(1), output, &log, text);
    refused(End::Exit(1), br#"{"error":5}"#, &[], "prepared: exit status 1.");
    refused(End::Exit(0), output, &[], "prepared: it ended by itself.");
    let deadline = End::Fault(Fault::Deadline { timeout_ms: 100, instruction: None });
    refused(deadline, output, &[], "prepared: deadline of 100 ms exceeded.");
    assert!(client.node.registry.is_empty());
}

#[test]
fn unknown_kinds_are_refused_with_those_there_are() {
    let mut client = client_with_runtime();
    let valid = "Valid values are: 'native', 'linux', 'blackbox', 'python:3'.";
    for kind in ["python:2", "nodejs:20", "pytho"] {
        let exec = json!({"exec": {"kind": kind, "code": "x"}}).to_string();
        let answer = client.put(F, &exec);
        answer.refused(400, valid);
        answer.refused(400, kind);
        client.ask(Method::Put, &format!("{F}?kind={kind}"), b"x").refused(400, valid);
    }
    let kind = |exec: Value| json!({ "exec": exec }).to_string();
    client.put(F, &kind(json!({"kind": "python:3", "code": ""}))).refused(400, "no code");
    client.put(F, &kind(json!({"kind": "python:3", "code": 5}))).refused(400, "exec.code");
    let mangled = kind(json!({"kind": "python:3", "code": "PK\u{3}\u{4}"}));
    client.put(F, &mangled).refused(400, "binary was sent as text");
    let half = kind(json!({"kind": "python:3", "code": "UEsDBA=x"}));
    client.put(F, &half).refused(400, "not valid base64");
    for main in [json!(""), json!(5), json!("a\nb"), json!("a".repeat(257))] {
        let exec = kind(json!({"kind": "python:3", "code": "x", "main": main}));
        client.put(F, &exec).refused(400, "exec.main");
    }
}
