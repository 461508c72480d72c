//! What a node counts: the samples of `/metrics`, in the text format of Prometheus.

use std::collections::BTreeMap;

/// The samples of one reading. A node that does not count something has no sample of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    samples: Vec<Sample>,
}

#[derive(Clone, Debug, PartialEq)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Metrics {
    /// Reads the text format; lines that are not samples are passed over.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self { samples: lines.filter_map(sample).collect() }
    }

    /// The sum of a family over all its labels.
    #[must_use]
    pub fn sum(&self, name: &str) -> Option<f64> {
        self.family(name).map(|sample| sample.value).reduce(|sum, value| sum + value)
    }

    /// The sum of a family for each value of a label.
    #[must_use]
    pub fn by(&self, name: &str, label: &str) -> BTreeMap<&str, f64> {
        let mut sums = BTreeMap::new();
        for sample in self.family(name) {
            if let Some(key) = sample.labels.get(label) {
                *sums.entry(key.as_str()).or_default() += sample.value;
            }
        }
        sums
    }

    /// Only the samples that have this value of a label.
    #[must_use]
    pub fn with(&self, label: &str, value: &str) -> Self {
        let has = |sample: &&Sample| sample.labels.get(label).is_some_and(|other| other == value);
        Self { samples: self.samples.iter().filter(has).cloned().collect() }
    }

    /// The value of a label of a family's first sample, as `..._info` families carry it.
    #[must_use]
    pub fn label(&self, name: &str, label: &str) -> Option<&str> {
        self.family(name).find_map(|sample| sample.labels.get(label)).map(String::as_str)
    }

    /// A histogram, over all its labels.
    #[must_use]
    pub fn histogram(&self, name: &str) -> Histogram {
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for sample in self.family(&format!("{name}_bucket")) {
            let Some(bound) = sample.labels.get("le").and_then(|bound| bound.parse().ok()) else {
                continue;
            };
            match buckets.iter_mut().find(|(other, _)| *other == bound) {
                Some((_, count)) => *count += sample.value,
                None => buckets.push((bound, sample.value)),
            }
        }
        buckets.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        Histogram { buckets }
    }

    /// What has been added since an earlier reading. Where a sample is smaller than before, the
    /// node has started anew, and all of it is new. Meaningless for gauges.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let known: BTreeMap<_, _> =
            earlier.samples.iter().map(|one| ((&one.name, &one.labels), one.value)).collect();
        let mut difference = self.clone();
        for (new, sample) in difference.samples.iter_mut().zip(&self.samples) {
            let before = known.get(&(&sample.name, &sample.labels)).copied().unwrap_or_default();
            if sample.value >= before {
                new.value -= before;
            }
        }
        difference
    }

    fn family<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| sample.name == name)
    }
}

/// How many observations were at most as large as each of some bounds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Bound and cumulative count, by growing bound; the last bound is infinite.
    buckets: Vec<(f64, f64)>,
}

impl Histogram {
    /// How many observations there are.
    #[must_use]
    pub fn count(&self) -> f64 {
        self.buckets.last().map_or(0.0, |(_, count)| *count)
    }

    /// The value that this share of the observations did not exceed, interpolated within its
    /// bucket as Prometheus does; `None` without observations.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let rank = self.count() * share;
        let at = self.buckets.iter().position(|(_, count)| *count >= rank && *count > 0.0)?;
        let (below, count_below) = at.checked_sub(1).map_or((0.0, 0.0), |at| self.buckets[at]);
        let (bound, count) = self.buckets[at];
        if bound.is_infinite() {
            return Some(below);
        }
        Some(below + (bound - below) * (rank - count_below) / (count - count_below))
    }
}

/// Reads `name{label="value",…} 1.5`.
fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.insert(label.trim_start_matches([',', ' ']).to_owned(), value);
            rest = after.trim_start_matches(',');
        }
        rest = &rest[1..];
    }
    let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// A label's value up to its closing quote, unescaped, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    loop {
        match characters.next()? {
            (at, '"') => return Some((value, &text[at + 1..])),
            (_, '\\') => match characters.next()? {
                (_, 'n') => value.push('\n'),
                (_, other) => value.push(other),
            },
            (_, other) => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP a_total Help {with} \"signs\".\n# TYPE a_total counter\n\
        a_total{action=\"hello\",outcome=\"ok\"} 3\na_total{action=\"he\\\"l\\\\o\"} 4 1700000000\n\
        gauge 1.5e3\nd_bucket{le=\"0.1\"} 0\nd_bucket{le=\"0.2\"} 10\nd_bucket{le=\"+Inf\"} 20\n";

    #[test]
    fn samples_are_read() {
        let metrics = Metrics::parse(TEXT);
        assert_eq!(metrics.sum("a_total"), Some(7.0));
        assert_eq!(metrics.sum("gauge"), Some(1500.0));
        assert_eq!(metrics.sum("a"), None);
        assert_eq!(
            metrics.by("a_total", "action"),
            BTreeMap::from([("hello", 3.0), ("he\"l\\o", 4.0)])
        );
        assert_eq!(metrics.label("a_total", "outcome"), Some("ok"));
    }

    #[test]
    fn quantiles_lie_within_their_bucket() {
        let histogram = Metrics::parse(TEXT).histogram("d");
        assert_eq!(histogram.count(), 20.0);
        let quantile = histogram.quantile(0.25).expect("observations");
        assert!((quantile - 0.15).abs() < 1e-9, "{quantile}");
        assert_eq!(histogram.quantile(0.99), Some(0.2));
        assert_eq!(Metrics::default().histogram("d").quantile(0.5), None);
        let none = Metrics::parse("d_bucket{le=\"1\"} 0\nd_bucket{le=\"+Inf\"} 0\n");
        assert_eq!(none.histogram("d").quantile(0.5), None);
    }

    #[test]
    fn differences_survive_a_restart_of_the_node() {
        let earlier = Metrics::parse("a 5\nb 5\n");
        let later = Metrics::parse("a 7\nb 3\nc 2\n").since(&earlier);
        assert_eq!(
            (later.sum("a"), later.sum("b"), later.sum("c")),
            (Some(2.0), Some(3.0), Some(2.0))
        );
    }

    #[test]
    fn nonsense_is_passed_over() {
        for text in
            ["", "a", "a{", "a{b", "a{b=\"", "a{b=\"c", "a{b=\"c\"", "a{b=\"c\"}", "a x", "{} 1x"]
        {
            assert_eq!(Metrics::parse(text), Metrics::default(), "{text}");
        }
    }
}
