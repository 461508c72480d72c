//! Names and values as forms send them, in a query or a body (`application/x-www-form-urlencoded`).

use super::alloc::borrow::Cow;
use super::alloc::string::String;
use super::alloc::vec::Vec;

/// The first value of this name among `NAME=VALUE` pairs with `&` between.
pub(super) fn pair<'a>(text: &'a str, name: &str) -> Option<Cow<'a, str>> {
    text.split('&').find_map(|pair| {
        let (found, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(found) == name).then(|| decoded(value))
    })
}

/// Takes percent-encoding and plus signs away; gives the text back if that does not lead to text.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let byte = match byte {
            b'+' => Some(b' '),
            b'%' => digit().and_then(|high| Some((high << 4 | digit()?) as u8)),
            byte => Some(byte),
        };
        let Some(byte) = byte else { return Cow::Borrowed(text) };
        decoded.push(byte);
    }
    String::from_utf8(decoded).map_or(Cow::Borrowed(text), Cow::Owned)
}
