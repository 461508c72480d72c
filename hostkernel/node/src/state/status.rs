//! The status line of the screen: what it says, and when it is renewed.
//!
//! It follows changes, at most once in [`STATUS_INTERVAL_MS`], and the minutes. So a node with
//! nothing to do wakes once a minute for it, and one without a screen never.

use core::fmt;
use core::net::Ipv4Addr;

use crate::state::Readiness;
use limits::STATUS_INTERVAL_MS;

const INTERVAL_NS: u64 = STATUS_INTERVAL_MS * 1_000_000;
const SECOND_NS: u64 = 1_000_000_000;
const MINUTE_NS: u64 = 60 * SECOND_NS;

/// What changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Whether the node serves.
    pub readiness: Readiness,
    /// Where.
    pub address: Option<Ipv4Addr>,
    /// Deployed actions.
    pub actions: usize,
    /// Invocations under way.
    pub in_flight: usize,
    /// Requests since the boot.
    pub requests: u64,
}

/// The line, as it is now.
#[derive(Clone, Copy, Debug)]
pub struct StatusLine {
    port: u16,
    shown: Option<Figures>,
    shown_ns: u64,
    requests_per_s: u64,
}

impl StatusLine {
    /// The status of a node that serves at `port`; nothing is shown yet.
    #[must_use]
    pub const fn new(port: u16) -> Self {
        Self { port, shown: None, shown_ns: 0, requests_per_s: 0 }
    }

    /// Takes the figures of this moment. Returns whether the line is to be shown now, and when to
    /// ask again at the latest.
    pub fn update(&mut self, now_ns: u64, figures: Figures) -> (bool, u64) {
        let next_minute_ns = (self.shown_ns / MINUTE_NS + 1) * MINUTE_NS;
        let changed = self.shown != Some(figures) || self.requests_per_s != 0;
        let due_ns = match self.shown {
            None => now_ns,
            Some(_) if changed => next_minute_ns.min(self.shown_ns + INTERVAL_NS),
            Some(_) => next_minute_ns,
        };
        if now_ns < due_ns {
            return (false, due_ns);
        }
        let before = self.shown.map_or(figures.requests, |shown| shown.requests);
        let requests = u128::from(figures.requests.saturating_sub(before));
        let elapsed_ns = u128::from((now_ns - self.shown_ns).max(1));
        self.requests_per_s = (requests * u128::from(SECOND_NS)).div_ceil(elapsed_ns) as u64;
        (self.shown, self.shown_ns) = (Some(figures), now_ns);
        let next_ns = (now_ns / MINUTE_NS + 1) * MINUTE_NS;
        let settled = self.requests_per_s == 0;
        (true, if settled { next_ns } else { next_ns.min(now_ns + INTERVAL_NS) })
    }

    /// The line, with memory in MiB: what is available, and all there is.
    #[must_use]
    pub fn line(&self, available_mib: usize, installed_mib: usize) -> impl fmt::Display {
        let status = *self;
        fmt::from_fn(move |f| status.write(f, available_mib, installed_mib))
    }

    /// Fits a screen of 80 columns, with figures of a usual size.
    fn write(&self, f: &mut fmt::Formatter<'_>, available: usize, installed: usize) -> fmt::Result {
        let Some(figures) = &self.shown else { return Ok(()) };
        f.write_str(match figures.readiness {
            Readiness::Booting => "booting",
            Readiness::Preparing => "preparing",
            Readiness::Ready => "ready",
            Readiness::Draining => "draining",
        })?;
        if let Some(address) = figures.address {
            write!(f, " {address}:{}", self.port)?;
        }
        let minutes = self.shown_ns / MINUTE_NS;
        let (days, hours, minutes) = (minutes / (24 * 60), minutes / 60 % 24, minutes % 60);
        f.write_str("  up ")?;
        if days > 0 {
            write!(f, "{days}d ")?;
        }
        let Figures { actions, in_flight, .. } = figures;
        let rate = self.requests_per_s;
        write!(f, "{hours}:{minutes:02}  {actions} actions  {in_flight} running  {rate}/s")?;
        write!(f, "  {available}/{installed} MiB free")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    const FIGURES: Figures = Figures {
        readiness: Readiness::Ready,
        address: Some(Ipv4Addr::new(10, 0, 2, 15)),
        actions: 3,
        in_flight: 0,
        requests: 0,
    };

    fn at(seconds: u64) -> u64 {
        seconds * SECOND_NS
    }

    #[test]
    fn an_idle_node_is_woken_once_a_minute() {
        let mut status = StatusLine::new(3233);
        assert_eq!(status.update(at(5), FIGURES), (true, at(60)));
        assert_eq!(status.update(at(6), FIGURES), (false, at(60)));
        assert_eq!(status.update(at(60), FIGURES), (true, at(120)));
    }

    #[test]
    fn a_busy_node_shows_its_rate_once_a_second_and_then_its_end() {
        let mut status = StatusLine::new(3233);
        assert!(status.update(at(5), FIGURES).0);
        let busy = Figures { requests: 1, ..FIGURES };
        assert_eq!(status.update(at(5) + 1, busy), (false, at(6)));
        let busy = Figures { requests: 100, ..FIGURES };
        assert_eq!(status.update(at(6), busy), (true, at(7)));
        assert!(status.line(1, 2).to_string().contains("  100/s  "));
        // Nothing happens any more: once more for the rate, then never again.
        assert_eq!(status.update(at(7), busy), (true, at(60)));
        assert!(status.line(1, 2).to_string().contains("  0/s  "));
        assert_eq!(status.update(at(8), busy), (false, at(60)));
    }

    #[test]
    fn the_line_fits_a_screen_of_80_columns() {
        let mut status = StatusLine::new(3233);
        assert!(status.update(at(90_000), FIGURES).0);
        let line = status.line(400, 512).to_string();
        let expected = "ready 10.0.2.15:3233  up 1d 1:00  3 actions  0 running  0/s  \
                        400/512 MiB free";
        assert_eq!(line, expected);
        assert!(line.len() <= 80, "{}", line.len());
    }

    #[test]
    fn no_moment_and_no_figure_is_too_large() {
        let mut status = StatusLine::new(u16::MAX);
        assert!(status.update(0, FIGURES).0);
        let most = Figures { requests: u64::MAX, in_flight: usize::MAX, ..FIGURES };
        let (shown, next_ns) = status.update(u64::MAX / 2, most);
        assert!(shown && next_ns > u64::MAX / 2);
        assert!(!status.line(usize::MAX, 0).to_string().is_empty());
    }
}
