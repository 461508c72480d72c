//! From the texts of all sources to the settings, and to what is wrong with them.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::Settings;
use super::keys::{FOREIGN_KEYS, KEYS, Key, Mistake};
use limits::{CONFIG_LEN_MAX, CONFIG_PROBLEMS_MAX, PROBLEM_LEN_MAX};

/// What the node's own keys start with.
const PREFIX: &str = "hostkernel.";
/// What systemd's convention puts in front of a key in SMBIOS.
const CREDENTIAL: &str = "io.systemd.credential:";

/// Where a setting comes from. A later one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The file `config` of the boot bundle.
    BootBundle,
    /// Strings of the machine's owner in its SMBIOS tables.
    Smbios,
    /// A file that QEMU hands to firmware.
    FirmwareConfig,
    /// The kernel's command line.
    CommandLine,
}

impl Source {
    /// All, in order.
    pub const ALL: [Self; 4] =
        [Self::BootBundle, Self::Smbios, Self::FirmwareConfig, Self::CommandLine];
}

/// Something the operator wrote that has no effect, and why.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Source, and line of a file; `None` if it is in what all sources say together.
    place: Option<(Source, Option<usize>)>,
    wrong: Wrong,
    /// It could open the node to whom it should not, or make it another one than it is meant to be.
    is_guarded: bool,
}

#[derive(Clone, Debug)]
enum Wrong {
    /// This is not of the form `key=value`.
    Form(String),
    /// There is no such key.
    Key(String),
    /// The value, which is left out if it is a secret, is not what this key takes.
    Value(String, &'static Key),
    /// All of it, for this reason.
    Whole(&'static str),
}

/// Reads sources one after the other.
#[derive(Debug, Default)]
pub struct Loader {
    loaded: Loaded,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The settings, with built-in values for what nobody set.
    pub settings: Settings,
    /// What is wrong: the first [`CONFIG_PROBLEMS_MAX`].
    pub problems: Vec<Problem>,
    /// Some problem, listed or not, could open the node to whom it should not, or make it another
    /// one than it is meant to be: it must not serve.
    pub is_refused: bool,
    /// How many keys each source gave, in the order of [`Source::ALL`].
    pub counts: [usize; Source::ALL.len()],
}

impl Loader {
    /// Reads a command line: words, up to the word `--`.
    pub fn words(&mut self, source: Source, text: &str) {
        for word in text.split_ascii_whitespace().take_while(|word| *word != "--") {
            self.item(source, None, word);
        }
    }

    /// Reads a file: a key a line, empty lines, comments after `#` at the start of a line.
    pub fn lines(&mut self, source: Source, bytes: &[u8]) {
        if bytes.len() > CONFIG_LEN_MAX {
            return self.unreadable(source, "longer than 64 KiB");
        }
        let Ok(text) = core::str::from_utf8(bytes) else {
            return self.unreadable(source, "not UTF-8 text");
        };
        for (line, number) in text.lines().map(str::trim).zip(1..) {
            if !line.is_empty() && !line.starts_with('#') {
                self.item(source, Some(number), line);
            }
        }
    }

    /// Reads a string of SMBIOS, which may be somebody else's.
    pub fn string(&mut self, bytes: &[u8]) {
        let source = Source::Smbios;
        let Ok(text) = core::str::from_utf8(bytes) else {
            if is_ours(bytes.strip_prefix(CREDENTIAL.as_bytes()).unwrap_or(bytes)) {
                self.unreadable(source, "not UTF-8 text");
            }
            return;
        };
        let item = match text.strip_prefix(CREDENTIAL) {
            // Credentials are the node's by their prefix, also those of keys that have none.
            Some(item) if !is_ours(item.as_bytes()) => return,
            Some(item) => match item.split_at(PREFIX.len()).1 {
                short if Key::named(key_of(short)).is_some() => short,
                _ => item,
            },
            None => text,
        };
        if is_ours(item.as_bytes()) || Key::named(key_of(item)).is_some() {
            self.item(source, None, item);
        }
    }

    /// Notes that a source could not be read, or not all of it.
    pub fn unreadable(&mut self, source: Source, reason: &'static str) {
        self.problem(Some((source, None)), Wrong::Whole(reason), true);
    }

    /// Notes that a file that may have held keys was not found where it should be: the node can
    /// serve, but the development key does not open it.
    pub fn close(&mut self) {
        self.loaded.settings.access.is_closed = true;
    }

    /// What is wrong so far, item by item.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.loaded.problems
    }

    /// Checks all of it together.
    #[must_use]
    pub fn finish(mut self) -> Loaded {
        if let Some(conflict) = self.loaded.settings.access.conflict() {
            self.problem(None, Wrong::Whole(conflict), true);
        }
        if self.loaded.settings.store.is_none() && !self.loaded.settings.runtimes.is_empty() {
            let reason = "hostkernel.runtimes are fetched from hostkernel.store, which is not set";
            self.problem(None, Wrong::Whole(reason), true);
        }
        self.loaded
    }

    fn item(&mut self, source: Source, line: Option<usize>, item: &str) {
        let place = Some((source, line));
        let Some((name, value)) = item.split_once('=') else {
            let wrong = Wrong::Form(shown(key_of(item)));
            return self.problem(place, wrong, is_ours(item.as_bytes()));
        };
        let (name, value) = (name.trim_end(), value.trim_start());
        if FOREIGN_KEYS.contains(&name) {
            return;
        }
        let Some(key) = Key::named(name) else {
            // It may be a misspelt key to who gets in.
            return self.problem(place, Wrong::Key(shown(name)), is_ours(name.as_bytes()));
        };
        if (key.set)(&mut self.loaded.settings, value).is_some() {
            self.loaded.counts[source as usize] += 1;
        } else {
            let value = if key.mistake == Mistake::Secret { "..." } else { value };
            let is_guarded = key.mistake != Mistake::Ignored;
            self.problem(place, Wrong::Value(shown(value), key), is_guarded);
        }
    }

    fn problem(&mut self, place: Option<(Source, Option<usize>)>, wrong: Wrong, is_guarded: bool) {
        self.loaded.is_refused |= is_guarded;
        if self.loaded.problems.len() < CONFIG_PROBLEMS_MAX {
            self.loaded.problems.push(Problem { place, wrong, is_guarded });
        }
    }
}

/// Whether this begins like the node's own keys.
fn is_ours(item: &[u8]) -> bool {
    item.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX.as_bytes()))
}

/// What may be shown of an item: a value may be a secret.
fn key_of(item: &str) -> &str {
    item.split(['=', ':']).next().unwrap_or_default().trim_end()
}

/// A piece of somebody's text, short, on one line.
fn shown(text: &str) -> String {
    text.escape_debug().take(PROBLEM_LEN_MAX).collect()
}

impl Loaded {
    /// Where the settings come from, in words.
    #[must_use]
    pub fn origin(&self) -> String {
        let counts = Source::ALL.iter().zip(self.counts).filter(|(_, count)| *count > 0);
        let texts: Vec<String> =
            counts.map(|(source, count)| format!("{count} from {source}")).collect();
        if texts.is_empty() { "built-in".into() } else { texts.join(", ") }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BootBundle => "boot bundle",
            Self::Smbios => "SMBIOS",
            Self::FirmwareConfig => "fw_cfg",
            Self::CommandLine => "command line",
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((source, Some(line))) => write!(f, "{source}, line {line}: ")?,
            Some((source, None)) => write!(f, "{source}: ")?,
            None => f.write_str("configuration: ")?,
        }
        let verb = if self.is_guarded { "refused" } else { "ignored" };
        match &self.wrong {
            Wrong::Form(item) => write!(f, "\"{item}\" {verb}: not of the form key=value"),
            Wrong::Value(value, key) => {
                write!(f, "\"{0}={value}\" {verb}: {0} is {1}", key.name, key.syntax)
            }
            Wrong::Whole(reason) => write!(f, "{verb}: {reason}"),
            Wrong::Key(name) => {
                write!(f, "\"{name}\" {verb}: unknown key; there are")?;
                let mut separator = " ";
                KEYS.iter().try_for_each(|key| {
                    write!(f, "{}{}", core::mem::replace(&mut separator, ", "), key.name)
                })
            }
        }
    }
}
