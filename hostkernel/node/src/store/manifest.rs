//! An action, or a runtime, as the registry has it: an image manifest of OCI 1.1 that names two
//! blobs.
//!
//! ```text
//! manifest ─┬─▶ config: what it is, in JSON
//!           └─▶ layer: its code
//! ```

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use crate::json::Quoted;
use crate::json::{Json, JsonReject};
use crate::registry::{Action, Digest, Reader, Runtime, write_parameters};
use limits::{CODE_LEN_MAX, RUNTIME_LEN_MAX, STORE_DOCUMENT_LEN_MAX};

/// Media type of the manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const TYPE_LEN_MAX: usize = 256;

/// How things of one sort are called.
pub struct Types {
    /// The whole.
    artifact: &'static str,
    config: &'static str,
    layer: &'static str,
    /// The most bytes that the layer may have.
    code_len_max: usize,
}

/// An action.
pub static ACTION: Types = Types {
    artifact: "application/vnd.hostkernel.action.v1",
    config: "application/vnd.hostkernel.action.config.v1+json",
    layer: "application/vnd.hostkernel.action.code.v1",
    code_len_max: CODE_LEN_MAX,
};

/// A runtime.
pub static RUNTIME: Types = Types {
    artifact: "application/vnd.hostkernel.runtime.v1",
    config: "application/vnd.hostkernel.runtime.config.v1+json",
    layer: "application/vnd.hostkernel.runtime.code.v1",
    code_len_max: RUNTIME_LEN_MAX,
};

/// One blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blob {
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Their number.
    pub len: usize,
}

/// What a manifest names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// What it is.
    pub config: Blob,
    /// Its code.
    pub code: Blob,
}

/// Why a manifest is not that of what was asked for.
#[derive(Debug)]
pub enum ManifestReject {
    /// It is not JSON.
    Json(JsonReject),
    /// It is of something else.
    Foreign,
    /// It lacks a descriptor, or one is malformed.
    Descriptor,
    /// A blob would be longer than it may be.
    TooLarge,
}

impl Manifest {
    /// The manifest as it is sent.
    #[must_use]
    pub fn compose(&self, types: &Types, name: &str) -> String {
        let Self { config, code } = self;
        let Types { artifact, config: config_type, layer: layer_type, .. } = types;
        format!(
            "{{\"schemaVersion\":2,\"mediaType\":\"{MANIFEST}\",\"artifactType\":\"{artifact}\",\
             \"config\":{{\"mediaType\":\"{config_type}\",\"digest\":\"sha256:{}\",\"size\":{}}},\
             \"layers\":[{{\"mediaType\":\"{layer_type}\",\"digest\":\"sha256:{}\",\"size\":{}}}],\
             \"annotations\":{{\"org.opencontainers.image.title\":{}}}}}",
            config.digest,
            config.len,
            code.digest,
            code.len,
            Quoted(name)
        )
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// [`ManifestReject`]
    pub fn read(types: &Types, bytes: &[u8]) -> Result<Self, ManifestReject> {
        let json = Json::read(bytes).map_err(ManifestReject::Json)?;
        let names = ["artifactType", "config", "layers"];
        let [kind, config, layers] = json.pick(names).map_err(ManifestReject::Json)?;
        let config = config.ok_or(ManifestReject::Foreign)?;
        // Registries of before 1.1 know the type by that of the config alone.
        if kind.is_some_and(|kind| !kind.is(types.artifact)) {
            return Err(ManifestReject::Foreign);
        }
        let config = descriptor(config, types.config, STORE_DOCUMENT_LEN_MAX)?;
        let mut codes: Vec<Result<Blob, ManifestReject>> = Vec::new();
        let layers = layers.ok_or(ManifestReject::Descriptor)?;
        let walked = layers.elements(|layer| {
            if codes.len() < 2 {
                codes.push(descriptor(layer, types.layer, types.code_len_max));
            }
        });
        walked.map_err(ManifestReject::Json)?;
        match (codes.pop(), codes.is_empty()) {
            (Some(code), true) => Ok(Self { config, code: code? }),
            _ => Err(ManifestReject::Descriptor),
        }
    }
}

/// Whether a manifest with this artifact type, and this media type of its config, is of an action.
/// Registries of before 1.1 know the type by that of the config alone.
#[must_use]
pub fn is_of_action(kind: Option<Json<'_>>, config: &str) -> bool {
    config == ACTION.config && kind.is_none_or(|kind| kind.is(ACTION.artifact))
}

fn descriptor(json: Json<'_>, kind: &str, len_max: usize) -> Result<Blob, ManifestReject> {
    let [found, digest, size] =
        json.pick(["mediaType", "digest", "size"]).map_err(ManifestReject::Json)?;
    if !found.is_some_and(|found| found.is(kind)) {
        return Err(ManifestReject::Foreign);
    }
    let digest = digest.and_then(|digest| digest.string(TYPE_LEN_MAX).ok());
    let digest =
        digest.and_then(|digest| read_digest(&digest)).ok_or(ManifestReject::Descriptor)?;
    let len = size.and_then(Json::unsigned).ok_or(ManifestReject::Descriptor)?;
    let len = usize::try_from(len).ok().filter(|len| *len <= len_max);
    Ok(Blob { digest, len: len.ok_or(ManifestReject::TooLarge)? })
}

/// Reads `sha256:` and 64 small hexadecimal digits.
#[must_use]
pub fn read_digest(text: &str) -> Option<Digest> {
    let digits = text.strip_prefix("sha256:")?.as_bytes();
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let is_digit = |digit: &u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(digit);
    if pairs.len() != 32 || !digits.iter().all(is_digit) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(Digest(bytes))
}

/// What an action is, in JSON: what a `PUT` takes, without the code. Its secrets are in it.
#[must_use]
pub fn describe(action: &Action) -> Vec<u8> {
    let limits = action.limits;
    let main = action.main.as_deref().map(|main| format!("\"main\":{},", Quoted(main)));
    let variables = action.variables.as_deref();
    let (mut environment, mut parameters) = (String::new(), String::new());
    // A string takes all that is written to it.
    let _ = variables.map(|variables| variables.write(&mut environment, Reader::Store));
    let _ = write_parameters(&mut parameters, &action.parameters, variables);
    let text = format!(
        "{{\"namespace\":{},\"name\":{},\"version\":\"{}\",\"kind\":{},\"publish\":{},\
         \"updated\":{},{}\"limits\":{{\"timeout\":{},\"memory\":{},\"logs\":{}}},\
         \"annotations\":[{}],\"environment\":[{environment}],\"parameters\":[{parameters}]}}",
        Quoted(action.namespace.as_str()),
        Quoted(action.name.as_str()),
        action.version,
        Quoted(&action.kind),
        action.publish,
        action.updated_ms,
        main.unwrap_or_default(),
        limits.timeout_ms,
        limits.memory_mb,
        limits.logs_mb,
        action.annotations.list().items(),
    );
    text.into_bytes()
}

/// What a runtime is, in JSON: what there was of it in the query of a `PUT`, and its name.
#[must_use]
pub fn describe_runtime(runtime: &Runtime) -> Vec<u8> {
    let Runtime { name, limits, updated_ms, .. } = runtime;
    let text = format!(
        "{{\"name\":{},\"updated\":{updated_ms},\
         \"limits\":{{\"timeout\":{},\"memory\":{},\"logs\":{}}}}}",
        Quoted(name),
        limits.timeout_ms,
        limits.memory_mb,
        limits.logs_mb,
    );
    text.into_bytes()
}

impl fmt::Display for ManifestReject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json(reject) => return f.write_str(&reject.to_string()),
            Self::Foreign => "it is not what this kernel keeps there",
            Self::Descriptor => "it does not name one config and one layer",
            Self::TooLarge => "it names a blob larger than code may be",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn manifest() -> Manifest {
        let blob = |byte, len| Blob { digest: Digest([byte; 32]), len };
        Manifest { config: blob(1, 2), code: blob(0xab, 4) }
    }

    #[test]
    fn what_is_written_is_read() {
        let text = manifest().compose(&ACTION, "a \"b\"");
        assert_eq!(Manifest::read(&ACTION, text.as_bytes()).expect("a manifest"), manifest());
    }

    #[test]
    fn other_peoples_manifests_are_told_from_broken_ones() {
        let good = manifest().compose(&ACTION, "a");
        let with = |from: &str, to: &str| {
            assert!(good.contains(from), "{from}");
            Manifest::read(&ACTION, good.replace(from, to).as_bytes()).expect_err(to)
        };
        for (from, to) in [
            (ACTION.artifact, "x/y"),
            (ACTION.config, "application/json"),
            (ACTION.layer, "text/plain"),
            (ACTION.artifact, RUNTIME.artifact),
        ] {
            assert!(matches!(with(from, to), ManifestReject::Foreign), "{to}");
        }
        for (from, to) in [
            ("sha256:01", "sha512:01"),
            ("sha256:01", "sha256:0"),
            ("sha256:01", "sha256:0g"),
            ("sha256:ab", "sha256:AB"),
            ("\"size\":4", "\"size\":-4"),
            ("\"size\":4", "\"length\":4"),
        ] {
            assert!(matches!(with(from, to), ManifestReject::Descriptor), "{to}");
        }
        assert!(matches!(with("\"size\":4", "\"size\":99999999"), ManifestReject::TooLarge));
        let twice = good.replace("\"layers\":[", "\"layers\":[{},");
        assert!(Manifest::read(&ACTION, twice.as_bytes()).is_err());
        for text in ["", "{", "[]", "null", "{}"] {
            assert!(Manifest::read(&ACTION, text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(at in any::<prop::sample::Index>(), byte: u8) {
            let mut bytes = manifest().compose(&ACTION, "a").into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = Manifest::read(&ACTION, &bytes);
        }
    }
}
