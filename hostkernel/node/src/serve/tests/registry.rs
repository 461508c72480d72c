//! A registry that keeps what it is sent, and lies as it is told.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use sha2::{Digest as _, Sha256};

use super::lab::{Lab, NS_PER_MS};
use super::peer::{Answer, Client};
use crate::registry::Share;
use crate::settings::{Loader, Settings, Source};
use crate::state::tenants::GUEST_KEY;

pub const REGISTRY: u16 = 5000;
pub const STORAGE: u16 = 5001;
pub const TOKENS: u16 = 5002;
const CONFIG: &[u8] = br#"{"version":"0.0.7","kind":"native:1","updated":5,"limits":{"memory":1}}"#;

/// See the head of this file.
#[derive(Default)]
pub struct Fake {
    pub blobs: BTreeMap<String, Vec<u8>>,
    pub manifests: BTreeMap<String, Vec<u8>>,
    /// Methods and targets, in order.
    pub log: Vec<String>,
    /// What becomes of an answer with this in its target.
    pub lies: Vec<(&'static str, Lie)>,
    /// Tags on a page, if there are pages.
    pub page_len: Option<usize>,
    /// It says nothing.
    pub is_silent: bool,
    /// Blobs are on another port.
    pub redirects: bool,
    /// Who does not send this is not let in.
    pub wants: Option<&'static str>,
    /// What is asked for instead.
    pub challenge: &'static str,
}

pub type Lie = fn(Vec<u8>) -> Vec<u8>;

pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", crate::registry::Digest(Sha256::digest(bytes).into()))
}

pub fn answer(status: u16, fields: &str, body: &[u8]) -> Vec<u8> {
    let len = body.len();
    let head = format!("HTTP/1.1 {status} x\r\n{fields}Content-Length: {len}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

impl Fake {
    /// Has an action with this code.
    pub fn keep(&mut self, name: &str, code: &[u8]) {
        self.keep_as("action", name, code);
    }

    /// Has something with this code.
    pub fn keep_as(&mut self, what: &str, name: &str, code: &[u8]) {
        self.keep_with(what, name, CONFIG, code);
    }

    /// Has something with this description and this code.
    pub fn keep_with(&mut self, what: &str, name: &str, config: &[u8], code: &[u8]) {
        let description = config;
        let blob = |kind: &str, bytes: &[u8]| {
            let kind = format!("application/vnd.hostkernel.{what}.{kind}");
            let digest = digest(bytes);
            format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":{}}}"#, bytes.len())
        };
        let config = blob("config.v1+json", description);
        let layer = blob("code.v1", code);
        let manifest = format!(r#"{{"config":{config},"layers":[{layer}]}}"#);
        for bytes in [description, code] {
            self.blobs.insert(digest(bytes), bytes.to_vec());
        }
        self.manifests.insert(name.into(), manifest.into_bytes());
    }

    /// Answers one request, if it is there as a whole.
    pub fn serve(&mut self, port: u16, bytes: &[u8]) -> Option<(usize, Vec<u8>, bool)> {
        if self.is_silent {
            return None;
        }
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut fields);
        let parsed = request.parse(bytes).expect("the node sends HTTP");
        let httparse::Status::Complete(head_len) = parsed else { return None };
        let field = |name: &str| {
            let found = request.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
            found.map(|field| core::str::from_utf8(field.value).expect("the node sends text"))
        };
        let len = field("content-length").map_or(0, |len| len.parse().expect("a number"));
        let body = bytes.get(head_len..head_len + len)?;
        let (method, target) = (request.method?, request.path?);
        let authorization = field("authorization");
        self.log.push(format!("{method} {target}"));
        let mut answer = match port {
            TOKENS => {
                assert_eq!(authorization, Some("Basic dTpw"), "the token server gets the password");
                assert_eq!(target, "/token?service=s&scope=repository:p/guest:pull");
                answer(200, "", br#"{"token":"t0"}"#)
            }
            STORAGE => {
                assert_eq!(authorization, None, "others do not hear who the node is");
                let digest = target.strip_prefix("/blob/").expect("it was sent there");
                answer(200, "", &self.blobs[digest])
            }
            _ if self.wants.is_some() && authorization != self.wants => {
                answer(401, &format!("WWW-Authenticate: {}\r\n", self.challenge), b"{}")
            }
            _ => self.answer(method, target, field("if-none-match"), body),
        };
        for (place, lie) in &self.lies {
            if target.contains(place) {
                answer = lie(answer);
            }
        }
        let closes = answer.starts_with(b"HTTP/1.0") || answer.is_empty();
        Some((head_len + len, answer, closes))
    }

    fn answer(&mut self, method: &str, target: &str, known: Option<&str>, body: &[u8]) -> Vec<u8> {
        let rest = ["/v2/p/guest/", "/v2/p/0--runtimes/"];
        let rest = rest.into_iter().find_map(|repository| target.strip_prefix(repository));
        let rest = rest.expect("there are two repositories");
        if let Some(name) = rest.strip_prefix("manifests/") {
            match method {
                "PUT" => {
                    self.manifests.insert(name.into(), body.to_vec());
                    return answer(201, "", b"");
                }
                "DELETE" => {
                    self.manifests.retain(|_, manifest| digest(manifest) != name);
                    return answer(202, "", b"");
                }
                _ => {}
            }
            let Some(manifest) = self.manifests.get(name) else { return answer(404, "", b"{}") };
            let digest = digest(manifest);
            if known == Some(&format!("\"{digest}\"")) {
                return answer(304, "", b"");
            }
            let fields = format!("Docker-Content-Digest: {digest}\r\n");
            return match method {
                "HEAD" => format!("HTTP/1.1 200 x\r\n{fields}Content-Length: 9\r\n\r\n").into(),
                _ => answer(200, &fields, manifest),
            };
        }
        if rest.starts_with("tags/list") {
            return self.list(rest);
        }
        if rest == "blobs/uploads/" {
            return answer(202, "Location: http://10.0.2.2:5000/v2/p/guest/blobs/up?a=b\r\n", b"");
        }
        if let Some(named) = rest.strip_prefix("blobs/up?a=b&digest=") {
            assert_eq!(digest(body), named, "what is sent is what it is called by");
            self.blobs.insert(named.into(), body.to_vec());
            return answer(201, "", b"");
        }
        let digest = rest.strip_prefix("blobs/").expect("nothing else is asked for");
        match self.blobs.get(digest) {
            None if method == "HEAD" => "HTTP/1.1 404 x\r\nContent-Length: 9\r\n\r\n".into(),
            Some(_) if method == "HEAD" => "HTTP/1.1 200 x\r\nContent-Length: 9\r\n\r\n".into(),
            Some(_) if self.redirects => {
                let to = format!("Location: http://storage.example:{STORAGE}/blob/{digest}\r\n");
                answer(307, &to, b"")
            }
            Some(blob) => answer(200, "", blob),
            None => answer(404, "", b"{}"),
        }
    }
}

impl Fake {
    /// The tags behind the one that is named, as many as go on a page.
    fn list(&self, target: &str) -> Vec<u8> {
        let behind = target.split_once("&last=").map_or("", |(_, last)| last);
        let mut tags = self.manifests.keys().filter(|tag| tag.as_str() > behind);
        let page_len = self.page_len.unwrap_or(usize::MAX);
        let page: Vec<String> = tags.by_ref().take(page_len).map(|it| format!("{it:?}")).collect();
        let more = tags.next().map_or("", |_| "Link: </v2/next>; rel=\"next\"\r\n");
        answer(200, more, format!("{{\"tags\":[{}]}}", page.join(",")).as_bytes())
    }
}

fn settings(more: &str) -> Settings {
    let mut loader = Loader::default();
    let words = format!("hostkernel.store=http://10.0.2.2:{REGISTRY}/p {more}");
    loader.words(Source::CommandLine, &words);
    let loaded = loader.finish();
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    loaded.settings
}

pub fn lab(more: &str) -> (Lab, Fake) {
    lab_with(more, Share::UNBOUNDED)
}

pub fn lab_with(more: &str, share: Share) -> (Lab, Fake) {
    let mut lab = Lab::with_share(settings(more), share);
    [REGISTRY, STORAGE, TOKENS].into_iter().for_each(|port| lab.peer.open_doors(port));
    (lab, Fake::default())
}

pub fn ask(lab: &mut Lab, client: Client, method: &str, target: &str, body: &[u8]) {
    use base64::Engine as _;
    let key = base64::engine::general_purpose::STANDARD.encode(GUEST_KEY);
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: node\r\nAuthorization: Basic {key}\r\nContent-Type: \
         application/octet-stream\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    lab.send(client, &[head.as_bytes(), body].concat());
}

/// Waits for an answer while the registry serves.
pub fn answer_of(lab: &mut Lab, fake: &mut Fake, client: Client) -> Answer {
    lab.until("an answer", |lab| {
        let answered = fake.log.len();
        lab.peer.serve(|port, bytes| fake.serve(port, bytes));
        if fake.log.len() > answered {
            lab.hurry();
        }
        lab.peer.take_answer(client)
    })
}

pub fn call(lab: &mut Lab, fake: &mut Fake, name: &str) -> u16 {
    let client = lab.connect();
    ask(lab, client, "POST", &format!("/function/{name}"), b"x");
    let answer = answer_of(lab, fake, client);
    lab.peer.close(client);
    assert!(answer.status != 200 || answer.body == b"x", "the stand-in gives the input back");
    answer.status
}

pub fn pass(lab: &mut Lab, fake: &mut Fake, ms: u64) {
    let end_ns = lab.now_ns + ms * NS_PER_MS;
    while lab.now_ns < end_ns {
        lab.pass_ms(10);
        lab.peer.serve(|port, bytes| fake.serve(port, bytes));
    }
}

pub fn action(name: &str) -> String {
    format!("/api/v1/namespaces/_/actions/{name}?overwrite=true")
}
