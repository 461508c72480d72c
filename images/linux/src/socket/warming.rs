//! Warming a server up: it answers a request a few times before instances are made of it. What it
//! makes at its first requests, imports late or compiles is then in what each of them starts from.
//!
//! ```text
//!   program ─▶ waits for a connection ─▶ freeze
//!                ▲         │ so often: offered
//!                │         ▼
//!                └── the answer is over: its client leaves
//! ```
//!
//! The program does not see that nobody reads these answers. What they leave behind is in every
//! instance, which is why it has to be asked for.
#![forbid(unsafe_code)]

use alloc::format;
use alloc::string::String;

use super::answer::Unanswered;
use super::request::{self, Request};
use crate::limits::WARM_REQUESTS;
use crate::native::Native;
use crate::os::Os;
use crate::outcome::Break;
use crate::thread::{On, State, Wait};

/// In the environment of a preparation, in front: the head of the request.
const VARIABLE: &[u8] = b"HOSTKERNEL_WARM=";
/// What the result of a server begins with.
const STATUS: &[u8] = b"Status: ";
/// The first digits of a status that says that all is well.
const WELL: core::ops::RangeInclusive<u8> = b'2'..=b'3';

/// A request to warm up with.
#[derive(Clone, Copy, Debug)]
pub struct Warming {
    head: &'static [u8],
    /// How often it is still to be made.
    left: u32,
}

impl Warming {
    /// `GET /path`, for whoever reads what went wrong.
    fn name(&self) -> String {
        let line = self.head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let line = line.strip_suffix(b" HTTP/1.1").unwrap_or(line);
        String::from_utf8_lossy(line).into_owned()
    }
}

impl<N: Native> Os<N> {
    /// Takes the request out of the environment of a preparation, if there is one. What is left of
    /// that is the program's.
    pub(crate) fn expect_warming(&mut self, environment: &'static [u8]) -> &'static [u8] {
        let (head, environment) = request::part(VARIABLE, environment);
        self.sockets.warming = head.map(|head| Warming { head, left: WARM_REQUESTS });
        environment
    }

    /// The program could be frozen. Says whether it is to answer once more before that.
    ///
    /// # Errors
    /// [`Break::Refused`] for a program that listens to nobody.
    pub(crate) fn warm_up(&mut self) -> Result<bool, Break> {
        let Some(warming) = &mut self.sockets.warming else { return Ok(false) };
        if !self.sockets.exchange.is_server() {
            self.refuse_warming("finds no server: the program listens to nobody");
            return Err(Break::Refused);
        }
        if warming.left == 0 {
            // Its head is the kernel's, which takes it back.
            self.sockets.warming = None;
            return Ok(false);
        }
        warming.left -= 1;
        let request = Request::new(warming.head, &[]);
        self.sockets.offer(request);
        self.look_again(On::Input);
        Ok(true)
    }

    /// Whether the program answers a request that warms it up.
    pub(crate) fn is_warming(&self) -> bool {
        self.sockets.warming.is_some() && self.sockets.exchange.has_begun()
    }

    /// The program goes no further with such a request: its client leaves, and the program waits
    /// for the next connection.
    ///
    /// # Errors
    /// [`Break::Refused`] if the answer is none, or says that something went wrong.
    pub(crate) fn end_warming(&mut self, otherwise: Unanswered) -> Result<(), Break> {
        let end = self.answer(otherwise);
        let line = self.files.output.bytes().split(|byte| *byte == b'\r').next();
        let status = line.and_then(|line| line.strip_prefix(STATUS)).unwrap_or_default();
        let is_well = status.first().is_some_and(|digit| WELL.contains(digit));
        match end {
            Ok(()) if is_well => {
                self.files.output.forget();
                self.sockets.dismiss_client();
                self.look_again(On::Files);
                return Ok(());
            }
            Ok(()) => {
                let status = String::from_utf8_lossy(status).into_owned();
                self.refuse_warming(&format!("was answered with status {status}"));
            }
            Err(why) => self.refuse_warming(&format!("got no answer: {why}")),
        }
        Err(Break::Refused)
    }

    /// Refuses the program for what the request that warms it up has come to.
    pub(crate) fn refuse_warming(&mut self, what: &str) {
        let name = self.sockets.warming.as_ref().map(Warming::name).unwrap_or_default();
        self.refuse(&format!("{name}, which is to warm the server up, {what}"));
    }

    /// Lets those look again that wait for this.
    fn look_again(&mut self, what: On) {
        self.threads.rest_until_ns = 0;
        for thread in &mut self.threads.all {
            if matches!(thread.state, State::Waiting(Wait { on, .. }) if on == what) {
                thread.state = State::Again;
            }
        }
    }
}
