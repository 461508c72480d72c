//! Ranges of memory without the parts that are taken.

use limits::PAGE_LEN;

/// A half-open range of physical addresses.
pub type Range = (u64, u64);

/// Calls `each` for the pieces of `range` that no hole touches, in order if the holes are.
pub fn without(range: Range, holes: &[Range], each: &mut dyn FnMut(Range)) {
    let (start, end) = range;
    match holes {
        _ if start >= end => {}
        [] => each(range),
        [(hole_start, hole_end), rest @ ..] if hole_start < hole_end => {
            without((start, end.min(*hole_start)), rest, each);
            without((start.max(*hole_end), end), rest, each);
        }
        [_, rest @ ..] => without(range, rest, each),
    }
}

/// The page below 1 MiB that other cores begin at, if there is one: inside of a range that is
/// usable, and touched by none that is not. `ranges` are those of the boot loader's map and what
/// else is known to be taken.
///
/// Page 0 is the BIOS's, some of it writes into the first 64 KiB, and from 640 KiB on there are
/// devices, whatever a map says.
pub fn start_page(ranges: impl Iterator<Item = (Range, bool)> + Clone) -> Option<u8> {
    let is_free = |page: &u8| {
        let start = u64::from(*page) * PAGE_LEN as u64;
        let end = start + PAGE_LEN as u64;
        let mut usable = ranges.clone().filter(|range| range.1);
        let mut taken = ranges.clone().filter(|range| !range.1);
        usable.any(|(range, _)| range.0 <= start && end <= range.1)
            && !taken.any(|(range, _)| range.0 < end && start < range.1)
    };
    (0x10..0xa0).chain(1..0x10).find(is_free)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn holes_are_cut_out() {
        let pieces = |range, holes: &[Range]| {
            let mut pieces = Vec::new();
            without(range, holes, &mut |piece| pieces.push(piece));
            pieces
        };
        assert_eq!(pieces((0, 10), &[(2, 4), (6, 8)]), [(0, 2), (4, 6), (8, 10)]);
        assert_eq!(pieces((0, 10), &[(0, 4), (3, 10)]), []);
        assert_eq!(pieces((5, 10), &[(0, 2), (12, 20), (7, 7)]), [(5, 10)]);
    }

    #[test]
    fn cores_start_in_memory_that_is_nobodys() {
        let page = |ranges: &[(Range, bool)]| start_page(ranges.iter().copied());
        let all = ((0, 0xa_0000), true);
        assert_eq!(page(&[all]), Some(0x10));
        // Of a page that firmware has, or a module, not a byte is touched.
        assert_eq!(page(&[all, ((0x1_0fff, 0x1_2001), false)]), Some(0x13));
        assert_eq!(page(&[all, ((0x1_0000, 0xa_0000), false)]), Some(1));
        // UEFI says only what is usable; of a piece only whole pages are.
        assert_eq!(page(&[((0x1800, 0x3800), true), ((0x9_f800, 0x10_0000), true)]), Some(2));
        for nothing in [&[][..], &[((0, 0x1000), true)], &[((0xa_0000, u64::MAX), true)]] {
            assert_eq!(page(nothing), None);
        }
    }

    proptest! {
        #[test]
        fn every_address_is_in_a_piece_or_in_a_hole(
            range in (0..40_u64, 0..40_u64),
            holes in proptest::collection::vec((0..40_u64, 0..40_u64), 0..4),
        ) {
            let mut times = [0; 40];
            without(range, &holes, &mut |(start, end)| {
                (start..end).for_each(|address| times[address as usize] += 1);
            });
            for address in 0..40 {
                let within = |(start, end): &Range| (*start..*end).contains(&address);
                let expected = within(&range) && !holes.iter().any(within);
                prop_assert_eq!(times[address as usize], i32::from(expected));
            }
        }
    }
}
