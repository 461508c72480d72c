//! What namespaces and actions are called in a registry.
//!
//! Registries allow fewer characters than the API. Whatever they do not allow, and the sign that
//! says so, is written as a point and two hexadecimal digits. Two names never become one.

use alloc::format;
use alloc::string::String;

use crate::registry::Name;
use limits::TAG_LEN_MAX;

/// In front of a component of a repository's name that may not begin as it would. Nothing else
/// becomes this, and it ends in what a sign may follow.
const BEGINNING: &str = "0--0";

/// The repository of a namespace: small letters and digits stay as they are.
#[must_use]
pub fn repository(prefix: &str, namespace: &str) -> String {
    format!("{prefix}/{}", component(namespace))
}

/// What a namespace is called in the names of repositories.
#[must_use]
pub fn component(namespace: &str) -> String {
    let stays = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let beginning = if namespace.bytes().next().is_some_and(stays) { "" } else { BEGINNING };
    let mut name = String::from(beginning);
    push_escaped(&mut name, namespace, stays);
    name
}

/// The repository of the runtimes. No namespace's is called like that: see [`BEGINNING`].
#[must_use]
pub fn repository_of_runtimes(prefix: &str) -> String {
    format!("{prefix}/0--runtimes")
}

/// The tag of an action or a runtime: letters, digits, `_` and `-` stay as they are. `None` if it
/// would be longer than tags may be.
#[must_use]
pub fn tag(name: &str) -> Option<String> {
    let mut tag = String::new();
    push_escaped(&mut tag, name, |byte| {
        byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
    });
    (tag.len() <= TAG_LEN_MAX).then_some(tag)
}

/// The action with this tag; `None` if it is the tag of something else.
#[must_use]
pub fn name_of(text: &str) -> Option<Name> {
    let mut name = String::new();
    let mut rest = text;
    while let Some((plain, escaped)) = rest.split_once('.') {
        name.push_str(plain);
        let (digits, after) = escaped.split_at_checked(2)?;
        let byte = u8::from_str_radix(digits, 16).ok().filter(u8::is_ascii)?;
        name.push(char::from(byte));
        rest = after;
    }
    name.push_str(rest);
    let name = Name::new(&name).ok()?;
    // Another spelling of the same name would be another tag for the same action.
    (tag(name.as_str()).as_deref() == Some(text)).then_some(name)
}

fn push_escaped(out: &mut String, text: &str, stays: impl Fn(u8) -> bool) {
    for byte in text.bytes() {
        if stays(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!(".{byte:02x}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn usual_names_stay_as_they_are() {
        assert_eq!(tag("hello-World_1").as_deref(), Some("hello-World_1"));
        assert_eq!(tag("a b@c.d").as_deref(), Some("a.20b.40c.2ed"));
        assert_eq!(tag("python:3").as_deref(), Some("python.3a3"));
        assert_eq!(tag(&"a".repeat(129)), None);
        assert_eq!(repository("p/q", "guest"), "p/q/guest");
        assert_eq!(repository("p", "A b"), "p/0--0.41.20b");
        assert_eq!(repository("p", "_x"), "p/0--0.5fx");
    }

    #[test]
    fn tags_of_others_are_no_names() {
        for tag in
            ["", "a.", "a.2", "a.zz", "a.41", "a.5f", ".20a", "a.20", "v1.2.3", "a.C3", "a.2E"]
        {
            assert_eq!(name_of(tag), None, "{tag}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(text in "[a-zA-Z0-9_][a-zA-Z0-9_@. -]{0,30}[a-zA-Z0-9_@.-]") {
            let name = Name::new(&text).expect("a good name");
            let tag = tag(name.as_str()).expect("short enough");
            let is_tag = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
            prop_assert!(tag.bytes().all(is_tag) && !tag.starts_with(['.', '-']));
            prop_assert_eq!(name_of(&tag), Some(name));
        }

        /// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`, which registries hold namespaces to.
        #[test]
        fn what_is_written_is_a_component(text in "[a-zA-Z0-9_@. -]{1,20}") {
            let component = component(&text);
            let mut words = component.split(['.', '-']).peekable();
            let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            prop_assert!(words.peek().is_some_and(|first| !first.is_empty()), "{}", component);
            prop_assert!(component.bytes().last().is_some_and(is_letter), "{}", component);
            prop_assert!(!component.contains("-.") && !component.contains(".."), "{}", component);
            prop_assert!(words.all(|word| word.bytes().all(is_letter)), "{}", component);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,20}") {
            let _ = name_of(&text);
        }

        #[test]
        fn two_namespaces_have_two_repositories(a in "[aA0._-]{1,4}", b in "[aA0._-]{1,4}") {
            prop_assert_eq!(a == b, repository("p", &a) == repository("p", &b));
        }
    }
}
