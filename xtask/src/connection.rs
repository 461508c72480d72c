//! Requests by hand to a development node: [`hk::wire`], its routes and its key.

pub use hk::wire::{Connection, Response, request};

/// Where actions are deployed.
pub const ACTIONS: &str = "/api/v1/namespaces/_/actions";
/// The header line with the key of development nodes, [`hk::GUEST_KEY`].
pub const AUTHORIZATION: &str = "Authorization: Basic \
    MjNiYzQ2YjEtNzFmNi00ZWQ1LThjNTQtODE2YWE0ZjhjNTAyOjEyM3pPM3haQ0xyTU42djJCS0sxZFhZRnBYbFBrY2NPRn\
    FtMTJDZEFzTWdSVTRWck5aOWx5R1ZDR3VNREdJd1A=";
