//! Why a request did not get the answer it asked for.

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
}

impl Error {
    /// The HTTP status, if there was an answer.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Unreachable { .. } => None,
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

/// What the caller can do about a status.
fn advice(status: u16) -> &'static str {
    match status {
        401 => "; check the key",
        409 => "; allow overwriting to replace it",
        413 => "; send less",
        429 | 503 => "; try again in a moment",
        _ => "",
    }
}
