//! Routes, methods, keys, namespaces and the headers every answer has.

use alloc::sync::Arc;

use super::*;
use memory::{LoadPlan, Template};

const METHODS: [Method; 7] = [
    Method::Get,
    Method::Head,
    Method::Post,
    Method::Put,
    Method::Delete,
    Method::Patch,
    Method::Options,
];

#[test]
fn open_routes_need_no_key() {
    let mut client = Client::new();
    client.authorization = None;
    for (target, body) in [
        ("/ping", "pong"),
        ("/healthz", "ok"),
        ("/livez", "ok"),
        ("/readyz", "ok"),
        ("/healthz?verbose", "[+]network ok\n[+]api ok\nhealthz check passed\n"),
        ("/readyz?verbose=1", "[+]address ok\n[+]shutdown ok\nreadyz check passed\n"),
    ] {
        let answer = client.get(target);
        assert_eq!((answer.status(), answer.text().as_str()), (200, body), "{target}");
        assert_eq!(answer.header("Content-Type"), Some("text/plain; charset=utf-8"));
        assert_eq!(client.ask(Method::Head, target, b"").status(), 200);
    }
    let index = client.get("/").json();
    assert_eq!(index["api_paths"][0], "/api/v1");
    assert_eq!(index["runtimes"]["native"][0]["kind"], "native:1");
    // Nothing hosts others here, unless the kernel was given something.
    assert!(index["runtimes"].get("linux").is_none());
    let plan = LoadPlan { entry: 0, segments: Vec::new(), is_host: true };
    let host = Template::build(&plan, PageBuffer::new()).expect("frames are left");
    client.node.policy.host = Some(Arc::new(host));
    let index = client.get("/").json();
    assert_eq!(index["runtimes"]["linux"][0]["kind"], "linux");
    assert_eq!(index["limits"]["max_action_memory"], 400 << 20);
    for target in ["/api/v1", "/api/v1/", "/api/v1?"] {
        let api = client.get(target).json();
        assert_eq!(api["api_version_path"], "v1");
        assert!(api["build"].is_string() && api["buildno"].is_string());
    }
}

#[test]
fn readiness_follows_the_state_of_the_node() {
    let mut client = Client::new();
    for (readiness, body) in [(Readiness::Booting, "booting"), (Readiness::Draining, "draining")] {
        client.node.readiness = readiness;
        let answer = client.get("/readyz");
        assert_eq!((answer.status(), answer.text().as_str()), (503, body));
        assert_eq!(answer.header("Retry-After"), Some("1"));
        assert!(client.get("/readyz?verbose").text().contains("readyz check failed"));
        assert_eq!(client.get("/healthz").status(), 200, "alive all the same");
    }
}

#[test]
fn only_the_administrator_drains_a_node() {
    let mut client = Client::new();
    let administrator = client.authorization.take();
    client.ask(Method::Post, "/admin/drain", b"").refused(401, "requires authentication");
    client.authorization = Some("Basic eDp5".to_string());
    client.ask(Method::Post, "/admin/drain", b"").refused(401, "invalid");
    client.authorization = administrator;
    client.get("/admin/drain").refused(405, "POST");
    assert_eq!(client.node.readiness, Readiness::Ready);
    let answer = client.ask(Method::Post, "/admin/drain", b"");
    assert_eq!((answer.status(), answer.json()["draining"].as_bool()), (202, Some(true)));
    assert_eq!(client.node.readiness, Readiness::Draining);

    client.node.policy.tenants = tenants("hostkernel.namespace=other,key=u:k");
    client.authorization = Some(format!("Basic {}", STANDARD.encode("u:k")));
    client.ask(Method::Post, "/admin/drain", b"").refused(403, "no hostkernel.admin_key");
    client.node.policy.tenants = tenants("hostkernel.auth=u:k hostkernel.admin_key=a:k");
    client.ask(Method::Post, "/admin/drain", b"").refused(403, "not authorized");
    client.authorization = Some("Basic eDp5".to_string());
    client.ask(Method::Post, "/admin/drain", b"").refused(401, "invalid");
}

#[test]
fn everything_below_the_api_needs_a_key() {
    let mut client = Client::with_hello();
    let right = client.authorization.take().expect("set by `new`");
    let targets = [
        "/api/v1/namespaces",
        "/api/v1/namespaces/_/actions",
        ACTION,
        "/api/v1/namespaces/_/actions/absent",
        "/api/v1/namespaces/other/actions/hello",
        "/api/v1/namespaces/_/packages",
        "/api/v1/namespaces/_/activations/1",
        "/api/v1/absent",
    ];
    for target in targets {
        for method in METHODS {
            if method == Method::Options {
                continue;
            }
            let answer = client.ask(method, target, b"{}");
            answer.refused(401, "requires authentication");
            let challenge = answer.header("WWW-Authenticate");
            assert_eq!(challenge, Some("Basic realm=\"OpenWhisk secure realm\""));
        }
        client.authorization = Some(right.replace('N', "M"));
        client.get(target).refused(401, "authentication is invalid");
        client.authorization = None;
    }
    assert_eq!(client.node.registry.len(), 1, "nothing was deleted");
}

#[test]
fn other_namespaces_are_forbidden() {
    let mut client = Client::with_hello();
    for target in [
        "/api/v1/namespaces/other/actions",
        "/api/v1/namespaces/other/actions/hello",
        "/api/v1/namespaces/whisk.system/packages",
        "/api/v1/namespaces/../actions/hello",
        "/api/v1/namespaces/other/activations",
    ] {
        client.get(target).refused(403, "not authorized");
    }
    for method in [Method::Put, Method::Post, Method::Delete] {
        let answer = client.ask(method, "/api/v1/namespaces/other/actions/hello", b"{}");
        answer.refused(403, "not authorized");
    }
    client.get("/api/v1/namespaces/%zz/actions").refused(400, "percent-encoded");
    for own in ["_", "guest", "%5f", "gu%65st"] {
        let target = format!("/api/v1/namespaces/{own}/actions/hello");
        assert_eq!(client.get(&target).status(), 200, "{own}");
    }
    assert_eq!(client.get("/api/v1/namespaces").text(), "[\"guest\"]");
}

#[test]
fn a_second_tenant_sees_its_own_actions_only() {
    let mut client = Client::with_hello();
    client.node.policy.tenants = tenants("hostkernel.namespace=other,key=u:k");
    client.authorization = Some(format!("Basic {}", STANDARD.encode("u:k")));
    client.get(ACTION).refused(404, "does not exist");
    client.get("/api/v1/namespaces/guest/actions/hello").refused(403, "not authorized");
    client.ask(Method::Delete, ACTION, b"").refused(404, "does not exist");
    assert_eq!(client.get("/api/v1/namespaces").text(), "[\"other\"]");
    assert_eq!(client.get("/api/v1/namespaces/_/actions").text(), "[]");
    client.deploy("mine", "");
    assert_eq!(client.ask(Method::Post, "/function/mine", b"").status(), 404, "guest's are public");
}

#[test]
fn what_does_not_exist_is_not_found() {
    let mut client = Client::with_hello();
    for target in [
        "/absent",
        "/function",
        "/function/absent",
        "/api/v1/absent",
        "/api/v1/namespaces/_",
        "/api/v1/namespaces/_/actions/absent",
        "/api/v1/namespaces/_/actions/Hello",
        "/api/v1/namespaces/_/packages/p",
        "/api/v1/web/guest/default/hello",
        "/blackbox.tar.gz",
    ] {
        client.get(target).refused(404, "The requested resource does not exist.");
    }
    for method in [Method::Post, Method::Delete] {
        let target = "/api/v1/namespaces/_/actions/absent?blocking=true";
        client.ask(method, target, b"").refused(404, "does not exist");
    }
}

#[test]
fn a_path_without_the_method_says_which_it_has() {
    let mut client = Client::with_hello();
    let read = "GET, HEAD, OPTIONS";
    let all = "GET, HEAD, PUT, POST, DELETE, OPTIONS";
    for (method, target, allow) in [
        (Method::Post, "/", read),
        (Method::Delete, "/ping", read),
        (Method::Post, "/healthz", read),
        (Method::Patch, "/readyz", read),
        (Method::Put, "/api/v1", read),
        (Method::Post, "/api/v1/namespaces", read),
        (Method::Post, "/api/v1/namespaces/_/actions", read),
        (Method::Put, "/api/v1/namespaces/_/actions/", read),
        (Method::Patch, ACTION, all),
        (Method::Post, "/api/v1/namespaces/_/triggers", read),
        (Method::Patch, "/api/v1/namespaces/_/rules/r", all),
    ] {
        let answer = client.ask(method, target, b"");
        answer.refused(405, allow);
        assert_eq!(answer.header("Allow"), Some(allow), "{target}");
    }
}

#[test]
fn options_are_answered_for_browsers() {
    let mut client = Client::with_hello();
    client.authorization = None;
    for target in ["/", "/api/v1", ACTION, "/api/v1/namespaces/_/actions", "/function/hello"] {
        let answer = client.ask(Method::Options, target, b"");
        assert_eq!((answer.status(), answer.body.len()), (200, 0), "{target}");
        assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("*"));
        assert!(answer.header("Access-Control-Allow-Headers").is_some());
        assert!(answer.header("Allow").is_some());
        assert!(answer.header("Content-Type").is_none());
        let methods = answer.header("Access-Control-Allow-Methods").expect("CORS");
        assert_eq!(methods.contains("PATCH"), target.starts_with("/function"));
    }
    client.ask(Method::Options, "/absent", b"").refused(404, "does not exist");
}

#[test]
fn api_answers_carry_request_id_and_cors() {
    let mut client = Client::with_hello();
    for (target, status) in [(ACTION, 200), ("/api/v1/namespaces/_/actions/absent", 404)] {
        let Reply::Respond(response) =
            client.send(Method::Get, target, &[("x-request-id", "my \"id\"")], b"")
        else {
            panic!("{target} was admitted");
        };
        let answer = Answer::of(response);
        assert_eq!(answer.status(), status);
        let own = answer.header("X-Request-ID").expect("generated");
        assert!(own.len() == 32 && own.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(answer.header("Content-Type"), Some("application/json"));
        assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("*"));
        assert_eq!(
            answer.header("Access-Control-Allow-Methods"),
            Some("GET, DELETE, POST, PUT, HEAD")
        );
    }
    let headers = [("X-Request-Id", "my-\"id\"\\")];
    let reply = client.send(Method::Get, "/api/v1/absent", &headers, b"");
    let Reply::Respond(response) = reply else { panic!("admitted") };
    let answer = Answer::of(response);
    assert_eq!(answer.json()["code"], "my-\"id\"\\", "escaped in JSON");
    answer.refused(404, "does not exist");
}

#[test]
fn other_collections_are_empty_and_cannot_be_filled() {
    let mut client = Client::new();
    for collection in ["packages", "triggers", "rules"] {
        let target = format!("/api/v1/namespaces/_/{collection}");
        for query in ["", "?", "?limit=0&skip=0", "?limit=200"] {
            let answer = client.get(&format!("{target}{query}"));
            assert_eq!((answer.status(), answer.text().as_str()), (200, "[]"), "{target}");
        }
        let count = client.get(&format!("{target}?count=true"));
        assert_eq!(count.text(), format!("{{\"{collection}\":0}}"));
        let thing = format!("{target}/thing?overwrite=true");
        let text = format!("{collection} are not supported by this host.");
        client.ask(Method::Put, &thing, b"{}").refused(501, &text);
        client.ask(Method::Post, &thing, b"{}").refused(501, &text);
        client.get(&thing).refused(404, "does not exist");
        client.ask(Method::Delete, &thing, b"").refused(404, "does not exist");
    }
}

#[test]
fn the_route_bounds_the_body() {
    for (method, path, len) in [
        (Method::Put, ACTION, DEPLOY_LEN_MAX),
        (Method::Post, ACTION, INPUT_LEN_MAX),
        (Method::Post, "/function/hello", INPUT_LEN_MAX),
        (Method::Put, "/function/hello/x", INPUT_LEN_MAX),
        (Method::Get, "/function/hello", INPUT_LEN_MAX),
        (Method::Get, ACTION, OTHER_BODY_LEN_MAX),
        (Method::Put, "/api/v1/namespaces/_/actions", OTHER_BODY_LEN_MAX),
        (Method::Put, "/api/v1/namespaces/_/rules/r", OTHER_BODY_LEN_MAX),
        (Method::Post, "/absent", OTHER_BODY_LEN_MAX),
        (Method::Put, "/", OTHER_BODY_LEN_MAX),
    ] {
        let max = request_len_max(Route::of(path), method, INPUT_LEN_MAX);
        assert_eq!(max, len, "{} {path}", method.name());
    }
}

#[test]
fn a_wrong_key_is_refused_by_the_head_alone() {
    let mut client = Client::new();
    let key = client.authorization.take();
    let mut check = |method, path, authorization: Option<&str>| {
        let fields: Vec<_> =
            authorization.map(|value| ("Authorization", value)).into_iter().collect();
        let text = RequestText::of(path, None, &fields);
        let checked = check_head(&mut client.node, method, path, text.headers(), || 1);
        checked.err().map(|response| response.status)
    };
    assert_eq!(check(Method::Put, ACTION, None), Some(401));
    assert_eq!(check(Method::Put, ACTION, Some("Basic x")), Some(401));
    assert_eq!(check(Method::Put, ACTION, key.as_deref()), None);
    assert_eq!(check(Method::Options, ACTION, None), None);
    assert_eq!(check(Method::Post, "/function/hello", None), None);
    assert_eq!(check(Method::Get, "/healthz", None), None);
}

#[test]
fn what_never_became_a_request_gets_the_same_kind_of_answer() {
    let policy = Policy { body_len_max: 9 << 20, ..Policy::development(1) };
    for (reject, status) in [
        (http::MessageReject::Malformed(http::Malformed::Host), 400),
        (http::MessageReject::UnknownMethod, 501),
        (http::MessageReject::TargetTooLong, 414),
        (http::MessageReject::HeadTooLarge, 431),
        (http::MessageReject::BodyTooLarge, 413),
        (http::MessageReject::NoMemory, 503),
        (http::MessageReject::UnknownCoding, 501),
        (http::MessageReject::UnknownVersion, 505),
        (http::MessageReject::UnknownExpectation, 417),
        (http::MessageReject::TooSlow, 408),
    ] {
        let answer = Answer::of(malformed(&policy, reject, 7));
        answer.refused(status, "");
        assert_eq!(answer.header("Retry-After").is_some(), status == 503);
    }
    let host = http::MessageReject::Malformed(http::Malformed::Host);
    assert!(Answer::of(malformed(&policy, host, 7)).error().contains("Host is malformed"));
    let too_large = Answer::of(malformed(&policy, http::MessageReject::BodyTooLarge, 7)).error();
    assert!(too_large.contains("at most 9 MiB, code 48 MiB"), "{too_large}");
    let text = RequestText::of("/", None, &[("x-request-id", "mine")]);
    let answer = Answer::of(overloaded(text.headers(), 7));
    answer.refused(503, "no memory");
    assert_eq!(answer.header("X-Request-ID"), Some("mine"));
    assert_eq!(answer.header("Retry-After"), Some("1"));
}

#[test]
fn whatever_the_answer_it_carries_the_request_id() {
    let mut client = Client::with_hello();
    client.deploy("exported", "web-export=true");
    client.deploy("cgi", "cgi=true");
    let key = client.authorization.clone();
    let long = "x".repeat(8 * 1024);
    let given = ["mine-1", "a b", "a\tb", "\u{7f}", "\u{e4}", &long];
    let targets = [
        "/",
        "/ping",
        "/healthz",
        "/readyz",
        "/metrics",
        "/absent",
        "/admin/drain",
        "/api/v1",
        "/api/v1/absent",
        "/api/v1/namespaces",
        "/api/v1/namespaces/_/limits",
        "/api/v1/namespaces/_/actions",
        ACTION,
        "/api/v1/namespaces/_/actions/hello?blocking=true",
        "/api/v1/namespaces/_/actions/absent",
        "/api/v1/namespaces/other/actions/a",
        "/api/v1/namespaces/_/activations",
        "/api/v1/namespaces/_/activations/absent",
        "/api/v1/namespaces/_/packages",
        "/api/v1/namespaces/_/rules/r?overwrite=true",
        "/api/v1/web/guest/default/exported.json",
        "/api/v1/web/guest/default/absent",
        "/function/hello",
        "/function/cgi",
        "/function/absent",
    ];
    let mut answers = 0;
    for (method, target) in METHODS.into_iter().flat_map(|it| targets.map(|target| (it, target))) {
        for (id, has_key) in given.into_iter().flat_map(|id| [(id, true), (id, false)]) {
            if method == Method::Delete && has_key {
                continue;
            }
            client.authorization = key.clone().filter(|_| has_key);
            let answer = match client.send(method, target, &[("X-Request-ID", id)], b"{}") {
                Reply::Respond(response) => Answer::of(response),
                Reply::Invoke(admission) if answers % 2 == 0 => {
                    let end = End::Fault(Fault::Deadline { timeout_ms: 1, instruction: None });
                    finish(&mut client, admission, end, b"", &[])
                }
                Reply::Invoke(admission) => {
                    let output =
                        b"X-Request-ID: forged\n\n{\"headers\":{\"X-Request-ID\":\"forged\"}}";
                    finish(&mut client, admission, End::Exit(0), output, &[])
                }
                Reply::Store(_) => panic!("this node has no store"),
            };
            let carried = answer.header("X-Request-ID").expect("every answer has one");
            let is_own = carried.len() == 32 && carried.bytes().all(|it| it.is_ascii_hexdigit());
            assert_eq!((carried == id, is_own), (id == "mine-1", id != "mine-1"), "{target} {id}");
            answers += 1;
        }
    }
    assert!(answers > 1000, "{answers}");
}
