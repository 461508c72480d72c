//! The command-line client against real nodes: what it prints, what it saves, how it exits.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use serde_json::{Value, json};
use system_tests::{BOOT_TIMEOUT, SharedNode, TestNode, boot, machine};
use xtask::{build, workspace};

static NODE: SharedNode = SharedNode::new(|| boot(machine()).with_samples());
static HK: LazyLock<PathBuf> = LazyLock::new(|| build::client().expect("hk builds"));

/// What `hk` did.
#[derive(Debug)]
struct Done {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Done {
    /// The output, of a command that worked.
    #[track_caller]
    fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    #[track_caller]
    fn json(self) -> Value {
        let out = self.ok();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    /// A command that failed with this code, and said this.
    #[track_caller]
    fn failed(&self, code: i32, said: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.err.contains(said), "{said:?} is not in {self:?}");
    }
}

/// A command without any configuration but that of the folder `config`.
fn command(config: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(&*HK);
    command.args(words).env("XDG_CONFIG_HOME", config);
    for variable in ["HK_URL", "HK_KEY"] {
        command.env_remove(variable);
    }
    // What is deployed here is nobody's to keep.
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}

fn done(output: Output) -> Done {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Done { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// Runs `hk` for a node, with these words and this standard input.
fn hk_fed(node: &TestNode, words: &[&str], input: &[u8]) -> Done {
    let mut command = command(Path::new("/nonexistent"), words);
    command.env("HK_URL", node.base_url());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("hk starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    // Who does not read its input may end before we have written it.
    let _ = pipe.write_all(input);
    drop(pipe);
    done(child.wait_with_output().expect("hk ends"))
}

fn hk(node: &TestNode, words: &[&str]) -> Done {
    hk_fed(node, words, b"")
}

/// An empty folder for a configuration.
fn config_folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("hk-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the folder can be made");
    folder
}

fn elf(name: &str) -> String {
    workspace::actions().join(format!("{name}.elf")).to_string_lossy().into_owned()
}

#[test]
fn hk_deploys_lists_describes_and_deletes() {
    let node = NODE.get();
    let echo = elf("echo");
    let deployed = hk(
        &node,
        &["--json", "deploy", &echo, "--name", "mine", "--memory", "4", "--timeout", "700"],
    )
    .json();
    assert_eq!(deployed["name"], "mine");
    assert_eq!(
        (&deployed["limits"]["memory"], &deployed["limits"]["timeout"]),
        (&json!(4), &json!(700))
    );
    hk(&node, &["deploy", &echo, "--name", "mine", "--no-overwrite"]).failed(3, "exists");

    let list = hk(&node, &["list"]).ok();
    assert!(
        list.lines().any(|line| line.starts_with("mine ") && line.contains("700 ms")),
        "{list}"
    );
    let names = hk(&node, &["list", "--json"]).json();
    let names: Vec<_> = names.as_array().into_iter().flatten().map(|one| &one["name"]).collect();
    assert!(names.contains(&&json!("mine")) && names.contains(&&json!("hello")), "{names:?}");

    assert_eq!(hk(&node, &["get", "mine", "--json"]).json()["version"], "0.0.1");
    assert!(hk(&node, &["get", "mine"]).ok().contains("\"version\": \"0.0.1\""));
    assert_eq!(hk(&node, &["delete", "mine"]).ok(), "Deleted mine 0.0.1\n");
    hk(&node, &["deploy", &echo, "--name", "mine"]).ok();
    assert_eq!(hk(&node, &["delete", "mine", "--json"]).json()[0]["name"], "mine");
    hk(&node, &["get", "mine"]).failed(3, "hk list");

    // What can be done is done, and the rest said, item by item.
    for name in ["one", "two"] {
        hk(&node, &["deploy", &echo, "--name", name]).ok();
    }
    let some = hk(&node, &["delete", "one", "absent", "two"]);
    some.failed(3, "absent: the node refused");
    assert_eq!(some.out, "Deleted one 0.0.1\nDeleted two 0.0.1\n");
}

#[test]
fn hk_binds_parameters_and_annotations() {
    let node = NODE.get();
    let words = [
        "deploy",
        &elf("hello"),
        "--name",
        "polite",
        "--param",
        "name=nobody",
        "--param",
        "n=1",
        "--annotation",
        "who=\"me\"",
        "--web",
    ];
    hk(&node, &words).ok();
    let described = hk(&node, &["get", "polite", "--json"]).json();
    assert_eq!(
        described["parameters"],
        json!([{"key": "n", "value": 1}, {"key": "name", "value": "nobody"}])
    );
    let annotations = described["annotations"].as_array().expect("a list");
    for (key, value) in [("web-export", json!(true)), ("who", json!("me"))] {
        assert!(annotations.contains(&json!({"key": key, "value": value})), "{annotations:?}");
    }
    assert_eq!(
        hk(&node, &["invoke", "polite", "--result"]).ok(),
        "{\"greeting\":\"Hello, nobody!\"}\n"
    );
}

#[test]
fn hk_builds_and_deploys_a_crate() {
    let node = NODE.get();
    let folder = workspace::root().join("images/hello");
    let folder = folder.to_string_lossy();
    let deployed = hk(&node, &["deploy", &folder, "--name", "built", "--json"]).json();
    assert_eq!(deployed["name"], "built");
    assert_eq!(
        hk(&node, &["invoke", "built", "--result"]).ok(),
        "{\"greeting\":\"Hello, World!\"}\n"
    );
    let no_crate = config_folder("no-crate");
    hk(&node, &["deploy", &no_crate.to_string_lossy()]).failed(2, "no Cargo.toml");
    let manifest = workspace::root().join("Cargo.toml");
    hk(&node, &["deploy", &manifest.to_string_lossy()]).failed(3, "not an ELF");
}

#[test]
fn hk_invokes_in_all_forms() {
    let node = NODE.get();
    let greeting = "{\"greeting\":\"Hello, A!\"}\n";
    let input = r#"{"name":"A"}"#;
    let plain = hk(&node, &["invoke", "hello", input]);
    assert!(plain.err.starts_with("queue ") && plain.err.contains(" total "), "{plain:?}");
    assert_eq!(plain.ok(), greeting);
    let result = hk(&node, &["invoke", "hello", input, "--result"]);
    assert_eq!(result.err, "");
    assert_eq!(result.ok(), greeting);
    assert_eq!(hk_fed(&node, &["invoke", "hello", "-"], input.as_bytes()).ok(), greeting);
    let file = config_folder("input").join("input.json");
    fs::write(&file, input).expect("a file");
    let from_file = format!("@{}", file.display());
    assert_eq!(hk(&node, &["invoke", "hello", &from_file]).ok(), greeting);

    let record = hk(&node, &["invoke", "hello", input, "--json"]).json();
    assert_eq!(record["response"]["result"], json!({"greeting": "Hello, A!"}));
    assert_eq!(record["activationId"].as_str().map(str::len), Some(32));
    let bare = hk(&node, &["invoke", "hello", input, "--json", "--result"]).json();
    assert_eq!(bare, json!({"greeting": "Hello, A!"}));
    let started = hk(&node, &["invoke", "hello", input, "--json", "--async"]).json();
    assert_eq!(started["activationId"].as_str().map(str::len), Some(32), "{started}");
    let traced = hk(&node, &["invoke", "hello", input, "--trace"]);
    assert!(traced.err.contains("█") && traced.err.contains("\ntotal "), "{traced:?}");
    assert_eq!(traced.ok(), greeting);
    let receipt = hk(&node, &["invoke", "hello", "--trace", "--json"]).json();
    assert!(receipt["receipt"]["run_us"].is_number(), "{receipt}");

    let bytes: Vec<u8> = (0..=255).collect();
    let mut raw = command(Path::new("/nonexistent"), &["invoke", "echo", "--raw"]);
    raw.args(["-"]).env("HK_URL", node.base_url()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = raw.spawn().expect("hk starts");
    child.stdin.take().expect("a pipe").write_all(&bytes).expect("hk reads");
    assert_eq!(child.wait_with_output().expect("hk ends").stdout, bytes);
    let shape = hk(&node, &["invoke", "echo", "text", "--raw", "--json"]).json();
    assert_eq!((&shape["status"], &shape["body"]), (&json!(200), &json!("text")));
}

#[test]
fn hk_fails_with_the_promised_codes_and_says_what_to_do() {
    let node = NODE.get();
    let fault = hk(&node, &["invoke", "faults", r#"{"kind":"read-null"}"#]);
    fault.failed(1, "developer error, page fault");
    assert!(fault.out.contains("page fault"), "{fault:?}");
    hk(&node, &["invoke", "faults", r#"{"kind":"read-null"}"#, "--raw"]).failed(1, "502");
    hk(&node, &["invoke", "hello", "{"]).failed(2, "not JSON");
    hk(&node, &["invoke", "hello", "@no/such/file"]).failed(2, "no/such/file");
    hk(&node, &["invoke"]).failed(2, "Usage");
    hk(&node, &["invoke", "helo"]).failed(3, "did you mean hello");
    hk(&node, &["invoke", "helo", "--raw"]).failed(3, "did you mean hello");
    hk(&node, &["delete", "nothing-like-it"]).failed(3, "hk list");
    hk(&node, &["list", "--key", "a:b"]).failed(3, "the key comes from the command line");
    // As large as an upload that a refusal meets half way.
    let large = config_folder("large").join("large.elf");
    fs::write(&large, vec![b'x'; 4 << 20]).expect("a file");
    let words = ["deploy", &large.to_string_lossy(), "--key", "a:b"];
    hk(&node, &words).failed(3, "the key comes from the command line");

    let nobody = hk(&node, &["list", "--url", "127.0.0.1:1"]);
    nobody.failed(5, "cargo xtask run");
    nobody.failed(5, "the address comes from the command line");
    let error = hk(&node, &["get", "helo", "--json"]);
    let error: Value = serde_json::from_str(&error.err).expect("JSON on stderr");
    assert_eq!((&error["status"], &error["exit"]), (&json!(404), &json!(3)));
}

#[test]
fn hk_does_not_wait_longer_than_told() {
    let node = NODE.get();
    hk(&node, &["deploy", &elf("faults"), "--name", "slow", "--timeout", "5000"]).ok();
    let words = ["invoke", "slow", r#"{"kind":"endless-loop"}"#, "--wait", "1"];
    hk(&node, &words).failed(5, "--wait");
}

#[test]
fn hk_drives_load_in_a_closed_and_an_open_loop() {
    let node = NODE.get();
    let closed =
        hk(&node, &["bench", "hello", "-c", "2", "-n", "40", "-d", "600", "--json"]).json();
    assert_eq!((&closed["mode"], &closed["succeeded"]), (&json!("closed"), &json!(40)));
    assert_eq!(closed["errors"], json!({}));
    for percentile in ["min", "p50", "p90", "p99", "p99.9", "p99.99", "max"] {
        assert!(closed["latency_us"][percentile].as_f64() > Some(0.0), "{closed}");
    }
    let words = ["bench", "hello", "-c", "4", "-n", "10", "--rate", "20", "-d", "600", "--json"];
    let open = hk(&node, &words).json();
    assert_eq!((&open["mode"], &open["succeeded"]), (&json!("open"), &json!(10)));
    // Nothing is sent before it is due.
    assert!(open["seconds"].as_f64() >= Some(0.45), "{open}");
    assert!(open["latency_us"]["max"].as_f64() >= open["service_us"]["max"].as_f64(), "{open}");

    // A request that could never be sent in time is counted all the same.
    let words = ["bench", "faults", r#"{"kind":"read-null"}"#, "-c", "1", "-n", "3"];
    let failing = hk(&node, &words);
    assert_eq!(failing.code, Some(1));
    assert!(failing.out.contains("3 failed: status 502"), "{failing:?}");
    let words = ["bench", "hello", "-c", "1", "-d", "0.5", "--rate", "100000", "--json"];
    let late = hk(&node, &words);
    assert_eq!(late.code, Some(1));
    let late: Value = serde_json::from_str(&late.out).expect("JSON");
    let unsent = late["errors"]["never sent"].as_u64().expect("a count");
    assert_eq!(unsent + late["succeeded"].as_u64().expect("a count"), 50_000);
    hk(&node, &["bench", "helo"]).failed(3, "did you mean hello");
}

#[test]
fn hk_shows_the_state_of_a_node() {
    let node = NODE.get();
    let status = hk(&node, &["status", "--json"]).json();
    assert_eq!((&status["ready"], &status["readiness"]), (&json!(true), &json!("ok")));
    assert!(
        status["build"].is_string() && status["load"]["actions"].as_f64() > Some(0.0),
        "{status}"
    );
    let text = hk(&node, &["status"]).ok();
    assert!(text.contains("memory available") && text.contains("MiB"), "{text}");
    let top = hk(&node, &["top", "--once", "--interval", "0.1"]).ok();
    assert!(top.starts_with(&node.base_url()) && top.contains("in flight"), "{top}");
    assert!(!top.contains('\x1b'), "{top}");
    let top = hk(&node, &["top", "--once", "--interval", "0.1", "--json"]).json();
    assert!(top["memory_bytes"]["installed"].as_f64() > Some(0.0), "{top}");
}

#[test]
fn hk_saves_nodes_for_their_owner_only() {
    let node = NODE.get();
    let folder = config_folder("nodes");
    let hk = |words: &[&str]| done(command(&folder, words).output().expect("hk starts"));
    hk(&["node", "use", "lab"]).failed(2, "hk node add");
    hk(&["node", "add", "lab", &node.base_url(), "--key", "no-colon"]).failed(2, "USER:PASSWORD");
    hk(&["node", "add", "-", &node.base_url()]).failed(2, "no name for a node");
    hk(&["node", "add", "lab", "https://edge"]).failed(2, "plain http://");
    hk(&["node", "add", "lab", "edge:port"]).failed(2, "1 to 65535");
    hk(&["node", "add", "lab", &node.base_url(), "--key", hk::GUEST_KEY]).ok();
    hk(&["node", "add", "gone", "127.0.0.1:1", "--key", "some:secret"]).ok();
    let file = folder.join("hk/config.toml");
    let mode = fs::metadata(&file).expect("the file is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // The first one is the default; others are named.
    hk(&["get", "hello"]).ok();
    hk(&["get", "hello", "--node", "gone"]).failed(5, "the configuration");
    hk(&["get", "hello", "--node", "other"]).failed(2, "gone, lab");
    hk(&["node", "use", "gone"]).ok();
    hk(&["get", "hello"]).failed(5, "the configuration");
    hk(&["get", "hello", "--node", "lab"]).ok();
    let list = hk(&["node", "list", "--json"]);
    assert!(!list.out.contains("secret"), "{list:?}");
    let list = list.json();
    assert_eq!(list[0]["name"], "gone");
    assert_eq!((&list[0]["default"], &list[1]["default"]), (&json!(true), &json!(false)));
    hk(&["node", "remove", "gone"]).ok();

    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("the owner may");
    hk(&["list"]).failed(2, "chmod 600");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("the owner may");
    fs::write(&file, "nonsense").expect("the owner may");
    hk(&["list"]).failed(2, "config.toml");
}

#[test]
fn hk_completes_commands_actions_and_nodes() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let words = ["completions", shell];
        let output = command(Path::new("/nonexistent"), &words).output().expect("hk starts");
        assert!(done(output).ok().contains("COMPLETE"), "{shell}");
    }
    let node = NODE.get();
    let folder = config_folder("completion");
    let hk = |words: &[&str]| done(command(&folder, words).output().expect("hk starts"));
    hk(&["node", "add", "lab", &node.base_url()]).ok();
    // As the script for bash asks: the last word is to be completed.
    let offered = |line: &[&str]| {
        let words = [&["--", "hk"], line].concat();
        let mut command = command(&folder, &words);
        command.env("COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", line.len().to_string());
        let output = done(command.output().expect("hk starts"));
        output.ok().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(offered(&["activ"]), ["activations", "activation"]);
    assert_eq!(offered(&["invoke", "hel"]), ["hello"]);
    assert_eq!(offered(&["list", "--node", "l"]), ["lab"]);
    assert!(offered(&["invoke", "--url", "127.0.0.1:1", "hel"]).is_empty());
}

#[test]
fn hk_starts_and_reads_records() {
    let node = NODE.get();
    hk(&node, &["deploy", &elf("faults"), "--name", "logger"]).ok();
    let id = hk(&node, &["invoke", "logger", r#"{"kind":"panic"}"#, "--async"]).ok();
    let id = id.trim();
    assert_eq!(id.len(), 32, "{id}");
    // It has ended when its record is there.
    let mut record = hk(&node, &["trace", id, "--json"]);
    for _ in 0..600 {
        if record.code == Some(0) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
        record = hk(&node, &["trace", id, "--json"]);
    }
    let record = record.json();
    assert_eq!((&record["name"], &record["activationId"]), (&json!("logger"), &json!(id)));
    assert_eq!(record["status"], "action developer error");
    for field in ["queue_us", "run_us", "total_us", "cycles", "page_faults", "core", "calls"] {
        assert!(record["receipt"][field].is_number(), "{field} is not in {record}");
    }
    assert!(hk(&node, &["trace", "logger"]).ok().contains("█"));

    let logs = hk(&node, &["logs", "logger"]).ok();
    assert!(logs.starts_with("logger ") && logs.contains("stderr: panicked"), "{logs}");
    assert_eq!(hk(&node, &["logs", id]).ok(), logs);
    assert!(logs.lines().last().is_some_and(|line| line.contains("ended with: ")), "{logs}");
    assert_eq!(hk(&node, &["logs", id, "--json"]).json()["activationId"], id);
    hk(&node, &["logs", "nope"]).failed(3, "hk list");
    hk(&node, &["activations", "nope"]).failed(3, "hk list");

    let shown = hk(&node, &["activation", "get", id]).ok();
    for part in [
        id,
        "developer error",
        "reason  exit status 101, panicked at ",
        "stderr: panicked",
        "result  {",
    ] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    let record = hk(&node, &["activation", "get", id, "--json"]).json();
    assert_eq!(record["response"]["status"], "action developer error");
    hk(&node, &["activation", "get", &"0".repeat(32)]).failed(3, "may still run");
    let id = hk(&node, &["invoke", "logger", r#"{"kind":"read-null"}"#, "--async"]).ok();
    let shown = hk(&node, &["activation", "get", id.trim(), "--wait-end"]).ok();
    assert!(shown.contains("reason  page fault reading 0x0"), "{shown}");
    let list = hk(&node, &["activations", "logger", "--limit", "1"]).ok();
    assert!(list.contains("developer error: page fault reading 0x0"), "{list}");
    let id = record["activationId"].as_str().expect("an id");

    let list = hk(&node, &["activations", "logger", "--json"]).json();
    assert_eq!((&list[1]["activationId"], &list[1]["statusCode"]), (&json!(id), &json!(2)));
    assert!(hk(&node, &["activations", "--limit", "200"]).ok().contains(id));
    hk(&node, &["trace", &"0".repeat(32)]).failed(3, "hk activations");
    hk(&node, &["trace", "never-ran"]).failed(3, "hk activations");
}

#[test]
fn hk_follows_logs_and_shows_each_record_once() {
    let node = NODE.get();
    hk(&node, &["deploy", &elf("faults"), "--name", "followed"]).ok();
    assert_eq!(hk(&node, &["invoke", "followed", r#"{"kind":"panic"}"#]).code, Some(1));
    let mut follow = command(Path::new("/nonexistent"), &["logs", "followed", "-f", "--json"]);
    follow.env("HK_URL", node.base_url()).stdout(Stdio::piped());
    let mut follow = follow.spawn().expect("hk starts");
    let mut lines = BufReader::new(follow.stdout.take().expect("a pipe")).lines();
    let mut record = || -> Value {
        let line = lines.next().expect("hk goes on").expect("text");
        serde_json::from_str(&line).expect("JSON")
    };
    // With the first line it has begun to follow.
    let mut records = vec![record()];
    // More than an answer lists.
    let words = ["bench", "followed", r#"{"kind":"panic"}"#, "-c", "1", "-n", "119", "-d", "600"];
    assert_eq!(hk(&node, &words).code, Some(1));
    // The first call of a bench is the 120th.
    records.extend((0..120).map(|_| record()));
    follow.kill().expect("it can be killed");
    follow.wait().expect("it can be collected");
    let ids: BTreeSet<_> = records.iter().map(|record| record["activationId"].as_str()).collect();
    assert_eq!(ids.len(), 121);
}

#[test]
fn hk_is_told_that_a_quota_is_used_up_and_drains_a_node() {
    let guest = format!("hostkernel.namespace=guest,key={},rate=2", hk::GUEST_KEY);
    let node = boot(machine().kernel_words(format!("{guest} hostkernel.admin_key=admin:secret")));
    hk(&node, &["deploy", &elf("hello")]).ok();
    // They take less than a minute, and two minutes allow four.
    let answers: Vec<_> = (0..5).map(|_| hk(&node, &["invoke", "hello"])).collect();
    let refused: Vec<_> = answers.iter().filter(|answer| answer.code != Some(0)).collect();
    let [first, ..] = refused.as_slice() else { panic!("{answers:?}") };
    first.failed(4, "Too many requests");
    assert!(refused.iter().all(|answer| answer.code == Some(4)), "{answers:?}");

    hk(&node, &["drain"]).failed(3, "the administrator's key");
    let drained = hk(&node, &["drain", "--key", "admin:secret", "--json"]).json();
    assert_eq!(drained, json!({ "draining": true }));
    let status = hk(&node, &["status", "--json"]);
    assert_eq!(status.code, Some(4), "{status:?}");
    let shown: Value = serde_json::from_str(&status.out).expect("JSON");
    assert_eq!((&shown["ready"], &shown["readiness"]), (&json!(false), &json!("draining")));
    let end = node.wait_exit(BOOT_TIMEOUT);
    assert!(end.is_some_and(|status| status.success()), "{end:?}");
    hk(&node, &["status"]).failed(5, "cargo xtask run");
}
