//! What an invocation logged: lines with their stream and time, as one run of bytes.
//!
//! ```text
//! line = mark (1 byte), time (8 bytes, little endian), text, newline
//! ```
//!
//! The whole of it, marks and times included, stays within [`LOG_LEN_MAX`]: a log of empty lines
//! costs no more than another. Once something was dropped, all that follows is.

use limits::LOG_LEN_MAX;
use memory::PageBuffer;

/// What stands in front of the text of a line.
const HEAD_LEN: usize = 1 + size_of::<u64>();

/// What an invocation logged, in order.
#[derive(Debug, Default)]
pub struct Log {
    /// The lines, see the head of this file.
    pub text: PageBuffer,
    /// Whether something was dropped.
    pub truncated: bool,
}

/// Where a line was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A line of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Where it was written to.
    pub stream: Stream,
    /// When, in nanoseconds since 1970-01-01 UTC; 0 if the node has no clock.
    pub at_ns: u64,
    /// Without the newline.
    pub text: &'a [u8],
}

impl Stream {
    const fn mark(self) -> u8 {
        match self {
            Self::Stdout => b'1',
            Self::Stderr => b'2',
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

impl Log {
    /// Bytes of text that one more line may have.
    #[must_use]
    pub fn room(&self) -> usize {
        if self.truncated {
            return 0;
        }
        LOG_LEN_MAX.saturating_sub(self.text.len() + HEAD_LEN + 1)
    }

    /// Begins to append lines of one stream and time.
    pub fn writer(&mut self, stream: Stream, at_ns: u64) -> Writer<'_> {
        let mut head = [stream.mark(); HEAD_LEN];
        head[1..].copy_from_slice(&at_ns.to_le_bytes());
        Writer { log: self, head, within_line: false, kept: 0 }
    }

    /// The lines in the text of a log. What follows an incomplete head is left out.
    pub fn lines(mut text: &[u8]) -> impl Iterator<Item = Line<'_>> {
        core::iter::from_fn(move || {
            let (head, rest) = text.split_first_chunk::<HEAD_LEN>()?;
            let [mark, time @ ..] = *head;
            let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            text = rest.get(end + 1..).unwrap_or_default();
            let stderr = mark == Stream::Stderr.mark();
            let stream = if stderr { Stream::Stderr } else { Stream::Stdout };
            Some(Line { stream, at_ns: u64::from_le_bytes(time), text: &rest[..end] })
        })
    }
}

/// Appends lines to a log.
#[derive(Debug)]
pub struct Writer<'a> {
    log: &'a mut Log,
    head: [u8; HEAD_LEN],
    within_line: bool,
    kept: usize,
}

impl Writer<'_> {
    /// Appends bytes; they may be part of a line.
    pub fn push(&mut self, bytes: &[u8]) {
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            let begins = !self.within_line;
            let room = self.log.room() + if begins { 0 } else { HEAD_LEN };
            if self.log.truncated || (begins && room == 0) {
                self.log.truncated = true;
                return;
            }
            let fits = text.get(..room).unwrap_or(text);
            let head = if begins { &self.head[..] } else { &[] };
            let is_complete = text.len() < line.len();
            let end: &[u8] = if is_complete || fits.len() < text.len() { b"\n" } else { &[] };
            let written = [head, fits, end].iter().try_for_each(|part| self.log.text.append(part));
            self.log.truncated = written.is_err() || fits.len() < text.len();
            self.within_line = end.is_empty();
            self.kept += fits.len() + usize::from(is_complete && fits.len() == text.len());
        }
    }

    /// Ends the last line; returns how many of the bytes were kept.
    pub fn finish(self) -> usize {
        if self.within_line && !self.log.truncated {
            self.log.truncated = self.log.text.append(b"\n").is_err();
        }
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn write(log: &mut Log, stream: Stream, at_ns: u64, pieces: &[&[u8]]) -> usize {
        memory::install_for_test();
        let mut writer = log.writer(stream, at_ns);
        pieces.iter().for_each(|piece| writer.push(piece));
        writer.finish()
    }

    #[test]
    fn lines_keep_stream_time_and_text() {
        let mut log = Log::default();
        // A time with newlines in it, and a line in pieces.
        let at_ns = u64::from_le_bytes(*b"\n\n\n\n\n\n\n\n");
        assert_eq!(write(&mut log, Stream::Stdout, at_ns, &[b"a", b"b\nc", b"", b"\n\n"]), 6);
        assert_eq!(write(&mut log, Stream::Stderr, 7, &[b"tail"]), 4);
        assert_eq!(write(&mut log, Stream::Stderr, 8, &[]), 0);
        let bytes = log.text.to_vec().expect("short");
        let line = |stream, at_ns, text| Line { stream, at_ns, text };
        let expected = [
            line(Stream::Stdout, at_ns, &b"ab"[..]),
            line(Stream::Stdout, at_ns, b"c"),
            line(Stream::Stdout, at_ns, b""),
            line(Stream::Stderr, 7, b"tail"),
        ];
        assert_eq!(Log::lines(&bytes).collect::<Vec<_>>(), expected);
        assert!(!log.truncated);
    }

    #[test]
    fn a_full_log_takes_nothing_more() {
        let mut log = Log::default();
        let long = [b'x'; LOG_LEN_MAX + 1];
        assert_eq!(write(&mut log, Stream::Stdout, 1, &[&long]), LOG_LEN_MAX - HEAD_LEN - 1);
        assert_eq!((log.text.len(), log.truncated, log.room()), (LOG_LEN_MAX, true, 0));
        assert_eq!(write(&mut log, Stream::Stdout, 1, &[b"x"]), 0);
        let mut log = Log::default();
        let empty = [b'\n'; LOG_LEN_MAX];
        assert_eq!(write(&mut log, Stream::Stdout, 1, &[&empty]), LOG_LEN_MAX / (HEAD_LEN + 1));
        assert!(log.truncated && log.text.len() <= LOG_LEN_MAX);
    }

    proptest! {
        #[test]
        fn what_fits_is_read_back(
            calls in proptest::collection::vec(
                (any::<bool>(), any::<u64>(), proptest::collection::vec("[a\n]{0,5}", 0..4)), 0..9),
        ) {
            let mut log = Log::default();
            let mut expected = Vec::new();
            for (stderr, at_ns, pieces) in &calls {
                let stream = if *stderr { Stream::Stderr } else { Stream::Stdout };
                let bytes: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_bytes()).collect();
                let whole = bytes.concat();
                prop_assert_eq!(write(&mut log, stream, *at_ns, &bytes), whole.len());
                let lines = whole.strip_suffix(b"\n").unwrap_or(&whole);
                let lines = lines.split(|byte| *byte == b'\n');
                if !whole.is_empty() {
                    expected.extend(lines.map(|text| (stream, *at_ns, text.to_vec())));
                }
            }
            let text = log.text.to_vec().expect("short");
            let found: Vec<_> = Log::lines(&text)
                .map(|line| (line.stream, line.at_ns, line.text.to_vec()))
                .collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn nonsense_is_read_without_harm(text: Vec<u8>) {
            let read: usize = Log::lines(&text).map(|line| line.text.len()).sum();
            prop_assert!(read <= text.len());
        }
    }
}
