//! What the answer to an invocation looks like.

use crate::registry::Digest;

/// What the answer looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The id, before anything ran.
    Accepted,
    /// The record of the activation, as JSON.
    Activation,
    /// The action's JSON result.
    Result,
    /// The bytes the action wrote.
    Function(Form),
    /// None: an action of the registry is prepared, for whoever waits for it.
    Fetch {
        /// What the registry calls it.
        etag: Digest,
    },
    /// The document that describes what was deployed, once it was prepared.
    Deploy {
        /// With the code.
        with_code: bool,
        /// There was no action of this name.
        is_new: bool,
    },
    /// That what was pushed is there, once it was prepared.
    Push {
        /// What its manifest is called by.
        manifest: Digest,
    },
    /// The document that describes a runtime, once it was prepared.
    Runtime,
    /// None: a runtime of the registry is prepared, for the node.
    Supply {
        /// What the registry calls it.
        etag: Digest,
    },
    /// What the action's JSON result says, to browsers.
    Web {
        /// What the result is read as.
        media: Media,
        /// Whether scripts of any origin may read it.
        cors: bool,
    },
}

/// How the bytes that an action wrote become an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// They are its body.
    Bytes,
    /// They begin with header fields.
    Cgi,
    /// They begin with all header fields that a web server sent.
    Server {
        /// In answer to `HEAD`: there is no body, and a field may say how long it would be.
        is_head: bool,
    },
}

/// What a result is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// Blame, header fields and body.
    Http,
    /// A document of its own.
    Json,
    /// A page in a field.
    Html,
    /// A drawing in a field.
    Svg,
    /// A text in a field.
    Text,
}
