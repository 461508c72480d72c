//! What the launcher asks the process for.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::process;
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use rquickjs::context::EvalOptions;
use rquickjs::{Ctx, Error, Function, Object, TypedArray, Value};

/// Read at a time at first. A call touches as many pages.
const CHUNK: usize = 16 * 1024;
/// With less room than this the library would read ahead, into a buffer in between.
const ROOM_MIN: usize = 8 * 1024;
/// Where the result goes: a file by that name, since a descriptor by number is nobody's. It is
/// opened once, before the process is frozen.
static RESULT: LazyLock<Option<File>> =
    LazyLock::new(|| File::options().write(true).open("/proc/self/fd/3").ok());
const RANDOM: &str = "/dev/urandom";
const ENVIRONMENT: &str = "/proc/self/environ";

/// The object with all of it.
pub fn object<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>, Error> {
    LazyLock::force(&RESULT);
    let native = Object::new(ctx.clone())?;
    native.set("line", Function::new(ctx.clone(), || text(line()))?)?;
    native.set("input", Function::new(ctx.clone(), || text(input()))?)?;
    native.set("out", Function::new(ctx.clone(), |text: String| out(&text))?)?;
    native.set("log", Function::new(ctx.clone(), |text: String| log(&text))?)?;
    native.set("result", Function::new(ctx.clone(), |text: String| result(&text))?)?;
    native.set("exit", Function::new(ctx.clone(), exit)?)?;
    native.set("readFile", Function::new(ctx.clone(), |path: String| read_file(&path))?)?;
    let is_file = |path: String| Path::new(&path).is_file();
    native.set("isFile", Function::new(ctx.clone(), is_file)?)?;
    native.set("environment", Function::new(ctx.clone(), || read_file(ENVIRONMENT))?)?;
    native.set("random", Function::new(ctx.clone(), random)?)?;
    let start = Instant::now();
    let now = move || start.elapsed().as_secs_f64() * 1e3;
    native.set("now", Function::new(ctx.clone(), now)?)?;
    native.set("sleep", Function::new(ctx.clone(), sleep)?)?;
    native.set("encode", Function::new(ctx.clone(), encode)?)?;
    native.set("decode", Function::new(ctx.clone(), decode)?)?;
    native.set("evaluate", Function::new(ctx.clone(), evaluate)?)?;
    Ok(native)
}

/// One line of standard input. Nobody sends what is behind it before it was read.
fn line() -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut chunk = vec![0; CHUNK];
    while line.last() != Some(&b'\n') {
        let len = read(&mut chunk)?;
        if len == 0 {
            break;
        }
        line.extend_from_slice(&chunk[..len]);
    }
    Ok(line)
}

/// Standard input up to its end.
fn input() -> io::Result<Vec<u8>> {
    let mut input = vec![0; CHUNK];
    let mut len = 0;
    loop {
        let more = read(&mut input[len..])?;
        if more == 0 {
            input.truncate(len);
            return Ok(input);
        }
        len += more;
        if input.len() < len + ROOM_MIN {
            input.resize(2 * input.len(), 0);
        }
    }
}

fn read(into: &mut [u8]) -> io::Result<usize> {
    io::stdin().lock().read(into)
}

fn text(bytes: io::Result<Vec<u8>>) -> Option<String> {
    let text = String::from_utf8(bytes.ok()?);
    Some(text.unwrap_or_else(|broken| String::from_utf8_lossy(broken.as_bytes()).into_owned()))
}

fn out(text: &str) {
    // A descriptor that the function closed has nothing more to say.
    let _closed = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
}

fn log(text: &str) {
    let _closed = io::stderr().write_all(text.as_bytes());
}

fn result(text: &str) -> bool {
    RESULT.as_ref().is_some_and(|mut file| file.write_all(text.as_bytes()).is_ok())
}

fn exit(status: i32) {
    process::exit(status);
}

fn read_file(path: &str) -> Option<String> {
    text(fs::read(path))
}

fn random(len: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; len];
    File::open(RANDOM).and_then(|mut file| file.read_exact(&mut bytes)).ok()?;
    Some(bytes)
}

fn sleep(ms: f64) {
    thread::sleep(Duration::from_secs_f64((ms / 1e3).clamp(0.0, 1e9)));
}

fn encode(ctx: Ctx<'_>, text: String) -> Result<TypedArray<'_, u8>, Error> {
    TypedArray::new(ctx, text.into_bytes())
}

fn decode(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Runs a script, in sloppy mode, as the language has it.
fn evaluate<'js>(ctx: Ctx<'js>, source: String, name: String) -> Result<Value<'js>, Error> {
    let mut options = EvalOptions::default();
    options.strict = false;
    options.filename = Some(name);
    ctx.eval_with_options(source, options)
}
