//! What calls do to themselves until somebody ends them: each has a named outcome, and the next
//! call of the function finds nothing of it.

use super::*;

/// Limits of functions that are to meet them.
const NARROW: &str = "memory=64&timeout=8000&overwrite=true";

/// A way to misbehave, and what becomes of it: a status, and a part of the error. Without one it
/// is a result like others.
type Attack = (&'static str, Option<(&'static str, &'static str)>);

impl Functions {
    /// Runs each attack of a function, and after each one a call that has to find it as it was.
    pub fn survive(self, source: &str, attacks: &[Attack]) {
        let target = format!("attacked?{NARROW}&kind={}", self.kind);
        let answer = deploy_raw(&self.node(), &target, source.as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
        // All of them are tried, so that one run shows all that is not as it was.
        let mut surprises = Vec::new();
        for (how, expected) in attacks {
            let outcome = self.call("attacked", &json!({ "how": how }));
            let is_expected = match expected {
                Some((status, part)) => {
                    let text = outcome.result["error"].to_string();
                    outcome.status == *status && text.contains(part)
                }
                None => outcome.status == "success" && outcome.result == json!({ "done": how }),
            };
            let is_short = outcome.logs.len() < LOG_LINES_MAX;
            if !is_expected || !is_short {
                surprises.push(format!("{how}: {}, {}", outcome.status, outcome.result));
            }
            let next = self.call("attacked", &json!({ "how": "mark" }));
            if next.result != json!({ "marks": 1, "left": false }) {
                surprises.push(format!("the call after {how}: {next:?}"));
            }
        }
        assert!(surprises.is_empty(), "{surprises:#?}");
    }
}

/// More lines of eight letters than a log may have.
const LOG_LINES_MAX: usize = 8192;
const DEADLINE: Option<(&str, &str)> = Some((DEVELOPER_ERROR, "deadline"));

pub fn python(functions: Functions) {
    let source = "\
import os, signal, sys, threading, time\nmarks = []\n\
def loop():\n    while True: pass\n\
def log():\n    while True: print('endless')\n\
def eat():\n    all = []\n    while True: all.append(bytearray(1 << 20))\n\
def deep(): return deep()\n\
def native():\n    import ctypes\n    ctypes.string_at(0)\n\
def stack():\n    sys.setrecursionlimit(1 << 30)\n    return deep()\n\
def signals():\n    os.kill(os.getpid(), signal.SIGTERM)\n    time.sleep(1)\n\
def abort(): os.abort()\n\
def threads():\n    for _ in range(8): threading.Thread(target=loop, daemon=True).start()\n\
def waiting():\n    for _ in range(8): threading.Thread(target=time.sleep, args=(99,)).start()\n\
def close():\n    for fd in (0, 1, 2): os.close(fd)\n\
def close_all(): os.closerange(0, 100)\n\
def files():\n    while True: open('/tmp/left', 'ab').write(bytes(1 << 20))\n\
def handles():\n    held = []\n    while True: held.append(open('/tmp/left', 'w'))\n\
def fork():\n    if os.fork() == 0: loop()\n\
def input(): sys.stdin.read()\n\
def sleep(): time.sleep(99)\n\
def main(args):\n\
\x20   marks.append(1)\n    how = args['how']\n\
\x20   if how == 'mark': return {'marks': len(marks), 'left': os.path.exists('/tmp/left')}\n\
\x20   open('/tmp/left', 'w').write('x')\n\
\x20   globals()[how]()\n    return {'done': how}\n";
    functions.survive(
        source,
        &[
            ("close", None),
            ("loop", DEADLINE),
            ("log", DEADLINE),
            ("eat", Some((DEVELOPER_ERROR, "memory limit of 64 MB exceeded"))),
            ("deep", Some((APPLICATION_ERROR, "RecursionError"))),
            ("native", Some((DEVELOPER_ERROR, "SIGSEGV"))),
            ("stack", Some((DEVELOPER_ERROR, "memory limit of 64 MB exceeded"))),
            ("signals", Some((DEVELOPER_ERROR, "SIGTERM"))),
            ("abort", Some((DEVELOPER_ERROR, "SIGABRT"))),
            ("threads", None),
            ("waiting", None),
            ("close_all", Some((DEVELOPER_ERROR, "exited with status"))),
            ("files", Some((DEVELOPER_ERROR, "memory limit of 64 MB exceeded"))),
            ("handles", Some((APPLICATION_ERROR, "OSError"))),
            ("fork", Some((APPLICATION_ERROR, "PermissionError"))),
            ("input", None),
            ("sleep", DEADLINE),
        ],
    );
}

pub fn javascript(functions: Functions) {
    let source = "\
let marks = [];\n\
const deep = () => deep() + 1;\n\
const ways = {\n\
  loop() { for (;;); },\n\
  log() { for (;;) console.log('endless'); },\n\
  eat() { for (const all = [];;) all.push(new Uint8Array(1 << 20).fill(1)); },\n\
  deep,\n\
  promises: () => new Promise(() => {\n\
    const again = () => Promise.resolve().then(again); again(); }),\n\
  timers: () => new Promise(() => setInterval(() => {}, 1)),\n\
  pattern() { /(a+)+$/.test('a'.repeat(60) + 'b'); },\n\
  globals() { for (const name of ['JSON', 'Object', 'Promise']) delete globalThis[name]; },\n\
};\n\
function main({ how }) {\n\
  marks.push(1);\n\
  if (how === 'mark') return { marks: marks.length, left: 'left' in globalThis };\n\
  globalThis.left = true;\n\
  const result = ways[how]();\n\
  return result ?? { done: how };\n\
}\n";
    functions.survive(
        source,
        &[
            ("loop", DEADLINE),
            ("log", DEADLINE),
            ("eat", Some((DEVELOPER_ERROR, "memory limit of 64 MB exceeded"))),
            ("deep", Some((APPLICATION_ERROR, "call stack"))),
            ("promises", Some((DEVELOPER_ERROR, "exceeded"))),
            ("timers", DEADLINE),
            ("pattern", DEADLINE),
            ("globals", None),
        ],
    );
}

/// Where Node differs.
pub fn node(functions: Functions) {
    let source = "\
const fs = require('fs'), { Worker } = require('worker_threads');\n\
let marks = [];\n\
const ways = {\n\
  loop() { for (;;); },\n\
  log() { for (;;) console.log('endless'); },\n\
  eat() { for (const all = [];;) all.push(Buffer.alloc(1 << 20, 1)); },\n\
  close() { for (const fd of [0, 1, 2]) fs.closeSync(fd); },\n\
  abort() { process.abort(); },\n\
  signal: () => new Promise(() => process.kill(process.pid, 'SIGTERM')),\n\
  files() { for (;;) fs.appendFileSync('/tmp/left', Buffer.alloc(1 << 20)); },\n\
  handles() { for (;;) fs.openSync('/tmp/left'); },\n\
  child() { require('child_process').execFileSync('/bin/true'); },\n\
  worker() { new Worker('for (;;);', { eval: true }); },\n\
};\n\
function main({ how }) {\n\
  marks.push(1);\n\
  if (how === 'mark') return { marks: marks.length, left: fs.existsSync('/tmp/left') };\n\
  fs.writeFileSync('/tmp/left', 'x');\n\
  return ways[how]() ?? { done: how };\n\
}\n";
    functions.survive(
        source,
        &[
            ("close", None),
            ("loop", DEADLINE),
            ("log", DEADLINE),
            ("eat", Some((DEVELOPER_ERROR, "memory limit of 64 MB exceeded"))),
            ("abort", Some((DEVELOPER_ERROR, "SIGABRT"))),
            ("signal", Some((DEVELOPER_ERROR, "SIGTERM"))),
            ("files", Some((DEVELOPER_ERROR, "memory limit of 64 MB exceeded"))),
            ("handles", Some((APPLICATION_ERROR, "EMFILE"))),
            ("child", Some((APPLICATION_ERROR, "Error"))),
            ("worker", None),
        ],
    );
}
