//! What the fuzz targets share: the smallest image, and HTTP as a client sees it.
//!
//! A target checks more than the absence of panics wherever there is something to compare with: a
//! segment's bytes with the file, a connection fed in pieces with one fed at once, the mapped
//! ranges with a plain list of pages. `cargo xtask fuzz TARGET` runs one; `corpus/TARGET` holds the
//! seeds and what once found something.

#![forbid(unsafe_code)]

use node::http::connection::{Connection, Phase};

/// Where the smallest image starts.
pub const IMAGE_ADDRESS: u64 = 0x40_0000;

/// The smallest ELF file the node accepts: one executable segment with the note in it.
#[must_use]
pub fn image() -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    for word in [IMAGE_ADDRESS + 0xcc, 64, 0] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    file.extend_from_slice(&[0, 0, 0, 0, 64, 0, 56, 0, 2, 0, 64, 0, 0, 0, 0, 0]);
    let mut program_header = |kind: u32, flags: u32, words: [u64; 6]| {
        file.extend_from_slice(&kind.to_le_bytes());
        file.extend_from_slice(&flags.to_le_bytes());
        words.iter().for_each(|word| file.extend_from_slice(&word.to_le_bytes()));
    };
    let address = IMAGE_ADDRESS;
    program_header(1, 5, [0, address, address, 210, 210, 4096]);
    program_header(4, 4, [176, address + 0xb0, address + 0xb0, 28, 28, 4]);
    for word in [11_u32, 4, action_abi::NOTE_TYPE] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    file.extend_from_slice(action_abi::NOTE_NAME.as_bytes());
    file.extend_from_slice(&[0, 0]);
    file.extend_from_slice(&action_abi::ABI_VERSION.to_le_bytes());
    // xor eax, eax; xor edi, edi; syscall
    file.extend_from_slice(&[0x31, 0xc0, 0x31, 0xff, 0x0f, 0x05]);
    file
}

/// Takes everything a connection wants to send, in pieces of at most `piece` bytes.
pub fn drain(connection: &mut Connection, piece: usize) -> Vec<u8> {
    let mut sent = Vec::new();
    while !connection.output().is_empty() {
        let count = connection.output().len().min(piece.max(1));
        sent.extend_from_slice(&connection.output()[..count]);
        connection.advance(count);
    }
    assert!(matches!(connection.phase(), Phase::Idle | Phase::Closing | Phase::Receiving));
    sent
}

/// Checks that bytes are one response a client understands, and returns its status.
///
/// # Panics
/// If they are not.
pub fn check_response(mut sent: &[u8], to_head: bool) -> u16 {
    const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    sent = sent.strip_prefix(CONTINUE).unwrap_or(sent);
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut fields);
    let parsed = response.parse(sent).expect("the head of a response is well-formed");
    let head_len = match parsed {
        httparse::Status::Complete(len) => len,
        httparse::Status::Partial => panic!("the head of a response is complete"),
    };
    let status = response.code.expect("a complete head has a status");
    let mut lengths = response.headers.iter().filter(|field| field.name == "Content-Length");
    let stated: usize = match lengths.next() {
        Some(field) => {
            let text = std::str::from_utf8(field.value).expect("a length is text");
            text.parse().expect("a length is a number")
        }
        None => 0,
    };
    assert!(lengths.next().is_none(), "one length");
    let expected = if to_head || status == 204 { 0 } else { stated };
    assert_eq!(sent.len() - head_len, expected, "the body is as long as stated");
    status
}
