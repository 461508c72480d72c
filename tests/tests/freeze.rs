//! Host images that are deployed: run once, frozen, and gone on with by every invocation.

use serde_json::{Value, json};
use system_tests::openwhisk::{ask, deploy_raw, error, registry};
use system_tests::{boot, machine, sample};

const MARK: &[u8] = b"MODE IS:";

/// The probe, told to do something else than to freeze.
fn probe(mode: &[u8]) -> Vec<u8> {
    let mut file = sample("host-probe");
    let at = file.windows(MARK.len()).position(|bytes| bytes == MARK).expect("the mark is there");
    let at = at + MARK.len();
    file[at..at + mode.len()].copy_from_slice(mode);
    file
}

#[test]
fn what_is_frozen_is_what_every_instance_starts_from() {
    let node = boot(machine());
    let answer = deploy_raw(&node, "probe?memory=8", &probe(b"freeze"));
    assert_eq!(answer.status, 200, "{answer:?}");
    let document = answer.json();
    let annotations = document["annotations"].as_array().expect("a list");
    let frozen = annotations.iter().find(|it| it["key"] == "frozen").expect("it was frozen");
    assert_eq!(frozen["value"]["at"], "start");
    assert_eq!(frozen["value"]["entropy"], "8 \"bytes\"");
    assert!(frozen["value"]["pages"].as_u64().is_some_and(|pages| (1..20).contains(&pages)));

    for number in 1..20_u64 {
        let body = vec![b'x'; number as usize * 700];
        let reply = node.client().call("probe", &body).expect("an answer");
        let said: Value = serde_json::from_slice(&reply.body).expect("JSON");
        let expected = json!({
            "number": number,
            "instance": number,
            "prepared": 42,
            "input": body.len(),
            "again": "Err(BadArgument)",
            "mapped": true,
            "window": "Err(BadArgument)",
        });
        assert_eq!((reply.status, said), (200, expected));
    }

    // The same code and settings: the same template, whose instances go on being counted.
    assert_eq!(deploy_raw(&node, "twin?memory=8", &probe(b"freeze")).status, 200);
    let reply = node.client().call("twin", b"").expect("an answer");
    let said: Value = serde_json::from_slice(&reply.body).expect("JSON");
    assert_eq!(said["number"], 20);
    // Other settings: another.
    assert_eq!(deploy_raw(&node, "other?memory=9", &probe(b"freeze")).status, 200);
    let reply = node.client().call("other", b"").expect("an answer");
    let said: Value = serde_json::from_slice(&reply.body).expect("JSON");
    assert_eq!((&said["number"], &said["prepared"]), (&json!(1), &json!(42)));
}

#[test]
fn what_cannot_be_prepared_changes_nothing() {
    let node = boot(machine());
    node.deploy("hello");
    let before = registry(&node);
    for (mode, why) in [
        (&b"exit"[..], "exit status 3. | prepares itself"),
        (b"fault", "invalid instruction (#UD)"),
        (b"spin", "deadline of 200 ms exceeded. | prepares itself"),
    ] {
        let answer = deploy_raw(&node, "bad?memory=8&timeout=200", &probe(mode));
        let text = error(&answer);
        assert_eq!(answer.status, 400, "{text}");
        assert!(text.contains(why), "{text}");
        assert_eq!(registry(&node), before);
        assert_eq!(ask(&node, "POST", "/function/bad", b"").status, 404);
    }
    let over = deploy_raw(&node, "hello?overwrite=true&timeout=200", &probe(b"spin"));
    assert_eq!(over.status, 400);
    assert_eq!(registry(&node), before, "the old one stays");
}
