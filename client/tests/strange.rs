//! `hk` against what no node can be made to do: silence, nonsense, quotas. Everything else is
//! tested against real nodes, in `tests/tests/hk.rs`.

#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread;

/// The URL of a server that gives this answer to every request, or none and holds the line.
fn serve(answer: Option<&'static str>) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    // It ends with the test program.
    thread::spawn(move || {
        let mut held = Vec::new();
        for mut stream in listener.incoming().map_while(Result::ok) {
            // Requests of these tests fit into one read.
            let _ = stream.read(&mut [0; 64 << 10]);
            match answer {
                Some(answer) => drop(stream.write_all(answer.as_bytes())),
                None => held.push(stream),
            }
        }
    });
    url
}

/// The URL of a server that gives these answers one after the other, and the last one for ever.
fn serve_each(answers: &'static [&'static str]) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        let mut answers = answers.iter().peekable();
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 64 << 10]);
            let answer = match answers.len() {
                1 => answers.peek().copied(),
                _ => answers.next(),
            };
            drop(stream.write_all(answer.map_or(&b""[..], |answer| answer.as_bytes())));
        }
    });
    url
}

/// An answer with a JSON body, after which the connection ends.
macro_rules! answer {
    ($status:literal, $len:literal, $body:literal) => {
        concat!(
            "HTTP/1.1 ",
            $status,
            "\r\nConnection: close\r\nContent-Length: ",
            $len,
            "\r\n\r\n",
            $body
        )
    };
}

const BEGUN: &str =
    answer!("202 Accepted", "51", "{\"activationId\":\"8bce8daea933e96fc4c92591b65c4f0c\"}");
const NO_RECORD: &str = answer!("404 Not Found", "26", "{\"error\":\"No.\",\"code\":\"a\"}");
const RECORD: &str = answer!(
    "200 OK",
    "130",
    "{\"activationId\":\"8bce8daea933e96fc4c92591b65c4f0c\",\"name\":\"slow\",\"start\":1,\
     \"response\":{\"status\":\"success\",\"result\":{\"done\":true}}}"
);

/// A node answers 202 when it has waited for long enough; who asked has not.
#[test]
fn an_invocation_that_outlasts_the_node_is_waited_for() {
    let node = hk::Client::new(&serve_each(&[BEGUN, NO_RECORD, NO_RECORD, RECORD]));
    let invocation = node.invoke("slow", &serde_json::json!({})).expect("it ends");
    assert!(invocation.succeeded() && invocation.http_status == 200);
    assert_eq!(invocation.result()["done"], true);
}

#[test]
fn an_invocation_that_goes_on_is_not_lost() {
    let hk = |answers, words: &[&str]| {
        let url = serve_each(answers);
        let hk = Command::new(env!("CARGO_BIN_EXE_hk"))
            .args(words)
            .args(["--url", &url, "--key", "a:b"])
            .output()
            .expect("hk starts");
        (hk.status.code(), String::from_utf8_lossy(&hk.stderr).into_owned())
    };
    let (code, said) = hk(&[BEGUN, NO_RECORD], &["invoke", "slow", "--wait", "1"]);
    assert_eq!(code, Some(5), "{said}");
    for part in ["8bce8daea933e96fc4c92591b65c4f0c", "not ended within", "hk activation get"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    // Neither is one whose node stops making sense.
    let (code, said) = hk(&[BEGUN, "nonsense\r\n\r\n"], &["invoke", "slow"]);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("8bce8daea933e96fc4c92591b65c4f0c has begun, and then"), "{said}");
    let (code, said) = hk(&[NO_RECORD], &["activation", "get", "0"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("may still run"), "{said}");
}

/// Runs `hk` against such a server. Returns the exit code and what was said.
fn hk(words: &[&str], answer: Option<&'static str>) -> (i32, String) {
    let url = serve(answer);
    let output = Command::new(env!("CARGO_BIN_EXE_hk"))
        .args(words)
        .args(["--url", &url, "--key", "a:b"])
        .output()
        .expect("hk starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().expect("hk ends by itself"), said)
}

#[track_caller]
fn fails(words: &[&str], answer: Option<&'static str>, code: i32, expected: &str) {
    let (actual, said) = hk(words, answer);
    assert_eq!(actual, code, "{said}");
    assert!(said.contains(expected), "{expected:?} is not in {said}");
}

#[test]
fn silence_is_a_time_out() {
    for words in [&["list"][..], &["invoke", "a"], &["status"], &["top", "--once"]] {
        let words = [words, &["--wait", "1"]].concat();
        fails(&words, None, 5, "--wait");
    }
}

#[test]
fn nonsense_is_told_from_a_refusal() {
    fails(&["list"], Some("SSH-2.0-OpenSSH\r\n"), 5, "is a node running there?");
    let page = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>";
    fails(&["list"], Some(page), 6, "something else listening");
    fails(&["get", "a"], Some(page), 6, "something else listening");
    let page = "HTTP/1.1 404 No\r\nContent-Length: 6\r\n\r\n<html>";
    fails(&["invoke", "a"], Some(page), 6, "something else listening");
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n[{\"name\":";
    fails(&["list"], Some(half), 5, "is a node running there?");
}

#[test]
fn what_makes_no_sense_is_not_sent() {
    let fails = |words: &[&str], expected| fails(words, None, 2, expected);
    fails(&["invoke", "a", "[1]"], "no object");
    fails(&["deploy", "a.elf", "--param", "=1"], "KEY=VALUE");
    fails(&["deploy", "a.elf", "--annotation", "cgi=yes"], "true or false");
    fails(&["deploy", "a.elf", "--memory", "0"], "--memory");
    // Accepted by the node, and never delivered.
    let words = ["deploy", "Cargo.toml", "--annotation", "cgi=true", "--param", "a=1", "--wait"];
    self::fails(&[&words[..], &["1"]].concat(), None, 5, "--env and --secret reach it");
    let hk = |url: &str| {
        let words = ["list", "--key", "a:b", "--url", url];
        let output = Command::new(env!("CARGO_BIN_EXE_hk")).args(words).output().expect("hk");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for url in ["https://node", "node:port", "", "a b"] {
        let (code, said) = hk(url);
        assert_eq!(code, Some(2), "{url}: {said}");
    }
}

#[test]
fn a_quota_is_an_overload() {
    let answer = "HTTP/1.1 429 Slow down\r\nRetry-After: 1\r\nContent-Length: 33\r\n\r\n\
        {\"error\":\"Too many.\",\"code\":\"ab\"}";
    fails(&["invoke", "a"], Some(answer), 4, "Too many; try again in a moment");
    fails(&["invoke", "a", "--raw"], Some(answer), 4, "429");
}

#[test]
fn a_bench_ends_when_nobody_is_there() {
    let (code, said) = hk(&["bench", "a", "-d", "1", "-c", "2"], Some("nonsense\r\n\r\n"));
    assert_eq!(code, 5, "{said}");
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    let words = ["bench", "a", "-c", "2", "-n", "20", "-d", "600"];
    let (code, said) = hk(&words, Some(answer));
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("what is between"), "{said}");
    // Never hang, whatever stands in a head.
    let (code, _) = hk(&words, Some("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 "));
    assert_eq!(code, 1);
}

/// The status alone decides: load balancers look no further, and the laboratory's Linux says
/// nothing.
#[test]
fn an_empty_200_is_ready() {
    let is_ready = |answer| hk::Client::new(&serve(Some(answer))).is_ready();
    assert!(is_ready("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    assert!(!is_ready("HTTP/1.1 503 Wait\r\nContent-Length: 2\r\n\r\nok"));
}
