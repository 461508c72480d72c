//! Layers as packers write them, and as nobody should.

extern crate std;

use std::io::{Cursor, Read as _};
use std::vec;

use alloc::format;
use proptest::prelude::*;
use zip::ZipArchive;

use super::*;
use crate::image::zip::extract;
use limits::PAGE_LEN;

/// An entry of a tar archive: kind, path, target of a link, data.
fn entry(kind: u8, path: &str, target: &str, data: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..path.len()].copy_from_slice(path.as_bytes());
    block[100..107].copy_from_slice(b"0000755");
    block[124..135].copy_from_slice(format!("{:011o}", data.len()).as_bytes());
    block[148..156].fill(b' ');
    block[156] = kind;
    block[157..157 + target.len()].copy_from_slice(target.as_bytes());
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block.extend_from_slice(data);
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

fn file(path: &str, data: &[u8]) -> Vec<u8> {
    entry(b'0', path, "", data)
}

fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    [entries.concat(), vec![0; 1024]].concat()
}

/// Data in gzip, in stored blocks, with a name in the header.
fn gzip(data: &[u8]) -> Vec<u8> {
    let mut out = b"\x1f\x8b\x08\x08\0\0\0\0\0\x03name\0".to_vec();
    let mut pieces = data.chunks(60_000).peekable();
    while let Some(piece) = pieces.next() {
        out.push(u8::from(pieces.peek().is_none()));
        let len = piece.len() as u16;
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&(!len).to_le_bytes());
        out.extend_from_slice(piece);
    }
    out.extend_from_slice(&[0; 8]);
    out
}

fn process(arguments: &[&str]) -> Process {
    let arguments = arguments.iter().map(|argument| String::from(*argument)).collect();
    Process { arguments, ..Process::default() }
}

/// What comes of layers, some bytes at a time.
fn pack(layers: &[Vec<u8>], process: Process) -> Result<Vec<u8>, LayerReject> {
    memory::install_for_test();
    let buffer = |bytes: &Vec<u8>| PageBuffer::from_bytes(bytes).expect("frames are left");
    let mut packer = Packer::new(layers.iter().map(buffer).collect(), process);
    loop {
        if let Some(code) = packer.step(&mut Slice::new(100))? {
            return Ok(code.to_vec().expect("there is memory"));
        }
    }
}

/// The files of an archive that is as others read it: names, modes and data.
fn files(archive: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
    let mut archive = ZipArchive::new(Cursor::new(archive)).expect("an archive");
    (0..archive.len())
        .map(|at| {
            let mut file = archive.by_index(at).expect("an entry");
            let mut data = Vec::new();
            file.read_to_end(&mut data).expect("its checksum is right");
            (file.name().expect("a name").into(), file.unix_mode().expect("from Unix"), data)
        })
        .collect()
}

fn data(files: &[(String, u32, Vec<u8>)], name: &str) -> Option<String> {
    let found = files.iter().find(|(found, ..)| found == name)?;
    Some(String::from_utf8(found.2.clone()).expect("text"))
}

#[test]
fn a_program_that_is_all_there_is_stays_as_it_is() {
    let program = vec![7; 10_000];
    let layer = tar(&[entry(b'5', "./", "", b""), file("./hello", &program)]);
    for layer in [gzip(&layer), layer] {
        let mut wanted = process(&["/hello"]);
        wanted.environment = vec!["PATH=/bin".into()];
        assert_eq!(pack(&[layer], wanted), Ok(program.clone()));
    }
}

#[test]
fn a_tree_becomes_an_archive_that_says_how_it_is_started() {
    let long = "x".repeat(PAGE_LEN + 1);
    let layer = tar(&[
        entry(b'5', "app/", "", b""),
        file("app/data", long.as_bytes()),
        file("app/run", b"#!/bin/sh"),
        entry(b'2', "app/link", "run", b""),
        entry(b'1', "app/other", "app/run", b""),
        entry(b'3', "app/device", "", b""),
        file("dev/null", b"x"),
        file("proc/x", b"x"),
    ]);
    let mut wanted = process(&["link", "-v", "two words"]);
    wanted.environment = vec!["A=b".into(), "PATH=/nowhere:/app".into()];
    wanted.directory = "/app".into();
    let archive = pack(&[gzip(&layer)], wanted).expect("an image");
    let found = files(&archive);
    let names: Vec<&str> = found.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "app/",
            "app/data",
            "app/link",
            "app/other",
            "app/run",
            "exec",
            ".process/cmdline",
            ".process/environ",
            ".process/cwd"
        ]
    );
    let is = |name: &str, text: &str| assert_eq!(data(&found, name).as_deref(), Some(text));
    is("app/data", &long);
    is("app/link", "run");
    is("app/other", "/app/run");
    is("exec", "app/run");
    is(".process/cmdline", "link\0-v\0two words\0");
    is(".process/environ", "A=b\0PATH=/nowhere:/app\0");
    is(".process/cwd", "/app");
    assert_eq!(found[1].1, 0o100_755);
    assert_eq!(found[2].1 & 0o170_000, 0o120_000);
    // What is mapped lies at a page, and the node finds the program.
    let at = archive.windows(10).position(|window| *window == [b'x'; 10]).expect("it is stored");
    assert!(at.is_multiple_of(PAGE_LEN), "{at}");
    let program = extract(&PageBuffer::from_bytes(&archive).expect("frames are left"));
    assert_eq!(program.expect("it is there").to_vec().expect("memory"), b"#!/bin/sh");
}

#[test]
fn later_layers_replace_and_take_away() {
    let layers = [
        tar(&[
            file("a", b"old"),
            file("gone", b"x"),
            file("d/old", b"x"),
            file("e/x", b"x"),
            file("f/x", b"x"),
            file("kept", b"first"),
        ]),
        tar(&[
            file("a", b"new"),
            file(".wh.gone", b""),
            file("d/.wh..wh..opq", b""),
            file("d/new", b"y"),
            entry(b'2', "e", "d", b""),
            file("f", b"now a file"),
        ]),
    ];
    let found = files(&pack(&layers, process(&["/a", "b"])).expect("an image"));
    let names: Vec<&str> = found.iter().map(|(name, ..)| name.as_str()).collect();
    let tree = ["a", "d/", "d/new", "e", "f", "kept"];
    assert_eq!(&names[..tree.len()], &tree);
    assert_eq!(data(&found, "a").as_deref(), Some("new"));
    assert_eq!(data(&found, "f").as_deref(), Some("now a file"));
}

#[test]
fn long_names_come_in_front() {
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(90));
    let pair = format!("path={long}\n");
    let record = format!("{} {pair}", pair.len() + 4);
    assert_eq!(record.len(), pair.len() + 4);
    for front in [
        vec![entry(b'x', "pax", "", record.as_bytes())],
        vec![entry(b'g', "all", "", b"9 a=bcdef"), entry(b'L', "x", "", long.as_bytes())],
    ] {
        let layer = tar(&[front.concat(), file("short", b"x"), file("next", b"y")]);
        let found = files(&pack(&[layer], process(&["/next", "z"])).expect("an image"));
        assert_eq!(data(&found, &long).as_deref(), Some("x"));
        assert_eq!(data(&found, "next").as_deref(), Some("y"));
    }
}

/// A file whose name stands in front of it.
fn paxed(path: &str) -> Vec<u8> {
    [entry(b'L', "x", "", path.as_bytes()), file("short", b"x")].concat()
}

#[test]
fn a_step_takes_no_longer_whatever_a_layer_is() {
    memory::install_for_test();
    // Much that is passed over behind the data.
    let mut layer = gzip(&tar(&[file("a", b"x")]));
    layer.resize(1 << 20, 0);
    let layer = PageBuffer::from_bytes(&layer).expect("frames are left");
    let mut packer = Packer::new(vec![layer], process(&["/a"]));
    let mut steps = 0;
    while packer.step(&mut Slice::new(4096)).expect("it is an image").is_none() {
        steps += 1;
    }
    assert!(steps > 200, "{steps}");
}

#[test]
fn what_cannot_be_run_is_named() {
    let refused = |layer: Vec<u8>, arguments: &[&str]| {
        pack(&[layer], process(arguments)).expect_err("it cannot be run")
    };
    let good = || tar(&[file("a", b"x"), entry(b'2', "l", "l", b""), entry(b'5', "d", "", b"")]);
    assert_eq!(refused(good(), &[]), LayerReject::NoEntrypoint);
    for absent in ["/b", "b", "/d", "/l", "./b", "/d/../b"] {
        assert_eq!(refused(good(), &[absent]), LayerReject::Entrypoint(absent.into()));
    }
    assert!(pack(&[good()], process(&["/d/../a"])).is_ok());
    let two = tar(&[file("a", b"x"), file("exec", b"y")]);
    assert_eq!(refused(two.clone(), &["/a"]), LayerReject::TwoExecutables);
    assert!(pack(&[two], process(&["/exec"])).is_ok());
    assert_eq!(refused(tar(&[file("../a", b"x")]), &["/a"]), LayerReject::Outside);
    assert_eq!(refused(b"junk".repeat(200), &["/a"]), LayerReject::Tar);
    assert_eq!(refused(good()[..700].into(), &["/a"]), LayerReject::Tar);
    assert_eq!(refused(b"\x1f\x8b\x08\0junk".repeat(9), &["/a"]), LayerReject::Compression);
    let packed = gzip(&good());
    assert_eq!(refused(packed[..packed.len() - 600].into(), &["/a"]), LayerReject::Compression);
    let long = "n".repeat(limits::IMAGE_PATH_LEN_MAX + 1);
    let named = tar(&[entry(b'L', "x", "", long.as_bytes()), file("a", b"x")]);
    assert_eq!(refused(named, &["/a"]), LayerReject::Path);
    let deep = "d/".repeat(limits::IMAGE_DEPTH_MAX) + "a";
    assert_eq!(refused(tar(&[file("a", b"x"), paxed(&deep)]), &["/a"]), LayerReject::Path);
    let many: Vec<_> = (0..=IMAGE_ENTRIES_MAX).map(|at| file(&format!("{at}"), b"")).collect();
    assert_eq!(refused(tar(&many), &["/1"]), LayerReject::TooManyEntries);
    let mut huge = file("a", b"");
    huge[124..135].copy_from_slice(b"00777777777");
    huge[148..156].fill(b' ');
    let sum: u32 = huge.iter().map(|byte| u32::from(*byte)).sum();
    huge[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    assert_eq!(refused(huge, &["/a"]), LayerReject::TooLong);
}

proptest! {
    #[test]
    fn no_bytes_panic(at in any::<prop::sample::Index>(), byte: u8, packed: bool) {
        let mut layer = tar(&[
            file("a", b"x"),
            entry(b'2', "l", "a", b""),
            entry(b'x', "p", "", b"11 path=bc\n"),
            file("b", &[3; 600]),
        ]);
        let at = at.index(layer.len());
        layer[at] = byte;
        let layer = if packed { gzip(&layer) } else { layer };
        let _ = pack(&[layer], process(&["/l", "x"]));
    }
}
