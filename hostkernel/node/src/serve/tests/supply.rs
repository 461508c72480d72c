//! Runtimes that come from the registry, and go there.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;

use super::lab::{Lab, NS_PER_MS};
use super::peer::Client;
use super::registry::{Fake, answer, answer_of, ask, call, lab, pass};
use crate::api::tests::image;
use crate::api::tests::runtimes::host;
use crate::state::Readiness;
use limits::{RUNTIME_FRESH_MS, STORE_AWAY_MS};

/// The tag of `python:3`.
const TAG: &str = "python.3a3";
/// The start of a zip archive; nobody looks further.
const ARCHIVE: &[u8] = b"PK\x03\x04 runtime";
const RUNTIME: &str = "/api/v1/runtimes/python:3";

fn lab_with_host(more: &str) -> (Lab, Fake) {
    let (mut lab, fake) = lab(more);
    lab.service.node_mut().policy.host = Some(host());
    (lab, fake)
}

fn wanting() -> (Lab, Fake) {
    lab_with_host("hostkernel.runtimes=python:3")
}

fn size(lab: &Lab) -> Option<usize> {
    let runtime = lab.service.node().registry().runtimes().get("python:3")?;
    Some(runtime.template.code().len())
}

fn readiness(lab: &mut Lab, fake: &mut Fake) -> (u16, String) {
    let client = lab.connect();
    ask(lab, client, "GET", "/readyz?verbose", b"");
    let answer = answer_of(lab, fake, client);
    lab.peer.close(client);
    (answer.status, String::from_utf8(answer.body).expect("text"))
}

#[test]
fn a_node_is_ready_when_it_has_the_runtimes_it_wants() {
    let (mut lab, mut fake) = wanting();
    fake.keep_as("runtime", TAG, ARCHIVE);
    fake.is_silent = true;
    let (status, text) = readiness(&mut lab, &mut fake);
    assert!(status == 503 && text.contains("[-]runtime python:3 awaited"), "{status} {text}");
    assert!(text.contains("[+]address ok"), "{text}");
    fake.is_silent = false;
    pass(&mut lab, &mut fake, 20 * STORE_AWAY_MS);
    let (status, text) = readiness(&mut lab, &mut fake);
    assert!(status == 200 && text.contains("[+]runtime python:3 ok"), "{status} {text}");
    assert_eq!(size(&lab), Some(ARCHIVE.len()));
    let runtime = lab.service.node().registry().runtimes().get("python:3").cloned();
    let runtime = runtime.expect("it was just there");
    assert_eq!((runtime.limits.memory_mb, runtime.updated_ms), (1, 5), "what the document says");
    lab.settle();
}

#[test]
fn what_the_registry_has_not_or_what_does_not_start_keeps_nobody_waiting() {
    let (mut lab, mut fake) = wanting();
    pass(&mut lab, &mut fake, 100);
    let (status, text) = readiness(&mut lab, &mut fake);
    assert!(status == 200 && text.contains("[-]runtime python:3 not in the store"), "{text}");
    fake.keep_as("runtime", TAG, b"no archive");
    pass(&mut lab, &mut fake, 2 * STORE_AWAY_MS);
    let (status, text) = readiness(&mut lab, &mut fake);
    assert!(status == 200 && text.contains("[-]runtime python:3 does not start"), "{text}");
    fake.keep_as("runtime", TAG, ARCHIVE);
    pass(&mut lab, &mut fake, RUNTIME_FRESH_MS + 100);
    assert_eq!(size(&lab), Some(ARCHIVE.len()), "it heals");
    assert_eq!(lab.service.node().readiness(), Readiness::Ready);
}

#[test]
fn an_action_by_the_name_of_a_runtime_is_none() {
    let (mut lab, mut fake) = wanting();
    fake.keep_as("action", TAG, ARCHIVE);
    pass(&mut lab, &mut fake, 100);
    assert_eq!((size(&lab), lab.worker.begun), (None, 0));
    let (status, text) = readiness(&mut lab, &mut fake);
    assert!(status == 200 && text.contains("does not start"), "{text}");
}

#[test]
fn a_runtime_is_followed_as_long_as_the_node_is_used() {
    let (mut lab, mut fake) = wanting();
    fake.keep_as("runtime", TAG, ARCHIVE);
    pass(&mut lab, &mut fake, 100);
    let asked = fake.log.len();
    pass(&mut lab, &mut fake, 2 * RUNTIME_FRESH_MS);
    assert_eq!(fake.log.len(), asked, "a node that nobody uses sleeps: {:?}", fake.log);
    let newer = [ARCHIVE, b", newer"].concat();
    fake.keep_as("runtime", TAG, &newer);
    assert_eq!(call(&mut lab, &mut fake, "echo"), 200);
    pass(&mut lab, &mut fake, 100);
    assert_eq!(size(&lab), Some(newer.len()), "{:?}", fake.log);
    // What comes broken changes nothing.
    fake.lies = vec![("manifests", |_| answer(200, "", b"{}"))];
    pass(&mut lab, &mut fake, RUNTIME_FRESH_MS);
    assert_eq!(call(&mut lab, &mut fake, "echo"), 200);
    pass(&mut lab, &mut fake, 100);
    assert_eq!(size(&lab), Some(newer.len()));
    fake.lies.clear();
    fake.manifests.clear();
    pass(&mut lab, &mut fake, RUNTIME_FRESH_MS);
    assert_eq!(call(&mut lab, &mut fake, "echo"), 200);
    pass(&mut lab, &mut fake, 100);
    assert_eq!(size(&lab), None, "it was deleted elsewhere");
    assert_eq!(lab.service.node().readiness(), Readiness::Ready);
}

#[test]
fn what_is_put_on_a_node_is_kept_and_what_is_deleted_goes() {
    let (mut lab, mut fake) = lab_with_host("");
    let client = lab.connect();
    ask(&mut lab, client, "PUT", &format!("{RUNTIME}?memory=7"), ARCHIVE);
    assert_eq!(answer_of(&mut lab, &mut fake, client).status, 200);
    assert_eq!(size(&lab), Some(ARCHIVE.len()));
    assert!(fake.manifests.contains_key(TAG), "{:?}", fake.log);
    // Another node has it from there, under the limits that it was given.
    let (mut other, _) = wanting();
    pass(&mut other, &mut fake, 20 * STORE_AWAY_MS);
    let runtimes = other.service.node().registry().runtimes();
    assert_eq!(runtimes.get("python:3").map(|runtime| runtime.limits.memory_mb), Some(7));
    fake.lies = vec![("manifests", |_| answer(500, "", b""))];
    ask(&mut lab, client, "DELETE", RUNTIME, b"");
    assert_eq!(answer_of(&mut lab, &mut fake, client).status, 503);
    assert_eq!(size(&lab), Some(ARCHIVE.len()), "nothing has changed");
    let newer = [ARCHIVE, b", newer"].concat();
    ask(&mut lab, client, "PUT", RUNTIME, &newer);
    assert_eq!(answer_of(&mut lab, &mut fake, client).status, 503);
    assert_eq!(size(&lab), Some(ARCHIVE.len()), "nothing has changed");
    fake.lies.clear();
    pass(&mut lab, &mut fake, 2 * STORE_AWAY_MS);
    ask(&mut lab, client, "DELETE", RUNTIME, b"");
    assert_eq!(answer_of(&mut lab, &mut fake, client).status, 200);
    assert!(fake.manifests.is_empty() && size(&lab).is_none(), "{:?}", fake.log);
}

/// A node with a runtime, and a function for it in the registry.
fn with_function(more: &str) -> (Lab, Fake) {
    let (mut lab, mut fake) = lab_with_host(more);
    let client = lab.connect();
    ask(&mut lab, client, "PUT", RUNTIME, ARCHIVE);
    assert_eq!(answer_of(&mut lab, &mut fake, client).status, 200);
    let config = br#"{"kind":"python:3","version":"0.0.7","limits":{"memory":1}}"#;
    fake.keep_with("action", "f", config, b"def main(args): return args\n");
    (lab.worker.begun, lab.worker.run_ns) = (0, 2_000 * NS_PER_MS);
    fake.log.clear();
    (lab, fake)
}

fn version(lab: &Lab) -> Option<String> {
    let guest = lab.service.node().policy().tenants.namespace("guest").expect("there is one");
    lab.service.node().registry().get(&guest, "f").map(|action| action.version.to_string())
}

#[test]
fn many_who_want_what_is_being_prepared_wait_for_one_preparation() {
    let (mut lab, mut fake) = with_function("");
    let clients: Vec<Client> = (0..3).map(|_| lab.connect()).collect();
    for client in &clients {
        ask(&mut lab, *client, "POST", "/function/f", b"x");
        pass(&mut lab, &mut fake, 500);
    }
    for client in clients {
        assert_eq!(answer_of(&mut lab, &mut fake, client).status, 200);
    }
    assert_eq!(lab.worker.begun, 1 + 3, "one preparation, and each call");
    assert_eq!(fake.log.len(), 3, "a manifest, a description, the code: {:?}", fake.log);
    assert_eq!(version(&lab).as_deref(), Some("0.0.7"));
}

#[test]
fn what_is_put_while_something_older_is_prepared_stays() {
    let (mut lab, mut fake) = with_function("hostkernel.store_fresh_ms=0");
    let older = fake.manifests.remove("f").expect("it was just kept");
    let (caller, deployer) = (lab.connect(), lab.connect());
    let target = "/api/v1/namespaces/_/actions/f?overwrite=true";
    ask(&mut lab, deployer, "PUT", target, &image());
    assert_eq!(answer_of(&mut lab, &mut fake, deployer).status, 200, "{:?}", fake.log);
    fake.log.clear();
    ask(&mut lab, deployer, "PUT", target, &[image(), vec![7]].concat());
    lab.until("the change is under way", |lab| {
        lab.peer.serve(|port, bytes| fake.serve(port, bytes));
        fake.log.iter().any(|line| line.starts_with("HEAD")).then_some(())
    });
    // Another node was faster for a moment; who calls now has that one fetched.
    fake.manifests.insert("f".into(), older);
    ask(&mut lab, caller, "POST", "/function/f", b"x");
    assert_eq!(answer_of(&mut lab, &mut fake, deployer).status, 200, "{:?}", fake.log);
    assert_eq!(version(&lab).as_deref(), Some("0.0.2"));
    assert_eq!(answer_of(&mut lab, &mut fake, caller).status, 200);
    assert!(lab.worker.begun > 1, "it was prepared, and there was the call: {:?}", fake.log);
    pass(&mut lab, &mut fake, 5_000);
    assert_eq!(version(&lab).as_deref(), Some("0.0.2"));
}
