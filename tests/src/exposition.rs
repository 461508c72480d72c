//! Whether a text is what Prometheus reads: the rules of its text format, version 0.0.4, and of
//! names and units. Stricter than `promtool check metrics` in what a histogram adds up to.

use std::collections::{HashMap, HashSet};

/// The value of each sample, by its name with labels.
///
/// # Panics
/// If a rule is broken; the message names line and rule.
pub fn samples(text: &str) -> HashMap<String, f64> {
    assert!(text.ends_with('\n'), "the last line has no end");
    let mut families = HashSet::new();
    let mut family = (String::new(), String::new());
    let mut help = String::new();
    let mut samples = HashMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, text) = rest.split_once(' ').expect("a name and a text");
            assert!(!text.is_empty() && families.insert(name.to_owned()), "twice: {line}");
            help = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a kind");
            assert!(name == help && is_name(name), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            family = (name.to_owned(), kind.to_owned());
        } else {
            let (sample, value) = line.rsplit_once(' ').expect("a name and a value");
            let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
            let is_histogram = family.1 == "histogram";
            let suffix = name.strip_prefix(family.0.as_str());
            let suffixes: &[&str] =
                if is_histogram { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(suffix.is_some_and(|suffix| suffixes.contains(&suffix)), "stray: {line}");
            check_labels(labels, line);
            let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
            assert!(samples.insert(sample.to_owned(), value).is_none(), "twice: {line}");
        }
    }
    check_histograms(text, &samples);
    samples
}

fn is_name(name: &str) -> bool {
    let is_start = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    name.as_bytes().first().is_some_and(is_start)
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn check_labels(labels: &str, line: &str) {
    let mut rest = labels.strip_suffix('}').expect("a closing brace");
    while !rest.is_empty() {
        let (name, value) = rest.split_once("=\"").unwrap_or_else(|| panic!("labels: {line}"));
        assert!(is_name(name), "{line}");
        let mut end = value.char_indices();
        let closing = loop {
            match end.next() {
                Some((_, '\\')) => {
                    let escaped = end.next().map(|(_, char)| char);
                    assert!(matches!(escaped, Some('\\' | '"' | 'n')), "{line}");
                }
                Some((at, '"')) => break at,
                Some(_) => {}
                None => panic!("an open quote: {line}"),
            }
        };
        let after = &value[closing + 1..];
        rest = after.strip_prefix(',').unwrap_or(after);
        assert!(after.is_empty() || !rest.is_empty(), "{line}");
    }
}

fn check_histograms(text: &str, samples: &HashMap<String, f64>) {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    for name in types.filter_map(|line| line.strip_suffix(" histogram")) {
        let bucket = format!("{name}_bucket{{le=\"");
        let ends: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix(&bucket)?.split_once('"').map(|(end, _)| end))
            .collect();
        let counts: Vec<f64> =
            ends.iter().map(|end| samples[&format!("{bucket}{end}\"}}")]).collect();
        assert!(counts.is_sorted(), "{name} is not cumulative: {counts:?}");
        assert_eq!(ends.last(), Some(&"+Inf"), "{name}");
        assert_eq!(counts.last(), samples.get(&format!("{name}_count")), "{name}");
        assert!(samples.contains_key(&format!("{name}_sum")), "{name}");
    }
}
