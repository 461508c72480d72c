//! Exported actions: what they get, what becomes of their results, and who may call them.

use super::*;
use limits::ACTION_FIELDS_LEN_MAX;
use serde_json::json;

const WEB: &str = "/api/v1/web/guest/default/hello";

/// A node on which `hello` is exported, with further annotations and parameters; and no key.
fn exported(annotations: &str, parameters: &str) -> Client {
    let mut client = Client::new();
    let more = format!(
        r#","annotations":[{{"key":"web-export","value":true}}{annotations}],
        "parameters":[{parameters}]"#
    );
    assert_eq!(client.put(ACTION, &document(&more)).status(), 200);
    client.authorization = None;
    client
}

fn input(admission: &Admission) -> Value {
    let bytes = admission.input.to_vec().expect("memory is left");
    serde_json::from_slice(&bytes).expect("the input is JSON")
}

impl Client {
    fn admit_with(&mut self, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Admission {
        match self.send(Method::Post, target, headers, body) {
            Reply::Invoke(admission) => admission,
            Reply::Respond(response) => panic!("{target}: {}", Answer::of(response).text()),
            Reply::Store(_) => panic!("this node has no store"),
        }
    }

    fn answer_with(&mut self, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        match self.send(Method::Post, target, headers, body) {
            Reply::Invoke(_) => panic!("{target} was admitted"),
            Reply::Respond(response) => Answer::of(response),
            Reply::Store(_) => panic!("this node has no store"),
        }
    }

    /// What becomes of a result.
    fn result(&mut self, extension: &str, output: &[u8]) -> Answer {
        let admission = self.admit(Method::Get, &format!("{WEB}{extension}"), b"");
        finish(self, admission, End::Exit(0), output, &[])
    }
}

#[test]
fn only_what_is_exported_exists() {
    let mut client = exported("", "");
    for target in ["", ".http", ".json", ".html", ".svg", ".text", "/", ".json/a", "?a=b"] {
        client.admit(Method::Get, &format!("{WEB}{target}"), b"");
    }
    client.admit(Method::Get, "/api/v1/web/gu%65st/default/%68ello", b"");
    for target in [
        "/api/v1/web/guest/default/absent",
        "/api/v1/web/guest/default/hello.jpg",
        "/api/v1/web/guest/default/hello.json.http",
        "/api/v1/web/guest/package/hello",
        "/api/v1/web/_/default/hello",
        "/api/v1/web/other/default/hello",
        "/api/v1/web/whisk.system/apimgmt/getApi.http",
        "/api/v1/web/guest/default",
    ] {
        client.get(target).refused(404, "does not exist");
        client.ask(Method::Options, target, b"").refused(404, "does not exist");
    }
    client.get("/api/v1/web/guest/default/%zz").refused(400, "percent-encoded");
    for value in ["false", "\"true\"", "1", "null", "[true]"] {
        let annotation = format!(r#",{{"key":"web-export","value":{value}}}"#);
        exported(&annotation, "").get(WEB).refused(404, "does not exist");
    }
}

#[test]
fn a_request_becomes_json() {
    let mut client = exported("", r#"{"key":"a","value":0},{"key":"bound","value":[1]}"#);
    let plain = [("Content-Type", "text/plain"), ("X-Two", "1"), ("x-two", "2\"")];
    let admission =
        client.admit_with(&format!("{WEB}.json/p/%20?a=1&a=%32+&q"), &plain, b"te\xffxt");
    assert_eq!(
        input(&admission),
        json!({
            "__ow_method": "post", "__ow_path": "/p/%20",
            "__ow_headers": {"content-type": "text/plain", "x-two": "1, 2\""},
            "__ow_body": "te\u{fffd}xt", "a": "2 ", "q": "", "bound": [1],
        })
    );
    assert!(admission.variables().contains("__OW_ACTION_NAME=/guest/hello\0"));
    let json = ("content-type", "application/json; charset=utf-8");
    let form = ("content-type", "application/x-www-form-urlencoded");
    for (query, header, body, expected) in [
        ("", json, &b""[..], json!({"a": 0})),
        ("?", json, b" {} ", json!({"a": 0})),
        ("?a=1&b=2", json, br#"{"a":{"x":null}}"#, json!({"a": {"x": null}, "b": "2"})),
        ("?a=1&b=2", json, br#"{"\u0061":3, "\u0062":4}"#, json!({"a": 3, "b": 4})),
        ("", json, b"[1, 2]", json!({"a": 0, "__ow_body": [1, 2]})),
        ("", json, b"null", json!({"a": 0, "__ow_body": null})),
        ("?b=1", form, b"a=x+y&b=%26&a=z", json!({"a": "z", "b": "&"})),
        ("", form, b"", json!({"a": 0})),
        ("", ("content-type", "image/png"), b"\x89P", json!({"a": 0, "__ow_body": "iVA="})),
        ("", ("accept", "*/*"), b"ab", json!({"a": 0, "__ow_body": "YWI="})),
        ("", ("content-type", "text/csv"), b"a,b", json!({"a": 0, "__ow_body": "a,b"})),
        (
            "",
            ("content-type", "text/plain; charset=\"ISO-8859-1\""),
            b"caf\xe9\"",
            json!({"a": 0, "__ow_body": "café\""}),
        ),
        (
            "",
            ("content-type", "text/plain; charset=koi8-r"),
            b"\xd6",
            json!({"a": 0, "__ow_body": "1g=="}),
        ),
        ("", ("content-type", "application/merge-patch+json"), b"{\"a\":1}", json!({"a": 1})),
    ] {
        let mut got = input(&client.admit_with(&format!("{WEB}{query}"), &[header], body));
        for name in ["__ow_method", "__ow_path", "__ow_headers", "bound"] {
            got.as_object_mut().expect("an object").remove(name).expect(name);
        }
        assert_eq!(got, expected, "{query} {header:?} {}", String::from_utf8_lossy(body));
    }
    for (header, body) in [(json, &b"{"[..]), (json, b"{}{}"), (json, b"x"), (form, b"%zz")] {
        let answer = client.answer_with(WEB, &[header], body);
        assert_eq!(answer.status(), 400, "{}", answer.text());
    }
    client.get(&format!("{WEB}?a=%ff")).refused(400, "query or form");
    let many = "a&".repeat(1025);
    client.get(&format!("{WEB}?{many}")).refused(413, "1024 entries");
}

#[test]
fn raw_requests_are_not_read() {
    let mut client = exported(r#",{"key":"raw-http","value":true}"#, r#"{"key":"a","value":0}"#);
    let target = format!("{WEB}?a=1&__ow_body=%zz");
    for (kind, body, expected) in [
        ("application/json", &b"{bad"[..], "e2JhZA=="),
        ("application/x-www-form-urlencoded", b"a=%", "a=%"),
        ("text/plain", b"text", "text"),
        ("image/png", b"\0", "AA=="),
        ("image/png", b"", ""),
    ] {
        let input = input(&client.admit_with(&target, &[("Content-Type", kind)], body));
        assert_eq!(
            input,
            json!({
                "__ow_method": "post", "__ow_path": "", "__ow_headers": {"content-type": kind},
                "__ow_query": "a=1&__ow_body=%zz", "__ow_body": expected, "a": 0,
            })
        );
    }
}

#[test]
fn reserved_and_final_parameters_are_not_for_requests() {
    let bound = r#"{"key":"a","value":0},{"key":"__ow_path","value":"forged"}"#;
    let mut open = exported("", bound);
    let mut closed = exported(r#",{"key":"final","value":true}"#, bound);
    let json = [("Content-Type", "application/json")];
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let text = "parameters that are not allowed (e.g., reserved properties)";
    for name in ["method", "headers", "path", "user", "query", "body"] {
        open.get(&format!("{WEB}?__ow_{name}=x")).refused(400, text);
        let body = format!("{{\"x\":1,\"__ow_{name}\":1}}");
        open.answer_with(WEB, &json, body.as_bytes()).refused(400, text);
        open.answer_with(WEB, &json, body.replace("__", "\\u005f_").as_bytes()).refused(400, text);
        open.answer_with(WEB, &form, format!("%5f_ow_{name}=").as_bytes()).refused(400, text);
    }
    for client in [&mut open, &mut closed] {
        let got = input(&client.admit_with(&format!("{WEB}?b=1"), &json, b"{\"c\":2}"));
        assert_eq!((&got["a"], &got["b"], &got["c"]), (&json!(0), &json!("1"), &json!(2)));
        assert_eq!(got["__ow_path"], "", "the node's word counts");
    }
    assert_eq!(input(&open.admit_with(&format!("{WEB}?a=1"), &[], b""))["a"], "1");
    closed.get(&format!("{WEB}?%61=1")).refused(400, text);
    closed.answer_with(WEB, &json, b"{\"\\u0061\":1}").refused(400, text);
    closed.answer_with(WEB, &form, b"a=1").refused(400, text);
}

#[test]
fn an_input_is_bounded_whatever_it_became() {
    let mut client = exported("", "");
    let text = [("Content-Type", "text/plain")];
    let bytes = alloc::vec![b'\n'; INPUT_LEN_MAX];
    client.answer_with(WEB, &text, &bytes).refused(413, "exceeds the limit");
    client.answer_with(WEB, &[], &bytes).refused(413, "exceeds the limit");
    client.admit_with(WEB, &[], &bytes[..INPUT_LEN_MAX / 8 * 5]);
    client.answer_with(WEB, &text, &[&bytes[..], b"x"].concat()).refused(413, "exceeds the limit");
}

#[test]
fn a_secret_keeps_others_out() {
    let key = Client::new().authorization.expect("set by `new`");
    let with =
        |value: &str| exported(&format!(r#",{{"key":"require-whisk-auth","value":{value}}}"#), "");
    for (value, secret) in [("\"s\\u00e4cret\"", "säcret"), ("1234", "1234")] {
        let mut client = with(value);
        client.admit_with(WEB, &[("X-Require-Whisk-Auth", secret)], b"");
        client.get(WEB).refused(401, "requires authentication");
        for wrong in ["", "x", "secret", "\"säcret\"", "12345"] {
            let answer = client.answer_with(WEB, &[("X-Require-Whisk-Auth", wrong)], b"");
            answer.refused(401, "authentication is invalid");
        }
        let answer = client.answer_with(WEB, &[("Authorization", &key)], b"");
        answer.refused(401, "requires authentication");
        assert_eq!(client.ask(Method::Options, WEB, b"").status(), 200);
    }
    let mut client = with("true");
    let got = input(&client.admit_with(WEB, &[("Authorization", &key)], b""));
    assert_eq!(got["__ow_user"], "guest");
    client.get(WEB).refused(401, "requires authentication");
    let wrong = [("Authorization", "Basic x"), ("X-Require-Whisk-Auth", "true")];
    client.answer_with(WEB, &wrong, b"").refused(401, "authentication is invalid");
    with("false").admit_with(WEB, &[], b"");
    for value in ["{}", "[1]", "null"] {
        let sent = [("X-Require-Whisk-Auth", value)];
        let answer = with(value).answer_with(WEB, &sent, b"");
        assert_eq!(answer.status(), 401, "{value}");
    }
    // A key that opens nothing does not close what is open.
    exported("", "").admit_with(WEB, &[("Authorization", "Basic x")], b"");
}

#[test]
fn an_http_result_says_it_all() {
    let mut client = exported("", "");
    let html = "text/html; charset=UTF-8";
    for (result, status, kind, body) in [
        ("{}", 204, None, &b""[..]),
        (r#"{"body":""}"#, 204, None, b""),
        (r#"{"body":null,"statusCode":201}"#, 201, None, b""),
        (r#"{"statusCode":"302","headers":{"location":"/x"}}"#, 302, None, b""),
        (r#"{"body":"<b>\u00e4\ud83d\ude00\n"}"#, 200, Some(html), "<b>ä😀\n".as_bytes()),
        (r#"{"body":{"a":[1, 2]}}"#, 200, Some("application/json"), br#"{"a":[1, 2]}"#),
        (r#"{"body":[1],"statusCode":404}"#, 404, Some("application/json"), b"[1]"),
        (r#"{"body":7}"#, 200, Some("application/json"), b"7"),
        (
            r#"{"headers":{"Content-Type":"image/png"},"body":"iVA="}"#,
            200,
            Some("image/png"),
            b"\x89P",
        ),
        (
            r#"{"headers":{"content-type":"text/csv"},"body":"iVA="}"#,
            200,
            Some("text/csv; charset=UTF-8"),
            b"iVA=",
        ),
        (
            r#"{"headers":{"content-type":"image/svg+xml"},"body":"<svg/>"}"#,
            200,
            Some("image/svg+xml"),
            b"<svg/>",
        ),
        (
            r#"{"headers":{"content-type":"application/problem+json"},"body":{"a":1}}"#,
            200,
            Some("application/problem+json"),
            br#"{"a":1}"#,
        ),
        (
            r#"{"headers":{"content-type":"application/json"},"body":"eyJhIjoxfQ=="}"#,
            200,
            Some("application/json"),
            br#"{"a":1}"#,
        ),
        (
            r#"{"headers":{"content-type":"text/html; charset=iso-8859-1"},"body":"\u00e9\u20ac"}"#,
            200,
            Some("text/html; charset=iso-8859-1"),
            b"\xe9?",
        ),
        (
            r#"{"headers":{"content-type":"text/plain; charset=Windows-1252"},"body":"\u20ac"}"#,
            200,
            Some("text/plain; charset=Windows-1252"),
            b"\x80",
        ),
        (
            r#"{"headers":{"content-type":"text/plain; charset=koi8-r"},"body":"\u0436"}"#,
            200,
            Some("text/plain; charset=UTF-8"),
            "ж".as_bytes(),
        ),
        (r#"{"error":{"statusCode":403,"body":"no"}}"#, 403, Some(html), b"no"),
    ] {
        for extension in ["", ".http"] {
            let answer = client.result(extension, result.as_bytes());
            assert_eq!((answer.status(), answer.body.as_slice()), (status, body), "{result}");
            assert_eq!(answer.header("Content-Type"), kind, "{result}");
            assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("*"));
            assert!(answer.header("X-OpenWhisk-Activation-Id").is_some_and(|id| id.len() == 32));
        }
    }
}

#[test]
fn fields_of_a_result_become_header_fields() {
    let mut client = exported("", "");
    let answer = client.result(
        "",
        br#"{"headers":{"Set-Cookie":["a=1","b=\u0022"],"X-Number":1.50,"X-True":true,
            "Content-Length":"999","X-Request-ID":"forged","access-control-allow-origin":"me"}}"#,
    );
    let fields: Vec<_> = answer.response.headers.iter().take(5).collect();
    assert_eq!(
        fields,
        [
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=\""),
            ("X-Number", "1.50"),
            ("X-True", "true"),
            ("access-control-allow-origin", "me")
        ]
    );
    assert_eq!(answer.header("Access-Control-Allow-Origin"), None, "the action's word counts");
    assert!(answer.header("X-Request-ID").is_some_and(|id| id.len() == 32));
    let long = "x".repeat(ACTION_FIELDS_LEN_MAX);
    for fields in [
        r#"{"a":"b\r\nContent-Length: 0"}"#,
        r#"{"a\n":"b"}"#,
        r#"{"":"b"}"#,
        r#"{"a b":"c"}"#,
        r#"{"a":{}}"#,
        r#"{"a":null}"#,
        r#"{"a":[["b"]]}"#,
        r#"{"a":["b",{}]}"#,
        r#"{"Transfer-Encoding":"chunked"}"#,
        r#"{"connection":"close"}"#,
        r#"{"content-type":7}"#,
        &format!("{{\"a\":\"{long}\"}}"),
        &format!("{{\"{long}\":\"a\"}}"),
        "[]",
        "7",
    ] {
        let result = format!("{{\"headers\":{fields},\"body\":\"x\"}}");
        let answer = client.result("", result.as_bytes());
        answer.refused(400, "Response is not valid 'message/http'.");
        assert!(answer.header("X-OpenWhisk-Activation-Id").is_some());
    }
}

#[test]
fn results_that_cannot_be_sent_are_400() {
    let mut client = exported("", "");
    let (http, kind) = ("Response is not valid 'message/http'.", "Response type in header did not");
    for (extension, result, status, text) in [
        ("", r#"{"statusCode":99}"#, 400, http),
        ("", r#"{"statusCode":199}"#, 400, http),
        ("", r#"{"statusCode":600}"#, 400, http),
        ("", r#"{"statusCode":200.5}"#, 400, http),
        ("", r#"{"statusCode":"ok"}"#, 400, http),
        ("", r#"{"statusCode":true}"#, 400, http),
        ("", r#"{"error":"text"}"#, 400, http),
        ("", r#"{"error":[]}"#, 400, http),
        ("", r#"{"headers":{"content-type":"image/png"},"body":"*"}"#, 400, kind),
        ("", r#"{"headers":{"content-type":"image/png"},"body":{}}"#, 400, kind),
        ("", r#"{"headers":{"content-type":"text/html"},"body":7}"#, 400, kind),
        (
            "",
            r#"{"headers":{"content-type":"png"},"body":"x"}"#,
            400,
            "Response did not specify a known content-type.",
        ),
        (".json", r#"{"error":"text"}"#, 400, "Response is not valid 'application/json'."),
        (".html", "{}", 400, "Response is not valid 'text/html'."),
        (".html", r#"{"html":7}"#, 400, "Response is not valid 'text/html'."),
        (".svg", r#"{"html":"x"}"#, 400, "Response is not valid 'image/svg+xml'."),
        (".text", "{}", 404, "Response does not include requested property."),
        ("", "nonsense", 400, "There was an error processing your request."),
        ("", "[1]", 400, http),
        (".json", "7", 400, "There was an error processing your request."),
    ] {
        client.result(extension, result.as_bytes()).refused(status, text);
    }
    for end in [
        End::Exit(1),
        End::Fault(crate::dispatch::Fault::Deadline { timeout_ms: 100, instruction: None }),
    ] {
        let admission = client.admit(Method::Get, WEB, b"");
        let answer = finish(&mut client, admission, end, b"{}", &[]);
        answer.refused(400, "There was an error processing your request.");
        assert!(answer.header("X-OpenWhisk-Activation-Id").is_some());
    }
}

#[test]
fn extensions_choose_a_field() {
    let mut client = exported("", "");
    let (html, text) = ("text/html; charset=UTF-8", "text/plain; charset=utf-8");
    for (extension, result, kind, body) in [
        (".json", r#" {"a": 1} "#, "application/json", r#" {"a": 1} "#),
        (".json", r#"{"error":{"a": 1}}"#, "application/json", r#"{"a": 1}"#),
        (".html", r#"{"html":"<p>","body":"<b>"}"#, html, "<b>"),
        (".html", r#"{"html":"<p>\u00e4"}"#, html, "<p>ä"),
        (".html", r#"{"error":"<i>"}"#, html, "<i>"),
        (".svg", r#"{"svg":"<svg/>"}"#, "image/svg+xml", "<svg/>"),
        (".text", r#"{"text":"a\nb"}"#, text, "a\nb"),
        (".text", r#"{"body":{"a":[]}}"#, text, r#"{"a":[]}"#),
        (".text", r#"{"text":true}"#, text, "true"),
        (".text", r#"{"error":7}"#, text, "7"),
    ] {
        let answer = client.result(extension, result.as_bytes());
        assert_eq!((answer.status(), answer.text().as_str()), (200, body), "{extension} {result}");
        assert_eq!(answer.header("Content-Type"), Some(kind), "{extension} {result}");
    }
}

#[test]
fn browsers_ask_first_unless_the_action_answers_that() {
    let mut client = exported("", "");
    let headers = [("Access-Control-Request-Headers", "X-Mine, X-Other")];
    let Reply::Respond(response) = client.send(Method::Options, WEB, &headers, b"") else {
        panic!("admitted");
    };
    let answer = Answer::of(response);
    assert_eq!((answer.status(), answer.body.len()), (200, 0));
    assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("*"));
    assert_eq!(answer.header("Access-Control-Allow-Headers"), Some("X-Mine, X-Other"));
    let methods = "OPTIONS, GET, DELETE, POST, PUT, HEAD, PATCH";
    assert_eq!(answer.header("Access-Control-Allow-Methods"), Some(methods));
    let allowed = "Authorization, Origin, X-Requested-With, Content-Type, Accept, User-Agent";
    let answer = client.ask(Method::Options, WEB, b"");
    assert_eq!(answer.header("Access-Control-Allow-Headers"), Some(allowed));

    let custom = r#",{"key":"web-custom-options","value":true},
        {"key":"require-whisk-auth","value":"secret"}"#;
    let mut client = exported(custom, "");
    let admission = client.admit(Method::Options, WEB, b"");
    assert_eq!(input(&admission)["__ow_method"], "options");
    let answer =
        finish(&mut client, admission, End::Exit(0), b"{\"headers\":{\"Allow\":\"GET\"}}", &[]);
    assert_eq!((answer.status(), answer.header("Allow")), (204, Some("GET")));
    assert_eq!(answer.header("Access-Control-Allow-Origin"), None);
    client.get(WEB).refused(401, "requires authentication");
}
