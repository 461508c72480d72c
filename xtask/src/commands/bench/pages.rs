//! Pages by web servers on a node's runtimes: what a request costs, for each of which there is a
//! process of its own.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use xtask::connection::{ACTIONS, AUTHORIZATION};
use xtask::lab::registries::{self, NODE_MODULES, VIRTUALENV};
use xtask::lab::{Call, Count, LabError};
use xtask::runtime::Language;

use super::laboratory::Laboratory;
use super::machine::{JSON, OCTETS, Running, SECOND, annotation, send};
use super::recorder::{Figure, Recorder};
use crate::progress::say;

/// Builds a program, and tells whoever waits what is done.
type Build = fn(fn(&str)) -> Result<PathBuf, LabError>;

/// A server that is compiled, by what builds it, and what it is asked.
struct Compiled {
    name: &'static str,
    build: Build,
    call: &'static str,
    answer: &'static [u8],
}

const PROGRAMS: [Compiled; 2] = [
    Compiled {
        name: "net-http",
        build: |say| registries::go_server(say),
        call: "POST",
        answer: b"{\"hello\":\"you\"}\n",
    },
    Compiled {
        name: "axum",
        build: |say| registries::axum_server(say),
        call: "PUT",
        answer: br#"{"got":{"name":"you"}}"#,
    },
];

/// How long after a deploy servers are asked. Their timers that were set before are due then, as in
/// nearly every request that anybody makes: Node.js closes idle connections each 30 seconds.
pub const LATER: Duration = Duration::from_secs(35);

const INIT: [&str; 2] = ["init", "input"];
const WARM_UP: [&str; 2] = ["warm", "/"];
const COLD: &str = "a page, without network";
/// The same by a server that has answered before it was frozen.
const WARM: &str = "a page, warmed up, without network";

/// A server with a page that greets.
struct Server {
    language: Language,
    name: &'static str,
    /// The file that is run, and what is in it.
    program: (&'static str, &'static str),
}

const SERVERS: [Server; 4] = [
    Server {
        language: Language::Python,
        name: "Flask",
        program: (
            "__main__.py",
            "import flask, os\napp = flask.Flask('app')\n\
             @app.get('/')\ndef page(): return 'Hello, you!'\n\
             app.run(port=int(os.environ['PORT']))\n",
        ),
    },
    Server {
        language: Language::Python,
        name: "FastAPI",
        program: (
            "__main__.py",
            "import fastapi, os, uvicorn\napp = fastapi.FastAPI()\n\
             @app.get('/')\nasync def page(): return fastapi.Response('Hello, you!')\n\
             uvicorn.run(app, port=int(os.environ['PORT']))\n",
        ),
    },
    Server {
        language: Language::NodeJs,
        name: "Express",
        program: (
            "server.js",
            "const app = require('express')();\n\
             app.get('/', (request, answer) => answer.send('Hello, you!'));\n\
             app.listen(process.env.PORT);\n",
        ),
    },
    Server {
        language: Language::NodeJs,
        name: "Fastify",
        program: (
            "server.js",
            "const app = require('fastify')();\n\
             app.get('/', async () => 'Hello, you!');\n\
             app.listen({ port: process.env.PORT, host: '0.0.0.0' });\n",
        ),
    },
];

/// Fetches the packages of all servers, and compiles those that are programs.
pub fn prepare() -> Result<()> {
    SERVERS.iter().try_for_each(|server| server.packages().map(drop))?;
    Ok(PROGRAMS.iter().try_for_each(|program| (program.build)(say).map(drop))?)
}

/// Measures the servers that are programs of their own.
pub fn programs(node: &Running, laboratory: &Laboratory, recorder: &mut Recorder) -> Result<()> {
    for Compiled { name, build, call, answer } in PROGRAMS {
        let program = build(say)?;
        let file = fs::read(&program).with_context(|| program.display().to_string())?;
        let target = format!("{ACTIONS}/{name}?overwrite=true&code=false&memory=64");
        send(node, &Call::new("PUT", &target, &[AUTHORIZATION, OCTETS], &file))?;
        for (figure, [key, value]) in [(COLD, INIT), (WARM, WARM_UP)] {
            send(node, &annotation(name, key, value))?;
            let target = format!("/function/{name}/json");
            let page = Call::new(call, &target, &[JSON], br#"{"name":"you"}"#).expecting(answer);
            recorder.add_count(Figure::new(name, figure), page_by(node, &page, laboratory)?);
        }
    }
    Ok(())
}

/// Instructions of a page, by the core that does nothing else.
fn page_by(node: &Running, page: &Call, laboratory: &Laboratory) -> Result<Count> {
    thread::sleep(LATER);
    let figures = node.count_calls(laboratory.short_plan(), page)?;
    figures.median_round().get(SECOND).copied().context("a node with two cores has a second")
}

/// Measures the servers in a language on a node that has its runtime.
pub fn run(
    language: Language,
    node: &Running,
    laboratory: &Laboratory,
    recorder: &mut Recorder,
) -> Result<()> {
    for server in SERVERS.iter().filter(|server| server.language == language) {
        server.deploy(node)?;
        recorder.add_count(Figure::new(server.name, COLD), server.page(node, laboratory)?);
        let [key, value] = WARM_UP;
        send(node, &annotation(server.name, key, value))?;
        recorder.add_count(Figure::new(server.name, WARM), server.page(node, laboratory)?);
    }
    Ok(())
}

impl Server {
    /// The folder with its packages, and where those are in an archive.
    fn packages(&self) -> Result<(PathBuf, &'static str), LabError> {
        match self.language {
            Language::Python => Ok((registries::python(say)?, VIRTUALENV)),
            _ => Ok((registries::node(say)?.join(NODE_MODULES), NODE_MODULES)),
        }
    }

    fn page(&self, node: &Running, laboratory: &Laboratory) -> Result<Count> {
        let target = format!("/function/{}/", self.name);
        page_by(node, &Call::new("GET", &target, &[], b"").expecting(b"Hello, you!"), laboratory)
    }

    fn deploy(&self, node: &Running) -> Result<()> {
        let (packages, at) = self.packages()?;
        let archive = registries::archive(&[self.program], &packages, at)?;
        let kind = self.language.kind();
        let path =
            format!("{ACTIONS}/{}?kind={kind}&overwrite=true&code=false&memory=128", self.name);
        Ok(send(node, &Call::new("PUT", &path, &[AUTHORIZATION, OCTETS], &archive))?)
    }
}
