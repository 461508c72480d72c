//! Bundles, whole and broken.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use proptest::prelude::*;

use super::cpio::{Entry, entries};
use super::*;
use crate::dispatch::{Completion, Invocation};
use crate::registry::Share;
use crate::settings::{Loader, Source};
use crate::state::Policy;
use crate::state::records::Records;
use limits::BUNDLE_ENTRIES_MAX;

const FILE: u32 = 0o100_644;
const FOLDER: u32 = 0o040_755;

fn entry(path: &[u8], mode: u32, content: &[u8]) -> Vec<u8> {
    let fields = [1, mode, 0, 0, 1, 0, content.len() as u32, 0, 0, 0, 0, path.len() as u32 + 1, 0];
    let mut bytes = b"070701".to_vec();
    fields.iter().for_each(|field| bytes.extend(format!("{field:08X}").as_bytes()));
    bytes.extend([path, &[0]].concat());
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let file = |(path, content): &(&str, &[u8])| entry(path.as_bytes(), FILE, content);
    let mut bytes: Vec<u8> = files.iter().flat_map(file).collect();
    bytes.extend(entry(b"TRAILER!!!", 0, b""));
    bytes
}

fn problems(archive: &[u8]) -> Vec<String> {
    Bundle::read(archive).problems.iter().map(ToString::to_string).collect()
}

/// Runs nothing.
fn nobody(invocation: Invocation) -> Completion {
    Completion::without_core(invocation, None)
}

fn node(words: &str) -> Node {
    memory::install_for_test();
    let mut loader = Loader::default();
    loader.words(Source::CommandLine, words);
    let policy = Policy::new(&loader.finish().settings.access, 256);
    Node::new(policy, Share::UNBOUNDED, Records::new(1, 1).expect("frames are left"))
}

#[test]
fn a_bundle_is_read() {
    let image = crate::api::tests::image();
    let mut bytes = entry(b".", FOLDER, b"");
    bytes.extend(entry(b"actions", FOLDER, b""));
    bytes.extend(archive(&[
        ("./config", b"hostkernel.auth=a:b\n"),
        ("actions/guest/hello.elf", &image),
        ("actions/guest/hello.json", br#"{"limits":{"memory":7},"annotations":[]}"#),
        ("./actions/other/plain", &image),
    ]));
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    let bundle = Bundle::read(&bytes);
    assert!(bundle.is_whole(), "{:?}", problems(&bytes));
    assert_eq!(bundle.config, Some(&b"hostkernel.auth=a:b\n"[..]));
    let mut node = node("hostkernel.namespace=other,key=a:b");
    let refused = |problem: Problem<'_>| panic!("{problem}");
    let mut boot = Boot { wall_ms: 5, run: &mut nobody };
    let deployed = bundle.deploy(&mut node, &mut boot, refused);
    assert_eq!(deployed, Deployed { runtimes: 0, actions: 2 });
    let get = |namespace, name| {
        let namespace = node.policy.tenants.namespace(namespace).expect("it is configured");
        node.registry.get(&namespace, name).cloned()
    };
    let hello = get("guest", "hello").expect("it was deployed");
    assert_eq!((hello.limits.memory_mb, hello.updated_ms), (7, 5));
    assert!(get("other", "plain").is_some() && get("guest", "plain").is_none());
}

#[test]
fn what_does_not_belong_is_named_and_the_rest_is_kept() {
    let mut bytes = entry(b"config", 0o120_777, b"elsewhere");
    bytes.extend(archive(&[
        ("readme", b""),
        ("actions/lonely", b""),
        ("actions/a/b/c", b""),
        ("actions/guest/x.json", b"{}"),
        ("config", b"1"),
        ("config", b"2"),
        ("actions/guest/y", b"1"),
        ("actions/guest/y.elf", b"2"),
    ]));
    let found = problems(&bytes);
    for (path, reason) in [
        ("config", "a bundle holds"),
        ("readme", "a bundle holds"),
        ("actions/lonely", "a bundle holds"),
        ("actions/a/b/c", "a bundle holds"),
        ("config", "twice"),
        ("actions/guest/y.elf", "twice"),
        ("actions/guest/x.json", "no image"),
    ] {
        let expected = format!("boot bundle: {path} refused: ");
        let is_it = |text: &&String| text.starts_with(&expected) && text.contains(reason);
        assert_eq!(found.iter().filter(is_it).count(), 1, "{path} in {found:?}");
    }
    assert_eq!(found.len(), 7);
    assert_eq!(Bundle::read(&bytes).config, Some(&b"1"[..]));
}

#[test]
fn a_refused_action_does_not_keep_others_out() {
    let image = crate::api::tests::image();
    let bytes = archive(&[
        ("actions/guest/text", b"#!/bin/sh"),
        ("actions/guest/ wrong", &image),
        ("actions/nobody/x", &image),
        ("actions/guest/greedy", &image),
        ("actions/guest/greedy.json", br#"{"limits":{"memory":257}}"#),
        ("actions/guest/double", &image),
        ("actions/guest/double.json", br#"{"exec":{"kind":"native:1","code":"QQ=="}}"#),
        ("actions/guest/garbled", &image),
        ("actions/guest/garbled.json", b"{"),
        ("actions/guest/good", &image),
    ]);
    let bundle = Bundle::read(&bytes);
    assert!(bundle.is_whole(), "the configuration is not in doubt");
    let mut texts = Vec::new();
    let refused = |problem: Problem<'_>| texts.push(problem.to_string());
    let mut boot = Boot { wall_ms: 0, run: &mut nobody };
    assert_eq!(bundle.deploy(&mut node(""), &mut boot, refused).actions, 1);
    for (name, reason) in [
        ("guest/text", "not an ELF"),
        ("guest/ wrong", "illegal characters"),
        ("nobody/x", "no such namespace"),
        ("guest/greedy", "exceeds the 256 MB"),
        ("guest/double", "in the file"),
        ("guest/garbled", "malformed"),
    ] {
        let is_it = |text: &String| {
            text.starts_with(&format!("boot bundle: actions/{name} refused"))
                && text.contains(reason)
        };
        assert!(texts.iter().any(is_it), "{name} in {texts:?}");
    }
}

/// A node that can host programs.
fn host_node() -> Node {
    let mut node = node("");
    node.policy.host = Some(crate::api::tests::runtimes::host());
    node
}

#[test]
fn runtimes_start_before_the_functions_that_need_them() {
    let bytes = archive(&[
        ("actions/guest/f", b"def main(args): return args"),
        ("actions/guest/f.json", br#"{"exec":{"kind":"python:3.11","main":"go"}}"#),
        ("actions/guest/g", b"PK\x03\x04 function"),
        ("actions/guest/g.json", br#"{"exec":{"kind":"python:default"}}"#),
        ("actions/guest/h", b"puts 1"),
        ("actions/guest/h.json", br#"{"exec":{"kind":"ruby:2"}}"#),
        ("runtimes/python:3", b"PK\x03\x04 runtime"),
        ("runtimes/python:3", b"PK\x03\x04 another"),
        ("runtimes/native", b"PK\x03\x04"),
        ("runtimes/perl:5", b"#!/usr/bin/perl"),
        ("runtimes/a/b", b"PK\x03\x04"),
    ]);
    let bundle = Bundle::read(&bytes);
    let found = problems(&bytes).join("\n");
    assert!(found.contains("python:3 refused: it is there twice"), "{found}");
    assert!(found.contains("runtimes/a/b refused: a bundle holds"), "{found}");
    let mut texts = Vec::new();
    let mut refused = |problem: Problem<'_>| texts.push(problem.to_string());
    let mut ran = Vec::new();
    let mut run = |invocation: Invocation| {
        ran.push(String::from_utf8(invocation.environment.clone()).expect("text"));
        let template = crate::api::tests::runtimes::freeze(&invocation);
        Completion::without_core(invocation, Some(template))
    };
    let mut node = host_node();
    let mut boot = Boot { wall_ms: 7, run: &mut run };
    let deployed = bundle.deploy(&mut node, &mut boot, &mut refused);
    assert_eq!(deployed, Deployed { runtimes: 1, actions: 2 }, "{texts:?}");
    for (path, reason) in [
        ("runtimes/native", "The name of a runtime"),
        ("runtimes/perl:5", "zip archive"),
        ("actions/guest/h", "'python:3'"),
    ] {
        let is_it = |text: &String| text.contains(path) && text.contains(reason);
        assert!(texts.iter().any(is_it), "{path} in {texts:?}");
    }
    let stages = ["STAGE=runtime", "STAGE=function", "STAGE=function"];
    assert!(ran.len() == 3 && ran.iter().zip(stages).all(|(it, stage)| it.contains(stage)));
    let guest = node.policy.tenants.namespace("guest").expect("it is always there");
    let f = node.registry.get(&guest, "f").expect("it was deployed");
    assert_eq!((&*f.kind, f.main.as_deref(), f.updated_ms), ("python:3.11", Some("go"), 7));
    let runtime = node.registry.runtimes().get("python:3").expect("it was started");
    assert_eq!(runtime.updated_ms, 7);
}

#[test]
fn a_node_that_cannot_host_says_so_of_a_runtime() {
    let bytes = archive(&[("runtimes/python:3", b"PK\x03\x04 runtime")]);
    let mut texts = Vec::new();
    let refused = |problem: Problem<'_>| texts.push(problem.to_string());
    let mut boot = Boot { wall_ms: 0, run: &mut nobody };
    let deployed = Bundle::read(&bytes).deploy(&mut node(""), &mut boot, refused);
    assert_eq!((deployed, texts.len()), (Deployed::default(), 1));
    assert!(texts[0].contains("no image that hosts"), "{texts:?}");
}

#[test]
fn every_truncation_is_seen() {
    let bytes = archive(&[("config", b"a=b"), ("actions/guest/x", b"image")]);
    for len in 0..bytes.len() {
        assert!(!Bundle::read(&bytes[..len]).is_whole(), "{len}");
    }
    assert!(Bundle::read(&bytes).is_whole());
}

#[test]
fn what_is_no_archive_is_said_to_be_none() {
    let good = archive(&[("config", b"a=b")]);
    let with = |at: usize, bytes: &[u8]| {
        let mut bad = good.clone();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        problems(&bad).concat()
    };
    for (text, expected) in [
        (problems(b"\x1f\x8b\x08 compressed").concat(), "not a cpio archive"),
        (problems(b"070707 old").concat(), "not a cpio archive"),
        (with(54, b"G"), "not a cpio archive"),
        (with(54, b"FFFFFFFF"), "truncated"),
        (with(94, b"FFFFFFFF"), "a path"),
        (with(94, b"00000000"), "a path"),
        (with(94, b"00000002"), "a path"),
        (with(110, b"\xff"), "a path"),
        (problems(&[good.clone(), b"x".to_vec()].concat()).concat(), "follows the archive"),
    ] {
        assert!(text.contains(expected), "{expected:?}: {text:?}");
    }
    let folders = |count| [entry(b"f", FOLDER, b"").repeat(count), archive(&[])].concat();
    assert_eq!(problems(&folders(BUNDLE_ENTRIES_MAX - 1)), [""; 0]);
    assert!(problems(&folders(BUNDLE_ENTRIES_MAX)).concat().contains("more than 4096"));
    assert!(Bundle::too_long().problems[0].to_string().contains("too long"));
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        files in proptest::collection::vec(
            ("[a-z/]{1,30}", proptest::collection::vec(any::<u8>(), 0..50)),
            0..8,
        ),
    ) {
        let list: Vec<(&str, &[u8])> =
            files.iter().map(|(path, content)| (path.as_str(), &content[..])).collect();
        let bytes = archive(&list);
        let read: Vec<Entry<'_>> = entries(&bytes).map(|entry| entry.expect("good")).collect();
        let expected: Vec<Entry<'_>> = list
            .iter()
            .map(|(path, content)| Entry { path, kind: EntryKind::File, content })
            .collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn any_bytes_are_read(
        content in proptest::collection::vec(any::<u8>(), 0..60),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = archive(&[("config", &content), ("actions/guest/x", &content)]);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let bundle = Bundle::read(&bytes);
        prop_assert!(bundle.config.is_none_or(|config| config.len() <= bytes.len()));
    }
}
