//! A change that a registry has to hear of before anybody is told that it was made.

use alloc::sync::Arc;

use super::error::Reject;
use crate::api::request::RequestId;
use crate::http::Response;
use crate::registry::Action;
use crate::store::StoreReject;

/// See the head of this file.
#[derive(Debug)]
pub struct Deed {
    /// What changes.
    pub change: Change,
    /// The answer once it has.
    pub response: Response,
    /// Whose answer that is.
    pub request_id: RequestId,
}

/// What changes.
#[derive(Debug)]
pub enum Change {
    /// This is the action of its name.
    Put(Arc<Action>),
    /// There is none of its name.
    Delete(Arc<Action>),
}

impl Deed {
    /// The action it is about.
    #[must_use]
    pub fn action(&self) -> &Arc<Action> {
        let (Change::Put(action) | Change::Delete(action)) = &self.change;
        action
    }

    /// The answer.
    ///
    /// # Errors
    /// The answer if the registry did not take it: nothing has changed.
    pub fn answer(self, result: Result<(), StoreReject>) -> Result<Response, Response> {
        match result {
            Ok(()) => Ok(self.response),
            Err(reject) => Err(Reject::Store(reject).response(&self.request_id)),
        }
    }
}
