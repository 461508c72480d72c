//! An invocation whose input is still being read: everything else about it has been decided.

use alloc::sync::Arc;

use super::merging::Merging;
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
    merging: Merging,
}

impl Reading {
    /// Begins to read what is to be the input of `action`.
    ///
    /// # Errors
    /// It is too long, or there is no memory.
    pub fn new(action: &Arc<Action>, parts: &Parts<'_>, body: PageBuffer) -> Result<Self, Reject> {
        let is_final = action.annotations.is_final;
        let merging = Merging::new(body, &action.parameters, is_final, parts.body_len_max)?;
        let action = Arc::clone(action);
        // The text is added when nobody borrows it any more.
        let text = RequestText::default();
        Ok(Self { text, id: parts.id.0, method: parts.method, action, merging })
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
        self.merging.step(&self.action.parameters, slice)
    }

    /// How much memory it takes by now.
    #[must_use]
    pub fn held_len(&self) -> usize {
        self.merging.held_len()
    }
}
