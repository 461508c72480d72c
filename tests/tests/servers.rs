//! Web servers on a node, deployed as they are: what they answer is what they answer on this
//! computer, status, fields and body, and no request finds what another left behind.

use std::io::{Cursor, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{fs, thread};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use system_tests::openwhisk::{ask, deploy_json, error};
use system_tests::{Response, SharedNode, TestNode, boot, events, machine};
use tempfile::TempDir;
use xtask::lab::registries;
use xtask::prerequisites::ensure_programs;
use zip::write::SimpleFileOptions;

static NODE: SharedNode = SharedNode::new(|| {
    let programs = [("musl-gcc", "musl-tools"), ("go", "golang-go"), ("busybox", "busybox-static")];
    ensure_programs(&programs, |text| eprintln!("{text}")).expect("the compilers can be had");
    boot(machine())
});

/// How often a server of this computer is asked whether it listens, and how long it is waited.
const TRIES: u32 = 500;
const BETWEEN: Duration = Duration::from_millis(20);

/// Fields that are about a connection or that the node adds.
const NOT_THE_SERVERS: [&str; 9] = [
    "connection",
    "keep-alive",
    "transfer-encoding",
    "content-length",
    "x-request-id",
    "x-openwhisk-activation-id",
    "traceparent",
    "server-timing",
    "date",
];

/// Deploys a program that is frozen where it waits for a connection.
#[track_caller]
fn serve(node: &TestNode, name: &str, file: &[u8]) -> Value {
    let answer = deploy(node, name, file);
    assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    let document = answer.json();
    let annotations = document["annotations"].as_array().expect("a list");
    let frozen = annotations.iter().find(|it| it["key"] == "frozen").expect("it was frozen");
    frozen["value"].clone()
}

fn deploy(node: &TestNode, name: &str, file: &[u8]) -> Response {
    let document = json!({
        "exec": { "kind": "linux", "code": STANDARD.encode(file) },
        "annotations": [{ "key": "init", "value": "input" }],
        "limits": { "memory": 128, "timeout": 20_000 },
    });
    deploy_json(node, &format!("{name}?overwrite=true"), &document)
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("linux-emulator/programs").join(name)
}

/// The server in C.
fn server_in_c(folder: &TempDir) -> PathBuf {
    let path = folder.path().join("server");
    let mut compiler = Command::new("musl-gcc");
    compiler.args(["-static", "-O1", "-w", "-pthread", "-o"]).arg(&path).arg(source("server.c"));
    assert!(compiler.status().expect("the compiler starts").success());
    path
}

fn server_in_go(folder: &TempDir) -> PathBuf {
    let path = folder.path().join("http");
    let mut compiler = Command::new("go");
    compiler.args(["build", "-o"]).arg(&path).arg(source("http.go"));
    compiler.envs([("CGO_ENABLED", "0"), ("GO111MODULE", "off")]);
    compiler.env("GOCACHE", folder.path().join("cache"));
    assert!(compiler.status().expect("the compiler starts").success());
    path
}

/// A server on this computer.
struct Here {
    process: Child,
    port: u16,
}

impl Here {
    fn start(program: &Path) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = free.local_addr().expect("it has an address").port();
        drop(free);
        let mut command = Command::new(program);
        command.env("PORT", port.to_string()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { process: command.spawn().expect("the server starts"), port }
    }

    /// Status, fields and body.
    fn ask(&self, method: &str, target: &str, fields: &[&str], body: &str) -> Plain {
        let connect = || TcpStream::connect(("127.0.0.1", self.port)).ok();
        let stream = (0..TRIES).find_map(|_| connect().or_else(|| nothing_after(BETWEEN)));
        let mut stream = stream.expect("the server listens");
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n");
        for field in fields {
            text += &format!("{field}\r\n");
        }
        if !body.is_empty() {
            text += &format!("Content-Length: {}\r\n", body.len());
        }
        stream.write_all(format!("{text}\r\n{body}").as_bytes()).expect("it takes the request");
        let mut answer = Vec::new();
        // Who closes with bytes unread resets the connection, which still has its answer.
        let _ = stream.read_to_end(&mut answer);
        Plain::of_bytes(&answer)
    }
}

fn nothing_after<T>(time: Duration) -> Option<T> {
    thread::sleep(time);
    None
}

impl Drop for Here {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a client is told, without what is about the connection.
#[derive(Debug, PartialEq, Eq)]
struct Plain {
    status: u16,
    fields: Vec<(String, String)>,
    body: String,
}

impl Plain {
    fn new(status: u16, fields: impl Iterator<Item = (String, String)>, body: &[u8]) -> Self {
        let fields = fields.filter(|(name, _)| !NOT_THE_SERVERS.contains(&&**name)).collect();
        Self { status, fields, body: String::from_utf8_lossy(body).into_owned() }
    }

    fn of_bytes(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
        let head = str::from_utf8(&bytes[..end]).expect("a head is text");
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status");
        if status.starts_with('1') {
            return Self::of_bytes(&bytes[end + 4..]);
        }
        let field = |line: &str| {
            let (name, value) = line.split_once(':').expect("a field");
            (name.to_lowercase(), value.trim().to_owned())
        };
        let body = &bytes[end + 4..];
        let is_chunked = head.to_lowercase().contains("transfer-encoding: chunked");
        let body = if is_chunked { unchunked(body) } else { body.to_vec() };
        Self::new(status.parse().expect("a number"), lines.map(field), &body)
    }

    fn of_response(response: &Response) -> Self {
        Self::new(response.status, response.headers.iter().cloned(), &response.body)
    }
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|window| window == b"\r\n").expect("a size");
        let size = str::from_utf8(&bytes[..end]).expect("digits").split(';').next();
        let len = usize::from_str_radix(size.unwrap_or_default(), 16).expect("a number");
        if len == 0 {
            return body;
        }
        body.extend_from_slice(&bytes[end + 2..end + 2 + len]);
        bytes = &bytes[end + 4 + len..];
    }
}

/// Asks both the same.
#[track_caller]
fn same(node: &TestNode, name: &str, here: &Here, request: (&str, &str, &[&str], &str)) {
    let (method, target, fields, body) = request;
    let function = format!("/function/{name}{target}");
    let ours = node.request(method, &function, fields, body.as_bytes());
    let theirs = here.ask(method, target, fields, body);
    assert_eq!(Plain::of_response(&ours), theirs, "{method} {target}");
}

#[test]
fn a_small_server_answers_as_on_this_computer() {
    let node = NODE.get();
    let folder = TempDir::new().expect("a temporary folder");
    let program = server_in_c(&folder);
    let frozen = serve(&node, "small", &fs::read(&program).expect("it was built"));
    assert_eq!(frozen["at"], "accept", "{frozen}");
    let here = Here::start(&program);
    for request in [
        ("GET", "/chunked", &["X-Test: 1"][..], ""),
        ("GET", "/close", &[], ""),
        ("POST", "/continue", &["Expect: 100-continue"], "x"),
        ("DELETE", "/empty", &[], ""),
    ] {
        same(&node, "small", &here, request);
    }
    // It is told of the request as a proxy would.
    let fields = ["X-B: 2", "Cookie: a=b", "x-b: 3", "Connection: X-Hop", "X-Hop: 1"];
    let answer = node.request("PUT", "/function/small/a/%20b?c=d", &fields, b"some body");
    let text = answer.text();
    assert!(text.starts_with("PUT /a/%20b?c=d HTTP/1.1\r\nHost: "), "{text}");
    assert!(text.contains("X-B: 2\r\nCookie: a=b\r\nx-b: 3\r\n"), "{text}");
    assert!(text.contains("\r\nX-Forwarded-Prefix: /function/small\r\n"), "{text}");
    assert!(!text.contains("X-Hop"), "{text}");
    assert!(text.ends_with("Content-Length: 9\r\nConnection: close\r\n\r\nsome body\n"), "{text}");
    let answer = node.request("HEAD", "/function/small/", &[], b"");
    assert_eq!((answer.status, answer.header("content-length")), (200, Some("1234")));
    // It says itself who may read its answers.
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[test]
fn no_request_finds_what_another_left() {
    let node = NODE.get();
    let folder = TempDir::new().expect("a temporary folder");
    let program = server_in_c(&folder);
    serve(&node, "forgetful", &fs::read(&program).expect("it was built"));
    for number in 0..10 {
        let body = format!("request {number}");
        let answer = node.request("POST", "/function/forgetful/count", &[], body.as_bytes());
        assert_eq!(answer.text(), format!("count 1, note of 1, {body}"));
    }
}

#[test]
fn what_is_no_answer_is_said() {
    let node = NODE.get();
    let folder = TempDir::new().expect("a temporary folder");
    let program = server_in_c(&folder);
    serve(&node, "rude", &fs::read(&program).expect("it was built"));
    for (path, reason) in [
        ("/silence", "the server closed the connection without an answer"),
        ("/half", "the server's answer ended before it was complete"),
        ("/nonsense", "the server's answer is not HTTP/1.1"),
        ("/wait", "the server waits for something that cannot happen, without an answer"),
        ("/leave", "the server ended without an answer"),
        ("/exit", "exited with status 3"),
        ("/crash", "killed by SIGSEGV at 0x8"),
    ] {
        let answer = node.get(&format!("/function/rude{path}"));
        assert_eq!(answer.status, 502, "{path}: {}", answer.text());
        assert!(error(&answer).contains(reason), "{path}: {}", answer.text());
    }
    // Whatever it does afterwards, its answer counts.
    for (path, text) in [("/after", "first"), ("/keep", "kept")] {
        assert_eq!(node.get(&format!("/function/rude{path}")).text(), text);
    }
    // Servers take requests, and no JSON.
    let answer = ask(&node, "POST", "/api/v1/namespaces/_/actions/rude?blocking=true", b"{}");
    assert_eq!(
        (answer.status, error(&answer)),
        (400, { "The action is a web server: it answers at /function/NAME.".to_owned() })
    );
}

#[test]
fn go_net_http_answers_as_on_this_computer() {
    let node = NODE.get();
    let folder = TempDir::new().expect("a temporary folder");
    let program = server_in_go(&folder);
    let frozen = serve(&node, "go", &fs::read(&program).expect("it was built"));
    assert_eq!(frozen["at"], "accept", "{frozen}");
    let here = Here::start(&program);
    for request in [
        ("GET", "/a/b?c=d", &["X-Test: 1"][..], ""),
        ("POST", "/json", &["Content-Type: application/json"], r#"{"name":"you"}"#),
        ("POST", "/json", &[], "{"),
        ("GET", "/events?to=3", &[], ""),
        ("GET", "/stream", &[], ""),
        ("POST", "/form", &["Content-Type: application/x-www-form-urlencoded"], "a=1&c=2"),
        ("GET", "/slow", &[], ""),
        ("OPTIONS", "/", &[], ""),
    ] {
        same(&node, "go", &here, request);
    }
    let answer = node.get("/function/go/panic");
    assert_eq!(answer.status, 502, "{}", answer.text());
    events::read_some_and_leave(&node, "go", "/events");
}

/// Rust's programs ask at their start whether standard input is open; that is no look at it.
#[test]
fn axum_answers_as_on_this_computer() {
    let node = NODE.get();
    let program = registries::axum_server(|text| eprintln!("{text}")).expect("it can be compiled");
    let frozen = serve(&node, "axum", &fs::read(&program).expect("it was built"));
    assert_eq!(frozen["at"], "accept", "{frozen}");
    let here = Here::start(&program);
    for request in [
        ("GET", "/?a=%20b", &[][..], ""),
        ("PUT", "/json", &["Content-Type: application/json"], r#"{"name":"you"}"#),
        ("PUT", "/json", &["Content-Type: application/json"], "{"),
        ("POST", "/form", &["Content-Type: application/x-www-form-urlencoded"], "to=/there"),
        ("GET", "/none", &[], ""),
        ("DELETE", "/", &[], ""),
    ] {
        same(&node, "axum", &here, request);
    }
    let warm = json!({ "annotations": [{ "key": "warm", "value": "/" }] });
    assert_eq!(deploy_json(&node, "axum?overwrite=true", &warm).status, 200);
    same(&node, "axum", &here, ("GET", "/?a=b", &[], ""));
}

#[test]
fn busybox_httpd_serves_files() {
    let node = NODE.get();
    let mut bytes = Vec::new();
    let mut zip = zip::ZipWriter::new(Cursor::new(&mut bytes));
    let options = SimpleFileOptions::default().unix_permissions(0o755);
    zip.start_file("busybox", options).expect("a file in the archive");
    zip.write_all(&fs::read("/bin/busybox").expect("it is installed")).expect("its bytes");
    zip.add_symlink("httpd", "busybox", options).expect("a link in the archive");
    zip.add_symlink("exec", "httpd", options).expect("a link in the archive");
    let large: Vec<u8> = (0..300_000_u32).map(|at| (at.wrapping_mul(at) >> 7) as u8).collect();
    for (name, file) in [("index.html", &b"<p>hello</p>\n"[..]), ("large.bin", &large)] {
        zip.start_file(name, options).expect("a file in the archive");
        zip.write_all(file).expect("its bytes");
    }
    zip.finish().expect("a whole archive");
    let frozen = serve(&node, "httpd", &bytes);
    assert_eq!(frozen["at"], "accept", "{frozen}");
    let answer = node.get("/function/httpd/index.html");
    assert_eq!((answer.status, answer.text().as_str()), (200, "<p>hello</p>\n"));
    assert_eq!(answer.header("content-type"), Some("text/html"));
    assert_eq!(node.get("/function/httpd/large.bin").body, large);
    assert_eq!(node.get("/function/httpd/none").status, 404);
}
