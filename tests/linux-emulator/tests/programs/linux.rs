//! Programs from their first instruction to their end, and files that are none.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use zip::write::SimpleFileOptions;

use crate::matrix::Line;
use crate::{C_COMPILERS, compile, hosted, image, native, source};

#[track_caller]
fn same_with_both_libraries(name: &str) {
    image();
    let folder = TempDir::new().expect("a temporary folder");
    for compiler in C_COMPILERS {
        let program = compile(&folder, compiler, name);
        // An argument, so that the input does not become one.
        let (ours, log) = hosted(&program, &["argument"]);
        let expected = native(&program, &["argument"]);
        for (line, theirs) in ours.output.lines().zip(expected.output.lines()) {
            assert_eq!(line, theirs, "{name} with {compiler}; log: {log}");
        }
        assert_eq!(ours, expected, "{name} with {compiler}; log: {log}");
    }
}

#[test]
fn input_result_log_and_status() {
    same_with_both_libraries("hello");
    let folder = TempDir::new().expect("a temporary folder");
    let program = compile(&folder, "musl-gcc", "hello");
    let (_, log) = hosted(&program, &["argument"]);
    assert_eq!(log, "to the log\nreport: 2: exited with status 3\n");
}

#[test]
fn calls_about_memory() {
    same_with_both_libraries("calls_memory");
}

#[test]
fn calls_about_signals() {
    same_with_both_libraries("calls_signal");
}

#[test]
fn calls_about_threads() {
    same_with_both_libraries("calls_thread");
}

#[test]
fn calls_about_files() {
    same_with_both_libraries("calls_file");
}

#[test]
fn files_that_are_shared() {
    same_with_both_libraries("shared");
}

#[test]
fn a_crash_is_named_with_the_function() {
    image();
    let folder = TempDir::new().expect("a temporary folder");
    let program = compile(&folder, "musl-gcc", "calls_signal");
    let (_, log) = hosted(&program, &["argument"]);
    assert!(log.contains("report: 2: killed by SIGSEGV at 0x0 (null pointer)\n"), "{log}");
    assert!(log.contains("(main+0x"), "{log}");
}

#[test]
fn threads_that_can_never_go_on_end_the_program() {
    image();
    let folder = TempDir::new().expect("a temporary folder");
    let program = compile(&folder, "musl-gcc", "stuck");
    let (run, log) = hosted(&program, &["argument"]);
    assert_eq!((run.status, run.output.as_str()), (124, ""), "{log}");
    assert!(log.contains("all its threads wait for something that cannot happen"), "{log}");
}

#[test]
fn a_dynamic_program_is_refused_with_a_sentence() {
    image();
    let folder = TempDir::new().expect("a temporary folder");
    let program = folder.path().join("dynamic");
    let status = Command::new("gcc").arg("-o").arg(&program).arg(source("hello.c")).status();
    assert!(status.expect("the compiler starts").success());
    let (run, log) = hosted(&program, &[]);
    assert_eq!((run.status, run.output.as_str()), (126, ""));
    assert!(log.contains("needs /lib64/ld-linux-x86-64.so.2; link it statically"), "{log}");
}

#[test]
fn what_is_no_program_is_refused_with_a_sentence() {
    image();
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("text");
    let files: [(&[u8], &str); 3] = [
        (b"#!/bin/sh\n", "no complete ELF executable"),
        (b"PK\x03\x04 and no more", "it has no directory at its end"),
        (b"\x7fELF\x02\x01\x01", "no complete ELF executable"),
    ];
    for (bytes, sentence) in files {
        fs::write(&path, bytes).expect("a temporary file");
        let (run, log) = hosted(&path, &[]);
        assert_eq!(run.status, 126);
        assert!(log.contains(sentence), "{log}");
    }
}

#[test]
fn go_with_its_collector_and_timers() {
    image();
    let folder = TempDir::new().expect("a temporary folder");
    let program = folder.path().join("goroutines");
    let status = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(source("goroutines.go"))
        .envs([("CGO_ENABLED", "0"), ("GO111MODULE", "off")])
        .env("GOCACHE", folder.path().join("cache"))
        .status();
    assert!(status.expect("the compiler starts").success());
    let (_, log) = hosted(&program, &["argument"]);
    assert!(log.starts_with("log 100\n"), "{log}");
    let mut line = Line::new("Go 1.19", "`goroutines.go` by `go build`", &program);
    line.run(&program, &program, &["argument"]);
    line.shows("goroutines, maps, the collector, JSON, timers, a recovered nil pointer, files");
}

/// BusyBox in an archive, called by a link, and what is run with it.
const APPLETS: &str = "\
    echo a b|printf %05d\\n 42|cat|head -n 1|tail -n 1|wc|sort|sort -r|uniq|tac|rev|nl|\
    tr a-z A-Z|cut -d: -f1|sed s/n/N/g|grep -c line|grep -n you|awk {print$2}|md5sum|sha1sum|\
    sha256sum|sha512sum|cksum|crc32|base64|od -c|hexdump -C|xxd|fold -w 5|expand|seq 3 9|\
    factor 360|expr 6 * 7|basename /a/b.c .c|dirname /a/b|true|false|test 1 -lt 2|dc -e 2_3*p|\
    bc|strings|gzip -c|bzip2 -c|paste - -|shuf -n 0|tee|yes no more|env -i A=1|cal 2 2024|\
    date -u -d @86400|uuencode x|sum|ts %H|tsort|unexpand|usleep 10|which none|mktemp -u /tmp/x|\
    comm /dev/null -|cmp - /dev/null|dd bs=4 count=2|split -b 4 - /tmp/part|id -u|arch|nproc|\
    mkdir -p /tmp/q/r|ls /none";

#[test]
fn applets_of_busybox() {
    image();
    let busybox = Path::new("/bin/busybox");
    let folder = TempDir::new().expect("a temporary folder");
    let archive = folder.path().join("busybox.zip");
    let mut zip = zip::ZipWriter::new(fs::File::create(&archive).expect("a temporary file"));
    let options = SimpleFileOptions::default().unix_permissions(0o755);
    zip.start_file("busybox", options).expect("a file in the archive");
    zip.write_all(&fs::read(busybox).expect("BusyBox is installed")).expect("its bytes");
    zip.add_symlink("exec", "busybox", options).expect("a link in the archive");
    zip.finish().expect("a whole archive");
    let differs_by_nature = ["ts %H", "nproc", "yes no more"];
    let mut line = Line::new("BusyBox 1.35", "Debian's `busybox-static`, in a zip", busybox);
    for words in APPLETS.split('|').filter(|words| !differs_by_nature.contains(words)) {
        let arguments: Vec<_> = words.split(' ').collect();
        line.run(&archive, busybox, &arguments);
    }
    line.shows("an applet each, most of them on the input");
}
