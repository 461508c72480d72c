//! The kind `python:3`.

use super::*;

static NODE: SharedNode = SharedNode::new(|| node_with(Language::Python));
const PYTHON: Functions = Functions { kind: "python:3", node: &NODE };

#[test]
fn its_kind_is_listed_and_others_are_refused_with_the_list() {
    PYTHON.are_listed("python", "python:3");
}

#[test]
fn results_are_dictionaries_or_lists() {
    for (source, expected) in [
        ("def main(args): return {'a': args['b'] + 1}", json!({"a": 2})),
        ("def main(args): return [1, 'ä☃', None]", json!([1, "ä☃", null])),
        ("def main(args): return {'n': len(args)}", json!({"n": 1})),
        (
            "import re, hashlib, decimal, datetime, json, csv, sqlite3, asyncio, ctypes, zoneinfo\n\
             def main(args): return {'d': str(decimal.Decimal(1) / 3), \
             'h': hashlib.sha256(b'x').hexdigest()[:8], 'r': re.findall('[0-9]+', 'a1'), \
             's': sqlite3.connect(':memory:').execute('select 1 + 1').fetchone()[0]}",
            json!({"d": "0.3333333333333333333333333333", "h": "2d711642", "r": ["1"], "s": 2}),
        ),
    ] {
        PYTHON.run(source, &json!({"b": 1})).succeeded(&expected);
    }
}

#[test]
fn what_goes_wrong_in_a_call_is_said_and_the_next_one_is_clean() {
    let source = "import os, sys, threading, time\ncalls = 0\n\
        def main(args):\n    global calls\n    calls += 1\n    how = args['how']\n\
        \x20   if how == 'count': return {'calls': calls, 'left': os.path.exists('/tmp/left')}\n\
        \x20   open('/tmp/left', 'w').write('x')\n\
        \x20   if how == 'raise': raise ValueError('raised')\n\
        \x20   if how == 'key': return args['nope']\n\
        \x20   if how == 'text': return 'text'\n\
        \x20   if how == 'none': return None\n\
        \x20   if how == 'nan': return {'x': float('nan')}\n\
        \x20   if how == 'object': return {'x': object()}\n\
        \x20   if how == 'exit': sys.exit(3)\n\
        \x20   if how == 'quit': os._exit(4)\n\
        \x20   if how == 'kill': os.kill(os.getpid(), 9)\n\
        \x20   if how == 'recurse': return main(args)\n\
        \x20   if how == 'memory': return {'x': [bytearray(1 << 20) for _ in range(1000)]}\n\
        \x20   if how == 'threads':\n\
        \x20       for _ in range(3): threading.Thread(target=time.sleep, args=(1000,)).start()\n\
        \x20       return {}\n\
        \x20   if how == 'close':\n        os.close(1)\n        os.close(2)\n        return {}\n";
    PYTHON.deploy("wrong-py", source.as_bytes());
    let next_is_clean = || {
        let clean = json!({"calls": 1, "left": false});
        PYTHON.call("wrong-py", &json!({"how": "count"})).succeeded(&clean);
    };
    for (how, status, part) in [
        ("raise", APPLICATION_ERROR, "ValueError: raised"),
        ("key", APPLICATION_ERROR, "KeyError: 'nope'"),
        ("text", DEVELOPER_ERROR, "The action did not return a dictionary or array."),
        ("none", DEVELOPER_ERROR, "The action did not return a dictionary or array."),
        ("nan", DEVELOPER_ERROR, "not JSON compliant"),
        ("object", DEVELOPER_ERROR, "not JSON serializable"),
        ("exit", DEVELOPER_ERROR, "The action called sys.exit(3)."),
        ("quit", DEVELOPER_ERROR, "exited with status 4"),
        ("kill", DEVELOPER_ERROR, "SIGKILL"),
        ("recurse", APPLICATION_ERROR, "RecursionError"),
    ] {
        PYTHON.call("wrong-py", &json!({ "how": how })).failed(status, part);
        next_is_clean();
    }
    let memory = PYTHON.call("wrong-py", &json!({"how": "memory"}));
    assert!(memory.status != "success", "{memory:?}");
    next_is_clean();
    for how in ["threads", "close"] {
        PYTHON.call("wrong-py", &json!({ "how": how })).succeeded(&json!({}));
        next_is_clean();
    }
    PYTHON.call("wrong-py", &json!({"how": "raise"})).logged("stderr: ValueError: raised");
}

#[test]
fn archives_have_modules_files_and_a_virtualenv() {
    let files = [
        (
            "__main__.py",
            "import helper, dep\ndata = open('data.txt').read()\n\
          def go(args): return {'data': data, 'h': helper.twice(21), 'd': dep.name}",
        ),
        ("helper.py", "def twice(n): return 2 * n"),
        ("source", "a name like any other"),
        ("data.txt", "text"),
        ("virtualenv/lib/python3.11/site-packages/dep/__init__.py", "name = 'dep'"),
    ];
    PYTHON.deploy_main("packed-py", &archive(&files), Some("go"));
    let expected = json!({"data": "text", "h": 42, "d": "dep"});
    PYTHON.call("packed-py", &json!({})).succeeded(&expected);
}

#[test]
fn code_that_cannot_be_loaded_is_refused_with_its_traceback() {
    for (code, parts) in [
        (&b"def main(args)\n    pass"[..], &["SyntaxError: expected ':'", "line 1"][..]),
        (b"import nope", &["ModuleNotFoundError: No module named 'nope'", "/action/source"]),
        (b"def other(args): pass", &["The code has no function 'main'."]),
        (b"main = 5", &["The code has no function 'main'."]),
        (b"1 / 0", &["ZeroDivisionError", "Traceback"]),
        (b"import sys\nsys.exit(2)", &["sys.exit(2) while it was loaded"]),
        (b"\xff\xfe", &["SyntaxError"]),
    ] {
        let text = PYTHON.refused("bad-py", code);
        for part in parts {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
    let text = PYTHON.refused("bad-py", &archive(&[("other.py", "")]));
    assert!(text.contains("no file __main__.py"), "{text}");
    assert_eq!(ask(&NODE.get(), "GET", "/api/v1/namespaces/_/actions/bad-py", b"").status, 404);
}

#[test]
fn a_call_has_its_own_environment_randomness_and_log() {
    let source = "import os, random, sys, uuid\nearly = random.random()\n\
        os.environ['MINE'] = 'kept'\n\
        def main(args):\n    print('one')\n    print('two', file=sys.stderr)\n    print('three')\n\
        \x20   return {'early': early, 'late': random.random(), 'uuid': str(uuid.uuid4()),\n\
        \x20       'mine': os.environ['MINE'], 'name': os.environ['__OW_ACTION_NAME'],\n\
        \x20       'id': os.getenv('__OW_ACTIVATION_ID'), 'pid': os.getpid(),\n\
        \x20       'ours': [name for name in os.environ if name.startswith('HOSTKERNEL')]}";
    PYTHON.deploy("own-py", source.as_bytes());
    let [one, two] = [(); 2].map(|()| PYTHON.call("own-py", &json!({})));
    assert_eq!(one.result["early"], two.result["early"]);
    for other in ["late", "uuid", "id", "pid"] {
        assert_ne!(one.result[other], two.result[other], "{other}");
    }
    assert_eq!(one.result["mine"], "kept");
    assert_eq!((&one.result["name"], &one.result["ours"]), (&json!("/guest/own-py"), &json!([])));
    let text = |line: &String| line.split_once(' ').map(|(_, text)| text.to_owned());
    let lines: Vec<_> = one.logs.iter().filter_map(text).collect();
    assert_eq!(lines, ["stdout: one", "stderr: two", "stdout: three"]);
}

#[test]
fn clients_of_openwhisk_deploy_text_and_read_it_back() {
    let source = "def main(args):\n    return {\"hello\": args.get(\"name\", \"ä\")}\n";
    let answer = PYTHON.document("wsk-py", source);
    assert_eq!(
        (&answer["exec"]["code"], &answer["exec"]["binary"]),
        (&json!(source), &json!(false))
    );
    PYTHON.call("wsk-py", &json!({})).succeeded(&json!({"hello": "ä"}));
    let long = "x".repeat(1 << 19);
    PYTHON.call("wsk-py", &json!({ "name": long })).succeeded(&json!({ "hello": long }));
}

/// A file that listens when it is loaded.
const SERVER: &str = r#"
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

seen = []

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        seen.append(self.path)
        body = " ".join(seen).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

HTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"#;

#[test]
fn a_file_that_listens_is_a_web_server() {
    PYTHON.deploy("server", SERVER.as_bytes());
    let node = PYTHON.node();
    for number in 0..5 {
        let answer = node.get(&format!("/function/server/{number}?a=b"));
        assert_eq!((answer.status, answer.text()), (200, format!("/{number}?a=b")));
        assert!(answer.header("server").is_some_and(|server| server.starts_with("BaseHTTP")));
    }
}

#[test]
fn archives_that_do_harm_are_refused_by_name() {
    let [function, reader] = archives::PYTHON;
    PYTHON.refuse_bad_archives(function, reader);
}

#[test]
fn what_a_call_does_to_itself_has_an_outcome_and_the_next_is_clean() {
    attacks::python(PYTHON);
}

#[test]
fn servers_with_packages_answer_each_request_afresh() {
    servers::python(PYTHON);
}

#[test]
fn the_samples_do_what_they_say() {
    samples::python(PYTHON);
}

#[test]
fn the_npm_package_openwhisk_deploys_and_calls_source_text() {
    PYTHON.are_deployed_by_npm(npm::PYTHON);
}
