//! What a request brings besides its path: fields of forms, JSON, files, cookies.

use super::alloc::borrow::Cow;
use super::form::pair;
use super::http::Request;

/// One part of a form with files (`multipart/form-data`, RFC 7578).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Name of the form's field.
    pub name: &'a str,
    /// Name of the file, if it is one, as the client has it: it can be anything.
    pub file_name: Option<&'a str>,
    /// Content type, if it is said.
    pub content_type: Option<&'a str>,
    /// The bytes.
    pub content: &'a [u8],
}

impl<'a> Request<'a> {
    /// The body as JSON.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn json<T: serde::Deserialize<'a>>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(self.body)
    }

    /// The first field of this name in a form without files
    /// (`application/x-www-form-urlencoded`), decoded as [`parameter`](Self::parameter) is.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<Cow<'a, str>> {
        if !self.is_of_kind("application/x-www-form-urlencoded") {
            return None;
        }
        pair(core::str::from_utf8(self.body).ok()?, name)
    }

    /// The cookie of this name, as the browser has it.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&'a str> {
        // Several fields of this name were joined with semicolons.
        let mut cookies = self.header("cookie")?.split(';');
        cookies.find_map(|cookie| {
            let (found, value) = cookie.trim().split_once('=')?;
            (found == name).then_some(value)
        })
    }

    /// The parts of a form with files, in order. What is malformed ends them.
    pub fn parts(&self) -> impl Iterator<Item = Part<'a>> + use<'a> {
        let boundary = match self.is_of_kind("multipart/form-data") {
            true => self.header("content-type").and_then(|kind| argument(kind, "boundary")),
            false => None,
        };
        let boundary = boundary.unwrap_or_default();
        let mut rest = match boundary {
            "" => None,
            _ => find(self.body, boundary, true).map(|(_, rest)| rest),
        };
        core::iter::from_fn(move || {
            let (part, next) = find(rest?, boundary, false)?;
            rest = Some(next);
            read_part(part)
        })
    }

    fn is_of_kind(&self, kind: &str) -> bool {
        let named = self.header("content-type").unwrap_or_default().split(';').next();
        named.is_some_and(|named| named.trim().eq_ignore_ascii_case(kind))
    }
}

/// What is in front of the next boundary, and what follows its line. Nothing follows the last one.
fn find<'a>(bytes: &'a [u8], boundary: &str, is_first: bool) -> Option<(&'a [u8], &'a [u8])> {
    let mut from = 0;
    while let Some(at) = bytes.get(from..)?.windows(2).position(|pair| pair == b"--") {
        let at = from + at;
        from = at + 1;
        let is_at_line = at == 0 && is_first || bytes.get(..at)?.ends_with(b"\r\n");
        let Some(rest) = bytes.get(at + 2..)?.strip_prefix(boundary.as_bytes()) else { continue };
        if !is_at_line {
            continue;
        }
        let part = bytes.get(..at.saturating_sub(2))?;
        return Some((part, rest.strip_prefix(b"\r\n").unwrap_or_default()));
    }
    None
}

/// A part: its header fields, an empty line, its content.
fn read_part(part: &[u8]) -> Option<Part<'_>> {
    let end = part.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = core::str::from_utf8(part.get(..end)?).ok()?;
    let field = |name: &str| {
        head.split("\r\n").find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    };
    let disposition = field("content-disposition")?;
    Some(Part {
        name: argument(disposition, "name")?,
        file_name: argument(disposition, "filename"),
        content_type: field("content-type"),
        content: part.get(end + 4..)?,
    })
}

/// The argument of this name behind a field's value: `; NAME=value` or `; NAME="value"`.
fn argument<'a>(field: &'a str, name: &str) -> Option<&'a str> {
    let (_, mut rest) = field.split_once(';')?;
    loop {
        let (found, value) = rest.split_once('=')?;
        let quoted = value.strip_prefix('"').and_then(|value| value.split_once('"'));
        let (value, next) = match quoted {
            Some((value, next)) => (value, next.strip_prefix(';').unwrap_or(next)),
            None => value.split_once(';').unwrap_or((value, "")),
        };
        if found.trim().eq_ignore_ascii_case(name) {
            return Some(value.trim());
        }
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::super::alloc::vec::Vec;
    use super::*;

    #[test]
    fn forms_json_and_cookies() {
        let form = Request::new(
            b"CONTENT_TYPE=application/x-www-form-urlencoded; charset=UTF-8\0\
              HTTP_COOKIE=a=1; session=x=y;b\0",
            b"name=J%C3%BCrgen+M&empty&name=second",
        );
        assert_eq!(form.field("name").as_deref(), Some("J\u{fc}rgen M"));
        assert_eq!(form.field("empty").as_deref(), Some(""));
        assert_eq!((form.field("x"), form.cookie("x")), (None, None));
        assert_eq!((form.cookie("session"), form.cookie("a")), (Some("x=y"), Some("1")));
        let json = Request::new(b"", br#"{"a":[1,2]}"#);
        assert_eq!(json.json::<serde_json::Value>().expect("JSON")["a"][1], 2);
        assert_eq!(json.field("a"), None);
        assert!(form.json::<serde_json::Value>().is_err());
    }

    const UPLOAD: &[u8] = b"CONTENT_TYPE=multipart/form-data; charset=x; boundary=\"-X\"\0";

    fn parts(body: &[u8]) -> Vec<Part<'_>> {
        Request::new(UPLOAD, body).parts().collect()
    }

    #[test]
    fn files_come_with_their_names() {
        let body = b"preamble\r\n---X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\
            text\r\n---X\r\ncontent-type: image/png\r\n\
            Content-Disposition: form-data; filename=\"b;c.png\"; name=file\r\n\r\n\
            \0--\r\n--Y\r\n\r\n---X--\r\nepilogue";
        let text = Part { name: "a", file_name: None, content_type: None, content: b"text" };
        let file = Part {
            name: "file",
            file_name: Some("b;c.png"),
            content_type: Some("image/png"),
            content: b"\0--\r\n--Y\r\n",
        };
        assert_eq!(parts(body), [text, file]);
        let empty = b"---X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n---X--";
        assert_eq!(parts(empty), [Part { content: b"", ..text }]);
    }

    #[test]
    fn no_body_makes_it_fail() {
        for body in [
            &b""[..],
            b"--",
            b"---X",
            b"---X--",
            b"---X\r\n",
            b"---X\r\n---X\r\n---X\r\n",
            b"---X\r\n\r\n\r\n---X",
            b"---X\r\nContent-Disposition: form-data\r\n\r\nx\r\n---X",
            b"---X\r\nContent-Disposition: form-data; name\r\n\r\nx\r\n---X",
            b"x---X\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n---X",
            b"---X\r\nContent-Disposition: form-data; name=a\r\n\r\nno end",
        ] {
            assert_eq!(parts(body), [], "{body:?}");
        }
        let kind = b"CONTENT_TYPE=multipart/form-data; boundary=\0";
        assert_eq!(Request::new(kind, b"--\r\n--").parts().count(), 0);
        assert_eq!(Request::new(b"", b"---X\r\n").parts().count(), 0);
    }
}
