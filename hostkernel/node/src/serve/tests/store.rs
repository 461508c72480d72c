//! A registry that is there, one that lies, one that is silent, and what the node makes of them.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;

use sha2::{Digest as _, Sha256};

use super::lab::{Lab, NS_PER_MS, PING};
use super::peer::{Answer, Client, PEER_IP};
use crate::registry::{Share, frames_to_run};
use crate::settings::{Loader, Settings, Source};
use crate::state::tenants::GUEST_KEY;
use limits::{CONNECT_TIMEOUT_MS, FIRST_BYTE_TIMEOUT_MS, STORE_AWAY_MS, STORE_PATIENCE_MS};

const REGISTRY: u16 = 5000;
const STORAGE: u16 = 5001;
const TOKENS: u16 = 5002;
const CONFIG: &[u8] = br#"{"version":"0.0.7","kind":"native:1","updated":5,"limits":{"memory":1}}"#;

/// A registry that keeps what it is sent, and lies as it is told.
#[derive(Default)]
struct Fake {
    blobs: BTreeMap<String, Vec<u8>>,
    manifests: BTreeMap<String, Vec<u8>>,
    /// Methods and targets, in order.
    log: Vec<String>,
    /// What becomes of an answer with this in its target.
    lies: Vec<(&'static str, Lie)>,
    /// It says nothing.
    is_silent: bool,
    /// Blobs are on another port.
    redirects: bool,
    /// Who does not send this is not let in.
    wants: Option<&'static str>,
    /// What is asked for instead.
    challenge: &'static str,
}

type Lie = fn(Vec<u8>) -> Vec<u8>;

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", crate::registry::Digest(Sha256::digest(bytes).into()))
}

fn answer(status: u16, fields: &str, body: &[u8]) -> Vec<u8> {
    let len = body.len();
    let head = format!("HTTP/1.1 {status} x\r\n{fields}Content-Length: {len}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

impl Fake {
    /// Has an action with this code.
    fn keep(&mut self, name: &str, code: &[u8]) {
        let blob = |kind: &str, bytes: &[u8]| {
            let (kind, digest) = (format!("application/vnd.hostkernel.{kind}"), digest(bytes));
            format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":{}}}"#, bytes.len())
        };
        let config = blob("action.config.v1+json", CONFIG);
        let layer = blob("action.code.v1", code);
        let manifest = format!(r#"{{"config":{config},"layers":[{layer}]}}"#);
        for bytes in [CONFIG, code] {
            self.blobs.insert(digest(bytes), bytes.to_vec());
        }
        self.manifests.insert(name.into(), manifest.into_bytes());
    }

    /// Answers one request, if it is there as a whole.
    fn serve(&mut self, port: u16, bytes: &[u8]) -> Option<(usize, Vec<u8>, bool)> {
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
        let rest = target.strip_prefix("/v2/p/guest/").expect("the namespace's repository");
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

fn settings(more: &str) -> Settings {
    let mut loader = Loader::default();
    let words = format!("hostkernel.store=http://10.0.2.2:{REGISTRY}/p {more}");
    loader.words(Source::CommandLine, &words);
    let loaded = loader.finish();
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    loaded.settings
}

fn lab(more: &str) -> (Lab, Fake) {
    lab_with(more, Share::UNBOUNDED)
}

fn lab_with(more: &str, share: Share) -> (Lab, Fake) {
    let mut lab = Lab::with_share(settings(more), share);
    [REGISTRY, STORAGE, TOKENS].into_iter().for_each(|port| lab.peer.open_doors(port));
    (lab, Fake::default())
}

fn ask(lab: &mut Lab, client: Client, method: &str, target: &str, body: &[u8]) {
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
fn answer_of(lab: &mut Lab, fake: &mut Fake, client: Client) -> Answer {
    lab.until("an answer", |lab| {
        let answered = fake.log.len();
        lab.peer.serve(|port, bytes| fake.serve(port, bytes));
        if fake.log.len() > answered {
            lab.hurry();
        }
        lab.peer.take_answer(client)
    })
}

fn call(lab: &mut Lab, fake: &mut Fake, name: &str) -> u16 {
    let client = lab.connect();
    ask(lab, client, "POST", &format!("/function/{name}"), b"x");
    let answer = answer_of(lab, fake, client);
    lab.peer.close(client);
    assert!(answer.status != 200 || answer.body == b"x", "the stand-in gives the input back");
    answer.status
}

fn pass(lab: &mut Lab, fake: &mut Fake, ms: u64) {
    let end_ns = lab.now_ns + ms * NS_PER_MS;
    while lab.now_ns < end_ns {
        lab.pass_ms(10);
        lab.peer.serve(|port, bytes| fake.serve(port, bytes));
    }
}

fn action(name: &str) -> String {
    format!("/api/v1/namespaces/_/actions/{name}?overwrite=true")
}

#[test]
fn many_who_want_an_action_wait_for_one_fetch() {
    let (mut lab, mut fake) = lab("");
    fake.keep("new", &crate::api::tests::image());
    let clients: Vec<Client> = (0..5).map(|_| lab.connect()).collect();
    for client in &clients {
        ask(&mut lab, *client, "POST", "/function/new", b"x");
    }
    for client in clients {
        let answer = answer_of(&mut lab, &mut fake, client);
        assert_eq!((answer.status, answer.body), (200, b"x".to_vec()));
    }
    let kinds = |fake: &Fake| {
        let of = |kind: &str| fake.log.iter().filter(|line| line.contains(kind)).count();
        (of("manifests"), of("blobs"))
    };
    assert_eq!(kinds(&fake), (1, 2), "{:?}", fake.log);
    assert_eq!(call(&mut lab, &mut fake, "new"), 200);
    assert_eq!(kinds(&fake), (1, 2), "it was confirmed a moment ago");
    pass(&mut lab, &mut fake, 1_100);
    assert_eq!(call(&mut lab, &mut fake, "new"), 200);
    assert_eq!(kinds(&fake), (2, 2), "it still is the same");
    let hello = lab.service.node().registry().get(&guest_of(&lab), "new").cloned();
    let version = hello.map(|action| (action.version.to_string(), action.updated_ms));
    assert_eq!(version, Some(("0.0.7".into(), 5)), "what the document says");
    lab.settle();
}

#[test]
fn a_name_that_is_nowhere_is_asked_for_once_in_a_while() {
    let (mut lab, mut fake) = lab("");
    for _ in 0..3 {
        assert_eq!(call(&mut lab, &mut fake, "nothing"), 404);
    }
    assert_eq!(fake.log.len(), 1, "{:?}", fake.log);
    pass(&mut lab, &mut fake, 1_100);
    fake.keep("nothing", &crate::api::tests::image());
    assert_eq!(call(&mut lab, &mut fake, "nothing"), 200, "it is there now");
    fake.manifests.clear();
    pass(&mut lab, &mut fake, 1_100);
    assert_eq!(call(&mut lab, &mut fake, "nothing"), 404, "it was deleted elsewhere");
    assert_eq!(call(&mut lab, &mut fake, "echo"), 200, "what came otherwise stays");
}

#[test]
fn nothing_a_lying_registry_sends_is_run() {
    let lies: [(&'static str, Lie, u16); 14] = [
        (
            "blobs",
            |mut answer| {
                // One bit of the body.
                if let Some(last) = answer.last_mut() {
                    *last ^= 1;
                }
                answer
            },
            502,
        ),
        (
            "manifests",
            |mut answer| {
                let at = answer.windows(4).rposition(|it| it == b"size").expect("it is there");
                answer[at + 6] = b'7';
                answer
            },
            502,
        ),
        ("blobs", |answer| answer[..answer.len() - 1].to_vec(), 503),
        ("blobs", |_| Vec::new(), 503),
        ("blobs", |_| b"HTTP/1.1 200 x\r\nContent-Length: 99999999\r\n\r\n".to_vec(), 503),
        ("blobs", |_| b"HTTP/1.0 200 x\r\n\r\nshort".to_vec(), 502),
        ("blobs", |_| b"HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n".to_vec(), 503),
        ("blobs", |_| b"HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n".to_vec(), 502),
        ("", |_| b"SSH-2.0-nonsense\r\n".to_vec(), 503),
        ("manifests", |_| b"HTTP/1.1 429 x\r\nContent-Length: 0\r\n\r\n".to_vec(), 503),
        ("manifests", |_| answer(200, "", b"{}"), 502),
        ("manifests", |_| answer(200, "", b"["), 502),
        ("", |_| answer(302, "Location: /v2/p/guest/manifests/new\r\n", b""), 503),
        ("", |_| answer(307, "Location: https://elsewhere/\r\n", b""), 503),
    ];
    for (index, (place, lie, status)) in lies.into_iter().enumerate() {
        let (mut lab, mut fake) = lab("");
        fake.keep("new", &crate::api::tests::image());
        fake.lies = vec![(place, lie)];
        assert_eq!(call(&mut lab, &mut fake, "new"), status, "lie {index}: {:?}", fake.log);
        assert_eq!(lab.worker.begun, 0, "lie {index}");
        assert!(fake.log.len() < 9, "it does not go on for ever: {:?}", fake.log);
        fake.lies.clear();
        pass(&mut lab, &mut fake, 2 * STORE_AWAY_MS);
        assert_eq!(call(&mut lab, &mut fake, "new"), 200, "it heals: lie {index}");
    }
}

#[test]
fn a_change_is_made_when_the_registry_has_taken_it() {
    let (mut lab, mut fake) = lab("");
    let client = lab.connect();
    let image = crate::api::tests::image();
    ask(&mut lab, client, "PUT", &action("mine"), &image);
    assert_eq!(answer_of(&mut lab, &mut fake, client).status, 200);
    let lines = ["GET", "HEAD", "POST", "PUT", "HEAD", "POST", "PUT", "PUT"];
    let methods: Vec<&str> = fake.log.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(methods, lines, "{:?}", fake.log);
    assert_eq!(fake.blobs.len(), 2);
    assert_eq!(call(&mut lab, &mut fake, "mine"), 200);
    ask(&mut lab, client, "PUT", &action("mine"), &image);
    let answer = answer_of(&mut lab, &mut fake, client);
    let text = String::from_utf8(answer.body).expect("text");
    assert!(answer.status == 200 && text.contains(r#""version":"0.0.2""#), "{text}");
    fake.lies = vec![("manifests", |_| b"HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n".to_vec())];
    ask(&mut lab, client, "PUT", &action("mine"), &image);
    assert_eq!(answer_of(&mut lab, &mut fake, client).status, 503);
    let held = lab.service.node().registry().get(&guest_of(&lab), "mine").cloned();
    assert_eq!(held.map(|action| action.version.patch), Some(2), "nothing has changed");
    fake.lies.clear();
    pass(&mut lab, &mut fake, 2 * STORE_AWAY_MS);
    ask(&mut lab, client, "DELETE", &action("mine"), b"");
    assert_eq!(answer_of(&mut lab, &mut fake, client).status, 200);
    assert!(fake.manifests.is_empty(), "{:?}", fake.log);
    assert_eq!(call(&mut lab, &mut fake, "mine"), 404);
    lab.settle();
}

#[test]
fn the_log_server_hears_what_was_changed() {
    let (mut lab, mut fake) = lab(&format!("hostkernel.syslog={PEER_IP}"));
    lab.peer.listen_to_datagrams(514);
    let client = lab.connect();
    ask(&mut lab, client, "PUT", &action("mine"), &crate::api::tests::image());
    assert_eq!(answer_of(&mut lab, &mut fake, client).status, 200);
    let line = lab.until("a line", |lab| {
        let (line, _) = lab.peer.take_datagram()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        line.contains(" PUT ").then_some(line)
    });
    let path = "PUT /api/v1/namespaces/guest/actions/mine";
    assert!(line.contains(path) && line.contains(r#"status="200""#), "{line}");
}

#[test]
fn a_registry_that_does_not_delete_is_named() {
    let (mut lab, mut fake) = lab("");
    fake.keep("mine", &crate::api::tests::image());
    fake.lies = vec![("manifests/sha256:", |_| answer(405, "", b""))];
    let client = lab.connect();
    ask(&mut lab, client, "DELETE", &action("mine"), b"");
    let answer = answer_of(&mut lab, &mut fake, client);
    assert_eq!(answer.status, 501);
    assert!(answer.body.windows(14).any(|it| it == b"DELETE_ENABLED"), "it says what to do");
    assert_eq!(call(&mut lab, &mut fake, "mine"), 200);
}

#[test]
fn while_the_registry_is_silent_what_is_here_is_served() {
    let (mut lab, mut fake) = lab("");
    fake.keep("new", &crate::api::tests::image());
    assert_eq!(call(&mut lab, &mut fake, "new"), 200);
    pass(&mut lab, &mut fake, 1_100);
    fake.is_silent = true;
    let asked_ns = lab.now_ns;
    assert_eq!(call(&mut lab, &mut fake, "new"), 200);
    assert!(lab.since_ms(asked_ns) <= STORE_PATIENCE_MS + 10, "{}", lab.since_ms(asked_ns));
    let asked_ns = lab.now_ns;
    assert_eq!(call(&mut lab, &mut fake, "other"), 503);
    let most_ms = CONNECT_TIMEOUT_MS + FIRST_BYTE_TIMEOUT_MS + 10;
    assert!(lab.since_ms(asked_ns) <= most_ms, "{}", lab.since_ms(asked_ns));
    for _ in 0..5 {
        let asked_ns = lab.now_ns;
        assert_eq!(call(&mut lab, &mut fake, "new"), 200);
        assert!(lab.since_ms(asked_ns) <= 10, "nobody waits for a registry known to be away");
    }
    assert_eq!(call(&mut lab, &mut fake, "echo"), 200);
    fake.is_silent = false;
    pass(&mut lab, &mut fake, 2 * FIRST_BYTE_TIMEOUT_MS);
    assert_eq!(call(&mut lab, &mut fake, "other"), 404, "it is back");
    lab.settle();
}

#[test]
fn who_leaves_takes_its_request_along_and_a_change_goes_on() {
    let (mut lab, mut fake) = lab("");
    fake.is_silent = true;
    let caller = lab.connect();
    ask(&mut lab, caller, "POST", "/function/new", b"x");
    lab.pass_ms(100);
    lab.peer.reset(caller);
    lab.pass_ms(100);
    fake.is_silent = false;
    fake.keep("new", &crate::api::tests::image());
    pass(&mut lab, &mut fake, 1_000);
    assert_eq!(lab.worker.begun, 0);
    let deployer = lab.connect();
    ask(&mut lab, deployer, "PUT", &action("mine"), &crate::api::tests::image());
    lab.until("the change is under way", |lab| {
        lab.peer.serve(|port, bytes| fake.serve(port, bytes));
        fake.log.iter().any(|line| line.starts_with("POST")).then_some(())
    });
    lab.peer.reset(deployer);
    pass(&mut lab, &mut fake, 1_000);
    assert_eq!(call(&mut lab, &mut fake, "mine"), 200);
    lab.settle();
}

#[test]
fn the_registry_is_told_who_the_node_is_when_it_asks() {
    for (challenge, wants) in [
        ("Basic realm=\"x\"", "Basic dTpw"),
        (
            "Bearer realm=\"http://10.0.2.2:5002/token\",service=\"s\",\
             scope=\"repository:p/guest:pull\"",
            "Bearer t0",
        ),
    ] {
        let (mut lab, mut fake) = lab("hostkernel.store_auth=u:p");
        fake.keep("new", &crate::api::tests::image());
        (fake.challenge, fake.wants) = (challenge, Some(wants));
        assert_eq!(call(&mut lab, &mut fake, "new"), 200, "{:?}", fake.log);
        fake.wants = Some("Bearer somebody else");
        pass(&mut lab, &mut fake, 1_100);
        assert_eq!(call(&mut lab, &mut fake, "other"), 502, "{:?}", fake.log);
        assert!(fake.log.len() < 20, "it does not ask for ever: {:?}", fake.log);
    }
}

#[test]
fn blobs_may_be_on_another_host_that_has_a_name() {
    let dns = format!("hostkernel.store_auth=u:p hostkernel.dns={PEER_IP}");
    let (mut lab, mut fake) = lab(&dns);
    lab.peer.listen_to_datagrams(53);
    fake.keep("new", &crate::api::tests::image());
    (fake.redirects, fake.wants) = (true, Some("Basic dTpw"));
    fake.challenge = "Basic";
    let client = lab.connect();
    ask(&mut lab, client, "POST", "/function/new", b"x");
    let mut questions = 0;
    let answer = lab.until("an answer", |lab| {
        lab.peer.serve(|port, bytes| fake.serve(port, bytes));
        while let Some((question, from)) = lab.peer.take_datagram() {
            questions += 1;
            assert!(question.windows(8).any(|it| it == b"\x07storage"), "{question:?}");
            let mut message = question.clone();
            (message[2], message[3], message[7]) = (0x81, 0x80, 1);
            message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
            message.extend(PEER_IP.octets());
            // A forged one comes first.
            let mut forged = message.clone();
            forged[1] ^= 1;
            *forged.last_mut().expect("it is long") ^= 1;
            lab.peer.send_datagram(&forged, from);
            lab.peer.send_datagram(&message, from);
            lab.hurry();
        }
        lab.peer.take_answer(client)
    });
    assert_eq!((answer.status, questions), (200, 1), "{:?}", fake.log);
    lab.settle();
}

#[test]
fn a_cold_action_takes_few_round_trips() {
    const ROUND_TRIP_MS: u64 = 100;
    let (mut lab, mut fake) = lab("");
    for (name, padding) in [("small", 0), ("other", 100)] {
        fake.keep(name, &[crate::api::tests::image(), vec![7; padding]].concat());
    }
    let client = lab.connect();
    lab.send(client, PING);
    assert_eq!(answer_of(&mut lab, &mut fake, client).status, 200);
    for line in [&lab.to_node, &lab.to_peer] {
        line.borrow_mut().distance_ns = ROUND_TRIP_MS * NS_PER_MS / 2;
    }
    let mut took_ms = |name: &str| {
        let asked_ns = lab.now_ns;
        ask(&mut lab, client, "POST", &format!("/function/{name}"), b"x");
        assert_eq!(answer_of(&mut lab, &mut fake, client).status, 200);
        lab.since_ms(asked_ns)
    };
    // The client's own; a connection, a manifest, a description, the code.
    let small = took_ms("small");
    assert!(small < 5 * ROUND_TRIP_MS + ROUND_TRIP_MS / 2, "{small} ms");
    let warm = took_ms("small");
    assert!(warm < ROUND_TRIP_MS + ROUND_TRIP_MS / 2, "{warm} ms");
    // The connection is there.
    let other = took_ms("other");
    assert!(other < 4 * ROUND_TRIP_MS + ROUND_TRIP_MS / 2, "{other} ms");
}

#[test]
fn what_was_not_used_for_longest_makes_room_and_comes_back() {
    let share = Share { frames: frames_to_run(1) + 12, ..Share::UNBOUNDED };
    let (mut lab, mut fake) = lab_with("hostkernel.store_fresh_ms=3600000", share);
    let name = |number: usize| format!("a{number}");
    let mut codes = Vec::new();
    for number in 0..30 {
        // Each has an image of its own.
        let code = [crate::api::tests::image(), vec![0; number + 1]].concat();
        fake.keep(&name(number), &code);
        codes.push(digest(&code));
    }
    for number in 1..30 {
        assert_eq!(call(&mut lab, &mut fake, &name(0)), 200);
        assert_eq!(call(&mut lab, &mut fake, &name(number)), 200, "{number}");
    }
    let fetched = |fake: &Fake, number: usize| {
        fake.log.iter().filter(|line| line.ends_with(&codes[number])).count()
    };
    assert!(lab.service.node().registry().len() < 15, "{}", lab.service.node().registry().len());
    assert_eq!(fetched(&fake, 0), 1, "it was used all the time");
    assert_eq!(call(&mut lab, &mut fake, &name(29)), 200);
    assert_eq!(fetched(&fake, 29), 1, "the newest is here");
    assert_eq!(call(&mut lab, &mut fake, &name(1)), 200);
    assert_eq!(fetched(&fake, 1), 2, "the oldest had made room");
    // What is no action of the registry does not make room.
    assert_eq!(call(&mut lab, &mut fake, "echo"), 200);
    lab.settle();
}

fn guest_of(lab: &Lab) -> crate::registry::Namespace {
    lab.service.node().policy().tenants.namespace("guest").expect("there is one")
}
