//! Boot bundles, made and checked with the kernel's own parsers.
//!
//! What is in a bundle, and how: `node::bundle`. [`check`] does with one what a node does
//! when it boots, so that a mistake shows before anything boots.

use std::io;
use std::sync::Arc;

use limits::MEMORY_MB_MAX;
use memory::{LoadPlan, PageBuffer, Template};
use node::api::Boot;
use node::bundle::{Bundle, Reason};
use node::dispatch::{Completion, Invocation};
use node::registry::Share;
use node::settings::{Loader, Settings, Source};
use node::state::records::Records;
use node::state::{Node, Policy};
use serde_json::{Value, json};

use crate::lab::cpio::Archive;

/// What a bundle should hold.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// Settings, a key a line.
    pub config: Option<Vec<u8>>,
    /// Names of runtimes, and their archives.
    pub runtimes: Vec<(String, Vec<u8>)>,
    /// Paths below `actions/`, and what is there.
    pub actions: Vec<(String, Vec<u8>)>,
}

/// What is wrong with a bundle or a file of settings.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// What a node would refuse.
    pub errors: Vec<String>,
    /// What it would refuse unless another source of its configuration allows it.
    pub warnings: Vec<String>,
}

impl Contents {
    /// The archive. The configuration comes first, so that a node which gets only the start of it
    /// still knows who may use it.
    ///
    /// # Errors
    /// When a file is longer than the format can say.
    pub fn archive(&self) -> io::Result<Vec<u8>> {
        let mut archive = Archive::new(Vec::new());
        if let Some(config) = &self.config {
            archive.file("config", config)?;
        }
        for (name, content) in &self.runtimes {
            archive.file(&format!("runtimes/{name}"), content)?;
        }
        for (path, content) in &self.actions {
            archive.file(&format!("actions/{path}"), content)?;
        }
        archive.finish()
    }

    /// Says of which kind the code at a path is, in the document beside it, unless that does.
    ///
    /// # Errors
    /// When the document is none.
    pub fn name_kind(&mut self, path: &str, kind: &str) -> serde_json::Result<()> {
        let path = format!("{path}.json");
        let at = self.actions.iter().position(|(other, _)| *other == path);
        let mut document: serde_json::Map<String, Value> = match at {
            Some(at) => serde_json::from_slice(&self.actions[at].1)?,
            None => serde_json::Map::new(),
        };
        let exec = document.entry("exec").or_insert_with(|| json!({}));
        if let Some(exec) = exec.as_object_mut() {
            exec.entry("kind").or_insert_with(|| kind.into());
        }
        let text = serde_json::to_vec(&document)?;
        match at {
            Some(at) => self.actions[at].1 = text,
            None => self.actions.push((path, text)),
        }
        Ok(())
    }
}

/// What is wrong with a file of settings.
#[must_use]
pub fn check_config(text: &[u8]) -> Vec<String> {
    let mut loader = Loader::default();
    loader.lines(Source::FirmwareConfig, text);
    loader.finish().problems.iter().map(ToString::to_string).collect()
}

/// What is wrong with words of a command line.
#[must_use]
pub fn check_words(words: &str) -> Vec<String> {
    let mut loader = Loader::default();
    loader.words(Source::CommandLine, words);
    loader.finish().problems.iter().map(ToString::to_string).collect()
}

/// What a node will make of its sources, later ones before earlier ones.
#[must_use]
pub fn settings(bundle: Option<&[u8]>, config: Option<&[u8]>, words: &str) -> Settings {
    let mut loader = Loader::default();
    let bundled = bundle.and_then(|archive| Bundle::read(archive).config);
    loader.lines(Source::BootBundle, bundled.unwrap_or_default());
    loader.lines(Source::FirmwareConfig, config.unwrap_or_default());
    loader.words(Source::CommandLine, words);
    loader.finish().settings
}

/// What is wrong with a bundle.
#[must_use]
pub fn check(archive: &[u8]) -> Findings {
    memory::install_for_test();
    let mut findings = Findings::default();
    let bundle = Bundle::read(archive);
    findings.errors.extend(bundle.problems.iter().map(ToString::to_string));
    let mut loader = Loader::default();
    loader.lines(Source::BootBundle, bundle.config.unwrap_or_default());
    let loaded = loader.finish();
    findings.errors.extend(loaded.problems.iter().map(ToString::to_string));
    let mut policy = Policy::new(&loaded.settings.access, MEMORY_MB_MAX);
    policy.host = Some(Arc::new(stand_in()));
    let records = Records::new(1, 1).expect("memory of tests is large");
    let mut node = Node::new(policy, Share::UNBOUNDED, records);
    // Whether a program comes to where it can be frozen shows on a node.
    let mut run = |invocation: Invocation| {
        let template = Arc::clone(&invocation.template);
        Completion::without_core(invocation, Some(template))
    };
    bundle.deploy(&mut node, &mut Boot { wall_ms: 0, run: &mut run }, |problem| {
        let list = match problem.reason {
            Reason::NoNamespace => &mut findings.warnings,
            _ => &mut findings.errors,
        };
        list.push(problem.to_string());
    });
    findings
}

/// In the place of the kernel's own image that hosts Linux programs, which is not run here.
fn stand_in() -> Template {
    let plan = LoadPlan { entry: 0, segments: Vec::new(), is_host: true };
    Template::build(&plan, PageBuffer::new()).expect("memory of tests is large")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_source_that_says_something_counts() {
        let config = Some(b"hostkernel.port=1".to_vec());
        let contents = Contents { config, ..Contents::default() };
        let bundle = contents.archive().expect("it is short");
        let port = |config, words| settings(Some(&bundle), config, words).port;
        assert_eq!(port(None, ""), 1);
        assert_eq!(port(Some(&b"hostkernel.port=2"[..]), ""), 2);
        assert_eq!(port(Some(&b"hostkernel.port=2"[..]), "hostkernel.port=3"), 3);
        assert_eq!(settings(None, None, "").port, crate::qemu::NODE_PORT);
    }

    #[test]
    fn a_kind_is_said_once() {
        let mut contents = Contents::default();
        let given = br#"{"exec":{"kind":"python:3","main":"go"},"limits":{}}"#;
        contents.actions.push(("guest/a.json".into(), given.to_vec()));
        contents.actions.push(("guest/b.json".into(), br#"{"exec":{"main":"go"}}"#.to_vec()));
        contents.actions.push(("guest/c.json".into(), b"text".to_vec()));
        for name in ["guest/a", "guest/b", "guest/d"] {
            contents.name_kind(name, "python:default").expect("a document");
        }
        assert!(contents.name_kind("guest/c", "python:default").is_err());
        let kind = |at: usize| -> Value {
            let document: Value = serde_json::from_slice(&contents.actions[at].1).expect("JSON");
            document["exec"].clone()
        };
        assert_eq!(kind(0), json!({"kind": "python:3", "main": "go"}));
        assert_eq!(kind(1), json!({"kind": "python:default", "main": "go"}));
        assert_eq!(contents.actions[3].0, "guest/d.json");
        assert_eq!(kind(3), json!({"kind": "python:default"}));
    }

    #[test]
    fn a_good_bundle_has_no_findings_and_a_bad_one_has_each() {
        let config = Some(b"loglevel=warn\n".to_vec());
        let mut contents = Contents { config, ..Contents::default() };
        let findings = check(&contents.archive().expect("it is short"));
        assert!(findings.errors.is_empty() && findings.warnings.is_empty(), "{findings:?}");
        // A program for Linux, as far as can be told here.
        contents
            .actions
            .push(("guest/program".into(), [&b"\x7fELF\x02\x01\x01"[..], &[0; 99]].concat()));
        assert!(check(&contents.archive().expect("it is short")).errors.is_empty());
        contents.config = Some(b"hostkernel.auth=nokey".to_vec());
        contents.actions.push(("guest/x".into(), b"text".to_vec()));
        contents.actions.push(("guest/y.json".into(), b"{}".to_vec()));
        contents.actions.push(("other/z".into(), b"text".to_vec()));
        let findings = check(&contents.archive().expect("it is short"));
        let errors = findings.errors.join("\n");
        for part in ["hostkernel.auth is UUID:KEY", "guest/x refused", "guest/y.json refused"] {
            assert!(errors.contains(part), "{part} in {errors}");
        }
        assert_eq!((findings.errors.len(), findings.warnings.len()), (3, 1));
        contents.runtimes.push(("python:3".into(), b"PK\x03\x04".to_vec()));
        contents.runtimes.push(("perl:5".into(), b"text".to_vec()));
        contents.actions.push(("guest/f".into(), b"def main(args): return args".to_vec()));
        contents.actions.push(("guest/f.json".into(), br#"{"exec":{"kind":"python:3"}}"#.to_vec()));
        let errors = check(&contents.archive().expect("it is short")).errors;
        assert!(
            errors.len() == 4 && errors.concat().contains("runtimes/perl:5 refused"),
            "{errors:?}"
        );
        assert!(check_words("loglevel=info").is_empty());
        assert!(check_words("loglevel=loud")[0].contains("loglevel=loud"));
    }
}
