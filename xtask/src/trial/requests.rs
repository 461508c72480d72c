//! Mutated requests on raw connections: whatever comes back is HTTP, with a status that is
//! documented.
//!
//! Seeds are the files in `fuzz/corpus/live-http`, whole requests as they are sent, to which every
//! find is added. Each mutant gets a connection of its own, arrives in pieces, and is followed by
//! the end of the stream, so that none has to wait for a time-out.

use std::fs;
use std::net::SocketAddr;

use hk::wire::{Framing, Head};

use super::books::Books;
use super::random::Random;
use super::session::{Limits, Session};
use super::{CONTROL, Effort, Find, corpus, greet};
use crate::connection::{ACTIONS, AUTHORIZATION, Connection};
use crate::qemu::Node;
use crate::workspace;

/// Actions the seeds name.
const NAMED: [(&str, &str); 2] = [("hello", "hello"), ("echo", "echo")];
/// Requests between two looks at the node.
const REQUESTS_PER_GREETING: u64 = 32;
/// With more connections than this, those that mutants left half closed are waited for: the node
/// shall not need buffers for more of them than [`super::prepare`] made it allocate.
const CONNECTIONS_LEFT_MAX: u64 = 64;
/// Most changes to one request.
const CHANGES_MAX: usize = 6;
/// Most pieces it arrives in.
const PIECES_MAX: usize = 4;
/// Most repetitions of a piece; makes fields and bodies that are too long.
const REPETITIONS_MAX: usize = 2000;

/// What matters to a parser of HTTP, of percent-encoding or of JSON.
const TOKENS: [&[u8]; 44] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"\t",
    b" ",
    b":",
    b",",
    b"\xff",
    b"\xc3\xa4",
    b"%",
    b"%00",
    b"%2F",
    b"%zz",
    b"/",
    b"..",
    b"?",
    b"&",
    b"*",
    b"HTTP/1.0",
    b"HTTP/2.0",
    b"HEAD ",
    b"TRACE ",
    b"Content-Length: 0\r\n",
    b"Content-Length: 18446744073709551616\r\n",
    b"Content-Length: 70000000\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Expect: 100-continue\r\n",
    b"Connection: close\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00",
    b"ffffffffffffffff\r\n",
    b"0\r\n\r\n",
    b"{",
    b"}",
    b"[[[[[[[[",
    b"\"",
    b"\\u0000",
    b"\\ud800",
    b"1e999",
    b"null",
    b"overwrite=true",
    b"blocking=true",
];

/// What was answered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Requests with at least one answer.
    pub answered: u64,
    /// Connections that were closed without one: the request never became complete.
    pub closed: u64,
}

/// Sends the seeds as they are and then mutants, and asks the node now and then whether it still
/// works.
///
/// # Errors
/// The first [`Find`]. The request is in `target/fuzz/live-http`.
pub fn run(node: &Node, seed: u64, effort: Effort, progress: impl Fn(u64)) -> Result<Counts, Find> {
    let seeds = corpus("live-http")?;
    let address = node.address();
    let mut random = Random::new(seed);
    let mut counts = Counts::default();
    deploy_named(node)?;
    for (name, request) in &seeds {
        attempt(address, request, &mut random, &mut counts).map_err(|find| find.during(name))?;
    }
    if counts.closed > 0 {
        return Err(Find::new("a seed is not answered"));
    }
    deploy_named(node)?;
    let before = Books::at_rest(node)?;
    for case in effort.cases(progress) {
        let mut random = Random::of_case(seed, case);
        let request = mutate(&seeds, &mut random);
        attempt(address, &request, &mut random, &mut counts)
            .map_err(|find| find.during(&kept(seed, case, &request)))?;
        if case % REQUESTS_PER_GREETING == 0 {
            greet(&mut Session::open(address)?, "after mutants")
                .map_err(|find| find.during(&kept(seed, case, &request)))?;
            if Books::read(node)?.connections > CONNECTIONS_LEFT_MAX {
                Books::at_rest(node)?;
            }
        }
    }
    deploy_named(node)?;
    before.wait_for(node)?;
    Ok(counts)
}

/// Brings the node's actions into the state that the seeds expect.
fn deploy_named(node: &Node) -> Result<(), Find> {
    let mut session = Session::open(node.address())?;
    session.delete_all_but(CONTROL)?;
    for (name, sample) in NAMED {
        session.deploy_sample(name, sample, Limits::default())?;
    }
    Ok(())
}

/// Sends one request and checks what comes back.
fn attempt(
    address: SocketAddr,
    request: &[u8],
    random: &mut Random,
    counts: &mut Counts,
) -> Result<(), Find> {
    let connection = Connection::open(address);
    let mut connection =
        connection.map_err(|error| Find::new(format!("no connection: {error}")))?;
    let mut rest = request;
    for _ in 1..PIECES_MAX {
        let (piece, behind) = rest.split_at(random.below(rest.len() + 1));
        // The node may close as soon as it has seen enough; what it said counts.
        if connection.send(piece).is_err() {
            break;
        }
        rest = behind;
    }
    let _ = connection.send(rest);
    let _ = connection.finish_sending();
    let bytes = connection
        .wait_closed()
        .map_err(|error| Find::new(format!("the connection stays open: {error}")))?;
    let may_be_head = request.windows(4).any(|word| word == b"HEAD");
    let statuses = statuses(&bytes, may_be_head)?;
    match statuses.is_empty() {
        true => counts.closed += 1,
        false => counts.answered += 1,
    }
    match statuses.iter().find(|status| hk::Known::of(**status).is_none()) {
        Some(status) => Err(Find::new(format!("status {status} is not documented"))),
        None => Ok(()),
    }
}

/// The statuses of answers that follow each other.
fn statuses(mut bytes: &[u8], may_be_head: bool) -> Result<Vec<u16>, Find> {
    let mut statuses = Vec::new();
    while !bytes.is_empty() {
        let wrong = |what: &str| {
            let text = String::from_utf8_lossy(&bytes[..bytes.len().min(1000)]);
            Find::new(format!("{what}: {text:?}"))
        };
        let head = Head::parse(bytes, "GET").map_err(|flaw| wrong(&flaw.to_string()))?;
        let head = head.ok_or_else(|| wrong("half an answer"))?;
        let Framing::Length(body_len) = head.framing else {
            return Err(wrong("no Content-Length"));
        };
        let behind = &bytes[head.len..];
        bytes = match behind.get(body_len..) {
            // To HEAD the length is stated and the body left out.
            _ if may_be_head && (behind.is_empty() || behind.starts_with(b"HTTP/1.")) => behind,
            Some(next) => next,
            None => return Err(wrong("half a body")),
        };
        statuses.push(head.status);
    }
    Ok(statuses)
}

/// Keeps a request for another look; what it was, and where it is.
fn kept(seed: u64, case: u64, request: &[u8]) -> String {
    let folder = workspace::target().join("fuzz/live-http");
    let file = folder.join("find");
    match fs::create_dir_all(&folder).and_then(|()| fs::write(&file, request)) {
        Ok(()) => format!("seed {seed}, case {case} ({})", workspace::display(&file)),
        Err(error) => format!("seed {seed}, case {case} (not kept: {error})"),
    }
}

/// A random mutant of a random seed.
fn mutate(seeds: &[(String, Vec<u8>)], random: &mut Random) -> Vec<u8> {
    let mut request = random.pick(seeds).1.clone();
    for _ in 0..=random.below(CHANGES_MAX) {
        change(&mut request, seeds, random);
    }
    request
}

fn change(request: &mut Vec<u8>, seeds: &[(String, Vec<u8>)], random: &mut Random) {
    let range = random.range(request.len());
    let at = range.start;
    match random.below(10) {
        0 | 1 => {
            if let Some(byte) = request.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        2 => {
            request.drain(range);
        }
        3 => {
            let times = if random.one_in(20) { random.below(REPETITIONS_MAX) } else { 1 };
            let piece = request[range].repeat(times);
            request.splice(at..at, piece);
        }
        4 | 5 => {
            let token = random.pick(&TOKENS).to_vec();
            request.splice(at..at, token);
        }
        6 => {
            let token = random.pick(&TOKENS).to_vec();
            request.splice(range, token);
        }
        7 => {
            let other = &random.pick(seeds).1;
            let from = random.range(other.len());
            request.splice(range, other[from].iter().copied());
        }
        8 => {
            // The key in front of what needs one, and a path that exists.
            let lines = [format!("{AUTHORIZATION}\r\n"), format!(" {ACTIONS}/hello ")];
            request.splice(range, random.pick(&lines).bytes());
        }
        _ => change_number(request, random),
    }
}

/// Puts another digit where there is one.
fn change_number(request: &mut [u8], random: &mut Random) {
    let digits: Vec<_> = (0..request.len()).filter(|at| request[*at].is_ascii_digit()).collect();
    if !digits.is_empty() {
        request[*random.pick(&digits)] = b'0' + random.below(10) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
        let bad = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
        let both = [&ok[..], &bad[..]].concat();
        assert_eq!(statuses(&both, false).expect("two answers"), [200, 400]);
        assert!(statuses(b"", false).expect("no answer").is_empty());
        assert!(statuses(&ok[..ok.len() - 1], false).is_err());
        assert!(statuses(&ok[..20], false).is_err());
        assert!(statuses(b"nonsense", false).is_err());
        assert!(statuses(b"HTTP/1.1 200 OK\r\n\r\n", false).is_err());
        assert_eq!(statuses(&ok[..ok.len() - 2], true).expect("to HEAD"), [200]);
    }

    #[test]
    fn mutants_differ_and_repeat() {
        let seeds = corpus("live-http").expect("the corpus");
        let mutant = |case| mutate(&seeds, &mut Random::of_case(1, case));
        let seed = |request: &Vec<u8>| seeds.iter().any(|(_, seed)| seed == request);
        assert!((0..200).all(|case| mutant(case) == mutant(case)));
        assert!((0..200).filter(|case| !seed(&mutant(*case))).count() > 150);
    }
}
