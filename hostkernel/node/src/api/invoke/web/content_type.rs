//! Content types, as far as it matters whether they are JSON, other text, or bytes.

/// A content type.
#[derive(Clone, Copy, Debug)]
pub struct ContentType<'a> {
    essence: &'a str,
    parameters: &'a str,
}

impl<'a> ContentType<'a> {
    /// The content type that a header field states.
    #[must_use]
    pub fn of(value: &'a str) -> Self {
        let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
        Self { essence: essence.trim_ascii(), parameters }
    }

    /// Whether it is this one, whatever its parameters.
    #[must_use]
    pub fn is(self, essence: &str) -> bool {
        self.essence.eq_ignore_ascii_case(essence)
    }

    fn ends_with(self, suffix: &str) -> bool {
        let start = self.essence.len().checked_sub(suffix.len());
        start
            .and_then(|start| self.essence.get(start..))
            .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
    }

    /// Whether it is JSON, of whatever kind.
    #[must_use]
    pub fn is_json(self) -> bool {
        self.is("application/json") || self.ends_with("+json")
    }

    /// Whether it is text by its own account, without a word about its characters.
    #[must_use]
    pub fn lacks_charset(self) -> bool {
        self.is_main("text") && !self.has_charset()
    }

    fn is_main(self, main: &str) -> bool {
        self.essence.split('/').next().is_some_and(|found| found.eq_ignore_ascii_case(main))
    }

    fn has_charset(self) -> bool {
        self.charset().is_some()
    }

    /// The character set that is stated, without its quotes.
    #[must_use]
    pub fn charset(self) -> Option<&'a str> {
        let mut parameters =
            self.parameters.split(';').filter_map(|parameter| parameter.split_once('='));
        let is_charset = |name: &str| name.trim_ascii().eq_ignore_ascii_case("charset");
        let (_, value) = parameters.find(|(name, _)| is_charset(name))?;
        Some(value.trim_ascii().trim_matches('"'))
    }

    /// Whether its characters are in UTF-8, or in a part of it, by its own account.
    #[must_use]
    pub fn is_utf8(self) -> bool {
        self.charset().is_none_or(|name| {
            ["utf-8", "utf8"].iter().any(|known| name.eq_ignore_ascii_case(known))
        })
    }

    /// It without its parameters.
    #[must_use]
    pub fn essence(self) -> &'a str {
        self.essence
    }

    /// Whether it is characters rather than bytes.
    #[must_use]
    pub fn is_text(self) -> bool {
        const TEXTS: [&str; 3] =
            ["application/xml", "application/javascript", "application/x-www-form-urlencoded"];
        self.is_main("text")
            || self.is_json()
            || self.ends_with("+xml")
            || TEXTS.iter().any(|text| self.is(text))
            || self.has_charset()
    }

    /// Whether it has the form of a content type.
    #[must_use]
    pub fn is_well_formed(self) -> bool {
        let token = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
        };
        self.essence.split_once('/').is_some_and(|(main, sub)| token(main) && token(sub))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_text_or_bytes() {
        for text in [
            "text/html",
            "TEXT/plain; charset=latin1",
            "application/json",
            "application/problem+json",
            "application/xml ; x=y",
            "image/svg+xml",
            "application/x-www-form-urlencoded",
            "application/x; Charset=utf-8",
        ] {
            assert!(ContentType::of(text).is_text(), "{text}");
        }
        for bytes in ["", "image/png", "application/octet-stream", "texts/x", "a/b;charset", "+xm"]
        {
            assert!(!ContentType::of(bytes).is_text(), "{bytes}");
        }
        assert!(ContentType::of("text/css; a=b").lacks_charset());
        for other in ["text/css; a=b; charset=x", "application/json", ""] {
            assert!(!ContentType::of(other).lacks_charset(), "{other}");
        }
    }

    #[test]
    fn types_have_two_parts() {
        for good in ["text/html", "application/vnd.a.b+json;x=y", "*/b"] {
            assert_eq!(ContentType::of(good).is_well_formed(), good != "*/b", "{good}");
        }
        for bad in ["", "/", "text", "text/", "/html", "a b/c", "a/b/c", "a/b, c/d", "\u{e4}/b"] {
            assert!(!ContentType::of(bad).is_well_formed(), "{bad}");
        }
    }
}
