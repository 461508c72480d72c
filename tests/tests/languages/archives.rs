//! Archives that no packer made, or that were made to do harm: each is refused by the name of what
//! is wrong, nothing is deployed, and what was there goes on.

use super::*;

/// A name of eight letters in an archive, to be written over.
const STAND_IN: &str = "STAND-IN";
/// What a bomb inflates to; more than an action may have.
const BOMB_LEN: usize = 256 << 20;
/// More entries than the format has room for without its extension.
const ENTRIES: usize = 100_000;

fn zip(write: impl FnOnce(&mut ZipWriter<Cursor<Vec<u8>>>)) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    write(&mut zip);
    zip.finish().expect("a whole archive").into_inner()
}

/// An archive with the function and another file, whose name is written over by these bytes.
fn named(function: (&str, &str), name: &[u8; 8]) -> Vec<u8> {
    let mut bytes = archive(&[function, (STAND_IN, "text")]);
    for at in 0..bytes.len() - name.len() {
        if bytes[at..].starts_with(STAND_IN.as_bytes()) {
            bytes[at..at + name.len()].copy_from_slice(name);
        }
    }
    bytes
}

fn bomb(function: (&str, &str)) -> Vec<u8> {
    zip(|zip| {
        let options = SimpleFileOptions::default();
        zip.start_file(function.0, options).expect("a good name");
        zip.write_all(function.1.as_bytes()).expect("memory has room");
        zip.start_file("zeros", options).expect("a good name");
        let piece = vec![0; 1 << 20];
        for _ in 0..BOMB_LEN / piece.len() {
            zip.write_all(&piece).expect("memory has room");
        }
    })
}

fn many(function: (&str, &str), count: usize) -> Vec<u8> {
    zip(|zip| {
        let options =
            SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        zip.start_file(function.0, options).expect("a good name");
        zip.write_all(function.1.as_bytes()).expect("memory has room");
        for number in 0..count {
            zip.start_file(format!("{number:x}"), options).expect("a good name");
        }
    })
}

/// An archive with the function, and with links.
fn linked(function: (&str, &str), links: &[(&str, &str)], files: &[&str]) -> Vec<u8> {
    zip(|zip| {
        let options = SimpleFileOptions::default();
        zip.start_file(function.0, options).expect("a good name");
        zip.write_all(function.1.as_bytes()).expect("memory has room");
        for (name, target) in links {
            zip.add_symlink(*name, *target, options).expect("a good name");
        }
        for name in files {
            zip.start_file(*name, options).expect("a good name");
            zip.write_all(b"mine").expect("memory has room");
        }
    })
}

impl Functions {
    /// Deploys one bad archive after another over an action that works, and it works on.
    ///
    /// `function` is file and text of one that answers `{"fine":true}`, `reader` of one that says
    /// `{"read":TEXT}` of the file `args.file`, or `null` if it cannot be had.
    pub fn refuse_bad_archives(self, function: (&str, &str), reader: (&str, &str)) {
        let good = archive(&[function]);
        self.deploy("archived", &good);
        let damaged = |change: fn(&mut Vec<u8>)| {
            let mut bytes = archive(&[function, (STAND_IN, "a text that is not short")]);
            change(&mut bytes);
            bytes
        };
        let cut = damaged(|bytes| bytes.truncate(bytes.len() - 9));
        let flipped = damaged(|bytes| {
            let name = STAND_IN.as_bytes();
            let at = bytes.windows(8).position(|it| it == name).expect("it is there");
            bytes[at + 12] ^= 0x55;
        });
        for (code, parts) in [
            (named(function, b"/etc/pwd"), &["/etc/pwd", "its name is absolute"][..]),
            (named(function, b"../../xy"), &["../../xy", "leads out of the archive"]),
            (named(function, b"a/../../"), &["a/../../", "leads out of the archive"]),
            (named(function, b"a//b/c/d"), &["a//b/c/d", "this is no name"]),
            (named(function, b"gr\xfcn.txt"), &["gr\u{fffd}n.txt", "no text of UTF-8"]),
            (named(function, b"nul\0.txt"), &["nul", "this is no name"]),
            (archive(&[("a", "x"), ("a/b", "y"), function]), &["a/b", "it is there twice"]),
            (bomb(function), &["zeros", "the memory limit does not cover it"]),
            (many(function, ENTRIES), &["zip64"]),
            (cut, &["it has no directory at its end"]),
            (flipped, &[STAND_IN, "in the archive cannot be used"]),
        ] {
            let text = self.refused("archived", &code);
            for part in parts {
                assert!(text.contains(part), "{part} in {text}");
            }
            self.call("archived", &json!({})).succeeded(&json!({"fine": true}));
        }
        self.have_links_within(reader);
    }

    /// A link leads wherever it likes: there is nobody's but the function's own tree to lead to.
    /// Nothing is written through one.
    fn have_links_within(self, reader: (&str, &str)) {
        let links = [
            ("in", "data/file"),
            ("out", "../../../../../etc/shadow"),
            ("absolute", "/proc/1/mem"),
            ("circle", "circle"),
        ];
        self.deploy("linked", &linked(reader, &links, &["data/file"]));
        for (file, read) in [
            ("in", json!("mine")),
            ("out", Value::Null),
            ("absolute", Value::Null),
            ("circle", Value::Null),
        ] {
            let outcome = self.call("linked", &json!({ "file": file }));
            outcome.succeeded(&json!({ "read": read }));
        }
        let through = linked(reader, &[("link", "/runtime")], &["link/exec"]);
        let text = self.refused("linked", &through);
        assert!(text.contains("link/exec") && text.contains("it is there twice"), "{text}");
    }
}

/// Python's function, and one that reads a file.
pub const PYTHON: [(&str, &str); 2] = [
    ("__main__.py", "def main(args): return {'fine': True}"),
    (
        "__main__.py",
        "def main(args):\n    try:\n        return {'read': open(args['file']).read()}\n\
         \x20   except OSError:\n        return {'read': None}\n",
    ),
];

/// Those of Node.
pub const NODE: [(&str, &str); 2] = [
    ("index.js", "exports.main = () => ({ fine: true })"),
    (
        "index.js",
        "const fs = require('fs'); exports.main = ({ file }) => { \
         try { return { read: fs.readFileSync(file, 'utf8') } } catch { return { read: null } } }",
    ),
];

/// `QuickJS` reads files of JSON and of source, and no others.
pub const SMALL: [(&str, &str); 2] = [
    ("index.js", "exports.main = () => ({ fine: true })"),
    (
        "index.js",
        "exports.main = ({ file }) => { \
         try { require('./' + file); } catch (error) { \
         return { read: error instanceof ReferenceError ? 'mine' : null } } }",
    ),
];
