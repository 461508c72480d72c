//! How often something took how long, in the buckets that Prometheus wants.

/// Upper ends of the buckets in nanoseconds, with the text of each in seconds. Longer spans are in
/// one more bucket without an end.
pub const BUCKETS: [(u64, &str); 17] = [
    (50_000, "0.00005"),
    (100_000, "0.0001"),
    (250_000, "0.00025"),
    (500_000, "0.0005"),
    (1_000_000, "0.001"),
    (2_500_000, "0.0025"),
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
    (25_000_000, "0.025"),
    (50_000_000, "0.05"),
    (100_000_000, "0.1"),
    (250_000_000, "0.25"),
    (500_000_000, "0.5"),
    (1_000_000_000, "1"),
    (2_500_000_000, "2.5"),
    (5_000_000_000, "5"),
    (10_000_000_000, "10"),
];

/// For spans with so many significant bits the first bucket that can hold one. The ends at least
/// double, so it is that one or the next but one at most.
const FIRST: [u8; u64::BITS as usize + 1] = {
    let mut first = [0; u64::BITS as usize + 1];
    let mut bits = 1;
    while bits < first.len() {
        let mut bucket = first[bits - 1];
        while (bucket as usize) < BUCKETS.len() && BUCKETS[bucket as usize].0 < 1 << (bits - 1) {
            bucket += 1;
        }
        first[bits] = bucket;
        bits += 1;
    }
    first
};

/// Counts of spans by length.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    counts: [u64; BUCKETS.len() + 1],
    sum_ns: u64,
}

impl Histogram {
    /// Counts a span.
    pub fn add(&mut self, ns: u64) {
        let mut bucket = usize::from(FIRST[(u64::BITS - ns.leading_zeros()) as usize]);
        while let Some((end_ns, _)) = BUCKETS.get(bucket)
            && *end_ns < ns
        {
            bucket += 1;
        }
        self.counts[bucket] += 1;
        self.sum_ns = self.sum_ns.saturating_add(ns);
    }

    /// For each bucket its end, and how many spans were no longer than that.
    pub fn cumulative(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let ends = BUCKETS.iter().map(|(_, text)| *text).chain(["+Inf"]);
        ends.zip(&self.counts).scan(0, |total, (end, count)| {
            *total += count;
            Some((end, *total))
        })
    }

    /// How many spans were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How long all of them took together.
    #[must_use]
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn a_span_is_in_the_first_bucket_that_holds_it() {
        let mut histogram = Histogram::default();
        let spans = [0, 50_000, 50_001, 10_000_000_000, 10_000_000_001, 3];
        spans.into_iter().for_each(|ns| histogram.add(ns));
        let found: Vec<_> = histogram.cumulative().collect();
        assert_eq!(found.len(), 18);
        assert_eq!(found[..2], [("0.00005", 3), ("0.0001", 4)]);
        assert_eq!(found[15..], [("5", 4), ("10", 5), ("+Inf", 6)]);
        assert_eq!((histogram.count(), histogram.sum_ns()), (6, 20_000_100_005));
        histogram.add(u64::MAX);
        assert_eq!(histogram.sum_ns(), u64::MAX);
    }

    #[test]
    fn the_bucket_is_the_one_that_a_search_finds() {
        let ends = BUCKETS.iter().flat_map(|(end_ns, _)| [end_ns - 1, *end_ns, end_ns + 1]);
        let powers = (0..u64::BITS).flat_map(|bit| [(1 << bit) - 1, 1 << bit]);
        for ns in ends.chain(powers).chain([u64::MAX]) {
            let mut histogram = Histogram::default();
            histogram.add(ns);
            let bucket = BUCKETS.partition_point(|(end_ns, _)| *end_ns < ns);
            assert_eq!(histogram.counts[bucket], 1, "{ns}");
        }
    }

    #[test]
    fn the_texts_are_the_ends() {
        assert!(BUCKETS.is_sorted());
        for (ns, text) in BUCKETS {
            let seconds: f64 = text.parse().expect("a number");
            assert!((seconds * 1e9 - ns as f64).abs() < 1e-3, "{text}");
        }
    }
}
