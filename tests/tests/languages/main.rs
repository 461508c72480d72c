//! Functions in source code on a node: OpenWhisk's contract point by point, what cannot be loaded,
//! what a call may do to itself, and that the next one finds nothing of it.

mod archives;
mod attacks;
mod boot;
mod javascript;
mod mixed;
mod nodejs;
mod npm;
mod python;
mod samples;
mod servers;

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use hk::Client;
use serde_json::{Value, json};
use system_tests::openwhisk::{ask, deploy_json, deploy_raw, error};
use system_tests::{SharedNode, TestNode, boot, machine};
use xtask::runtime::Language;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A node with one runtime.
fn node_with(language: Language) -> TestNode {
    let node = boot(machine().memory_mib(1024));
    install(&node.client().clone().with_timeout(RUNTIME_TIMEOUT), language);
    node
}

/// Gives a node a runtime, which is built if need be.
fn install(client: &Client, language: Language) {
    let archive = fs::read(archive_of(language)).expect("it was built");
    let installed = client.install_runtime(&language.kind(), &archive);
    installed.unwrap_or_else(|error| panic!("{}: {error}", language.kind()));
}

/// The archive of a runtime, which is built if need be.
fn archive_of(language: Language) -> PathBuf {
    language.ready(|doing| println!("{doing}")).unwrap_or_else(|error| panic!("{error}"))
}

/// How long an interpreter may take to start, emulated, on a busy computer.
const RUNTIME_TIMEOUT: Duration = Duration::from_secs(330);
/// Limits that functions are deployed with.
const LIMITS: &str = "memory=64&timeout=60000&overwrite=true";

/// Functions of one kind.
#[derive(Clone, Copy)]
struct Functions {
    kind: &'static str,
    /// A node that takes them.
    node: &'static SharedNode,
}

impl Functions {
    fn node(self) -> impl std::ops::Deref<Target = TestNode> {
        self.node.get()
    }

    /// Deploys source text, or whatever the bytes are.
    #[track_caller]
    fn deploy(self, name: &str, code: &[u8]) {
        self.deploy_main(name, code, None);
    }

    #[track_caller]
    fn deploy_main(self, name: &str, code: &[u8], main: Option<&str>) {
        let main = main.map(|main| format!("&main={main}")).unwrap_or_default();
        let target = format!("{name}?{LIMITS}&kind={}{main}", self.kind);
        let answer = deploy_raw(&self.node(), &target, code);
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    }

    /// Why code is not deployed.
    #[track_caller]
    fn refused(self, name: &str, code: &[u8]) -> String {
        let target = format!("{name}?{LIMITS}&kind={}", self.kind);
        let answer = deploy_raw(&self.node(), &target, code);
        let text = error(&answer);
        assert_eq!(answer.status, 400, "{name}: {text}");
        text
    }

    /// Deploys source text and calls it once.
    #[track_caller]
    fn run(self, source: &str, input: &Value) -> Outcome {
        self.deploy("once", source.as_bytes());
        self.call("once", input)
    }

    /// What a document with source text is answered, as `wsk` sends it.
    #[track_caller]
    fn document(self, name: &str, code: &str) -> Value {
        let document = json!({ "exec": { "kind": self.kind, "code": code },
            "limits": { "memory": 64, "timeout": 60_000 } });
        let answer = deploy_json(&self.node(), &format!("{name}?overwrite=true"), &document);
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        answer.json()
    }

    /// The node lists a kind, and refuses others with the list.
    #[track_caller]
    fn are_listed(self, family: &str, kind: &str) {
        let node = self.node();
        let kinds = ask(&node, "GET", "/", b"").json()["runtimes"].clone();
        assert_eq!(kinds[family][0]["kind"], kind);
        let text = error(&deploy_raw(&node, "f?kind=cobol:85", b"x"));
        assert!(text.contains("'cobol:85'") && text.contains(&format!("'{kind}'")), "{text}");
        let runtimes = ask(&node, "GET", "/api/v1/runtimes", b"").json();
        assert_eq!(runtimes[0]["name"], kind, "{runtimes}");
    }

    /// The record of a call.
    #[track_caller]
    fn call(self, name: &str, input: &Value) -> Outcome {
        let record = self.node().activation(name, input);
        let logs = record["logs"].as_array().expect("a list");
        let text = |line: &Value| line.as_str().expect("a line").to_owned();
        Outcome {
            status: record["response"]["status"].as_str().expect("a status").to_owned(),
            result: record["response"]["result"].clone(),
            logs: logs.iter().map(text).collect(),
        }
    }
}

/// What came of a call.
#[derive(Debug)]
struct Outcome {
    status: String,
    result: Value,
    logs: Vec<String>,
}

impl Outcome {
    #[track_caller]
    fn succeeded(&self, result: &Value) {
        assert_eq!((self.status.as_str(), &self.result), ("success", result), "{self:?}");
    }

    /// It reported an error, whose text has this part.
    #[track_caller]
    fn failed(&self, status: &str, part: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let text = self.result["error"].as_str().expect("a text");
        assert!(text.contains(part), "{self:?}");
    }

    #[track_caller]
    fn logged(&self, part: &str) {
        assert!(self.logs.iter().any(|line| line.contains(part)), "{part} in {self:?}");
    }
}

const APPLICATION_ERROR: &str = "application error";
const DEVELOPER_ERROR: &str = "action developer error";

/// An archive with these files.
fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        zip.start_file(*name, SimpleFileOptions::default()).expect("a good name");
        zip.write_all(text.as_bytes()).expect("memory has room");
    }
    zip.finish().expect("a whole archive").into_inner()
}
