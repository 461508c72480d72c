//! HTTP in and out, for actions with the annotation `cgi`.
//!
//! The kernel describes the request in the environment and reads header fields at the beginning of
//! the result, both as the Common Gateway Interface (RFC 3875) has it. [`Request`] and [`Response`]
//! are that as values.

use core::fmt::{self, Display, Write as _};

use super::alloc::borrow::Cow;
use super::alloc::boxed::Box;
use super::alloc::string::{String, ToString as _};
use super::alloc::vec::Vec;
use super::context;
use super::output::{Output, OutputFull};

/// A request, as the environment describes it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    environment: &'a [u8],
    /// The body, byte for byte.
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// A request of one's own, for tests: variables as `NAME=value` strings with a NUL after each.
    #[must_use]
    pub const fn new(environment: &'a [u8], body: &'a [u8]) -> Self {
        Self { environment, body }
    }

    /// The method, such as `GET`.
    #[must_use]
    pub fn method(&self) -> &'a str {
        self.variable("REQUEST_METHOD").unwrap_or_default()
    }

    /// What follows the action's name in the path, decoded; empty or with its slash.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.variable("PATH_INFO").unwrap_or_default()
    }

    /// The query, as it was sent; empty if there was none.
    #[must_use]
    pub fn query(&self) -> &'a str {
        self.variable("QUERY_STRING").unwrap_or_default()
    }

    /// The first parameter of this name in the query, decoded; without `=` its value is empty. What
    /// is no proper encoding stays as it is.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<Cow<'a, str>> {
        super::form::pair(self.query(), name)
    }

    /// The header field of this name, in whatever case; several of one name with commas between.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let is_named = |variable: &str, name: &str| {
            variable.len() == name.len()
                && variable.bytes().zip(name.bytes()).all(|pair| match pair {
                    (b'_', b'-') => true,
                    (variable, name) => variable.eq_ignore_ascii_case(&name) && name != b'_',
                })
        };
        context::variables(self.environment).find_map(|(variable, value)| {
            let field = variable.strip_prefix("HTTP_").or(match variable {
                "CONTENT_TYPE" | "CONTENT_LENGTH" => Some(variable),
                _ => None,
            })?;
            is_named(field, name).then_some(value)
        })
    }

    /// Any variable that describes the request or the invocation.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&'a str> {
        context::variables(self.environment)
            .find_map(|(found, value)| (found == name).then_some(value))
    }
}

/// A response: status 200 and nothing else, unless told otherwise.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    status: u16,
    fields: String,
    body: Cow<'static, [u8]>,
    writer: Option<Writer>,
}

/// What writes a body.
struct Writer(Box<WriteBody>);

type WriteBody = dyn FnOnce(&mut Output) -> Result<(), OutputFull>;

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

/// No two are the same.
impl PartialEq for Writer {
    fn eq(&self, _: &Self) -> bool {
        false
    }
}

impl Eq for Writer {}

impl Response {
    /// A response without fields and body.
    #[must_use]
    pub const fn new(status: u16) -> Self {
        Self { status, fields: String::new(), body: Cow::Borrowed(&[]), writer: None }
    }

    /// Text, as UTF-8.
    #[must_use]
    pub fn text(text: impl Into<Cow<'static, str>>) -> Self {
        Self::of("text/plain; charset=utf-8", text.into())
    }

    /// A page, as UTF-8.
    #[must_use]
    pub fn html(text: impl Into<Cow<'static, str>>) -> Self {
        Self::of("text/html; charset=utf-8", text.into())
    }

    /// A JSON document.
    #[must_use]
    pub fn json(value: &impl serde::Serialize) -> Self {
        match serde_json::to_string(value) {
            Ok(text) => Self::of("application/json", text.into()),
            Err(error) => Self::text(error.to_string()).with_status(500),
        }
    }

    fn of(kind: &str, text: Cow<'static, str>) -> Self {
        let body = match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        Self { body, ..Self::new(200) }.with_header("Content-Type", kind)
    }

    /// The same with another status, from 200 to 599.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// The same with one more header field. Control characters become spaces: whatever a client
    /// sent can be in the value, and is one value.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        let clean = |letter: char| if letter.is_control() { ' ' } else { letter };
        self.fields.extend(name.chars().map(clean));
        self.fields.push_str(": ");
        self.fields.extend(value.chars().map(clean));
        self.fields.push('\n');
        self
    }

    /// The same with another body.
    #[must_use]
    pub fn with_body(self, body: impl Into<Cow<'static, [u8]>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// The same with a body, or the rest of one, that is written when the head is. With the
    /// annotation `stream`, what was written leaves at each [`flush`](Output::flush):
    ///
    /// ```
    /// # use action_abi::runtime::http::Response;
    /// Response::new(200).with_header("Content-Type", "text/event-stream").with_writer(|output| {
    ///     for number in 0..3 {
    ///         output.write(format!("data: {number}\n\n").as_bytes())?;
    ///         output.flush();
    ///     }
    ///     Ok(())
    /// });
    /// ```
    #[must_use]
    pub fn with_writer(
        self,
        writer: impl FnOnce(&mut Output) -> Result<(), OutputFull> + 'static,
    ) -> Self {
        Self { writer: Some(Writer(Box::new(writer))), ..self }
    }
}

impl From<&'static str> for Response {
    fn from(text: &'static str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Response {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

/// Bytes, of which the node guesses what they are.
impl From<Vec<u8>> for Response {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(200).with_body(bytes)
    }
}

/// An error is a 500 with its text, so that `?` works.
impl<T: Into<Self>, E: Display> From<Result<T, E>> for Response {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(response) => response.into(),
            Err(error) => Self::text(error.to_string()).with_status(500),
        }
    }
}

/// Runs a handler with the request of this invocation.
///
/// # Panics
/// If the action was not deployed with the annotation `cgi`, or the response is longer than the
/// output window.
#[track_caller]
pub fn run<R: Into<Response>>(
    handler: impl FnOnce(Request<'static>) -> R,
    input: &'static [u8],
    output: &mut Output,
) {
    let request = Request::new(context::environment_bytes(), input);
    if request.variable("GATEWAY_INTERFACE").is_none() {
        panic!("this action speaks HTTP: deploy it with the annotation cgi, call /function/NAME");
    }
    if write(handler(request).into(), output).is_err() {
        panic!("{}", output.full());
    }
}

fn write(response: Response, output: &mut Output) -> fmt::Result {
    let Response { status, fields, body, writer } = response;
    write!(output, "Status: {status}\n{fields}\n")?;
    let written = output.write(&body);
    let written = match writer {
        Some(Writer(writer)) => written.and_then(|()| writer(output)),
        None => written,
    };
    written.map_err(|_| fmt::Error)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENVIRONMENT: &[u8] = b"REQUEST_METHOD=PUT\0PATH_INFO=/a b\0\
        QUERY_STRING=x=1&y+z=%C3%A4+%2B&q&x=2&e=%\0HTTP_USER_AGENT=curl\0CONTENT_TYPE=text/plain\0";

    #[test]
    fn a_request_is_what_the_environment_says() {
        let request = Request::new(ENVIRONMENT, b"body");
        assert_eq!((request.method(), request.path(), request.body), ("PUT", "/a b", &b"body"[..]));
        for (name, value) in
            [("x", Some("1")), ("y z", Some("ä +")), ("q", Some("")), ("e", Some("%")), ("a", None)]
        {
            assert_eq!(request.parameter(name).as_deref(), value, "{name}");
        }
        assert_eq!(request.header("user-agent"), Some("curl"));
        assert_eq!(request.header("Content-Type"), Some("text/plain"));
        for absent in ["User_Agent", "User-Agent2", "Request-Method", "HTTP-User-Agent", ""] {
            assert_eq!(request.header(absent), None, "{absent}");
        }
        let nothing = Request::new(b"", b"");
        assert_eq!((nothing.method(), nothing.path(), nothing.query()), ("", "", ""));
    }

    fn written(response: impl Into<Response>) -> String {
        let mut output = Output::for_test(200);
        write(response.into(), &mut output).expect("it fits");
        String::from_utf8(output.as_bytes().to_vec()).expect("text")
    }

    #[test]
    fn a_response_is_fields_and_a_body() {
        let text = "Status: 200\nContent-Type: text/plain; charset=utf-8\n\nhi";
        assert_eq!(written("hi"), text);
        assert_eq!(written(Ok::<_, core::fmt::Error>("hi".to_string())), text);
        assert_eq!(written(vec![b'x']), "Status: 200\n\nx");
        let error: Result<Response, _> = "x".parse::<u8>().map(|_| Response::new(204));
        assert!(written(error).starts_with("Status: 500\nContent-Type: text/plain"));
        let json = Response::json(&[1, 2]).with_status(201).with_header("A", "b\r\nc: d");
        let expected = "Status: 201\nContent-Type: application/json\nA: b  c: d\n\n[1,2]";
        assert_eq!(written(json), expected);
        assert_eq!(
            written(Response::html("").with_body(b"<p>".as_slice())),
            written(Response::html("<p>"))
        );
    }

    #[test]
    fn a_body_can_be_written_behind_its_head() {
        let response = Response::text("one").with_writer(|output| {
            output.write(b" two")?;
            assert_eq!(output.flush(), 0, "nobody waits for it");
            output.write(b" three")
        });
        let text = "Status: 200\nContent-Type: text/plain; charset=utf-8\n\none two three";
        assert_eq!(written(response), text);
        let mut output = Output::for_test(20);
        let response = Response::new(200).with_writer(|output| output.write(&[0; 30]));
        assert!(write(response, &mut output).is_err());
    }

    #[test]
    fn a_response_past_the_window_is_an_error() {
        let mut output = Output::for_test(20);
        assert!(write(Response::text("hi"), &mut output).is_err());
        let mut output = Output::for_test(20);
        assert!(write(Response::new(200).with_body(vec![0; 30]), &mut output).is_err());
    }
}
