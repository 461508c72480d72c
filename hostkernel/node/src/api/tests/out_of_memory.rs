//! Memory that runs out at every place where a request asks for it.

use super::*;
use memory::failure;

/// Sends a request again and again, refusing its first, second, third … request for frames, until
/// it is refused none. Each answer before that is a 503 after which `unchanged` must hold. Returns
/// how many there were.
fn starve(
    client: &mut Client,
    method: Method,
    target: &str,
    body: &[u8],
    unchanged: impl Fn(&mut Client),
) -> usize {
    // The body arrived before: its frames are not the API's.
    for n in 0.. {
        let body = PageBuffer::from_bytes(body).expect("frames are left");
        let (reply, refused) =
            failure::refuse_nth(n, || client.send_buffer(method, target, &[], body));
        match reply {
            Reply::Respond(response) if refused => {
                Answer::of(response).refused(503, "memory");
                unchanged(client);
            }
            Reply::Respond(response) => {
                let answer = Answer::of(response);
                assert_eq!(answer.status(), 200, "{}", answer.text());
                return n;
            }
            Reply::Invoke(_) if refused => panic!("admitted without memory"),
            Reply::Invoke(_) => return n,
            Reply::Store(_) => panic!("this node has no store"),
        }
    }
    unreachable!("every request asks for a finite number of frames")
}

#[test]
fn a_deploy_that_is_refused_any_frame_changes_nothing() {
    let parameters = format!(r#","parameters":[{{"key":"a","value":"{}"}}]"#, "x".repeat(9000));
    for body in [image(), document(&parameters).into_bytes()] {
        let mut client = Client::new();
        let refused = starve(&mut client, Method::Put, ACTION, &body, |client| {
            client.get(ACTION).refused(404, "does not exist");
        });
        assert!(refused >= 1, "nothing was refused");
        let target = format!("{ACTION}?overwrite=true");
        starve(&mut client, Method::Put, &target, &body, |client| {
            assert_eq!(client.get(ACTION).json()["version"], "0.0.1");
        });
        assert_eq!(client.get(ACTION).json()["version"], "0.0.2");
    }
}

#[test]
fn what_is_read_or_invoked_without_memory_is_an_error() {
    let mut client = Client::new();
    client.put(ACTION, &document(r#","parameters":[{"key":"a","value":1}]"#));
    let nothing = |_: &mut Client| {};
    let list = "/api/v1/namespaces/_/actions";
    assert!(starve(&mut client, Method::Get, ACTION, b"", nothing) > 0);
    assert!(starve(&mut client, Method::Get, list, b"", nothing) > 0);
    let admission = client.admit(Method::Post, ACTION, b"{}");
    let id = admission.pending.id();
    finish(&mut client, admission, End::Exit(0), b"{}", &[]);
    for part in ["?docs=true", "", &format!("/{id}"), &format!("/{id}/logs")] {
        let target = format!("/api/v1/namespaces/_/activations{part}");
        assert!(starve(&mut client, Method::Get, &target, b"", nothing) > 0);
    }
    client.put(
        &format!("{ACTION}?overwrite=true"),
        r#"{"annotations":[{"key":"web-export","value":true}]}"#,
    );
    let web = "/api/v1/web/guest/default/hello?b=1";
    assert!(starve(&mut client, Method::Post, web, &[7; 9000], nothing) > 2);
    let invoke = format!("{ACTION}?blocking=true");
    assert!(starve(&mut client, Method::Post, &invoke, b"{}", nothing) > 0);
}

#[test]
fn an_end_without_memory_for_its_answer_still_has_a_record() {
    let mut client = Client::with_hello();
    for n in 0.. {
        let admission = client.admit(Method::Post, &format!("{ACTION}?blocking=true"), b"{}");
        let id = admission.pending.id();
        let (invocation, mut pending) = admission.split(TICKET);
        let completion = completion(invocation, End::Exit(0), b"{\"error\":1}", &["1a"]);
        let records = &mut client.node.records;
        let (response, refused) =
            failure::refuse_nth(n, || complete(records, &mut pending, completion, LATER));
        let answer = Answer::of(response);
        let kept = client.get(&format!("/api/v1/namespaces/_/activations/{id}"));
        assert_eq!(kept.status(), 200);
        if !refused {
            assert_eq!(answer.json(), kept.json());
            assert!(n > 1, "{n} requests for frames");
            return;
        }
        answer.refused(503, "memory");
    }
}
