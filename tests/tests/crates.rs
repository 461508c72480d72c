//! Crates of actions live in Cargo's world: what plain `cargo` does in one of `cargo xtask new`,
//! and in that of docs/actions.md, without flags in the environment or the folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use system_tests::openwhisk::deploy_raw;
use system_tests::{boot, machine};
use xtask::{build, workspace};

/// An empty folder outside of any workspace; what its crates build is kept between runs.
fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("hostkernel-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the folder can be made");
    folder
}

/// Cargo in a folder, as a person would call it there.
fn cargo(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(words).current_dir(folder);
    // What this test itself was built and started with.
    const NOT_THEIRS: [&str; 3] = ["CARGO_TARGET_", "CARGO_BUILD_", "CARGO_PROFILE_"];
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.contains("RUSTFLAGS") || NOT_THEIRS.iter().any(|start| text.starts_with(start)) {
            command.env_remove(&name);
        }
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("crates");
    command.env("CARGO_TARGET_DIR", target).output().expect("Cargo starts")
}

#[track_caller]
fn works(folder: &Path, words: &[&str]) -> String {
    let output = cargo(folder, words);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}");
    assert!(!said.contains("warning: "), "{words:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// All that people and editors do in a crate whose action greets.
fn lives_in_the_ecosystem(folder: &Path) {
    works(folder, &["check", "--all-targets"]);
    works(folder, &["build"]);
    works(folder, &["clippy", "--all-targets", "--", "-D", "warnings"]);
    works(folder, &["doc", "--no-deps"]);
    let greeting = works(folder, &["run", "--quiet", "--", r#"{"name":"A"}"#]);
    assert_eq!(greeting, r#"{"greeting":"Hello, A!"}"#);
    assert!(works(folder, &["test"]).contains("test result: ok"));
}

#[test]
fn a_new_crate_builds_runs_tests_and_deploys_from_anywhere() {
    let parent = folder("new");
    let xtask = Command::new(workspace::target().join("debug/xtask"))
        .args(["new", "greeter"])
        .current_dir(&parent)
        .env("CARGO_MANIFEST_DIR", workspace::root().join("xtask"))
        .output()
        .expect("xtask is built");
    assert!(xtask.status.success(), "{xtask:?}");
    let crate_folder = parent.join("greeter");
    lives_in_the_ecosystem(&crate_folder);

    // A test that should fail fails, by name.
    let main = crate_folder.join("src/main.rs");
    let source = fs::read_to_string(&main).expect("the source");
    fs::write(&main, source.replace("\"Hello, you!\"", "\"Good day\"")).expect("it can be written");
    let failed = cargo(&crate_folder, &["test"]);
    assert!(!failed.status.success());
    assert!(String::from_utf8_lossy(&failed.stdout).contains("it_greets_by_name ... FAILED"));
    // A program of `tests/` can run the action.
    fs::write(&main, source).expect("it can be written");
    fs::create_dir(crate_folder.join("tests")).expect("a folder");
    let program = "#[test]\nfn runs() {\n    let run = std::process::Command::new(env!(\
        \"CARGO_BIN_EXE_greeter\")).arg(\"{}\").output().unwrap();\n    \
        assert_eq!(run.stdout, b\"{\\\"greeting\\\":\\\"Hello, World!\\\"}\");\n}\n";
    fs::write(crate_folder.join("tests/run.rs"), program).expect("it can be written");
    assert!(works(&crate_folder, &["test"]).contains("test runs ... ok"));

    // The action itself, and nothing to do for the second who asks, wherever from.
    let program = build::action_crate(&crate_folder).expect("it builds");
    let file = fs::read(&program.file).expect("what was built");
    let elsewhere = std::process::Command::new(build::client().expect("hk builds"))
        .args(["deploy", "greeter", "--url", "127.0.0.1:1", "--key", "a:b"])
        .current_dir(&parent)
        .output()
        .expect("hk starts");
    let said = String::from_utf8_lossy(&elsewhere.stderr);
    assert!(!said.contains("Compiling"), "{said}");

    let node = boot(machine());
    assert_eq!(deploy_raw(&node, "greeter", &file).status, 200);
    let invocation = node.client().invoke("greeter", &serde_json::json!({"name": "A"}));
    let result: Value = invocation.expect("an answer").result().clone();
    assert_eq!(result["greeting"], "Hello, A!");
    let _ = fs::remove_dir_all(parent);
}

#[test]
fn the_crate_in_the_documentation_works_as_it_stands() {
    let page = fs::read_to_string(workspace::root().join("docs/actions.md")).expect("the page");
    let block = |language: &str| {
        let (_, rest) = page.split_once(&format!("```{language}\n")).expect("a block");
        rest.split_once("```").expect("its end").0.to_owned()
    };
    let folder = folder("documented");
    fs::create_dir(folder.join("src")).expect("a folder");
    let abi = workspace::root().join("action-abi").display().to_string();
    let manifest = block("toml").replace("../hostkernel/action-abi", &abi);
    fs::write(folder.join("Cargo.toml"), manifest).expect("it can be written");
    fs::write(folder.join("src/main.rs"), block("rust")).expect("it can be written");
    lives_in_the_ecosystem(&folder);
    let _ = fs::remove_dir_all(folder);
}
