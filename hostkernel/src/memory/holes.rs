//! Ranges of memory without the parts that are taken.

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
