//! Answers that leave while their function still writes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::TestNode;
use crate::openwhisk::ask;

/// Against hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the record is asked for, and how long is waited between.
const TRIES: usize = 100;
const BETWEEN: Duration = Duration::from_millis(100);

/// Asks a function for events without end, `data: 1` first, reads some, and leaves. Waits for the
/// record that says so.
///
/// # Panics
/// If that is not what happens.
#[track_caller]
pub fn read_some_and_leave(node: &TestNode, name: &str, target: &str) {
    let mut stream = TcpStream::connect(node.address()).expect("the node accepts connections");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time that is not 0");
    let request = format!("GET /function/{name}{target} HTTP/1.1\r\nHost: node\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the node takes the request");
    let mut read = Vec::new();
    let mut room = [0; 4096];
    while !String::from_utf8_lossy(&read).contains("data: 3\n") {
        let len = stream.read(&mut room).expect("events come");
        assert!(len > 0, "{name}: it ended: {}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&room[..len]);
    }
    let text = String::from_utf8_lossy(&read).to_lowercase();
    assert!(text.starts_with("http/1.1 200 ok\r\n"), "{name}: {text}");
    assert!(text.contains("\r\ncontent-type: text/event-stream"), "{name}: {text}");
    assert!(text.contains("\r\ntransfer-encoding: chunked\r\n"), "{name}: {text}");
    assert!(text.contains("data: 1\n") && text.contains("data: 2\n"), "{name}: {text}");
    drop(stream);
    let records = format!("/api/v1/namespaces/_/activations?name={name}&limit=1&docs=true");
    let mut last = String::new();
    for _ in 0..TRIES {
        last = ask(node, "GET", &records, b"").text().to_string();
        if last.contains("the client left before the end") {
            return;
        }
        thread::sleep(BETWEEN);
    }
    panic!("{name}: {last}");
}
