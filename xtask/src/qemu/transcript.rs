//! Everything a stream has said so far, captured by a thread.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The oldest half is forgotten when a transcript grows past this: a kernel that prints in a loop
/// must not eat the memory of the computer it is developed on.
const BYTES_MAX: usize = 32 << 20;

/// A growing log that any number of threads may read. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Transcript {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    /// How many bytes were forgotten before `bytes`.
    forgotten: usize,
    closed: bool,
}

/// A piece of a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The text; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// Where the next piece starts.
    pub next: usize,
    /// The stream has ended and nothing follows.
    pub closed: bool,
}

impl Transcript {
    /// Captures a stream until its end.
    #[must_use]
    pub fn capture(mut source: impl Read + Send + 'static) -> Self {
        let transcript = Self { shared: Arc::default() };
        let shared = Arc::clone(&transcript.shared);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                // An error on a pipe means the same as its end: nothing more will come.
                let len = source.read(&mut buffer).unwrap_or(0);
                shared.append(&buffer[..len]);
                if len == 0 {
                    return;
                }
            }
        });
        transcript
    }

    /// Everything said so far.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.shared.lock().bytes).into_owned()
    }

    /// The last `lines` lines.
    #[must_use]
    pub fn tail(&self, lines: usize) -> String {
        let text = self.text();
        let text = text.trim_end();
        let start =
            text.rmatch_indices('\n').nth(lines.saturating_sub(1)).map_or(0, |(at, _)| at + 1);
        text[start..].to_owned()
    }

    /// What was said after position `from`; waits for it up to `timeout`.
    #[must_use]
    pub fn after(&self, from: usize, timeout: Duration) -> Chunk {
        let news = |state: &State| state.closed || state.end() > from;
        let state = self.shared.wait(timeout, news);
        let skip = from.saturating_sub(state.forgotten).min(state.bytes.len());
        Chunk {
            text: String::from_utf8_lossy(&state.bytes[skip..]).into_owned(),
            next: state.end().max(from),
            closed: state.closed,
        }
    }

    /// Waits until `words` were said, and their line is complete: what follows them may be wanted.
    /// `false` after `timeout`, or when the stream ended without.
    #[must_use]
    pub fn wait_for(&self, words: &str, timeout: Duration) -> bool {
        let said = |state: &State| String::from_utf8_lossy(state.complete()).contains(words);
        said(&self.shared.wait(timeout, |state| state.closed || said(state)))
    }

    /// Waits until the stream has ended, so that [`text`](Self::text) is complete.
    pub fn wait_closed(&self, timeout: Duration) {
        drop(self.shared.wait(timeout, |state| state.closed));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, news: &[u8]) {
        let mut state = self.lock();
        state.bytes.extend_from_slice(news);
        state.closed = news.is_empty();
        if state.bytes.len() > BYTES_MAX {
            state.bytes.drain(..BYTES_MAX / 2);
            state.forgotten += BYTES_MAX / 2;
        }
        self.changed.notify_all();
    }

    fn wait(&self, timeout: Duration, done: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let end = Instant::now() + timeout;
        let mut state = self.lock();
        while !done(&state) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state =
                self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state
    }
}

impl State {
    fn end(&self) -> usize {
        self.forgotten + self.bytes.len()
    }

    /// All that is said, without a line that has no end yet and may get one.
    fn complete(&self) -> &[u8] {
        let line_end = self.bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if self.closed { &self.bytes } else { &self.bytes[..line_end] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn closed(text: &'static str) -> Transcript {
        let transcript = Transcript::capture(text.as_bytes());
        transcript.wait_closed(LONG);
        transcript
    }

    #[test]
    fn the_tail_is_the_last_lines() {
        let transcript = closed("one\ntwo\nthree\n");
        assert_eq!(transcript.tail(2), "two\nthree");
        assert_eq!(transcript.tail(9), "one\ntwo\nthree");
        assert_eq!(closed("").tail(3), "");
    }

    #[test]
    fn pieces_follow_each_other_without_gap() {
        let transcript = closed("hello world");
        let chunk = transcript.after(6, LONG);
        assert_eq!(chunk, Chunk { text: "world".to_owned(), next: 11, closed: true });
        assert_eq!(transcript.after(chunk.next, LONG).text, "");
    }

    #[test]
    fn waiting_ends_when_the_stream_does() {
        assert!(closed("all passed").wait_for("passed", LONG));
        assert!(!closed("panic").wait_for("passed", LONG));
    }

    #[test]
    fn words_were_said_when_their_line_is_complete() {
        let state = |closed| State { bytes: b"one\nready after 2".to_vec(), closed, forgotten: 0 };
        assert_eq!(state(false).complete(), b"one\n");
        assert_eq!(state(true).complete(), b"one\nready after 2");
        assert_eq!(State { bytes: b"re".to_vec(), ..state(false) }.complete(), b"");
    }

    #[test]
    fn an_endless_stream_is_bounded_and_positions_stay_valid() {
        let transcript = Transcript::capture(std::io::repeat(b'x').take(3 * BYTES_MAX as u64));
        transcript.wait_closed(LONG);
        assert!(transcript.text().len() <= BYTES_MAX);
        assert_eq!(transcript.after(0, LONG).next, 3 * BYTES_MAX);
    }
}
