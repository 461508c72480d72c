//! The access line: what the log server is told of a request that was answered, or abandoned.
//!
//! A line has the path without the query, which may hold secrets. There is none for health checks
//! and metrics: they come all the time, and say nothing.

use core::fmt::{self, Write as _};

use itoa::Buffer;
use log::Level;

use crate::api::invoke::admission::Pending;
use crate::api::invoke::reading::Reading;
use crate::api::invoke::shape::Shape;
use crate::api::manage::deploying::Deploying;
use crate::api::request::RequestId;
use crate::api::request::route::Route;
use crate::digits::Hex;
use crate::http::{Headers, Method, Request};
use crate::journal::syslog::{About, Body};
use crate::state::Node;
use crate::state::statistics::Outcome;
use crate::traceparent::TraceParent;

/// What was answered.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// An invocation, and how it ended, if it has.
    Invocation(&'a Pending, Option<Outcome>),
    /// Another request.
    Request {
        /// Its path.
        path: &'a str,
        /// Its header fields.
        headers: Headers<'a>,
        /// The number it was given.
        id: u128,
    },
    /// What is no request, and the number it was given.
    Nothing(u128),
}

/// Stands for the status of an answer that the client did not wait for, as in other servers' logs.
pub const ABANDONED: u16 = 499;

impl Node {
    /// Counts an answer, and tells the log server of it. The method is unknown if the request could
    /// not be read. It began `age_ns` ago.
    pub fn answered(
        &mut self,
        method: Option<Method>,
        status: u16,
        subject: Subject<'_>,
        age_ns: u64,
    ) {
        self.statistics.answered(method, status);
        if self.syslog.is_some() {
            self.tell(method, status, subject, age_ns);
        }
    }

    /// Tells the log server that a client has left before its invocation had ended.
    pub fn abandoned(&self, method: Option<Method>, pending: &Pending, age_ns: u64) {
        self.tell(method, ABANDONED, Subject::Invocation(pending, None), age_ns);
    }

    #[inline(never)]
    fn tell(&self, method: Option<Method>, status: u16, subject: Subject<'_>, age_ns: u64) {
        let level = if status < 500 { Level::Info } else { Level::Warn };
        let Some(queue) = self.syslog.as_ref().filter(|queue| queue.takes(level)) else { return };
        if subject.is_probe() {
            return;
        }
        let mut line = Body::default();
        line.begin_data();
        if let Subject::Invocation(pending, outcome) = subject {
            line.parameter("aid", pending.id_text().as_str());
            line.parameter("namespace", pending.action().namespace.as_str());
            line.parameter("action", pending.action().name.as_str());
            if let Some(outcome) = outcome {
                line.parameter("outcome", outcome.name());
            }
        }
        line.parameter("status", Buffer::new().format(status));
        line.parameter("dur_us", Buffer::new().format(age_ns / 1000));
        match subject {
            Subject::Invocation(pending, _) => {
                line.parameter("req", pending.request_id().text());
                line.parameter("trace", pending.trace().trace_id());
            }
            Subject::Request { headers, id, .. } => {
                let id = Hex::of(id);
                line.parameter("req", RequestId::given(headers).unwrap_or(id.as_str()));
                let given = headers.get("traceparent");
                let given = given.and_then(|given| TraceParent::within(given, id.as_bytes()));
                let trace = given.unwrap_or_else(|| TraceParent::new(id.as_bytes()));
                line.parameter("trace", trace.trace_id());
            }
            Subject::Nothing(id) => line.parameter("req", Hex::of(id).as_str()),
        }
        line.end_data();
        // A long path is cut.
        let _ = write!(line, " {} ", method.map_or("-", Method::name));
        let _ = subject.write_path(&mut line);
        queue.push(level, About::Access, &line);
    }
}

impl<'a> Subject<'a> {
    /// A request that was given the number `id`.
    #[must_use]
    pub fn of(request: &'a Request, id: u128) -> Self {
        Self::Request { path: request.text.path(), headers: request.text.headers(), id }
    }

    /// That of a deploy.
    #[must_use]
    pub fn of_deploy(deploying: &'a Deploying) -> Self {
        let (path, headers) = (deploying.text.path(), deploying.text.headers());
        Self::Request { path, headers, id: deploying.id }
    }

    /// That of an invocation whose input is read.
    #[must_use]
    pub fn of_reading(reading: &'a Reading) -> Self {
        let (path, headers) = (reading.text.path(), reading.text.headers());
        Self::Request { path, headers, id: reading.id }
    }

    fn is_probe(self) -> bool {
        let Self::Request { path, .. } = self else { return false };
        matches!(Route::of(path), Route::Ping | Route::Alive | Route::Ready | Route::Metrics)
    }

    /// That of an invocation is no longer there: the usual one stands for it.
    fn write_path(self, out: &mut Body) -> fmt::Result {
        let (pending, _) = match self {
            Self::Invocation(pending, outcome) => (pending, outcome),
            Self::Request { path, .. } => return out.write_str(path),
            Self::Nothing(_) => return out.write_str("-"),
        };
        let (namespace, name) = (&pending.action().namespace, pending.action().name.as_str());
        match pending.shape() {
            Shape::Function(_) => write!(out, "/function/{name}"),
            Shape::Web { .. } => write!(out, "/api/v1/web/{}/default/{name}", namespace.as_str()),
            _ => write!(out, "/api/v1/namespaces/{}/actions/{name}", namespace.as_str()),
        }
    }
}
