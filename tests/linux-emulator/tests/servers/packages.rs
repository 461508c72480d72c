//! Servers in Python and JavaScript out of their registries' packages, packed with what Debian
//! installs.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use xtask::lab::registries;
use xtask::prerequisites::ensure_programs;
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use crate::{Server, emulated, image, request, same};

/// Bytes of a page: files at whole pages are mapped and not copied.
const PAGE: u16 = 4096;
const PYTHON: &str = "/usr/bin/python3.11";
const NODE: &str = "/usr/bin/node";
/// Where the packages are in an archive; on this computer `PACKAGES` says where.
const PACKAGES: &str = "/action/packages";

/// Python's own server, with a thread for each connection.
const HTTP_SERVER: &str = r#"
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    count = 0
    def do_GET(self):
        Handler.count += 1
        body = f"{self.path} {Handler.count} {self.headers['X-Test']}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_HEAD = do_GET
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Set-Cookie", "a=1")
        self.send_header("Set-Cookie", "b=2")
        self.end_headers()
        self.wfile.write(body[::-1])
http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"#;

const FLASK: &str = r#"
import flask, os
app = flask.Flask("app")
@app.route("/")
def page():
    return flask.render_template_string("<p>{{ a }}</p>", a=flask.request.args.get("a"))
@app.route("/form", methods=["POST"])
def form():
    answer = flask.redirect("/there")
    answer.set_cookie("a", flask.request.form["a"])
    return answer
@app.route("/json", methods=["PUT"])
def json():
    return flask.jsonify(got=flask.request.get_json())
@app.route("/stream")
def stream():
    return (f"line {line}\n" for line in range(500))
"#;
const WERKZEUG: &str = "app.run(port=int(os.environ['PORT']))\n";
const WAITRESS: &str = "import waitress\nwaitress.serve(app, port=int(os.environ['PORT']))\n";

/// A process that forks another, which accepts.
const GUNICORN: &str = r#"
from gunicorn.app.base import BaseApplication
class Served(BaseApplication):
    def load_config(self):
        self.cfg.set("bind", "0.0.0.0:" + os.environ["PORT"])
    def load(self):
        return app
Served().run()
"#;

/// What archives with an interpreter of their own take along; asyncio needs it.
const HOSTKERNEL_SERVER: &str = include_str!("../../../../runtimes/python/hostkernel_server.py");

const FASTAPI: &str = r#"
import asyncio, fastapi, os, pydantic, uvicorn
app = fastapi.FastAPI()
class Item(pydantic.BaseModel):
    name: str
    price: float = 1.5
@app.get("/")
async def page(a: int = 0):
    await asyncio.sleep(0.01)
    return {"a": a}
@app.get("/thread")
def thread():
    return "from a thread"
@app.put("/json")
async def json(item: Item):
    return item
uvicorn.run(app, port=int(os.environ["PORT"]))
"#;

const NODE_HTTP: &str = r#"
let count = 0;
require('http').createServer((request, answer) => {
  let body = '';
  request.on('data', part => body += part);
  request.on('end', () => {
    answer.setHeader('Set-Cookie', ['a=1', 'b=2']);
    answer.statusCode = request.method === 'POST' ? 201 : 200;
    answer.end(JSON.stringify({ url: request.url, body, count: ++count % 1 }));
  });
}).listen(process.env.PORT);
"#;

/// Its pages about errors have no paths of this computer in production.
const EXPRESS: &str = r#"
process.env.NODE_ENV = 'production';
const express = require(`${packages}/node_modules/express`);
const app = express();
app.use(express.json());
app.use(express.urlencoded());
app.get('/', (request, answer) => answer.send(`<p>${request.query.a}</p>`));
app.put('/json', (request, answer) => answer.json({ got: request.body }));
app.post('/form', (request, answer) => answer.cookie('a', request.body.a).redirect('/there'));
app.listen(process.env.PORT);
"#;

const FASTIFY: &str = r#"
const app = require(`${packages}/node_modules/fastify`)();
app.get('/', async request => ({ a: request.query.a }));
app.put('/json', async request => ({ got: request.body }));
app.listen({ port: process.env.PORT, host: '0.0.0.0' });
"#;

/// An archive like a file system.
struct Tree(zip::ZipWriter<fs::File>);

impl Tree {
    fn new(path: &Path, script: &str) -> Self {
        let file = fs::File::create(path).expect("a temporary file");
        let mut tree = Self(zip::ZipWriter::new(file));
        tree.add("exec", script.as_bytes(), 0o755);
        tree
    }

    fn add(&mut self, name: &str, bytes: &[u8], mode: u32) {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .with_alignment(PAGE)
            .unix_permissions(mode);
        self.0.start_file(name, options).expect("a file in the archive");
        self.0.write_all(bytes).expect("its bytes");
    }

    /// Adds a file, whatever it is a link to.
    fn take(&mut self, path: &Path, name: &Path) {
        let bytes = fs::read(path).expect("the file is there");
        let mode = fs::metadata(path).expect("the file is there").permissions().mode();
        let name = name.to_str().expect("a name").trim_start_matches('/');
        self.add(name, &bytes, mode & 0o777);
    }

    /// Adds what is in a folder, but for what no server needs.
    fn take_folder(&mut self, path: &Path, name: &Path) {
        const LEFT_OUT: [&str; 5] = ["__pycache__", "test", "idlelib", "lib2to3", ".bin"];
        let entries = fs::read_dir(path).expect("a folder");
        for entry in entries.map(|entry| entry.expect("an entry")) {
            let (path, name) = (entry.path(), name.join(entry.file_name()));
            let is_left_out = LEFT_OUT.map(OsStr::new).contains(&&*entry.file_name());
            match fs::metadata(&path) {
                Ok(_) if is_left_out => {}
                Ok(found) if found.is_dir() => self.take_folder(&path, &name),
                Ok(_) => self.take(&path, &name),
                // A link that leads nowhere.
                Err(_) => {}
            }
        }
    }

    /// Adds the interpreter and the libraries that programs ask for, and those that old packages do
    /// which are empty today.
    fn take_libraries(&mut self, programs: &[PathBuf]) {
        const EMPTY: [&str; 4] = ["libpthread.so.0", "libdl.so.2", "librt.so.1", "libutil.so.1"];
        let output = Command::new("ldd").args(programs).output().expect("ldd is installed");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let words = text.split_whitespace().filter(|word| word.starts_with("/lib"));
        let mut paths: Vec<_> =
            words.filter(|path| !path.ends_with(':')).map(str::to_owned).collect();
        paths.extend(EMPTY.map(|name| format!("/lib/x86_64-linux-gnu/{name}")));
        paths.push("/lib/x86_64-linux-gnu/libgcc_s.so.1".to_owned());
        paths.sort_unstable();
        paths.dedup();
        for path in paths {
            self.take(Path::new(&path), Path::new(&path));
        }
    }

    fn finish(self) {
        self.0.finish().expect("a whole archive");
    }
}

fn python_packages() -> PathBuf {
    registries::python(|text| eprintln!("{text}")).expect("the packages can be had")
}

fn node_packages() -> PathBuf {
    registries::node(|text| eprintln!("{text}")).expect("the packages can be had")
}

/// A server as a script: on this computer, and in an archive with its interpreter.
struct Script {
    folder: TempDir,
    archive: PathBuf,
    server: Server,
}

fn python(script: &str, packages: Option<&Path>) -> Script {
    ensure_programs(&[(PYTHON, "python3.11")], |text| eprintln!("{text}")).expect("Python");
    let start = format!(
        "#!{PYTHON} -I\nimport os, sys\n\
         sys.path.insert(0, os.environ.get('PACKAGES', '{PACKAGES}'))\n"
    );
    let library = Path::new("/usr/lib/python3.11");
    let modules = fs::read_dir(library.join("lib-dynload")).expect("modules in C");
    let modules = modules.map(|entry| entry.expect("an entry").path());
    let programs: Vec<PathBuf> = modules.chain([PathBuf::from(PYTHON)]).collect();
    started(&(start + script), &["-I"], PYTHON, &programs, Some(library), packages)
}

fn node(script: &str, packages: Option<&Path>) -> Script {
    let programs = [(NODE, "nodejs"), ("npm", "npm")];
    ensure_programs(&programs, |text| eprintln!("{text}")).expect("Node");
    let start =
        format!("#!{NODE} --jitless\nconst packages = process.env.PACKAGES || '{PACKAGES}';\n");
    started(&(start + script), &["--jitless"], NODE, &[NODE.into()], None, packages)
}

fn started(
    script: &str,
    options: &[&str],
    interpreter: &str,
    programs: &[PathBuf],
    library: Option<&Path>,
    packages: Option<&Path>,
) -> Script {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("script");
    fs::write(&path, script).expect("a temporary file");
    let mut command = Command::new(interpreter);
    command.args(options).arg(&path);
    let archive = folder.path().join("server.zip");
    let mut tree = Tree::new(&archive, script);
    tree.take(Path::new(interpreter), Path::new(interpreter));
    tree.take_libraries(programs);
    if let Some(library) = library {
        tree.take_folder(library, library);
    }
    if let Some(packages) = packages {
        command.env("PACKAGES", packages);
        tree.take_folder(packages, Path::new(PACKAGES).strip_prefix("/action").expect("it is in"));
    }
    tree.finish();
    Script { folder, archive, server: Server::start(command) }
}

impl Script {
    #[track_caller]
    fn answers(&self, requests: &[(&str, &str, &[&str], &str)]) {
        for (method, target, fields, body) in requests {
            same(&self.server, &self.archive, &[], &request(method, target, fields, body));
        }
    }
}

const JSON: &[&str] = &["Content-Type: application/json"];
const FORM: &[&str] = &["Content-Type: application/x-www-form-urlencoded"];

#[test]
fn python_http_server() {
    image();
    let script = python(HTTP_SERVER, None);
    script.answers(&[("POST", "/x", &[], "some body"), ("BREW", "/x", &[], "")]);
    // Here each request is the first one.
    let second = script.folder.path().join("second");
    fs::write(&second, request("GET", "/b", &["X-Test: 2"], "")).expect("a temporary file");
    let second = second.to_str().expect("a path that is text");
    let first = request("GET", "/a", &["X-Test: 1"], "");
    let run = emulated(&["--at-input", "--call", second], &script.archive, &[], &first);
    let result = String::from_utf8_lossy(&run.result);
    assert!(result.contains("/a 1 1\n") && result.ends_with("/b 1 2\n"), "{result} {}", run.log);
}

#[test]
fn flask_with_three_servers() {
    image();
    let packages = python_packages();
    for serve in [WERKZEUG, WAITRESS, GUNICORN] {
        let script = python(&format!("{FLASK}{serve}"), Some(&packages));
        script.answers(&[
            ("GET", "/?a=%3Cb%3E", &[], ""),
            ("POST", "/form", FORM, "a=1"),
            ("PUT", "/json", JSON, r#"{"name":"you"}"#),
            ("PUT", "/json", JSON, "{"),
            ("GET", "/stream", &[], ""),
            ("GET", "/none", &[], ""),
        ]);
    }
}

#[test]
fn fastapi_with_uvicorn() {
    image();
    let script = format!("{HOSTKERNEL_SERVER}\n{FASTAPI}");
    let script = python(&script, Some(&python_packages()));
    script.answers(&[
        ("GET", "/?a=7", &[], ""),
        ("GET", "/thread", &[], ""),
        ("PUT", "/json", JSON, r#"{"name":"you"}"#),
        ("PUT", "/json", JSON, r#"{"price":1}"#),
        ("GET", "/openapi.json", &[], ""),
        ("DELETE", "/", &[], ""),
    ]);
}

#[test]
fn node_http() {
    image();
    node(NODE_HTTP, None).answers(&[("GET", "/a?b=c", &[], ""), ("POST", "/", &[], "some body")]);
}

#[test]
fn express_and_fastify() {
    image();
    let packages = node_packages();
    node(EXPRESS, Some(&packages)).answers(&[
        ("GET", "/?a=1", &[], ""),
        ("PUT", "/json", JSON, r#"{"name":"you"}"#),
        ("PUT", "/json", JSON, "{"),
        ("POST", "/form", FORM, "a=1"),
        ("GET", "/none", &[], ""),
    ]);
    node(FASTIFY, Some(&packages)).answers(&[
        ("GET", "/?a=1", &[], ""),
        ("PUT", "/json", JSON, r#"{"name":"you"}"#),
        ("PUT", "/json", JSON, "{"),
        ("GET", "/none", &[], ""),
    ]);
}

#[test]
fn axum_with_hyper_and_tokio() {
    image();
    let program = registries::axum_server(|text| eprintln!("{text}")).expect("it can be compiled");
    let server = Server::start(Command::new(&program));
    for (method, target, fields, body) in [
        ("GET", "/?a=%20b", &[][..], ""),
        ("PUT", "/json", JSON, r#"{"name":"you"}"#),
        ("PUT", "/json", JSON, "{"),
        ("POST", "/form", FORM, "to=/there"),
        ("GET", "/none", &[], ""),
        ("DELETE", "/", &[], ""),
        ("HEAD", "/", &[], ""),
    ] {
        same(&server, &program, &[], &request(method, target, fields, body));
    }
}
