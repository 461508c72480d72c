//! The body of a request: from bytes on the wire into frames, with the transfer coding removed.
//!
//! Bytes go straight into a [`PageBuffer`]; the only state between segments is a few numbers. Chunk
//! extensions and trailers (RFC 9112, 7.1) are checked, counted against a bound, and dropped:
//! nothing here has a use for them, and merging trailers into the head invites smuggling.

use super::parse::{Framing, is_token};
use super::{Malformed, MessageReject};
use limits::{CHUNK_OVERHEAD_LEN_MAX, CHUNK_SIZE_DIGITS_MAX};
use memory::PageBuffer;

/// Reads one body.
#[derive(Debug)]
pub struct BodyReader {
    state: State,
    body: PageBuffer,
    len_max: usize,
    overhead_len: usize,
}

/// What the next byte must be. The chunked part follows the grammar `1*HEX [ ";" extension ] CRLF
/// data CRLF`, a chunk of size 0, then trailer lines and an empty one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// One of this many bytes of a body with a length.
    Data(usize),
    /// A digit of a chunk's size, of which there were `digits`, or the end of the size.
    Size { len: usize, digits: usize },
    /// Part of a chunk extension.
    Extension { len: usize },
    /// The LF after a chunk's size.
    SizeEnd { len: usize },
    /// One of this many bytes of a chunk.
    ChunkData(usize),
    /// The CR after a chunk's data.
    ChunkEnd,
    /// The LF after that.
    ChunkEndLine,
    /// The first byte of a trailer field, or the CR of the empty line.
    TrailerStart,
    /// Part of a trailer field's name.
    TrailerName,
    /// Part of a trailer field's value.
    TrailerValue,
    /// The LF after a trailer field.
    TrailerEnd,
    /// The LF of the empty line.
    LastLine,
    /// One of this many bytes at most, or the end of the connection.
    Open(usize),
    /// Nothing: the body is complete.
    Complete,
}

impl BodyReader {
    /// A reader for a body with this framing and at most `len_max` bytes.
    ///
    /// # Errors
    /// [`MessageReject::BodyTooLarge`] if the head already says so.
    pub fn new(framing: Framing, len_max: usize) -> Result<Self, MessageReject> {
        let state = match framing {
            Framing::Length(len) if len > len_max => return Err(MessageReject::BodyTooLarge),
            Framing::Length(0) => State::Complete,
            Framing::Length(len) => State::Data(len),
            Framing::Chunked => State::Size { len: 0, digits: 0 },
            Framing::UntilClose => State::Open(len_max),
        };
        Ok(Self { state, body: PageBuffer::new(), len_max, overhead_len: 0 })
    }

    /// Whether the whole body has arrived.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.state == State::Complete
    }

    /// How much has arrived.
    #[must_use]
    pub fn arrived_len(&self) -> usize {
        self.body.len()
    }

    /// The connection has ended. Returns whether that completes the body.
    pub fn end(&mut self) -> bool {
        if matches!(self.state, State::Open(_)) {
            self.state = State::Complete;
        }
        self.is_complete()
    }

    /// The body as far as it has arrived.
    #[must_use]
    pub fn body(&self) -> &PageBuffer {
        &self.body
    }

    /// The same, for good.
    #[must_use]
    pub fn into_body(self) -> PageBuffer {
        self.body
    }

    /// Takes bytes up to the end of the body; returns how many.
    ///
    /// # Errors
    /// Why the body is not acceptable.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<usize, MessageReject> {
        let mut rest = bytes;
        while let [byte, after @ ..] = rest {
            match self.state {
                State::Complete => break,
                State::Open(room) => {
                    self.state = State::Open(
                        room.checked_sub(rest.len()).ok_or(MessageReject::BodyTooLarge)?,
                    );
                    self.body.append(rest).map_err(|_| MessageReject::NoMemory)?;
                    rest = &[];
                }
                State::Data(remaining) | State::ChunkData(remaining) => {
                    let (data, after) = rest.split_at(remaining.min(rest.len()));
                    self.body.append(data).map_err(|_| MessageReject::NoMemory)?;
                    self.state = match (self.state, remaining - data.len()) {
                        (State::Data(_), 0) => State::Complete,
                        (State::Data(_), left) => State::Data(left),
                        (_, 0) => State::ChunkEnd,
                        (_, left) => State::ChunkData(left),
                    };
                    rest = after;
                }
                _ => {
                    self.state = self.step(*byte)?;
                    rest = after;
                }
            }
        }
        Ok(bytes.len() - rest.len())
    }

    /// The state after one byte that is not data.
    fn step(&mut self, byte: u8) -> Result<State, MessageReject> {
        const MALFORMED: MessageReject = MessageReject::Malformed(Malformed::Chunks);
        let is_text = byte == b'\t' || !byte.is_ascii_control();
        Ok(match (self.state, byte) {
            (State::Size { len, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                self.digit(len, digits, byte)?
            }
            // No space is allowed before CR or `;`: readers differ in what they make of it.
            (State::Size { len, digits: 1.. }, b';') => State::Extension { len },
            (State::Size { len, digits: 1.. } | State::Extension { len }, b'\r') => {
                State::SizeEnd { len }
            }
            (State::Extension { len }, _) if is_text => self.overhead(State::Extension { len })?,
            (State::SizeEnd { len: 0 }, b'\n') => State::TrailerStart,
            (State::SizeEnd { len }, b'\n') => State::ChunkData(len),
            (State::ChunkEnd, b'\r') => State::ChunkEndLine,
            (State::ChunkEndLine, b'\n') => State::Size { len: 0, digits: 0 },
            (State::TrailerStart, b'\r') => State::LastLine,
            (State::TrailerStart | State::TrailerName, _) if is_token(byte) => {
                self.overhead(State::TrailerName)?
            }
            (State::TrailerName, b':') => self.overhead(State::TrailerValue)?,
            (State::TrailerValue, b'\r') => State::TrailerEnd,
            (State::TrailerValue, _) if is_text => self.overhead(State::TrailerValue)?,
            (State::TrailerEnd, b'\n') => State::TrailerStart,
            (State::LastLine, b'\n') => State::Complete,
            _ => return Err(MALFORMED),
        })
    }

    fn digit(&self, len: usize, digits: usize, byte: u8) -> Result<State, MessageReject> {
        if digits == CHUNK_SIZE_DIGITS_MAX {
            return Err(MessageReject::Malformed(Malformed::ChunkSize));
        }
        let digit = (byte as char).to_digit(16).map_or(0, |digit| digit as usize);
        match len.checked_mul(16).map(|len| len + digit) {
            Some(len) if len <= self.len_max - self.body.len() => {
                Ok(State::Size { len, digits: digits + 1 })
            }
            _ => Err(MessageReject::BodyTooLarge),
        }
    }

    /// Counts a byte that is dropped.
    fn overhead(&mut self, next: State) -> Result<State, MessageReject> {
        self.overhead_len += 1;
        if self.overhead_len > CHUNK_OVERHEAD_LEN_MAX {
            Err(MessageReject::HeadTooLarge)
        } else {
            Ok(next)
        }
    }
}

#[cfg(test)]
mod tests;
