//! Answers of other servers: any bytes, fed at once and in pieces, must be read the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use memory::install_for_test;
use node::client::answer::{AnswerReader, AnswerReject};

/// Status, whether the connection stays, the body, and how many bytes the answer took.
type Read = Result<Option<(u16, bool, Vec<u8>, usize)>, AnswerReject>;

fuzz_target!(|input: (bool, u16, Vec<u8>, &[u8])| {
    install_for_test();
    let (is_bodiless, len_max, cuts, bytes) = input;
    // Behind a good start more of them get far.
    for start in [&b""[..], b"HTTP/1.1 200 OK\r\n"] {
        let bytes = [start, bytes].concat();
        let whole = read(&bytes, &[], is_bodiless, usize::from(len_max));
        let pieces = read(&bytes, &cuts, is_bodiless, usize::from(len_max));
        assert_eq!(whole, pieces, "what comes out depends on the bytes alone");
        if let Ok(Some((status, _, body, taken))) = whole {
            assert!((200..600).contains(&status) && taken <= bytes.len());
            assert!(body.len() <= usize::from(len_max) && body.len() <= bytes.len());
        }
    }
});

/// Feeds `bytes` in pieces as long as `cuts` says, over and over, and the end of the connection.
fn read(mut bytes: &[u8], cuts: &[u8], is_bodiless: bool, len_max: usize) -> Read {
    let mut reader = AnswerReader::new(is_bodiless, len_max);
    let mut cuts = cuts.iter().cycle();
    let mut taken = 0;
    while !bytes.is_empty() && !reader.is_complete() {
        let piece = cuts.next().map_or(bytes.len(), |cut| usize::from(*cut).max(1));
        let piece = &bytes[..piece.min(bytes.len())];
        let count = reader.receive(piece)?;
        assert!(count == piece.len() || reader.is_complete(), "only the end leaves bytes");
        bytes = &bytes[count..];
        taken += count;
    }
    if !reader.is_complete() {
        reader.end()?;
    }
    Ok(reader.finish().map(|(head, body)| {
        (head.status, head.is_persistent, body.to_vec().expect("memory is left"), taken)
    }))
}
