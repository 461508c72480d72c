//! What clients noted about an action, and what the node makes of it: read once, at deploy.

use alloc::boxed::Box;

use super::KeyValues;
use crate::json::Json;
use limits::{HEAD_LEN_MAX, WARM_PATH_LEN_MAX};

/// The annotations of an action.
#[derive(Debug, Default)]
pub struct Annotations {
    list: KeyValues,
    /// `web-export`: browsers may call it, at the web actions' address.
    pub is_exported: bool,
    /// `raw-http`: it reads query and body itself.
    pub is_raw: bool,
    /// `final`: a request may not name what is bound.
    pub is_final: bool,
    /// `cgi`: it is told of the whole request, and makes the header fields of the answer.
    pub is_cgi: bool,
    /// `stream`: whether its answer may leave before its end; if nothing is said, that of a web
    /// server may.
    pub streams: Option<bool>,
    /// `web-custom-options`: it answers `OPTIONS` itself.
    pub answers_options: bool,
    /// `require-whisk-auth`.
    pub door: Door,
    /// `warm`.
    pub warm: Warm,
}

/// What a server answers before it is frozen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Warm {
    /// Nothing.
    #[default]
    Not,
    /// `GET` of this path, which may have a query.
    Path(Box<str>),
    /// A text that is no such path.
    Unclear,
}

/// Who may call an action where no key of a namespace is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Door {
    /// Everybody.
    #[default]
    Open,
    /// Who has anybody's key.
    AnyKey,
    /// Who knows this.
    Secret(Box<str>),
    /// Nobody: something is not right with the annotation, and that must not open it.
    Closed,
}

impl Annotations {
    /// Reads what is noted.
    #[must_use]
    pub fn new(list: KeyValues) -> Self {
        let is_true = |name: &str| list.get(name) == Some("true");
        Self {
            is_exported: is_true("\"web-export\""),
            is_raw: is_true("\"raw-http\""),
            is_final: is_true("\"final\""),
            is_cgi: is_true("\"cgi\""),
            streams: list.get("\"stream\"").and_then(|value| value.parse().ok()),
            answers_options: is_true("\"web-custom-options\""),
            door: list.get("\"require-whisk-auth\"").map_or(Door::Open, Door::read),
            warm: list.get("\"warm\"").map_or(Warm::Not, Warm::read),
            list,
        }
    }

    /// What they take of the kernel heap.
    #[must_use]
    pub fn heap_len(&self) -> usize {
        let secret = if let Door::Secret(secret) = &self.door { secret.len() } else { 0 };
        let warm = self.warm.path().map_or(0, str::len);
        size_of::<Self>() + self.list.heap_len() + secret + warm
    }

    /// All of them, as they were noted.
    #[must_use]
    pub fn list(&self) -> &KeyValues {
        &self.list
    }
}

impl Door {
    fn read(value: &str) -> Self {
        let Ok(json) = Json::read(value.as_bytes()) else { return Self::Closed };
        match json.boolean() {
            Some(true) => return Self::AnyKey,
            // As OpenWhisk's controller reads it: no authentication is needed.
            Some(false) => return Self::Open,
            None => {}
        }
        match json.string(HEAD_LEN_MAX) {
            Ok(secret) => Self::Secret(secret.into()),
            Err(_) if json.is_number() => Self::Secret(json.text().trim_ascii().into()),
            Err(_) => Self::Closed,
        }
    }
}

impl Warm {
    fn read(value: &str) -> Self {
        let Ok(json) = Json::read(value.as_bytes()) else { return Self::Unclear };
        if !value.trim_ascii_start().starts_with('"') {
            return Self::Not;
        }
        let is_path =
            |text: &str| text.starts_with('/') && text.bytes().all(|it| it.is_ascii_graphic());
        match json.string(WARM_PATH_LEN_MAX) {
            Ok(path) if is_path(&path) => Self::Path(path.into()),
            _ => Self::Unclear,
        }
    }

    /// The path, if there is one.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Path(path) => Some(path),
            Self::Not | Self::Unclear => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(value: &str) -> Door {
        let list = KeyValues::from_items(&[("\"require-whisk-auth\"", value)]);
        Annotations::new(list.expect("there is memory")).door
    }

    #[test]
    fn a_server_is_warmed_up_by_a_path() {
        let warm = |value: &str| {
            let list = KeyValues::from_items(&[("\"warm\"", value)]);
            Annotations::new(list.expect("there is memory")).warm
        };
        assert_eq!(warm("\"/a%20b?c=d\""), Warm::Path("/a%20b?c=d".into()));
        assert_eq!(warm("\"\\/\""), Warm::Path("/".into()));
        for nothing in ["true", "{}", "null", " 1"] {
            assert_eq!(warm(nothing), Warm::Not, "{nothing}");
        }
        let long = alloc::format!("\"/{}\"", "a".repeat(WARM_PATH_LEN_MAX));
        for unclear in ["\"\"", "\"a\"", "\"/a b\"", "\"/\\r\\n\"", "\"/ä\"", "\"/\\u0000\"", &long]
        {
            assert_eq!(warm(unclear), Warm::Unclear, "{unclear}");
        }
    }

    #[test]
    fn what_is_not_true_is_not_set() {
        let items = [("\"web-export\"", "true"), ("\"final\"", "1"), ("\"cgi\"", "\"true\"")];
        let annotations = Annotations::new(KeyValues::from_items(&items).expect("there is memory"));
        assert!(annotations.is_exported && !annotations.is_final && !annotations.is_cgi);
        assert_eq!(annotations.door, Door::Open);
    }

    #[test]
    fn a_door_opens_only_to_what_is_understood() {
        assert_eq!(door("true"), Door::AnyKey);
        assert_eq!(door("false"), Door::Open);
        assert_eq!(door("\"s\\u0065cret\""), Door::Secret("secret".into()));
        assert_eq!(door(" 123 "), Door::Secret("123".into()));
        for unclear in ["null", "[]", "{}", "\"\\ud800\""] {
            assert_eq!(door(unclear), Door::Closed, "{unclear}");
        }
    }
}
