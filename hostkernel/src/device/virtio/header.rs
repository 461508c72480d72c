//! The header in front of each frame of a virtio network card (virtio 1.2, 5.1.6).
#![forbid(unsafe_code)]

use core::ops::Range;

use node::net::nic::{self, ReceivedChecksum, TCP_CHECKSUM_OFFSET, TCP_START};

/// Its length, without and with virtio 1's buffer count.
pub const LEN_LEGACY: usize = 10;
/// See [`LEN_LEGACY`].
pub const LEN: usize = 12;

const FLAGS: usize = 0;
/// The checksum is still to be completed, which only frames have that never were on a wire.
const NEEDS_CHECKSUM: u8 = 1 << 0;
/// The checksum was found to be right.
const CHECKSUM_VALID: u8 = 1 << 1;
/// Where what is to be summed up begins in the frame, and how far behind the sum belongs.
const CHECKSUM_PLACE: Range<usize> = 6..10;

/// The place of TCP's in the frames we send.
const TCP_PLACE: [u8; 4] = {
    let [a, b] = (TCP_START as u16).to_le_bytes();
    let [c, d] = (TCP_CHECKSUM_OFFSET as u16).to_le_bytes();
    [a, b, c, d]
};

/// What the header of a received frame says about its checksum.
#[must_use]
pub fn received_checksum(header: &[u8]) -> ReceivedChecksum {
    let flags = header.get(FLAGS).copied().unwrap_or(0);
    match header.get(CHECKSUM_PLACE) {
        Some(&[a, b, c, d]) if flags & NEEDS_CHECKSUM != 0 => {
            let (start, offset) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
            ReceivedChecksum::Left { at: usize::from(start) + usize::from(offset) }
        }
        Some(_) if flags & CHECKSUM_VALID != 0 => ReceivedChecksum::Verified,
        _ => ReceivedChecksum::Unknown,
    }
}

/// Leaves the checksum of a frame to the card, if it is one of TCP, and says so in its header.
pub fn leave_checksum(header: &mut [u8], frame: &mut [u8]) {
    let is_left = nic::prepare_checksum(frame);
    header[FLAGS] = if is_left { NEEDS_CHECKSUM } else { 0 };
    header[CHECKSUM_PLACE].copy_from_slice(if is_left { &TCP_PLACE } else { &[0; 4] });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(flags: u8, start: u16, offset: u16) -> [u8; LEN] {
        let mut header = [0; LEN];
        header[FLAGS] = flags;
        header[6..8].copy_from_slice(&start.to_le_bytes());
        header[8..10].copy_from_slice(&offset.to_le_bytes());
        header
    }

    #[test]
    fn a_header_says_what_is_known_of_the_checksum() {
        use ReceivedChecksum::{Left, Unknown, Verified};
        for (flags, expected) in [
            (0, Unknown),
            (1 << 2, Unknown),
            (CHECKSUM_VALID, Verified),
            (NEEDS_CHECKSUM, Left { at: 40 }),
            (NEEDS_CHECKSUM | CHECKSUM_VALID, Left { at: 40 }),
        ] {
            let whole = header(flags, 34, 6);
            assert_eq!(received_checksum(&whole), expected);
            assert_eq!(received_checksum(&whole[..LEN_LEGACY]), expected);
            assert_eq!(received_checksum(&whole[..LEN_LEGACY - 1]), Unknown, "cut off");
        }
        let far = header(NEEDS_CHECKSUM, u16::MAX, u16::MAX);
        assert_eq!(received_checksum(&far), Left { at: 131_070 });
        assert_eq!(received_checksum(&[]), Unknown);
    }

    #[test]
    fn only_checksums_of_tcp_are_left_to_the_card() {
        let mut frame = [0; 60];
        let mut told = header(NEEDS_CHECKSUM, 1, 1);
        leave_checksum(&mut told, &mut frame);
        assert_eq!(told, [0; LEN]);
        for (at, byte) in [(12, 0x08), (14, 0x45), (23, 6)] {
            frame[at] = byte;
        }
        leave_checksum(&mut told, &mut frame);
        assert_eq!(received_checksum(&told), ReceivedChecksum::Left { at: 50 });
    }
}
