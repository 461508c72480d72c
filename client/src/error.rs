//! Why a request did not get the answer it asked for.

use std::time::Duration;

use crate::Known;

/// Why a request failed. The message says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No answer at all.
    #[error("no answer from {url}: {cause}; is a node running there? `cargo xtask run` starts one")]
    Unreachable {
        /// Where the request went.
        url: String,
        /// What happened on the way.
        cause: Box<ureq::Error>,
    },
    /// The node refused the request, and nothing was changed or run.
    #[error("the node refused with status {status}: {message}{}", advice(*.status))]
    Refused {
        /// HTTP status.
        status: u16,
        /// The node's reason.
        message: String,
        /// The node's id for this request, to be found in its log.
        request_id: Option<String>,
        /// After how many seconds another try makes sense, if the node said so.
        retry_after_s: Option<u64>,
    },
    /// The answer does not have the shape the interface promises.
    #[error(
        "the answer from {url} (status {status}) is not one a node gives: {reason}; is something \
         else listening on that port?"
    )]
    Unexpected {
        /// Where the request went.
        url: String,
        /// HTTP status.
        status: u16,
        /// What is wrong with the answer.
        reason: String,
    },
    /// An invocation was begun, and its end not seen.
    #[error("the activation {id} has begun, and {}", .cause.as_ref().map_or_else(
        || format!("has not ended within {} s", .waited.as_secs()),
        |cause| format!("then: {cause}"),
    ))]
    Unfinished {
        /// Under which the node will keep the record.
        id: String,
        /// How long its end was waited for.
        waited: Duration,
        /// Why no longer, if not because that was long enough.
        cause: Option<Box<Error>>,
    },
}

impl Error {
    /// The HTTP status, if there was an answer.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Unreachable { .. } | Self::Unfinished { .. } => None,
            Self::Refused { status, .. } | Self::Unexpected { status, .. } => Some(*status),
        }
    }

    /// Whether the time for the request was over.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        let Self::Unreachable { cause, .. } = self else { return false };
        matches!(**cause, ureq::Error::Timeout(_))
    }
}

/// What the caller can do about a status, as the end of a sentence.
fn advice(status: u16) -> String {
    match Known::of(status) {
        Some(known) if !known.advice.is_empty() => format!("; {}", known.advice),
        _ => String::new(),
    }
}
