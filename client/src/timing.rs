//! Where the time of an invocation went, as the node reports it in `Server-Timing`.

use std::fmt;
use std::time::Duration;

/// The parts of an invocation. A part the node did not report is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// Waiting for a core.
    pub queue: Option<Duration>,
    /// Building the address space.
    pub load: Option<Duration>,
    /// Running the action.
    pub run: Option<Duration>,
    /// From the request's last byte to the answer's first.
    pub total: Option<Duration>,
}

impl Timing {
    /// Reads a header value such as `queue;dur=0.02, run;dur=0.34`, in milliseconds. What it does
    /// not understand it passes over: timing is never a reason to fail.
    #[must_use]
    pub fn parse(header: &str) -> Self {
        let mut timing = Self::default();
        for metric in header.split(',') {
            let mut parameters = metric.split(';').map(str::trim);
            let slot = match parameters.next() {
                Some("queue") => &mut timing.queue,
                Some("load") => &mut timing.load,
                Some("run") => &mut timing.run,
                Some("total") => &mut timing.total,
                _ => continue,
            };
            *slot = parameters
                .find_map(|parameter| parameter.strip_prefix("dur="))
                .and_then(|milliseconds| milliseconds.parse::<f64>().ok())
                .and_then(|milliseconds| Duration::try_from_secs_f64(milliseconds / 1e3).ok());
        }
        timing
    }

    /// The parts by name, in the order in which they happen; last the total.
    #[must_use]
    pub const fn parts(&self) -> [(&'static str, Option<Duration>); 4] {
        [("queue", self.queue), ("load", self.load), ("run", self.run), ("total", self.total)]
    }
}

impl fmt::Display for Timing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (name, duration) in self.parts() {
            if let Some(duration) = duration {
                let milliseconds = duration.as_secs_f64() * 1e3;
                write!(formatter, "{separator}{name} {milliseconds:.3} ms")?;
                separator = ", ";
            }
        }
        if separator.is_empty() {
            formatter.write_str("the node reported no timing")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_of_a_node_is_read() {
        let timing = Timing::parse("queue;dur=0.02, load;dur=0.11, run;dur=0.34, total;dur=0.52");
        assert_eq!(timing.queue, Some(Duration::from_micros(20)));
        assert_eq!(timing.total, Some(Duration::from_micros(520)));
        assert_eq!(
            timing.to_string(),
            "queue 0.020 ms, load 0.110 ms, run 0.340 ms, total 0.520 ms"
        );
    }

    #[test]
    fn nonsense_is_passed_over() {
        for header in ["", "run", "run;dur=", "run;dur=-1", "run;dur=NaN", ";;,,", "x;dur=1"] {
            assert_eq!(Timing::parse(header), Timing::default(), "{header}");
        }
        let timing = Timing::parse(r#"cache;desc="a", run;desc=x;dur=1"#);
        assert_eq!(timing.run, Some(Duration::from_millis(1)));
    }
}
