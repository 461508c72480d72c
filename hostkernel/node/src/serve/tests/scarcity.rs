//! Memory that runs out at every place where the front asks for it, whoever caused that: nothing
//! panics, whoever wanted something is told, nothing is lost, and the node goes on.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use memory::failure::{Refusal, Scarce};
use memory::frames::balance;
use smoltcp::socket::tcp::State;

use super::detached::request_by;
use super::holdings::{GOOD, two_tenants};
use super::lab::{Lab, PING};
use super::texts::web;
use crate::api::tests::image;
use crate::registry::Purpose;

/// Shorter allocations are made without asking; there is a reserve for these.
const CHOSEN_LEN: usize = 20_000;
/// What is sent is longer, so that it is read in slices, and needs allocations of that length.
const LONG: usize = 40_000;

/// What somebody does with a node.
fn requests() -> Vec<Vec<u8>> {
    let text = "x".repeat(LONG);
    let object = format!("{{\"a\":\"{text}\",\"body\":\"{text}\"}}");
    let pair = |key: &str, value: &str| format!("{{\"key\":\"{key}\",\"value\":{value}}}");
    let list = format!("[{},{}]", pair("web-export", "true"), pair("b", &format!("\"{text}\"")));
    let update = format!("{{\"annotations\":{list},\"parameters\":{list}}}");
    let by = |method: &str, target: &str, body: &[u8]| request_by(GOOD, method, target, body);
    let form = format!("c={text}");
    vec![
        by("PUT", "actions/new?overwrite=true", &image()),
        by("PUT", "actions/echo?overwrite=true", update.as_bytes()),
        by("GET", "actions/echo", b""),
        by("GET", "actions", b""),
        by("POST", "actions/echo?blocking=true", b"{}"),
        by("POST", "actions/echo?blocking=true&result=true", object.as_bytes()),
        by("POST", "actions/echo", object.as_bytes()),
        web("good", "application/json", object.as_bytes()),
        web("good", "text/plain", text.as_bytes()),
        web("good", "application/x-www-form-urlencoded", form.as_bytes()),
        by("GET", "activations?docs=true", b""),
        by("GET", "activations?count=true", b""),
        b"GET /metrics HTTP/1.1\r\nHost: node\r\n\r\n".to_vec(),
        by("DELETE", "actions/new", b""),
    ]
}

/// Does all of it. Returns the statuses; 0 for a connection that ended without an answer.
fn run(lab: &mut Lab, requests: &[Vec<u8>]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for request in requests {
        let client = lab.peer.connect_wide();
        lab.send(client, request);
        let answer = lab.until("an answer, or an end", |lab| {
            let answer = lab.peer.take_answer(client).map(|answer| answer.status);
            let is_over = matches!(lab.peer.state(client), State::Closed | State::CloseWait);
            answer.or(is_over.then_some(0))
        });
        statuses.push(answer);
        lab.peer.close(client);
    }
    statuses
}

fn held(lab: &Lab) -> usize {
    Purpose::ALL.iter().map(|purpose| lab.service.node().books.held_len(*purpose)).sum()
}

/// Refuses the first, second, third … request until there is none to refuse. Returns how many were.
fn starve(what: Scarce) -> usize {
    let requests = requests();
    let expected = run(&mut two_tenants(), &requests);
    assert!(expected.iter().all(|status| (200..300).contains(status)), "{expected:?}");
    for n in 0.. {
        let before = balance::held();
        {
            let mut lab = two_tenants();
            lab.refusal = Some(Refusal::new(what, n));
            let statuses = run(&mut lab, &requests);
            let refusal = lab.refusal.take().expect("it was put there");
            if !refusal.is_over() {
                assert_eq!(statuses, expected);
                return n;
            }
            // What was refused, and what is not there because of that.
            let others = statuses.iter().zip(&expected).filter(|(status, usual)| status != usual);
            let others: Vec<u16> = others.map(|(status, _)| *status).collect();
            let is_fine = |status: &u16| matches!(status, 503 | 404 | 502);
            assert!(others.iter().all(is_fine), "{what:?} {n}: {statuses:?}");
            let text = format!("{what:?} {n}: {statuses:?}");
            let client = lab.connect();
            lab.send(client, PING);
            assert_eq!(lab.answer(client).body, b"pong", "{text}");
            assert_eq!(run(&mut lab, &requests), expected, "{text}");
            lab.settle();
            assert_eq!(held(&lab), 0, "{text}");
        }
        assert_eq!(balance::held(), before, "{what:?} {n}: all frames came back");
    }
    unreachable!("every request asks for memory a finite number of times")
}

#[test]
fn the_front_goes_on_whichever_frames_it_is_refused() {
    let refused = starve(Scarce::Frames);
    assert!(refused > 50, "{refused}");
}

#[test]
fn the_front_goes_on_whichever_allocation_it_is_refused() {
    let refused = starve(Scarce::Heap(CHOSEN_LEN));
    assert!(refused > 5, "{refused}");
}
