//! The good client, which wants nothing but `hello`, and wants it in time.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use system_tests::{Connection, request};

/// How long an answer may take, connecting included: not a promise, but less than a hang.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause between two questions, so that the client is not an attack itself.
const PAUSE: Duration = Duration::from_millis(10);

/// A thread that asks until it is dropped.
pub struct GoodClient {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    answers: AtomicU64,
    slowest_ms: AtomicU64,
    failure: Mutex<Option<String>>,
}

impl GoodClient {
    /// Begins to ask the node at `address`, in the network of the calling thread.
    pub fn start(address: SocketAddr) -> Self {
        let shared = Arc::new(Shared::default());
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                if let Err(reason) = shared.ask(address) {
                    *shared.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
                }
            }
        });
        Self { shared, thread: Some(thread) }
    }

    /// Good answers so far.
    pub fn answers(&self) -> u64 {
        self.shared.answers.load(Ordering::Relaxed)
    }

    /// The longest wait for an answer since the last call.
    pub fn take_slowest(&self) -> Duration {
        Duration::from_millis(self.shared.slowest_ms.swap(0, Ordering::Relaxed))
    }

    /// Panics if the client was served badly.
    #[track_caller]
    pub fn assert_served(&self, attack: &str) {
        let failure = self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(failure.is_none(), "{attack}: {}", failure.as_deref().unwrap_or_default());
    }

    /// Waits for further good answers.
    pub fn wait(&self, answers: u64, attack: &str) {
        let (wanted, end) = (self.answers() + answers, Instant::now() + 4 * ANSWER_TIMEOUT);
        while self.answers() < wanted {
            self.assert_served(attack);
            assert!(Instant::now() < end, "{attack}: no answers afterwards");
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for GoodClient {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // What the thread has to say was said by `assert_served`.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn ask(&self, address: SocketAddr) -> Result<(), String> {
        let mut kept = None;
        while !self.stop.load(Ordering::Relaxed) {
            self.time("a new connection", || greet_anew(address))?;
            self.time("the kept connection", || {
                if kept.is_none() {
                    kept = Some(connect(address)?);
                }
                kept.as_mut().map_or(Ok(()), |kept| greet(kept, "keep-alive"))
            })?;
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn time(&self, what: &str, ask: impl FnOnce() -> io::Result<()>) -> Result<(), String> {
        let begin = Instant::now();
        let result = ask();
        let took = begin.elapsed();
        match result {
            Ok(()) if took < ANSWER_TIMEOUT => {
                self.answers.fetch_add(1, Ordering::Relaxed);
                self.slowest_ms.fetch_max(took.as_millis() as u64, Ordering::Relaxed);
                Ok(())
            }
            Ok(()) => Err(format!("{what}: the answer took {took:?}")),
            Err(error) => Err(format!("{what}: {error} after {took:?}")),
        }
    }
}

fn connect(address: SocketAddr) -> io::Result<Connection> {
    let connection = Connection::open(address)?;
    connection.stream().set_read_timeout(Some(ANSWER_TIMEOUT))?;
    Ok(connection)
}

/// Greets on a connection of its own. A node that is flooded with connects may give up one that is
/// not complete yet for a newer one; then an ordinary client tries again.
fn greet_anew(address: SocketAddr) -> io::Result<()> {
    let end = Instant::now() + ANSWER_TIMEOUT;
    loop {
        match connect(address).and_then(|mut connection| greet(&mut connection, "close")) {
            Err(error) if is_refusal(&error) && Instant::now() < end => thread::sleep(PAUSE),
            result => return result,
        }
    }
}

fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused)
}

fn greet(connection: &mut Connection, then: &str) -> io::Result<()> {
    let header = format!("Connection: {then}");
    connection.send(&request("POST", "/function/hello", &[&header], br#"{"name":"you"}"#))?;
    let answer = connection.receive()?;
    if (answer.status, answer.text().as_str()) != (200, r#"{"greeting":"Hello, you!"}"#) {
        return Err(io::Error::other(format!("{} {}", answer.status, answer.text())));
    }
    Ok(())
}
