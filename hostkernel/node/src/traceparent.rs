//! The `traceparent` of W3C Trace Context: which trace an invocation belongs to.
//!
//! ```text
//! 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
//! version, trace, span, flags
//! ```
//!
//! An invocation is one span. Its number, and that of a new trace, come out of its activation id,
//! which is random already. <https://www.w3.org/TR/trace-context/>

/// Bytes of one of version 00, and of what a later one begins with.
const LEN: usize = 55;
/// The version we write.
const VERSION: &[u8; 3] = b"00-";
/// Where a trace is, a span, and the flags.
const TRACE: core::ops::Range<usize> = 3..35;
const SPAN: core::ops::Range<usize> = 36..52;
const FLAGS: core::ops::Range<usize> = 53..LEN;
/// Who started the trace may have recorded it, as we do.
const SAMPLED: &[u8; 2] = b"01";

/// Trace, span and flags of one invocation. Aligned so that `core` looks at it by words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(8))]
pub struct TraceParent([u8; LEN]);

impl TraceParent {
    /// The first span of a new trace. `id` are the hexadecimal digits of the invocation's id.
    #[must_use]
    pub fn new(id: &[u8; 32]) -> Self {
        let mut text = [b'-'; LEN];
        text[..VERSION.len()].copy_from_slice(VERSION);
        text[TRACE].copy_from_slice(id);
        text[SPAN].copy_from_slice(&id[16..]);
        text[FLAGS].copy_from_slice(SAMPLED);
        Self(text)
    }

    /// A span of the trace that a request belongs to; `None` if its header says nothing we
    /// understand.
    #[must_use]
    pub fn within(header: &str, id: &[u8; 32]) -> Option<Self> {
        let (text, rest) = header.trim_ascii().as_bytes().split_first_chunk::<LEN>()?;
        let version = &text[..2];
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_well_formed = text.iter().enumerate().all(|(at, byte)| match at {
            2 | 35 | 52 => *byte == b'-',
            _ => is_digit(byte),
        });
        let is_none = |digits: &[u8]| digits.iter().all(|digit| *digit == b'0');
        // Later versions may go on behind another hyphen; the first has nothing more, and 0xff is
        // no version.
        let is_known = match version {
            b"ff" => false,
            b"00" => rest.is_empty(),
            _ => rest.first().is_none_or(|byte| *byte == b'-'),
        };
        if !is_well_formed || !is_known || is_none(&text[TRACE]) || is_none(&text[SPAN]) {
            return None;
        }
        let mut own = Self::new(id);
        own.0[TRACE].copy_from_slice(&text[TRACE]);
        // Of the flags only the first is ours to pass on.
        let sampled = matches!(text[54], b'1' | b'3' | b'5' | b'7' | b'9' | b'b' | b'd' | b'f');
        own.0[54] = if sampled { b'1' } else { b'0' };
        Some(own)
    }

    /// The digits that all spans of the trace share.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        core::str::from_utf8(&self.0[TRACE]).unwrap_or_default()
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The text, as bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use proptest::prelude::*;

    const ID: &[u8; 32] = b"0123456789abcdeffedcba9876543210";
    const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_new_trace_has_the_invocations_id() {
        let expected = "00-0123456789abcdeffedcba9876543210-fedcba9876543210-01";
        assert_eq!(TraceParent::new(ID).as_str(), expected);
    }

    #[test]
    fn the_trace_of_a_request_goes_on() {
        for (version, flags, more, own) in [
            ("00", "01", "", "01"),
            ("00", "00", "", "00"),
            ("00", "03", "", "01"),
            ("00", "fe", "", "00"),
            ("cc", "01", "-what", "01"),
            ("01", "01", "", "01"),
        ] {
            let header = format!("{version}-{TRACE_ID}-00f067aa0ba902b7-{flags}{more}");
            let trace = TraceParent::within(&header, ID).expect(&header);
            assert_eq!(trace.as_str(), format!("00-{TRACE_ID}-fedcba9876543210-{own}"));
        }
    }

    #[test]
    fn what_is_no_trace_is_passed_over() {
        let zeros = "00000000000000000000000000000000";
        let span = "00f067aa0ba902b7";
        for header in [
            "",
            "00",
            &format!("00-{zeros}-{span}-01"),
            &format!("00-{TRACE_ID}-0000000000000000-01"),
            &format!("ff-{TRACE_ID}-{span}-01"),
            &format!("00-{TRACE_ID}-{span}-01-more"),
            &format!("00-{TRACE_ID}-{span}-01x"),
            &format!("01-{TRACE_ID}-{span}-01x"),
            &format!("00-{TRACE_ID}-{span}-0"),
            &format!("00-{}-{span}-01", TRACE_ID.to_uppercase()),
            &format!("00_{TRACE_ID}-{span}-01"),
            &format!("00-{TRACE_ID}-{span}-0g"),
        ] {
            assert_eq!(TraceParent::within(header, ID), None, "{header:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(
            header in "(00|[0-9a-f]{2})-[0-9a-f]{30,32}-[0-9a-f]{16}-.{0,4}|.{0,80}",
        ) {
            if let Some(trace) = TraceParent::within(&header, ID) {
                prop_assert_eq!(TraceParent::within(trace.as_str(), ID), Some(trace));
            }
        }
    }
}
