//! Web servers on a node's runtimes, with the packages that their registries have: no archive
//! carries an interpreter, each request is answered by a process of its own, and what two of them
//! may not have in common they do not.

use std::collections::BTreeSet;

use system_tests::{Response, events};
use xtask::lab::registries::{self, NODE_MODULES, VIRTUALENV};

use super::*;

/// Each says in JSON what of `a` it was asked, how many it has served, and what it drew.
const FLASK: &str = r#"
import flask, itertools, os, random, secrets, time
app, served = flask.Flask("app"), []
early = random.random()
@app.route("/", methods=["GET", "POST"])
def page():
    served.append(1)
    return {"a": flask.request.values["a"], "served": len(served), "early": early,
            "pid": os.getpid(), "random": random.random(), "secret": secrets.token_hex(8),
            "id": os.environ["__OW_ACTIVATION_ID"]}
@app.route("/events")
def events():
    def each():
        for number in itertools.count(1):
            yield f"data: {number}\n\n"
            time.sleep(0.005)
    return flask.Response(each(), mimetype="text/event-stream")
app.run(port=int(os.environ["PORT"]))
"#;

const FASTAPI: &str = r#"
import asyncio, fastapi, fastapi.responses, itertools, os, random, secrets, uvicorn
app, served = fastapi.FastAPI(), []
early = random.random()
@app.get("/")
async def page(a: str):
    served.append(1)
    await asyncio.sleep(0.001)
    running = await asyncio.get_running_loop().run_in_executor(None, lambda: "thread")
    return {"a": a, "served": len(served), "early": early, "pid": os.getpid(),
            "random": random.random(), "secret": secrets.token_hex(8), "running": running,
            "id": os.environ["__OW_ACTIVATION_ID"]}
@app.get("/events")
async def events():
    async def each():
        for number in itertools.count(1):
            yield f"data: {number}\n\n"
            await asyncio.sleep(0.005)
    return fastapi.responses.StreamingResponse(each(), media_type="text/event-stream")
uvicorn.run(app, port=int(os.environ["PORT"]))
"#;

/// As `npm start` would run it; what it exports is callable, and no function for all that.
const EXPRESS: &str = r#"
const express = require('express'), crypto = require('crypto');
const app = express(), early = Math.random();
let served = 0;
app.use(express.urlencoded());
app.all('/', (request, answer) => answer.json({
  a: (request.body ?? request.query).a, served: ++served, early, pid: process.pid,
  random: Math.random(), secret: crypto.randomUUID(), id: process.env.__OW_ACTIVATION_ID }));
app.get('/events', (request, answer) => {
  let number = 0;
  answer.type('text/event-stream');
  const timer = setInterval(() => answer.write(`data: ${++number}\n\n`), 5);
  answer.on('close', () => clearInterval(timer));
});
if (require.main === module) app.listen(process.env.PORT);
module.exports = app;
"#;

const FASTIFY: &str = r#"
const app = require('fastify')(), crypto = require('crypto');
const early = Math.random();
let served = 0;
app.get('/', async (request) => ({
  a: request.query.a, served: ++served, early, pid: process.pid,
  random: Math.random(), secret: crypto.randomBytes(8).toString('hex'),
  id: process.env.__OW_ACTIVATION_ID }));
app.listen({ port: process.env.PORT, host: '0.0.0.0' });
"#;

impl Functions {
    #[track_caller]
    pub fn serve(self, name: &str, code: &[u8]) {
        let target = format!("{name}?memory=128&timeout=60000&overwrite=true&kind={}", self.kind);
        let answer = deploy_raw(&self.node(), &target, code);
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        let frozen = &answer.json()["annotations"];
        assert!(frozen.to_string().contains(r#""at":"accept""#), "{name}: {frozen}");
    }

    /// Asks a server some times, and sees that each answer is that of a fresh process.
    #[track_caller]
    fn answers_afresh(self, name: &str) {
        let node = self.node();
        let ask = |number: usize| node.get(&format!("/function/{name}/?a={number}"));
        let answers: Vec<Value> =
            (0..4).map(|number| checked(name, number, &ask(number))).collect();
        for (field, count) in
            [("early", 1), ("pid", 4), ("random", 4), ("secret", 4), ("id", 4), ("served", 1)]
        {
            let values: BTreeSet<_> = answers.iter().map(|it| it[field].to_string()).collect();
            assert_eq!(values.len(), count, "{name}: {field} of {answers:?}");
        }
    }
}

#[track_caller]
fn checked(name: &str, number: usize, answer: &Response) -> Value {
    assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    let json = answer.json();
    assert_eq!((&json["a"], &json["served"]), (&json!(number.to_string()), &json!(1)), "{json}");
    json
}

pub fn ready<T>(packages: Result<T, xtask::lab::LabError>) -> T {
    packages.unwrap_or_else(|error| panic!("{error}"))
}

pub fn python(functions: Functions) {
    let packages = ready(registries::python(|doing| println!("{doing}")));
    for (name, source) in [("flask", FLASK), ("fastapi", FASTAPI)] {
        let code = ready(registries::archive(&[("__main__.py", source)], &packages, VIRTUALENV));
        functions.serve(name, &code);
        functions.answers_afresh(name);
        events::read_some_and_leave(&functions.node(), name, "/events");
    }
    warms_up(
        functions,
        "\
import http.server, os
class Page(http.server.BaseHTTPRequestHandler):
    served = 0
    def do_GET(self):
        Page.served += 1
        self.send_response(200 if self.path == '/' else 404)
        self.end_headers()
        self.wfile.write(str(Page.served).encode())
http.server.HTTPServer(('', int(os.environ['PORT'])), Page).serve_forever()
",
    );
}

/// A server that counts what it served has served before, if it is asked to; and each request finds
/// it so.
#[track_caller]
fn warms_up(functions: Functions, source: &str) {
    let deploy = |name: &str, path: &str, source: &str| {
        let document = json!({ "exec": { "kind": functions.kind, "code": source },
            "annotations": [{ "key": "warm", "value": path }],
            "limits": { "memory": 128, "timeout": 60_000 } });
        deploy_json(&functions.node(), &format!("{name}?overwrite=true"), &document)
    };
    let answer = deploy("warm", "/", source);
    assert_eq!(answer.status, 200, "{}", answer.text());
    for _ in 0..3 {
        assert_eq!(functions.node().get("/function/warm/").text(), "17");
    }
    let text = error(&deploy("cold", "/nowhere?a=b", source));
    let reason = "GET /nowhere?a=b, which is to warm the server up, was answered with status 404";
    assert!(text.contains(reason), "{text}");
    let text = error(&deploy("cold", "nowhere", source));
    assert!(text.contains("'warm' is a path that begins with '/'"), "{text}");
    assert_eq!(functions.node().get("/function/cold/").status, 404);
}

pub fn node(functions: Functions) {
    let packages = ready(registries::node(|doing| println!("{doing}"))).join(NODE_MODULES);
    let started =
        [("server.js", EXPRESS), ("package.json", r#"{"scripts":{"start":"node server"}}"#)];
    for (name, files) in [("express", &started[..]), ("fastify", &[("index.js", FASTIFY)])] {
        functions.serve(name, &ready(registries::archive(files, &packages, NODE_MODULES)));
        functions.answers_afresh(name);
    }
    events::read_some_and_leave(&functions.node(), "express", "/events");
    warms_up(
        functions,
        r"let served = 0; require('http').createServer((request, answer) => {
        answer.statusCode = request.url === '/' ? 200 : 404; answer.end(`${++served}`);
        }).listen(process.env.PORT)",
    );
    // Source text will do where nothing else is needed.
    let source = "require('http').createServer((request, answer) => answer.end(request.url)) \
                  .listen(process.env.PORT)";
    functions.serve("plain", source.as_bytes());
    assert_eq!(functions.node().get("/function/plain/x?y=z").text(), "/x?y=z");
    let text = functions.refused("bad", b"setTimeout(() => {}, 1)");
    assert!(text.contains("The code has no function 'main'."), "{text}");
}
