//! Programs that an interpreter in their archive loads, and scripts: what Debian installs, packed
//! as it is installed.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use xtask::prerequisites::ensure_programs;

use crate::freeze::emulated;
use crate::tree::{self, Tree};
use crate::{compile_with, hosted, image, native};

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
import asyncio, csv, datetime, decimal, hashlib, io, json, os, random, re, sqlite3, struct, sys
import concurrent.futures, mmap, multiprocessing, threading, zlib
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
async def later(number):
    await asyncio.sleep(0.01)
    return number
async def several():
    return await asyncio.gather(*[later(number) for number in range(4)])
with concurrent.futures.ThreadPoolExecutor(3) as pool:
    squares = list(pool.map(lambda number: number * number, range(6)))
with open('/tmp/mapped', 'w+b') as file:
    file.write(b'x' * 5000)
    file.flush()
    mapped = mmap.mmap(file.fileno(), 0)
    mapped[4000:4005] = b'hello'
    file.seek(3998)
    read = file.read(9).decode()
with multiprocessing.Lock():
    shared = multiprocessing.Value('i', 5)
    shared.value += 1
print(json.dumps({
    'later': asyncio.run(several()),
    'squares': squares,
    'mapped': read,
    'shared': shared.value,
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
    let folder = TempDir::new().expect("a temporary folder");
    let archive = folder.path().join("python.zip");
    tree::python(&archive, PYTHON);

    let (output, log) = twice(&folder, &archive);
    let expected: Vec<String> = ["first", "second"]
        .map(|name| {
            let script = folder.path().join("script.py");
            fs::write(&script, PYTHON).expect("a temporary file");
            let mut command = Command::new(tree::PYTHON);
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

/// Where it is installed.
const NODE_PROGRAM: &str = "/usr/bin/node";

/// An archive with Node and the script.
fn node(archive: &Path) {
    let say = |text: &str| eprintln!("{text}");
    ensure_programs(&[(NODE_PROGRAM, "nodejs")], say).expect("Node can be had");
    let node = Path::new(NODE_PROGRAM);
    let mut tree = Tree::new(archive);
    tree.add("exec", NODE.as_bytes(), 0o755);
    tree.take(node);
    tree.take_libraries(&[node]);
    tree.finish();
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
    let folder = TempDir::new().expect("a temporary folder");
    let archive = folder.path().join("node.zip");
    node(&archive);

    let (output, log) = twice(&folder, &archive);
    let expected: Vec<String> = ["first", "second"]
        .map(|name| {
            let script = folder.path().join("script.js");
            fs::write(&script, NODE).expect("a temporary file");
            let mut command = Command::new(NODE_PROGRAM);
            command.arg("--jitless").arg(&script);
            let (run, _) = crate::run(command, format!("{{\"name\": \"{name}\"}}").as_bytes());
            run.output.trim_end().to_owned()
        })
        .to_vec();
    assert_eq!(output.lines().collect::<Vec<_>>(), expected, "{log}");
    assert!(log.contains("started v"), "{log}");
}
