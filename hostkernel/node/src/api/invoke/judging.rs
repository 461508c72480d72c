//! A long result, judged in slices.
//!
//! What [`Judged::of`] does in one go. A result that is not an error stays in the frames that the
//! action wrote to.

use alloc::boxed::Box;
use core::ops::Range;

use super::admission::Pending;
use super::outcome::{Judged, Verdict, invalid};
use super::shape::Shape;
use crate::api::answer::error::Reject;
use crate::dispatch::{Completion, End};
use crate::document::Document;
use crate::json::scan::{Member, Scanner, Takes};
use crate::slice::Slice;
use crate::state::records::Blame;
use limits::JSON_AT_ONCE_LEN_MAX;
use memory::{OutOfFrames, PageBuffer};

/// See the head of this file.
pub struct Judging(Stage);

enum Stage {
    Scan(Box<Scanner>, Option<Range<usize>>),
    /// The value of `error` is copied, of which this is left.
    Copy(Range<usize>, PageBuffer),
}

impl Judging {
    /// Whether the result of an invocation that ended is to be judged in slices.
    #[must_use]
    pub fn is_due(pending: &Pending, completion: &Completion) -> bool {
        let is_json = !matches!(pending.shape(), Shape::Function(_));
        completion.output.len() > JSON_AT_ONCE_LEN_MAX
            && completion.end == End::Exit(0)
            && is_json
            && !pending.is_deploy()
    }

    /// Begins.
    #[must_use]
    pub fn new() -> Self {
        Self(Stage::Scan(Box::new(Scanner::new(Takes::Container)), None))
    }

    /// Goes on with an output, which is always the same. Returns the verdict when it is there.
    pub fn step(&mut self, output: &PageBuffer, slice: &mut Slice) -> Option<Judged> {
        match self.go_on(output, slice) {
            Ok(judged) => judged,
            Err(OutOfFrames) => Some(Judged::missing(Reject::NoMemory)),
        }
    }

    fn go_on(
        &mut self,
        output: &PageBuffer,
        slice: &mut Slice,
    ) -> Result<Option<Judged>, OutOfFrames> {
        while !slice.is_over() {
            match &mut self.0 {
                Stage::Scan(scanner, error) => {
                    let visit = &mut |Member { name, value }: Member<'_>| {
                        if name.is_some_and(|name| name.is("error")) {
                            *error = Some(value);
                        }
                    };
                    match (scanner.step(output, slice, visit), error) {
                        (Ok(false), _) => {}
                        (Ok(true), None) => return Ok(Some(Judged::success())),
                        (Ok(true), Some(error)) => {
                            let error = error.clone();
                            self.0 = Stage::Copy(error, PageBuffer::from_bytes(b"{\"error\":")?);
                        }
                        (Err(reject), _) => {
                            let verdict = Verdict::DeveloperError(invalid(&reject, output));
                            let text = Document::compose(|out| {
                                core::fmt::Write::write_fmt(out, format_args!("{verdict}"))
                            })?;
                            return Ok(Some(Judged::composed(verdict.status(), text)));
                        }
                    }
                }
                Stage::Copy(left, copy) => {
                    let chunk = output.chunk_at(left.start);
                    let piece = chunk.get(..left.len()).unwrap_or(chunk);
                    slice.take(piece.len());
                    copy.append(piece)?;
                    left.start += piece.len();
                    if Range::is_empty(left) {
                        copy.append(b"}")?;
                        let copy = core::mem::take(copy);
                        return Ok(Some(Judged::composed(Blame::ApplicationError, copy)));
                    }
                }
            }
        }
        Ok(None)
    }

    /// How much memory it takes by now, besides the output.
    #[must_use]
    pub fn held_len(&self) -> usize {
        if let Stage::Copy(_, copy) = &self.0 { copy.len() } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::{String, ToString as _};
    use limits::PAGE_LEN;

    fn judged(output: &str) -> (Blame, String) {
        memory::install_for_test();
        let output = PageBuffer::from_bytes(output.as_bytes()).expect("frames are left");
        let mut judging = Judging::new();
        loop {
            if let Some(judged) = judging.step(&output, &mut Slice::new(1)) {
                let result = judged.pages(&output).to_vec().expect("the heap has room");
                return (judged.status, String::from_utf8(result).expect("text"));
            }
        }
    }

    #[test]
    fn it_judges_as_in_one_go() {
        let long = format!("\"{}\"", "ä".repeat(2 * PAGE_LEN));
        for output in [
            format!("{{\"a\":{long}}}"),
            format!("[{long},{{\"error\":1}}]"),
            format!("{{\"error\":{long},\"a\":{long}}}"),
            format!("{{\"a\":{long},\"\\u0065rror\" : [{long}] ,\"b\":1}}"),
            format!("{{\"error\":{long},\"error\":null}}"),
            format!("{{\"error\":{{\"error\":{long}}}}}"),
            long.clone(),
            "x".repeat(PAGE_LEN),
        ] {
            let expected = Verdict::of_output(output.as_bytes());
            let (status, result) = judged(&output);
            assert_eq!(status, expected.status(), "{output:.40}");
            assert!(result == expected.to_string() || status == Blame::DeveloperError);
        }
        let cut = format!("{{\"a\":{long},");
        let (status, result) = judged(&cut);
        assert_eq!(status, Blame::DeveloperError);
        let text = format!("it is not JSON from byte {} on: {{", cut.len() + 1);
        assert!(result.contains(&text) && result.len() < 2 * PAGE_LEN, "{result}");
    }
}
