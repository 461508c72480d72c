//! The requests.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use ureq::http::Method;

use crate::transport::{Answer, Patience, Transport, Upload, basic, encode};
use crate::{Action, Activation, Error, Invocation, Language, Metrics, Selection, Summary};
use crate::{Timing, Variable};

/// The public key of every development node. Not a secret: the node warns while it is in use.
pub const GUEST_KEY: &str = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502:\
    123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP";

/// How long the end of an invocation is waited for, unless set otherwise: the longest an action may
/// run, and some air.
const INVOCATION_TIMEOUT: Duration = Duration::from_secs(330);
/// Pauses between two looks for the record of an invocation that takes long: the first, the last.
const LOOK_PAUSE: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(2)];
/// The namespace of whoever has the key.
const OWN_NAMESPACE: &str = "_";

/// A connection to one node. Cloning it is cheap and shares the open connections.
#[derive(Clone, Debug)]
pub struct Client {
    transport: Transport,
    namespace: String,
}

/// What can be said about an action when it is deployed.
#[derive(Clone, Debug)]
pub struct DeployOptions {
    /// Replace an action of the same name; refused with 409 otherwise.
    pub overwrite: bool,
    /// What the code is, such as `python:3`; found out by the node if absent.
    pub kind: Option<String>,
    /// Name of the function in source code; `main` if absent.
    pub main: Option<String>,
    /// Time limit of an invocation in milliseconds; the node's default if absent.
    pub timeout_ms: Option<u64>,
    /// Memory limit of an invocation in MB; the node's default if absent.
    pub memory_mb: Option<u64>,
    /// Bound parameters: what every input holds unless it says otherwise.
    pub parameters: Map<String, Value>,
    /// Annotations, such as `web-export`.
    pub annotations: Map<String, Value>,
    /// Environment variables, secrets too; those that are not named stay as they are.
    pub environment: Vec<Variable>,
}

impl Default for DeployOptions {
    fn default() -> Self {
        Self {
            overwrite: true,
            kind: None,
            main: None,
            timeout_ms: None,
            memory_mb: None,
            parameters: Map::new(),
            annotations: Map::new(),
            environment: Vec::new(),
        }
    }
}

impl DeployOptions {
    /// What only a document has room for. What is not mentioned stays as it is.
    fn rest(&self) -> Map<String, Value> {
        let mut rest = Map::new();
        for (name, values) in [("parameters", &self.parameters), ("annotations", &self.annotations)]
        {
            if !values.is_empty() {
                rest.insert(name.to_owned(), key_values(values));
            }
        }
        if !self.environment.is_empty() {
            rest.insert("environment".to_owned(), json!(self.environment));
        }
        rest
    }
}

/// Whether a text is a file that happens to be one: a zip archive or a program.
fn is_file(text: &str) -> bool {
    text.starts_with("PK\u{3}\u{4}") || text.starts_with("\u{7f}ELF")
}

/// Code for a document: source text as it is, everything else in base64.
fn code(code: &[u8], options: &DeployOptions) -> String {
    match str::from_utf8(code) {
        Ok(text) if options.kind.is_some() && !is_file(text) => text.to_owned(),
        _ => BASE64_STANDARD.encode(code),
    }
}

/// The answer to a call of `/function/NAME`, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// The id under which the node keeps the record.
    pub activation_id: Option<String>,
    /// Where the time went.
    pub timing: Timing,
    /// Content type.
    pub content_type: Option<String>,
    /// The action's output as it is.
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    /// A client with the public development key for the node at, say, `http://127.0.0.1:3233`,
    /// or `10.0.0.5:3233`.
    #[must_use]
    pub fn new(base_url: &str) -> Self {
        Self { transport: Transport::new(base_url, GUEST_KEY), namespace: OWN_NAMESPACE.to_owned() }
    }

    /// Uses another key, in the form `user:password`.
    #[must_use]
    pub fn with_key(mut self, key: &str) -> Self {
        self.transport.authorization = basic(key);
        self
    }

    /// Uses another namespace than the one of the key.
    #[must_use]
    pub fn with_namespace(mut self, namespace: &str) -> Self {
        self.namespace = encode(namespace);
        self
    }

    /// Bounds the time of each request, and that until an invocation has ended. Without it silence
    /// ends a request: of 30 s, or of what the longest action takes where one runs.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.transport.timeout = Some(timeout);
        self
    }

    /// Bounds the time until a connection is open; otherwise 10 s.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.transport.connect_timeout = timeout;
        self
    }

    /// Where the node is, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.transport.base_url
    }

    /// Deploys an ELF file, or a zip archive with one, under a name.
    ///
    /// # Errors
    /// [`Error::Refused`] with the node's reason if it is not an image it can run.
    pub fn deploy(
        &self,
        name: &str,
        code: &[u8],
        options: &DeployOptions,
    ) -> Result<Action, Error> {
        self.deploy_watched(name, code, options, &mut |_, _| {})
    }

    /// Like [`deploy`](Self::deploy); `progress` hears how many bytes are sent, and of how many.
    ///
    /// # Errors
    /// See [`deploy`](Self::deploy).
    pub fn deploy_watched(
        &self,
        name: &str,
        code: &[u8],
        options: &DeployOptions,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Action, Error> {
        let limits = [("timeout", options.timeout_ms), ("memory", options.memory_mb)];
        let limits = limits.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let exec = [("kind", &options.kind), ("main", &options.main)];
        let exec = exec.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        let mut path = format!("{}?overwrite={}", self.action_path(name), options.overwrite);
        let mut rest = options.rest();
        let document;
        let (content_type, bytes) = if rest.is_empty() {
            for (limit, value) in limits {
                path.push_str(&format!("&{limit}={value}"));
            }
            for (name, value) in exec {
                path.push_str(&format!("&{name}={}", encode(value)));
            }
            ("application/octet-stream", code)
        } else {
            path.push_str("&code=false");
            // Only the document has room for them; it costs a third more bytes.
            let mut exec: Map<_, _> =
                exec.map(|(name, value)| (name.to_owned(), json!(value))).collect();
            exec.insert("code".to_owned(), self::code(code, options).into());
            rest.insert("exec".to_owned(), exec.into());
            let limits = limits.map(|(name, value)| (name.to_owned(), json!(value)));
            rest.insert("limits".to_owned(), limits.collect::<Map<_, _>>().into());
            document = Value::Object(rest).to_string();
            ("application/json", document.as_bytes())
        };
        let total = bytes.len() as u64;
        let progress = &mut |sent| progress(sent, total);
        let upload = Upload { content_type, bytes, progress };
        self.transport.send(Method::PUT, &path, Some(upload), Patience::Action)?.accept()
    }

    /// Changes environment variables of an action; those that are not named stay as they are.
    ///
    /// # Errors
    /// [`Error::Refused`] with status 404 if there is no action of this name.
    pub fn set_environment(&self, name: &str, variables: &[Variable]) -> Result<Action, Error> {
        // Somebody who mistypes a name should not hear that it lacks code.
        self.get(name)?;
        let path = format!("{}?overwrite=true&code=false", self.action_path(name));
        let document = json!({ "environment": variables }).to_string();
        let (content_type, bytes) = ("application/json", document.as_bytes());
        let upload = Upload { content_type, bytes, progress: &mut |_| {} };
        self.transport.send(Method::PUT, &path, Some(upload), Patience::Action)?.accept()
    }

    /// Invokes an action with a JSON object and waits for its end, also where the node itself
    /// stops waiting.
    ///
    /// An action that fails is not an error of this function; ask
    /// [`Invocation::succeeded`](crate::Invocation::succeeded).
    ///
    /// # Errors
    /// [`Error::Refused`] if nothing ran: unknown action, wrong key, node full;
    /// [`Error::Unfinished`] if it still runs when the time is up.
    pub fn invoke(&self, name: &str, input: &Value) -> Result<Invocation, Error> {
        let begin = Instant::now();
        let path = format!("{}?blocking=true", self.action_path(name));
        let answer = self.post(&path, "application/json", input.to_string().as_bytes())?;
        if answer.status == 202 {
            let Started { id } = answer.accept()?;
            return self.wait_from(begin, &id).map(Invocation::recorded);
        }
        // A 502 with a record is the action's failure; one without is a refusal of somebody else.
        let activation: Activation = match answer.json() {
            Ok(activation) if answer.status == 200 || answer.status == 502 => activation,
            _ => answer.accept()?,
        };
        Ok(Invocation { http_status: answer.status, activation, timing: answer.timing() })
    }

    /// Waits for an invocation that was [started](Self::start) to end, and returns its record.
    ///
    /// # Errors
    /// [`Error::Unfinished`]
    pub fn wait(&self, id: &str) -> Result<Activation, Error> {
        self.wait_from(Instant::now(), id)
    }

    fn wait_from(&self, begin: Instant, id: &str) -> Result<Activation, Error> {
        let [mut pause, pause_max] = LOOK_PAUSE;
        let patience = self.transport.timeout.unwrap_or(INVOCATION_TIMEOUT);
        let unfinished = |cause: Option<Error>| Error::Unfinished {
            id: id.to_owned(),
            waited: begin.elapsed(),
            cause: cause.map(Box::new),
        };
        loop {
            match self.activation(id) {
                // There is a record of what has ended only.
                Err(Error::Refused { status: 404, .. }) => {}
                Err(error) => return Err(unfinished(Some(error))),
                Ok(activation) => return Ok(activation),
            }
            let left = patience.saturating_sub(begin.elapsed());
            if left.is_zero() {
                return Err(unfinished(None));
            }
            thread::sleep(pause.min(left));
            pause = (pause * 2).min(pause_max);
        }
    }

    /// Invokes an action with a JSON object and does not wait. Returns the activation's id.
    ///
    /// # Errors
    /// See [`invoke`](Self::invoke).
    pub fn start(&self, name: &str, input: &Value) -> Result<String, Error> {
        let path = self.action_path(name);
        let answer = self.post(&path, "application/json", input.to_string().as_bytes())?;
        Ok(answer.accept::<Started>()?.id)
    }

    /// Calls `/function/NAME` with raw bytes and returns raw bytes, whatever the status.
    ///
    /// # Errors
    /// Only [`Error::Unreachable`].
    pub fn call(&self, name: &str, body: &[u8]) -> Result<Reply, Error> {
        let path = Self::function_path(name);
        let answer = self.post(&path, "application/octet-stream", body)?;
        Ok(Reply {
            status: answer.status,
            activation_id: answer.header("x-openwhisk-activation-id").map(str::to_owned),
            timing: answer.timing(),
            content_type: answer.header("content-type").map(str::to_owned),
            body: answer.body,
        })
    }

    /// The path of [`call`](Self::call), for who sends requests by other means.
    #[must_use]
    pub fn function_path(name: &str) -> String {
        format!("/function/{}", encode(name))
    }

    /// All deployed actions, at most 200.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn list(&self) -> Result<Vec<Action>, Error> {
        self.transport.get(&self.path("actions?limit=0"))?.accept()
    }

    /// One action, without its code.
    ///
    /// # Errors
    /// [`Error::Refused`] with status 404 if there is none of this name.
    pub fn get(&self, name: &str) -> Result<Action, Error> {
        self.transport.get(&format!("{}?code=false", self.action_path(name)))?.accept()
    }

    /// The code of an action, as the node keeps it: the file, or source text.
    ///
    /// # Errors
    /// [`Error::Refused`] with status 404 if there is none of this name.
    pub fn code(&self, name: &str) -> Result<Vec<u8>, Error> {
        #[derive(Deserialize)]
        struct Coded {
            exec: Exec,
        }
        #[derive(Deserialize)]
        struct Exec {
            #[serde(default)]
            binary: bool,
            code: String,
        }
        let answer = self.transport.get(&self.action_path(name))?;
        let Coded { exec: Exec { binary, code } } = answer.accept()?;
        match binary {
            true => BASE64_STANDARD
                .decode(&code)
                .map_err(|error| answer.unexpected(format!("the code: {error}"))),
            false => Ok(code.into_bytes()),
        }
    }

    /// Removes an action.
    ///
    /// # Errors
    /// [`Error::Refused`] with status 404 if there is none of this name.
    pub fn delete(&self, name: &str) -> Result<Action, Error> {
        let path = self.action_path(name);
        self.transport.send(Method::DELETE, &path, None, Patience::Node)?.accept()
    }

    /// The record of an activation.
    ///
    /// # Errors
    /// [`Error::Refused`] with status 404 if the node keeps none of this id.
    pub fn activation(&self, id: &str) -> Result<Activation, Error> {
        self.transport.get(&self.path(&format!("activations/{}", encode(id))))?.accept()
    }

    /// Activations without result and log, newest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn activations(&self, selection: &Selection) -> Result<Vec<Summary>, Error> {
        self.transport.get(&self.activations_path(selection, false))?.accept()
    }

    /// Whole records of activations, newest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn records(&self, selection: &Selection) -> Result<Vec<Activation>, Error> {
        self.transport.get(&self.activations_path(selection, true))?.accept()
    }

    /// What the node counts.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn metrics(&self) -> Result<Metrics, Error> {
        Ok(Metrics::parse(&self.transport.get("/metrics")?.text()?))
    }

    /// The build the node says it is.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn build(&self) -> Result<String, Error> {
        #[derive(Deserialize)]
        struct Description {
            build: String,
        }
        Ok(self.transport.get("/api/v1")?.accept::<Description>()?.build)
    }

    /// Gives the node a runtime: what functions of this kind run with. Needs the administrator's
    /// key.
    ///
    /// # Errors
    /// [`Error::Refused`] with the node's reason if it does not start.
    pub fn install_runtime(&self, kind: &str, archive: &[u8]) -> Result<(), Error> {
        let path = format!("/api/v1/runtimes/{}", encode(kind));
        let progress = &mut |_| {};
        let upload = Upload { content_type: "application/zip", bytes: archive, progress };
        let answer = self.transport.send(Method::PUT, &path, Some(upload), Patience::Action)?;
        answer.accept::<Value>().map(drop)
    }

    /// The kinds of code that the node takes, by their family: `python` has `python:3`.
    ///
    /// # Errors
    /// [`Error`]
    pub fn kinds(&self) -> Result<BTreeMap<String, Vec<String>>, Error> {
        #[derive(Deserialize)]
        struct Index {
            #[serde(default)]
            runtimes: BTreeMap<String, Vec<Kind>>,
        }
        #[derive(Deserialize)]
        struct Kind {
            kind: String,
        }
        let Index { runtimes } = self.transport.get("/")?.accept()?;
        let names = |kinds: Vec<Kind>| kinds.into_iter().map(|kind| kind.kind).collect();
        Ok(runtimes.into_iter().map(|(family, kinds)| (family, names(kinds))).collect())
    }

    /// The kind that this node has for a language. Of two for JavaScript Node's is the first
    /// choice.
    ///
    /// # Errors
    /// [`Error`]
    pub fn kind_of(&self, language: Language) -> Result<String, Error> {
        let family = match language {
            Language::Python => "python",
            Language::JavaScript if self.kinds()?.contains_key("nodejs") => "nodejs",
            Language::JavaScript => "javascript",
        };
        Ok(format!("{family}:default"))
    }

    /// Asks the node to take no more requests, to finish what runs and to switch itself off.
    ///
    /// # Errors
    /// [`Error::Refused`] if the key is not the administrator's.
    pub fn drain(&self) -> Result<(), Error> {
        let path = "/admin/drain";
        self.transport.send(Method::POST, path, None, Patience::Node)?.text().map(drop)
    }

    /// Whether the node answers at all.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.transport.get("/healthz").is_ok_and(|answer| answer.status == 200)
    }

    /// Whether the node takes invocations: not while it boots or drains.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.transport.get("/readyz").is_ok_and(|answer| answer.status == 200)
    }

    /// `ok`, or why the node takes no invocations: `booting`, `preparing`,
    /// `draining`.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Unexpected`].
    pub fn readiness(&self) -> Result<String, Error> {
        let answer = self.transport.get("/readyz")?;
        match answer.status {
            200 | 503 => Ok(String::from_utf8_lossy(&answer.body).trim().to_owned()),
            _ => answer.text(),
        }
    }

    fn post(&self, path: &str, content_type: &str, bytes: &[u8]) -> Result<Answer, Error> {
        let upload = Upload { content_type, bytes, progress: &mut |_| {} };
        self.transport.send(Method::POST, path, Some(upload), Patience::Action)
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/v1/namespaces/{}/{rest}", self.namespace)
    }

    fn action_path(&self, name: &str) -> String {
        self.path(&format!("actions/{}", encode(name)))
    }

    fn activations_path(&self, selection: &Selection, docs: bool) -> String {
        let Selection { name, limit, skip, since_ms } = selection;
        let mut path = self.path(&format!("activations?docs={docs}&skip={skip}"));
        if let Some(name) = name {
            path.push_str(&format!("&name={}", encode(name)));
        }
        for (key, value) in [("limit", limit.map(u64::from)), ("since", *since_ms)] {
            if let Some(value) = value {
                path.push_str(&format!("&{key}={value}"));
            }
        }
        path
    }
}

/// The answer to an invocation that is not waited for, or not any longer.
#[derive(Deserialize)]
struct Started {
    #[serde(rename = "activationId")]
    id: String,
}

/// The form in which `OpenWhisk` has parameters and annotations.
fn key_values(map: &Map<String, Value>) -> Value {
    map.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_may_lack_the_scheme() {
        assert_eq!(Client::new("10.0.0.5:3233/").base_url(), "http://10.0.0.5:3233");
        assert_eq!(Client::new("http://node").base_url(), "http://node");
    }

    #[test]
    fn a_selection_becomes_a_query() {
        let client = Client::new("http://node/").with_namespace("a b");
        let all = client.activations_path(&Selection::default(), false);
        assert_eq!(all, "/api/v1/namespaces/a%20b/activations?docs=false&skip=0");
        let selection = Selection {
            name: Some("x y".to_owned()),
            limit: Some(3),
            skip: 1,
            since_ms: Some(1_700_000_000_000),
        };
        assert_eq!(
            client.activations_path(&selection, true),
            "/api/v1/namespaces/a%20b/activations?docs=true&skip=1&name=x%20y&limit=3\
             &since=1700000000000"
        );
    }
}
