//! A live node under hostile or merely heavy use, every answer checked.
//!
//! | module | what it does to the node |
//! |---|---|
//! | [`languages`] | calls functions in source code of several tenants, which mark all they reach |
//! | [`soak`] | a seeded mix of everything clients and actions do, for as long as one likes |
//! | [`images`] | deploys mutated images, and runs those that are accepted |
//! | [`requests`] | sends mutated requests |
//! | [`calls`] | runs the action `storm`, which makes random calls |
//!
//! All of them are functions of a seed. The commands `soak` and `fuzz` and the system tests run
//! them, for long and for short. Afterwards [`books::Books`] tells whether the node has everything
//! back that it had before. What is not as it must be is a [`Find`].

pub mod books;
pub mod calls;
pub mod images;
pub mod languages;
mod linux;
mod mix;
mod outcome;
pub mod random;
pub mod requests;
pub mod session;
pub mod soak;

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use crate::connection::request;
use crate::qemu::{Node, PowerOff};
use crate::workspace;
use session::{Limits, Session};

/// The action by which [`greet`] sees that the node works. No mutated request names it.
pub const CONTROL: &str = "control";

/// Something that is not as it must be, with what is needed to see it again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Find(String);

impl Find {
    /// A find, in words.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// The same with where it happened.
    #[must_use]
    pub fn during(self, what: &str) -> Self {
        Self(format!("{what}: {}", self.0))
    }
}

/// When enough was tried.
#[derive(Clone, Copy, Debug)]
pub enum Effort {
    /// After this many cases.
    Cases(u64),
    /// After this time.
    Time(Duration),
}

impl Effort {
    /// The numbers of the cases to try, from 0. `progress` hears each of them.
    fn cases(self, mut progress: impl FnMut(u64)) -> impl Iterator<Item = u64> {
        let start = Instant::now();
        (0..)
            .take_while(move |case| match self {
                Self::Cases(cases) => *case < cases,
                Self::Time(time) => start.elapsed() < time,
            })
            .inspect(move |case| progress(*case))
    }
}

/// Connections that are open at once before anything is counted: more than there will be, with
/// those that clients have left and the node has not yet closed. It keeps their buffers.
const CONNECTIONS_WARM: usize = 128;

/// Deploys [`CONTROL`], and lets the node allocate what it keeps: buffers of connections, lists of
/// workers. Before anything else, for all of it belongs to what the node has.
///
/// # Errors
/// A [`Find`] if the node refuses.
pub fn prepare(node: &Node) -> Result<(), Find> {
    let mut session = Session::open(node.address())?;
    session.deploy_sample(CONTROL, "hello", Limits::default())?;
    let mut sessions = Vec::new();
    for _ in 0..CONNECTIONS_WARM {
        sessions.push(Session::open(node.address())?);
    }
    // So many at once that every worker gets some.
    let request = request("POST", &format!("/function/{CONTROL}"), &[], b"{\"name\":\"all\"}");
    sessions.iter_mut().try_for_each(|session| session.send(&request))?;
    sessions.iter_mut().try_for_each(|session| match session.receive()?.status {
        200 => Ok(()),
        status => Err(Find::new(format!("{CONTROL} answers {status}"))),
    })
}

/// Calls [`CONTROL`]: the node, and a worker, are in order.
///
/// # Errors
/// A [`Find`] if they are not.
pub fn greet(session: &mut Session, name: &str) -> Result<(), Find> {
    let body = format!(r#"{{"name":"{name}"}}"#);
    let target = format!("/function/{CONTROL}");
    let answer = session.exchange("POST", &target, &[], body.as_bytes())?;
    let expected = format!(r#"{{"greeting":"Hello, {name}!"}}"#);
    if (answer.status, answer.text().as_str()) == (200, expected.as_str()) {
        return Ok(());
    }
    Err(Find::new(format!("{CONTROL} answers {} {}", answer.status, answer.text())))
}

/// Switches the node off and sees that it goes in order.
///
/// # Errors
/// A [`Find`] if it does not.
pub fn finish(node: &Node) -> Result<(), Find> {
    match node.power_off() {
        PowerOff::Clean => Ok(()),
        other => Err(Find::new(format!("the node did not switch itself off: {other:?}"))),
    }
}

/// The seeds of a kind, with their names, sorted.
fn corpus(kind: &str) -> Result<Vec<(String, Vec<u8>)>, Find> {
    let folder = workspace::root().join("fuzz/corpus").join(kind);
    let read = || -> io::Result<Vec<_>> {
        let mut seeds = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            seeds.push((entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?));
        }
        seeds.sort();
        Ok(seeds)
    };
    match read() {
        Ok(seeds) if !seeds.is_empty() => Ok(seeds),
        Ok(_) => Err(Find::new(format!("{}: no seeds", folder.display()))),
        Err(error) => Err(Find::new(format!("{}: {error}", folder.display()))),
    }
}
