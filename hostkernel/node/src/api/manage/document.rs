//! A deploy's document on its way to what it wants, in slices: `OpenWhisk`'s, in which the code is
//! an empty string or missing, and that of a registry, which says more.
//!
//! It is read once as a whole, for its syntax and where its fields are; then its short fields, one
//! by one; then the lists of annotations and parameters, which may have a mebibyte each, element
//! by element.

use alloc::boxed::Box;
use core::ops::Range;

use zeroize::Zeroizing;

use super::changes::{Changes, CodeIs, Exec, read_exec, read_names, read_version};
use super::environment;
use super::key_value_list::ListReader;
use crate::api::answer::error::Reject;
use crate::api::request::limit_changes::LimitChanges;
use crate::json::scan::{Member, Scanner, Takes};
use crate::json::{FieldReject, Json};
use crate::slice::Slice;
use limits::{JSON_AT_ONCE_LEN_MAX, KIND_LEN_MAX, MAIN_LEN_MAX};
use memory::{OutOfFrames, PageBuffer};

/// See the head of this file.
pub struct DocumentReader {
    text: PageBuffer,
    code_is: CodeIs,
    fields: Fields,
    changes: Changes,
    /// When a registry's action was last changed, as it says.
    updated_ms: u64,
    stage: Stage,
}

enum Stage {
    Scan(Box<Scanner>),
    /// The short field with this number comes.
    Short(usize),
    Annotations(Box<ListReader>),
    Parameters(Box<ListReader>),
    Over,
}

/// Names of the fields that are looked at; others are passed over.
const NAMES: [&str; FIELDS] = [
    "exec",
    "limits",
    "delAnnotations",
    "environment",
    "publish",
    "version",
    "kind",
    "main",
    "updated",
    "annotations",
    "parameters",
];
const FIELDS: usize = 11;
/// The first so many of them are short.
const SHORT: usize = 9;
const ANNOTATIONS: usize = 9;
const PARAMETERS: usize = 10;

/// Where they are.
type Fields = [Option<Range<usize>>; FIELDS];

impl DocumentReader {
    /// Begins with a document.
    #[must_use]
    pub fn new(text: PageBuffer, code_is: CodeIs) -> Self {
        Self {
            text,
            code_is,
            fields: Fields::default(),
            changes: Changes::default(),
            updated_ms: 0,
            stage: Stage::Scan(Box::new(Scanner::new(Takes::Object))),
        }
    }

    /// All of one at once.
    ///
    /// # Errors
    /// As for [`step`](Self::step).
    pub fn whole(text: &[u8], code_is: CodeIs) -> Result<Changes, Reject> {
        let mut reader = Self::new(PageBuffer::from_bytes(text)?, code_is);
        while !reader.step(&mut Slice::new(usize::MAX))? {}
        Ok(reader.into_parts().0)
    }

    /// Goes on. Returns whether it was read to its end.
    ///
    /// # Errors
    /// Why it cannot be done.
    pub fn step(&mut self, slice: &mut Slice) -> Result<bool, Reject> {
        while !slice.is_over() {
            let Self { text, fields, changes, stage, .. } = self;
            match stage {
                Stage::Scan(scanner) => {
                    let visit = &mut |member: Member<'_>| note(fields, text, member);
                    if scanner.step(text, slice, visit)? {
                        *stage = Stage::Short(0);
                    }
                }
                Stage::Short(number) => {
                    let number = *number;
                    self.read_short(number, slice)?;
                }
                Stage::Annotations(reader) => {
                    if let Some(list) = reader.step(text, slice)? {
                        changes.annotations = Some(list.of_input);
                        *stage = parameters(fields)?;
                    }
                }
                Stage::Parameters(reader) => {
                    if let Some(list) = reader.step(text, slice)? {
                        changes.parameters = Some(list);
                        *stage = Stage::Over;
                    }
                }
                Stage::Over => return Ok(true),
            }
        }
        Ok(matches!(self.stage, Stage::Over))
    }

    /// Reads the short field with this number.
    fn read_short(&mut self, number: usize, slice: &mut Slice) -> Result<(), Reject> {
        let Self { text, code_is, fields, changes, updated_ms, stage } = self;
        if number == SHORT {
            *stage = match fields[ANNOTATIONS].take() {
                Some(list) => Stage::Annotations(Box::new(ListReader::annotations(list)?)),
                None => parameters(fields)?,
            };
            return Ok(());
        }
        *stage = Stage::Short(number + 1);
        let Some(place) = fields[number].take() else { return Ok(()) };
        slice.take(place.len());
        let name = NAMES[number];
        if place.len() > JSON_AT_ONCE_LEN_MAX {
            return Err(Reject::ParametersTooLong { name });
        }
        // It may be a secret.
        let mut field = Zeroizing::new(alloc::vec::Vec::new());
        field.try_reserve_exact(place.len()).map_err(|_| OutOfFrames)?;
        field.resize(place.len(), 0);
        text.copy_to(place, &mut field);
        let field = Json::read(&field)?;
        let is_stored = *code_is == CodeIs::Stored;
        let exec = || Exec::default();
        match name {
            "exec" => changes.exec = Some(read_exec(field, *code_is)?),
            "limits" => changes.limits = LimitChanges::read(field)?,
            "delAnnotations" => changes.annotations_removed = read_names(field)?,
            "environment" => changes.environment = environment::read(field)?,
            "version" => changes.version = Some(read_version(field)?),
            "publish" => {
                let bad = FieldReject { name: "publish", expected: "true or false" };
                changes.publish = Some(field.boolean().ok_or(bad)?);
            }
            "kind" if is_stored => {
                let kind = field.string(KIND_LEN_MAX).ok().map(Into::into);
                changes.exec.get_or_insert_with(exec).kind = kind;
            }
            "main" if is_stored => {
                let main = field.string(MAIN_LEN_MAX).ok().map(Into::into);
                changes.exec.get_or_insert_with(exec).main = main;
            }
            "updated" => *updated_ms = field.unsigned().unwrap_or(0),
            _ => {}
        }
        Ok(())
    }

    /// What it wants, and when a registry's action was last changed.
    #[must_use]
    pub fn into_parts(self) -> (Changes, u64) {
        (self.changes, self.updated_ms)
    }

    /// How much memory it takes by now.
    #[must_use]
    pub fn held_len(&self) -> usize {
        let list = match &self.stage {
            Stage::Annotations(reader) | Stage::Parameters(reader) => reader.held_len(),
            Stage::Scan(_) | Stage::Short(_) | Stage::Over => 0,
        };
        self.text.len() + list
    }
}

/// Notes where a field is; `null` is the same as nothing, and of equal names the last one counts.
fn note(fields: &mut Fields, text: &PageBuffer, Member { name, value }: Member<'_>) {
    let Some(name) = name else { return };
    if let Some(number) = NAMES.iter().position(|known| name.is(known)) {
        fields[number] = (!text.is_at(&value, b"null")).then_some(value);
    }
}

/// What comes behind the annotations.
fn parameters(fields: &mut Fields) -> Result<Stage, Reject> {
    Ok(match fields[PARAMETERS].take() {
        Some(list) => Stage::Parameters(Box::new(ListReader::parameters(list)?)),
        None => Stage::Over,
    })
}
