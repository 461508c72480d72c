//! The server: a thread for each core, each with its own `epoll` and connections.
//!
//! Every thread waits for new connections too. One that has more connections than another hands a
//! new one over, so that few connections keep all threads busy, while a client that connects for
//! each request is served by the thread that accepted it.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::connection::{Connection, Scratch, State};
use crate::peer::Peers;

/// The port on which hostkernel serves too.
const PORT: u16 = 3233;
/// Events taken at once.
const EVENTS_MAX: usize = 64;
/// The event of the listener; those of connections carry their file descriptor.
const LISTENER: u64 = u64::MAX;

/// What others may touch of a thread.
struct Mailbox {
    epoll: Epoll,
    /// Connections it has or is about to get.
    connections: AtomicUsize,
    /// Connections it has been given and has not looked at.
    given: Mutex<Vec<TcpStream>>,
}

struct Thread<'a> {
    number: usize,
    mailboxes: &'a [Mailbox],
    listener: &'a TcpListener,
    peers: Peers,
    connections: HashMap<u64, Connection>,
    scratch: Scratch,
}

/// Serves until something is wrong with the system.
///
/// # Errors
/// What that is.
pub fn run() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT))?;
    listener.set_nonblocking(true)?;
    let threads = thread::available_parallelism()?.get();
    let mut mailboxes = Vec::new();
    for _ in 0..threads {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLEXCLUSIVE;
        epoll.add(&listener, EpollEvent::new(flags, LISTENER))?;
        mailboxes.push(Mailbox {
            epoll,
            connections: AtomicUsize::new(0),
            given: Mutex::new(Vec::new()),
        });
    }
    let (listener, mailboxes) = (&listener, &mailboxes[..]);
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|number| scope.spawn(move || Thread::new(number, mailboxes, listener)?.run()))
            .collect();
        for thread in running {
            thread.join().map_err(|_| io::Error::other("a thread has panicked"))??;
        }
        Ok(())
    })
}

impl<'a> Thread<'a> {
    fn new(number: usize, mailboxes: &'a [Mailbox], listener: &'a TcpListener) -> io::Result<Self> {
        let peers = Peers::new(number)?;
        let connections = HashMap::new();
        Ok(Self { number, mailboxes, listener, peers, connections, scratch: Scratch::default() })
    }

    fn run(mut self) -> io::Result<()> {
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        loop {
            let count = match self.own().epoll.wait(&mut events, EpollTimeout::NONE) {
                Err(Errno::EINTR) => 0,
                result => result?,
            };
            for event in &events[..count] {
                match event.data() {
                    LISTENER => self.accept()?,
                    connection => self.serve(connection),
                }
            }
        }
    }

    fn own(&self) -> &'a Mailbox {
        &self.mailboxes[self.number]
    }

    fn accept(&self) -> io::Result<()> {
        let stream = match self.listener.accept() {
            Ok((stream, _)) => stream,
            // Another thread was quicker, or the client is gone again.
            Err(error) if may_happen(error.kind()) => return Ok(()),
            Err(error) => return Err(error),
        };
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let load = |mailbox: &&Mailbox| mailbox.connections.load(Ordering::Relaxed);
        let idlest = self.mailboxes.iter().min_by_key(load).unwrap_or(self.own());
        let chosen = if load(&idlest) < load(&self.own()) { idlest } else { self.own() };
        chosen.connections.fetch_add(1, Ordering::Relaxed);
        let descriptor = stream.as_raw_fd();
        let key = u64::from(descriptor.unsigned_abs());
        let event = EpollEvent::new(EpollFlags::EPOLLIN, key);
        let mut given = chosen.given.lock().unwrap_or_else(PoisonError::into_inner);
        // The lock is kept until the connection is on the list: its first event may come at once.
        chosen.epoll.add(&stream, event)?;
        given.push(stream);
        Ok(())
    }

    fn serve(&mut self, key: u64) {
        if !self.connections.contains_key(&key) {
            let mut given = self.own().given.lock().unwrap_or_else(PoisonError::into_inner);
            for stream in given.drain(..) {
                let key = u64::from(stream.as_raw_fd().unsigned_abs());
                self.connections.insert(key, Connection::new(stream));
            }
        }
        let Some(connection) = self.connections.get_mut(&key) else {
            return;
        };
        if connection.serve(&self.peers, &mut self.scratch) == State::Done {
            // Closing it takes it out of the epoll as well.
            self.connections.remove(&key);
            self.own().connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn may_happen(error: ErrorKind) -> bool {
    matches!(error, ErrorKind::WouldBlock | ErrorKind::ConnectionAborted | ErrorKind::Interrupted)
}
