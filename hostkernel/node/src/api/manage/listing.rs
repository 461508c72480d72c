//! A list on its way to its answer, in slices: how many entries stand in front of those that are
//! asked for is for the client to say, and how long each of them is, too.

use alloc::boxed::Box;
use alloc::vec;
use core::fmt::{self, Write as _};
use core::ops::Range;

use super::actions::{count, is_counted, limit_and_skip, write_absent, write_summary};
use super::activations::{Filter, Write, write_kept};
use crate::api::answer::error::Reject;
use crate::api::request::Parts;
use crate::api::request::query::Query;
use crate::document::Document;
use crate::http::Response;
use crate::registry::{Name, Namespace, Registry};
use crate::slice::Slice;
use crate::state::records::Records;
use crate::state::store::Stored;
use crate::state::tenants::Tenant;
use limits::LIST_LEN_MAX;
use memory::PageBuffer;

/// What an entry counts for in a slice that is only passed over: about the bytes that are read in
/// the time this takes.
const PASSED_LEN: usize = 32;

/// See the head of this file.
pub struct Listing {
    namespace: Namespace,
    what: What,
    /// How many entries are still passed over, and how many are told then.
    skip: usize,
    limit: usize,
    out: Document,
}

/// What is listed, and where it goes on.
pub enum What {
    /// Actions, behind this one.
    Actions(Option<Name>),
    /// Actions of which a registry has these names, which are those that are asked for.
    Stored(vec::IntoIter<Name>),
    /// Records below this number.
    Records(Box<Filter>, u64, Write),
    /// How many records there are, of which so many were found.
    Count(Box<Filter>, u64, usize),
}

/// What becomes of the request for a list.
pub enum Listed {
    /// It only asks how many there are, and this is the answer.
    Count(Response),
    /// It is begun.
    Begun(Box<Listing>),
}

/// Which entries of a list are asked for; none, if it is how many there are.
pub fn wanted(query: Query<'_>) -> Result<Range<usize>, Reject> {
    let (limit, skip) = limit_and_skip(query)?;
    Ok(if is_counted(query)? { 0..0 } else { skip..skip.saturating_add(limit) })
}

/// `GET …/actions`, or how many there are. `listed` is what a registry has of them, if one keeps
/// the actions.
pub fn of_actions(
    registry: &Registry,
    listed: Option<Stored>,
    tenant: &Tenant,
    parts: &Parts<'_>,
) -> Result<Listed, Reject> {
    let namespace = &tenant.namespace;
    let (limit, skip) = limit_and_skip(parts.query)?;
    if is_counted(parts.query)? {
        let all = listed.map_or_else(|| registry.count(namespace), |stored| stored.all);
        return Ok(Listed::Count(count("actions", all.saturating_sub(skip), parts)));
    }
    let (what, skip) = match listed {
        Some(stored) => (What::Stored(stored.names.into_iter()), 0),
        None => (What::Actions(None), skip),
    };
    Ok(Listed::Begun(Box::new(Listing::new(namespace, what, (skip, limit)))))
}

/// `GET …/activations`: the newest first, or how many there are.
pub fn of_records(tenant: &Tenant, parts: &Parts<'_>) -> Result<Listed, Reject> {
    let query = parts.query;
    let filter = Box::new(Filter::read(query)?);
    let (limit, skip) = limit_and_skip(query)?;
    let write: Write = match query.flag("docs", false)? {
        true => |activation, out| activation.write(out),
        false => |activation, out| activation.write_summary(out),
    };
    let what = match is_counted(query)? {
        true => What::Count(filter, u64::MAX, 0),
        false => What::Records(filter, u64::MAX, write),
    };
    Ok(Listed::Begun(Box::new(Listing::new(&tenant.namespace, what, (skip, limit)))))
}

impl Listing {
    /// Begins with what is to be listed.
    #[must_use]
    pub fn new(namespace: &Namespace, what: What, (skip, limit): (usize, usize)) -> Self {
        let namespace = namespace.clone();
        Self { namespace, what, skip, limit, out: Document::default() }
    }

    /// Whose it is.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Goes on. Returns the document when it is there.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn step(
        &mut self,
        registry: &Registry,
        records: &Records,
        slice: &mut Slice,
    ) -> Result<Option<PageBuffer>, Reject> {
        while !self.go_on(registry, records, slice).map_err(|fmt::Error| Reject::NoMemory)? {
            if slice.is_over() {
                return Ok(None);
            }
        }
        let Self { what, skip, out, .. } = self;
        let ended = match what {
            What::Count(_, _, found) => {
                write!(out, "{{\"activations\":{}}}", found.saturating_sub(*skip))
            }
            _ if out.len() == 0 => out.write_str("[]"),
            _ => out.write_str("]"),
        };
        ended.map_err(|fmt::Error| Reject::NoMemory)?;
        Ok(Some(core::mem::take(out).into_pages()))
    }

    /// Takes entries as long as the slice is not over. Returns whether there are no more.
    fn go_on(
        &mut self,
        registry: &Registry,
        records: &Records,
        slice: &mut Slice,
    ) -> Result<bool, fmt::Error> {
        let Self { namespace, what, skip, limit, out } = self;
        let mut telling = Telling { skip, limit, out, slice };
        match what {
            What::Actions(after) => {
                let mut last = None;
                for action in registry.list_behind(namespace, after.as_ref()) {
                    if telling.is_over() {
                        break;
                    }
                    telling.entry(|out| write_summary(out, action))?;
                    last = Some(action);
                }
                let is_told = telling.is_told();
                match last {
                    Some(last) => *after = Some(last.name.clone()),
                    None => return Ok(is_told || !telling.slice.is_over()),
                }
                Ok(is_told)
            }
            What::Stored(names) => {
                while !telling.is_over() {
                    let Some(name) = names.next() else { return Ok(true) };
                    telling.entry(|out| match registry.get(namespace, name.as_str()) {
                        Some(action) => write_summary(out, action),
                        None => write_absent(out, namespace, &name),
                    })?;
                }
                Ok(telling.is_told())
            }
            What::Records(filter, below, write) => {
                for (number, kept) in records.newest_below(namespace, *below) {
                    if telling.is_over() {
                        return Ok(telling.is_told());
                    }
                    *below = number;
                    match filter.takes(kept) {
                        true => telling.entry(|out| write_kept(out, kept, *write))?,
                        false => telling.slice.take(PASSED_LEN),
                    }
                }
                Ok(true)
            }
            What::Count(filter, below, found) => {
                for (number, kept) in records.newest_below(namespace, *below) {
                    if telling.slice.is_over() {
                        return Ok(false);
                    }
                    *below = number;
                    *found += usize::from(filter.takes(kept));
                    telling.slice.take(PASSED_LEN);
                }
                Ok(true)
            }
        }
    }

    /// How much memory it takes by now.
    #[must_use]
    pub fn held_len(&self) -> usize {
        self.out.len()
    }
}

/// What entries are told to.
struct Telling<'a> {
    skip: &'a mut usize,
    limit: &'a mut usize,
    out: &'a mut Document,
    slice: &'a mut Slice,
}

impl Telling<'_> {
    /// Whether no more entries are told, or none in this slice.
    fn is_over(&self) -> bool {
        self.is_told() || self.slice.is_over()
    }

    /// Whether as many have been told as are asked for, or have room.
    fn is_told(&self) -> bool {
        *self.limit == 0 || self.out.len() > LIST_LEN_MAX
    }

    /// Tells of the next entry, or passes over it.
    fn entry(&mut self, write: impl FnOnce(&mut Document) -> fmt::Result) -> fmt::Result {
        if let Some(skip) = self.skip.checked_sub(1) {
            *self.skip = skip;
            self.slice.take(PASSED_LEN);
            return Ok(());
        }
        *self.limit -= 1;
        let before = self.out.len();
        self.out.write_str(if before == 0 { "[" } else { "," })?;
        write(self.out)?;
        self.slice.take(self.out.len() - before);
        Ok(())
    }
}
