//! Environment variables and secrets, from `hk` to programs of every kind on a node: they are in
//! the environment of each call, and nowhere else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};
use system_tests::openwhisk::{ask, deploy_json};
use system_tests::{SharedNode, TestNode, boot, machine};
use xtask::runtime::Language;
use xtask::{build, workspace};

static NODE: SharedNode = SharedNode::new(|| boot(machine().memory_mib(1024)));

static HK: LazyLock<PathBuf> = LazyLock::new(|| build::client().expect("hk builds"));

/// How long an interpreter may take to start, emulated, on a busy computer.
const RUNTIME_TIMEOUT: Duration = Duration::from_secs(330);
/// A value that no page holds alone, with all that a shell or JSON would trip over.
const LONG: usize = 6000;

/// Runs `hk` for a node; its output, and whether it was content.
fn hk(node: &TestNode, words: &[&str]) -> (bool, String) {
    let mut command = Command::new(&*HK);
    command.args(words).env("XDG_CONFIG_HOME", "/nonexistent").env("HK_URL", node.base_url());
    let output = command.env_remove("HK_KEY").stdin(Stdio::null()).output().expect("hk runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[track_caller]
fn done(node: &TestNode, words: &[&str]) -> String {
    let (is_done, said) = hk(node, words);
    assert!(is_done, "{words:?}: {said}");
    said
}

/// A file that this test wrote.
fn file(name: &str, content: &[u8]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("environment");
    fs::create_dir_all(&folder).expect("the folder can be made");
    let path = folder.join(name);
    fs::write(&path, content).expect("there is room");
    path
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The value of a variable among `NAME=value` lines.
fn value<'a>(lines: &'a str, name: &str) -> Option<&'a str> {
    lines.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

#[test]
fn a_native_program_gets_them_and_nobody_is_shown_a_secret() {
    let node = NODE.get();
    let secret = format!("hush \"{}\" \\ ☃", "x".repeat(LONG));
    let from = format!("TOKEN=@{}", text(&file("token", format!("{secret}\n").as_bytes())));
    let web = text(&workspace::actions().join("web.elf"));
    done(
        &node,
        &["deploy", &web, "--annotation", "cgi=true", "--env", "MODE=a=b", "--secret", &from],
    );
    let called = |headers: &[&str]| node.request("GET", "/function/web", headers, b"").text();
    let told = called(&["Token: forged", "Mode: forged"]);
    assert_eq!(value(&told, "TOKEN"), Some(&*secret), "{told}");
    assert_eq!((value(&told, "MODE"), value(&told, "HTTP_MODE")), (Some("a=b"), Some("forged")));

    // Nothing that the node says of the action has it. What a program says is in its record.
    assert_eq!(done(&node, &["env", "web"]), "MODE=a=b\nTOKEN (secret)\n");
    let shown = done(&node, &["get", "web"]);
    assert!(shown.contains("TOKEN") && !shown.contains("hush"), "{shown}");
    for path in ["actions", "actions/web", "actions/web?code=false"] {
        let target = format!("/api/v1/namespaces/_/{path}");
        let listed = ask(&node, "GET", &target, b"").text();
        assert!(!listed.contains("hush"), "{path}: {listed}");
    }

    // Changed one by one, and gone with the next call; new code changes nothing.
    done(&node, &["env", "web", "--unset", "MODE", "--env", "OTHER="]);
    done(&node, &["deploy", &web]);
    let told = called(&[]);
    assert_eq!((value(&told, "MODE"), value(&told, "OTHER")), (None, Some("")), "{told}");
    assert_eq!(value(&told, "TOKEN"), Some(&*secret));
    done(&node, &["env", "web", "--unset", "TOKEN"]);
    assert_eq!(value(&called(&[]), "TOKEN"), None);

    // Another action, also of the same code, has none of it.
    done(&node, &["deploy", &web, "--name", "other", "--annotation", "cgi=true"]);
    let other = node.request("GET", "/function/other", &[], b"").text();
    assert_eq!(value(&other, "OTHER"), None, "{other}");

    for (words, part) in [
        (["env", "web", "--secret", "A=hush"], "seen by others"),
        (["env", "web", "--env", "__OW_API_KEY=x"], "set by the node itself"),
        (["env", "nobody", "--env", "A=x"], "does not exist"),
    ] {
        let (is_done, said) = hk(&node, &words);
        assert!(!is_done && said.contains(part), "{words:?}: {said}");
    }
}

#[test]
fn a_linux_program_finds_them_where_libc_looks() {
    let node = NODE.get();
    let source = b"#include <stdio.h>\n#include <stdlib.h>\n\
        int main(void) {\n    char *token = getenv(\"TOKEN\");\n\
        \x20   printf(\"{\\\"token\\\":\\\"%s\\\",\\\"mode\\\":\\\"%s\\\"}\\n\",\n\
        \x20       token ? token : \"-\", getenv(\"MODE\"));\n    return 0;\n}\n";
    let source = file("env.c", source);
    let program = source.with_file_name("env");
    let mut compiler = Command::new("musl-gcc");
    compiler.args(["-static", "-O1", "-o"]).arg(&program).arg(&source);
    assert!(compiler.status().expect("a compiler is installed").success());
    let from = format!("TOKEN=@{}", text(&file("linux", b"two\nlines")));
    done(&node, &["deploy", &text(&program), "--env", "MODE=m", "--secret", &from]);
    let called = node.client().call("env", b"").expect("an answer").text();
    assert_eq!(called, "{\"token\":\"two\nlines\",\"mode\":\"m\"}\n");
    done(&node, &["env", "env", "--unset", "TOKEN"]);
    let called = node.client().call("env", b"").expect("an answer").text();
    assert_eq!(called, "{\"token\":\"-\",\"mode\":\"m\"}\n");
}

#[test]
fn a_python_function_has_them_in_os_environ_and_its_loading_has_not() {
    let node = NODE.get();
    let archive = Language::Python.file();
    if !archive.is_file() {
        Language::Python.build(|doing| println!("{doing}")).expect("the runtime builds");
    }
    let archive = fs::read(&archive).expect("it was built");
    let client = node.client().clone().with_timeout(RUNTIME_TIMEOUT);
    client.install_runtime(&Language::Python.kind(), &archive).expect("the node takes it");
    let source = file(
        "secret.py",
        b"import os\nEARLY = os.environ.get('TOKEN')\n\
          def main(args):\n    return {'early': EARLY, 'now': os.environ.get('TOKEN'),\n\
          \x20           'getenv': os.getenv('MODE'), 'start': os.environ.get('START')}\n",
    );
    let from = format!("TOKEN=@{}", text(&file("python", b"hush")));
    let said = done(
        &node,
        &["--wait", "330", "deploy", &text(&source), "--env", "MODE=m", "--secret", &from],
    );
    assert!(said.contains("Deployed secret"), "{said}");
    let called = || client.invoke("secret", &json!({})).expect("it runs");
    let invocation = called();
    assert_eq!(invocation.activation.response.result, result(json!("hush"), Value::Null));

    // OpenWhisk's way, by its document.
    let start = json!({"key": "START", "value": [1], "init": true});
    let document = json!({ "parameters": [start] });
    let answer = deploy_json(&node, "secret?overwrite=true", &document);
    assert_eq!(answer.status, 200, "{}", answer.text());
    done(&node, &["env", "secret", "--unset", "TOKEN"]);
    assert_eq!(called().activation.response.result, result(Value::Null, json!("[1]")));
}

/// What the function of the test above answers.
fn result(token: Value, start: Value) -> Value {
    json!({"early": null, "now": token, "getenv": "m", "start": start})
}
