//! Crates of actions live in Cargo's world: what plain `cargo` does in one of `cargo xtask new`,
//! and in that of docs/actions.md, without flags in the environment or the folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

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

/// Where the crates of these tests are built.
fn shared_target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("crates")
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
    command.env("CARGO_TARGET_DIR", shared_target()).output().expect("Cargo starts")
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
fn a_reader_that_has_seen_enough_is_no_failure() {
    let parent = folder("unread");
    let mut command = Command::new(workspace::target().join("debug/xtask"));
    command.args(["new", "unread"]).current_dir(&parent).stdout(Stdio::piped());
    command.env("CARGO_MANIFEST_DIR", workspace::root().join("xtask")).stderr(Stdio::piped());
    let mut child = command.spawn().expect("xtask is built");
    // As `| head -n 0` does.
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("xtask ends");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
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

/// Set, every row of the table is tried.
const ALL: &str = "HOSTKERNEL_TEST_ALL_CRATES";
/// The crates that the action below uses.
const USED: [&str; 5] = ["num-bigint", "regex", "sha2", "time", "uuid"];

/// Uses five crates of the table in the documentation, and much memory a little at a time.
const USES: &str = r#"
#![cfg_attr(not(test), no_std, no_main)]

use action_abi::prelude::*;
use num_bigint::BigUint;
use sha2::Digest as _;

fn crates(input: Value) -> Result<Value, String> {
    let word = regex::Regex::new(r"(?i)\bö\w+").map_err(|error| error.to_string())?;
    let text = input["text"].as_str().unwrap_or_default();
    let factorial = (1..=30_u32).fold(BigUint::from(1_u32), |product, number| product * number);
    let time = time::OffsetDateTime::from_unix_timestamp(86_400);
    let date = time.map_err(|error| error.to_string())?.date();
    let mut counts: HashMap<&str, u32> = HashMap::new();
    text.split(' ').for_each(|word| *counts.entry(word).or_default() += 1);
    Ok(json!({
        "uuid": uuid::Uuid::new_v4().to_string(),
        "word": word.find(text).map(|found| found.as_str()),
        "sha": format!("{:02x}", sha2::Sha256::digest("abc")[0]),
        "date": date.to_string(),
        "factorial": factorial.to_string(),
        "twice": counts.values().filter(|count| **count == 2).count(),
        "root": (input["number"].as_f64().unwrap_or_default()).sqrt(),
        "churned": churn(input["blocks"].as_u64().unwrap_or_default()),
    }))
}

/// Allocates a thousand bytes so many times, and keeps a hundred of such blocks.
fn churn(blocks: u64) -> u64 {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for number in 0..blocks {
        kept.push(vec![number as u8; 900 + number as usize % 200]);
        if kept.len() > 100 {
            kept.swap_remove(number as usize % 100);
        }
    }
    kept.iter().map(|block| u64::from(block[0] > 0)).count() as u64 + blocks
}

action_abi::action!(crates);
"#;

/// What an action can do with a crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    AsItIs,
    WithFeatures,
    No,
}

/// A row of the table in the documentation.
#[derive(Debug)]
struct Row {
    name: String,
    verdict: Verdict,
    /// The dependency, as in a manifest.
    line: String,
}

impl Row {
    fn read(row: &str) -> Self {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, verdict, dependency] = cells[..] else { panic!("{row}") };
        let verdict = match verdict {
            "as it is" => Verdict::AsItIs,
            "with these features" => Verdict::WithFeatures,
            "no" => Verdict::No,
            _ => panic!("{row}"),
        };
        let line = dependency.split('`').nth(1).expect("a dependency").to_owned();
        assert!(line.starts_with(&format!("{name} = ")), "{row}");
        Self { name: name.to_owned(), verdict, line }
    }

    /// The dependency without a word about features.
    fn plain(&self) -> String {
        let version = self.line.split('"').nth(1).expect("a version");
        format!("{} = \"{version}\"", self.name)
    }

    /// What it is in truth.
    fn tried(&self) -> Verdict {
        match (is_for_actions(&self.name, &self.plain()), self.line == self.plain()) {
            (true, _) => Verdict::AsItIs,
            (false, false) if is_for_actions(&self.name, &self.line) => Verdict::WithFeatures,
            _ => Verdict::No,
        }
    }
}

/// Whether an action compiles that has this dependency. One that does not has `std` in it.
fn is_for_actions(name: &str, line: &str) -> bool {
    let source = format!(
        "#![no_std]\n#![no_main]\nuse action_abi::prelude::*;\nuse {} as _;\n\
         fn same(input: Value) -> Value {{ input }}\naction_abi::action!(same);\n",
        name.replace('-', "_")
    );
    let folder = action_with(&format!("one-{name}"), &[line.to_owned()], &source);
    let mut command = build::action_cargo("check", &shared_target());
    command.current_dir(&folder);
    let output = command.output().expect("Cargo starts");
    let _ = fs::remove_dir_all(folder);
    let said = String::from_utf8_lossy(&output.stderr);
    let has_std = said.contains("found duplicate lang item `panic_impl`");
    assert!(output.status.success() != has_std, "{line}: {said}");
    output.status.success()
}

fn table() -> Vec<Row> {
    let page = fs::read_to_string(workspace::root().join("docs/actions.md")).expect("the page");
    let (_, rest) = page.split_once("### Crates that work").expect("the section");
    let rows = rest.lines().skip_while(|line| !line.starts_with("|---"));
    rows.skip(1).take_while(|line| line.starts_with('|')).map(Row::read).collect()
}

/// The folder of an action that depends on these crates and has this source.
fn action_with(name: &str, crates: &[String], source: &str) -> PathBuf {
    let folder = folder(name);
    fs::create_dir(folder.join("src")).expect("a folder");
    let abi = workspace::root().join("action-abi").display().to_string();
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n\
         [profile.action]\ninherits = \"release\"\npanic = \"abort\"\n[dependencies]\n\
         action-abi = {{ path = \"{abi}\", features = [\"runtime\"] }}\n{}\n",
        crates.join("\n")
    );
    fs::write(folder.join("Cargo.toml"), manifest).expect("it can be written");
    fs::write(folder.join("src/main.rs"), source.trim_start()).expect("it can be written");
    folder
}

/// The rows of the short form: one of each verdict, and quickly compiled.
const FEW: [&str; 3] = ["csv", "hex", "log"];

#[test]
fn the_table_of_crates_says_what_is_true() {
    let rows = table();
    assert_eq!(rows.len(), 30);
    let all = std::env::var_os(ALL).is_some();
    let tried = rows.iter().filter(|row| all || FEW.contains(&&*row.name));
    let verdicts: Vec<_> = tried.map(|row| (row, row.tried())).collect();
    let wrong: Vec<_> = verdicts.iter().filter(|(row, truth)| row.verdict != *truth).collect();
    assert!(verdicts.len() >= FEW.len() && wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn crates_that_people_reach_for_run_on_a_node() {
    let rows = table();
    let all = std::env::var_os(ALL).is_some();
    let works = rows.iter().filter(|row| row.verdict != Verdict::No);
    let is_used = |row: &&Row| USED.contains(&&*row.name);
    let (used, others): (Vec<_>, Vec<_>) = works.partition(is_used);
    assert_eq!(used.len(), USED.len());
    // The other crates take minutes, for who wants to know.
    let others = if all { others } else { Vec::new() };
    let linked = |row: &&Row| format!("use {} as _;\n", row.name.replace('-', "_"));
    let linked: String = others.iter().map(linked).collect();
    let lines = used.iter().chain(&others).map(|row| row.line.clone()).collect::<Vec<_>>();
    let folder = action_with("reaching", &lines, &(USES.to_owned() + &linked));
    let program = build::action_crate(&folder).expect("it builds");
    let node = boot(machine());
    let target = "reaching?memory=4&timeout=60000";
    assert_eq!(deploy_raw(&node, target, &fs::read(&program.file).expect("it")).status, 200);
    let input = serde_json::json!({"text": "an Öde an die", "number": 2.0, "blocks": 40_000});
    let call = || node.client().invoke("reaching", &input).expect("an answer").result().clone();
    let result = call();
    for (name, expected) in [
        ("word", Value::from("Öde")),
        ("sha", "ba".into()),
        ("date", "1970-01-02".into()),
        ("factorial", "265252859812191058636308480000000".into()),
        ("twice", 1.into()),
        ("root", 2_f64.sqrt().into()),
        // Ten times what it may have: what was freed is used again.
        ("churned", 40_100.into()),
    ] {
        assert_eq!(result[name], expected, "{name}: {result}");
    }
    let id = |result: &Value| result["uuid"].as_str().map(str::to_owned).expect("text");
    let (first, second) = (id(&result), id(&call()));
    assert!(first.len() == 36 && first != second, "{first} {second}");
    let _ = fs::remove_dir_all(folder);
}
