//! Functions in source code of several tenants beside each other: every call leaves marks wherever
//! it can (globals, modules, files, environment, memory), and looks for those of others.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use hk::{Client, DeployOptions, GUEST_KEY};
use serde_json::json;

use super::Find;
use super::books::Books;
use super::random::Random;
use crate::qemu::Node;
use crate::runtime::Language;

/// The namespaces, each with its key.
const TENANTS: [(&str, &str); 4] =
    [("guest", GUEST_KEY), ("north", "n:k"), ("south", "s:k"), ("west", "w:k")];
const ADMIN_KEY: &str = "a:k";
/// Functions of each language that a tenant has.
const FUNCTIONS: [(&Flavour, usize); 3] = [(&PYTHON, 4), (&QUICKJS, 4), (&NODEJS, 2)];
/// Clients at the same time.
const CLIENTS: u64 = 8;
/// Calls of each function before the books are read.
const CALLS_WARM: u64 = 20;
/// Pages that a call fills with its mark.
const MARKED_LEN: usize = 1 << 18;
/// How long an interpreter may take to start, emulated, on a busy computer.
const RUNTIME_TIMEOUT: Duration = Duration::from_secs(330);

/// A language, and a function in it that is to be told `WHO` it is.
struct Flavour {
    language: Language,
    /// What is written before and behind the function's own name.
    declares: [&'static str; 2],
    source: &'static str,
}

const PYTHON: Flavour = Flavour {
    language: Language::Python,
    declares: ["WHO = '", "'\n"],
    source: "\
import mmap, os, sys\n\
marks = []\n\
def main(args):\n\
\x20   mark = 'MARK' + args['mark']\n\
\x20   names = [*os.environ, *dir(sys), *sys.modules]\n\
\x20   found = marks + os.listdir('/tmp') + [it for it in names if it.startswith('MARK')]\n\
\x20   pages = mmap.mmap(-1, LEN)\n\
\x20   found += ['memory'] if pages.find(b'MARK') >= 0 else []\n\
\x20   pages.write(mark.encode() * (LEN // len(mark)))\n\
\x20   marks.append(mark)\n\
\x20   setattr(sys, mark, mark)\n\
\x20   sys.modules[mark] = sys\n\
\x20   os.environ[mark] = mark\n\
\x20   with open('/tmp/' + mark, 'w') as file: file.write(mark)\n\
\x20   return {'found': found, 'who': WHO, 'mark': args['mark']}\n",
};

const QUICKJS: Flavour = Flavour {
    language: Language::JavaScript,
    declares: ["const WHO = '", "';\n"],
    source: "\
const marks = [];\n\
function main(args) {\n\
  const mark = 'MARK' + args.mark;\n\
  const names = [globalThis, process.env, Array.prototype].flatMap(Object.keys);\n\
  const found = [...marks, ...names.filter((it) => it.startsWith('MARK'))];\n\
  const pages = new Uint8Array(LEN);\n\
  if (pages.some((it) => it !== 0)) found.push('memory');\n\
  pages.fill(77);\n\
  marks.push(mark); globalThis[mark] = mark; process.env[mark] = mark;\n\
  Array.prototype[mark] = mark;\n\
  return { found, who: WHO, mark: args.mark };\n\
}\n",
};

const NODEJS: Flavour = Flavour {
    language: Language::NodeJs,
    declares: ["const WHO = '", "';\n"],
    source: "\
const fs = require('fs');\n\
const marks = [];\n\
function main(args) {\n\
  const mark = 'MARK' + args.mark;\n\
  const names = [...Object.keys(globalThis), ...Object.keys(process.env)];\n\
  names.push(...Object.keys(require.cache));\n\
  const found = [...marks, ...names.filter((it) => it.startsWith('MARK'))];\n\
  found.push(...fs.readdirSync('/tmp'));\n\
  const pages = Buffer.allocUnsafeSlow(LEN);\n\
  if (pages.includes('MARK')) found.push('memory');\n\
  pages.fill(mark);\n\
  marks.push(mark); globalThis[mark] = mark; process.env[mark] = mark; require.cache[mark] = fs;\n\
  fs.writeFileSync(`/tmp/${mark}`, mark);\n\
  return { found, who: WHO, mark: args.mark };\n\
}\n",
};

/// Words of the kernel's command line by which a node knows the tenants.
#[must_use]
pub fn kernel_words() -> String {
    let others =
        TENANTS[1..].iter().map(|(name, key)| format!(" hostkernel.namespace={name},key={key}"));
    let words = format!("hostkernel.auth={GUEST_KEY} hostkernel.admin_key={ADMIN_KEY}");
    others.fold(words, |words, other| words + &other)
}

/// A function that was deployed.
struct Function {
    client: Client,
    name: String,
    /// What it says of itself.
    who: String,
}

/// Calls functions so often in all, and returns what the node has before and after.
///
/// `say` hears what is about to be built, and `progress` the number of calls so far.
///
/// # Errors
/// The first [`Find`], with the seed and the number of the client.
pub fn run(
    node: &Node,
    seed: u64,
    calls: u64,
    say: impl Fn(&str),
    progress: impl Fn(u64) + Sync,
) -> Result<Books, Find> {
    let client = Client::new(&format!("http://{}", node.address())).with_timeout(RUNTIME_TIMEOUT);
    let admin = client.clone().with_key(ADMIN_KEY);
    let mut functions = Vec::new();
    for (flavour, count) in FUNCTIONS {
        let archive = flavour.language.ready(&say).map_err(find)?;
        let archive = fs::read(archive).map_err(find)?;
        admin.install_runtime(&flavour.language.kind(), &archive).map_err(find)?;
        for (tenant, key) in TENANTS {
            let client = client.clone().with_key(key);
            for number in 0..count {
                functions.push(flavour.deploy(&client, tenant, number)?);
            }
        }
    }
    let warm = CALLS_WARM * functions.len() as u64;
    call_all(&functions, seed.wrapping_add(1), warm, &|_| {})?;
    let before = Books::at_rest(node)?;
    call_all(&functions, seed, calls, &progress)?;
    before.wait_for(node)?;
    Ok(before)
}

impl Flavour {
    fn deploy(&self, client: &Client, tenant: &str, number: usize) -> Result<Function, Find> {
        let kind = self.language.kind();
        let name = format!("{}-{number}", kind.split(':').next().unwrap_or_default());
        let who = format!("{tenant}/{name}");
        let [before, behind] = self.declares;
        let source = self.source.replace("LEN", &MARKED_LEN.to_string());
        let source = format!("{before}{who}{behind}{source}");
        let options =
            DeployOptions { kind: Some(kind), memory_mb: Some(64), ..DeployOptions::default() };
        client
            .deploy(&name, source.as_bytes(), &options)
            .map_err(|error| find(error).during(&format!("deploying {who}")))?;
        Ok(Function { client: client.clone(), name, who })
    }
}

impl Function {
    fn call(&self, mark: &str) -> Result<(), Find> {
        let done = self.client.invoke(&self.name, &json!({ "mark": mark })).map_err(find)?;
        let result = done.activation.response.result;
        let expected = json!({ "found": [], "who": self.who, "mark": mark });
        if result == expected {
            return Ok(());
        }
        Err(Find::new(format!("the result is {result}")))
    }
}

/// So many calls of functions that are drawn from a seed, from several clients.
fn call_all(
    functions: &[Function],
    seed: u64,
    calls: u64,
    progress: &(impl Fn(u64) + Sync),
) -> Result<(), Find> {
    let done = AtomicU64::new(0);
    let client = |number: u64| {
        let mut random = Random::of_case(seed, number);
        for call in 0..calls.div_ceil(CLIENTS) {
            let function = random.pick(functions);
            let mark = format!("-{seed}-{number}-{call}");
            function.call(&mark).map_err(|found| {
                found.during(&format!("seed {seed}, client {number}, {}", function.who))
            })?;
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
        }
        Ok(())
    };
    let client = &client;
    thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CLIENTS).map(|number| scope.spawn(move || client(number))).collect();
        clients
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| Find::new("a client panicked"))?)
    })
}

fn find(error: impl std::fmt::Display) -> Find {
    Find::new(error.to_string())
}
