//! Other people's clients, as they are: OpenWhisk's for Node.js, load tools, and whoever copies the
//! examples of the documentation.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use system_tests::clients::{command, ensure, npm_packages};
use system_tests::{boot, examples, machine};
use xtask::workspace;

/// A folder that examples may fill.
fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("clients-{name}"))
}

#[test]
fn the_npm_package_openwhisk_gets_what_it_expects_from_every_call() {
    let packages = npm_packages();
    let script = workspace::root().join("tests/npm/openwhisk.js");
    let written = fs::read_to_string(&script).expect("the script is there");
    let node = boot(machine());
    let output = command("node")
        .arg("--test-reporter=tap")
        .arg(&script)
        .env("NODE_PATH", packages)
        .env("ACTIONS", workspace::actions())
        .env("__OW_API_HOST", node.base_url())
        .env("__OW_API_KEY", hk::GUEST_KEY)
        .output()
        .expect("Node.js starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    // Those in a loop count once here, and more often there.
    let count = written.matches("test(").count();
    let passed = said.lines().find_map(|line| line.strip_prefix("# pass ")?.parse().ok());
    assert!(count > 20 && passed >= Some(count), "{passed:?} of {count}:\n{said}\n{errors}");
    node.deploy("hello");
    node.greets("still here");
}

#[test]
fn load_tools_run_as_documented() {
    // Beside wrk, which sends what it can, they send as many as they are told.
    const SENT_MIN: u64 = 100 + 5 * 200;
    ensure(&[
        ("ab", "apache2-utils"),
        ("curl", "curl"),
        ("h2load", "nghttp2-client"),
        ("hey", "hey"),
        ("siege", "siege"),
        ("wrk", "wrk"),
    ]);
    let node = boot(machine());
    examples::run("docs/operations.md", Some("Load tools"), &node, &scratch("load"));
    let metrics = node.get("/metrics").text();
    let answers: Vec<_> =
        metrics.lines().filter(|line| line.starts_with("http_requests_total{")).collect();
    // Some of them call any answer a success.
    assert!(answers.iter().all(|line| line.contains("code=\"200\"")), "{answers:?}");
    let posts = node.metric("http_requests_total{code=\"200\",method=\"POST\"}");
    assert!(posts > SENT_MIN, "{answers:?}");

    // This one begins with the preface of HTTP/2.
    let target = format!("{}/function/hello", node.base_url());
    let output = command("h2load").args(["-n", "8", "-c", "4", &target]).output();
    let said = String::from_utf8_lossy(&output.expect("h2load starts").stdout).into_owned();
    assert!(said.contains("0 succeeded, 8 failed"), "{said}");
    assert_eq!(node.metric("http_requests_total{code=\"505\",method=\"unknown\"}"), 4);
    node.greets("still here");
}

#[test]
fn every_example_of_the_api_works() {
    ensure(&[("curl", "curl"), ("zip", "zip")]);
    let page = "docs/api.md";
    let quota = "hostkernel.namespace=small,key=small:secret,rate=1";
    let keys = format!("hostkernel.auth={} hostkernel.admin_key=admin:secret", hk::GUEST_KEY);
    let node = boot(machine().kernel_words(format!("{keys} {quota}")));
    examples::run(page, None, &node, &scratch("api"));

    // There is one for each status that the page explains.
    let text = fs::read_to_string(workspace::root().join(page)).expect("the page is there");
    let explained = text.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    let explained: BTreeSet<&str> = explained
        .flat_map(|(first, _)| first.split(", "))
        .filter(|it| it.parse::<u16>().is_ok())
        .collect();
    let beside_tables = text.lines().filter(|line| !line.starts_with('|'));
    let shown: BTreeSet<&str> = beside_tables.flat_map(|line| line.split(' ')).collect();
    assert!(explained.len() > 15, "{explained:?}");
    assert!(explained.is_subset(&shown), "{:?}", explained.difference(&shown));
}
