//! A fault is shown as function and line of the author's source: by `hk`, for actions in Rust and
//! C and for Linux programs, from what was deployed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use system_tests::{SharedNode, TestNode, boot, clients, machine};
use xtask::{build, workspace};

static NODE: SharedNode = SharedNode::new(|| boot(machine()));

/// An empty folder.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("faulty-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the folder can be made");
    folder
}

/// All that `hk` says, on a computer where this folder is the user's cache.
fn hk(node: &TestNode, cache: &Path, words: &[&str]) -> String {
    let output = Command::new(build::client().expect("hk builds"))
        .args(words)
        .env("HK_URL", node.base_url())
        .env("XDG_CACHE_HOME", cache)
        .env("XDG_CONFIG_HOME", cache)
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("crates"))
        .env_remove("HK_KEY")
        .output()
        .expect("hk starts");
    [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
}

/// The line of a source that has this mark.
fn line_of(source: &str, mark: &str) -> usize {
    1 + source.lines().position(|line| line.contains(mark)).expect("the mark is there")
}

#[track_caller]
fn says(text: &str, part: &str) {
    assert!(text.contains(part), "{part:?} is not in:\n{text}");
}

const RUST: &str = r#"#![cfg_attr(not(test), no_std, no_main)]

use action_abi::prelude::*;

#[inline(never)]
fn look(address: usize) -> u8 {
    // SAFETY: it is not: the kernel ends the invocation.
    unsafe { (address as *const u8).read_volatile() } // here
}

#[inline(never)]
fn spin() -> ! {
    loop { core::hint::spin_loop() } // round
}

fn faulty(input: Value) -> Value {
    if input["spins"] == true {
        spin();
    }
    json!({ "byte": look(input["address"].as_u64().unwrap_or_default() as usize) })
}

action_abi::action!(faulty);
"#;

#[test]
fn a_fault_in_rust_is_shown_as_function_and_line() {
    let node = NODE.get();
    let (parent, cache) = (folder("rust"), folder("rust-cache"));
    let made = Command::new(workspace::target().join("debug/xtask"))
        .args(["new", "faulty"])
        .current_dir(&parent)
        .env("CARGO_MANIFEST_DIR", workspace::root().join("xtask"))
        .output()
        .expect("xtask is built");
    assert!(made.status.success(), "{made:?}");
    let source = parent.join("faulty");
    fs::write(source.join("src/main.rs"), RUST).expect("it can be written");
    let deployed = hk(&node, &cache, &["deploy", &source.to_string_lossy()]);
    says(&deployed, "Deployed faulty");
    // What explains it has stayed here.
    let sent = node.client().code("faulty").expect("the node has it").len();
    assert!(sent < 100_000, "{sent} bytes");

    let place = format!("in faulty::look at src/main.rs:{}", line_of(RUST, "// here"));
    let invoked = hk(&node, &cache, &["invoke", "faulty"]);
    says(&invoked, "page fault reading 0x0 at 0x");
    says(&invoked, &place);
    says(&hk(&node, &cache, &["logs", "faulty"]), &place);
    says(&hk(&node, &cache, &["activations", "faulty"]), &place);
    let id = node.client().activations(&hk::Selection::default()).expect("a list")[0].id.clone();
    let shown = hk(&node, &cache, &["activation", "get", &id]);
    says(&shown, &place);
    says(&shown, "\nplace   ");
    // So is where it was when its time was up.
    let words = ["deploy", &source.to_string_lossy(), "--timeout", "100"];
    says(&hk(&node, &cache, &words), "Deployed faulty");
    let late = hk(&node, &cache, &["invoke", "faulty", r#"{"spins":true}"#]);
    says(&late, "deadline of 100 ms exceeded at 0x");
    says(&late, &format!("in faulty::spin at src/main.rs:{}", line_of(RUST, "// round")));
    // On another computer nobody knows, and nothing is made up.
    let elsewhere = hk(&node, &folder("elsewhere"), &["logs", "faulty"]);
    says(&elsewhere, "ended with: page fault reading 0x0 at 0x");
    assert!(!elsewhere.contains("faulty::look"), "{elsewhere}");
    let _ = fs::remove_dir_all(parent);
}

const C: &str = r#"#define ACTION_IMPLEMENTATION
#include "action.h"

__attribute__((noinline)) static int divide(int by) {
    return 84 / by; /* here */
}

int action_main(void) {
    return divide((int)action_input_len() - 2);
}
"#;

#[test]
fn a_fault_in_c_is_shown_as_function_and_line() {
    clients::ensure(&[("cc", "gcc")]);
    let node = NODE.get();
    let (source, cache) = (folder("c"), folder("c-cache"));
    fs::write(source.join("halve.c"), C).expect("it can be written");
    let mut compiler = Command::new("cc");
    compiler
        .args(["-g", "-Os", "-ffreestanding", "-fno-stack-protector", "-fno-pie", "-nostdlib"])
        .args(["-fno-asynchronous-unwind-tables", "-static", "-no-pie"])
        .arg("-Wl,--build-id=none,-z,noexecstack,-z,norelro,-z,separate-code")
        .arg("-I")
        .arg(workspace::root().join("action-abi/include"))
        .args(["halve.c", "-o", "halve"])
        .current_dir(&source);
    assert!(compiler.status().expect("a C compiler").success());
    let file = source.join("halve");
    says(&hk(&node, &cache, &["deploy", &file.to_string_lossy()]), "Deployed halve");
    let place = format!("in divide at halve.c:{}", line_of(C, "/* here */"));
    let invoked = hk(&node, &cache, &["invoke", "halve"]);
    says(&invoked, "divide error (#DE) at 0x");
    says(&invoked, &place);
    // The file was sent as it is, so that everybody can be told.
    fs::remove_file(file).expect("it is ours");
    let elsewhere = folder("c-elsewhere");
    for _ in ["asked for", "kept"] {
        says(&hk(&node, &elsewhere, &["logs", "halve"]), &place);
    }
}

const LINUX: &str = r#"#include <stdio.h>

__attribute__((noinline)) static int look(const int *at) {
    return *(volatile const int *)at; /* here */
}

int main(void) {
    return look((const int *)0);
}
"#;

#[test]
fn a_fault_in_a_linux_program_is_shown_as_function_and_line() {
    clients::ensure(&[("musl-gcc", "musl-tools"), ("c++", "g++")]);
    let node = NODE.get();
    let source = folder("linux");
    fs::write(source.join("crash.c"), LINUX).expect("it can be written");
    fs::write(source.join("crash.cpp"), LINUX).expect("it can be written");
    // Loaded where it says, and anywhere; and with a name that C++ has made of it.
    for (name, compiler, shape, file, function) in [
        ("fixed", "musl-gcc", "-static", "crash.c", "look"),
        ("moved", "gcc", "-static-pie", "crash.c", "look"),
        ("plus", "c++", "-static", "crash.cpp", "look(int const*)"),
    ] {
        let place = format!("in {function} at {file}:{}", line_of(LINUX, "/* here */"));
        let mut compiler = Command::new(compiler);
        compiler.args(["-g", "-O1", shape, file, "-o", name]).current_dir(&source);
        assert!(compiler.status().expect("a C compiler").success());
        let (cache, file) = (folder(&format!("linux-{name}")), source.join(name));
        says(&hk(&node, &cache, &["deploy", &file.to_string_lossy()]), "Deployed");
        let invoked = hk(&node, &cache, &["invoke", name]);
        says(&invoked, "killed by SIGSEGV at 0x0 (null pointer), in ");
        says(&invoked, &place);
    }
}
