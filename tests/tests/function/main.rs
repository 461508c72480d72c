//! `/function/NAME`: bytes in and out, and with the annotation `cgi` all of HTTP.

use std::fs;
use std::process::Command;

use system_tests::openwhisk::{deploy_raw, error};
use system_tests::{SharedNode, TestNode, boot, clients, machine, sample};
use xtask::workspace;

static NODE: SharedNode = SharedNode::new(|| {
    let node = boot(machine());
    node.deploy("hello");
    assert_eq!(deploy_raw(&node, "web?cgi=true", &sample("web")).status, 200);
    node
});

#[test]
fn the_function_route_takes_every_method_and_any_bytes() {
    let node = NODE.get();
    assert_eq!(deploy_raw(&node, "bytes", &sample("echo")).status, 200);
    for (method, body) in
        [("POST", &b"\0\xff raw"[..]), ("PUT", b"put"), ("GET", b""), ("DELETE", b"delete")]
    {
        let answer = node.request(method, "/function/bytes/further/path?query", &[], body);
        assert_eq!((answer.status, answer.body.as_slice()), (200, body), "{method}");
    }
    // hey sends every body as text/html.
    let answer = node.request("POST", "/function/bytes", &["Content-Type: text/html"], b"hey");
    assert_eq!(answer.text(), "hey");
}

#[test]
fn a_cgi_action_is_told_of_the_request() {
    let node = NODE.get();
    let headers = ["Content-Type: text/x", "X-Two: 1", "x-two: 2", "Proxy: evil", "X_Two: forged"];
    let answer =
        node.request("PUT", "/function/web/echo/%C3%A4%20b?x=%20&y", &headers, b"the body");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    let text = answer.text();
    for line in [
        "GATEWAY_INTERFACE=CGI/1.1",
        "REQUEST_METHOD=PUT",
        "SCRIPT_NAME=/function/web",
        "PATH_INFO=/echo/ä b",
        "QUERY_STRING=x=%20&y",
        "CONTENT_TYPE=text/x",
        "CONTENT_LENGTH=8",
        "HTTP_X_TWO=1, 2",
        "the body",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("evil") && !text.contains("forged"), "{text}");
}

#[test]
fn a_cgi_action_says_what_is_sent() {
    let node = NODE.get();
    for (status, path) in [(404, "nowhere"), (418, "status/418"), (503, "status/503")] {
        assert_eq!(node.get(&format!("/function/web/{path}")).status, status, "{path}");
    }
    let answer = node.get("/function/web/status/302");
    assert_eq!((answer.status, answer.header("location")), (302, Some("/elsewhere")));
    let deleted = node.request("DELETE", "/function/web", &[], b"");
    assert_eq!((deleted.status, deleted.body.len()), (204, 0));
    let answer = node.get("/function/web/cookie?name=A%20B");
    assert_eq!(answer.text(), "Hello, A B!\n");
    let cookie = format!("Cookie: {}", answer.header("set-cookie").expect("a cookie"));
    let answer = node.request("GET", "/function/web/cookie", &[&cookie], b"");
    assert_eq!(answer.text(), "Hello, A B!\n");
    // `?` in the handler: an error of its own making, not of the node.
    let answer = node.get("/function/web/status/none");
    assert_eq!((answer.status, answer.text().contains("invalid digit")), (500, true));
    // What a client sends cannot leave the field it is in.
    let answer = node.get("/function/web/split?value=a%0d%0aX-Forged:%20b%0a%0a");
    assert_eq!((answer.status, answer.header("x-forged")), (200, None));
    assert_eq!(answer.header("x-value"), Some("a  X-Forged: b"));
    // Nor can a status be sent that would end the answer early.
    let answer = node.get("/function/web/status/100");
    assert_eq!((answer.status, error(&answer).contains("Status is not")), (502, true));
    node.greets("next");
}

#[test]
fn output_is_read_as_cgi_only_if_the_action_says_so() {
    let node = NODE.get();
    let fields = b"Status: 404\n\nnot found";
    assert_eq!(deploy_raw(&node, "plain", &sample("echo")).status, 200);
    let answer = node.request("POST", "/function/plain", &[], fields);
    assert_eq!((answer.status, answer.body.as_slice()), (200, &fields[..]));
    assert_eq!(deploy_raw(&node, "gateway?cgi=true", &sample("echo")).status, 200);
    let answer = node.request("POST", "/function/gateway", &[], fields);
    assert_eq!((answer.status, answer.text().as_str()), (404, "not found"));
    for (output, reason) in [
        (&b"no fields"[..], "no empty line"),
        (b"\nbody", "begins with an empty line"),
        (b"Content-Length: 5\nTransfer-Encoding: chunked\n\n", "about the connection"),
        (b"A: b\rX-Forged: c\n\n", "control character"),
        (b"HTTP/1.1 200 OK\n\n", "a line is not a header field"),
    ] {
        let answer = node.request("POST", "/function/gateway", &[], output);
        assert_eq!(answer.status, 502);
        assert!(error(&answer).contains(reason), "{reason}: {}", error(&answer));
    }
    // An action for HTTP that is deployed without the annotation says what it lacks.
    assert_eq!(deploy_raw(&node, "unannotated", &sample("web")).status, 200);
    assert_eq!(node.get("/function/unannotated").status, 502);
    let long = format!("/function/gateway/{}?{}", "x".repeat(5000), "y".repeat(3000));
    let answer = node.request("GET", &long, &[&format!("X: {}", "z".repeat(6000))], b"");
    assert_eq!(answer.status, 431, "{}", answer.text());
    node.greets("next");
}

/// Builds an action in C as docs/actions.md says.
fn build_c(name: &str) -> Vec<u8> {
    compile(Command::new("cc"), name, "c")
}

fn compile(mut command: Command, name: &str, extension: &str) -> Vec<u8> {
    let folder = workspace::root().join("tests/tests/function");
    let result = workspace::target().join(format!("{name}.elf"));
    command
        .args(["-Os", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-fno-stack-protector"])
        .args(["-fno-asynchronous-unwind-tables", "-fno-pie", "-nostdlib", "-static", "-no-pie"])
        .arg("-Wl,--build-id=none,-z,noexecstack,-z,norelro,-z,separate-code")
        .arg("-I")
        .arg(workspace::root().join("action-abi/include"))
        .arg(folder.join(format!("{name}.{extension}")))
        .arg("-o")
        .arg(&result);
    assert!(command.status().expect("a C compiler").success(), "{command:?}");
    fs::read(&result).expect("what was built")
}

fn deploy_c(node: &TestNode, name: &str) {
    let deployed = deploy_raw(node, &format!("{name}?cgi=true"), &build_c(name));
    assert_eq!(deployed.status, 200, "{}", deployed.text());
}

#[test]
fn an_action_in_c_speaks_http_too() {
    let node = NODE.get();
    deploy_c(&node, "agent");
    let answer = node.request("GET", "/function/agent", &["User-Agent: me\ttoo"], b"");
    assert_eq!((answer.status, answer.text().as_str()), (203, "GET by me\ttoo\n"));
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    assert_eq!(answer.header("x-agent"), Some("me too"));
    let answer = node.get("/function/agent");
    assert_eq!((answer.status, answer.text().as_str()), (203, "GET by nobody\n"));
}

#[test]
fn string_functions_do_what_those_of_the_c_library_do() {
    clients::ensure(&[("cc", "gcc"), ("c++", "g++")]);
    let node = NODE.get();
    let source = workspace::root().join("tests/tests/function/strings.c");
    let host = workspace::target().join("strings-host");
    let mut compiler = Command::new("cc");
    compiler.args(["-DON_HOST", "-fno-builtin"]).arg(source).arg("-o").arg(&host);
    assert!(compiler.status().expect("a C compiler").success());
    let expected = Command::new(&host).output().expect("it runs").stdout;
    assert!(expected.len() > 1000);
    let mut cpp = Command::new("c++");
    cpp.args(["-fno-exceptions", "-fno-rtti", "-x", "c++"]);
    for compiler in [Command::new("cc"), cpp] {
        let deployed =
            deploy_raw(&node, "strings?overwrite=true", &compile(compiler, "strings", "c"));
        assert_eq!(deployed.status, 200, "{}", deployed.text());
        let answer = node.get("/function/strings");
        assert_eq!(
            (answer.status, answer.text()),
            (200, String::from_utf8_lossy(&expected).into_owned())
        );
    }
}

#[test]
fn static_objects_of_cpp_are_constructed() {
    let node = NODE.get();
    clients::ensure(&[("c++", "g++")]);
    let mut compiler = Command::new("c++");
    compiler.args(["-fno-exceptions", "-fno-rtti"]);
    let deployed = deploy_raw(&node, "statics", &compile(compiler, "statics", "cpp"));
    assert_eq!(deployed.status, 200, "{}", deployed.text());
    let answer = node.get("/function/statics");
    assert_eq!((answer.status, answer.text().as_str()), (200, "made before main: square"));
}
