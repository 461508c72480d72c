//! Images and artifacts, pushed by the tools that people have.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use system_tests::clients::{command, ensure, python_packages};
use system_tests::registry::Registry;
use system_tests::{ACTIONS, AUTHORIZATION, TestNode, boot, brief_machine, sample};
use tempfile::TempDir;
use xtask::workspace;

const KEY: &str = hk::GUEST_KEY;
const BUSYBOX: &str = "/usr/bin/busybox";
const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A folder with images, as `skopeo` reads it (OCI image layout).
struct Layout(TempDir);

impl Layout {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        fs::create_dir_all(folder.path().join("blobs/sha256")).expect("the folder is ours");
        fs::write(folder.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)
            .expect("the folder is ours");
        Self(folder)
    }

    /// Puts a blob there; answers its descriptor.
    fn blob(&self, media: &str, bytes: &[u8]) -> Value {
        let file = self.0.path().join("blob");
        fs::write(&file, bytes).expect("the folder is ours");
        let output = Command::new("sha256sum").arg(&file).output().expect("a part of coreutils");
        let digest = String::from_utf8_lossy(&output.stdout)[..64].to_owned();
        fs::rename(file, self.0.path().join("blobs/sha256").join(&digest)).expect("it is ours");
        json!({"mediaType": media, "digest": format!("sha256:{digest}"), "size": bytes.len()})
    }

    /// An image of this folder's files.
    fn image(&self, architecture: &str, config: &Value, files: &Path) -> Value {
        let (tar, gzip) = (archive(files, "-cf"), archive(files, "-czf"));
        let diff = self.blob("tar", &tar)["digest"].clone();
        let config = json!({
            "os": "linux", "architecture": architecture, "config": config,
            "rootfs": {"type": "layers", "diff_ids": [diff]},
        });
        let manifest = json!({
            "schemaVersion": 2, "mediaType": IMAGE,
            "config": self.blob(CONFIG, config.to_string().as_bytes()),
            "layers": [self.blob(LAYER, &gzip)],
        });
        let mut descriptor = self.blob(IMAGE, manifest.to_string().as_bytes());
        descriptor["platform"] = json!({"os": "linux", "architecture": architecture});
        descriptor
    }

    /// Lets the layout be of these.
    fn index(&self, manifests: &[Value]) {
        let index = json!({"schemaVersion": 2, "manifests": manifests});
        fs::write(self.0.path().join("index.json"), index.to_string()).expect("it is ours");
    }

    fn source(&self) -> String {
        format!("oci:{}", self.0.path().display())
    }
}

/// A folder as tar makes an archive of it, with the names of `.`.
fn archive(folder: &Path, how: &str) -> Vec<u8> {
    let output = Command::new("tar")
        .args([how, "-", "--owner=0", "--group=0", "-C"])
        .arg(folder)
        .arg(".")
        .output()
        .expect("tar is everywhere");
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// A static Linux program that says how it was started.
fn program(folder: &Path) -> PathBuf {
    ensure(&[("musl-gcc", "musl-tools")]);
    let (source, program) = (folder.join("p.c"), folder.join("p"));
    let text = r#"
        #include <stdio.h>
        #include <stdlib.h>
        #include <unistd.h>
        int main(int count, char **words) {
            char directory[256];
            for (int at = 0; at < count; at++) printf("%s;", words[at]);
            printf("%s;", getenv("GREETING") ? getenv("GREETING") : "-");
            printf("%s;", getenv("__OW_ACTION_NAME"));
            printf("%s\n", getcwd(directory, sizeof directory));
            return 0;
        }
    "#;
    fs::write(&source, text).expect("the folder is ours");
    let mut compile = Command::new("musl-gcc");
    compile.args(["-static", "-O2", "-s", "-o"]).args([&program, &source]);
    assert!(compile.status().expect("it is installed").success());
    program
}

fn skopeo(arguments: &[&str]) -> Output {
    ensure(&[("skopeo", "skopeo")]);
    command("skopeo").args(arguments).output().expect("it is installed")
}

/// Copies to a node, with the key of development nodes.
fn push(from: &str, node: &TestNode, name: &str, more: &[&str]) -> Output {
    let to = format!("docker://{}/{name}", node.address());
    let options = ["--insecure-policy", "copy", "--dest-tls-verify=false", "--dest-creds", KEY];
    skopeo(&[&options, more, &[from, &to]].concat())
}

#[track_caller]
fn pushed(from: &str, node: &TestNode, name: &str, more: &[&str]) {
    let output = push(from, node, name, more);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[track_caller]
fn called(node: &TestNode, name: &str, input: &[u8]) -> String {
    let answer = node.request("POST", &format!("/function/{name}"), &[], input);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

/// An image of one program, and one with a tree that says how it is started.
fn images(folder: &Path) -> BTreeMap<&'static str, PathBuf> {
    let program = program(folder);
    let (one, tree) = (folder.join("one"), folder.join("tree"));
    fs::create_dir_all(&one).expect("the folder is ours");
    fs::copy(&program, one.join("hello")).expect("it is ours");
    for name in ["bin", "app"] {
        fs::create_dir_all(tree.join(name)).expect("the folder is ours");
    }
    ensure(&[("busybox", "busybox-static")]);
    fs::copy(BUSYBOX, tree.join("bin/busybox")).expect("it is installed");
    fs::hard_link(tree.join("bin/busybox"), tree.join("bin/sh")).expect("it is ours");
    fs::write(tree.join("app/data"), "what the image has\n").expect("it is ours");
    BTreeMap::from([("one", one), ("tree", tree)])
}

#[test]
fn images_become_actions_without_a_store() {
    let node = boot(brief_machine());
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let folders = images(folder.path());
    let layout = Layout::new();

    // One program, and nothing said about it: it is deployed as if it had been put.
    layout.index(&[layout.image("amd64", &json!({"Entrypoint": ["/hello"]}), &folders["one"])]);
    pushed(&layout.source(), &node, "guest/hello:latest", &[]);
    assert_eq!(called(&node, "hello", b"in"), "/action/exec;in;-;/guest/hello;/action\n");

    // With arguments, environment, a working directory, and limits as labels.
    let config = json!({
        "Entrypoint": ["/hello", "-v"], "Cmd": ["two words"], "Env": ["GREETING=good day"],
        "WorkingDir": "/", "Labels": {"hostkernel.memory": "32", "hostkernel.note": "x"},
    });
    layout.index(&[layout.image("amd64", &config, &folders["one"])]);
    pushed(&layout.source(), &node, "guest/hello:latest", &["--format", "v2s2"]);
    let said = called(&node, "hello", b"in");
    assert_eq!(said, "/hello;-v;two words;good day;/guest/hello;/\n");
    let action = node.request("GET", &format!("{ACTIONS}/hello"), &[AUTHORIZATION], &[]).json();
    assert_eq!((&action["limits"]["memory"], &action["version"]), (&json!(32), &json!("0.0.2")));
    assert!(action["annotations"].to_string().contains(r#"{"key":"note","value":"x"}"#));

    // A tree, with a shell that is found by a hard link, in its own working directory.
    let script = r#"read line < data; read input; echo "$0 $1 $GREETING $PWD $line $input""#;
    let config = json!({
        "Cmd": ["sh", "-c", script, "zero", "one"], "WorkingDir": "/app",
        "Env": ["PATH=/usr/bin:/bin", "GREETING=hello"],
    });
    let tree = layout.image("amd64", &config, &folders["tree"]);
    // Behind an image for other machines: the one for this counts.
    let other = layout.image("arm64", &config, &folders["one"]);
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [other, tree],
    });
    let media = "application/vnd.oci.image.index.v1+json";
    layout.index(&[layout.blob(media, index.to_string().as_bytes())]);
    pushed(&layout.source(), &node, "guest/tree:v1", &["--all"]);
    let said = called(&node, "tree", b"the input\n");
    assert_eq!(said, "zero one hello /app what the image has the input\n");

    // What cannot be run is refused by name, and changes nothing.
    layout.index(&[other]);
    let refused = push(&layout.source(), &node, "guest/tree:v2", &["--all"]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("linux/arm64"), "{text}");
    let refused = push(&layout.source(), &node, "other/tree:v2", &[]);
    assert!(!refused.status.success(), "another's namespace");
    let config = json!({"Entrypoint": ["/absent"]});
    layout.index(&[layout.image("amd64", &config, &folders["one"])]);
    let refused = push(&layout.source(), &node, "guest/tree:v2", &[]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("/absent"), "{text}");
    assert_eq!(called(&node, "tree", b"again\n"), said.replace("the input", "again"));
}

/// A push as `oras` makes it of one file: its requests, by hand.
fn push_file(node: &TestNode, name: &str, file: &[u8], annotations: &Value) -> (u16, String) {
    let layout = Layout::new();
    let upload = |media: &str, bytes: &[u8]| {
        let blob = layout.blob(media, bytes);
        let digest = blob["digest"].as_str().expect("it was made");
        let uploads = format!("/v2/{name}/blobs/uploads/");
        let begun = node.request("POST", &uploads, &[AUTHORIZATION], b"");
        let location = begun.header("location").expect("it says where to").to_owned();
        let target = format!("{location}?digest={digest}");
        let octets = [AUTHORIZATION, "Content-Type: application/octet-stream"];
        let ended = node.request("PUT", &target, &octets, bytes);
        assert_eq!(ended.status, 201, "{}", ended.text());
        blob
    };
    let manifest = json!({
        "schemaVersion": 2, "mediaType": IMAGE,
        "artifactType": "application/vnd.unknown.artifact.v1",
        "config": upload("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [upload("application/vnd.oci.image.layer.v1.tar", file)],
        "annotations": annotations,
    });
    let target = format!("/v2/{name}/manifests/latest");
    let kind = format!("Content-Type: {IMAGE}");
    let body = manifest.to_string();
    let answer = node.request("PUT", &target, &[AUTHORIZATION, &kind], body.as_bytes());
    (answer.status, answer.text())
}

#[test]
fn what_is_pushed_to_a_node_with_a_store_is_in_it() {
    let registry = Registry::start();
    let start = |number: u16| {
        boot(
            brief_machine()
                .kernel_words(format!("{} hostkernel.node={number}", registry.setting())),
        )
    };
    let (first, second) = (start(1), start(2));
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let folders = images(folder.path());
    let layout = Layout::new();
    let config = json!({"Entrypoint": ["/hello", "-v"], "Env": ["GREETING=hi"]});
    layout.index(&[layout.image("amd64", &config, &folders["one"])]);
    pushed(&layout.source(), &first, "guest/image:latest", &[]);
    assert_eq!(called(&second, "image", b""), "/hello;-v;hi;/guest/image;/\n", "never told of it");

    let memory = json!({"hostkernel.memory": "7", "hostkernel.web-export": "true"});
    let (status, text) = push_file(&first, "guest/file", &sample("hello"), &memory);
    assert_eq!(status, 201, "{text}");
    assert_eq!(called(&second, "file", br#"{"name":"A"}"#), r#"{"greeting":"Hello, A!"}"#);

    // What a node has put into the registry, other tools read, and push to a node.
    let stored = format!("docker://127.0.0.1:{}/hostkernel/guest:file", registry.port());
    let seen = skopeo(&["inspect", "--raw", "--tls-verify=false", &stored]);
    let manifest: Value = serde_json::from_slice(&seen.stdout).expect("a manifest");
    assert_eq!(manifest["artifactType"], "application/vnd.hostkernel.action.v1");
    pushed(&stored, &second, "guest/copied:latest", &["--src-tls-verify=false"]);
    assert_eq!(called(&first, "copied", br#"{"name":"A"}"#), r#"{"greeting":"Hello, A!"}"#);
    let action = first.request("GET", &format!("{ACTIONS}/copied"), &[AUTHORIZATION], &[]).json();
    assert_eq!(action["limits"]["memory"], 7, "limits travel with it");
}

#[test]
fn oras_pushes_to_a_node_and_reads_what_one_has_written() {
    let modules = python_packages();
    let registry = Registry::start();
    let node = boot(brief_machine().kernel_words(registry.setting()));
    let image = sample("hello");
    node.deploy("hello");
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let file = folder.path().join("hello.elf");
    fs::write(&file, &image).expect("the folder is ours");
    let output = command("python3")
        .env("PYTHONPATH", modules)
        .arg(workspace::root().join("tests/python/oras_client.py"))
        .args([&node.address().to_string(), KEY])
        .arg(&file)
        .args([&format!("127.0.0.1:{}", registry.port()), "hostkernel/guest:hello"])
        .arg(folder.path())
        .output()
        .expect("it is installed");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said, "pushed 201\ntype application/vnd.hostkernel.action.v1\n");
    assert_eq!(called(&node, "by-oras", br#"{"name":"A"}"#), r#"{"greeting":"Hello, A!"}"#);
    let action = node.request("GET", &format!("{ACTIONS}/by-oras"), &[AUTHORIZATION], &[]).json();
    assert_eq!(action["limits"]["memory"], 7, "what the manifest says");
    assert_eq!(fs::read(folder.path().join("read")).expect("it was written"), image);
}
