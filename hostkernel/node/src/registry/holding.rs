//! Who holds how much of what: bodies that arrive, inputs that wait, answers that nobody has taken,
//! code on its way to be deployed.
//!
//! Each is in the books of one [`Purpose`], with a budget of the node for each. Of several
//! namespaces none has more than [`HELD_SHARE_FACTOR`] times what is left for the others: whoever
//! is alone has most of a budget, and whoever comes later finds room. What one connection holds up
//! to [`limits::HELD_FREE_LEN`] is in no book: there is room for that of all beside the budgets.

use alloc::sync::Arc;

use super::held::{Held, Purpose};
use super::namespace::Namespace;
use limits::HELD_SHARE_FACTOR;

/// The books of a node.
#[derive(Debug)]
pub struct Books {
    all: Arc<Held>,
    is_shared: bool,
    /// In whose name is held what is nobody's: of a request to a namespace that does not exist.
    nobody: Namespace,
}

/// There is no room for it: the budget is used up, or the namespace's share of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverBudget;

/// Something that is held, in the books until it is dropped.
#[derive(Debug, Default)]
pub struct Holding(Option<Entry>);

#[derive(Debug)]
struct Entry {
    all: Arc<Held>,
    namespace: Namespace,
    purpose: Purpose,
    len: usize,
}

impl Books {
    /// Empty books, of one namespace or several.
    #[must_use]
    pub fn new(is_shared: bool) -> Self {
        Self { all: Arc::default(), is_shared, nobody: Namespace::new("") }
    }

    /// Who stands for nobody.
    #[must_use]
    pub fn nobody(&self) -> &Namespace {
        &self.nobody
    }

    /// What all namespaces hold.
    #[must_use]
    pub fn held_len(&self, purpose: Purpose) -> usize {
        self.all.len(purpose)
    }

    /// Whether a namespace may hold `more_len` bytes more out of a budget of `budget_len`.
    #[must_use]
    pub fn admits(
        &self,
        namespace: &Namespace,
        purpose: Purpose,
        more_len: usize,
        budget_len: usize,
    ) -> bool {
        let all_len = self.all.len(purpose).saturating_add(more_len);
        let own_len = namespace.held_len(purpose).saturating_add(more_len);
        let Some(left_len) = budget_len.checked_sub(all_len) else { return false };
        !self.is_shared || own_len <= HELD_SHARE_FACTOR.saturating_mul(left_len)
    }

    /// Whether a namespace would have too much of a budget with `more_len` bytes more, if that took
    /// nothing of what is left.
    #[must_use]
    pub fn is_greedy(
        &self,
        namespace: &Namespace,
        purpose: Purpose,
        more_len: usize,
        budget_len: usize,
    ) -> bool {
        let left_len = budget_len.saturating_sub(self.all.len(purpose));
        if self.is_shared {
            let own_len = namespace.held_len(purpose).saturating_add(more_len);
            own_len > HELD_SHARE_FACTOR.saturating_mul(left_len)
        } else {
            more_len > left_len
        }
    }

    /// Lets `holding` be `len` bytes of a namespace, whether or not there is room for them: they
    /// are there already.
    pub fn enter(
        &self,
        holding: &mut Holding,
        namespace: &Namespace,
        purpose: Purpose,
        len: usize,
    ) {
        holding.clear();
        namespace.held().change(purpose, 0, len);
        self.all.change(purpose, 0, len);
        let (all, namespace) = (Arc::clone(&self.all), namespace.clone());
        holding.0 = Some(Entry { all, namespace, purpose, len });
    }

    /// Lets what is held grow to `len` bytes, if there is room.
    ///
    /// # Errors
    /// [`OverBudget`]; then it is as it was.
    pub fn grow(
        &self,
        holding: &mut Holding,
        len: usize,
        budget_len: usize,
    ) -> Result<(), OverBudget> {
        let Some(entry) = &mut holding.0 else { return Ok(()) };
        let more_len = len.saturating_sub(entry.len);
        if !self.admits(&entry.namespace, entry.purpose, more_len, budget_len) {
            return Err(OverBudget);
        }
        entry.resize(entry.len + more_len);
        Ok(())
    }
}

impl Entry {
    fn resize(&mut self, len: usize) {
        self.namespace.held().change(self.purpose, self.len, len);
        self.all.change(self.purpose, self.len, len);
        self.len = len;
    }
}

impl Holding {
    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// What is held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |entry| entry.len)
    }

    /// For whom, and what for.
    #[must_use]
    pub fn owner(&self) -> Option<(&Namespace, Purpose)> {
        self.0.as_ref().map(|entry| (&entry.namespace, entry.purpose))
    }

    /// Lets it be less.
    pub fn shrink(&mut self, len: usize) {
        if let Some(entry) = &mut self.0 {
            entry.resize(len.min(entry.len));
        }
    }

    /// Nothing is held any more.
    #[inline]
    pub fn clear(&mut self) {
        if !self.is_empty() {
            self.end();
        }
    }

    #[inline(never)]
    fn end(&mut self) {
        self.0 = None;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.resize(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const BUDGET_LEN: usize = 1000;

    fn hold(books: &Books, namespace: &Namespace, len: usize) -> Result<Holding, OverBudget> {
        let mut holding = Holding::default();
        books.enter(&mut holding, namespace, Purpose::Answer, 0);
        books.grow(&mut holding, len, BUDGET_LEN)?;
        Ok(holding)
    }

    #[test]
    fn who_is_the_only_one_has_everything() {
        let (books, alone) = (Books::new(false), Namespace::new("a"));
        let all = hold(&books, &alone, BUDGET_LEN).expect("all of it");
        assert!(hold(&books, &alone, 1).is_err());
        assert!(books.admits(&alone, Purpose::Deploy, 1, BUDGET_LEN), "another book");
        drop(all);
        assert!(hold(&books, &alone, 1).is_ok());
    }

    #[test]
    fn whoever_comes_later_finds_room() {
        let books = Books::new(true);
        let names = ["a", "b", "c", "d"].map(Namespace::new);
        let mut held = Vec::new();
        for name in &names {
            let before = held.len();
            while let Ok(holding) = hold(&books, name, 1) {
                held.push(holding);
            }
            assert!(held.len() - before >= 10, "{name} has {}", held.len() - before);
        }
        assert!(books.held_len(Purpose::Answer) < BUDGET_LEN);
        drop(held);
        assert_eq!(books.held_len(Purpose::Answer), 0);
        assert!(names.iter().all(|name| name.held_len(Purpose::Answer) == 0));
    }

    proptest! {
        #[test]
        fn the_books_are_the_sum_of_what_is_held(
            steps in proptest::collection::vec((0..3_usize, 0..6_usize, 0..700_usize), 0..60),
        ) {
            let books = Books::new(true);
            let names = ["a", "b", "c"].map(Namespace::new);
            let mut held: [Holding; 6] = Default::default();
            for (name, place, len) in steps {
                let holding = &mut held[place];
                match len % 4 {
                    0 => holding.clear(),
                    1 => holding.shrink(len),
                    2 => books.enter(holding, &names[name], Purpose::Answer, len),
                    _ => {
                        let before = holding.len();
                        let grown = books.grow(holding, len, BUDGET_LEN);
                        let max = if grown.is_ok() { before.max(len) } else { before };
                        prop_assert!(holding.is_empty() || holding.len() == max);
                    }
                }
                let sum = held.iter().map(Holding::len).sum::<usize>();
                prop_assert_eq!(books.held_len(Purpose::Answer), sum);
                for name in &names {
                    let is_own = |it: &&Holding| it.owner().is_some_and(|(own, _)| own == name);
                    let own = held.iter().filter(is_own).map(Holding::len).sum::<usize>();
                    prop_assert_eq!(name.held_len(Purpose::Answer), own);
                }
            }
        }
    }
}
