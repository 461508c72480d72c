//! What is kept of invocations that ended: for each namespace a ring of records, the oldest
//! forgotten first. So nobody's calls push out what is kept of another's.
//!
//! All its memory is set aside once, at boot: a place for each record, and frames in which names,
//! results and logs of all of them follow one another. Keeping one cannot fail, and forgets as many
//! old ones as it needs the bytes of. A record refers to nothing of its action, which may be
//! deleted meanwhile.
//!
//! Records are counted from 1, and have their places in that order, again and again. Ids are
//! random, so their lowest bits choose a chain without any hashing: the newest record of each
//! chain, and in each record the one before it. What was forgotten is older than all that is left,
//! so a chain ends at the first number that is gone, and nothing is ever taken out of one.

mod bytes;
#[cfg(test)]
mod tests;

use alloc::vec;
use alloc::vec::Vec;

use action_abi::host::REPORT_LEN_MAX;

use self::bytes::Bytes;
use crate::dispatch::{ActivationId, Timing, Usage};
use crate::registry::Limits;
use crate::registry::{Digest, Namespace, Version};
use crate::traceparent::TraceParent;
use limits::{
    KIND_LEN_MAX, LOG_LEN_MAX, NAME_LEN_MAX, PAGE_LEN, RECORD_LEN_MEAN, RECORD_RESULT_LEN_MAX,
    RECORDS_LEN_MAX, RECORDS_MAX, RECORDS_MEMORY_DIVISOR,
};
use memory::{OutOfFrames, PageBuffer};

/// The most bytes one record takes.
const RECORD_LEN_MAX: usize =
    NAME_LEN_MAX + KIND_LEN_MAX + RECORD_RESULT_LEN_MAX + LOG_LEN_MAX + REPORT_LEN_MAX;

/// Who is to blame for the end of an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Nobody.
    Success,
    /// The action reported an error.
    ApplicationError,
    /// The action broke a rule.
    DeveloperError,
    /// The node.
    InternalError,
}

impl Blame {
    /// The words for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::ApplicationError => "application error",
            Self::DeveloperError => "action developer error",
            Self::InternalError => "whisk internal error",
        }
    }
}

/// What has a fixed size in a record.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Of the invocation.
    pub id: ActivationId,
    /// Whose the action was.
    pub namespace: Namespace,
    /// Of the action.
    pub version: Version,
    /// Of its image.
    pub digest: Digest,
    /// What the invocation could use.
    pub limits: Limits,
    /// How it ended.
    pub status: Blame,
    /// When its address space was begun, by the wall clock; 0 if there is none.
    pub start_ms: u64,
    /// From then to its end.
    pub duration_ms: u64,
    /// Where its time went.
    pub timing: Timing,
    /// From the request to its answer.
    pub total_ns: u64,
    /// What it used.
    pub usage: Usage,
    /// What trace it belongs to.
    pub trace: TraceParent,
    /// Whether part of its log is missing.
    pub log_truncated: bool,
}

/// A result, on its way into a record.
#[derive(Clone, Copy, Debug)]
pub enum Output<'a> {
    /// JSON.
    Json(&'a PageBuffer),
    /// Whatever the action wrote.
    Raw(&'a PageBuffer),
    /// Why there is none.
    Missing(&'static str),
}

/// How a result is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As JSON.
    Json,
    /// As whatever the action wrote.
    Raw,
    /// It was longer than [`RECORD_RESULT_LEN_MAX`].
    TooLong,
    /// There is none, for this reason.
    Missing(&'static str),
}

#[derive(Debug)]
struct Record {
    facts: Facts,
    form: Form,
    /// Length of the result, kept or not.
    result_len: usize,
    /// Where its bytes begin: name, kind, result, log, calls in vain.
    position: u64,
    lens: [u32; 5],
    /// The record before it in its chain.
    older: u64,
}

/// The records of a node.
#[derive(Debug)]
pub struct Records {
    /// By the numbers of namespaces; at least one.
    rings: Vec<RecordRing>,
}

/// The records of a namespace.
#[derive(Debug)]
struct RecordRing {
    /// Those that have been used; there will be as many as chains.
    places: Vec<Option<Record>>,
    /// The number of the newest record in each chain; 0 is no record's.
    chains: Vec<u64>,
    bytes: Bytes,
    oldest: u64,
    next: u64,
}

/// One record.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    record: &'a Record,
    bytes: &'a Bytes,
}

impl Records {
    /// The records of a node with so many frames of memory and so many namespaces.
    ///
    /// # Errors
    /// [`OutOfFrames`] if their share is not free.
    pub fn for_memory(frames: usize, namespaces: usize) -> Result<Self, OutOfFrames> {
        let record_pages = RECORD_LEN_MAX.div_ceil(PAGE_LEN);
        // Even on the smallest node the largest record does not take all the others' place, if the
        // namespace is the only one.
        let pages_min = 4 * record_pages;
        let pages = (frames / RECORDS_MEMORY_DIVISOR).clamp(pages_min, RECORDS_LEN_MAX / PAGE_LEN);
        let count = namespaces.max(1);
        let share = (pages / count).max(record_pages);
        let places = (share * PAGE_LEN / RECORD_LEN_MEAN).min(RECORDS_MAX);
        let rings = (0..count).map(|_| RecordRing::new(places, share)).collect::<Result<_, _>>()?;
        Ok(Self { rings })
    }

    /// Those of a node with one namespace: at least `places` records with `pages` frames for what
    /// they hold.
    ///
    /// # Errors
    /// [`OutOfFrames`] if there are not so many.
    pub fn new(places: usize, pages: usize) -> Result<Self, OutOfFrames> {
        Ok(Self { rings: vec![RecordRing::new(places, pages)?] })
    }

    /// Keeps a record. `kind` is the action's, `unsupported` what its program called in vain.
    // What it is handed is large, and not to be moved around once more.
    #[inline(always)]
    pub fn keep(
        &mut self,
        facts: Facts,
        names: [&str; 2],
        output: Output<'_>,
        log: &PageBuffer,
        unsupported: &[u8],
    ) -> &Facts {
        let place = self.ring(&facts.namespace);
        self.rings[place].keep(facts, names, output, log, unsupported)
    }

    /// The record of a namespace with this id.
    #[must_use]
    pub fn get(&self, namespace: &Namespace, id: ActivationId) -> Option<Kept<'_>> {
        let kept = self.rings[self.ring(namespace)].get(id)?;
        (kept.facts().namespace == *namespace).then_some(kept)
    }

    /// The records of a namespace with numbers below this one, the newest first, and their numbers.
    pub fn newest_below(
        &self,
        namespace: &Namespace,
        number: u64,
    ) -> impl Iterator<Item = (u64, Kept<'_>)> {
        let all = self.rings[self.ring(namespace)].newest_below(number);
        all.filter(|(_, kept)| kept.facts().namespace == *namespace)
    }

    /// All records of a namespace, the newest first.
    #[cfg(test)]
    pub fn newest_first(&self, namespace: &Namespace) -> impl Iterator<Item = Kept<'_>> {
        self.newest_below(namespace, u64::MAX).map(|(_, kept)| kept)
    }

    /// Where the ring of a namespace is.
    fn ring(&self, namespace: &Namespace) -> usize {
        namespace.number().min(self.rings.len() - 1)
    }
}

impl RecordRing {
    /// A ring of at least `places` records with `pages` frames for what they hold.
    fn new(places: usize, pages: usize) -> Result<Self, OutOfFrames> {
        let bytes = Bytes::new(pages.max(RECORD_LEN_MAX.div_ceil(PAGE_LEN)))?;
        // A power of two, so that finding a place is no division.
        let places = places.next_power_of_two();
        let chains = vec![0; places];
        Ok(Self { places: Vec::with_capacity(places), chains, bytes, oldest: 1, next: 1 })
    }

    fn keep(
        &mut self,
        facts: Facts,
        [name, kind]: [&str; 2],
        output: Output<'_>,
        log: &PageBuffer,
        unsupported: &[u8],
    ) -> &Facts {
        let nothing = PageBuffer::new();
        let (form, buffer) = match output {
            Output::Json(buffer) => (Form::Json, buffer),
            Output::Raw(buffer) => (Form::Raw, buffer),
            Output::Missing(reason) => (Form::Missing(reason), &nothing),
        };
        let result_len = buffer.len();
        let (form, buffer) = match result_len {
            0..=RECORD_RESULT_LEN_MAX => (form, buffer),
            _ => (Form::TooLong, &nothing),
        };
        let lens = [name.len(), kind.len(), buffer.len(), log.len(), unsupported.len()];
        self.make_room(lens.iter().sum());
        let position = self.bytes.end();
        self.bytes.append(name.as_bytes());
        self.bytes.append(kind.as_bytes());
        buffer.chunks().chain(log.chunks()).for_each(|chunk| self.bytes.append(chunk));
        self.bytes.append(unsupported);
        let chain = self.chain(facts.id);
        let older = core::mem::replace(&mut self.chains[chain], self.next);
        let place = self.place(self.next);
        let lens = lens.map(|len| len as u32);
        let record = Record { facts, form, result_len, position, lens, older };
        self.next += 1;
        if place == self.places.len() {
            self.places.push(None);
        }
        &self.places[place].insert(record).facts
    }

    /// Forgets the oldest until there is a place for one more, and `len` bytes.
    fn make_room(&mut self, len: usize) {
        assert!(len <= RECORD_LEN_MAX, "each part of a record is bounded");
        let end = self.bytes.end() + len as u64;
        let capacity = self.bytes.capacity() as u64;
        while let Some(Some(record)) = self.places.get(self.place(self.oldest)) {
            let is_full = self.next - self.oldest == self.chains.len() as u64;
            if !is_full && end - record.position <= capacity {
                return;
            }
            let place = self.place(self.oldest);
            self.places[place] = None;
            self.oldest += 1;
        }
    }

    /// The record with this id.
    fn get(&self, id: ActivationId) -> Option<Kept<'_>> {
        let mut number = self.chains[self.chain(id)];
        while let Some(kept) = self.number(number) {
            if kept.record.facts.id == id {
                return Some(kept);
            }
            number = kept.record.older;
        }
        None
    }

    /// The records with numbers below this one, the newest first, and their numbers.
    fn newest_below(&self, number: u64) -> impl Iterator<Item = (u64, Kept<'_>)> {
        let numbers = (self.oldest..self.next.min(number)).rev();
        numbers.filter_map(|number| Some((number, self.number(number)?)))
    }

    fn number(&self, number: u64) -> Option<Kept<'_>> {
        let record = self.places.get(self.place(number))?.as_ref()?;
        (number >= self.oldest).then_some(Kept { record, bytes: &self.bytes })
    }

    fn place(&self, number: u64) -> usize {
        number.wrapping_sub(1) as usize & (self.chains.len() - 1)
    }

    fn chain(&self, id: ActivationId) -> usize {
        id.0 as usize & (self.chains.len() - 1)
    }
}

impl<'a> Kept<'a> {
    /// What has a fixed size.
    #[must_use]
    pub fn facts(self) -> &'a Facts {
        &self.record.facts
    }

    /// How the result is kept, and how long it was.
    #[must_use]
    pub fn result(self) -> (Form, usize) {
        (self.record.form, self.record.result_len)
    }

    /// Length and bytes of a part.
    pub fn part(self, part: Part) -> (usize, impl Iterator<Item = &'a [u8]>) {
        let Record { position, lens, .. } = self.record;
        let before: u32 = lens[..part as usize].iter().sum();
        let len = lens[part as usize] as usize;
        (len, self.bytes.pieces(position + u64::from(before), len))
    }
}

/// A part of a record that has no fixed size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The action's name.
    Name,
    /// The action's kind.
    Kind,
    /// The result, if it is kept.
    Result,
    /// The log.
    Log,
    /// What the program called in vain.
    Unsupported,
}
