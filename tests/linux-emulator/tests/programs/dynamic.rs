//! Programs that an interpreter in their archive loads, and scripts: what Debian installs, packed as
//! it is installed.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use xtask::prerequisites::ensure_programs;
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use crate::freeze::emulated;
use crate::{compile_with, hosted, image, native};

/// Bytes of a page: files at whole pages are mapped and not copied.
const PAGE: u16 = 4096;

/// An archive like a file system.
struct Tree(zip::ZipWriter<fs::File>);

impl Tree {
    fn new(path: &Path) -> Self {
        Self(zip::ZipWriter::new(fs::File::create(path).expect("a temporary file")))
    }

    fn add(&mut self, name: &str, bytes: &[u8], mode: u32) {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .with_alignment(PAGE)
            .unix_permissions(mode);
        self.0.start_file(name, options).expect("a file in the archive");
        self.0.write_all(bytes).expect("its bytes");
    }

    /// Adds a file under its own path, whatever it is a link to.
    fn take(&mut self, path: &Path) {
        let bytes = fs::read(path).expect("the file is there");
        let mode = fs::metadata(path).expect("the file is there").permissions().mode();
        self.add(path.to_str().expect("a name").trim_start_matches('/'), &bytes, mode & 0o777);
    }

    /// Adds a folder and what is in it, but for what is made of it.
    fn take_folder(&mut self, path: &Path) {
        /// Parts of Python's library that no function needs.
        const LEFT_OUT: [&str; 4] = ["__pycache__", "test", "idlelib", "lib2to3"];
        let mut entries: Vec<PathBuf> =
            fs::read_dir(path).expect("a folder").map(|entry| entry.expect("one").path()).collect();
        entries.sort();
        for entry in entries {
            match fs::metadata(&entry) {
                Ok(found) if found.is_dir() => {
                    let name = entry.file_name().and_then(OsStr::to_str).unwrap_or_default();
                    if !LEFT_OUT.contains(&name) {
                        self.take_folder(&entry);
                    }
                }
                Ok(_) => self.take(&entry),
                // A link that leads nowhere.
                Err(_) => {}
            }
        }
    }

    /// Adds the interpreter and the libraries that a program asks for.
    fn take_libraries(&mut self, programs: &[&Path]) {
        let output = Command::new("ldd").args(programs).output().expect("ldd is installed");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut paths: Vec<&str> =
            text.split_whitespace().filter(|word| word.starts_with("/lib")).collect();
        paths.sort_unstable();
        paths.dedup();
        // The program's own name, with a colon, is none of them.
        for path in paths.iter().filter(|path| !path.ends_with(':')) {
            self.take(Path::new(path));
        }
    }

    fn finish(self) {
        self.0.finish().expect("a whole archive");
    }
}

/// Runs a script in an archive twice from one template: both results, and the log.
fn twice(folder: &TempDir, archive: &Path) -> (String, String) {
    let second = folder.path().join("second");
    fs::write(&second, "{\"name\": \"second\"}").expect("a temporary file");
    let second = second.to_str().expect("a path that is text");
    let options = ["--at-input", "--call", second];
    let (run, log) = emulated(&options, archive, &[], "{\"name\": \"first\"}");
    assert_eq!(run.status, 0, "{log}");
    (run.output, log)
}

#[test]
fn a_dynamic_program_with_its_libraries() {
    image();
    let folder = TempDir::new().expect("a temporary folder");
    for shape in ["-pie", "-no-pie"] {
        let program = compile_with(&folder, "gcc", &[shape], "calls_memory");
        let archive = folder.path().join("dynamic.zip");
        let mut tree = Tree::new(&archive);
        tree.add("exec", &fs::read(&program).expect("it was compiled"), 0o755);
        tree.take_libraries(&[&program]);
        tree.finish();
        let (ours, log) = hosted(&archive, &["argument"]);
        assert_eq!(ours, native(&program, &["argument"]), "{shape}; log: {log}");
    }
}

/// What a function of Python may use: modules in C, in libraries of their own and built in.
const PYTHON: &str = "\
#!/usr/bin/python3.11 -I
import csv, datetime, decimal, hashlib, io, json, os, random, re, sqlite3, struct, sys
import threading, zlib
print('started', sys.version_info[:2], sys.argv, file=sys.stderr)
before = os.getpid()
note = []
args = json.loads(sys.stdin.read())
note.append(args['name'])
thread = threading.Thread(target=note.append, args=('thread',))
thread.start(); thread.join()
base = sqlite3.connect(':memory:')
base.execute('create table t (a, b)')
base.executemany('insert into t values (?, ?)', [(n, n * n) for n in range(9)])
print(json.dumps({
    'note': note,
    'hash': hashlib.sha256(args['name'].encode()).hexdigest()[:16],
    'third': str(decimal.Decimal(1) / 3),
    'sum': base.execute('select sum(b) from t').fetchone()[0],
    'crc': zlib.crc32(zlib.compress(b'x' * 1000)),
    'words': re.findall(r'[a-z]+', 'one, two'),
    'rows': list(csv.reader(io.StringIO('a,b\\n1,2\\n'))),
    'date': datetime.datetime(2024, 2, 29).isoformat(),
    'random': random.Random(7).random(),
    'packed': struct.pack('<If', 1, 0.5).hex(),
    'another': os.getpid() != before,
    'float': 0.1 + 0.2,
}))
";

#[test]
fn python_with_its_modules_in_c() {
    image();
    let python = Path::new("/usr/bin/python3.11");
    let say = |text: &str| eprintln!("{text}");
    ensure_programs(&[("/usr/bin/python3.11", "python3.11")], say).expect("Python can be had");
    let folder = TempDir::new().expect("a temporary folder");
    let archive = folder.path().join("python.zip");
    let mut tree = Tree::new(&archive);
    tree.add("exec", PYTHON.as_bytes(), 0o755);
    tree.take(python);
    let library = Path::new("/usr/lib/python3.11");
    let modules: Vec<PathBuf> = fs::read_dir(library.join("lib-dynload"))
        .expect("modules in C")
        .map(|entry| entry.expect("one").path())
        .collect();
    let programs: Vec<&Path> = modules.iter().map(PathBuf::as_path).chain([python]).collect();
    tree.take_libraries(&programs);
    tree.take_folder(library);
    tree.finish();

    let (output, log) = twice(&folder, &archive);
    let expected: Vec<String> = ["first", "second"]
        .map(|name| {
            let script = folder.path().join("script.py");
            fs::write(&script, PYTHON).expect("a temporary file");
            let mut command = Command::new(python);
            command.arg("-I").arg(&script);
            let (run, _) = crate::run(command, format!("{{\"name\": \"{name}\"}}").as_bytes());
            let line = run.output.lines().last().unwrap_or_default().to_owned();
            line.replace("\"another\": false", "\"another\": true")
        })
        .to_vec();
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines, expected, "{log}");
    assert!(log.contains("started (3, 11) ['/action/exec']"), "{log}");
}

const NODE: &str = "\
#!/usr/bin/node --jitless
const crypto = require('crypto'), zlib = require('zlib'), fs = require('fs');
console.error('started', process.version, process.argv[1]);
let text = '';
process.stdin.on('data', (piece) => text += piece);
process.stdin.on('end', async () => {
    const args = JSON.parse(text);
    fs.writeFileSync('/tmp/file', args.name);
    await new Promise((done) => setTimeout(done, 10));
    const hash = crypto.createHash('sha256').update(args.name).digest('hex').slice(0, 16);
    const read = await fs.promises.readFile('/tmp/file', 'utf8');
    console.log(JSON.stringify({
        hash, read,
        packed: zlib.gunzipSync(zlib.gzipSync('x'.repeat(1000))).length,
        date: new Date(86400000).toISOString(), float: 0.1 + 0.2,
        words: 'one, two'.match(/[a-z]+/g), big: (2n ** 70n).toString(),
    }));
});
";

#[test]
fn node_without_a_compiler_of_its_own() {
    image();
    let say = |text: &str| eprintln!("{text}");
    ensure_programs(&[("/usr/bin/node", "nodejs")], say).expect("Node can be had");
    let node = Path::new("/usr/bin/node");
    let folder = TempDir::new().expect("a temporary folder");
    let archive = folder.path().join("node.zip");
    let mut tree = Tree::new(&archive);
    tree.add("exec", NODE.as_bytes(), 0o755);
    tree.take(node);
    tree.take_libraries(&[node]);
    tree.finish();

    let (output, log) = twice(&folder, &archive);
    let expected: Vec<String> = ["first", "second"]
        .map(|name| {
            let script = folder.path().join("script.js");
            fs::write(&script, NODE).expect("a temporary file");
            let mut command = Command::new(node);
            command.arg("--jitless").arg(&script);
            let (run, _) = crate::run(command, format!("{{\"name\": \"{name}\"}}").as_bytes());
            run.output.trim_end().to_owned()
        })
        .to_vec();
    assert_eq!(output.lines().collect::<Vec<_>>(), expected, "{log}");
    assert!(log.contains("started v"), "{log}");
}
