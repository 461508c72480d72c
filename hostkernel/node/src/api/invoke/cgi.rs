//! The Common Gateway Interface (RFC 3875), for functions with the annotation `cgi`.
//!
//! The request is described in the environment; the output begins with header fields and an empty
//! line. Who did not ask for this has its output sent as it is, whatever it begins with.
//!
//! Of what RFC 3875 asks for the node does not set `REMOTE_ADDR`: it does not hand out addresses.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;

use super::shape::Form;
use crate::api::answer::error::Reject;
use crate::api::request::Parts;
use crate::api::request::query::decode_segment;
use crate::digits::push_decimal;
use crate::http::grouped::Grouped;
use crate::http::{FieldReject, Fields, Headers};
use crate::registry::Action;
use limits::{ACTION_FIELDS_LEN_MAX, ENVIRONMENT_LEN_MAX};
use memory::PageBuffer;

/// What is the same for every request.
const CONSTANTS: &str = concat!(
    "GATEWAY_INTERFACE=CGI/1.1\0SERVER_PROTOCOL=HTTP/1.1\0SERVER_SOFTWARE=hostkernel/",
    env!("CARGO_PKG_VERSION"),
    "\0",
);

/// Appends the variables that describe a request. `path` is what follows the function's name.
pub fn describe(
    out: &mut Vec<u8>,
    parts: &Parts<'_>,
    action: &Action,
    path: &str,
    body_len: usize,
) -> Result<(), Reject> {
    let path = decode_segment(path).filter(|path| !path.contains('\0')).ok_or(Reject::Encoding)?;
    let (name, port) = server(parts.headers.get("host").unwrap_or_default());
    out.extend_from_slice(CONSTANTS.as_bytes());
    for (variable, value) in [
        ("REQUEST_METHOD", parts.method.name()),
        ("PATH_INFO", &path),
        ("SERVER_NAME", name),
        ("SERVER_PORT", port),
    ] {
        push(out, variable, [value]);
    }
    push(out, "SCRIPT_NAME", ["/function/", action.name.as_str()]);
    push(out, "QUERY_STRING", parts.query.text().split('\0'));
    if body_len > 0 {
        out.extend_from_slice(b"CONTENT_LENGTH=");
        push_decimal(out, body_len as u64);
        out.push(0);
    }
    push_headers(out, parts.headers);
    if out.len() > ENVIRONMENT_LEN_MAX {
        return Err(Reject::EnvironmentTooLong);
    }
    Ok(())
}

/// Host and port that a client says it speaks to.
fn server(host: &str) -> (&str, &str) {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    host.rsplit_once(':').filter(|(_, port)| is_port(port)).unwrap_or((host, "80"))
}

fn push<'a>(out: &mut Vec<u8>, name: &str, value: impl IntoIterator<Item = &'a str>) {
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
    value.into_iter().for_each(|piece| out.extend_from_slice(piece.as_bytes()));
    out.push(0);
}

/// Appends `HTTP_NAME` for each header field, and `CONTENT_TYPE`.
fn push_headers(out: &mut Vec<u8>, headers: Headers<'_>) {
    for (name, values) in Grouped::new(headers).iter() {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        // `HTTP_PROXY` is a setting of many libraries, which clients must not make. Names with
        // other characters could pass for another name once these are underscores.
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if is("content-length") || is("proxy") || !is_plain {
            continue;
        }
        if !is("content-type") {
            out.extend_from_slice(b"HTTP_");
        }
        out.extend(name.bytes().map(|letter| match letter {
            b'-' => b'_',
            letter => letter.to_ascii_uppercase(),
        }));
        out.push(b'=');
        let mut between = "";
        for value in values {
            out.extend_from_slice(between.as_bytes());
            out.extend_from_slice(value.as_bytes());
            between = Headers::between(name);
        }
        out.push(0);
    }
}

/// Why an output does not begin as CGI has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgiReject {
    /// There is no empty line where fields may end at the latest.
    NoEnd,
    /// There is no field at all.
    Empty,
    /// A line is no field.
    NotAField,
    /// A `Status` is none that can be sent.
    Status,
    /// A field cannot be sent.
    Field(FieldReject),
}

/// What the beginning of an output says, besides fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The status of the answer.
    pub status: u16,
    /// Where the body begins.
    pub start: usize,
    /// How long it is said to be. What counts is how long it is, where there is one.
    pub len: Option<usize>,
}

/// Takes over the fields at the beginning of an output. The first line of a server's is its status,
/// and no other: it may have a field of that name.
pub fn take_fields(
    fields: &mut Fields,
    output: &PageBuffer,
    form: Form,
) -> Result<Taken, CgiReject> {
    let is_server = form != Form::Cgi;
    let start = start(output);
    let end = head_len(&start).ok_or(CgiReject::NoEnd)?;
    let head = start.get(..end).and_then(|head| str::from_utf8(head).ok());
    let (mut status, mut len, mut is_empty) = (None, None, true);
    for line in head.ok_or(CgiReject::NotAField)?.lines().filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or(CgiReject::NotAField)?;
        if name.eq_ignore_ascii_case("content-length") {
            len = value.trim_ascii().parse().ok();
        }
        let is_status = name.eq_ignore_ascii_case("status");
        if is_status && !(is_server && status.is_some()) {
            status = Some(read_status(value.trim_ascii()).ok_or(CgiReject::Status)?);
        } else {
            fields.push_foreign(name, value).map_err(CgiReject::Field)?;
        }
        is_empty = false;
    }
    if is_empty {
        return Err(CgiReject::Empty);
    }
    // RFC 3875, 6.3.3: a redirection, unless the script says otherwise.
    let otherwise = if fields.has("location") { 302 } else { 200 };
    Ok(Taken { status: status.unwrap_or(otherwise), start: end, len })
}

/// As much of an output as may be fields; where it is if it ends in the first page.
fn start(output: &PageBuffer) -> Cow<'_, [u8]> {
    let first = output.chunk_at(0);
    if head_len(first).is_some() || first.len() == output.len() {
        return Cow::Borrowed(first);
    }
    let mut start = Vec::with_capacity(ACTION_FIELDS_LEN_MAX);
    for chunk in output.chunks() {
        let room = ACTION_FIELDS_LEN_MAX - start.len();
        start.extend_from_slice(chunk.get(..room).unwrap_or(chunk));
        if start.len() == ACTION_FIELDS_LEN_MAX {
            break;
        }
    }
    Cow::Owned(start)
}

/// Length of the fields with the empty line that ends them. Lines end as the script likes.
fn head_len(bytes: &[u8]) -> Option<usize> {
    let mut len = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        len += line.len();
        if matches!(line, b"\n" | b"\r\n") {
            return Some(len);
        }
    }
    None
}

/// Three digits, and a phrase that nobody reads.
fn read_status(value: &str) -> Option<u16> {
    let digits = value.split(' ').next().filter(|digits| digits.len() == 3)?;
    digits.parse().ok().filter(|status| (200..600).contains(status))
}

impl fmt::Display for CgiReject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("The action did not produce a CGI response: ")?;
        f.write_str(match self {
            Self::NoEnd => {
                return write!(f, "no empty line within {ACTION_FIELDS_LEN_MAX} bytes.");
            }
            Self::Empty => "it begins with an empty line, not with header fields.",
            Self::NotAField => "a line is not a header field.",
            Self::Status => "Status is not a number from 200 to 599.",
            Self::Field(FieldReject::Name) => "the name of a header field is malformed.",
            Self::Field(FieldReject::Value) => "a header field has a control character.",
            Self::Field(FieldReject::Connection) => "a header field is about the connection.",
            Self::Field(FieldReject::TooLong) => {
                return write!(f, "header fields are longer than {ACTION_FIELDS_LEN_MAX} bytes.");
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;
    use alloc::string::ToString as _;
    use proptest::prelude::*;

    fn taken(output: &[u8]) -> Result<(u16, String, Vec<u8>), CgiReject> {
        memory::install_for_test();
        let output = PageBuffer::from_bytes(output).expect("frames are left");
        let mut fields = Fields::new();
        let Taken { status, start, .. } = take_fields(&mut fields, &output, Form::Cgi)?;
        let body = output.to_vec().expect("memory is left").split_off(start);
        Ok((status, String::from_utf8_lossy(fields.as_bytes()).into_owned(), body))
    }

    #[test]
    fn fields_end_at_the_first_empty_line() {
        for (output, status, fields, body) in [
            ("Status: 404 Not Found\n\nabc", 404, "", "abc"),
            ("status:201\r\n\r\n\r\n", 201, "", "\r\n"),
            ("A: b\r\nc:d\n\nA: b\n\n", 200, "A: b\r\nc: d\r\n", "A: b\n\n"),
            ("Location: /x\n\n", 302, "Location: /x\r\n", ""),
            ("Location: /x\nStatus: 201\n\n", 201, "Location: /x\r\n", ""),
            ("Content-Length: 9\n\n", 200, "", ""),
        ] {
            let expected = (status, fields.to_string(), body.as_bytes().to_vec());
            assert_eq!(taken(output.as_bytes()), Ok(expected), "{output:?}");
        }
        let long = format!("A: {}\nB: c\n\nbody", "x".repeat(9000));
        assert_eq!(taken(long.as_bytes()).expect("below the bound").2, b"body");
    }

    #[test]
    fn what_is_not_cgi_is_refused() {
        for (output, reject) in [
            ("", CgiReject::NoEnd),
            ("text", CgiReject::NoEnd),
            ("A: b\n", CgiReject::NoEnd),
            ("A: b\n\r", CgiReject::NoEnd),
            ("\nA: b\n\n", CgiReject::Empty),
            ("\r\n", CgiReject::Empty),
            ("text\n\n", CgiReject::NotAField),
            ("HTTP/1.1 200 OK\n\n", CgiReject::NotAField),
            ("A: b\n c: d\n\n", CgiReject::Field(FieldReject::Name)),
            ("A b: c\n\n", CgiReject::Field(FieldReject::Name)),
            (": c\n\n", CgiReject::Field(FieldReject::Name)),
            ("A: b\rContent-Length: 0\n\n", CgiReject::Field(FieldReject::Value)),
            ("Connection: close\n\n", CgiReject::Field(FieldReject::Connection)),
            ("Status: 99\n\n", CgiReject::Status),
            ("Status: 101\n\n", CgiReject::Status),
            ("Status: 600\n\n", CgiReject::Status),
            ("Status: +20\n\n", CgiReject::Status),
            ("Status: 2000\n\n", CgiReject::Status),
            ("Status: OK\n\n", CgiReject::Status),
        ] {
            assert_eq!(taken(output.as_bytes()), Err(reject), "{output:?}");
        }
        assert_eq!(taken(b"A: \xff\n\n"), Err(CgiReject::NotAField));
        let endless = format!("A: {}", "x".repeat(ACTION_FIELDS_LEN_MAX));
        assert_eq!(taken(endless.as_bytes()), Err(CgiReject::NoEnd));
    }

    #[test]
    fn host_and_port_are_told_apart() {
        for (host, parts) in [
            ("a.b:3233", ("a.b", "3233")),
            ("a.b", ("a.b", "80")),
            ("[::1]:81", ("[::1]", "81")),
            ("[::1]", ("[::1]", "80")),
            ("", ("", "80")),
            ("a:", ("a:", "80")),
        ] {
            assert_eq!(server(host), parts);
        }
    }

    proptest! {
        #[test]
        fn no_output_is_a_surprise(output in "([A-Za-z:; \\-]{0,9}[\\r\\n\\PC]{0,3}){0,6}") {
            if let Ok((status, fields, body)) = taken(output.as_bytes()) {
                prop_assert!((200..600).contains(&status) && output.as_bytes().ends_with(&body));
                prop_assert!(fields.is_empty() || fields.ends_with("\r\n"));
                prop_assert!(!fields.contains("\r\n\r\n"));
            }
        }
    }
}
