//! HTTP: any bytes, fed at once and in pieces, must give the same requests.
#![no_main]

use hostkernel_fuzz::{check_response, drain};
use libfuzzer_sys::fuzz_target;
use memory::install_for_test;
use node::http::connection::{Connection, Phase, Step};
use node::http::{Body, Fields, MessageReject, Method, Response};

/// What came out of a connection.
#[derive(Debug, PartialEq)]
enum Out {
    Request(Method, String, Option<String>, Vec<(String, String)>, Vec<u8>),
    Reject(MessageReject),
}

fuzz_target!(|input: (u16, Vec<u8>, &[u8])| {
    install_for_test();
    let (body_len_max, cuts, bytes) = input;
    let whole = serve(bytes, &[], usize::from(body_len_max));
    let pieces = serve(bytes, &cuts, usize::from(body_len_max));
    assert_eq!(whole, pieces, "what comes out depends on the bytes alone");
});

/// Feeds `bytes` in pieces as long as `cuts` says, over and over, and answers everything.
fn serve(mut bytes: &[u8], cuts: &[u8], body_len_max: usize) -> Vec<Out> {
    let mut connection = Connection::new();
    let mut cuts = cuts.iter().cycle();
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let piece = cuts.next().map_or(bytes.len(), |cut| usize::from(*cut).max(1));
        let piece = &bytes[..piece.min(bytes.len())];
        let (consumed, step) = connection.receive(piece, &mut |_, _, _| Ok(body_len_max));
        assert!(consumed <= piece.len());
        bytes = &bytes[consumed..];
        let to_head = match step {
            Step::More => {
                assert!(consumed > 0, "nothing is stuck");
                continue;
            }
            Step::Continue => {
                assert_eq!(connection.phase(), Phase::Receiving);
                drain(&mut connection, 7);
                continue;
            }
            Step::Request(request) => {
                let body = request.body.to_vec().expect("the arena is large");
                assert!(body.len() <= body_len_max);
                let path = request.text.path();
                assert!(path.starts_with('/') || path == "*");
                let headers = request.text.headers();
                let headers =
                    headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
                let to_head = request.method == Method::Head;
                out.push(Out::Request(
                    request.method,
                    path.to_owned(),
                    request.text.query().map(str::to_owned),
                    headers.collect(),
                    body,
                ));
                to_head
            }
            Step::Reject(reject) => {
                out.push(Out::Reject(reject));
                false
            }
        };
        assert_eq!(connection.phase(), Phase::Answering);
        let body = Body::Heap(b"answer".to_vec());
        connection.respond(Response { status: 200, headers: Fields::new(), body });
        // A reject may be answered by the head alone, if the request was a HEAD.
        let sent = drain(&mut connection, 1000);
        if !matches!(out.last(), Some(Out::Reject(_))) {
            assert_eq!(check_response(&sent, to_head), 200);
        }
    }
    out
}
