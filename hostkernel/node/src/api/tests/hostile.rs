//! Requests made to break something. Whatever comes, the answer is one of ours and nothing changes.

use alloc::vec;

use super::*;
use limits::DEPLOY_REST_LEN_MAX;
use proptest::prelude::*;

/// The path of `hello` after [`export`].
const WEB: &str = "/api/v1/web/guest/default/hello";

fn export(client: &mut Client) {
    let document = r#"{"annotations":[{"key":"web-export","value":true}]}"#;
    assert_eq!(client.put(&format!("{ACTION}?overwrite=true"), document).status(), 200);
}

/// Sends with the key; says how it was answered. Whatever is an error must look like one.
fn status(client: &mut Client, method: Method, target: &str, body: &[u8]) -> u16 {
    match client.send(method, target, &[], body) {
        Reply::Invoke(admission) => {
            assert!(admission.variables().ends_with('\0'));
            202
        }
        Reply::Respond(response) => {
            let answer = Answer::of(response);
            if answer.status() >= 400 && !target.starts_with("/readyz") {
                assert!(!answer.error().is_empty());
            }
            answer.status()
        }
        Reply::Store(_) => panic!("this node has no store"),
    }
}

fn put(document: &str) -> (u16, usize) {
    let mut client = Client::with_hello();
    let target = format!("{ACTION}?overwrite=true");
    let status = status(&mut client, Method::Put, &target, document.as_bytes());
    (status, client.node.registry.len())
}

#[test]
fn deep_json_is_refused_without_deep_recursion() {
    let deep = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
    for depth in [127, 1_000, 1_000_000] {
        let nested = deep(depth);
        for document in [
            nested.clone(),
            format!("{{\"a\":{nested}}}"),
            document(&format!(",\"x\":{nested}")),
            document(&format!(",\"parameters\":[{{\"key\":\"k\",\"value\":{nested}}}]")),
            format!("{{\"exec\":{nested}}}"),
            format!("{{\"limits\":{nested}}}"),
            "{\"a\":".repeat(depth),
        ] {
            let (status, len) = put(&document);
            // A million brackets are more than a document may have besides code.
            let refused = if document.len() > DEPLOY_REST_LEN_MAX { 413 } else { 400 };
            assert!(len == 1 && (status == refused || status == 200 && depth == 127), "{status}");
        }
    }
}

#[test]
fn duplicate_keys_have_one_meaning() {
    let code = STANDARD.encode(image());
    let good = format!("{{\"kind\":\"native\",\"code\":\"{code}\"}}");
    assert_eq!(put(&format!("{{\"exec\":7,\"exec\":{good}}}")).0, 200);
    assert_eq!(put(&format!("{{\"exec\":{good},\"exec\":7}}")).0, 400);
    assert_eq!(put(&format!("{{\"\\u0065xec\":7,\"exec\":{good}}}")).0, 200);
    assert_eq!(put(&format!("{{\"exec\":{good},\"\\u0065xec\":7}}")).0, 400);
    let limits = "\"limits\":{\"memory\":1,\"memory\":9999}";
    assert_eq!(put(&format!("{{{limits}}}")).0, 400);
}

#[test]
fn long_strings_where_short_ones_belong_are_refused_briefly() {
    let long = "\\u0041".repeat(200_000);
    for document in [
        format!("\"{long}\""),
        format!("{{\"exec\":\"{long}\"}}"),
        format!("{{\"{long}\":1,\"exec\":7}}"),
        format!("{{\"exec\":{{\"kind\":\"{long}\",\"code\":\"\"}}}}"),
        format!("{{\"limits\":\"{long}\"}}"),
        format!("{{\"limits\":{{\"timeout\":\"{long}\"}}}}"),
        format!("{{\"publish\":\"{long}\"}}"),
        format!("{{\"parameters\":\"{long}\"}}"),
        format!("{{\"parameters\":[{{\"key\":\"{long}\"}}]}}"),
        format!("{{\"parameters\":[\"{long}\"]}}"),
    ] {
        let mut client = Client::with_hello();
        let answer = client.put(&format!("{ACTION}?overwrite=true"), &document);
        assert!(matches!(answer.status(), 400 | 413), "{}", answer.status());
        assert!(answer.body.len() < 500, "the error does not repeat what was sent");
    }
}

#[test]
fn a_request_cannot_choose_what_it_costs_to_merge() {
    let mut client = Client::new();
    let items: Vec<_> =
        (0..1000).map(|n| format!("{{\"key\":\"key-{n}\",\"value\":{n}}}")).collect();
    let more = format!(",\"parameters\":[{}]", items.join(","));
    assert_eq!(client.put(ACTION, &document(&more)).status(), 200);
    let members: Vec<_> = (0..60_000).map(|n| format!("\"key-{n}\":0")).collect();
    let body = format!("{{{}}}", members.join(","));
    let target = format!("{ACTION}?blocking=true");
    let admission = client.admit(Method::Post, &target, body.as_bytes());
    assert_eq!(admission.input.len(), body.len());
}

fn method() -> impl Strategy<Value = Method> {
    prop_oneof![
        Just(Method::Get),
        Just(Method::Head),
        Just(Method::Post),
        Just(Method::Put),
        Just(Method::Delete),
        Just(Method::Patch),
        Just(Method::Options),
    ]
}

/// Ends an invocation whose log is whatever bytes.
fn finish_with(client: &mut Client, admission: Admission, output: &[u8], log: &[u8]) -> Answer {
    let (invocation, mut pending) = admission.split(TICKET);
    let mut completion = completion(invocation, End::Exit(0), output, &[]);
    completion.log.text = PageBuffer::from_bytes(log).expect("frames are left");
    completion.log.truncated = log.len() % 2 == 1;
    Answer::of(complete(&mut client.node.records, &mut pending, completion, LATER))
}

proptest! {
    #[test]
    fn no_target_is_a_surprise(
        method in method(),
        prefix in prop_oneof![
            Just(""), Just("/function/"), Just("/api/v1"), Just("/api/v1/namespaces/"),
            Just("/api/v1/namespaces/_/actions/"), Just("/api/v1/namespaces/_/rules/"),
            Just("/api/v1/web/"), Just("/api/v1/web/guest/default/"), Just(WEB),
        ],
        rest in "[a-z0-9_%./@ \\-\\PC]{0,30}",
        query in "([a-z]{1,8}=[0-9a-z%&=]{0,6}&?){0,4}",
        body in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut client = Client::with_hello();
        export(&mut client);
        let code = status(&mut client, method, &format!("{prefix}{rest}?{query}"), &body);
        prop_assert!(matches!(code, 200 | 202 | 400 | 403 | 404 | 405 | 409 | 501), "{}", code);
        prop_assert_eq!(client.node.registry.len(), 1);
    }

    #[test]
    fn no_query_is_a_surprise(
        method in method(),
        query in "((blocking|result|limit|skip|count|code|overwrite|timeout|memory)=\
            (true|false|[0-9]{1,21}|\\PC{0,3})&){0,5}",
    ) {
        for path in [ACTION, "/api/v1/namespaces/_/actions", "/function/hello", "/readyz", WEB] {
            let mut client = Client::with_hello();
            export(&mut client);
            let code = status(&mut client, method, &format!("{path}?{query}"), &image());
            prop_assert!(matches!(code, 200 | 202 | 400 | 405 | 409 | 501), "{}", code);
        }
    }

    #[test]
    fn no_document_is_a_surprise(
        pieces in proptest::collection::vec(prop_oneof![
            Just("{"), Just("}"), Just("["), Just("]"), Just(","), Just(":"), Just("\"exec\""),
            Just("\"kind\""), Just("\"code\""), Just("\"limits\""), Just("\"timeout\""),
            Just("\"parameters\""), Just("\"annotations\""), Just("\"key\""), Just("\"value\""),
            Just("\"native\""), Just("\"\""), Just("\"AAAA\""), Just("\"\\u0000\""), Just("1"),
            Just("-1e9"), Just("null"), Just("true"), Just("\"publish\""), Just(" "), Just("\\"),
        ], 0..24),
    ) {
        let (code, len) = put(&pieces.concat());
        prop_assert!(matches!(code, 200 | 400) && len == 1, "{}", code);
    }

    #[test]
    fn no_document_with_the_right_outline_is_a_surprise(
        field in "exec|limits|parameters|annotations|publish",
        value in "[\\[{]{0,2}(\"(key|value|kind|code|memory)\":)?[\\PC\"\\\\]{0,12}[\\]}]{0,2}",
    ) {
        let (code, len) = put(&format!("{{\"{field}\":{value}}}"));
        prop_assert!(matches!(code, 200 | 400) && len == 1, "{}", code);
    }

    #[test]
    fn no_body_of_an_exported_action_is_a_surprise(
        kind in "(application/json|application/x-www-form-urlencoded|text/plain|\\PC{0,9})(;a=b)?",
        query in "[a-c=&%+_0-9]{0,20}",
        body in prop_oneof![
            "[{}\":,a0\\\\ \\[\\]]{0,30}".prop_map(String::into_bytes),
            "[a-c=&%+_0-9]{0,30}".prop_map(String::into_bytes),
            proptest::collection::vec(any::<u8>(), 0..60),
        ],
    ) {
        let mut client = Client::with_hello();
        export(&mut client);
        let headers = [("Content-Type", kind.as_str())];
        match client.send(Method::Post, &format!("{WEB}?{query}"), &headers, &body) {
            Reply::Invoke(admission) => {
                let input = admission.input.to_vec().expect("memory is left");
                let input: Value = serde_json::from_slice(&input).expect("the input is JSON");
                prop_assert!(input.is_object());
            }
            Reply::Respond(response) => prop_assert_eq!(response.status, 400),
            Reply::Store(_) => panic!("this node has no store"),
        }
    }

    #[test]
    fn no_http_result_is_a_surprise(
        field in "statusCode|headers|body|content-type|a",
        value in "[\\[{]?(\"(content-type|Set-Cookie|a)\":)?[\\[]?\\PC{0,8}[\\]]?[\\]}]?",
        body in "\"(\\\\u?[0-9a-f]{0,4}|[A-Za-z=+/]){0,6}\"|[0-9]|null|\\{\\}",
    ) {
        let mut client = Client::with_hello();
        export(&mut client);
        let admission = client.admit(Method::Get, WEB, b"");
        let output = format!("{{\"{field}\":{value},\"body\":{body}}}");
        let answer = finish(&mut client, admission, End::Exit(0), output.as_bytes(), &[]);
        prop_assert!(matches!(answer.status(), 200..=599));
    }

    #[test]
    fn no_output_is_a_surprise(
        output in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..60),
            "[{}\":,a0\\\\ error]{0,30}".prop_map(String::into_bytes),
        ],
        log in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut client = Client::with_hello();
        for query in ["blocking=true", "blocking=true&result=true"] {
            let admission = client.admit(Method::Post, &format!("{ACTION}?{query}"), b"");
            let answer = finish_with(&mut client, admission, &output, &log);
            prop_assert!(matches!(answer.status(), 200 | 502));
            prop_assert!(answer.json().is_object());
        }
        export(&mut client);
        for extension in ["", ".json", ".html", ".svg", ".text"] {
            let admission = client.admit(Method::Get, &format!("{WEB}{extension}"), b"");
            let answer = finish_with(&mut client, admission, &output, &log);
            prop_assert!(matches!(answer.status(), 200..=599));
        }
        let admission = client.admit(Method::Get, "/function/hello", b"");
        let answer = finish_with(&mut client, admission, &output, &log);
        prop_assert_eq!(answer.body, output);
        for target in ["activations?docs=true", "activations?limit=1"] {
            let list = client.get(&format!("/api/v1/namespaces/_/{target}"));
            prop_assert!(list.json().is_array(), "{}", list.text());
        }
    }
}
