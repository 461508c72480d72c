//! Typed JSON in and out.
//!
//! | input or return value                    | result                                    |
//! |------------------------------------------|-------------------------------------------|
//! | empty or only white space                | as if it were `{}`                        |
//! | not JSON, or not what `In` wants         | `{"error":"<what and where>"}`            |
//! | `Out`, or `Ok(Out)`                      | its JSON                                  |
//! | `Err(error)`                             | `{"error":"<error>"}`                     |
//!
//! An `error` field with exit status 0 is what OpenWhisk calls an application error: handled, and
//! told to the caller. A panic is the other kind.
//!
//! Parsing is `serde_json`. Writing is the module `serializer`, because without `std` that crate
//! can only build a vector, and the result belongs into the output window.

use core::fmt::Display;

use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use super::output::Output;

mod serializer;

/// The value of this input; [`refuse`] turns the error into an answer.
///
/// Strings may be borrowed from the input, which stays in place for the whole invocation.
///
/// # Errors
/// What is wrong with the input, with line and column.
pub fn parse<In: Deserialize<'static>>(input: &'static [u8]) -> Result<In, serde_json::Error> {
    // Checked once as a whole, and not again for each string.
    match core::str::from_utf8(input.trim_ascii()) {
        Ok("") => serde_json::from_str("{}"),
        Ok(text) => serde_json::from_str(text),
        Err(_) => Err(serde_json::Error::custom("the input is not UTF-8")),
    }
}

/// What a handler returned, on its way to the output.
///
/// A handler may return any `Serialize` value or a `Result`, and a `Result` is itself `Serialize`
/// when both its halves are. So `Returned(value).answer(output)` leans on method lookup: the
/// inherent method takes every `Result`, the trait method of [`Answer`] all else.
pub struct Returned<T>(pub T);

impl<Out, E> Returned<Result<Out, E>> {
    /// Writes the value, or the error as `{"error":"…"}`.
    ///
    /// # Panics
    /// As [`Answer::answer`].
    #[track_caller]
    pub fn answer(self, output: &mut Output)
    where
        // Here and not on the `impl`: a `Result` that fails them must not fall through to `Answer`.
        Out: Serialize,
        E: Display,
    {
        match self.0 {
            Ok(value) => write(&value, output),
            Err(error) => refuse(error, output),
        }
    }
}

/// How a return value that is not a `Result` becomes JSON in the output.
pub trait Answer {
    /// Writes the value as JSON.
    ///
    /// # Panics
    /// If the JSON is longer than the output window, or the value has no JSON form (a map whose
    /// keys are not strings or numbers).
    #[track_caller]
    fn answer(&self, output: &mut Output);
}

impl<Out: Serialize> Answer for Returned<Out> {
    #[track_caller]
    fn answer(&self, output: &mut Output) {
        write(&self.0, output);
    }
}

/// Answers `{"error":"<error>"}`.
///
/// # Panics
/// If that is longer than the output window.
#[track_caller]
pub fn refuse(error: impl Display, output: &mut Output) {
    #[derive(Serialize)]
    struct Refusal<E: Display> {
        #[serde(serialize_with = "serializer::as_text")]
        error: E,
    }
    write(&Refusal { error }, output);
}

/// Appends a value's JSON to the output.
///
/// # Panics
/// As [`Answer::answer`]: both are mistakes of the action's author, not of its caller.
#[track_caller]
pub fn write(value: &impl Serialize, output: &mut Output) {
    if let Err(error) = serializer::append(value, output) {
        panic!("{error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct In {
        #[serde(default)]
        name: String,
    }

    const WINDOW_LEN: usize = 200;

    fn text(answer: impl FnOnce(&mut Output)) -> String {
        let mut output = Output::for_test(WINDOW_LEN);
        answer(&mut output);
        String::from_utf8_lossy(output.as_bytes()).into_owned()
    }

    #[test]
    fn empty_input_is_an_empty_object() {
        for input in ["", "\n", "{}"] {
            let parsed = parse::<In>(input.as_bytes());
            assert_eq!(parsed.ok(), Some(In { name: String::new() }), "{input:?}");
        }
    }

    #[test]
    fn input_of_the_wrong_type_is_answered_with_where_and_why() {
        let error = parse::<In>(br#"{"name":1}"#).expect_err("a number is no name");
        assert_eq!(
            text(|output| refuse(error, output)),
            r#"{"error":"invalid type: integer `1`, expected a string at line 1 column 9"}"#
        );
    }

    #[test]
    fn input_that_is_not_utf_8_is_refused() {
        let error = parse::<In>(b"{\"name\":\"\xff\"}").expect_err("no byte 255 in UTF-8");
        assert_eq!(error.to_string(), "the input is not UTF-8");
    }

    #[test]
    fn plain_values_and_both_halves_of_a_result() {
        assert_eq!(text(|output| Returned([1, 2]).answer(output)), "[1,2]");
        let ok: Result<u8, String> = Ok(7);
        assert_eq!(text(|output| Returned(ok).answer(output)), "7");
        let err: Result<u8, String> = Err("say \"when\"".into());
        assert_eq!(text(|output| Returned(err).answer(output)), r#"{"error":"say \"when\""}"#);
    }

    #[test]
    #[should_panic(expected = "longer than the output window of 200 bytes")]
    fn a_result_past_the_window_names_the_bound() {
        text(|output| Returned("x".repeat(WINDOW_LEN)).answer(output));
    }

    #[test]
    #[should_panic(expected = "no JSON form: a map key must be a string")]
    fn a_value_without_json_form_panics_with_the_reason() {
        let map = std::collections::BTreeMap::from([((1, 2), 3)]);
        text(|output| Returned(map).answer(output));
    }
}
