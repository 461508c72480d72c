//! A request whose answer takes reading: an invocation whose input is long, about which everything
//! else has been decided, or a list.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::merging::Merging;
use super::shape::Shape;
use super::web::input::Composing;
use crate::api::answer::error::Reject;
use crate::api::manage::listing::Listing;
use crate::api::request::Parts;
use crate::http::{Method, RequestText};
use crate::registry::{Action, Namespace, Registry};
use crate::slice::Slice;
use crate::state::records::Records;
use memory::PageBuffer;

/// See the head of this file.
pub struct Reading {
    /// Of the request, without its body.
    pub text: RequestText,
    /// The number it was given.
    pub id: u128,
    /// Of the request.
    pub method: Method,
    source: Source,
}

/// What is read.
pub enum Source {
    /// JSON, which becomes the input of an action; an answer of this shape is wanted.
    Json(Arc<Action>, Merging, Shape),
    /// Whatever came to an exported action, likewise.
    Web(Arc<Action>, Box<Composing>, Shape),
    /// What is listed.
    List(Box<Listing>),
}

/// What was read.
pub enum Read {
    /// The input of this action, and what is to be answered.
    Input(Arc<Action>, PageBuffer, Shape),
    /// A document to answer with.
    List(PageBuffer),
}

impl Reading {
    /// Begins to read what belongs to a request.
    #[must_use]
    pub fn new(parts: &Parts<'_>, source: Source) -> Self {
        // The text is added when nobody borrows it any more.
        let text = RequestText::default();
        Self { text, id: parts.id.0, method: parts.method, source }
    }

    /// Whose action or list it is.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        match &self.source {
            Source::Json(action, ..) | Source::Web(action, ..) => &action.namespace,
            Source::List(listing) => listing.namespace(),
        }
    }

    /// Goes on. Returns what was read when all of it was.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn step(
        &mut self,
        registry: &Registry,
        records: &Records,
        slice: &mut Slice,
    ) -> Result<Option<Read>, Reject> {
        let (action, shape, input) = match &mut self.source {
            Source::Json(action, merging, shape) => {
                (&*action, *shape, merging.step(&action.parameters, slice)?)
            }
            Source::Web(action, composing, shape) => {
                (&*action, *shape, composing.step(&action.parameters, slice)?)
            }
            Source::List(listing) => {
                return Ok(listing.step(registry, records, slice)?.map(Read::List));
            }
        };
        Ok(input.map(|input| Read::Input(Arc::clone(action), input, shape)))
    }

    /// How much memory it takes by now.
    #[must_use]
    pub fn held_len(&self) -> usize {
        match &self.source {
            Source::Json(_, merging, _) => merging.held_len(),
            Source::Web(_, composing, _) => composing.held_len(),
            Source::List(listing) => listing.held_len(),
        }
    }
}
