//! The load generator: a thread for each connection.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::connection::{Address, Connection, Kind};
use crate::failure::{Exit, Failure};

/// Latencies are kept in nanoseconds, to this many digits and up to an hour.
const DIGITS: u8 = 3;
const LATENCY_NS_MAX: u64 = 3600 * 1_000_000_000;
/// Pause after a connection could not be opened, so that a dead node does not make us spin.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_millis(10);

/// What to do.
pub struct Load {
    pub address: Address,
    pub request: Vec<u8>,
    pub connections: u32,
    /// How long requests are sent. What is under way at the end is waited for.
    pub duration: Duration,
    pub requests: Option<u64>,
    /// Requests due in a second; closed loop if absent.
    pub rate: Option<f64>,
}

/// What came of it.
pub struct Tally {
    /// From when a request was due to the end of its answer. Successes only, as is the next.
    pub latency: Histogram<u64>,
    /// From when it was sent.
    pub service: Histogram<u64>,
    pub errors: BTreeMap<String, u64>,
    /// From the first request to the last answer, but no longer than requests were sent.
    pub elapsed: Duration,
    /// Successes in that time. What was under way at its end has a latency, and no part in a rate.
    in_time: u64,
}

impl Tally {
    pub fn per_second(&self) -> f64 {
        self.in_time as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    fn new() -> Self {
        let histogram = || {
            Histogram::new_with_bounds(1, LATENCY_NS_MAX, DIGITS)
                .expect("an hour of nanoseconds to three digits fits a histogram")
        };
        Self {
            latency: histogram(),
            service: histogram(),
            errors: BTreeMap::new(),
            elapsed: Duration::ZERO,
            in_time: 0,
        }
    }

    fn fail(&mut self, kind: &Kind, count: u64) {
        *self.errors.entry(kind.to_string()).or_default() += count;
    }

    fn add(&mut self, other: &Self) {
        // The same bounds, so nothing can be out of range.
        self.latency += &other.latency;
        self.service += &other.service;
        for (kind, count) in &other.errors {
            *self.errors.entry(kind.clone()).or_default() += count;
        }
        self.elapsed = self.elapsed.max(other.elapsed);
        self.in_time += other.in_time;
    }
}

impl Load {
    pub fn drive(&self) -> Result<Tally, Failure> {
        // Connecting is not what is measured, and happens before the clock starts: one after the
        // other, since some accept one at a time and let the others wait for a second or more.
        let probe = self.address.probe();
        let open = |_| {
            let mut connection = Connection::open(&self.address)?;
            let (_, stays_open) = connection.exchange(&probe)?;
            Ok(stays_open.then_some(connection))
        };
        let connections: Vec<Result<_, Kind>> = (0..self.connections).map(open).collect();
        if connections.iter().all(Result::is_err) {
            let message = format!("no connection to {} can be opened", self.address.host);
            return Err(Failure::new(Exit::Unreachable, message));
        }
        let shared = Shared {
            next: AtomicU64::new(0),
            begin: OnceLock::new(),
            barrier: Barrier::new(connections.len()),
        };
        let mut sum = Tally::new();
        thread::scope(|scope| {
            let start = |connection: Result<Option<Connection>, Kind>| {
                let shared = &shared;
                scope.spawn(move || self.run(connection.ok().flatten(), shared))
            };
            let threads: Vec<_> = connections.into_iter().map(start).collect();
            for thread in threads {
                sum.add(&thread.join().expect("a generator thread does not panic"));
            }
        });
        // What was due and found no free connection was not answered, and must not vanish.
        let sent = sum.latency.len() + sum.errors.values().sum::<u64>();
        let unsent = self.due().map_or(0, |due| due.saturating_sub(sent));
        if unsent > 0 {
            sum.fail(&Kind::Unsent, unsent);
        }
        Ok(sum)
    }

    /// How many requests are due until the end, in the open loop.
    fn due(&self) -> Option<u64> {
        let due = (self.rate? * self.duration.as_secs_f64()).ceil() as u64;
        Some(self.requests.map_or(due, |requests| requests.min(due)))
    }

    fn run(&self, mut connection: Option<Connection>, shared: &Shared) -> Tally {
        let mut tally = Tally::new();
        shared.barrier.wait();
        let begin = *shared.begin.get_or_init(Instant::now);
        let end = begin + self.duration;
        let last = self.due().or(self.requests).unwrap_or(u64::MAX);
        loop {
            let number = shared.next.fetch_add(1, Ordering::Relaxed);
            let now = Instant::now();
            if number >= last || now >= end {
                break;
            }
            let due = match self.rate {
                Some(rate) => begin + Duration::from_secs_f64(number as f64 / rate),
                None => now,
            };
            thread::sleep(due.saturating_duration_since(now));
            let sent = Instant::now();
            match exchange(&mut connection, &self.address, &self.request) {
                Ok(()) => {
                    let now = Instant::now();
                    let nanoseconds = |from: Instant| now.duration_since(from).as_nanos() as u64;
                    tally.latency.saturating_record(nanoseconds(due));
                    tally.service.saturating_record(nanoseconds(sent));
                    tally.in_time += u64::from(now <= end);
                }
                Err(kind) => {
                    // An answer leaves the connection usable; everything else does not.
                    if !matches!(kind, Kind::Status(_)) {
                        connection = None;
                    }
                    if matches!(kind, Kind::Connect) {
                        thread::sleep(PAUSE_AFTER_REFUSAL);
                    }
                    tally.fail(&kind, 1);
                }
            }
        }
        tally.elapsed = begin.elapsed().min(self.duration);
        tally
    }
}

/// What the threads share.
struct Shared {
    /// Number of the next request.
    next: AtomicU64,
    begin: OnceLock<Instant>,
    barrier: Barrier,
}

fn exchange(
    connection: &mut Option<Connection>,
    address: &Address,
    request: &[u8],
) -> Result<(), Kind> {
    let open = match connection {
        Some(open) => open,
        None => connection.insert(Connection::open(address)?),
    };
    let (status, stays_open) = open.exchange(request)?;
    if !stays_open {
        *connection = None;
    }
    if status == 200 { Ok(()) } else { Err(Kind::Status(status)) }
}
