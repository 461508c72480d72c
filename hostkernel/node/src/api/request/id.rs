//! The id by which a request is named in answers and logs.

use alloc::boxed::Box;

use crate::digits::Hex;
use crate::http::Headers;
use limits::REQUEST_ID_LEN_MAX;

/// Names one request in answers and logs; clients may bring their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestId {
    /// Ours: random, as the activation id.
    Generated(Hex),
    /// The client's: visible ASCII, at most [`REQUEST_ID_LEN_MAX`] bytes.
    Given(Box<str>),
}

impl RequestId {
    /// The client's id, if it is sane.
    #[must_use]
    pub fn given(headers: Headers<'_>) -> Option<&str> {
        headers.get("x-request-id").filter(|id| is_sane(id))
    }

    /// The client's id if it is sane, else one of our own.
    #[must_use]
    pub fn choose(headers: Headers<'_>, own: Hex) -> Self {
        Self::of(headers.get("x-request-id"), own)
    }

    /// The same, given the header's value.
    #[must_use]
    pub fn of(given: Option<&str>, own: Hex) -> Self {
        match given {
            Some(id) if is_sane(id) => Self::Given(id.into()),
            _ => Self::Generated(own),
        }
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Generated(id) => id.as_str(),
            Self::Given(id) => id,
        }
    }

    /// Its text, as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Generated(id) => id.as_bytes(),
            Self::Given(id) => id.as_bytes(),
        }
    }
}

fn is_sane(id: &str) -> bool {
    (1..=REQUEST_ID_LEN_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::RequestText;
    use alloc::string::String;

    #[test]
    fn a_request_id_is_taken_over_only_if_sane() {
        let choose = |id: &str| {
            let text = RequestText::of("/", None, &[("X-Request-ID", id)]);
            let id = RequestId::choose(text.headers(), Hex::of(0xab));
            assert_eq!(id.text().as_bytes(), id.as_bytes());
            String::from(id.text())
        };
        let own = "000000000000000000000000000000ab";
        assert_eq!(choose("abc-1\"\\"), "abc-1\"\\");
        for id in ["", "a b", "a\tb", "ä", "\u{7f}"] {
            assert_eq!(choose(id), own, "{id:?}");
        }
        assert_eq!(choose(&"x".repeat(REQUEST_ID_LEN_MAX)), "x".repeat(REQUEST_ID_LEN_MAX));
        assert_eq!(choose(&"x".repeat(REQUEST_ID_LEN_MAX + 1)), own);
        assert_eq!(RequestId::choose(Headers::default(), Hex::of(0xab)).text(), own);
    }
}
