//! What a request's handler still wants to know of it.

use super::id::RequestId;
use super::query::Query;
use crate::digits::Hex;
use crate::dispatch::ActivationId;
use crate::http::{Headers, Method};
use crate::state::Now;
use crate::traceparent::TraceParent;

/// A request without path and body: what the route's handler still wants to know.
pub struct Parts<'a> {
    pub method: Method,
    pub query: Query<'a>,
    pub headers: Headers<'a>,
    pub now: Now,
    pub id: ActivationId,
    pub id_text: Hex,
    pub request_id: RequestId,
    pub trace: TraceParent,
    /// Longest input and longest result of an invocation.
    pub body_len_max: usize,
    /// The request says what trace it belongs to.
    pub traced: bool,
}
