//! Other people's clients, as they are: OpenWhisk's for Node.js.

use std::fs;

use system_tests::clients::{command, npm_packages};
use system_tests::{boot, machine};
use xtask::workspace;

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
