//! A long input, checked and merged with an action's bound parameters in slices.
//!
//! What [`json_input`](super::input::json_input) does in one go. No memory is taken but for the
//! result, and none if there are no bound parameters: then the request's own frames are the input.

use alloc::boxed::Box;
use alloc::string::ToString as _;
use alloc::vec::Vec;
use core::ops::Range;

use crate::api::answer::error::Reject;
use crate::document::Document;
use crate::json::scan::{Member, Scanner, Takes};
use crate::json::{ESCAPED_LEN, Json, Quoted};
use crate::registry::KeyValues;
use crate::slice::Slice;
use limits::{JSON_AT_ONCE_LEN_MAX, PAGE_LEN, PARAMETER_NAME_LEN_MAX};
use memory::{OutOfFrames, PageBuffer};

/// See the head of this file.
pub struct Merging {
    body: PageBuffer,
    is_final: bool,
    len_max: usize,
    /// Which bound parameters the request names.
    named: Vec<bool>,
    stage: Stage,
}

enum Stage {
    Scan(Box<Scanner>),
    Merge(Merge),
    Over,
}

/// The request's members behind the bound parameters that it does not name.
struct Merge {
    bound: Bound,
    /// What of the request is left to write: all between its braces, unless that is nothing.
    own: Range<usize>,
    /// What comes in front of the next member.
    separator: &'static str,
    merged: Document,
}

/// Bound parameters on their way into an input.
#[derive(Default)]
pub(super) struct Bound {
    /// The next one, and how much of its value was written.
    next: usize,
    written: usize,
}

impl Merging {
    /// Whether an input is to be read in slices.
    #[must_use]
    pub fn is_long(body: &PageBuffer, parameters: &KeyValues) -> bool {
        body.len().saturating_add(parameters.items().len()) > JSON_AT_ONCE_LEN_MAX
    }

    /// Begins with a request's body. The input has at most `len_max` bytes.
    ///
    /// # Errors
    /// The body is longer, or there is no memory.
    pub fn new(
        mut body: PageBuffer,
        parameters: &KeyValues,
        is_final: bool,
        len_max: usize,
    ) -> Result<Self, Reject> {
        if body.len() > len_max {
            return Err(Reject::InputTooLong { max: len_max });
        }
        if body.is_empty() {
            body = PageBuffer::from_bytes(b"{}")?;
        }
        let mut named = Vec::new();
        named.try_reserve_exact(parameters.len()).map_err(|_| Reject::NoMemory)?;
        named.resize(parameters.len(), false);
        let stage = Stage::Scan(Box::new(Scanner::new(Takes::Object)));
        Ok(Self { body, is_final, len_max, named, stage })
    }

    /// Goes on; `parameters` are always the same. Returns the input when it is there.
    ///
    /// # Errors
    /// As [`json_input`](super::input::json_input).
    pub fn step(
        &mut self,
        parameters: &KeyValues,
        slice: &mut Slice,
    ) -> Result<Option<PageBuffer>, Reject> {
        let Self { body, is_final, len_max, named, stage } = self;
        while !slice.is_over() {
            match stage {
                Stage::Scan(scanner) => {
                    let visit = &mut |member: Member<'_>| {
                        let position = member.name.and_then(|name| position(parameters, name));
                        if let Some(named) = position.and_then(|position| named.get_mut(position)) {
                            *named = true;
                        }
                    };
                    if !scanner.step(body, slice, visit)? {
                        continue;
                    }
                    if *is_final && named.contains(&true) {
                        return Err(Reject::ReservedParameters);
                    }
                    let has_members = scanner.has_members();
                    let Range { start, end } = scanner.outer();
                    *stage = Stage::Merge(Merge {
                        bound: Bound::default(),
                        own: if has_members { start + 1..end.saturating_sub(1) } else { 0..0 },
                        separator: "{",
                        merged: Document::default(),
                    });
                    if parameters.is_empty() {
                        *stage = Stage::Over;
                        return Ok(Some(core::mem::take(body)));
                    }
                }
                Stage::Merge(merge) => {
                    let is_whole = merge.step(body, parameters, named, slice)?;
                    if merge.merged.len() > *len_max {
                        return Err(Reject::InputTooLong { max: *len_max });
                    }
                    if is_whole {
                        let merged = core::mem::take(&mut merge.merged);
                        *stage = Stage::Over;
                        return Ok(Some(merged.into_pages()));
                    }
                }
                Stage::Over => return Ok(None),
            }
        }
        Ok(None)
    }

    /// How much memory it takes by now.
    #[must_use]
    pub fn held_len(&self) -> usize {
        let merged = if let Stage::Merge(merge) = &self.stage { merge.merged.len() } else { 0 };
        self.body.len() + merged
    }
}

impl Merge {
    /// Writes a piece. Returns whether it was the last one.
    fn step(
        &mut self,
        body: &PageBuffer,
        parameters: &KeyValues,
        named: &[bool],
        slice: &mut Slice,
    ) -> Result<bool, OutOfFrames> {
        let Self { bound, own, separator, merged } = self;
        let is_named = |at, _: &str| named.get(at) == Some(&true);
        if !bound.step(merged, parameters, separator, is_named, slice)? {
            return Ok(false);
        }
        let chunk = body.chunk_at(own.start);
        let piece = chunk.get(..own.len()).unwrap_or(chunk);
        slice.take(piece.len());
        if !separator.is_empty() && (!piece.is_empty() || *separator == "{") {
            merged.append(separator.as_bytes())?;
        }
        *separator = "";
        merged.append(piece)?;
        own.start += piece.len();
        if Range::is_empty(own) {
            merged.append(b"}")?;
        }
        Ok(Range::is_empty(own))
    }
}

impl Bound {
    /// Writes a piece of those that `is_left_out` does not know by place and name, with a separator
    /// in front of each, which is a comma from then on. Returns whether there was none left.
    pub(super) fn step(
        &mut self,
        out: &mut Document,
        parameters: &KeyValues,
        separator: &mut &'static str,
        is_left_out: impl Fn(usize, &str) -> bool,
        slice: &mut Slice,
    ) -> Result<bool, OutOfFrames> {
        let Some((name, value)) = parameters.at(self.next) else { return Ok(true) };
        if self.written == 0 {
            slice.take(name.len());
            if is_left_out(self.next, name) {
                self.next += 1;
                return Ok(false);
            }
            for piece in [*separator, name, ":"] {
                out.append(piece.as_bytes())?;
            }
            *separator = ",";
        }
        let rest = value.as_bytes().get(self.written..).unwrap_or_default();
        let piece = rest.get(..PAGE_LEN).unwrap_or(rest);
        slice.take(piece.len());
        out.append(piece)?;
        self.written += piece.len();
        if piece.len() == rest.len() {
            (self.next, self.written) = (self.next + 1, 0);
        }
        Ok(false)
    }
}

/// Which bound parameter has this name, in whatever spelling.
pub(super) fn position(parameters: &KeyValues, name: Json<'_>) -> Option<usize> {
    match name.raw_string() {
        Some(raw) if !raw.contains('\\') => parameters.position(name.text()),
        _ => {
            let decoded = name.string(ESCAPED_LEN * PARAMETER_NAME_LEN_MAX).ok()?;
            parameters.position(&Quoted(&decoded).to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::input::json_input;
    use super::*;
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;
    use proptest::prelude::*;
    use serde_json::Value;

    const LEN_MAX: usize = 1 << 20;

    fn sliced(body: &str, parameters: &KeyValues, is_final: bool) -> Result<Vec<u8>, Reject> {
        memory::install_for_test();
        let body = PageBuffer::from_bytes(body.as_bytes()).expect("frames are left");
        let mut merging = Merging::new(body, parameters, is_final, LEN_MAX)?;
        loop {
            if let Some(input) = merging.step(parameters, &mut Slice::new(1))? {
                return Ok(input.to_vec().expect("the heap has room"));
            }
        }
    }

    fn whole(body: &str, parameters: &KeyValues, is_final: bool) -> Result<Vec<u8>, Reject> {
        let body = PageBuffer::from_bytes(body.as_bytes()).expect("frames are left");
        let input = json_input(body, parameters, is_final, LEN_MAX)?;
        Ok(input.to_vec().expect("the heap has room"))
    }

    fn is_same(body: &str, items: &[(&str, &str)]) {
        let parameters = KeyValues::from_items(items).expect("the heap has room");
        for is_final in [false, true] {
            let (sliced, whole) =
                (sliced(body, &parameters, is_final), whole(body, &parameters, is_final));
            let read = |text: &[u8]| serde_json::from_slice::<Value>(text).expect("JSON");
            match (sliced, whole) {
                (Ok(sliced), Ok(whole)) => assert_eq!(read(&sliced), read(&whole), "{body}"),
                (Err(sliced), Err(whole)) => assert_eq!(sliced.status(), whole.status(), "{body}"),
                (sliced, whole) => panic!("{body}: {sliced:?}, {whole:?}"),
            }
        }
    }

    #[test]
    fn it_is_what_is_made_in_one_go() {
        let long = format!("\"{}\"", "ä".repeat(3 * PAGE_LEN));
        let bound = [(r#""a""#, "1"), (r#""b""#, &long), (r#""c""#, "[]")];
        let own = format!(" {{\"x\":{long}, \"\\u0061\":2}}\n");
        for items in [&bound[..], &bound[..1], &[]] {
            for body in
                ["", "{}", " { } ", &own, r#"{"a":1,"b":2,"c":3}"#, "{\"b\":0}", "[]", "{", "1"]
            {
                is_same(body, items);
            }
        }
    }

    #[test]
    fn without_bound_parameters_nothing_is_copied() {
        let body = format!("{{\"x\":\"{}\"}}", "y".repeat(3 * PAGE_LEN));
        assert_eq!(sliced(&body, &KeyValues::new(), false).expect("an object"), body.as_bytes());
    }

    #[test]
    fn what_gets_too_long_is_refused() {
        let long = format!("\"{}\"", "x".repeat(LEN_MAX / 2));
        let parameters = KeyValues::from_items(&[(r#""a""#, &*long)]).expect("room");
        let reject = sliced(&format!("{{\"b\":{long}}}"), &parameters, false).err();
        assert!(matches!(reject, Some(Reject::InputTooLong { max: LEN_MAX })), "{reject:?}");
    }

    proptest! {
        #[test]
        fn members_of_both_are_there_once(
            request in proptest::collection::btree_map("[a-f\"ä]{1,2}", any::<u8>(), 0..6),
            bound in proptest::collection::btree_map("[a-f\"ä]{1,2}", any::<u8>(), 0..6),
        ) {
            let items: Vec<(String, String)> = bound
                .iter()
                .map(|(key, value)| (Quoted(key).to_string(), value.to_string()))
                .collect();
            let items: Vec<(&str, &str)> =
                items.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            is_same(&serde_json::to_string(&request).expect("a map is JSON"), &items);
        }
    }
}
