//! What the node counts for its metrics. Only the front writes and reads it: it sees every request,
//! every answer and every completion, so no core shares a counter with another.

use super::histogram::Histogram;
use crate::dispatch::{Completion, End, Fault};
use crate::http::Method;
use crate::registry::{Action, Name, Namespace};
use alloc::vec::Vec;
use limits::ACTIONS_COUNTED_MAX;

/// Everything counted since the boot.
#[derive(Debug)]
pub struct Statistics {
    /// The first is of all actions without a place of their own: those beyond
    /// [`ACTIONS_COUNTED_MAX`], and those that are deleted.
    actions: Vec<ActionCounts>,
    /// From admission to the answer.
    pub duration: Histogram,
    /// Making an address space.
    pub start: Histogram,
    rejected: [u64; Reason::ALL.len()],
    answered: [[u64; METHODS.len()]; STATUSES.len()],
}

/// What is counted of one action.
#[derive(Debug, Default)]
pub struct ActionCounts {
    /// Whose it is and its name; `None` for the others, and where there is a place to be had.
    pub action: Option<(Namespace, Name)>,
    /// Ends by [`Outcome`].
    pub outcomes: [u64; Outcome::ALL.len()],
    /// The most frames one invocation had at a time.
    pub frames_peak: u32,
}

/// How an invocation ended, in few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Exit status 0.
    Success,
    /// Another exit status.
    Error,
    /// It broke a rule.
    Fault,
    /// It ran out of time.
    Timeout,
    /// It ran out of its memory limit.
    Memory,
    /// There was no memory to start it.
    NotStarted,
}

/// Why something was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No key, a wrong one, or not for this.
    Key,
    /// The bytes are no acceptable HTTP request.
    Http,
    /// The request did not arrive in time.
    Slow,
    /// The request asks for something that is not there or cannot be.
    Request,
    /// An image that cannot be run.
    Image,
    /// A quota of the namespace is used up.
    Quota,
    /// All queues are full.
    Queue,
    /// Too many connections wait for answers.
    Connections,
    /// The client left while its invocation waited.
    Abandoned,
    /// The namespace holds as much as it may.
    Budget,
    /// There is no memory for it.
    Memory,
    /// The node is about to leave.
    Draining,
    /// The registry that keeps the actions could not do its part.
    Store,
}

/// What went through the network card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// To the node.
    pub received: Frames,
    /// From it.
    pub sent: Frames,
}

/// Frames of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    /// How many.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Further ones that went no further than here.
    pub dropped: u64,
}

impl Frames {
    /// Counts one.
    pub fn add(&mut self, len: usize) {
        self.frames += 1;
        self.bytes += len as u64;
    }
}

/// The place of all that have none of their own.
const OTHERS: usize = 0;

/// Methods in the order they are counted.
pub const METHODS: [&str; 8] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "unknown"];

/// Statuses that are counted one by one, sorted; 0 stands for all others.
pub const STATUSES: [u16; 34] = [
    0, 200, 201, 202, 204, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 406, 408, 409,
    410, 413, 414, 415, 417, 422, 429, 431, 500, 501, 502, 503, 504, 505, 511,
];

impl Outcome {
    /// All, in order.
    pub const ALL: [Self; 6] =
        [Self::Success, Self::Error, Self::Fault, Self::Timeout, Self::Memory, Self::NotStarted];

    /// That of an end.
    #[must_use]
    pub const fn of(end: &End) -> Self {
        match end {
            End::Exit(0) | End::Frozen { .. } => Self::Success,
            End::Exit(_) => Self::Error,
            End::Fault(Fault::Deadline { .. }) => Self::Timeout,
            End::Fault(Fault::Memory { .. }) => Self::Memory,
            End::Fault(_) => Self::Fault,
            End::NotStarted => Self::NotStarted,
        }
    }

    /// Its name in metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Fault => "fault",
            Self::Timeout => "timeout",
            Self::Memory => "memory",
            Self::NotStarted => "not_started",
        }
    }
}

impl Reason {
    /// All, in order.
    pub const ALL: [Self; 13] = [
        Self::Key,
        Self::Http,
        Self::Slow,
        Self::Request,
        Self::Image,
        Self::Quota,
        Self::Queue,
        Self::Connections,
        Self::Abandoned,
        Self::Budget,
        Self::Memory,
        Self::Draining,
        Self::Store,
    ];

    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Http => "http",
            Self::Slow => "slow",
            Self::Request => "request",
            Self::Image => "image",
            Self::Quota => "quota",
            Self::Queue => "queue_full",
            Self::Connections => "connections",
            Self::Abandoned => "abandoned",
            Self::Budget => "budget",
            Self::Memory => "memory",
            Self::Draining => "draining",
            Self::Store => "store",
        }
    }
}

impl Default for Statistics {
    fn default() -> Self {
        let places = OTHERS..=ACTIONS_COUNTED_MAX;
        Self {
            actions: places.map(|_| ActionCounts::default()).collect(),
            duration: Histogram::default(),
            start: Histogram::default(),
            rejected: Default::default(),
            answered: [[0; METHODS.len()]; STATUSES.len()],
        }
    }
}

impl ActionCounts {
    /// Adds the counts of another.
    pub fn add(&mut self, other: &Self) {
        self.outcomes.iter_mut().zip(other.outcomes).for_each(|(sum, count)| *sum += count);
        self.frames_peak = self.frames_peak.max(other.frames_peak);
    }
}

impl Statistics {
    /// Counts the end of an invocation, `duration_ns` after it was admitted. Returns what it was.
    pub fn ended(&mut self, action: &Action, completion: &Completion, duration_ns: u64) -> Outcome {
        let outcome = Outcome::of(&completion.end);
        if outcome == Outcome::NotStarted {
            self.rejected(Reason::Memory);
        } else {
            self.duration.add(duration_ns);
            self.start.add(completion.timing.load_ns);
        }
        let place = self.place(action);
        let counts = &mut self.actions[place];
        counts.outcomes[outcome as usize] += 1;
        counts.frames_peak = counts.frames_peak.max(completion.usage.frames_peak);
        outcome
    }

    /// Counts something that was refused.
    pub fn rejected(&mut self, reason: Reason) {
        self.rejected[reason as usize] += 1;
    }

    /// Counts an answer; the method is unknown if the request could not be read.
    pub fn answered(&mut self, method: Option<Method>, status: u16) {
        let status = STATUSES.binary_search(&status).unwrap_or(0);
        self.answered[status][method.map_or(METHODS.len() - 1, |method| method as usize)] += 1;
    }

    /// Counts by action; the first are those of all others.
    pub fn actions(&self) -> impl Iterator<Item = &ActionCounts> {
        self.actions.iter()
    }

    /// Refusals by reason.
    pub fn refusals(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.into_iter().zip(self.rejected)
    }

    /// Answers by status, where 0 stands for all that are not counted one by one, and method.
    pub fn answers(&self) -> impl Iterator<Item = (u16, &'static str, u64)> {
        STATUSES.iter().zip(&self.answered).flat_map(|(status, by_method)| {
            METHODS.iter().zip(by_method).map(|(method, count)| (*status, *method, *count))
        })
    }

    /// Adds the counts of a deleted action to those of the others, where what still runs of it is
    /// counted too. Its place is free.
    pub fn forget(&mut self, action: &Action) {
        let place = action.counted_at.place();
        action.counted_at.set(OTHERS);
        if let Some(place) = place.filter(|place| *place != OTHERS) {
            let counts = core::mem::take(&mut self.actions[place]);
            self.actions[OTHERS].add(&counts);
        }
    }

    /// Where an action is counted.
    fn place(&mut self, action: &Action) -> usize {
        if let Some(place) = action.counted_at.place() {
            return place;
        }
        let is_free = |counts: &ActionCounts| counts.action.is_none();
        let free = self.actions.iter().skip(OTHERS + 1).position(is_free);
        let place = free.map_or(OTHERS, |free| OTHERS + 1 + free);
        if place != OTHERS {
            let name = (action.namespace.clone(), action.name.clone());
            self.actions[place].action = Some(name);
        }
        action.counted_at.set(place);
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_counted_under_its_name() {
        assert!(STATUSES.is_sorted());
        for (place, name) in METHODS.iter().enumerate().take(METHODS.len() - 1) {
            assert_eq!(Method::from_name(name).expect("a method") as usize, place);
        }
        let mut statistics = Statistics::default();
        statistics.answered(Some(Method::Get), 200);
        statistics.answered(Some(Method::Get), 200);
        statistics.answered(None, 599);
        statistics.answered(Some(Method::Post), 0);
        let found: Vec<_> = statistics.answers().filter(|(_, _, count)| *count > 0).collect();
        assert_eq!(found, [(0, "POST", 1), (0, "unknown", 1), (200, "GET", 2)]);
    }

    #[test]
    fn names_and_places_agree() {
        for (place, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place);
        }
        for (place, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, place);
        }
    }
}
