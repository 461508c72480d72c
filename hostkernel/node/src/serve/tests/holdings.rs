//! Bodies that do not end and answers that nobody takes: what a tenant holds is bounded, and
//! another tenant's calls go on beside it.

use alloc::format;
use alloc::vec::Vec;

use super::detached::request_by;
use super::lab::{INPUT_LEN_MAX, Lab, PUBLIC, invoke, pattern};
use super::peer::Client;
use crate::registry::{Purpose, Share};
use crate::settings::{Loader, Settings, Source};
use crate::state::statistics::Reason;
use limits::{EXCHANGE_LEN_MIN, PAGE_LEN, PROGRESS_TIMEOUT_MS, UNADMITTED_SPARED_MS};

pub const GOOD: &str = "u:good";
pub const BAD: &str = "u:bad";

/// A lab with the smallest budgets a node has.
fn small(words: &str) -> Lab {
    let mut loader = Loader::default();
    loader.words(Source::CommandLine, words);
    let settings = Settings { ..loader.finish().settings };
    let share = Share { exchange_len: EXCHANGE_LEN_MIN, ..Share::UNBOUNDED };
    Lab::with_share(settings, share)
}

pub fn two_tenants() -> Lab {
    small(&format!("hostkernel.namespace=good,key={GOOD} hostkernel.namespace=bad,key={BAD}"))
}

fn held_len(lab: &Lab) -> usize {
    let books = &lab.service.node().books;
    books.held_len(Purpose::Request) + books.held_len(Purpose::Answer)
}

fn refused(lab: &Lab) -> u64 {
    let mut refusals = lab.service.node().statistics().refusals();
    refusals.find(|(reason, _)| *reason == Reason::Budget).map_or(0, |(_, count)| count)
}

fn dropped(lab: &Lab) -> u64 {
    lab.service.node().load.answers_dropped
}

/// Clients that send all but the end of a body.
fn send_parts(lab: &mut Lab, count: usize) -> Vec<Client> {
    let request = invoke(&pattern(INPUT_LEN_MAX));
    let clients: Vec<_> = (0..count).map(|_| lab.connect()).collect();
    for client in &clients {
        lab.send(*client, &request[..request.len() - 1]);
    }
    lab.pass_ms(PROGRESS_TIMEOUT_MS / 2);
    clients
}

#[test]
fn bodies_that_do_not_end_are_refused_when_they_are_too_many() {
    let mut lab = small("");
    let clients = send_parts(&mut lab, 8);
    let answers: Vec<_> =
        clients.iter().filter_map(|client| lab.peer.take_answer(*client)).collect();
    assert_eq!(answers.len(), 8 - EXCHANGE_LEN_MIN / 2 / INPUT_LEN_MAX, "the others have room");
    assert!(answers.iter().all(|answer| (answer.status, answer.last) == (503, true)));
    assert_eq!(refused(&lab), answers.len() as u64);
    assert!(held_len(&lab) <= EXCHANGE_LEN_MIN);
    let client = lab.connect();
    lab.echo(client, b"small ones have room of their own");
    lab.settle();
    assert_eq!(held_len(&lab), 0);
}

#[test]
fn answers_that_nobody_takes_are_not_begun_when_they_are_too_many() {
    let mut lab = small("");
    let body = pattern(INPUT_LEN_MAX);
    for _ in 0..8 {
        let client = lab.connect();
        lab.peer.set_wanted(client, 0);
        lab.send(client, &invoke(&body));
        lab.pass_ms(100);
        assert!(held_len(&lab) <= EXCHANGE_LEN_MIN);
    }
    assert!(refused(&lab) > 0 && dropped(&lab) == 0);
    // Who takes nothing for a time makes room.
    lab.pass_ms(UNADMITTED_SPARED_MS);
    let client = lab.peer.connect_wide();
    lab.echo(client, &body);
    assert!(dropped(&lab) > 0);
    lab.settle();
    assert_eq!(held_len(&lab), 0);
}

#[test]
fn of_answers_that_had_been_begun_the_oldest_are_given_up() {
    let mut lab = small("");
    lab.worker.holds = true;
    lab.worker.output_len = Some(INPUT_LEN_MAX);
    let clients: Vec<_> = (0..PUBLIC).map(|_| lab.connect()).collect();
    for client in &clients {
        lab.peer.set_wanted(*client, 100);
        lab.send(*client, &invoke(b"small"));
    }
    lab.pass_ms(50);
    lab.worker.holds = false;
    lab.pass_ms(500);
    assert_eq!(lab.worker.begun, PUBLIC, "they had been begun");
    assert!(held_len(&lab) <= EXCHANGE_LEN_MIN && dropped(&lab) > 0);
    clients.iter().for_each(|client| lab.peer.set_wanted(*client, usize::MAX));
    lab.pass_ms(PROGRESS_TIMEOUT_MS);
    let answers = clients.iter().filter_map(|client| lab.peer.take_answer(*client));
    assert_eq!(answers.count() as u64 + dropped(&lab), PUBLIC as u64, "the others are whole");
    lab.settle();
    assert_eq!(held_len(&lab), 0);
}

#[test]
fn one_tenants_answers_leave_another_tenant_room() {
    let mut lab = two_tenants();
    let body = format!("{{\"a\":\"{}\"}}", "x".repeat(INPUT_LEN_MAX - 100)).into_bytes();
    let target = "actions/echo?blocking=true&result=true";
    for _ in 0..PUBLIC {
        let client = lab.connect();
        lab.peer.set_wanted(client, 0);
        lab.send(client, &request_by(BAD, "POST", target, &body));
        lab.pass_ms(100);
    }
    // What is still read holds a body, too.
    lab.until("the last result", |lab| {
        let held_len = lab.service.node().books.held_len(Purpose::Request);
        (held_len == 0).then_some(())
    });
    assert!(refused(&lab) + dropped(&lab) > 0);
    let before = refused(&lab);
    for _ in 0..3 {
        let client = lab.peer.connect_wide();
        lab.send(client, &request_by(GOOD, "POST", target, &body));
        assert_eq!(lab.answer(client).status, 200);
        lab.peer.close(client);
    }
    assert_eq!(refused(&lab), before, "the good one was never");
    lab.settle();
    assert_eq!(held_len(&lab), 0);
}

#[test]
fn inputs_are_held_until_their_invocation_has_ended_whoever_waits() {
    let mut lab = small("");
    lab.worker.holds = true;
    let body = pattern(10 * PAGE_LEN);
    let leaving = lab.connect();
    lab.send(leaving, &invoke(&body));
    let json = format!("{{\"a\":\"{}\"}}", "x".repeat(10 * PAGE_LEN)).into_bytes();
    let told = lab.connect();
    lab.send(told, &super::detached::request("POST", "actions/echo", &json));
    assert_eq!(lab.answer(told).status, 202);
    let both = held_len(&lab);
    assert!(both >= 20 * PAGE_LEN, "{both}");
    lab.peer.reset(leaving);
    lab.pass_ms(100);
    assert_eq!(held_len(&lab), both, "it runs on");
    lab.settle();
    assert_eq!(held_len(&lab), 0);
}

#[test]
fn code_on_its_way_has_what_the_images_leave() {
    let share = Share { frames: 1 << 10, ..Share::UNBOUNDED };
    let mut lab = Lab::with_share(Settings::default(), share);
    let client = lab.peer.connect_wide();
    let target = "actions/new?overwrite=true";
    let code = pattern(5 << 20);
    lab.send(client, &super::detached::request("PUT", target, &code));
    let answer = lab.answer(client);
    assert_eq!((answer.status, answer.last), (503, true));
    assert_eq!(refused(&lab), 1);
    lab.settle();
    assert_eq!(lab.service.node().books.held_len(Purpose::Deploy), 0);
}
