//! Tenants beside each other: what one has the node do, another hardly notices.

use std::io::{Cursor, Write as _};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use system_tests::openwhisk::RAW;
use system_tests::{
    ACTIONS, Connection, PowerOff, Response, TestNode, boot, machine, request, sample,
};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const WORDS: &str =
    "hostkernel.namespace=good,key=good:secret hostkernel.namespace=bad,key=bad:secret";
/// As long as code may be.
const CODE_LEN: usize = 48 << 20;
/// Answers to another tenant while so much code is unpacked and hashed. In one go there would be
/// none, or the one that was under way.
const ANSWERS_MIN: usize = 20;

fn key(text: &str) -> String {
    format!("Authorization: Basic {}", STANDARD.encode(text))
}

/// An archive of some kilobytes whose executable is long.
fn bomb(len: usize) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("exec", SimpleFileOptions::default()).expect("a new file");
    writer.write_all(&vec![0; len]).expect("memory is left");
    writer.finish().expect("memory is left").into_inner()
}

fn put(node: &TestNode, key: &str, name: &str, code: &[u8]) -> Response {
    node.request("PUT", &format!("{ACTIONS}/{name}?overwrite=true"), &[key, RAW], code)
}

fn greets(connection: &mut Connection, key: &str) {
    let target = format!("{ACTIONS}/hello?blocking=true&result=true");
    let ask = request("POST", &target, &[key], br#"{"name":"you"}"#);
    connection.send(&ask).expect("an open connection");
    let answer = connection.receive().expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn a_large_deploy_lets_the_calls_of_others_through() {
    let bomb = bomb(CODE_LEN);
    for cores in [1, 2] {
        let node = boot(machine().cores(cores).memory_mib(512).kernel_words(WORDS));
        let (good, bad) = (key("good:secret"), key("bad:secret"));
        assert_eq!(put(&node, &good, "hello", &sample("hello")).status, 200);
        let mut connection = node.connect();
        greets(&mut connection, &good);
        let available = node.metric(r#"hostkernel_memory_bytes{kind="available"}"#);
        let answers = thread::scope(|scope| {
            let deploy = scope.spawn(|| put(&node, &bad, "bomb", &bomb));
            let mut answers = 0;
            while !deploy.is_finished() {
                greets(&mut connection, &good);
                answers += 1;
            }
            let refused = deploy.join().expect("the deploy is answered");
            assert_eq!(refused.status, 400, "{}", refused.text());
            answers
        });
        println!("{cores} cores: {answers} answers during a deploy");
        assert!(answers >= ANSWERS_MIN, "{answers} answers on {cores} cores");
        greets(&mut connection, &good);
        assert_eq!(node.metric(r#"hostkernel_memory_bytes{kind="available"}"#), available);
        drop(connection);
        assert_eq!(node.power_off(), PowerOff::Clean);
    }
}
