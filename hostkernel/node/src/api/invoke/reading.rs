//! An invocation whose input is still being read: everything else about it has been decided.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::merging::Merging;
use super::shape::Shape;
use super::web::input::Composing;
use crate::api::answer::error::Reject;
use crate::api::request::Parts;
use crate::http::{Method, RequestText};
use crate::registry::{Action, Namespace};
use crate::slice::Slice;
use memory::PageBuffer;

/// See the head of this file.
pub struct Reading {
    /// Of the request, without its body.
    pub text: RequestText,
    /// The number it was given.
    pub id: u128,
    /// Of the request.
    pub method: Method,
    /// What is to run.
    pub action: Arc<Action>,
    source: Source,
}

/// What becomes the input.
pub enum Source {
    /// JSON, and an answer of this shape is wanted.
    Json(Merging, Shape),
    /// Whatever came to an exported action, likewise.
    Web(Box<Composing>, Shape),
}

impl Reading {
    /// Begins to read what is to be the input of `action`.
    #[must_use]
    pub fn new(action: &Arc<Action>, parts: &Parts<'_>, source: Source) -> Self {
        let action = Arc::clone(action);
        // The text is added when nobody borrows it any more.
        let text = RequestText::default();
        Self { text, id: parts.id.0, method: parts.method, action, source }
    }

    /// What is to be answered.
    #[must_use]
    pub fn shape(&self) -> Shape {
        match &self.source {
            Source::Json(_, shape) | Source::Web(_, shape) => *shape,
        }
    }

    /// Whose action it is.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.action.namespace
    }

    /// Goes on. Returns the input when it is there.
    ///
    /// # Errors
    /// Why it is none.
    pub fn step(&mut self, slice: &mut Slice) -> Result<Option<PageBuffer>, Reject> {
        match &mut self.source {
            Source::Json(merging, _) => merging.step(&self.action.parameters, slice),
            Source::Web(composing, _) => composing.step(&self.action.parameters, slice),
        }
    }

    /// How much memory it takes by now.
    #[must_use]
    pub fn held_len(&self) -> usize {
        match &self.source {
            Source::Json(merging, _) => merging.held_len(),
            Source::Web(composing, _) => composing.held_len(),
        }
    }
}
