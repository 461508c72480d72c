//! One deployed action and the small values that describe it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;

use sha2::{Digest as _, Sha256};
use spin::Once;

use super::charge::Charge;
use super::{Annotations, CountedAt, KeyValues, Name, Namespace, Variables};
use limits::ACTION_HEAP_LEN;
use memory::{PageBuffer, Template};

/// A deployed action. Immutable: an update is a new one with the next version.
#[derive(Debug)]
pub struct Action {
    /// Whose it is.
    pub namespace: Namespace,
    /// What it is called there.
    pub name: Name,
    /// Grows with each update.
    pub version: Version,
    /// Identifies the image: that of its file, and of what else a frozen one depends on.
    pub digest: Digest,
    /// That of the code alone.
    pub of_code: Digest,
    /// Kind as the client stated it, at most [`limits::KIND_LEN_MAX`] bytes.
    pub kind: Box<str>,
    /// Name of its function in source code, if another than the language's own is meant.
    pub main: Option<Box<str>>,
    /// What an invocation may use.
    pub limits: Limits,
    /// What clients noted about it. Shared by the versions of an action, as long as it stays.
    pub annotations: Arc<Annotations>,
    /// Parameters every invocation gets unless the request names them; shared likewise.
    pub parameters: Arc<KeyValues>,
    /// Environment variables of its own, if it has some; shared likewise.
    pub variables: Option<Arc<Variables>>,
    /// Whether it is shared, as the client stated it.
    pub publish: bool,
    /// Wall-clock time of the deploy in milliseconds since 1970-01-01 UTC.
    pub updated_ms: u64,
    /// The image.
    pub template: Arc<Template>,
    /// Whether what it writes begins with header fields: see [`Self::makes_fields`].
    pub makes_fields: bool,
    /// Where its invocations are counted, those of its other versions too.
    pub counted_at: CountedAt,
    /// That it takes memory, from when it is in the registry.
    pub charge: Once<Charge>,
}

impl Action {
    /// The same action, made from another template.
    #[must_use]
    pub fn with_template(&self, template: Arc<Template>) -> Self {
        Self {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            kind: self.kind.clone(),
            main: self.main.clone(),
            annotations: Arc::clone(&self.annotations),
            parameters: Arc::clone(&self.parameters),
            variables: self.variables.clone(),
            counted_at: self.counted_at.clone(),
            charge: Once::new(),
            makes_fields: Self::makes_fields(&self.annotations, &template),
            template,
            ..*self
        }
    }

    /// Whether an action is a CGI program or a web server. Decided once, since requests ask.
    #[must_use]
    pub fn makes_fields(annotations: &Annotations, template: &Template) -> bool {
        annotations.is_cgi || template.is_server()
    }

    /// Whether it is source code, which a runtime has loaded.
    #[must_use]
    pub fn is_function(&self) -> bool {
        self.template.frozen().is_some_and(|frozen| frozen.base().frozen().is_some())
    }

    /// What it takes of the kernel heap, its image apart.
    #[must_use]
    pub fn heap_len(&self) -> usize {
        let key_values = self.annotations.heap_len() + self.parameters.heap_len();
        let variables = self.variables.as_ref().map_or(0, |variables| variables.heap_len());
        let main_len = self.main.as_ref().map_or(0, |main| main.len());
        ACTION_HEAP_LEN
            + self.name.as_str().len()
            + self.kind.len()
            + main_len
            + key_values
            + variables
    }
}

/// What an invocation of an action may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Run time in milliseconds, from the first instruction.
    pub timeout_ms: u64,
    /// Memory in MiB, page tables included; the first [`limits::OVERHEAD_PAGES`] are free,
    /// and input and log are not counted.
    pub memory_mb: u64,
    /// Log in MB, as the client stated it.
    pub logs_mb: u64,
}

/// A semantic version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// As the client stated it, else 0.
    pub major: u32,
    /// As the client stated it, else 0.
    pub minor: u32,
    /// Counts the deploys of the name, from what the client stated.
    pub patch: u32,
}

impl Version {
    /// The version of an action's first deploy.
    pub const FIRST: Self = Self { major: 0, minor: 0, patch: 1 };

    /// The version that this text states.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_number = |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit());
        let mut parts = text.split('.').map(|part| Some(part).filter(is_number)?.parse().ok());
        let version = Self { major: parts.next()??, minor: parts.next()??, patch: parts.next()?? };
        parts.next().is_none().then_some(version)
    }

    /// The version after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self { patch: self.patch.saturating_add(1), ..self }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// SHA-256 of an image; 64 hexadecimal digits as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

/// Makes the digest of bytes that come piece by piece.
#[derive(Clone, Debug, Default)]
pub struct Digester(Sha256);

impl Digester {
    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(code: &PageBuffer) -> Self {
        let mut digester = Digester::default();
        code.chunks().for_each(|chunk| digester.push(chunk));
        digester.finish()
    }

    /// The digest of code that has this one, loaded by what has another, as this function of it.
    #[must_use]
    pub fn loaded_by(self, runtime: Self, main: Option<&str>) -> Self {
        let hasher = Sha256::new_with_prefix(self.0).chain_update(runtime.0);
        Self(hasher.chain_update(main.unwrap_or_default()).finalize().into())
    }

    /// The digest of what has this one, frozen under these settings.
    #[must_use]
    pub fn frozen_under(self, memory_mb: u64, at_input: bool) -> Self {
        let hasher = Sha256::new_with_prefix(self.0);
        let hasher = hasher.chain_update(memory_mb.to_le_bytes());
        Self(hasher.chain_update([u8::from(at_input)]).finalize().into())
    }

    /// The digest of what has this one, warmed up by a request for this path; by none if that is
    /// empty.
    #[must_use]
    pub fn warmed_by(self, path: &str) -> Self {
        let hasher = Sha256::new_with_prefix(self.0).chain_update(b"warm");
        Self(hasher.chain_update(path).finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn versions_count_in_the_last_place_and_stop_at_the_end() {
        assert_eq!(Version::FIRST.to_string(), "0.0.1");
        assert_eq!(Version::FIRST.next().to_string(), "0.0.2");
        let last = Version { patch: u32::MAX, ..Version::FIRST };
        assert_eq!(last.next(), last);
    }

    #[test]
    fn versions_are_three_numbers() {
        let version = Version { major: 1, minor: 20, patch: u32::MAX };
        assert_eq!(Version::parse(&version.to_string()), Some(version));
        for text in ["", "1", "1.2", "1.2.3.4", "1.2.", "1.2.-3", "1.2.+3", "1.2.4294967296", "a"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_digest_is_sha_256_whatever_the_pages() {
        memory::install_for_test();
        let of = |bytes: &[u8]| {
            Digest::of(&PageBuffer::from_bytes(bytes).expect("frames are left")).to_string()
        };
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of(b"abc"), abc);
        let long = [7_u8; 10_000];
        assert_eq!(of(&long), Digest(Sha256::digest(long).into()).to_string());
    }
}
