//! A registry that is there, one that lies, one that is silent, and what the node makes of them.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;

use super::lab::{Lab, NS_PER_MS, PING};
use super::peer::{Client, PEER_IP};
use super::registry::{
    Fake, Lie, action, answer, answer_of, ask, call, digest, lab, lab_with, pass,
};
use crate::registry::{Share, frames_to_run};
use limits::{CONNECT_TIMEOUT_MS, FIRST_BYTE_TIMEOUT_MS, STORE_AWAY_MS, STORE_PATIENCE_MS};

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
    let new =
        lab.service.node().registry().get(&guest_of(&lab), "new").expect("it was just called");
    assert_eq!(format!("sha256:{}", new.digest), digest(&crate::api::tests::image()));
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
fn what_is_not_ours_is_named_and_never_half_deployed() {
    let (mut lab, mut fake) = lab("");
    let image = crate::api::tests::image();
    let index = r#"{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    fake.manifests.insert("index".into(), index.into());
    fake.keep_as("runtime", "foreign", &image);
    fake.keep("large", &image);
    let large = String::from_utf8(fake.manifests["large"].clone()).expect("text");
    let large = large.replace(&format!("\"size\":{}", image.len()), "\"size\":99999999");
    fake.manifests.insert("large".into(), large.into_bytes());
    for (name, config) in [
        ("list", "[]"),
        ("text", "no JSON"),
        ("limits", r#"{"limits":{"memory":99999999}}"#),
        ("version", r#"{"version":7}"#),
    ] {
        fake.keep_with("action", name, config.as_bytes(), &image);
    }
    fake.keep("code", b"no program");
    fake.keep_with("action", "kind", br#"{"kind":"cobol:1"}"#, b"no program");
    for (name, status, part) in [
        ("index", 502, "something else by this name"),
        ("foreign", 502, "something else by this name"),
        ("large", 502, "larger than code may be"),
        ("kind", 400, "'cobol:1' is not supported"),
        ("list", 400, "object"),
        ("text", 400, "JSON"),
        ("limits", 400, "memory 99999999 MB"),
        ("version", 400, "version"),
        ("code", 400, "code"),
    ] {
        let client = lab.connect();
        ask(&mut lab, client, "POST", &format!("/function/{name}"), b"x");
        let answer = answer_of(&mut lab, &mut fake, client);
        let text = String::from_utf8(answer.body).expect("text");
        assert!(answer.status == status && text.contains(part), "{name}: {} {text}", answer.status);
        assert!(lab.service.node().registry().get(&guest_of(&lab), name).is_none(), "{name}");
        lab.peer.close(client);
    }
    assert_eq!(lab.worker.begun, 0);

    // Tags that are no names are no actions; names that are no tags are refused.
    fake.manifests.insert("v1.2.3".into(), Vec::new());
    let client = lab.connect();
    ask(&mut lab, client, "GET", "/api/v1/namespaces/_/actions", b"");
    let listed = String::from_utf8(answer_of(&mut lab, &mut fake, client).body).expect("text");
    assert!(listed.contains("\"foreign\"") && !listed.contains("v1"), "{listed}");
    let long = "@".repeat(50);
    ask(&mut lab, client, "PUT", &action(&format!("a{long}a")), &image);
    let refused = answer_of(&mut lab, &mut fake, client);
    let text = String::from_utf8(refused.body).expect("text");
    assert!(refused.status == 400 && text.contains("too long for the registry"), "{text}");
    assert!(!fake.log.iter().any(|line| line.starts_with("PUT")), "{:?}", fake.log);
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

/// As many as are used all the time: they are passed over at once.
#[test]
fn many_that_are_used_all_the_time_keep_nobody_out() {
    const HOT: usize = 100;
    let share = Share { frames: frames_to_run(1) + 260, ..Share::UNBOUNDED };
    let (mut lab, mut fake) = lab_with("hostkernel.store_fresh_ms=3600000", share);
    for number in 0..4 * HOT {
        let code = [crate::api::tests::image(), vec![0; number + 1]].concat();
        fake.keep(&format!("a{number}"), &code);
    }
    for round in 0..2 {
        for number in 0..HOT {
            assert_eq!(call(&mut lab, &mut fake, &format!("a{number}")), 200, "{round} {number}");
        }
    }
    for number in HOT..4 * HOT {
        assert_eq!(call(&mut lab, &mut fake, &format!("a{number}")), 200, "{number}");
    }
    assert!(lab.service.node().registry().len() < 4 * HOT);
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
