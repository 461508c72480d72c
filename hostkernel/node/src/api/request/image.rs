//! What is pushed, by its manifest: an action of this kernel, a container image, one file.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::image::layers::Process;
use crate::json::{Json, JsonReject, Quoted};
use crate::registry::Digest;
use crate::store::manifest::{Blob, is_of_action, read_digest};
use limits::{
    ARGUMENTS_LEN_MAX, CODE_LEN_MAX, ENVIRONMENT_LEN_MAX, IMAGE_LAYERS_MAX, INDEX_MANIFESTS_MAX,
    LABEL_LEN_MAX, LABELS_MAX, STORE_DOCUMENT_LEN_MAX,
};

const TYPE_LEN_MAX: usize = 256;
/// What configures the node, among labels and annotations.
const PREFIX: &str = "hostkernel.";
/// Media types of the descriptions of container images: OCI's, and Docker's before.
const CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];
/// Likewise of their layers, which say themselves whether they are compressed.
const LAYERS: [&str; 4] = [
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
];

/// A manifest, or a list of some.
#[derive(Debug)]
pub enum Pushed {
    /// See [`Manifest`].
    Manifest(Manifest),
    /// Of several platforms: this is the manifest for ours.
    Index(Digest),
}

/// A manifest.
#[derive(Debug)]
pub struct Manifest {
    /// What it is of.
    pub kind: ManifestKind,
    /// What describes it.
    pub config: Blob,
    /// What it consists of, in order; there is at least one.
    pub layers: Vec<Blob>,
    /// What it says of limits and annotations.
    pub labels: Labels,
}

/// What a manifest is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManifestKind {
    /// What a node has put into a store.
    Action,
    /// A container image.
    Image,
    /// One file.
    File,
}

/// Labels of an image and annotations of a manifest that are for the node: name and value.
#[derive(Clone, Debug, Default)]
pub struct Labels(Vec<(Box<str>, Box<str>)>);

/// Why what was pushed cannot be an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageReject {
    /// Not JSON, or not of the form.
    Json(Box<str>),
    /// It lacks a descriptor, or one is malformed.
    Descriptor,
    /// A blob would be longer than it may be.
    TooLarge,
    /// It has more layers than [`IMAGE_LAYERS_MAX`], or none.
    Layers,
    /// A layer is of another media type.
    Layer(Box<str>),
    /// It is of several files.
    Files(usize),
    /// An index without a manifest for this platform, but for these.
    Platform(Box<str>),
    /// Arguments or environment are longer than programs are given.
    Process,
}

impl From<JsonReject> for ImageReject {
    fn from(reject: JsonReject) -> Self {
        Self::Json(alloc::format!("{reject}").into())
    }
}

/// Reads a manifest or an index.
///
/// # Errors
/// [`ImageReject`]
pub fn read(bytes: &[u8]) -> Result<Pushed, ImageReject> {
    let names = ["manifests", "artifactType", "config", "layers", "annotations"];
    let [manifests, kind, config, layers, annotations] = Json::read(bytes)?.pick(names)?;
    if let Some(manifests) = manifests {
        return choose(manifests).map(Pushed::Index);
    }
    let config = config.ok_or(ImageReject::Descriptor)?;
    let config_type = media_type(config)?;
    let kind = match kind {
        _ if CONFIGS.contains(&&*config_type) => ManifestKind::Image,
        kind if is_of_action(kind, &config_type) => ManifestKind::Action,
        _ => ManifestKind::File,
    };
    let config = descriptor(config, STORE_DOCUMENT_LEN_MAX)?;
    let mut blobs: Vec<Result<Blob, ImageReject>> = Vec::new();
    let mut count = 0;
    layers.ok_or(ImageReject::Descriptor)?.elements(|layer| {
        count += 1;
        if count <= IMAGE_LAYERS_MAX {
            blobs.push(read_layer(layer, kind));
        }
    })?;
    let layers = blobs.into_iter().collect::<Result<Vec<_>, _>>()?;
    if count != layers.len() || layers.is_empty() {
        return Err(ImageReject::Layers);
    }
    if kind != ManifestKind::Image && layers.len() > 1 {
        return Err(ImageReject::Files(layers.len()));
    }
    let labels = annotations.map(Labels::read).transpose()?.unwrap_or_default();
    Ok(Pushed::Manifest(Manifest { kind, config, layers, labels }))
}

fn read_layer(layer: Json<'_>, kind: ManifestKind) -> Result<Blob, ImageReject> {
    let media = media_type(layer)?;
    if kind == ManifestKind::Image && !LAYERS.contains(&&*media) {
        return Err(ImageReject::Layer(media.into()));
    }
    descriptor(layer, CODE_LEN_MAX)
}

/// The manifest of an index for this platform.
fn choose(manifests: Json<'_>) -> Result<Digest, ImageReject> {
    let (mut found, mut others, mut count) = (None, String::new(), 0);
    let mut outcome = Ok(());
    manifests.elements(|manifest| {
        count += 1;
        if count > INDEX_MANIFESTS_MAX || outcome.is_err() {
            return;
        }
        outcome = platform(manifest).and_then(|platform| {
            // What says for no platform is for all of them.
            if platform.is_empty() || platform == "linux/amd64" {
                found = found.or(Some(descriptor(manifest, usize::MAX)?.digest));
            } else {
                others.push_str(if others.is_empty() { "" } else { ", " });
                others.push_str(&platform);
            }
            Ok(())
        });
    })?;
    outcome?;
    found.ok_or_else(|| ImageReject::Platform(others.into()))
}

/// `OS/ARCHITECTURE`, or nothing.
fn platform(manifest: Json<'_>) -> Result<String, ImageReject> {
    let [platform] = manifest.pick(["platform"])?;
    let Some(platform) = platform else { return Ok(String::new()) };
    let [os, architecture] = platform.pick(["os", "architecture"])?;
    Ok(named(os, architecture))
}

fn named(os: Option<Json<'_>>, architecture: Option<Json<'_>>) -> String {
    let word = |word: Option<Json<'_>>| {
        let word = word.and_then(|word| word.string(TYPE_LEN_MAX).ok());
        word.map_or_else(|| String::from("unknown"), Cow::into_owned)
    };
    word(os) + "/" + &word(architecture)
}

fn media_type(json: Json<'_>) -> Result<Cow<'_, str>, ImageReject> {
    let [media] = json.pick(["mediaType"])?;
    media.and_then(|media| media.string(TYPE_LEN_MAX).ok()).ok_or(ImageReject::Descriptor)
}

fn descriptor(json: Json<'_>, len_max: usize) -> Result<Blob, ImageReject> {
    let [digest, size] = json.pick(["digest", "size"])?;
    let digest = digest.and_then(|digest| digest.string(TYPE_LEN_MAX).ok());
    let digest = digest.and_then(|digest| read_digest(&digest)).ok_or(ImageReject::Descriptor)?;
    let len = size.and_then(Json::unsigned).ok_or(ImageReject::Descriptor)?;
    let len = usize::try_from(len).ok().filter(|len| *len <= len_max);
    Ok(Blob { digest, len: len.ok_or(ImageReject::TooLarge)? })
}

/// Reads the description of a container image: how it is started, and its labels.
///
/// # Errors
/// [`ImageReject`]
pub fn read_config(bytes: &[u8], labels: &mut Labels) -> Result<Process, ImageReject> {
    let [os, architecture, config] = Json::read(bytes)?.pick(["os", "architecture", "config"])?;
    let is_ours = os.is_none_or(|os| os.is("linux"))
        && architecture.is_none_or(|architecture| architecture.is("amd64"));
    if !is_ours {
        return Err(ImageReject::Platform(named(os, architecture).into()));
    }
    let Some(config) = config else { return Ok(Process::default()) };
    let names = ["Entrypoint", "Cmd", "Env", "WorkingDir", "Labels", "ExposedPorts"];
    let [entrypoint, command, environment, directory, own, ports] = config.pick(names)?;
    let mut arguments = strings(entrypoint, ARGUMENTS_LEN_MAX)?;
    arguments.extend(strings(command, ARGUMENTS_LEN_MAX)?);
    let len = arguments.iter().map(|argument| argument.len() + 1).sum::<usize>();
    if len > ARGUMENTS_LEN_MAX {
        return Err(ImageReject::Process);
    }
    let environment = strings(environment, ENVIRONMENT_LEN_MAX / 2)?;
    let directory = directory.map(|directory| text(directory, limits::IMAGE_PATH_LEN_MAX));
    if let Some(own) = own {
        labels.take(own)?;
    }
    // Who listens is a server: it is frozen where it waits for a connection.
    if ports.is_some_and(|ports| ports.is_object() && ports.text().contains(':')) {
        labels.add("init", "input");
    }
    Ok(Process { arguments, environment, directory: directory.transpose()?.unwrap_or_default() })
}

/// A list of strings without zero bytes.
fn strings(json: Option<Json<'_>>, len_max: usize) -> Result<Vec<String>, ImageReject> {
    let (mut strings, mut left, mut outcome) = (Vec::new(), len_max, Ok(()));
    let Some(json) = json else { return Ok(strings) };
    json.elements(|element| {
        if outcome.is_err() {
            return;
        }
        match text(element, left).map(|text| (left.checked_sub(text.len() + 1), text)) {
            Ok((Some(rest), text)) => {
                left = rest;
                strings.push(text);
            }
            _ => outcome = Err(ImageReject::Process),
        }
    })?;
    outcome.map(|()| strings)
}

fn text(json: Json<'_>, len_max: usize) -> Result<String, ImageReject> {
    let text = json.string(len_max).map_err(|_| ImageReject::Process)?;
    if text.contains('\0') { Err(ImageReject::Process) } else { Ok(text.into_owned()) }
}

impl Labels {
    fn read(json: Json<'_>) -> Result<Self, ImageReject> {
        let mut labels = Self::default();
        labels.take(json)?;
        Ok(labels)
    }

    /// Takes those over that are for the node. Those that are there already count.
    fn take(&mut self, json: Json<'_>) -> Result<(), ImageReject> {
        json.members(|name, value| {
            let (Ok(name), Ok(value)) = (name.string(LABEL_LEN_MAX), value.string(LABEL_LEN_MAX))
            else {
                return;
            };
            if let Some(name) = name.strip_prefix(PREFIX) {
                self.add(name, &value);
            }
        })?;
        Ok(())
    }

    /// Says something that nothing else is said of.
    fn add(&mut self, name: &str, value: &str) {
        let is_new = self.0.iter().all(|(known, _)| **known != *name);
        if is_new && self.0.len() < LABELS_MAX {
            self.0.push((name.into(), value.into()));
        }
    }

    /// What a deploy is told of them, as `OpenWhisk` has it.
    #[must_use]
    pub fn document(&self) -> String {
        let (mut limits, mut annotations) = (String::new(), String::new());
        let mut exec = String::from("\"code\":\"\"");
        for (name, value) in &self.0 {
            // Numbers and truth values are what they look like.
            let is_plain = value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty()
                || matches!(&**value, "true" | "false");
            let value = match is_plain {
                true => value.clone(),
                false => alloc::format!("{}", Quoted(value)).into(),
            };
            match &**name {
                "timeout" | "memory" | "logs" => {
                    let comma = if limits.is_empty() { "" } else { "," };
                    limits.push_str(&alloc::format!("{comma}\"{name}\":{value}"));
                }
                "kind" | "main" => exec.push_str(&alloc::format!(",\"{name}\":{value}")),
                name => {
                    let comma = if annotations.is_empty() { "" } else { "," };
                    let name = Quoted(name);
                    let item = alloc::format!("{comma}{{\"key\":{name},\"value\":{value}}}");
                    annotations.push_str(&item);
                }
            }
        }
        alloc::format!(
            "{{\"exec\":{{{exec}}},\"limits\":{{{limits}}},\"annotations\":[{annotations}]}}"
        )
    }
}

impl fmt::Display for ImageReject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("The manifest cannot become an action: ")?;
        match self {
            Self::Json(reject) => f.write_str(reject),
            Self::Descriptor => f.write_str("a descriptor lacks type, digest or size"),
            Self::TooLarge => f.write_str("it names a blob larger than code may be"),
            Self::Layers => write!(f, "it has no layer, or more than {IMAGE_LAYERS_MAX}"),
            Self::Layer(media) => {
                write!(f, "a layer is {media}; tar and tar+gzip can be read")
            }
            Self::Files(count) => write!(
                f,
                "it has {count} files; one is an executable, a zip archive, or source code with \
                 the annotation hostkernel.kind"
            ),
            Self::Platform(others) => write!(f, "it is for {others}, and nodes are linux/amd64"),
            Self::Process => f.write_str("its arguments or environment are too long or malformed"),
        }?;
        f.write_str(".")
    }
}
