//! A change that a registry has to hear of before anybody is told that it was made.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use super::error::Reject;
use crate::api::request::RequestId;
use crate::http::Response;
use crate::registry::{Action, Runtime};
use crate::store::{Item, Parcel, StoreReject, Task};

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
    /// This is the runtime of its name.
    PutRuntime(Arc<Runtime>),
    /// There is none of its name.
    DeleteRuntime(Arc<Runtime>),
}

impl Change {
    /// What it is about.
    #[must_use]
    pub fn item(&self) -> Item {
        match self {
            Self::Put(action) | Self::Delete(action) => {
                Item::Action((action.namespace.clone(), action.name.clone()))
            }
            Self::PutRuntime(runtime) | Self::DeleteRuntime(runtime) => {
                Item::Runtime(runtime.name.clone())
            }
        }
    }

    /// What the registry is to do.
    #[must_use]
    pub fn task(&self) -> Task {
        match self {
            Self::Put(action) => Task::Put(Parcel::of_action(action)),
            Self::PutRuntime(runtime) => Task::Put(Parcel::of_runtime(runtime)),
            Self::Delete(_) | Self::DeleteRuntime(_) => Task::Delete,
        }
    }

    /// The path of a request for it: the usual one.
    #[must_use]
    pub fn path(&self) -> String {
        match self {
            Self::Put(action) | Self::Delete(action) => {
                format!("/api/v1/namespaces/{}/actions/{}", action.namespace, action.name)
            }
            Self::PutRuntime(runtime) | Self::DeleteRuntime(runtime) => {
                format!("/api/v1/runtimes/{}", runtime.name)
            }
        }
    }
}

impl Deed {
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
