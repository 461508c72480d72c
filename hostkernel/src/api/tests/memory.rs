//! Memory that runs out at every place where a request asks for it.

use super::*;
use crate::memory::failure;

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
    let invoke = format!("{ACTION}?blocking=true");
    assert!(starve(&mut client, Method::Post, &invoke, b"{}", nothing) > 0);
}
