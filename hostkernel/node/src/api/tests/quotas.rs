//! What a namespace may use, and what happens beyond it.

use super::*;

const INVOKE: &str = "/api/v1/namespaces/_/actions/hello?blocking=true";

/// A client of `other`, which has these quotas and `hello`, and which is public.
fn client(quotas: &str) -> Client {
    let mut client = Client::new();
    let words = format!("hostkernel.namespace=other,key=u:k{quotas} hostkernel.public=other");
    let mut loader = Loader::default();
    loader.words(Source::CommandLine, &words);
    client.node.policy = Policy::new(&loader.finish().settings.access, 400);
    client.authorization = Some(format!("Basic {}", STANDARD.encode("u:k")));
    client.deploy("hello", "");
    client
}

fn in_flight(client: &Client) -> u32 {
    client.node.policy.tenants.namespace("other").expect("it is configured").in_flight()
}

#[test]
fn invocations_at_the_same_time_are_bounded_for_all_who_call() {
    let mut client = client(",concurrency=2");
    let first = client.admit(Method::Post, INVOKE, b"{}");
    let second = client.admit(Method::Get, "/function/hello", b"");
    let text = "Too many concurrent requests in flight (count: 2, allowed: 2).";
    for (method, target) in [(Method::Post, INVOKE), (Method::Get, "/function/hello")] {
        let answer = client.ask(method, target, b"");
        answer.refused(429, text);
        assert_eq!(answer.header("Retry-After"), Some("1"));
    }
    assert_eq!(client.get(ACTION).status(), 200, "the rest works");
    assert_eq!(finish(&mut client, first, End::Exit(0), b"{}", &[]).status(), 200);
    let third = client.admit(Method::Post, INVOKE, b"");
    assert_eq!(in_flight(&client), 2);
    drop((second, third));
    assert_eq!(in_flight(&client), 0);
}

#[test]
fn however_an_invocation_ends_its_place_is_free_again() {
    let mut client = client(",concurrency=1");
    for end in [End::Exit(0), End::Exit(1), End::NotStarted] {
        let admission = client.admit(Method::Post, INVOKE, b"");
        let _ = finish(&mut client, admission, end, b"{}", &[]);
        assert_eq!(in_flight(&client), 0, "{end:?}");
    }
    // The client has left, and the completion is dropped; or no queue had room.
    let (invocation, pending) = client.admit(Method::Post, INVOKE, b"").split(TICKET);
    drop(pending);
    assert_eq!(in_flight(&client), 1, "it still runs");
    drop(invocation);
    for (target, body) in [(INVOKE, &b"["[..]), ("/function/absent", b"")] {
        assert!(client.ask(Method::Post, target, body).status() >= 400);
    }
    assert_eq!(in_flight(&client), 0);
}

#[test]
fn invocations_a_minute_are_bounded() {
    let mut client = client(",rate=2");
    for _ in 0..2 {
        drop(client.admit(Method::Post, INVOKE, b""));
    }
    let answer = client.ask(Method::Post, INVOKE, b"");
    answer.refused(429, "Too many requests in the last minute (count: 3, allowed: 2).");
    assert_eq!(answer.header("Retry-After"), Some("55"), "five seconds after boot");
}

#[test]
fn the_largest_memory_limit_is_that_of_the_namespace() {
    let mut client = client(",memory=64");
    assert_eq!(client.get(ACTION).json()["limits"]["memory"], 64, "who names none gets it");
    let answer = client.put(&format!("{ACTION}?overwrite=true"), r#"{"limits":{"memory":65}}"#);
    answer.refused(400, "memory 65 MB exceeds allowed threshold of 64 MB");
}

#[test]
fn the_code_of_all_actions_is_bounded_and_counted_once() {
    let mut client = client(",code=1");
    let padded = |fill: u8| [image(), vec![fill; 600_000]].concat();
    let mut put = |name: &str, code: &[u8]| {
        let target = format!("/api/v1/namespaces/_/actions/{name}?overwrite=true");
        client.ask(Method::Put, &target, code)
    };
    assert_eq!(put("a", &padded(1)).status(), 200);
    assert_eq!(put("b", &padded(1)).status(), 200, "the same image");
    put("c", &padded(2)).refused(413, "exceeds allowed threshold of 1 MB");
    assert_eq!(put("b", &image()).status(), 200);
    put("c", &padded(2)).refused(413, "exceeds");
    assert_eq!(put("a", &padded(2)).status(), 200, "instead of the other");
}

#[test]
fn the_limits_of_a_namespace_are_told() {
    let mut plain = Client::new();
    let limits = plain.get("/api/v1/namespaces/_/limits").json();
    assert_eq!(limits["maxActionMemory"], "400 MB");
    assert_eq!(limits["maxParameterSize"], "1048576 B");
    assert!(limits.get("invocationsPerMinute").is_none());
    plain.ask(Method::Put, "/api/v1/namespaces/_/limits", b"").refused(405, "not allowed");
    plain.get("/api/v1/namespaces/other/limits").refused(403, "not authorized");
    let limits = client(",rate=9,memory=64,concurrency=3,code=5")
        .get("/api/v1/namespaces/other/limits")
        .json();
    let expected = [9, 3, 5];
    let names = ["invocationsPerMinute", "concurrentInvocations", "maxCodeMb"];
    assert_eq!(names.map(|name| limits[name].as_u64()), expected.map(Some));
    assert_eq!(limits["maxActionMemory"], "64 MB");
}

#[test]
fn without_a_public_namespace_functions_are_not_found() {
    let mut client = Client::with_hello();
    client.node.policy.public_namespace = None;
    client.ask(Method::Post, "/function/hello", b"").refused(404, "does not exist");
}
