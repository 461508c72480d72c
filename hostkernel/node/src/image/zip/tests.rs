//! Archives as tools write them, and as they should not be.

extern crate std;

use std::io::{Cursor, Write as _};
use std::vec;

use ::zip::write::SimpleFileOptions;
use ::zip::{CompressionMethod, ZipWriter};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::directory::HEADER_LEN;
use super::*;
use limits::{CODE_LEN_MAX, ZIP_LINK_LEN_MAX};
use proptest::prelude::*;

fn archive(files: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let options = SimpleFileOptions::default().compression_method(method);
        writer.start_file(*name, options).expect("a new file");
        writer.write_all(bytes).expect("memory is left");
    }
    writer.finish().expect("memory is left").into_inner()
}

fn extracted(archive: &[u8]) -> Result<Vec<u8>, ZipReject> {
    memory::install_for_test();
    let archive = PageBuffer::from_bytes(archive).expect("frames are left");
    Ok(extract(&archive)?.to_vec().expect("memory is left"))
}

/// Bytes that repeat themselves from near and far, and others.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| if at % 3 == 0 { (at / 7) as u8 } else { (at * at >> 9) as u8 }).collect()
}

const METHODS: [CompressionMethod; 2] = [CompressionMethod::Stored, CompressionMethod::Deflated];

#[test]
fn the_executable_comes_out_as_it_went_in() {
    for method in METHODS {
        for len in [0, 1, 4095, 4096, 40_000, 300_000] {
            let file = bytes(len);
            let archive = archive(&[("README", b"text"), ("exec", &file)], method);
            assert_eq!(extracted(&archive).expect("an archive"), file, "{method} {len}");
        }
    }
}

#[test]
fn the_first_of_the_names_counts_wherever_it_is() {
    let of = |names: &[&str]| {
        let files: Vec<_> = names.iter().map(|name| (*name, name.as_bytes())).collect();
        let found = extracted(&archive(&files, CompressionMethod::Stored))?;
        Ok(String::from_utf8(found).expect("a name"))
    };
    assert_eq!(of(&["bootstrap", "exec", "bin/exec"]).as_deref(), Ok("exec"));
    assert_eq!(of(&["bootstrap", "bin/exec", "exec2"]).as_deref(), Ok("bin/exec"));
    assert_eq!(of(&["a", "bootstrap"]).as_deref(), Ok("bootstrap"));
    assert_eq!(of(&["./README", "./bin/exec"]).as_deref(), Ok("./bin/exec"));
    assert_eq!(of(&["./", "./bootstrap", "./exec"]).as_deref(), Ok("./exec"));
    for names in
        [&[][..], &["Exec"], &["exec/x", "src/exec", "exe", "././exec", "/exec", "."], &["exec "]]
    {
        assert_eq!(of(names), Err(ZipReject::NoExecutable), "{names:?}");
    }
}

#[test]
fn links_are_followed_to_a_file_in_the_archive() {
    let of = |links: &[(&str, &str)]| {
        let options = SimpleFileOptions::default();
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.start_file("bin/tool", options).expect("a new file");
        writer.write_all(b"tool").expect("memory is left");
        for (name, target) in links {
            writer.add_symlink(*name, *target, options).expect("a new link");
        }
        extracted(&writer.finish().expect("memory is left").into_inner())
    };
    let chain: Vec<(String, String)> =
        (0..=ZIP_LINKS_MAX).map(|at| (format!("l{at}"), format!("l{}", at + 1))).collect();
    let chained = |len: usize| {
        let mut links = vec![("exec", "l0")];
        links.extend(chain[..len].iter().map(|(name, target)| (&**name, &**target)));
        let last = format!("l{len}");
        links.push((&last, "bin/tool"));
        of(&links)
    };
    for links in [
        &[("exec", "bin/tool")][..],
        &[("exec", "./bin/../bin//tool")],
        &[("bootstrap", "sort"), ("sort", "bin/tool")],
        &[("bin/exec", "tool")],
        &[("bin/exec", "../bin/tool")],
    ] {
        assert_eq!(of(links).as_deref(), Ok(&b"tool"[..]), "{links:?}");
    }
    assert_eq!(chained(ZIP_LINKS_MAX - 2).as_deref(), Ok(&b"tool"[..]));
    assert_eq!(chained(ZIP_LINKS_MAX), Err(ZipReject::Link));
    let long = "./".repeat(ZIP_LINK_LEN_MAX) + "bin/tool";
    for target in ["nothing", "exec", "/bin/tool", "../bin/tool", "", "bin", &long] {
        assert_eq!(of(&[("exec", target)]), Err(ZipReject::Link), "{target}");
    }
}

#[test]
fn a_comment_may_follow_even_one_with_a_directory_in_it() {
    let plain = archive(&[("exec", b"x")], CompressionMethod::Stored);
    for comment in [vec![b'c'; 65_535], [&b"PK\x05\x06"[..], &[0; 18]].concat()] {
        let mut commented = plain.clone();
        let len = commented.len();
        commented[len - 2..].copy_from_slice(&(comment.len() as u16).to_le_bytes());
        commented.extend(comment);
        assert!(matches!(extracted(&commented), Ok(_) | Err(ZipReject::NoExecutable)));
    }
    let mut trailing = plain;
    trailing.push(0);
    assert!(matches!(extracted(&trailing), Err(ZipReject::Damaged(_))));
}

/// Where in an archive of one file the directory header and the end record are.
fn records(archive: &[u8]) -> (usize, usize) {
    let end = archive.len() - END_LEN;
    let word: [u8; 4] = archive[end + 16..end + 20].try_into().expect("four bytes");
    (u32::from_le_bytes(word) as usize, end)
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    let file = bytes(9000);
    let good = archive(&[("exec", &file)], CompressionMethod::Deflated);
    let (header, end) = records(&good);
    for (at, patch, part) in [
        (header + 8, &[1][..], "encryption"),
        (header + 9, &[1 << 5], "encryption"),
        (header + 10, &[99], "compression other than deflate"),
        (header + 10, &[9], "compression other than deflate"),
        (header + 16, &[0; 4], "another checksum"),
        (header + 20, &[0xff; 4], "zip64"),
        (header + 24, &[0xff; 4], "zip64"),
        (header + 24, &[1, 0, 0, 0], "longer than it should be"),
        (header + 24, &[0, 0x30, 0, 0], "shorter than it should be"),
        (header + 24, &(CODE_LEN_MAX as u32 + 1).to_le_bytes(), "exceeds the limit"),
        (header + 20, &[0xff, 0xff, 0xff, 0], "reaches over its end"),
        (header + 20, &[20, 0, 0, 0], "makes no sense"),
        (header + 34, &[1], "several disks"),
        (header + 42, &[0xff; 4], "zip64"),
        (header + 42, &[1], "not where it should be"),
        (header, &[0], "not where it should be"),
        (end + 4, &[1], "several disks"),
        (end + 6, &[1], "several disks"),
        (end + 8, &[2], "several disks"),
        (end + 8, &[2, 0, 2, 0], "ends too early"),
        (end + 8, &[0xff; 4], "zip64"),
        (end + 8, &[0xff, 0x7f, 0xff, 0x7f], "more than 4096 entries"),
        (end + 12, &[0xff; 4], "zip64"),
        (end + 16, &[0xff, 0xff, 0xff, 0x7f], "directory is longer than it"),
        (end + 20, &[1], "no directory"),
    ] {
        let mut bad = good.clone();
        bad[at..at + patch.len()].copy_from_slice(patch);
        let text = format!("{}", extracted(&bad).expect_err(part));
        assert!(text.contains(part), "{at} {patch:?}: {text}");
    }
    assert_eq!(extracted(&good).expect("undamaged"), file);
}

#[test]
fn two_files_of_one_name_are_refused() {
    let mut twice = archive(&[("exec", b"1"), ("exeC", b"2")], CompressionMethod::Stored);
    let (header, _) = records(&twice);
    let second = header + HEADER_LEN + "exec".len();
    twice[second + HEADER_LEN + 3] = b'c';
    assert_eq!(extracted(&twice), Err(ZipReject::TwoExecutables));
}

/// A bomb: a thousand times as many zeros. It does not come further than its entry says, which is
/// too far.
#[test]
fn a_bomb_does_not_go_off() {
    let mut bomb = archive(&[("exec", &vec![0; CODE_LEN_MAX + 1])], CompressionMethod::Deflated);
    assert!(bomb.len() < CODE_LEN_MAX / 900);
    assert_eq!(extracted(&bomb), Err(ZipReject::TooLong));
    let (header, _) = records(&bomb);
    bomb[header + 24..header + 28].copy_from_slice(&4096_u32.to_le_bytes());
    assert_eq!(extracted(&bomb), Err(ZipReject::Damaged(Damage::FileTooLong)));
}

#[test]
fn every_truncation_is_refused() {
    let good = archive(&[("exec", &bytes(5000))], CompressionMethod::Deflated);
    for len in 0..good.len() {
        assert!(extracted(&good[..len]).is_err(), "{len}");
        assert!(extracted(&good[len + 1..]).is_err(), "from {len}");
    }
}

proptest! {
    #[test]
    fn no_change_is_a_surprise(
        patches in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        deflated: bool,
    ) {
        let file = bytes(6000);
        let mut archive = archive(&[("exec", &file)], METHODS[usize::from(deflated)]);
        for (at, byte) in patches {
            let at = at.index(archive.len());
            archive[at] = byte;
        }
        if let Ok(extracted) = extracted(&archive) {
            prop_assert_eq!(extracted, file, "the checksum stands for it");
        }
    }

    #[test]
    fn any_bytes_are_judged(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(extracted(&bytes).is_err());
    }
}
