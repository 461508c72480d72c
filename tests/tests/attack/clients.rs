//! Attacks with ordinary connections: slow, deaf, or in another language.

use std::io::{Cursor, Write};

use system_tests::{ACTIONS, AUTHORIZATION, request};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::attacker::Attacker;

/// Connections an attack opens each time.
const CLIENTS: usize = 24;
/// Connections that ask for the longest answer.
const DEAF_CLIENTS: usize = 4;
/// Longest body of an invocation.
const INPUT_LEN: usize = 1 << 20;
/// Deploys of an attack each time, and how long each is when it is unpacked.
const DEPLOYS: usize = 4;
/// See [`DEPLOYS`].
const BOMB_LEN: usize = 4 << 20;

/// Sends one byte on every connection held, and opens more of them with `beginning`.
fn trickle(attacker: &mut Attacker, beginning: &[u8]) {
    // A connection that the node has given up takes nothing; that is its good right.
    for stream in &mut attacker.streams {
        let _ = stream.write(b"x");
    }
    for _ in 0..CLIENTS {
        let _ = attacker.connect().write(beginning);
    }
}

pub fn slow_heads(attacker: &mut Attacker) {
    trickle(attacker, b"GET /function/hello HTTP/1.1\r\nX-Slow: ");
}

pub fn slow_bodies(attacker: &mut Attacker) {
    let head = "POST /function/hello HTTP/1.1\r\nHost: node\r\nContent-Length: 100000\r\n\r\n{";
    trickle(attacker, head.as_bytes());
}

/// Asks for long answers and reads nothing of them.
pub fn deaf(attacker: &mut Attacker) {
    let ask = request("POST", "/function/echo", &[], &vec![b' '; INPUT_LEN]);
    for _ in 0..DEAF_CLIENTS {
        let stream = attacker.connect();
        stream.set_nonblocking(false).expect("a stream can be asked to block");
        // The node may refuse it for lack of memory, and closes then.
        let _ = stream.write_all(&ask);
    }
}

/// TLS, HTTP/2, control characters, and bytes without any meaning.
pub fn nonsense(attacker: &mut Attacker) {
    for _ in 0..CLIENTS {
        let noise = attacker.random.bytes(2000);
        let languages: [&[u8]; 6] = [
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
            b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n",
            b"SSH-2.0-OpenSSH\r\n",
            &noise,
        ];
        let words = attacker.random.one(&languages);
        let _ = attacker.connect().write(words);
    }
    attacker.streams.clear();
}

/// Deploys code that is small on the wire and long when it is unpacked, and does not wait.
pub fn deploy_storm(attacker: &mut Attacker) {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("exec", SimpleFileOptions::default()).expect("a new file");
    writer.write_all(&vec![0; BOMB_LEN]).expect("memory is left");
    let bomb = writer.finish().expect("memory is left").into_inner();
    for number in 0..DEPLOYS {
        let target = format!("{ACTIONS}/bomb-{number}?overwrite=true");
        let put = request("PUT", &target, &[AUTHORIZATION], &bomb);
        let _ = attacker.connect().write(&put);
    }
}

/// Calls a function that takes its time, on more connections than the node has, and stays.
pub fn slot_storm(attacker: &mut Attacker) {
    let call = request("POST", "/function/sleepless", &[], br#"{"ms":20}"#);
    for _ in 0..CLIENTS {
        let _ = attacker.connect().write(&call);
    }
}

/// Many requests at once, on connections that end before the answers are read.
pub fn pipelines(attacker: &mut Attacker) {
    let asks = request("GET", "/metrics", &[], b"").repeat(100);
    for _ in 0..CLIENTS {
        let _ = attacker.connect().write(&asks);
    }
    attacker.streams.clear();
}
