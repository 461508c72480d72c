//! Memory that runs out at every place where a request asks for it.

extern crate std;

use super::*;
use limits::PARAMETERS_MAX;
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

/// What is allocated without asking is shorter: its sum is less than what is kept free for a
/// request. Whoever chooses a greater length must hear that there is no memory.
const CHOSEN_LEN: usize = 20_000;

/// The same as [`starve`] for the heap.
fn starve_heap(
    client: &mut Client,
    (method, target, headers): (Method, &str, &[(&str, &str)]),
    body: &[u8],
    unchanged: impl Fn(&mut Client),
) -> usize {
    for n in 0.. {
        let body = PageBuffer::from_bytes(body).expect("frames are left");
        let (reply, refused) = failure::refuse_nth_allocation_of(CHOSEN_LEN, n, || {
            client.send_buffer(method, target, headers, body)
        });
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
    unreachable!("every request allocates a finite number of times")
}

/// JSON with something of this length in it.
fn long_object(len: usize) -> String {
    format!(r#"{{"a":"{}","b":[{}]}}"#, "x".repeat(len), "1,".repeat(len / 2) + "2")
}

#[test]
fn a_deploy_that_is_refused_any_large_allocation_changes_nothing() {
    let value = long_object(100_000);
    let list = |name: &str| format!(r#""{name}":[{{"key":"k","value":{value}}}]"#);
    let more = format!(",{},{}", list("parameters"), list("annotations"));
    let mut archive = ::zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive
        .start_file("exec", ::zip::write::SimpleFileOptions::default())
        .and_then(|()| Ok(std::io::Write::write_all(&mut archive, &image())?))
        .expect("memory is left");
    let archive = archive.finish().expect("memory is left").into_inner();
    for body in [document(&more).into_bytes(), archive] {
        let mut client = Client::new();
        let refused = starve_heap(&mut client, (Method::Put, ACTION, &[]), &body, |client| {
            client.get(ACTION).refused(404, "does not exist");
        });
        assert!(refused >= 1, "nothing was refused");
        let target = format!("{ACTION}?overwrite=true");
        starve_heap(&mut client, (Method::Put, &target, &[]), &body, |client| {
            assert_eq!(client.get(ACTION).json()["version"], "0.0.1");
        });
    }
}

#[test]
fn large_inputs_and_results_without_memory_are_errors() {
    let mut client = Client::new();
    let long = long_object(100_000);
    client.put(ACTION, &document(&format!(r#","parameters":[{{"key":"c","value":{long}}}]"#)));
    let nothing = |_: &mut Client| {};
    let invoke = format!("{ACTION}?blocking=true");
    let post = (Method::Post, invoke.as_str(), &[][..]);
    // It is read and merged where it is.
    assert_eq!(starve_heap(&mut client, post, long.as_bytes(), nothing), 0);
    client.put(
        &format!("{ACTION}?overwrite=true"),
        r#"{"annotations":[{"key":"web-export","value":true}]}"#,
    );
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let fields = "a=%41&".repeat(PARAMETERS_MAX);
    let web = "/api/v1/web/guest/default/hello";
    for (headers, body) in [(&form[..], fields.as_str()), (&[], &long), (&[], &"x".repeat(99_999))]
    {
        starve_heap(&mut client, (Method::Post, web, headers), body.as_bytes(), nothing);
    }
    for n in 0.. {
        let admission = client.admit(Method::Post, &invoke, b"{}");
        let id = admission.pending.id();
        let (invocation, mut pending) = admission.split(TICKET);
        let line = format!("1{}", "y".repeat(50_000));
        let completion = completion(invocation, End::Exit(0), long.as_bytes(), &[&line]);
        let records = &mut client.node.records;
        let (response, refused) = failure::refuse_nth_allocation_of(CHOSEN_LEN, n, || {
            complete(records, &mut pending, completion, LATER)
        });
        let answer = Answer::of(response);
        let record = format!("/api/v1/namespaces/_/activations/{id}");
        let docs = "/api/v1/namespaces/_/activations?docs=true";
        if !refused {
            assert_eq!(answer.status(), 200);
            for target in [record.as_str(), docs, &format!("{record}/logs")] {
                starve_heap(&mut client, (Method::Get, target, &[]), b"", nothing);
            }
            return;
        }
        answer.refused(503, "memory");
        assert_eq!(client.get(&record).status(), 200);
    }
}
