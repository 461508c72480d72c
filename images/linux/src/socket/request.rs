//! The request as the program reads it: a head, and behind it the body.
#![forbid(unsafe_code)]

/// In the environment of an invocation, in front: the head of the request, up to its empty line.
/// Without it the input is all of the request.
pub const VARIABLE: &[u8] = b"HOSTKERNEL_REQUEST=";

/// A request, where the kernel put it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request {
    head: &'static [u8],
    body: &'static [u8],
    /// Bytes that were read.
    read: usize,
}

impl Request {
    /// A request of these parts.
    #[must_use]
    pub const fn new(head: &'static [u8], body: &'static [u8]) -> Self {
        Self { head, body, read: 0 }
    }

    /// Whether it asks for fields without a body.
    #[must_use]
    pub fn is_head(&self) -> bool {
        let first = if self.head.is_empty() { self.body } else { self.head };
        first.starts_with(b"HEAD ")
    }

    /// Bytes that are left to read.
    #[must_use]
    pub fn left(&self) -> usize {
        (self.head.len() + self.body.len()).saturating_sub(self.read)
    }

    /// Copies as much as is left and fits, and takes it unless it is only looked at.
    pub fn read(&mut self, bytes: &mut [u8], is_peek: bool) -> usize {
        let head = self.head.get(self.read..).unwrap_or_default();
        let body_at = self.read.saturating_sub(self.head.len());
        let body = self.body.get(body_at..).unwrap_or_default();
        let from_head = head.len().min(bytes.len());
        let (first, second) = bytes.split_at_mut(from_head);
        first.copy_from_slice(&head[..from_head]);
        let from_body = body.len().min(second.len());
        second[..from_body].copy_from_slice(&body[..from_body]);
        if !is_peek {
            self.read += from_head + from_body;
        }
        from_head + from_body
    }
}

/// Parts the head of a request from an environment, whose first entry, by this name, it is if there
/// is one.
#[must_use]
pub fn part(variable: &[u8], environment: &'static [u8]) -> (Option<&'static [u8]>, &'static [u8]) {
    // One byte says so of most environments.
    if environment.first() != variable.first() {
        return (None, environment);
    }
    let Some(rest) = environment.strip_prefix(variable) else { return (None, environment) };
    match rest.iter().position(|byte| *byte == 0) {
        Some(end) => (Some(&rest[..end]), &rest[end + 1..]),
        None => (Some(rest), &[]),
    }
}
