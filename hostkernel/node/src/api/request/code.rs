//! The code of a deploy: what it is, and what of it the node can run.

use alloc::boxed::Box;
use core::fmt;

use crate::image::zip::{self, Extractor, ZipReject};
use crate::json::base64::{Base64Reject, unescape};
use crate::slice::Slice;
use limits::CODE_LEN_MAX;
use memory::PageBuffer;

/// First bytes of an ELF file.
const ELF_MAGIC: &[u8] = b"\x7fELF";
/// First bytes of a WebAssembly module.
const WASM_MAGIC: &[u8] = b"\0asm";
const SCRIPT_MAGIC: &[u8] = b"#!";

/// How files begin in base64 that source code does not begin like: ELF, zip, WebAssembly.
const ENCODED: [&[u8]; 3] = [b"f0VMR", b"UEsDB", b"AGFzbQ"];

/// Code that is not something the node runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeReject {
    /// There is none.
    Missing,
    /// A binary file was put into JSON as if it were text.
    Mangled,
    /// It is not base64.
    NotBase64,
    /// It is longer than [`CODE_LEN_MAX`].
    TooLong,
    /// There is no memory for it.
    OutOfFrames,
    /// It is a zip archive, but with no executable to be had from it.
    Zip(ZipReject),
    /// It is no zip archive, which a runtime is.
    NoArchive,
    /// The node has no image that hosts it.
    NoHost,
    /// It is a WebAssembly module.
    Wasm,
    /// It is a sequence of other actions.
    Sequence,
    /// It is source code or whatever else for a runtime the node does not have.
    Kind(Box<str>),
}

impl From<Base64Reject> for CodeReject {
    fn from(reject: Base64Reject) -> Self {
        match reject {
            Base64Reject::Malformed => Self::NotBase64,
            Base64Reject::TooLong => Self::TooLong,
            Base64Reject::OutOfFrames => Self::OutOfFrames,
        }
    }
}

/// Whether code of this kind, which begins so in its document, is a file in base64: it is source
/// text if the kind is one that has such.
pub fn is_base64(kind: Option<&str>, start: &[u8]) -> bool {
    kind.is_none_or(is_program_kind) || ENCODED.iter().any(|encoded| start.starts_with(encoded))
}

/// Whether code of this kind is a program, whatever its language was.
fn is_program_kind(kind: &str) -> bool {
    matches!(kind.split(':').next(), Some("native" | "blackbox" | "linux"))
}

/// Whether the bytes are a program, and no code for a runtime.
pub fn is_program(start: &[u8]) -> bool {
    start.starts_with(ELF_MAGIC) || start.starts_with(WASM_MAGIC)
}

/// Whether the bytes say that they are a file, and not a document about one.
pub fn is_file(start: &[u8]) -> bool {
    start.starts_with(ELF_MAGIC) || is_zip(start)
}

/// Whether they are a zip archive.
pub fn is_zip(start: &[u8]) -> bool {
    zip::MAGICS.iter().any(|magic| start.starts_with(*magic))
}

/// What was sent, and the ELF file in it.
#[derive(Debug)]
pub struct Executable {
    /// The ELF file.
    pub file: PageBuffer,
    /// The archive it came in, if it did.
    pub archive: Option<PageBuffer>,
}

impl Executable {
    /// How much memory it takes.
    #[must_use]
    pub fn held_len(&self) -> usize {
        self.file.len() + self.archive.as_ref().map_or(0, PageBuffer::len)
    }

    /// Whether a host image may know what to do with it: an ELF file, or a script, whose
    /// interpreter is in its archive.
    #[must_use]
    pub fn can_be_hosted(&self) -> bool {
        let start = self.file.chunk_at(0);
        start.starts_with(ELF_MAGIC) || self.archive.is_some() && start.starts_with(SCRIPT_MAGIC)
    }

    /// What was sent.
    #[must_use]
    pub fn into_sent(self) -> PageBuffer {
        self.archive.unwrap_or(self.file)
    }
}

/// Finds the ELF file in what was sent, which is the file or a zip archive with it. What is known
/// not to run here is refused by name.
pub struct Opening {
    code: PageBuffer,
    /// If it is an archive.
    extractor: Option<Extractor>,
    /// What the client says it is.
    kind: Box<str>,
}

impl Opening {
    /// Begins with code of this kind.
    ///
    /// # Errors
    /// It cannot be code.
    pub fn new(code: PageBuffer, kind: &str) -> Result<Self, CodeReject> {
        if code.len() > CODE_LEN_MAX {
            return Err(CodeReject::TooLong);
        }
        let kind = Box::from(kind);
        let extractor = match is_zip(code.chunk_at(0)) {
            true => Some(Extractor::new(&code).map_err(|reject| unpacked(reject, &kind))?),
            false => None,
        };
        Ok(Self { code, extractor, kind })
    }

    /// Goes on; returns the executable when it is there.
    ///
    /// # Errors
    /// See [`CodeReject`].
    pub fn step(&mut self, slice: &mut Slice) -> Result<Option<Executable>, CodeReject> {
        let Self { code, extractor, kind } = self;
        let executable = match extractor {
            None => Executable { file: core::mem::take(code), archive: None },
            Some(extractor) => {
                let file = extractor.step(code, slice).map_err(|reject| unpacked(reject, kind))?;
                let Some(file) = file else { return Ok(None) };
                Executable { file, archive: Some(core::mem::take(code)) }
            }
        };
        let start = executable.file.chunk_at(0);
        if start.starts_with(WASM_MAGIC) {
            Err(CodeReject::Wasm)
        } else if is_program_kind(kind) || executable.can_be_hosted() {
            // Whoever reads the image says what is wrong with it.
            Ok(Some(executable))
        } else {
            Err(CodeReject::Kind(kind.clone()))
        }
    }

    /// How much memory code and file take by now.
    #[must_use]
    pub fn held_len(&self) -> usize {
        self.code.len() + self.extractor.as_ref().map_or(0, Extractor::held_len)
    }
}

fn unpacked(reject: ZipReject, kind: &str) -> CodeReject {
    match reject {
        ZipReject::TooLong => CodeReject::TooLong,
        ZipReject::OutOfFrames => CodeReject::OutOfFrames,
        // An archive of sources.
        ZipReject::NoExecutable if !is_program_kind(kind) => CodeReject::Kind(kind.into()),
        reject => CodeReject::Zip(reject),
    }
}

/// Whether what a string begins with is a file that was put into it as it is, which `wsk` does with
/// what is not named `.zip`.
pub fn is_mangled(raw: &[u8]) -> bool {
    let mut start = [0; 4];
    let mut rest = raw;
    for byte in &mut start {
        let Ok(Some((character, after))) = unescape(rest) else { return false };
        (*byte, rest) = (character, after);
    }
    is_file(&start) || start == WASM_MAGIC
}

impl fmt::Display for CodeReject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => {
                "The action has no code: send the file itself as application/octet-stream, or as \
                 exec.code in base64."
            }
            Self::Mangled => {
                "exec.code: binary was sent as text; zip it (`zip a.zip exec`), base64 it (`base64 \
                 -w0 exec`), or PUT the file itself as application/octet-stream."
            }
            Self::NotBase64 => "exec.code is not valid base64.",
            Self::TooLong => {
                return write!(f, "The code exceeds the limit of {CODE_LEN_MAX} bytes.");
            }
            Self::OutOfFrames => "The node has no memory left for this request now; try again.",
            Self::Zip(reject) => return reject.fmt(f),
            Self::NoArchive => "A runtime is a zip archive with a Linux program named exec.",
            Self::NoHost => "This node has no image that hosts Linux programs.",
            Self::Wasm => {
                "The code is a WebAssembly module: wasm is not supported by this host; send an ELF \
                 file."
            }
            Self::Sequence => "exec.kind: sequences are not supported by this host.",
            Self::Kind(kind) => {
                return write!(
                    f,
                    "The specified runtime '{kind}' is not supported by this platform."
                );
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::contiguous;
    use crate::json::base64;
    use ::base64::Engine as _;
    use ::base64::engine::general_purpose::STANDARD;
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn executable(code: PageBuffer, kind: &str) -> Result<Executable, CodeReject> {
        let mut opening = Opening::new(code, kind)?;
        loop {
            if let Some(executable) = opening.step(&mut Slice::new(1))? {
                return Ok(executable);
            }
        }
    }

    fn decoded(raw: &str) -> Result<Vec<u8>, CodeReject> {
        memory::install_for_test();
        if is_mangled(raw.as_bytes()) {
            return Err(CodeReject::Mangled);
        }
        let mut decoder = base64::Decoder::new(CODE_LEN_MAX);
        base64::push_base64(&mut decoder, raw.as_bytes())?;
        let code = decoder.finish()?;
        Ok(contiguous(&code).map_err(|_| CodeReject::OutOfFrames)?.into_owned())
    }

    fn is_not_base64(raw: &str) -> bool {
        matches!(decoded(raw), Err(CodeReject::NotBase64))
    }

    #[test]
    fn base64_is_decoded_whatever_its_line_breaks_escapes_and_padding() {
        let bytes: Vec<u8> = (0..5000_u32).map(|index| (index * 31 % 256) as u8).collect();
        let text = STANDARD.encode(&bytes);
        let lines: Vec<&str> =
            text.as_bytes().chunks(76).map(|line| str::from_utf8(line).expect("ASCII")).collect();
        for raw in [
            text.clone(),
            text.trim_end_matches('=').to_string(),
            lines.join("\\n"),
            lines.join("\\r\\n") + "\\n",
            lines.join(" "),
            text.replace('/', "\\/"),
            text.replace('A', "\\u0041"),
        ] {
            assert_eq!(decoded(&raw).expect("base64"), bytes);
        }
        assert_eq!(decoded("").expect("nothing"), b"");
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        for raw in [
            "a",
            "a===",
            "QQ==QQ==",
            "QQ=x",
            "Q!",
            "ä",
            "Q\\u00e4==",
            "\\u12",
            "\\u+041",
            "\\\"",
            "\\",
            "QR==",
            "=",
            "-_-_",
        ] {
            assert!(is_not_base64(raw), "{raw}");
        }
        let padded_block = format!("{}QQ=={}", "A".repeat(1024 - 4), "AAAA");
        assert!(is_not_base64(&padded_block));
    }

    #[test]
    fn a_binary_sent_as_text_is_recognised() {
        for raw in [
            "\\u007fELF\\u0002\\u0001",
            "\u{7f}ELF\u{fffd}",
            "\\u007FELF",
            "\\u0000asm\\u0001",
            "PK\\u0003\\u0004",
            "PK\\u0005\\u0006",
        ] {
            let reject = decoded(raw);
            assert!(matches!(reject, Err(CodeReject::Mangled)), "{raw}");
        }
        assert_eq!(decoded("PKPK").expect("base64 may start like that"), [60, 163, 202]);
    }

    #[test]
    fn a_script_is_hosted_if_an_archive_may_have_its_interpreter() {
        memory::install_for_test();
        let buffer = |bytes: &[u8]| PageBuffer::from_bytes(bytes).expect("frames are left");
        let hosted = |file: &[u8], archive: Option<&[u8]>| {
            Executable { file: buffer(file), archive: archive.map(buffer) }.can_be_hosted()
        };
        assert!(hosted(b"\x7fELF", None) && hosted(b"\x7fELF", Some(b"PK")));
        assert!(hosted(b"#!/usr/bin/python3.11", Some(b"PK")));
        assert!(!hosted(b"#!/usr/bin/python3.11", None) && !hosted(b"\0asm", Some(b"PK")));
    }

    #[test]
    fn the_kind_counts_only_if_the_bytes_do_not_tell() {
        memory::install_for_test();
        let check = |bytes: &[u8], kind| {
            executable(PageBuffer::from_bytes(bytes).expect("frames are left"), kind)
                .map_err(|reject| reject.to_string())
        };
        let refused = |bytes: &[u8], kind, part: &str| {
            let reject = check(bytes, kind).expect_err(kind);
            assert!(reject.contains(part), "{kind}: {reject}");
        };
        for kind in ["native:1", "native", "linux", "blackbox", "rust:1.34", "go", "nodejs:default"]
        {
            assert!(check(b"\x7fELF...", kind).is_ok());
            refused(b"PK\x03\x04...", kind, "The zip archive is damaged");
            refused(b"\0asm", kind, "wasm is not supported by this host");
        }
        assert!(check(b"#!/bin/sh", "blackbox").is_ok());
        assert!(check(b"#!/bin/sh", "linux").is_ok());
        refused(b"function main() {}", "nodejs:default", "runtime 'nodejs:default' is not");
        refused(b"", "python:3", "runtime 'python:3' is not");
        let empty = [&b"PK\x05\x06"[..], &[0; 18]].concat();
        refused(&empty, "python:3", "runtime 'python:3' is not");
        refused(&empty, "native", "no file named exec, bin/exec or bootstrap");
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            prop_assume!(!is_mangled(STANDARD.encode(&bytes).as_bytes()));
            prop_assert_eq!(decoded(&STANDARD.encode(&bytes)).expect("base64"), bytes);
        }

        #[test]
        fn nothing_panics(raw in "[A-Za-z0-9+/=\\\\u\\PC]{0,60}") {
            let _ = decoded(&raw);
        }
    }
}
