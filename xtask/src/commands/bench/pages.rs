//! Pages by web servers on a node's runtimes: what a request costs, for each of which there is a
//! process of its own.

use std::path::PathBuf;

use anyhow::{Context, Result};
use xtask::connection::{ACTIONS, AUTHORIZATION};
use xtask::lab::registries::{self, NODE_MODULES, VIRTUALENV};
use xtask::lab::{Call, LabError};
use xtask::runtime::Language;

use super::laboratory::Laboratory;
use super::machine::{OCTETS, Running, SECOND, send};
use super::recorder::{Figure, Recorder};
use crate::progress::say;

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

/// Measures the servers in a language on a node that has its runtime.
pub fn run(
    language: Language,
    node: &Running,
    laboratory: &Laboratory,
    recorder: &mut Recorder,
) -> Result<()> {
    for server in SERVERS.iter().filter(|server| server.language == language) {
        server.deploy(node)?;
        let page = Call::new("GET", &format!("/function/{}/", server.name), &[], b"")
            .expecting(b"Hello, you!");
        let figures = node.count_calls(laboratory.short_plan(), &page)?;
        let worker = figures.median_round().get(SECOND).copied();
        let worker = worker.context("a node with two cores has a second")?;
        recorder.add_count(Figure::new(server.name, "a page, without network"), worker);
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

    fn deploy(&self, node: &Running) -> Result<()> {
        let (packages, at) = self.packages()?;
        let archive = registries::archive(&[self.program], &packages, at)?;
        let kind = self.language.kind();
        let path =
            format!("{ACTIONS}/{}?kind={kind}&overwrite=true&code=false&memory=128", self.name);
        Ok(send(node, &Call::new("PUT", &path, &[AUTHORIZATION, OCTETS], &archive))?)
    }
}
