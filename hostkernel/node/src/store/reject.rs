//! Why the registry could not do what it was asked.

use core::fmt;

use super::credentials::CredentialsReject;
use super::manifest::ManifestReject;
use crate::client::Failure;

/// Why an errand failed.
#[derive(Debug)]
pub enum StoreReject {
    /// The registry did not answer.
    Away(Failure),
    /// It answered with a status that means no good.
    Status(Place, u16),
    /// It does not let the node in.
    Credentials(CredentialsReject),
    /// It does not delete.
    NoDelete,
    /// It sent something else than what it said, or than what was asked for.
    Digest,
    /// What it has by that name is no action.
    Manifest(ManifestReject),
    /// Its list of tags is none.
    Tags,
    /// It cannot have an action of this name.
    Name,
    /// Too many errands are under way.
    Busy,
    /// There is no memory for what it sent.
    NoMemory,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// What an action consists of.
    Manifest,
    /// What it is.
    Config,
    /// Its code.
    Code,
    /// Room for one of both.
    Upload,
    /// Which actions there are.
    Tags,
}

impl StoreReject {
    /// The status of an answer that says so.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Away(_) | Self::Busy | Self::NoMemory => 503,
            Self::Status(_, 429 | 500..=599) => 503,
            Self::Name => 400,
            Self::NoDelete => 501,
            _ => 502,
        }
    }

    /// Whether it is the registry as a whole that is not there, and not one action in it.
    #[must_use]
    pub const fn is_away(&self) -> bool {
        matches!(self, Self::Away(_) | Self::Status(_, 429 | 500..=599) | Self::Credentials(_))
    }
}

impl fmt::Display for StoreReject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(failure) => write!(f, "The registry is away: {failure}."),
            Self::Status(place, status) => {
                let what = match place {
                    Place::Manifest => "a manifest",
                    Place::Config => "an action's description",
                    Place::Code => "an action's code",
                    Place::Upload => "an upload",
                    Place::Tags => "its list of tags",
                };
                write!(f, "The registry answers {status} where {what} was asked for.")
            }
            Self::Credentials(reject) => f.write_str(match reject {
                CredentialsReject::Unknown => {
                    "The registry wants a kind of authentication that the node does not know."
                }
                CredentialsReject::Tls => {
                    "The registry's token server wants https, which the node does not speak."
                }
                CredentialsReject::Token => "The registry's token server gives no token.",
                CredentialsReject::Denied => {
                    "The registry does not let the node in: see hostkernel.store_auth."
                }
            }),
            Self::NoDelete => f.write_str(
                "The registry does not delete; docker-registry does with \
                 REGISTRY_STORAGE_DELETE_ENABLED=true.",
            ),
            Self::Digest => {
                f.write_str("The registry sent something else than what it said. It is not used.")
            }
            Self::Manifest(reject) => {
                write!(f, "The registry has something else by this name: {reject}.")
            }
            Self::Tags => f.write_str("The registry's list of tags is malformed."),
            Self::Name => f.write_str(
                "The name is too long for the registry: a tag has at most 128 characters, and each \
                 sign in a name takes three.",
            ),
            Self::Busy => f.write_str("Too many requests wait for the registry; try again."),
            Self::NoMemory => {
                f.write_str("The node has no memory for what the registry sent; try again.")
            }
        }
    }
}
