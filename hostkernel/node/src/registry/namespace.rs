//! Namespaces: one tenant's name, what it may use, and what it uses at the moment.

use alloc::sync::Arc;
use core::cmp::Ordering;
use core::fmt;
use core::sync::atomic::{self, AtomicU32, AtomicU64};

use super::held::{Held, Purpose};
use limits::{AHEAD_NS, LEAD_MAX_NS, QUOTA_MAX};

const MINUTE_NS: u64 = 60_000_000_000;
/// An invocation changes the average time by its share of so many.
const MEAN_WEIGHT: u64 = 8;

/// A namespace, as the configuration names it. Cheap to clone; clones share what they count.
#[derive(Clone)]
pub struct Namespace(Arc<Inner>);

struct Inner {
    name: alloc::boxed::Box<str>,
    /// Its place in tables by namespace.
    number: usize,
    quotas: Quotas,
    /// Permits that are out.
    in_flight: AtomicU32,
    /// Time on cores that counts for whose turn it is, and how long an invocation took lately, on
    /// average. Only the front writes them.
    used_ns: AtomicU64,
    mean_ns: AtomicU64,
    /// The minute since boot in which an invocation was last admitted, and how many were in it:
    /// upper and lower half. Only the front writes it.
    minute: AtomicU64,
    /// What is held for it at the moment.
    held: Held,
}

/// What a namespace may use; `None` is as much as the node has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    /// Invocations at the same time, waiting ones included.
    pub concurrency: Option<u32>,
    /// Invocations in a minute. Minutes count from boot.
    pub rate: Option<u32>,
    /// Largest memory limit of an action.
    pub memory_mb: Option<u64>,
    /// Images of all actions, those that several have counted once.
    pub code_mb: Option<u64>,
}

/// A quota that is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    /// [`Quotas::concurrency`].
    Concurrency {
        /// Invocations under way.
        count: u32,
        /// The quota.
        allowed: u32,
    },
    /// [`Quotas::rate`].
    Rate {
        /// Invocations in this minute, with the refused one.
        count: u32,
        /// The quota.
        allowed: u32,
        /// Seconds until the next minute begins.
        wait_s: u32,
    },
}

/// One invocation's place among those of its namespace. It goes with the invocation and then with
/// its completion, so that whatever becomes of them, dropping it counts the invocation as over.
#[derive(Debug)]
pub struct Permit(Namespace);

impl Namespace {
    /// A namespace without quotas.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self::with_quotas(name, Quotas::default())
    }

    /// The first of a node's namespaces.
    #[must_use]
    pub fn with_quotas(name: &str, quotas: Quotas) -> Self {
        Self::numbered(name, quotas, 0)
    }

    /// One of them; their numbers count from 0.
    #[must_use]
    pub fn numbered(name: &str, quotas: Quotas, number: usize) -> Self {
        let (in_flight, minute) = (AtomicU32::new(0), AtomicU64::new(0));
        // Long, until something is known.
        let (used_ns, mean_ns) = (AtomicU64::new(0), AtomicU64::new(AHEAD_NS));
        let name = name.into();
        let held = Held::default();
        Self(Arc::new(Inner { name, number, quotas, in_flight, used_ns, mean_ns, minute, held }))
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.name
    }

    /// Its number among the node's namespaces.
    #[must_use]
    pub fn number(&self) -> usize {
        self.0.number
    }

    /// What it may use.
    #[must_use]
    pub fn quotas(&self) -> &Quotas {
        &self.0.quotas
    }

    /// Invocations under way.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.0.in_flight.load(atomic::Ordering::Relaxed)
    }

    /// What is held for it, in bytes.
    #[must_use]
    pub fn held_len(&self, purpose: Purpose) -> usize {
        self.0.held.len(purpose)
    }

    pub(super) fn held(&self) -> &Held {
        &self.0.held
    }

    /// What counts for whose turn it is among those who wait.
    #[must_use]
    pub fn used_ns(&self) -> u64 {
        self.0.used_ns.load(atomic::Ordering::Relaxed)
    }

    /// How long its invocations took lately, on average.
    #[must_use]
    pub fn mean_ns(&self) -> u64 {
        self.0.mean_ns.load(atomic::Ordering::Relaxed)
    }

    /// Counts time on a core. For the front only.
    pub fn use_ns(&self, ns: u64) {
        self.0.used_ns.store(self.used_ns().saturating_add(ns), atomic::Ordering::Relaxed);
    }

    /// Begins to wait, after a pause, where the others are. For the front only.
    pub fn catch_up(&self, turn_ns: u64) {
        let used_ns = self.used_ns().clamp(turn_ns, turn_ns.saturating_add(LEAD_MAX_NS));
        self.0.used_ns.store(used_ns, atomic::Ordering::Relaxed);
    }

    /// Counts an invocation that has ended. For the front only.
    pub fn note_run(&self, run_ns: u64) {
        self.use_ns(run_ns);
        let mean_ns = self.mean_ns();
        let mean_ns = mean_ns - mean_ns / MEAN_WEIGHT + run_ns / MEAN_WEIGHT;
        self.0.mean_ns.store(mean_ns, atomic::Ordering::Relaxed);
    }

    /// Counts one more invocation. For the front only: nobody else admits meanwhile.
    ///
    /// # Errors
    /// [`Exceeded`]; then it is not counted.
    pub fn admit(&self, now_ns: u64) -> Result<Permit, Exceeded> {
        let Inner { quotas, in_flight, minute, .. } = &*self.0;
        if let Some(allowed) = quotas.concurrency {
            let count = self.in_flight();
            if count >= allowed {
                return Err(Exceeded::Concurrency { count, allowed });
            }
        }
        if let Some(allowed) = quotas.rate {
            let now = now_ns / MINUTE_NS;
            let last = minute.load(atomic::Ordering::Relaxed);
            let count = 1 + if last >> 32 == now { last as u32 } else { 0 };
            if count > allowed {
                let wait_s = 60 - (now_ns % MINUTE_NS / 1_000_000_000) as u32;
                return Err(Exceeded::Rate { count, allowed, wait_s });
            }
            minute.store(now << 32 | u64::from(count), atomic::Ordering::Relaxed);
        }
        in_flight.fetch_add(1, atomic::Ordering::Relaxed);
        Ok(Permit(self.clone()))
    }
}

impl Namespace {
    /// Takes one back that was admitted and did not run: it does not count in its minute.
    pub fn refund(&self, admitted_ns: u64) {
        let minute = &self.0.minute;
        let last = minute.load(atomic::Ordering::Relaxed);
        if last >> 32 == admitted_ns / MINUTE_NS && last as u32 > 0 {
            minute.store(last - 1, atomic::Ordering::Relaxed);
        }
    }
}

// A count fits, and so do the minutes of eight thousand years.
const _: () = assert!(QUOTA_MAX < u32::MAX as u64);

impl Permit {
    /// Whose it is.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.0
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.0.in_flight.fetch_sub(1, atomic::Ordering::Relaxed);
    }
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Concurrency { count, allowed } => write!(
                f,
                "Too many concurrent requests in flight (count: {count}, allowed: {allowed})."
            ),
            Self::Rate { count, allowed, .. } => write!(
                f,
                "Too many requests in the last minute (count: {count}, allowed: {allowed})."
            ),
        }
    }
}

impl Ord for Namespace {
    fn cmp(&self, other: &Self) -> Ordering {
        // Nearly always it is the very same.
        if Arc::ptr_eq(&self.0, &other.0) {
            return Ordering::Equal;
        }
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for Namespace {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for Namespace {}

impl PartialEq for Namespace {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Namespace({:?})", self.as_str())
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn namespace(concurrency: Option<u32>, rate: Option<u32>) -> Namespace {
        Namespace::with_quotas("a", Quotas { concurrency, rate, ..Quotas::default() })
    }

    #[test]
    fn a_place_is_free_again_when_its_permit_is_gone() {
        let namespace = namespace(Some(2), None);
        let first = namespace.admit(0).expect("one of two");
        let second = namespace.clone().admit(0).expect("two of two");
        let refused = namespace.admit(0).expect_err("both are taken");
        assert_eq!(refused, Exceeded::Concurrency { count: 2, allowed: 2 });
        drop(first);
        assert!(namespace.admit(0).is_ok(), "and given back at once");
        assert_eq!(namespace.in_flight(), 1);
        drop(second);
        assert_eq!(namespace.in_flight(), 0);
    }

    #[test]
    fn a_minute_ends() {
        let namespace = namespace(None, Some(2));
        let at = |second: u64| namespace.admit(second * 1_000_000_000).map(drop);
        assert_eq!([at(0), at(30)], [Ok(()), Ok(())]);
        assert_eq!(at(30), Err(Exceeded::Rate { count: 3, allowed: 2, wait_s: 30 }));
        assert_eq!(at(59), Err(Exceeded::Rate { count: 3, allowed: 2, wait_s: 1 }));
        assert_eq!([at(60), at(60)], [Ok(()), Ok(())]);
        assert!(at(60).is_err());
        assert_eq!(namespace.in_flight(), 0);
    }

    #[test]
    fn what_did_not_run_does_not_count() {
        let namespace = namespace(None, Some(1));
        let at = |second: u64| namespace.admit(second * 1_000_000_000).map(drop);
        assert!(at(1).is_ok() && at(2).is_err());
        namespace.refund(1_000_000_000);
        namespace.refund(1_000_000_000);
        assert!(at(3).is_ok() && at(4).is_err());
        namespace.refund(61_000_000_000);
        assert!(at(5).is_err(), "it was another minute");
        assert!(at(60).is_ok());
        namespace.refund(5_000_000_000);
        assert!(at(61).is_err());
    }

    #[test]
    fn the_name_is_what_counts() {
        assert_eq!(Namespace::new("a"), namespace(Some(1), None));
        assert!(Namespace::new("a") < Namespace::new("b"));
    }

    proptest! {
        #[test]
        fn counts_are_those_of_a_plain_list(
            steps in proptest::collection::vec((0..40_u64, any::<bool>()), 0..60),
            concurrency in proptest::option::of(1..4_u32),
            rate in proptest::option::of(1..6_u32),
        ) {
            let namespace = namespace(concurrency, rate);
            let (mut permits, mut admitted, mut now_s) = (Vec::new(), Vec::new(), 0);
            for (seconds, ends) in steps {
                now_s += seconds;
                if ends {
                    permits.pop();
                    continue;
                }
                let in_minute = admitted.iter().filter(|at| *at / 60 == now_s / 60).count();
                let fits = concurrency.is_none_or(|max| permits.len() < max as usize)
                    && rate.is_none_or(|max| in_minute < max as usize);
                let permit = namespace.admit(now_s * 1_000_000_000);
                prop_assert_eq!(permit.is_ok(), fits);
                if let Ok(permit) = permit {
                    permits.push(permit);
                    admitted.push(now_s);
                }
                prop_assert_eq!(namespace.in_flight() as usize, permits.len());
            }
        }
    }
}
