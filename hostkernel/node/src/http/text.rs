//! The text of a request: path, query and header lines, in one piece of memory.
//!
//! The memory comes from the connection and goes back to it with the response, so that a request
//! needs none of its own. Fields are looked up by going over the lines. An index of them would cost
//! each request more than the one or two fields that are looked for; but most of these are absent,
//! and that is mostly known from the first letters and lengths of all names.

use alloc::string::String;
use alloc::vec::Vec;

/// Path, query and header fields of one request.
#[derive(Debug, Default)]
pub struct RequestText {
    /// Path, query and header lines, without anything between them.
    text: String,
    path_len: usize,
    query_len: Option<usize>,
    names: Names,
}

/// What names of fields there are: a bit for each first letter and length, which few share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Names(u64);

impl Names {
    /// Any.
    const ALL: Self = Self(u64::MAX);

    /// Notes a name.
    #[inline]
    pub fn include(&mut self, name: &[u8]) {
        self.0 |= Self::bit(name);
    }

    #[inline]
    fn bit(name: &[u8]) -> u64 {
        // Whatever its case. The factor keeps apart what is asked for and what most requests have.
        let letter = name.first().map_or(0, |byte| usize::from(byte & 0x1f));
        1 << ((name.len() + 5 * letter) % u64::BITS as usize)
    }

    #[inline]
    fn may_have(self, names: &[&str]) -> bool {
        self.0 & names.iter().fold(0, |bits, name| bits | Self::bit(name.as_bytes())) != 0
    }
}

/// Header fields of one request: lines that end in CR LF and begin with a name and a colon.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a> {
    lines: &'a str,
    names: Names,
}

impl RequestText {
    /// Copies the parts into `buffer`, whatever is in it. `lines` are those of a checked head, and
    /// `names` what their names are like.
    pub(super) fn new(
        mut buffer: Vec<u8>,
        path: &str,
        query: Option<&str>,
        lines: &str,
        names: Names,
    ) -> Self {
        buffer.clear();
        let mut text = String::from_utf8(buffer).unwrap_or_default();
        let query_text = query.unwrap_or_default();
        text.reserve(path.len() + query_text.len() + lines.len());
        text.push_str(path);
        text.push_str(query_text);
        text.push_str(lines);
        Self { text, path_len: path.len(), query_len: query.map(str::len), names }
    }

    /// Percent-encoded path, starting with `/`, without the query; `*` in `OPTIONS *`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.text[..self.path_len]
    }

    /// Percent-encoded query without the `?`; `None` if there was no `?`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.query_len.map(|len| &self.text[self.path_len..self.path_len + len])
    }

    /// The header fields.
    #[must_use]
    pub fn headers(&self) -> Headers<'_> {
        let lines = &self.text[self.path_len + self.query_len.unwrap_or(0)..];
        Headers { lines, names: self.names }
    }

    /// The memory, for another use.
    #[must_use]
    pub fn into_buffer(self) -> Vec<u8> {
        self.text.into_bytes()
    }
}

impl<'a> Headers<'a> {
    /// The fields in the lines of a checked head.
    #[must_use]
    pub(crate) const fn of(lines: &'a str) -> Self {
        Self { lines, names: Names::ALL }
    }

    /// The value of the first field with this name, in whatever case, trimmed.
    #[inline]
    #[must_use]
    pub fn get(self, name: &str) -> Option<&'a str> {
        let [value] = self.pick([name]);
        value
    }

    /// The same for several names in one pass.
    #[inline]
    #[must_use]
    pub fn pick<const N: usize>(self, names: [&str; N]) -> [Option<&'a str>; N] {
        if self.names.may_have(&names) { self.search(names) } else { [None; N] }
    }

    #[inline(never)]
    fn search<const N: usize>(self, names: [&str; N]) -> [Option<&'a str>; N] {
        let mut found = [None; N];
        let mut rest = self.lines.as_bytes();
        while let Some(newline) = find_newline(rest) {
            let start = self.lines.len() - rest.len();
            for (name, found) in names.iter().zip(&mut found) {
                if rest.get(name.len()) == Some(&b':')
                    && rest[..name.len()].eq_ignore_ascii_case(name.as_bytes())
                    && found.is_none()
                {
                    let value = &self.lines[start + name.len() + 1..start + newline];
                    *found = Some(value.trim_ascii());
                }
            }
            if found.iter().all(Option::is_some) {
                break;
            }
            rest = &rest[newline + 1..];
        }
        found
    }

    /// What goes between several values of a field when they become one (RFC 9110, 5.3; RFC 9113,
    /// 8.2.3).
    #[must_use]
    pub fn between(name: &str) -> &'static str {
        if name.eq_ignore_ascii_case("cookie") { "; " } else { ", " }
    }

    /// All fields in order of arrival: name as it was sent, and trimmed value.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.lines.lines().filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name, value.trim_ascii()))
        })
    }
}

/// Position of the first LF, eight bytes at a time: this runs over every request head.
pub(super) fn find_newline(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGH_BITS: u64 = u64::from_le_bytes([0x80; 8]);
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let difference = u64::from_le_bytes(*word) ^ (ONES * b'\n' as u64);
        // The lowest bit set marks the lowest byte that is zero; higher ones may be wrong.
        let zero = difference.wrapping_sub(ONES) & !difference & HIGH_BITS;
        if zero != 0 {
            return Some(index * 8 + zero.trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(|byte| *byte == b'\n').map(|at| words.len() * 8 + at)
}

#[cfg(test)]
impl RequestText {
    /// What a parser would make of a request with these parts.
    pub fn of(path: &str, query: Option<&str>, headers: &[(&str, &str)]) -> Self {
        Self::new(Vec::new(), path, query, &lines(headers), names(headers))
    }

    /// The same without a query, in the memory of a buffer.
    pub fn in_buffer(buffer: Vec<u8>, path: &str, headers: &[(&str, &str)]) -> Self {
        Self::new(buffer, path, None, &lines(headers), names(headers))
    }
}

#[cfg(test)]
fn names(headers: &[(&str, &str)]) -> Names {
    let mut names = Names::default();
    headers.iter().for_each(|(name, _)| names.include(name.as_bytes()));
    names
}

#[cfg(test)]
fn lines(headers: &[(&str, &str)]) -> String {
    headers.iter().map(|(name, value)| alloc::format!("{name}: {value}\r\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn parts_are_found_again() {
        let fields = [("Host", "h"), ("X-Two", "a: b"), ("x-two", "second"), ("Empty", "")];
        for query in [None, Some(""), Some("a=b")] {
            let text = RequestText::of("/a/b", query, &fields);
            assert_eq!((text.path(), text.query()), ("/a/b", query));
            assert_eq!(text.headers().iter().collect::<Vec<_>>(), fields);
        }
        let text = RequestText::of("*", None, &[]);
        assert_eq!((text.path(), text.headers().iter().count()), ("*", 0));
        assert_eq!(text.headers().get("host"), None);
    }

    #[test]
    fn fields_are_found_by_their_whole_name_in_any_case() {
        let text = RequestText::of(
            "/",
            Some("host:q"),
            &[("X-Two", " \ta: b\t "), ("x-two", "second"), ("Empty", ""), ("Host", "k\u{f6}")],
        );
        let headers = text.headers();
        assert_eq!(headers.get("x-two"), Some("a: b"));
        assert_eq!(headers.get("EMPTY"), Some(""));
        let picked = headers.pick(["host", "absent", "x-two"]);
        assert_eq!(picked, [Some("k\u{f6}"), None, Some("a: b")]);
        assert_eq!(headers.get("host"), Some("k\u{f6}"));
        for absent in ["", "x", "two", "x-two: a", "x-two:", "hos", "host2", "second"] {
            assert_eq!(headers.get(absent), None, "{absent}");
        }
    }

    #[test]
    fn what_names_are_like_rules_out_only_what_is_absent() {
        let long = "l".repeat(200);
        for len in [0, 1, 2, 62, 63, 64, 65, 128, 199, 200] {
            let name = &long[..len];
            let text = RequestText::of("/", None, &[(&name.to_uppercase(), "v"), ("Host", "h")]);
            assert_eq!(text.headers().get(name), Some("v"), "{len}");
            assert_eq!(Headers::of(&format!("{name}: v\r\n")).get(name), Some("v"), "{len}");
            for other in [1, 2, 62, 63, 64, 200].into_iter().filter(|other| *other != len) {
                assert_eq!(text.headers().get(&long[..other]), None, "{len} {other}");
            }
        }
    }

    #[test]
    fn what_requests_have_does_not_look_like_what_they_are_asked_for() {
        let usual = "Host User-Agent Accept Accept-Encoding Accept-Language Connection Cookie \
                     Content-Type Content-Length Origin Referer Transfer-Encoding X-Forwarded-For";
        let mut names = Names::default();
        usual.split_whitespace().for_each(|name| names.include(name.as_bytes()));
        for asked in ["x-request-id", "traceparent", "tracestate", "authorization"] {
            assert!(!names.may_have(&[asked]), "{asked}");
        }
    }

    #[test]
    fn a_buffer_is_used_again() {
        let buffer = RequestText::of(&"/x".repeat(100), None, &[("a", "b")]).into_buffer();
        let (address, capacity) = (buffer.as_ptr(), buffer.capacity());
        let text = RequestText::new(buffer, "/y", Some("z"), "c: d\r\n", Names::ALL);
        assert_eq!(
            (text.path(), text.query(), text.headers().get("c")),
            ("/y", Some("z"), Some("d"))
        );
        let buffer = text.into_buffer();
        assert_eq!((buffer.as_ptr(), buffer.capacity()), (address, capacity));
    }
}
