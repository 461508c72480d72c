//! The header fields of a request by their names, for whoever tells all of them.
//!
//! A client chooses how many there are and how alike their names, so they are sorted, and not each
//! compared with each.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::iter::successors;

use super::Headers;

/// See the head of this file.
pub struct Grouped<'a>(Vec<Field<'a>>);

struct Field<'a> {
    name: &'a str,
    value: &'a str,
    is_first: bool,
    /// The next one of this name.
    next: Option<usize>,
}

impl<'a> Grouped<'a> {
    /// All fields of a request, of which there are at most [`HEADERS_MAX`](limits::HEADERS_MAX).
    #[must_use]
    pub fn new(headers: Headers<'a>) -> Self {
        let field = |(name, value)| Field { name, value, is_first: true, next: None };
        let mut fields: Vec<Field<'a>> = headers.iter().map(field).collect();
        let mut order: Vec<usize> = (0..fields.len()).collect();
        // Stable: those of one name stay in order of arrival.
        order.sort_by(|a, b| compare(fields[*a].name, fields[*b].name));
        for (at, next) in order.iter().zip(order.iter().skip(1)) {
            if fields[*at].name.eq_ignore_ascii_case(fields[*next].name) {
                (fields[*at].next, fields[*next].is_first) = (Some(*next), false);
            }
        }
        Self(fields)
    }

    /// Every name once, in order of arrival and as it was sent first, with all of its values.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, impl Iterator<Item = &'a str>)> {
        let firsts = self.0.iter().filter(|field| field.is_first);
        firsts.map(|first| {
            let all = successors(Some(first), |field| self.0.get(field.next?));
            (first.name, all.map(|field| field.value))
        })
    }
}

fn compare(a: &str, b: &str) -> Ordering {
    let [a, b] = [a, b].map(|name| name.bytes().map(|byte| byte.to_ascii_lowercase()));
    a.cmp(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::RequestText;

    #[test]
    fn values_of_one_name_belong_together() {
        let fields = [("A", "1"), ("B", "2"), ("a", "3"), ("b", ""), ("A", "4"), ("C", "5")];
        let text = RequestText::of("/", None, &fields);
        let grouped = Grouped::new(text.headers());
        let grouped: Vec<(_, Vec<_>)> =
            grouped.iter().map(|(name, values)| (name, values.collect())).collect();
        let expected: [(&str, &[&str]); 3] =
            [("A", &["1", "3", "4"]), ("B", &["2", ""]), ("C", &["5"])];
        assert!(grouped.iter().map(|(name, values)| (*name, &values[..])).eq(expected));
        assert_eq!((Headers::between("Cookie"), Headers::between("Accept")), ("; ", ", "));
    }
}
