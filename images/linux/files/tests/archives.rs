//! Trees out of archives: what packers write works, what is hostile is refused or harms nobody.

use std::io::{Cursor, Write};

use linux_files::abi::at;
use linux_files::{
    Access, EntryReject, Errno, Files, LoadReject, Mapping, Owner, Settings, has_entry,
};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

mod host;
use host::Still;

const ROOMY: Settings =
    Settings { owner: Owner { user: 0, group: 0 }, bytes_max: 64 << 20, inodes_max: 200_000 };

fn stored() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Stored)
}

fn deflated() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)
}

/// An archive that lives as long as the test.
fn archive(fill: impl FnOnce(&mut ZipWriter<Cursor<Vec<u8>>>)) -> &'static [u8] {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    fill(&mut writer);
    writer.finish().expect("it is written to memory").into_inner().leak()
}

fn file(
    writer: &mut ZipWriter<Cursor<Vec<u8>>>,
    name: &str,
    options: SimpleFileOptions,
    bytes: &[u8],
) {
    writer.start_file(name, options).expect("it is written to memory");
    writer.write_all(bytes).expect("it is written to memory");
}

fn mounted(archive: &'static [u8], access: Access) -> Result<Files<'static>, LoadReject> {
    let mut files = Files::new(&ROOMY).expect("there is room");
    files.mount(archive, b"/app", access).map(|()| files)
}

fn read(files: &mut Files<'_>, path: &str) -> Result<Vec<u8>, Errno> {
    let mut host = Still::default();
    let fd = files.openat(&mut host, at::CURRENT, path.as_bytes(), 0, 0)?;
    let mut bytes = Vec::new();
    let mut piece = [0; 1000];
    loop {
        match files.read(&mut host, fd, &mut piece).expect("a file never waits") {
            0 => break,
            count => bytes.extend_from_slice(&piece[..count]),
        }
    }
    files.close(&mut host, fd)?;
    Ok(bytes)
}

fn open(files: &mut Files<'_>, path: &str, flags: u32) -> Result<i32, Errno> {
    files.openat(&mut Still::default(), at::CURRENT, path.as_bytes(), flags, 0o644)
}

/// The same archive with some bytes of every directory record changed.
fn patched(archive: &[u8], offset: usize, bytes: &[u8]) -> &'static [u8] {
    let mut archive = archive.to_vec();
    let starts: Vec<usize> = (0..archive.len() - 4)
        .filter(|start| archive[*start..].starts_with(b"PK\x01\x02"))
        .collect();
    assert!(!starts.is_empty(), "there are records");
    for start in starts {
        archive[start + offset..start + offset + bytes.len()].copy_from_slice(bytes);
    }
    archive.leak()
}

fn refusal(archive: &'static [u8]) -> Option<EntryReject> {
    match mounted(archive, Access::ReadOnly) {
        Err(LoadReject::Entry { reason, .. }) => Some(reason),
        _ => None,
    }
}

#[test]
fn files_directories_links_and_permissions_come_out() {
    let text = "long text that deflates well ".repeat(1000);
    let archive = archive(|writer| {
        file(writer, "exec", stored().unix_permissions(0o755), b"\x7fELF");
        file(writer, "lib/deep/text", deflated().unix_permissions(0o600), text.as_bytes());
        writer.add_directory("empty/", stored().unix_permissions(0o711)).expect("memory");
        writer.add_symlink("lib/link", "deep/text", stored()).expect("memory");
        writer.add_symlink("out", "/etc/passwd", stored()).expect("memory");
        writer.add_symlink("up", "../../../../etc/passwd", stored()).expect("memory");
    });
    let mut files = mounted(archive, Access::ReadOnly).expect("it is sound");
    let mut host = Still::default();
    let mut mode = |files: &Files<'_>, path: &[u8]| {
        files.fstatat(&mut host, at::CURRENT, path, at::NO_FOLLOW).map(|stat| stat.mode)
    };
    assert_eq!(mode(&files, b"/app/exec"), Ok(0o100_755));
    assert_eq!(mode(&files, b"/app/lib/deep/text"), Ok(0o100_600));
    assert_eq!(mode(&files, b"/app/empty"), Ok(0o040_711));
    assert_eq!(mode(&files, b"/app/lib"), Ok(0o040_755));
    assert_eq!(mode(&files, b"/app/lib/link"), Ok(0o120_777));
    assert_eq!(read(&mut files, "/app/lib/link"), Ok(text.into_bytes()));
    // Links lead nowhere but into this tree.
    let users = read(&mut files, "/etc/passwd");
    assert_eq!(read(&mut files, "/app/out"), users);
    assert_eq!(read(&mut files, "/app/up"), users);
    assert_eq!(files.unpack(), Ok(()));
}

#[test]
fn what_is_stored_can_be_mapped_and_what_is_written_is_copied() {
    let bytes: Vec<u8> = (0..20_000_u32).map(|at| at as u8).collect();
    let archive = archive(|writer| {
        file(writer, "stored", stored(), &bytes);
        file(writer, "deflated", deflated(), &bytes);
    });
    let mut files = mounted(archive, Access::Writable).expect("it is sound");
    let mut host = Still::default();
    let fd = open(&mut files, "/app/stored", 0o2).expect("it is there");
    let Ok(Mapping::Payload(mapped)) = files.mapping(fd, 4096) else { panic!("it is stored") };
    assert_eq!(mapped, &bytes[4096..]);
    assert!(archive.as_ptr_range().contains(&mapped.as_ptr()), "nothing was copied");
    let other = open(&mut files, "/app/deflated", 0o2).expect("it is there");
    assert_eq!(files.mapping(other, 0), Ok(Mapping::Copy));
    for fd in [fd, other] {
        assert_eq!(files.pwrite(&mut host, fd, b"new", 4095), Ok(3));
        assert_eq!(files.mapping(fd, 0), Ok(Mapping::Copy));
        let mut around = [0; 7];
        assert_eq!(files.pread(&mut host, fd, &mut around, 4093), Ok(7));
        assert_eq!(around, [bytes[4093], bytes[4094], b'n', b'e', b'w', bytes[4098], bytes[4099]]);
        // Cut and grown again, the rest is zero and not what the archive has.
        assert_eq!(files.ftruncate(&mut host, fd, 10_000), Ok(()));
        assert_eq!(files.ftruncate(&mut host, fd, 20_000), Ok(()));
        let mut end = [1; 4];
        assert_eq!(files.pread(&mut host, fd, &mut end, 9_998), Ok(4));
        assert_eq!(end, [bytes[9998], bytes[9999], 0, 0]);
    }
}

#[test]
fn a_tree_to_be_read_only_cannot_be_changed() {
    let archive = archive(|writer| file(writer, "a", stored(), b"text"));
    let mut files = mounted(archive, Access::ReadOnly).expect("it is sound");
    let mut host = Still::default();
    assert_eq!(open(&mut files, "/app/a", 0o1), Err(Errno::EROFS));
    assert_eq!(open(&mut files, "/app/a", 0o1000), Err(Errno::EROFS));
    assert_eq!(open(&mut files, "/app/b", 0o101), Err(Errno::EROFS));
    assert_eq!(open(&mut files, "/app/a", 0o301), Err(Errno::EEXIST));
    let cwd = at::CURRENT;
    assert_eq!(files.unlinkat(&mut host, cwd, b"/app/a", 0), Err(Errno::EROFS));
    assert_eq!(files.mkdirat(&mut host, cwd, b"/app/d", 0o755), Err(Errno::EROFS));
    assert_eq!(files.fchmodat(&mut host, cwd, b"/app/a", 0, 0), Err(Errno::EROFS));
    assert_eq!(files.truncate(&mut host, b"/app/a", 0), Err(Errno::EROFS));
    let (from, to) = ((cwd, &b"/app/a"[..]), (cwd, &b"/tmp/a"[..]));
    assert_eq!(files.renameat2(&mut host, from, to, 0), Err(Errno::EXDEV));
    assert_eq!(files.linkat(&mut host, from, to, 0), Err(Errno::EXDEV));
    assert_eq!(files.unlinkat(&mut host, cwd, b"/tmp", 0x200), Err(Errno::EROFS));
    assert_eq!(read(&mut files, "/app/a"), Ok(b"text".to_vec()));
}

#[test]
fn a_second_archive_lies_over_the_first() {
    let lower = archive(|writer| {
        file(writer, "bin/a", stored(), b"lower a");
        file(writer, "bin/b", stored(), b"lower b");
    });
    let upper = archive(|writer| file(writer, "bin/a", stored(), b"upper a"));
    let mut files = mounted(lower, Access::ReadOnly).expect("it is sound");
    files.mount(upper, b"/app", Access::Writable).expect("it is sound");
    assert_eq!(read(&mut files, "/app/bin/a"), Ok(b"upper a".to_vec()));
    assert_eq!(read(&mut files, "/app/bin/b"), Ok(b"lower b".to_vec()));
}

#[test]
fn names_that_leave_the_tree_are_refused() {
    let cases: [(&str, EntryReject); 8] = [
        ("/etc/passwd", EntryReject::Absolute),
        ("../evil", EntryReject::Outside),
        ("a/../../evil", EntryReject::Outside),
        ("a/./b", EntryReject::Outside),
        ("a//b", EntryReject::Name),
        ("a\0b", EntryReject::Name),
        (&"n".repeat(256), EntryReject::TooLong),
        (&"d/".repeat(70), EntryReject::TooDeep),
    ];
    for (name, reason) in cases {
        // The writer would put such names right: they are written over ones of the same length.
        let stand_in = "s".repeat(name.len());
        let sound = archive(|writer| file(writer, &stand_in, stored(), b"x"));
        let hostile = patched(sound, 46, name.as_bytes());
        assert_eq!(refusal(hostile), Some(reason), "{name:?}");
        assert_eq!(linux_files::entry_name(hostile, 0), Some(name.as_bytes()));
    }
}

#[test]
fn names_need_not_be_text() {
    let sound = archive(|writer| file(writer, "ssss", stored(), b"x"));
    let mut files = mounted(patched(sound, 46, b"\xff\xfe\x80a"), Access::ReadOnly).expect("fine");
    let fd = files.openat(&mut Still::default(), at::CURRENT, b"/app/\xff\xfe\x80a", 0, 0);
    assert!(fd.is_ok());
}

#[test]
fn a_name_that_is_no_text_is_found_for_who_minds() {
    let two = archive(|writer| {
        file(writer, "ä", stored(), b"x");
        file(writer, "ssss", stored(), b"x");
    });
    assert_eq!(linux_files::entry_not_text(two), None);
    let at = two.windows(4).rposition(|name| name == b"ssss").expect("it is there");
    let mut bytes = two.to_vec();
    bytes[at..at + 4].copy_from_slice(b"s\xe4ss");
    assert_eq!(linux_files::entry_not_text(&bytes), Some(1));
    assert_eq!(linux_files::entry_name(&bytes, 1), Some(&b"s\xe4ss"[..]));
    assert_eq!(linux_files::entry_not_text(b"no archive"), None);
}

#[test]
fn entries_that_make_no_sense_are_refused() {
    let sound = archive(|writer| file(writer, "a", deflated(), &[7; 5000]));
    assert_eq!(refusal(patched(sound, 8, &[1, 0])), Some(EntryReject::Encrypted));
    assert_eq!(refusal(patched(sound, 10, &[12, 0])), Some(EntryReject::Compression));
    assert_eq!(refusal(patched(sound, 10, &[0, 0])), Some(EntryReject::Damaged));
    // A named pipe, as `st_mode` has it.
    let fifo = patched(sound, 40, &0o010_644_u16.to_le_bytes());
    assert_eq!(refusal(fifo), Some(EntryReject::Special));
    let outside = patched(sound, 42, &[0xff, 0xff, 0, 0]);
    assert_eq!(mounted(outside, Access::ReadOnly).err(), Some(LoadReject::CutOff));
    let misplaced = patched(sound, 42, &[1, 0, 0, 0]);
    assert_eq!(mounted(misplaced, Access::ReadOnly).err(), Some(LoadReject::Misplaced));
    assert_eq!(mounted(&[], Access::ReadOnly).err(), Some(LoadReject::NoArchive));
    assert_eq!(mounted(&sound[1..], Access::ReadOnly).err(), Some(LoadReject::CutOff));
}

#[test]
fn data_that_is_not_what_it_should_be_is_found_when_it_is_opened() {
    for options in [stored(), deflated()] {
        let sound = archive(|writer| file(writer, "a", options, &[7; 5000]));
        let wrong = patched(sound, 16, &[1, 2, 3, 4]);
        let mut files = mounted(wrong, Access::ReadOnly).expect("its directory is sound");
        assert_eq!(open(&mut files, "/app/a", 0), Err(Errno::EIO));
        assert_eq!(files.unpack(), Err((b"/app/a".to_vec(), EntryReject::Checksum)));
    }
    let sound = archive(|writer| file(writer, "a", deflated(), &[7; 5000]));
    for len in [4999_u32, 5001] {
        let mut files =
            mounted(patched(sound, 24, &len.to_le_bytes()), Access::ReadOnly).expect("sound");
        assert_eq!(files.unpack(), Err((b"/app/a".to_vec(), EntryReject::Damaged)));
    }
}

#[test]
fn a_bomb_is_refused_for_its_size() {
    let zeros = vec![0; 4 << 20];
    let bomb = archive(|writer| {
        for number in 0..3 {
            file(writer, &format!("{number}"), deflated(), &zeros);
        }
    });
    assert!(bomb.len() < 1 << 20);
    let mut files = Files::new(&Settings { bytes_max: 8 << 20, ..ROOMY }).expect("there is room");
    files.mount(bomb, b"/app", Access::ReadOnly).expect("nothing is inflated yet");
    assert!(matches!(files.unpack(), Err((_, EntryReject::TooLarge))));
    // What says that it is enormous takes nothing before that is looked at.
    let liar =
        patched(archive(|writer| file(writer, "a", deflated(), &zeros)), 24, &[0, 0, 0, 0xf0]);
    let mut files = mounted(liar, Access::ReadOnly).expect("nothing is inflated yet");
    assert_eq!(open(&mut files, "/app/a", 0), Err(Errno::ENOMEM));
}

#[test]
fn entries_over_the_same_data_are_refused() {
    let sound = archive(|writer| {
        file(writer, "a", stored(), &[7; 5000]);
        file(writer, "b", stored(), &[7; 5000]);
        file(writer, "c", stored(), &[7; 5000]);
    });
    assert_eq!(refusal(patched(sound, 42, &[0; 4])), None, "three are still within the bytes");
    let mut many = ZipWriter::new(Cursor::new(Vec::new()));
    file(&mut many, "a", stored(), &[7; 50_000]);
    for number in 0..9 {
        file(&mut many, &format!("{number}"), stored(), &[]);
    }
    let many = many.finish().expect("memory").into_inner().leak();
    let sizes = [50_000_u32.to_le_bytes(), 50_000_u32.to_le_bytes()].concat();
    let many = patched(patched(many, 20, &sizes), 42, &[0; 4]);
    assert_eq!(refusal(many), Some(EntryReject::Overlaps));
}

#[test]
fn one_name_is_one_thing() {
    let twice = archive(|writer| {
        file(writer, "aa", stored(), b"1");
        file(writer, "ab", stored(), b"2");
    });
    assert_eq!(refusal(patched(twice, 46, b"aa")), Some(EntryReject::Twice));
    let below_a_file = archive(|writer| {
        file(writer, "a", stored(), b"1");
        file(writer, "a/b", stored(), b"2");
    });
    assert_eq!(refusal(below_a_file), Some(EntryReject::Twice));
}

#[test]
fn many_entries_are_no_trouble_and_too_many_are_refused() {
    let many = archive(|writer| {
        for number in 0..60_000 {
            file(writer, &format!("d{}/{number}", number % 100), stored(), b"");
        }
    });
    let mut files = mounted(many, Access::ReadOnly).expect("they fit");
    assert_eq!(read(&mut files, "/app/d42/59942"), Ok(Vec::new()));
    let settings = Settings { inodes_max: 10_000, ..ROOMY };
    let mut files = Files::new(&settings).expect("there is room");
    let refused = files.mount(many, b"/app", Access::ReadOnly);
    assert!(matches!(refused, Err(LoadReject::Entry { reason: EntryReject::TooLarge, .. })));
    let more = archive(|writer| {
        for number in 0..100_000 {
            file(writer, &format!("{number}"), stored(), b"");
        }
    });
    assert_eq!(mounted(more, Access::ReadOnly).err(), Some(LoadReject::Zip64));
}

#[test]
fn links_in_a_circle_end() {
    let archive = archive(|writer| {
        writer.add_symlink("a", "b", stored()).expect("memory");
        writer.add_symlink("b", "a", stored()).expect("memory");
        writer.add_symlink("deep", "deep/deep", stored()).expect("memory");
    });
    let mut files = mounted(archive, Access::ReadOnly).expect("it is sound");
    assert_eq!(open(&mut files, "/app/a", 0), Err(Errno::ELOOP));
    assert_eq!(open(&mut files, "/app/deep/x", 0), Err(Errno::ELOOP));
}

#[test]
fn an_entry_is_found_by_its_whole_name() {
    let archive = archive(|writer| {
        file(writer, "a/b", stored(), b"x");
        file(writer, "last", deflated(), b"y");
    });
    assert!(has_entry(archive, b"a/b") && has_entry(archive, b"last"));
    assert!(!has_entry(archive, b"a") && !has_entry(archive, b"las") && !has_entry(archive, b""));
    assert!(!has_entry(&archive[..archive.len() - 1], b"last"), "it cannot be read");
    assert!(!has_entry(b"PK", b"last"));
}

#[test]
fn an_archive_at_the_root_replaces_what_is_there() {
    let archive = archive(|writer| {
        file(writer, "etc/passwd", stored(), b"mine");
        file(writer, "app/data", stored(), b"x");
    });
    let mut files = Files::new(&ROOMY).expect("there is room");
    files.mount(archive, b"", Access::Writable).expect("it can be the root");
    assert_eq!(read(&mut files, "/etc/passwd").as_deref(), Ok(&b"mine"[..]));
    assert_eq!(read(&mut files, "/app/data").as_deref(), Ok(&b"x"[..]));
    assert!(read(&mut files, "/etc/hosts").is_ok(), "the rest stays");
}
