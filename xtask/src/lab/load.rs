//! The load generator: a thread for each connection, in the network namespace of the one that
//! calls.
//!
//! It shares the computer with the machine it drives, so it does little for an answer: two system
//! calls, a look at the head, and the comparison of the body.

use std::io;
use std::net::SocketAddr;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::LabError;
use super::call::Call;
use crate::connection::Connection;

/// Latencies are kept in nanoseconds, to this many digits and up to an hour.
const DIGITS: u8 = 3;
const LATENCY_MAX: u64 = 3600 * 1_000_000_000;

/// When a connection sends its next request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As soon as the answer is there.
    Closed,
    /// Likewise, but on a new connection each time.
    NewConnections,
    /// At fixed times, all connections together this often in a second. A request that could not be
    /// sent in time waits, and its latency says so.
    PerSecond(f64),
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Connections, each with one request under way at most.
    pub connections: u32,
    /// How they send.
    pub pace: Pace,
    /// How long to drive before anything counts.
    pub warm_up: Duration,
    /// How long to send after that. What is under way at the end is waited for and counts, for of
    /// containers nothing else may be left.
    pub duration: Duration,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Answers in a second.
    pub per_second: f64,
    /// From a request to the end of its answer, in nanoseconds.
    pub latencies: Histogram<u64>,
}

impl Outcome {
    /// The latency in nanoseconds that this share of the requests did not exceed.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        self.latencies.value_at_quantile(share) as f64
    }

    /// Points of the distribution: latency in nanoseconds, and the share that did not exceed it.
    #[must_use]
    pub fn distribution(&self) -> Vec<(f64, f64)> {
        const STEPS: [f64; 4] = [0.99, 0.995, 0.999, 0.9999];
        let percents = (0..99).map(|percent| f64::from(percent) / 100.0);
        percents.chain(STEPS).map(|share| (self.quantile(share), share)).collect()
    }
}

/// Drives a server with a call. An answer that is not the right one ends it.
///
/// # Errors
/// [`LabError::Answer`]: the first wrong or missing answer.
pub fn drive(address: SocketAddr, call: &Call, load: Load) -> Result<Outcome, LabError> {
    let barrier = Barrier::new(load.connections as usize);
    let counted: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..load.connections)
            .map(|number| {
                let barrier = &barrier;
                scope.spawn(move || {
                    let opened = Client::open(address);
                    // Who could not connect must not leave the others waiting.
                    barrier.wait();
                    let client = opened.map_err(|error| call.wrong(error))?;
                    run(client, call, load, number)
                })
            })
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join().expect("it does not panic"));
        joined.collect::<Result<_, _>>()
    })?;
    let mut latencies = histogram();
    let mut elapsed = load.duration;
    for part in &counted {
        latencies.add(&part.latencies).map_err(|error| call.wrong(error))?;
        elapsed = elapsed.max(part.elapsed);
    }
    if latencies.is_empty() {
        return Err(call.wrong(format!("none in {elapsed:?}")));
    }
    let per_second = latencies.len() as f64 / elapsed.as_secs_f64();
    Ok(Outcome { per_second, latencies })
}

/// Sends as many calls at once, each on a connection of its own that is open already, and returns
/// the time until the last is answered.
///
/// # Errors
/// See [`drive`].
pub fn burst(address: SocketAddr, call: &Call, count: u32) -> Result<Duration, LabError> {
    let failed = |error| call.wrong(error);
    let open = |_| Client::open(address).map_err(failed);
    let mut clients: Vec<_> = (0..count).map(open).collect::<Result<_, _>>()?;
    for client in &mut clients {
        client.send(call.keep_alive()).map_err(failed)?;
        client.receive(call)?;
    }
    let begin = Instant::now();
    for client in &mut clients {
        client.send(call.keep_alive()).map_err(failed)?;
    }
    for client in &mut clients {
        client.receive(call)?;
    }
    Ok(begin.elapsed())
}

/// One connection's part of an outcome.
struct Part {
    latencies: Histogram<u64>,
    /// From the end of the warm-up to the last answer.
    elapsed: Duration,
}

fn run(mut client: Client, call: &Call, load: Load, number: u32) -> Result<Part, LabError> {
    let failed = |error| call.wrong(error);
    let begin = Instant::now();
    let counted_from = begin + load.warm_up;
    let end = counted_from + load.duration;
    let mut part = Part { latencies: histogram(), elapsed: Duration::ZERO };
    for turn in 0_u32.. {
        let due = match load.pace {
            Pace::Closed | Pace::NewConnections => Instant::now(),
            Pace::PerSecond(rate) => {
                let gap = Duration::from_secs_f64(f64::from(load.connections) / rate);
                let due = begin + gap * turn + gap * number / load.connections;
                thread::sleep(due.saturating_duration_since(Instant::now()));
                due
            }
        };
        if due >= end {
            break;
        }
        if load.pace == Pace::NewConnections {
            client = Client::open(client.address).map_err(failed)?;
            client.send(call.closing()).map_err(failed)?;
        } else {
            client.send(call.keep_alive()).map_err(failed)?;
        }
        client.receive(call)?;
        let answered = Instant::now();
        if answered >= counted_from {
            let latency = answered.saturating_duration_since(due).as_nanos();
            part.latencies.saturating_record(u64::try_from(latency).unwrap_or(u64::MAX));
            part.elapsed = answered - counted_from;
        }
    }
    Ok(part)
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(LATENCY_MAX, DIGITS).expect("these are bounds that it takes")
}

struct Client {
    address: SocketAddr,
    connection: Connection,
}

impl Client {
    fn open(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { address, connection: Connection::open(address)? })
    }

    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.connection.send(request)
    }

    /// Waits for one answer, after which nothing else may have come: nothing was asked for.
    fn receive(&mut self, call: &Call) -> Result<(), LabError> {
        let answer = self.connection.receive_in_place();
        let (head, body) = answer.map_err(|error| call.wrong(error))?;
        call.check(head.status, body)?;
        match self.connection.has_more() {
            true => Err(call.wrong("more than one answer")),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    const ANSWER: &[u8] =
        b"HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n{\"greeting\":\"Hello, you!\"}";
    const BRIEFLY: Duration = Duration::from_millis(100);

    /// A server that answers everything it reads with `answer`.
    fn server(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    while stream.read(&mut buffer).is_ok_and(|len| len > 0) {
                        if stream.write_all(answer).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        address
    }

    fn load(pace: Pace) -> Load {
        Load { connections: 2, pace, warm_up: Duration::ZERO, duration: BRIEFLY }
    }

    #[test]
    fn every_pace_counts_answers_and_orders_quantiles() {
        let address = server(ANSWER);
        for pace in [Pace::Closed, Pace::NewConnections, Pace::PerSecond(200.0)] {
            let outcome = drive(address, &Call::hello(), load(pace)).expect("right answers");
            assert!(outcome.per_second > 0.0, "{pace:?}");
            assert!(outcome.quantile(0.5) > 1000.0, "{pace:?}: an answer takes a microsecond");
            assert!(outcome.quantile(0.5) <= outcome.quantile(0.99), "{pace:?}");
            assert!(outcome.distribution().is_sorted(), "{pace:?}");
        }
        assert!(burst(address, &Call::hello(), 3).is_ok());
    }

    #[test]
    fn a_wrong_answer_ends_the_measurement() {
        let wrong = server(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
        let error = drive(wrong, &Call::hello(), load(Pace::Closed)).expect_err("it is wrong");
        assert!(error.to_string().contains("500"), "{error}");
        let twice = server(
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n\
              HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        );
        assert!(burst(twice, &Call::function("x", b""), 1).is_err());
    }
}
