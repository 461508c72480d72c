//! Nodes that have runtimes and functions from the start: in a boot bundle, and in an image.

use std::path::Path;

use system_tests::{Drive, Firmware, Machine, PowerOff};
use xtask::bundle::{self, Contents};

use super::*;

const COUNT: &str = "let calls = 0; exports.main = ({ name }) => ({ name, calls: ++calls })";

/// A runtime, two functions for it, one that cannot be loaded, and one for a runtime that is not
/// there.
fn contents() -> Contents {
    let language = Language::JavaScript;
    let mut contents = Contents::default();
    contents.runtimes.push((language.kind(), fs::read(archive_of(language)).expect("it is built")));
    let packed = archive(&[("index.js", COUNT)]);
    for (name, code) in [
        ("source", COUNT.as_bytes()),
        ("packed", &packed),
        ("broken", b"function main( {"),
        ("snake", b"def main(args): return args"),
    ] {
        let path = format!("guest/{name}");
        let kind = if name == "snake" { "python:3" } else { "javascript:default" };
        contents.name_kind(&path, kind).expect("there is no document yet");
        contents.actions.push((path, code.to_vec()));
    }
    contents
}

fn write(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, content).expect("it can be written");
    file
}

/// What is in it answers at once, and what is not to be had is named.
fn serves(node: &TestNode) {
    for name in ["source", "packed"] {
        for _ in 0..2 {
            let done = node.activation(name, &json!({"name": "you"}));
            let result = &done["response"]["result"];
            assert_eq!(*result, json!({"name": "you", "calls": 1}), "{done}");
        }
    }
    let log = node.serial();
    for part in [
        "runtime: javascript waits for code",
        "deployed: 2 actions that came with the boot",
        "actions/guest/broken refused: The code could not be prepared: SyntaxError",
        "actions/guest/snake refused",
        "'javascript'",
    ] {
        assert!(log.contains(part), "{part} in {log}");
    }
    // Later ones find it, too.
    let answer = deploy_raw(node, "later?kind=javascript", COUNT.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn a_node_boots_with_a_runtime_and_its_functions() {
    let contents = contents();
    let archive = contents.archive().expect("it is short");
    let findings = bundle::check(&archive);
    assert!(findings.errors.len() == 1 && findings.errors[0].contains("snake"), "{findings:?}");
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let file = write(folder.path(), "bundle.cpio", &archive);
    for (cores, memory_mib) in [(1, 256), (2, 512)] {
        serves(&boot(machine().cores(cores).memory_mib(memory_mib).bundle(&file)));
    }
    let image = xtask::image::of_workspace("hostkernel.drain_s=1", &archive);
    let image = write(folder.path(), "node.img", &image.unwrap_or_else(|error| panic!("{error}")));
    for firmware in [Firmware::Bios, Firmware::Uefi] {
        let node = boot(Machine::with_image(&image, Drive::Virtio, firmware).memory_mib(512));
        serves(&node);
        assert_eq!(node.power_off(), PowerOff::Clean, "{}", node.report());
    }
}

#[test]
fn a_large_runtime_boots_as_well() {
    let mut contents = Contents::default();
    let python = fs::read(archive_of(Language::Python)).expect("it is built");
    contents.runtimes.push(("python:3".to_owned(), python));
    let code = b"import json, re\ncalls = 0\ndef go(args):\n    global calls\n    calls += 1\n\
                 \x20   return {'calls': calls, 'name': args['name']}\n";
    contents.actions.push(("guest/f".to_owned(), code.to_vec()));
    let document = br#"{"exec":{"kind":"python:3.11","main":"go"},"limits":{"memory":64}}"#;
    contents.actions.push(("guest/f.json".to_owned(), document.to_vec()));
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let archive = contents.archive().expect("it is short");
    let file = write(folder.path(), "bundle.cpio", &archive);
    let node = boot(machine().memory_mib(512).bundle(&file));
    for _ in 0..2 {
        let done = node.activation("f", &json!({"name": "ä"}));
        assert_eq!(done["response"]["result"], json!({"calls": 1, "name": "ä"}), "{done}");
    }
    let described = ask(&node, "GET", "/api/v1/namespaces/_/actions/f", b"").json();
    assert_eq!(described["exec"]["kind"], "python:3.11", "{described}");
}
