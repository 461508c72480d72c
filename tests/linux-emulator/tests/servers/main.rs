//! Web servers under the library OS and on this computer: what they answer to the same requests
//! must be the same, status, fields and body.
//!
//! On this computer the answer is what came over the connection, read here by `httparse`; under the
//! library OS it is the result, which has the form of CGI. Both become an [`Answer`].

mod packages;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use xtask::build;
use xtask::lab::registries;
use xtask::prerequisites::{KERNEL_TARGET, ensure_programs, ensure_targets};
use zip::write::SimpleFileOptions;

/// How often a server is asked whether it listens, and how long it is waited in between.
const TRIES: u32 = 500;
const BETWEEN: Duration = Duration::from_millis(20);

/// The image, built once.
fn image() -> &'static Path {
    static IMAGE: OnceLock<PathBuf> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let say = |text: &str| eprintln!("{text}");
        ensure_targets(&[KERNEL_TARGET], say).expect("the target can be had");
        let programs =
            [("musl-gcc", "musl-tools"), ("go", "golang-go"), ("busybox", "busybox-static")];
        ensure_programs(&programs, say).expect("the compilers can be had");
        build::linux_image().expect("the image builds")
    })
}

/// What a client is told.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    /// Leaves out what is about the connection, and what time it is.
    fn new<'a>(
        status: u16,
        fields: impl Iterator<Item = (&'a str, &'a str)>,
        body: Vec<u8>,
    ) -> Self {
        let connection = ["connection", "keep-alive", "transfer-encoding", "content-length"];
        let fields = fields
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .filter(|(name, _)| !connection.contains(&name.to_lowercase().as_str()))
            .map(|(name, value)| match name.eq_ignore_ascii_case("date") {
                true => (name, "now".to_owned()),
                false => (name, value),
            });
        Self { status, fields: fields.collect(), body }
    }

    /// Out of the bytes of a connection.
    fn of_http(bytes: &[u8]) -> Self {
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Response::new(&mut fields);
        let len = head.parse(bytes).expect("it is HTTP").unwrap();
        let status = head.code.expect("a status");
        if status < 200 {
            return Self::of_http(&bytes[len..]);
        }
        let text = |field: &httparse::Header<'_>| {
            (field.name.to_owned(), String::from_utf8_lossy(field.value).into_owned())
        };
        let fields: Vec<_> = head.headers.iter().map(text).collect();
        let is_chunked =
            fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("transfer-encoding"));
        let body = &bytes[len..];
        let body = if is_chunked { unchunked(body) } else { body.to_vec() };
        Self::new(status, fields.iter().map(|(name, value)| (&**name, &**value)), body)
    }

    /// Out of a result.
    fn of_result(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no head: {:?}", String::from_utf8_lossy(bytes)));
        let head = str::from_utf8(&bytes[..end]).expect("a head is text");
        let mut lines = head.lines().map(|line| line.split_once(':').expect("a field"));
        let (name, status) = lines.next().expect("a status");
        assert_eq!(name, "Status");
        Self::new(status.trim().parse().expect("a number"), lines, bytes[end + 4..].to_vec())
    }
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let (at, len) = httparse::parse_chunk_size(bytes).expect("a chunk").unwrap();
        if len == 0 {
            return body;
        }
        let end = at + len as usize;
        body.extend_from_slice(&bytes[at..end]);
        bytes = &bytes[end + 2..];
    }
}

/// A request as the node makes it.
fn request(method: &str, target: &str, fields: &[&str], body: &str) -> Vec<u8> {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: here.test\r\n");
    for field in fields {
        text += &format!("{field}\r\n");
    }
    if !body.is_empty() {
        text += &format!("Content-Length: {}\r\n", body.len());
    }
    text += "Connection: close\r\n\r\n";
    text += body;
    text.into_bytes()
}

/// A server on this computer.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start(mut command: Command) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = free.local_addr().expect("it has an address").port();
        drop(free);
        for argument in command.get_args().map(ToOwned::to_owned).collect::<Vec<_>>() {
            assert_ne!(argument, "", "arguments are words");
        }
        command.env("PORT", port.to_string()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("the server starts");
        Self { process, port }
    }

    fn ask(&self, request: &[u8]) -> Answer {
        let mut stream = (0..TRIES).find_map(|_| {
            TcpStream::connect(("127.0.0.1", self.port)).ok().or_else(|| {
                thread::sleep(BETWEEN);
                None
            })
        });
        let stream = stream.as_mut().expect("the server listens");
        stream.write_all(request).expect("it takes the request");
        let mut answer = Vec::new();
        // Who closes with bytes unread resets the connection, which still has its answer.
        let _ = stream.read_to_end(&mut answer);
        Answer::of_http(&answer)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a run under the library OS left.
struct Run {
    status: i32,
    result: Vec<u8>,
    log: String,
}

/// Runs a server up to where it waits for a connection, and then with a request.
fn hosted(payload: &Path, arguments: &[&str], request: &[u8]) -> Run {
    emulated(&["--at-input"], payload, arguments, request)
}

fn emulated(options: &[&str], payload: &Path, arguments: &[&str], request: &[u8]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linux-emulator"));
    command.args(options).arg(image()).arg(payload).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the emulator starts");
    let mut input = child.stdin.take().expect("it was piped");
    input.write_all(request).expect("the emulator reads its input");
    drop(input);
    let output = child.wait_with_output().expect("the program ends");
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    Run { status: output.status.code().expect("a status"), result: output.stdout, log }
}

#[track_caller]
fn same(server: &Server, payload: &Path, arguments: &[&str], request: &[u8]) {
    let run = hosted(payload, arguments, request);
    let text = String::from_utf8_lossy(request);
    assert_eq!(run.status, 0, "{text}\nlog: {}", run.log);
    let mut ours = Answer::of_result(&run.result);
    let mut theirs = server.ask(request);
    for answer in [&mut ours, &mut theirs] {
        // Long bodies are told apart by their length first.
        if answer.body.len() > 1000 {
            answer.body.splice(..0, answer.body.len().to_string().into_bytes());
        }
    }
    assert_eq!(ours, theirs, "{text}\nlog: {}", run.log);
}

/// Compiles the server in C.
fn server_in_c(folder: &TempDir) -> PathBuf {
    compiled(folder, &Path::new(env!("CARGO_MANIFEST_DIR")).join("programs/server.c"))
}

/// Compiles a program in C.
fn compiled(folder: &TempDir, source: &Path) -> PathBuf {
    let program = folder.path().join("program");
    let mut compiler = Command::new("musl-gcc");
    compiler.args(["-static", "-O1", "-w", "-pthread", "-o"]).arg(&program).arg(source);
    assert!(compiler.status().expect("the compiler starts").success());
    program
}

#[test]
fn every_way_to_wait_for_a_connection() {
    image();
    let folder = TempDir::new().expect("a temporary folder");
    let program = server_in_c(&folder);
    for mode in ["accept", "poll", "select", "epoll", "edge", "threads"] {
        let mut command = Command::new(&program);
        command.arg(mode);
        let server = Server::start(command);
        for (method, path, body) in [
            ("GET", "/", ""),
            ("POST", "/echo?a=b", "some body"),
            ("GET", "/chunked", ""),
            ("GET", "/close", ""),
            ("POST", "/continue", "x"),
            ("DELETE", "/empty", ""),
        ] {
            let request = request(method, path, &["X-Test: 1", "Cookie: a=b; c=d"], body);
            same(&server, &program, &[mode], &request);
        }
    }
}

#[test]
fn what_is_no_answer_is_named() {
    image();
    let folder = TempDir::new().expect("a temporary folder");
    let program = server_in_c(&folder);
    for (path, status, reason) in [
        ("/silence", 1, "the server closed the connection without an answer"),
        ("/half", 1, "the server's answer ended before it was complete"),
        ("/nonsense", 1, "the server's answer is not HTTP/1.1"),
        ("/long", 1, "the server's answer is longer than a result may be"),
        ("/wait", 1, "the server waits for something that cannot happen, without an answer"),
        ("/leave", 1, "the server ended without an answer"),
        ("/exit", 3, "exited with status 3"),
        ("/crash", 139, "killed by SIGSEGV at 0x8"),
    ] {
        let run = hosted(&program, &["accept"], &request("GET", path, &[], ""));
        assert!(run.log.contains(&format!("report: 2: {reason}")), "{path}: {}", run.log);
        assert_eq!(run.status, status, "{path}");
    }
}

#[test]
fn an_answer_is_enough_whatever_comes_afterwards() {
    image();
    let folder = TempDir::new().expect("a temporary folder");
    let program = server_in_c(&folder);
    for (path, body) in [("/after", "first"), ("/keep", "kept")] {
        let run = hosted(&program, &["accept"], &request("GET", path, &[], ""));
        assert_eq!(run.status, 0, "{}", run.log);
        assert_eq!(Answer::of_result(&run.result).body, body.as_bytes());
        assert!(run.log.starts_with("listening\n"), "what it prints is log: {}", run.log);
    }
    let run = hosted(&program, &["accept"], &request("HEAD", "/", &[], ""));
    let head = String::from_utf8_lossy(&run.result).into_owned();
    assert_eq!(head, { "Status: 200\r\nContent-Type: text/plain\r\nContent-Length: 1234\r\n\r\n" });
}

#[test]
fn no_request_finds_what_another_left() {
    image();
    let folder = TempDir::new().expect("a temporary folder");
    let program = server_in_c(&folder);
    let second = folder.path().join("second");
    fs::write(&second, request("POST", "/count", &[], "two")).expect("a temporary file");
    let second = second.to_str().expect("a path that is text");
    let options = ["--at-input", "--call", second];
    for mode in ["accept", "poll", "edge", "threads"] {
        let run = emulated(&options, &program, &[mode], &request("POST", "/count", &[], "one"));
        let answers = "Status: 200\r\n\r\ncount 1, note of 1, oneStatus: 200\r\n\r\ncount 1, \
                       note of 1, two";
        assert_eq!(String::from_utf8_lossy(&run.result), answers, "{mode}: {}", run.log);
    }
}

#[test]
fn a_server_that_is_warmed_up_has_answered_before() {
    image();
    let folder = TempDir::new().expect("a temporary folder");
    let program = server_in_c(&folder);
    let options = ["--at-input", "--warm", "/count"];
    for mode in ["accept", "poll", "select", "epoll", "edge", "threads"] {
        let run = emulated(&options, &program, &[mode], &request("POST", "/count", &[], "one"));
        let answer = "Status: 200\r\n\r\ncount 17, note of 17, one";
        assert_eq!(String::from_utf8_lossy(&run.result), answer, "{mode}: {}", run.log);
    }
    // Those who keep the connection lose it, and what comes behind an answer is done.
    for path in ["/keep", "/chunked", "/close"] {
        let options = ["--at-input", "--warm", path];
        let run = emulated(&options, &program, &["accept"], &request("GET", "/chunked", &[], ""));
        assert_eq!(Answer::of_result(&run.result).body, b"hello world", "{path}: {}", run.log);
    }
}

#[test]
fn a_request_that_does_not_warm_up_is_named() {
    image();
    let folder = TempDir::new().expect("a temporary folder");
    let program = server_in_c(&folder);
    for (path, reason) in [
        ("/silence", "got no answer: the server closed the connection without an answer"),
        ("/nonsense", "got no answer: the server's answer is not HTTP/1.1"),
        ("/wait", "got no answer: the server waits for something that cannot happen"),
        ("/leave", "ended it"),
        ("/after", "keeps it busy"),
    ] {
        let options = ["--at-input", "--warm", path];
        let run = emulated(&options, &program, &["accept"], &request("GET", "/", &[], ""));
        let reason = format!("report: 2: GET {path}, which is to warm the server up, {reason}");
        assert!(run.log.contains(&reason), "{path}: {}", run.log);
        assert_eq!(run.status, 126, "{path}");
    }
    let options = ["--at-input", "--warm", "/"];
    let source = folder.path().join("reader.c");
    let text = "#include <unistd.h>\nint main() { char byte; return read(0, &byte, 1); }\n";
    fs::write(&source, text).expect("a temporary file");
    let run = emulated(&options, &compiled(&folder, &source), &[], b"");
    assert!(run.log.contains("finds no server: the program listens to nobody"), "{}", run.log);
}

#[test]
fn a_server_is_frozen_where_it_waits_and_not_where_it_glances() {
    image();
    let folder = TempDir::new().expect("a temporary folder");
    let program = server_in_c(&folder);
    let run = emulated(&["--at-input"], &program, &["glance"], &request("GET", "/close", &[], ""));
    assert_eq!(run.log, "listening\nglance 0\nglance 0\nglance 0\n");
    assert_eq!(Answer::of_result(&run.result).body, b"until the end\n");
}

#[test]
fn who_is_not_frozen_at_its_input_is_served_all_the_same() {
    image();
    let folder = TempDir::new().expect("a temporary folder");
    let program = server_in_c(&folder);
    for mode in ["accept", "epoll"] {
        let run = emulated(&[], &program, &[mode], &request("GET", "/chunked", &[], ""));
        assert_eq!(Answer::of_result(&run.result).body, b"hello world", "{mode}: {}", run.log);
    }
}

#[test]
fn go_net_http() {
    image();
    let program = registries::go_server(|text| eprintln!("{text}")).expect("it can be compiled");
    let server = Server::start(Command::new(&program));
    for (method, target, fields, body) in [
        ("GET", "/a/b?c=d", &["X-Test: 1"][..], ""),
        ("PUT", "/%20x", &[], "some body"),
        ("POST", "/json", &["Content-Type: application/json"], r#"{"name":"you"}"#),
        ("POST", "/json", &[], "{"),
        ("GET", "/stream", &[], ""),
        ("HEAD", "/stream", &[], ""),
        ("POST", "/form", &["Content-Type: application/x-www-form-urlencoded"], "a=1&c=2"),
        ("GET", "/slow", &[], ""),
        ("OPTIONS", "/", &[], ""),
    ] {
        same(&server, &program, &[], &request(method, target, fields, body));
    }
    let run = hosted(&program, &[], &request("GET", "/panic", &[], ""));
    assert!(run.log.contains("report: 2: the server closed the connection without"), "{}", run.log);
    assert!(run.log.contains("on purpose"), "{}", run.log);
    let run = hosted(&program, &[], &request("GET", "/outside", &[], ""));
    let answer = Answer::of_result(&run.result);
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(text.contains("192.0.2.1:80: connect: network is unreachable"), "{text}");
}

#[test]
fn busybox_httpd() {
    image();
    let folder = TempDir::new().expect("a temporary folder");
    let busybox = Path::new("/bin/busybox");
    let archive = folder.path().join("httpd.zip");
    let mut zip = zip::ZipWriter::new(fs::File::create(&archive).expect("a temporary file"));
    let options = SimpleFileOptions::default().unix_permissions(0o755);
    zip.start_file("busybox", options).expect("a file in the archive");
    zip.write_all(&fs::read(busybox).expect("BusyBox is installed")).expect("its bytes");
    zip.add_symlink("exec", "busybox", options).expect("a link in the archive");
    let pages = folder.path().join("pages");
    fs::create_dir(&pages).expect("a temporary folder");
    let files: [(&str, Vec<u8>); 3] = [
        ("index.html", b"<p>hello</p>\n".to_vec()),
        ("data.json", br#"{"a":1}"#.to_vec()),
        ("large.bin", (0..300_000_u32).map(|at| (at.wrapping_mul(at) >> 7) as u8).collect()),
    ];
    for (name, bytes) in &files {
        let path = pages.join(name);
        fs::write(&path, bytes).expect("a temporary file");
        zip.start_file(
            format!("pages/{name}"),
            options.last_modified_time(zip::DateTime::default()),
        )
        .expect("a file in the archive");
        zip.write_all(bytes).expect("its bytes");
    }
    zip.finish().expect("a whole archive");
    let free = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = free.local_addr().expect("it has an address").port();
    drop(free);
    let mut command = Command::new(busybox);
    command.args(["httpd", "-f", "-p", &format!("127.0.0.1:{port}"), "-h"]).arg(&pages);
    let mut server = Server::start(command);
    server.port = port;
    let arguments = ["httpd", "-f", "-p", "8080", "-h", "/action/pages"];
    for (method, target, fields) in [
        ("GET", "/data.json", &[][..]),
        ("GET", "/large.bin", &[]),
        ("GET", "/none", &[]),
        ("GET", "/../etc/passwd", &[]),
        ("BREW", "/data.json", &[]),
    ] {
        let request = request(method, target, fields, "");
        let run = hosted(&archive, &arguments, &request);
        assert_eq!(run.status, 0, "{target}\nlog: {}", run.log);
        let undated = |mut answer: Answer| {
            // The files are not equally old.
            answer.fields.retain(|(name, _)| name != "Last-Modified" && name != "ETag");
            answer
        };
        let ours = undated(Answer::of_result(&run.result));
        let theirs = undated(server.ask(&request));
        assert_eq!(ours.body.len(), theirs.body.len(), "{target}");
        assert_eq!(ours, theirs, "{target}\nlog: {}", run.log);
    }
}
