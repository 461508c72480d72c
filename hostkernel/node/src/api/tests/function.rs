//! Functions: raw bytes, no key.

use super::*;
use crate::dispatch::Fault;
use limits::{
    ENVIRONMENT_LEN_MAX, NAME_LEN_MAX, REQUEST_ID_LEN_MAX, TARGET_LEN_MAX, TRACESTATE_LEN_MAX,
};
use memory::Access;

/// The client without its key.
fn public() -> Client {
    let mut client = Client::with_hello();
    client.authorization = None;
    client
}

#[test]
fn every_method_reaches_the_action_with_its_bytes() {
    let mut client = public();
    for method in
        [Method::Get, Method::Head, Method::Post, Method::Put, Method::Delete, Method::Patch]
    {
        let admission = client.admit(method, "/function/hello", b"\0raw\xff");
        assert_eq!(admission.input.chunk_at(0), b"\0raw\xff");
        let variable = format!("__OW_METHOD={}\0", method.name());
        assert!(admission.variables().contains(&variable));
    }
    assert!(client.admit(Method::Get, "/function/hello", b"").input.is_empty());
    let too_long = alloc::vec![0; INPUT_LEN_MAX + 1];
    client.ask(Method::Post, "/function/hello", &too_long).refused(413, "exceeds the limit");
}

#[test]
fn path_and_query_are_in_the_environment() {
    let mut client = public();
    for (target, path, query) in [
        ("/function/hello", "", ""),
        ("/function/hello?", "", ""),
        ("/function/hello/", "/", ""),
        ("/function/hello/a/../b%20c?x=1&y=%00", "/a/../b%20c", "x=1&y=%00"),
        ("/function/%68ello?q=\0__OW_NAMESPACE=x", "", "q=__OW_NAMESPACE=x"),
    ] {
        let admission = client.admit(Method::Get, target, b"");
        let id = format!("{}", admission.pending.id());
        let span = &id[16..];
        assert_eq!(
            admission.variables(),
            format!(
                "__OW_ACTIVATION_ID={id}\0__OW_ACTION_NAME=/guest/hello\0\
                 __OW_ACTION_VERSION=0.0.1\0__OW_NAMESPACE=guest\0__OW_TRANSACTION_ID={id}\0\
                 TRACEPARENT=00-{id}-{span}-01\0\
                 __OW_METHOD=GET\0__OW_PATH={path}\0__OW_QUERY={query}\0"
            )
        );
    }
}

#[test]
fn the_longest_request_fits_the_environment() {
    let mut client = public();
    let name = "n".repeat(NAME_LEN_MAX);
    client.authorization = Client::new().authorization;
    client.deploy(&name, "");
    let mut target = format!("/function/{name}/");
    target.push_str(&"x".repeat(TARGET_LEN_MAX - target.len()));
    let id = "i".repeat(REQUEST_ID_LEN_MAX);
    let state = "s".repeat(TRACESTATE_LEN_MAX);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers =
        [("x-request-id", id.as_str()), ("traceparent", trace), ("tracestate", state.as_str())];
    let Reply::Invoke(admission) = client.send(Method::Delete, &target, &headers, b"") else {
        panic!("refused");
    };
    assert!(admission.environment.len() + 64 <= ENVIRONMENT_LEN_MAX);
}

#[test]
fn output_is_sent_as_it_is_and_named_for_what_it_seems() {
    let mut client = public();
    let (json, text, bytes) =
        ("application/json", "text/plain; charset=utf-8", "application/octet-stream");
    let long_text = "ä".repeat(5000);
    let cut_text = format!("a{long_text}");
    let late_binary = [b"text ".repeat(200).as_slice(), &[0xff; 100]].concat();
    for (output, kind) in [
        (&b"{\"a\":1}"[..], json),
        (b" \n[1]", json),
        (b"{not json", json),
        (b"hello", text),
        ("grüße".as_bytes(), text),
        (b"", text),
        (long_text.as_bytes(), text),
        (cut_text.as_bytes(), text),
        (&late_binary, text),
        (b"\x89PNG\r\n", bytes),
        (b"a\0b", bytes),
        (b"caf\xc3", bytes),
        (&[0xff; 9000], bytes),
    ] {
        let admission = client.admit(Method::Post, "/function/hello", b"");
        let answer = finish(&mut client, admission, End::Exit(0), output, &["1not shown\n"]);
        assert_eq!((answer.status(), answer.body.as_slice()), (200, output));
        assert_eq!(answer.header("Content-Type"), Some(kind), "{:?}", output.get(..20));
        assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("*"));
        assert!(matches!(answer.response.body, Body::Pages(_)), "not copied");
        assert!(answer.header("X-OpenWhisk-Activation-Id").is_some_and(|id| id.len() == 32));
        assert!(answer.header("Server-Timing").is_some());
    }
}

/// A node on which `hello` speaks CGI, without a key.
fn cgi(more: &str) -> Client {
    let mut client = Client::new();
    client.deploy("hello", &format!("cgi=true{more}"));
    client.authorization = None;
    client
}

#[test]
fn a_cgi_action_is_told_all_of_a_request() {
    let mut client = cgi("");
    let headers = [
        ("Host", "node:3233"),
        ("Content-Type", "text/plain"),
        ("X-Two", "1"),
        ("x-two", "2"),
        ("Cookie", "a"),
        ("Cookie", "b"),
        ("Proxy", "evil"),
        ("X_Two", "forged"),
        ("Content-Length", "4"),
    ];
    let target = "/function/hello/a%20/%C3%A4?x=%20&y";
    let Reply::Invoke(admission) = client.send(Method::Put, target, &headers, b"body") else {
        panic!("refused");
    };
    assert_eq!(admission.input.chunk_at(0), b"body");
    let (_, variables) = admission.variables().split_once("GATEWAY_").expect("CGI");
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "INTERFACE=CGI/1.1\0SERVER_PROTOCOL=HTTP/1.1\0SERVER_SOFTWARE=hostkernel/{version}\0\
         REQUEST_METHOD=PUT\0PATH_INFO=/a /ä\0SERVER_NAME=node\0SERVER_PORT=3233\0\
         SCRIPT_NAME=/function/hello\0QUERY_STRING=x=%20&y\0CONTENT_LENGTH=4\0\
         HTTP_HOST=node:3233\0CONTENT_TYPE=text/plain\0HTTP_X_TWO=1, 2\0HTTP_COOKIE=a; b\0"
    );
    assert_eq!(variables, expected);
    assert!(admission.variables().contains("\0__OW_METHOD=PUT\0__OW_PATH=/a%20/%C3%A4\0"));
    let plain = public().admit(Method::Put, "/function/hello", b"");
    assert!(!plain.variables().contains("GATEWAY_INTERFACE"), "only who asks for it is told");
    for path in ["%00", "%zz", "%ff"] {
        client.get(&format!("/function/hello/{path}")).refused(400, "percent-encoded");
    }
}

#[test]
fn a_request_too_long_to_be_told_is_refused() {
    let mut client = cgi("");
    let long = "x".repeat(ENVIRONMENT_LEN_MAX / 3);
    let target = format!("/function/hello/{long}?{}", &long[..2000]);
    assert!(matches!(client.send(Method::Get, &target, &[], b""), Reply::Invoke(_)));
    let Reply::Respond(response) = client.send(Method::Get, &target, &[("A", &long)], b"") else {
        panic!("admitted");
    };
    Answer::of(response).refused(431, "exceed the 16384 bytes");
}

#[test]
fn a_cgi_action_says_what_is_sent() {
    let mut client = cgi("");
    for (output, status, kind, body) in [
        ("Content-Type: text/html\n\n<p>", 200, Some("text/html"), "<p>"),
        ("Status: 418 Teapot\r\n\r\n{}", 418, Some("application/json"), "{}"),
        ("Location: /x\n\n", 302, None, ""),
        ("Status: 204\n\n", 204, None, ""),
    ] {
        let admission = client.admit(Method::Get, "/function/hello", b"");
        let answer = finish(&mut client, admission, End::Exit(0), output.as_bytes(), &[]);
        assert_eq!((answer.status(), answer.text().as_str()), (status, body), "{output:?}");
        assert_eq!(answer.header("Content-Type"), kind);
        assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("*"));
        assert!(answer.header("X-Request-ID").is_some());
        assert!(answer.header("X-OpenWhisk-Activation-Id").is_some());
    }
    let long = [b"A: b\n\n", "x".repeat(10_000).as_bytes()].concat();
    let admission = client.admit(Method::Get, "/function/hello", b"");
    let answer = finish(&mut client, admission, End::Exit(0), &long, &[]);
    assert_eq!((answer.header("A"), answer.body.len()), (Some("b"), 10_000));
    assert!(matches!(answer.response.body, Body::PagesFrom(..)), "not copied");

    let ends = [
        (End::Exit(0), "text", "did not produce a CGI response"),
        (End::Exit(0), "A: b\rc\n\n", "did not produce a CGI response"),
        (End::Exit(1), "Status: 200\n\n", "exit status 1"),
    ];
    for (end, output, part) in ends {
        let admission = client.admit(Method::Get, "/function/hello", b"");
        finish(&mut client, admission, end, output.as_bytes(), &[]).refused(502, part);
    }
}

#[test]
fn options_are_for_the_action_if_it_says_so() {
    let preflight = |client: &mut Client| client.ask(Method::Options, "/function/hello", b"");
    assert_eq!(preflight(&mut cgi("")).status(), 200);
    assert_eq!(preflight(&mut public()).status(), 200);
    let mut client = cgi("&web-custom-options=true");
    let admission = client.admit(Method::Options, "/function/hello", b"");
    let answer =
        finish(&mut client, admission, End::Exit(0), b"access-control-allow-origin: me\n\n", &[]);
    assert_eq!(answer.header("access-control-allow-origin"), Some("me"));
    assert_eq!(answer.header("Access-Control-Allow-Origin"), None, "the action's word counts");
}

#[test]
fn an_answer_is_written_where_the_request_was() {
    let mut client = public();
    let mut buffer = Vec::with_capacity(1024);
    buffer.extend_from_slice(b"left over");
    let address = buffer.as_ptr();
    let text = RequestText::in_buffer(buffer, "/function/hello", &[("Host", "h")]);
    let mut request = Request { method: Method::Post, text, body: PageBuffer::new() };
    let Reply::Invoke(admission) = handle(&mut client.node, &mut request, NOW, 1) else {
        panic!("refused");
    };
    let answer = finish(&mut client, admission, End::Exit(0), b"text", &[]);
    assert_eq!(answer.header("Content-Type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.response.headers.iter().count(), 6);
    assert_eq!(answer.response.headers.as_bytes().as_ptr(), address);
}

#[test]
fn failures_are_errors_with_reason_and_activation_id() {
    let mut client = public();
    let fault = Fault::Page { access: Access::Write, address: 0x10, instruction: 0x40_0000 };
    for (end, reason) in [
        (End::Exit(1), "exit status 1"),
        (End::Fault(fault), "page fault writing 0x10 at 0x400000"),
        (
            End::Fault(Fault::ResultTooLong { len: 9 << 20, max: 6 << 20 }),
            "result of 9437184 bytes exceeds",
        ),
    ] {
        let admission = client.admit(Method::Get, "/function/hello", b"");
        let answer = finish(&mut client, admission, end, b"partial", &[]);
        answer.refused(502, reason);
        assert!(answer.header("X-OpenWhisk-Activation-Id").is_some());
    }
}

#[test]
fn a_secret_is_asked_for_here_too() {
    let mut client = Client::new();
    let key = client.authorization.clone().expect("set by `new`");
    for (value, header) in [
        ("\"sesame\"", ("X-Require-Whisk-Auth", "sesame")),
        ("true", ("Authorization", key.as_str())),
    ] {
        let annotation = format!(r#"{{"key":"require-whisk-auth","value":{value}}}"#);
        let more = document(&format!(",\"annotations\":[{annotation}]"));
        client.authorization = Some(key.clone());
        assert_eq!(client.put(&format!("{ACTION}?overwrite=true"), &more).status(), 200);
        client.authorization = None;
        client.get("/function/hello").refused(401, "requires authentication");
        let wrong = [("X-Require-Whisk-Auth", "x"), ("Authorization", "Basic x")];
        let Reply::Respond(response) = client.send(Method::Get, "/function/hello", &wrong, b"")
        else {
            panic!("admitted");
        };
        Answer::of(response).refused(401, "authentication is invalid");
        let reply = client.send(Method::Get, "/function/hello", &[header], b"");
        assert!(matches!(reply, Reply::Invoke(_)), "{value}");
    }
}

#[test]
fn what_is_no_function_is_refused() {
    let mut client = public();
    client.get("/function/absent").refused(404, "does not exist");
    client.get("/function/").refused(404, "does not exist");
    client.get("/function/..").refused(400, "the name");
    client.get("/function/..%2f..%2fping").refused(400, "the name");
    client.get("/function/%zz").refused(400, "percent-encoded");
    client.get("/function/other%2fhello").refused(400, "the name");
}
