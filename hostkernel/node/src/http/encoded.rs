//! A document with bytes in base64 in it, of which only a piece exists at a time.
//!
//! The description of an action has its code in it: 64 MiB of text for 48 MiB of file. It is made
//! as the client takes it, out of the file that the action has anyway. So neither is there a long
//! loop when it is asked for, nor is memory held by who asks and does not read.

use alloc::sync::Arc;

use crate::json::base64::{self, PIECE_LEN, Piece};
use memory::{PageBuffer, Template};

/// Such a document. What the bytes belong to is kept as long as it is.
pub struct Encoded {
    _owner: Option<Arc<Template>>,
    before: PageBuffer,
    bytes: Arc<PageBuffer>,
    after: PageBuffer,
    /// The piece of the text in base64 that is there, and which it is.
    piece: Piece,
    piece_len: usize,
    number: usize,
}

impl Encoded {
    /// A document of what stands before the bytes, these, and what follows.
    #[must_use]
    pub fn new(before: PageBuffer, bytes: Arc<PageBuffer>, after: PageBuffer) -> Self {
        let mut piece = [0; PIECE_LEN];
        let piece_len = base64::piece(&bytes, 0, &mut piece);
        Self { _owner: None, before, bytes, after, piece, piece_len, number: 0 }
    }

    /// One of the code of a template.
    #[must_use]
    pub fn of_code(before: PageBuffer, template: &Arc<Template>, after: PageBuffer) -> Self {
        let encoded = Self::new(before, Arc::clone(template.code()), after);
        Self { _owner: Some(Arc::clone(template)), ..encoded }
    }

    /// Its length.
    #[must_use]
    pub fn text_len(&self) -> usize {
        self.held_len() + base64::text_len(self.bytes.len())
    }

    /// What of it takes memory that nobody else has anyway.
    #[must_use]
    pub fn held_len(&self) -> usize {
        self.before.len() + self.after.len()
    }

    /// Makes what [`chunk_at`](Self::chunk_at) will be asked for next.
    pub fn prepare(&mut self, offset: usize) {
        let Some(at) = offset.checked_sub(self.before.len()) else { return };
        let number = at / PIECE_LEN;
        if at < base64::text_len(self.bytes.len()) && number != self.number {
            self.piece_len = base64::piece(&self.bytes, number, &mut self.piece);
            self.number = number;
        }
    }

    /// The longest contiguous piece that starts at `offset`, which was prepared; empty at the end.
    #[must_use]
    pub fn chunk_at(&self, offset: usize) -> &[u8] {
        let Some(at) = offset.checked_sub(self.before.len()) else {
            return self.before.chunk_at(offset);
        };
        match at.checked_sub(base64::text_len(self.bytes.len())) {
            Some(at) => self.after.chunk_at(at),
            None if at / PIECE_LEN == self.number => {
                self.piece.get(at % PIECE_LEN..self.piece_len).unwrap_or_default()
            }
            None => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::base64::Engine as _;
    use ::base64::engine::general_purpose::STANDARD;
    use alloc::vec::Vec;

    #[test]
    fn the_text_is_the_same_however_it_is_taken() {
        memory::install_for_test();
        let buffer = |bytes: &[u8]| PageBuffer::from_bytes(bytes).expect("frames are left");
        for len in [0, 1, 2, 3, 767, 768, 769, 4096, 10_000] {
            let bytes: Vec<u8> = (0..len).map(|at: u32| (at * 7 % 251) as u8).collect();
            let expected = [b"before", STANDARD.encode(&bytes).as_bytes(), b"after"].concat();
            for step in [1, 5, 1000, usize::MAX] {
                let bytes = Arc::new(buffer(&bytes));
                let mut encoded = Encoded::new(buffer(b"before"), bytes, buffer(b"after"));
                assert_eq!((encoded.text_len(), encoded.held_len()), (expected.len(), 11));
                let mut taken = Vec::new();
                loop {
                    encoded.prepare(taken.len());
                    let chunk = encoded.chunk_at(taken.len());
                    if chunk.is_empty() {
                        break;
                    }
                    taken.extend_from_slice(&chunk[..chunk.len().min(step)]);
                }
                assert!(taken == expected, "{len} bytes by {step}");
            }
        }
    }
}
