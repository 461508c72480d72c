//! Pushing images and artifacts, request by request.

use super::*;
use limits::{UPLOAD_KEPT_MS, UPLOADS_MAX};
use serde_json::json;
use sha2::{Digest as _, Sha256};

const UPLOADS: &str = "/v2/guest/hello/blobs/uploads/";
const LATEST: &str = "/v2/guest/hello/manifests/latest";

fn digest(bytes: &[u8]) -> String {
    let digits: Vec<String> =
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{}", digits.concat())
}

fn field(answer: &Answer, name: &str) -> Option<String> {
    let text = str::from_utf8(answer.response.headers.as_bytes()).expect("fields are text");
    let prefix = format!("{name}: ");
    text.lines().find_map(|line| Some(line.strip_prefix(&prefix)?.to_string()))
}

impl Client {
    /// Uploads a blob as most clients do.
    fn upload(&mut self, bytes: &[u8]) -> Value {
        let begun = self.ask(Method::Post, UPLOADS, b"");
        assert_eq!(begun.status(), 202, "{}", begun.text());
        let location = field(&begun, "Location").expect("it says where to");
        let sent = self.ask(Method::Patch, &location, bytes);
        assert_eq!(sent.status(), 202, "{}", sent.text());
        let digest = digest(bytes);
        let ended = self.ask(Method::Put, &format!("{location}?digest={digest}"), b"");
        assert_eq!(ended.status(), 201, "{}", ended.text());
        assert_eq!(field(&ended, "Docker-Content-Digest"), Some(digest.clone()));
        json!({"digest": digest, "size": bytes.len()})
    }

    /// Puts an OCI manifest of what was uploaded.
    fn name(&mut self, target: &str, config: &Value, layers: &[Value]) -> Answer {
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        self.ask(Method::Put, target, manifest.to_string().as_bytes())
    }
}

fn typed(mut blob: Value, media: &str) -> Value {
    blob["mediaType"] = media.into();
    blob
}

/// An artifact with the smallest image as its one file.
fn artifact(client: &mut Client) -> (Value, Value) {
    let config = typed(client.upload(b"{}"), "application/vnd.oci.empty.v1+json");
    let layer = typed(client.upload(&image()), "application/octet-stream");
    (config, layer)
}

/// Whether a refusal has the code of the protocol, and says this.
fn refused(answer: &Answer, status: u16, code: &str, part: &str) {
    assert_eq!(answer.status(), status, "{}", answer.text());
    let error = &answer.json()["errors"][0];
    assert_eq!(error["code"], code);
    assert!(error["message"].as_str().is_some_and(|text| text.contains(part)), "{error}");
}

#[test]
fn the_protocol_is_spoken_to_who_has_a_key() {
    let mut client = Client::new();
    assert_eq!(client.get("/v2/").status(), 200);
    assert_eq!(client.get("/v2").status(), 200);
    client.authorization = None;
    let answer = client.get("/v2/");
    refused(&answer, 401, "UNAUTHORIZED", "");
    assert!(field(&answer, "WWW-Authenticate").is_some());
}

#[test]
fn an_artifact_becomes_an_action_with_what_its_annotations_say() {
    let mut client = Client::new();
    let (config, layer) = artifact(&mut client);
    let manifest = json!({
        "schemaVersion": 2,
        "config": config,
        "layers": [layer],
        "annotations": {"hostkernel.memory": "7", "hostkernel.cgi": "true", "other": "x"},
    });
    let manifest = manifest.to_string();
    let answer = client.ask(Method::Put, LATEST, manifest.as_bytes());
    assert_eq!(answer.status(), 201, "{}", answer.text());
    assert_eq!(field(&answer, "Docker-Content-Digest"), Some(digest(manifest.as_bytes())));
    let action = client.get(ACTION).json();
    assert_eq!(action["limits"]["memory"], 7);
    assert_eq!(action["annotations"][0], json!({"key": "cgi", "value": true}));
    assert_eq!(action["exec"]["code"], STANDARD.encode(image()));
    assert!(client.node.uploads.is_empty(), "a manifest takes what it names");
    assert_eq!(client.get("/v2/guest/tags/list").json()["tags"], json!(["hello"]));
    // A tag is moved, as tags are.
    let (config, layer) = artifact(&mut client);
    assert_eq!(client.name(LATEST, &config, &[layer]).status(), 201);
    let again = client.get(ACTION).json();
    assert_eq!((&again["version"], &again["limits"]["memory"]), (&json!("0.0.2"), &json!(7)));
    assert_eq!(again["annotations"].as_array().map(Vec::len), Some(1), "those of before are gone");
}

#[test]
fn uploads_come_in_pieces_and_in_order() {
    let mut client = Client::new();
    let location = field(&client.ask(Method::Post, UPLOADS, b""), "Location").expect("where to");
    let mut patch = |range: &str, bytes: &[u8]| {
        let range = [("Content-Range", range)];
        let Reply::Respond(response) = client.send(Method::Patch, &location, &range, bytes) else {
            panic!("it is answered")
        };
        Answer::of(response)
    };
    assert_eq!(field(&patch("0-2", b"abc"), "Range").as_deref(), Some("0-2"));
    refused(&patch("5-6", b"fg"), 416, "BLOB_UPLOAD_INVALID", "where the last one ended");
    assert_eq!(field(&patch("3-4", b"de"), "Range").as_deref(), Some("0-4"));
    assert_eq!(client.get(&location).status(), 204);
    let target = format!("{location}?digest={}", digest(b"abcdefg"));
    assert_eq!(client.ask(Method::Put, &target, b"fg").status(), 201);
    let blob = format!("/v2/guest/x/blobs/{}", digest(b"abcdefg"));
    let Reply::Respond(response) = client.send(Method::Head, &blob, &[], b"") else {
        panic!("it is answered")
    };
    assert_eq!(response.status, 200);
    refused(&client.get(&location), 404, "BLOB_UPLOAD_UNKNOWN", "no such upload");
    let whole = format!("{UPLOADS}?digest={}", digest(b"whole"));
    assert_eq!(client.ask(Method::Post, &whole, b"whole").status(), 201);
    let location = field(&client.ask(Method::Post, UPLOADS, b""), "Location").expect("where to");
    assert_eq!(client.ask(Method::Delete, &location, b"").status(), 204);
    refused(&client.ask(Method::Patch, &location, b"x"), 404, "BLOB_UPLOAD_UNKNOWN", "upload");
}

#[test]
fn what_is_not_what_it_says_is_not_kept() {
    let mut client = Client::new();
    let other = format!("{UPLOADS}?digest={}", digest(b"other"));
    refused(&client.ask(Method::Post, &other, b"bytes"), 400, "DIGEST_INVALID", "another digest");
    let md5 = format!("{UPLOADS}?digest=md5:00");
    refused(&client.ask(Method::Post, &md5, b"bytes"), 400, "DIGEST_INVALID", "sha256:");
    assert!(client.node.uploads.is_empty());
    for (target, status, code) in [
        ("/v2/other/hello/manifests/latest", 403, "DENIED"),
        ("/v2/guest/a/b/manifests/latest", 400, "NAME_INVALID"),
        ("/v2/guest/manifests/v1.2", 400, "TAG_INVALID"),
        ("/v2/guest/hello/manifests/.x", 400, "TAG_INVALID"),
    ] {
        refused(&client.ask(Method::Put, target, b"{}"), status, code, "");
    }
    let zero = format!("/v2/guest/hello/manifests/sha256:{}", "0".repeat(64));
    refused(&client.ask(Method::Put, &zero, b"{}"), 400, "DIGEST_INVALID", "another digest");
    refused(&client.get(&zero), 404, "MANIFEST_UNKNOWN", "");
    refused(&client.get("/v2/guest/hello/manifests/latest"), 404, "MANIFEST_UNKNOWN", "");
    assert_eq!(client.node.registry.len(), 0);
}

#[test]
fn other_peoples_manifests_are_refused_by_name_and_change_nothing() {
    let mut client = Client::new();
    let (config, layer) = artifact(&mut client);
    let refuse = |client: &mut Client, manifest: Value, code, part| {
        let answer = client.ask(Method::Put, LATEST, manifest.to_string().as_bytes());
        refused(&answer, 400, code, part);
        assert_eq!(client.node.registry.len(), 0);
    };
    let of = |config: &Value, layers: Value| json!({"config": config, "layers": layers});
    let oci = typed(config.clone(), "application/vnd.oci.image.config.v1+json");
    let zstd = typed(layer.clone(), "application/vnd.oci.image.layer.v1.tar+zstd");
    let unknown = typed(json!({"digest": digest(b"?"), "size": 1}), "a/b");
    let mut short = layer.clone();
    short["size"] = 1.into();
    let mut large = layer.clone();
    large["size"] = 99_999_999.into();
    const INVALID: &str = "MANIFEST_INVALID";
    for (manifest, code, part) in [
        (json!([]), INVALID, "object"),
        (json!({}), INVALID, "descriptor"),
        (of(&config, json!([])), INVALID, "no layer"),
        (of(&config, json!([layer, layer])), INVALID, "2 files"),
        (of(&config, json!([unknown])), "MANIFEST_BLOB_UNKNOWN", "was not uploaded"),
        (of(&config, json!([short])), INVALID, "another length"),
        (of(&config, json!([large])), INVALID, "larger than code"),
        (of(&oci, json!([zstd])), INVALID, "tar+zstd"),
        (of(&oci, json!([layer])), INVALID, "application/octet-stream"),
        (json!({"manifests": []}), INVALID, "linux/amd64"),
    ] {
        refuse(&mut client, manifest, code, part);
    }
    // What was uploaded is still there, and good.
    assert_eq!(client.name(LATEST, &config, &[layer]).status(), 201);
}

#[test]
fn of_an_index_the_manifest_for_this_platform_counts() {
    let mut client = Client::new();
    let (config, layer) = artifact(&mut client);
    let manifest = json!({"config": config, "layers": [layer]}).to_string();
    let digest = digest(manifest.as_bytes());
    let child = format!("/v2/guest/hello/manifests/{digest}");
    assert_eq!(client.ask(Method::Put, &child, manifest.as_bytes()).status(), 201);
    assert_eq!(client.get(&child).status(), 200);
    let one = |architecture: &str| {
        json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest, "size": manifest.len(),
            "platform": {"os": "linux", "architecture": architecture},
        })
    };
    let foreign = json!({"manifests": [one("arm64"), one("s390x")]}).to_string();
    let answer = client.ask(Method::Put, LATEST, foreign.as_bytes());
    refused(&answer, 400, "MANIFEST_INVALID", "linux/arm64, linux/s390x");
    let index = json!({"manifests": [one("arm64"), one("amd64")]}).to_string();
    assert_eq!(client.ask(Method::Put, LATEST, index.as_bytes()).status(), 201);
    assert_eq!(client.node.registry.len(), 1);
}

#[test]
fn an_image_for_another_machine_or_without_a_program_is_refused() {
    let mut client = Client::new();
    let media = "application/vnd.oci.image.layer.v1.tar";
    for (config, part) in [
        (json!({"os": "linux", "architecture": "arm64"}), "linux/arm64"),
        (json!({"os": "windows", "architecture": "amd64"}), "windows/amd64"),
        (json!({"os": "linux", "architecture": "amd64"}), "neither an entrypoint"),
        (json!({"config": {"Cmd": ["/a"]}}), "entrypoint /a"),
        (json!({"config": {"Env": ["A=\0"]}}), "malformed"),
        (json!({"config": {"Labels": {"hostkernel.memory": "x"}}}), "limits.memory"),
    ] {
        let config = client.upload(config.to_string().as_bytes());
        let config = typed(config, "application/vnd.oci.image.config.v1+json");
        let layer = typed(client.upload(&[0; 1024]), media);
        refused(&client.name(LATEST, &config, &[layer]), 400, "MANIFEST_INVALID", part);
    }
    assert_eq!(client.node.registry.len(), 0);
}

#[test]
fn uploads_are_bounded_and_forgotten() {
    let mut client = Client::new();
    client.upload(b"kept");
    for _ in 1..UPLOADS_MAX {
        assert_eq!(client.ask(Method::Post, UPLOADS, b"").status(), 202);
    }
    let answer = client.ask(Method::Post, UPLOADS, b"");
    refused(&answer, 429, "TOOMANYREQUESTS", "wait for");
    assert!(field(&answer, "Retry-After").is_some());
    let held = |client: &Client| client.node.books.held_len(crate::registry::Purpose::Deploy);
    assert_eq!(held(&client), 4);
    assert!(client.node.uploads.expire(NOW.monotonic_ns + UPLOAD_KEPT_MS * 1_000_000));
    assert!(client.node.uploads.is_empty() && held(&client) == 0);
}
