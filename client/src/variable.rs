//! Environment variables of an action, as a deploy names them.

use std::fmt;

use serde::Serialize;

/// What becomes of one environment variable.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Variable {
    /// Its name.
    #[serde(rename = "key")]
    pub name: String,
    /// Its value; without one it is taken away.
    pub value: Option<String>,
    /// Whether the node is never to show its value again.
    #[serde(rename = "secret", skip_serializing_if = "is_false")]
    pub is_secret: bool,
}

impl Variable {
    /// One with a value that everybody who may see the action may see.
    #[must_use]
    pub fn plain(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), value: Some(value.to_owned()), is_secret: false }
    }

    /// One that nobody is shown.
    #[must_use]
    pub fn secret(name: &str, value: &str) -> Self {
        Self { is_secret: true, ..Self::plain(name, value) }
    }

    /// One that is to go.
    #[must_use]
    pub fn removed(name: &str) -> Self {
        Self { name: name.to_owned(), value: None, is_secret: false }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_false(value: &bool) -> bool {
    !value
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value, is_secret } = self;
        match (value, is_secret) {
            (None, _) => write!(f, "{name} removed"),
            (Some(_), true) => write!(f, "{name}=…"),
            (Some(value), false) => write!(f, "{name}={value}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_node_is_told_what_becomes_of_each() {
        let all = [Variable::plain("A", "1"), Variable::secret("B", "2"), Variable::removed("C")];
        let expected = json!([
            {"key": "A", "value": "1"}, {"key": "B", "value": "2", "secret": true},
            {"key": "C", "value": null},
        ]);
        assert_eq!(serde_json::to_value(&all).expect("JSON"), expected);
    }

    #[test]
    fn a_secret_is_in_no_message() {
        let all = [Variable::plain("A", "1"), Variable::secret("B", "2"), Variable::removed("C")];
        assert_eq!(format!("{all:?}"), "[A=1, B=…, C removed]");
    }
}
