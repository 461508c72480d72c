//! A list of annotations or parameters in a document, read in slices:
//! `[{"key":NAME,"value":VALUE}, …]`, which for parameters may have `"init":true`.
//!
//! Where the elements are; then where name and value of each are; then which of equal names counts;
//! then what does is copied. The document was checked as a whole before.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::ops::Range;

use super::changes::{Parameters, canonical};
use crate::api::answer::error::Reject;
use crate::document::keeping_reserve;
use crate::json::scan::{Member, Scanner, Takes};
use crate::json::{FieldReject, Json, JsonReject, whole_characters};
use crate::registry::{KeyValues, KeyValuesBuilder};
use crate::slice::Slice;
use limits::{PARAMETER_NAME_LEN_MAX, PARAMETERS_LEN_MAX, PARAMETERS_MAX};
use memory::PageBuffer;

/// What of a value is copied at a time.
const PIECE_LEN: usize = 1024;
/// Longest name with its quotes.
const KEY_LEN_MAX: usize = PARAMETER_NAME_LEN_MAX + 2;
/// The value of who has none.
const NOTHING: &str = "null";

/// See the head of this file.
pub struct ListReader {
    name: &'static str,
    list: Range<usize>,
    scanner: Scanner,
    elements: Vec<Range<usize>>,
    /// Names one behind the other, in canonical spelling.
    keys: String,
    items: Vec<Item>,
    stage: Stage,
}

struct Item {
    key: Range<usize>,
    /// Where its value is, if it has one.
    value: Option<Range<usize>>,
    is_init: bool,
    /// No other of this name counts more.
    counts: bool,
}

/// Where the members of an element are.
#[derive(Default)]
struct Found {
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    init: Option<Range<usize>>,
}

enum Stage {
    Elements,
    /// The next element.
    Items(usize, Found),
    /// The next item, and how much of its value was copied.
    Copy(usize, usize, [KeyValuesBuilder; 2]),
    Over,
}

impl ListReader {
    /// One for annotations, at this place of a document.
    ///
    /// # Errors
    /// The list is too long.
    pub fn annotations(list: Range<usize>) -> Result<Self, Reject> {
        Self::new("annotations", list)
    }

    /// One for parameters.
    ///
    /// # Errors
    /// As for [`annotations`](Self::annotations).
    pub fn parameters(list: Range<usize>) -> Result<Self, Reject> {
        Self::new("parameters", list)
    }

    fn new(name: &'static str, list: Range<usize>) -> Result<Self, Reject> {
        if list.len() > PARAMETERS_LEN_MAX {
            return Err(Reject::ParametersTooLong { name });
        }
        Ok(Self {
            name,
            scanner: Scanner::within(Takes::Container, list.clone()),
            list,
            elements: Vec::new(),
            keys: String::new(),
            items: Vec::new(),
            stage: Stage::Elements,
        })
    }

    /// Goes on with the document, which is always the same. Returns what is in the list when all of
    /// it was read.
    ///
    /// # Errors
    /// It is not what it should be, or there is no memory.
    pub fn step(
        &mut self,
        text: &PageBuffer,
        slice: &mut Slice,
    ) -> Result<Option<Parameters>, Reject> {
        while !slice.is_over() {
            match &mut self.stage {
                Stage::Elements => self.find_elements(text, slice)?,
                Stage::Items(..) => self.read_element(text, slice)?,
                Stage::Copy(..) => {
                    if let Some([of_input, of_environment]) = self.copy(text, slice)? {
                        return Ok(Some(Parameters { of_input, of_environment }));
                    }
                }
                Stage::Over => return Ok(None),
            }
        }
        Ok(None)
    }

    fn find_elements(&mut self, text: &PageBuffer, slice: &mut Slice) -> Result<(), Reject> {
        let Self { name, list, scanner, elements, .. } = self;
        if text.chunk_at(list.start).first() != Some(&b'[') {
            return Err(Reject::Field(FieldReject { name, expected: "a list" }));
        }
        let mut outcome = Ok(());
        let is_whole = scanner.step(text, slice, &mut |element: Member<'_>| {
            if elements.len() == PARAMETERS_MAX {
                outcome = Err(Reject::ParametersTooLong { name });
            } else if elements.try_reserve(1).is_err() {
                outcome = Err(Reject::NoMemory);
            } else {
                elements.push(element.value);
            }
        })?;
        outcome?;
        if is_whole {
            let count = elements.len();
            self.items.try_reserve_exact(count).map_err(|_| Reject::NoMemory)?;
            self.begin_element(0)?;
        }
        Ok(())
    }

    fn begin_element(&mut self, number: usize) -> Result<(), Reject> {
        match self.elements.get(number) {
            Some(element) => {
                self.scanner.restart(Takes::Object, element.clone());
                self.stage = Stage::Items(number, Found::default());
            }
            None => self.begin_copy()?,
        }
        Ok(())
    }

    fn read_element(&mut self, text: &PageBuffer, slice: &mut Slice) -> Result<(), Reject> {
        let bad = |expected| Reject::Field(FieldReject { name: self.name, expected });
        let no_object = || bad("a list of objects with a string 'key' and a 'value'");
        let Stage::Items(number, found) = &mut self.stage else { return Ok(()) };
        let number = *number;
        let is_whole = self.scanner.step(text, slice, &mut |member: Member<'_>| {
            let Some(name) = member.name else { return };
            let value = (!text.is_at(&member.value, b"null")).then_some(member.value);
            match &mut *found {
                found if name.is("key") => found.key = value,
                found if name.is("value") => found.value = value,
                found if name.is("init") => found.init = value,
                _ => {}
            }
        });
        if !is_whole.map_err(|_| no_object())? {
            return Ok(());
        }
        let Found { key, value, init } = core::mem::take(found);
        let key = key.ok_or_else(no_object)?;
        let mut spelling = [0; KEY_LEN_MAX];
        if key.len() > spelling.len() {
            return Err(if text.chunk_at(key.start).first() == Some(&b'"') {
                bad("a list whose keys are of reasonable length")
            } else {
                no_object()
            });
        }
        let len = text.copy_to(key, &mut spelling);
        let key = Json::read(&spelling[..len])?;
        let key = canonical(key).map_err(|reject| match reject {
            JsonReject::StringTooLong => bad("a list whose keys are of reasonable length"),
            _ => no_object(),
        })?;
        // Every action has this one, with a value of our own.
        if self.name != "annotations" || key != r#""exec""# {
            let start = self.keys.len();
            self.keys.try_reserve(key.len()).map_err(|_| Reject::NoMemory)?;
            self.keys.push_str(&key);
            let is_init = init.is_some_and(|init| text.is_at(&init, b"true"));
            self.items.push(Item {
                key: start..self.keys.len(),
                value,
                is_init: is_init && self.name == "parameters",
                counts: false,
            });
        }
        self.begin_element(number + 1)
    }

    /// Finds out which items count: of equal names the last one, of two kinds the one of the
    /// environment.
    fn begin_copy(&mut self) -> Result<(), Reject> {
        let Self { keys, items, .. } = self;
        let key = |item: &Item| keys.get(item.key.clone()).unwrap_or_default();
        let mut order = Vec::new();
        order.try_reserve_exact(items.len()).map_err(|_| Reject::NoMemory)?;
        order.extend(0..items.len());
        order.sort_unstable_by_key(|at: &usize| {
            let item = &items[*at];
            (key(item), Reverse((item.is_init, *at)))
        });
        order.dedup_by(|a, b| key(&items[*a]) == key(&items[*b]));
        order.iter().for_each(|at| items[*at].counts = true);
        let builder = |is_init| {
            let mut lens = (0, 0);
            for item in items.iter().filter(|item| item.counts && item.is_init == is_init) {
                let value_len = item.value.as_ref().map_or(NOTHING.len(), Range::len);
                lens = (lens.0 + item.key.len() + value_len, lens.1 + 1);
            }
            keeping_reserve(|| KeyValuesBuilder::new(lens.0, lens.1))
        };
        self.stage = Stage::Copy(0, 0, [builder(false)?, builder(true)?]);
        Ok(())
    }

    /// Copies a piece of an item. Returns what they have become when there is none left.
    fn copy(
        &mut self,
        text: &PageBuffer,
        slice: &mut Slice,
    ) -> Result<Option<[KeyValues; 2]>, Reject> {
        let Stage::Copy(number, copied, builders) = &mut self.stage else { return Ok(None) };
        let Some(item) = self.items.get(*number) else {
            let Stage::Copy(.., builders) = core::mem::replace(&mut self.stage, Stage::Over) else {
                return Ok(None);
            };
            return Ok(Some(builders.map(KeyValuesBuilder::finish)));
        };
        if !item.counts {
            slice.take(size_of::<Item>());
            *number += 1;
            return Ok(None);
        }
        let builder = &mut builders[usize::from(item.is_init)];
        if *copied == 0 {
            slice.take(item.key.len());
            builder.begin(self.keys.get(item.key.clone()).unwrap_or_default());
        }
        let Some(value) = &item.value else {
            builder.push(NOTHING);
            builder.end();
            *number += 1;
            return Ok(None);
        };
        let mut piece = [0; PIECE_LEN];
        let rest = value.start + *copied..value.end;
        let len = text.copy_to(rest.clone(), &mut piece);
        let piece = &piece[..len];
        let piece = if len < rest.len() { whole_characters(piece) } else { piece };
        slice.take(piece.len());
        builder.push(core::str::from_utf8(piece).map_err(|_| JsonReject::NotUtf8)?);
        *copied += piece.len();
        if *copied == value.len() {
            builder.end();
            (*number, *copied) = (*number + 1, 0);
        }
        Ok(None)
    }

    /// How much memory it takes by now.
    #[must_use]
    pub fn held_len(&self) -> usize {
        match &self.stage {
            Stage::Copy(.., builders) => builders.iter().map(KeyValuesBuilder::held_len).sum(),
            Stage::Elements | Stage::Items(..) | Stage::Over => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Quoted;
    use alloc::format;
    use alloc::string::ToString as _;
    use proptest::prelude::*;

    fn read(list: &str, slice_len: usize) -> Result<Parameters, Reject> {
        memory::install_for_test();
        let text = PageBuffer::from_bytes(format!("12{list}34").as_bytes()).expect("frames");
        let mut reader = ListReader::parameters(2..2 + list.len())?;
        loop {
            if let Some(read) = reader.step(&text, &mut Slice::new(slice_len))? {
                return Ok(read);
            }
        }
    }

    #[test]
    fn of_equal_names_the_last_counts_and_before_it_the_one_of_the_environment() {
        let list = r#"[{"key":"b","value":1},{"value":[ "x" ],"key":"a"},{"key":"\u0062"},
            {"key":"c","value":0,"init":true},{"key":"c","value":3},{"init":false,"key":"d"}]"#;
        for slice_len in [1, 30, usize::MAX] {
            let read = read(list, slice_len).expect("it is a list");
            let expected =
                r#"{"key":"a","value":[ "x" ]},{"key":"b","value":null},{"key":"d","value":null}"#;
            assert_eq!(read.of_input.items(), expected);
            assert_eq!(read.of_environment.items(), r#"{"key":"c","value":0}"#);
        }
    }

    #[test]
    fn what_is_no_list_of_pairs_is_refused() {
        let long = "x".repeat(PARAMETER_NAME_LEN_MAX + 1);
        for list in [
            "{}",
            "1",
            "[1]",
            "[[]]",
            r#"[{"value":1}]"#,
            r#"[{"key":1}]"#,
            r#"[{"key":null}]"#,
            &format!(r#"[{{"key":"{long}"}}]"#),
            &format!(r#"[{{"key":[{long:?}]}}]"#),
        ] {
            let status = read(list, 1).map(|_| ()).map_err(|reject| reject.status());
            assert_eq!(status, Err(400), "{list}");
        }
        let many = |count: usize| format!("[{}]", [r#"{"key":""}"#; 1].repeat(count).join(","));
        assert!(read(&many(PARAMETERS_MAX), 999).is_ok());
        let status = read(&many(PARAMETERS_MAX + 1), 999).map_err(|reject| reject.status());
        assert_eq!(status.err(), Some(413));
        let long = format!("[{}]", " ".repeat(PARAMETERS_LEN_MAX));
        assert_eq!(read(&long, 999).map_err(|reject| reject.status()).err(), Some(413));
    }

    proptest! {
        #[test]
        fn values_are_copied_whole(
            text in "[a-z\u{e4}\u{20ac}]{0,9}",
            count in 0..900_usize,
        ) {
            let value = Quoted(&text.repeat(count)).to_string();
            let list = format!(r#"[{{"key":"a","value":{value}}}]"#);
            let read = read(&list, 1).expect("it is a list");
            prop_assert_eq!(read.of_input.get(r#""a""#), Some(&*value));
        }
    }
}
