//! Why a request is refused, as a status code and a sentence.
//!
//! A [`Reject`] has had no effect: nothing ran and nothing changed. What an action does wrong is
//! not here; it becomes an outcome, see the module `outcome`.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use crate::api::answer::respond;
use crate::api::request::RequestId;
use crate::api::request::code::CodeReject;
use crate::api::request::limit_changes::LimitReject;
use crate::api::request::push::PushReject;
use crate::api::request::query::QueryReject;
use crate::api::request::route::Collection;
use crate::http::{self, FieldLine, Response};
use crate::image::ImageReject;
use crate::json::{FieldReject, JsonReject, Quoted};
use crate::registry::VariableReject;
use crate::registry::{Exceeded, Full, NameReject, OverBudget, RuntimeNameReject};
use crate::state::statistics::Reason;
use crate::state::tenants::KeyReject;
use crate::store::StoreReject;
use limits::{
    CODE_LEN_MAX, ENVIRONMENT_LEN_MAX, LIST_LIMIT_MAX, PARAMETERS_LEN_MAX, PARAMETERS_MAX,
    WARM_PATH_LEN_MAX,
};
use memory::OutOfFrames;

/// How to say who one is.
const CHALLENGE: FieldLine =
    FieldLine::new("WWW-Authenticate: Basic realm=\"OpenWhisk secure realm\"\r\n");

/// Why a request is refused.
#[derive(Debug)]
pub enum Reject {
    /// Who asks may not. 401, 403.
    Key(KeyReject),
    /// There is nothing of this name. 404.
    NotFound,
    /// The name is qualified by a package. 404, or 400 where something was to be made there.
    Packaged {
        /// Whether something was to be made there.
        deploy: bool,
    },
    /// The path exists, but not with this method. 405.
    Method {
        /// The methods it has.
        allow: &'static str,
    },
    /// There is an action of this name, and it was not to be overwritten. 409.
    Exists,
    /// Known, but not offered. 501.
    Unsupported(Unsupported),
    /// The path is no proper percent-encoding of a name, or the name is none. 400.
    Name(NameReject),
    /// A percent-encoding is broken. 400.
    Encoding,
    /// The request names parameters that are the node's, or the action's own. 400.
    ReservedParameters,
    /// The action is a web server, which takes a request and no JSON. 400.
    Server,
    /// Query or form are not what they should be. 400, 413.
    Query(QueryReject),
    /// What should be the id of an activation is none. 400.
    ActivationId,
    /// A list longer than the node makes. 400.
    ListLimit(u64),
    /// The body is not JSON. 400.
    Json(JsonReject),
    /// A field of the body is not what it should be. 400.
    Field(FieldReject),
    /// A limit out of range. 400.
    Limit(LimitReject),
    /// The code is not something the node runs, 400; too long, 413; or there is no memory for it,
    /// 503.
    Code(CodeReject),
    /// The code is for a runtime that the node does not have. 400.
    Kind {
        /// Which.
        kind: Box<str>,
        /// Those it has, as text.
        valid: Box<str>,
    },
    /// A runtime cannot be called like that. 400.
    RuntimeName(RuntimeNameReject),
    /// The code is an image with a flaw. 400.
    Image(ImageReject),
    /// The code ran to be prepared, and did not get there. 400.
    Preparation(String),
    /// Parameters or annotations are too many or too long. 413.
    ParametersTooLong {
        /// Which.
        name: &'static str,
    },
    /// The environment variables are not what they should be, 400; too long, 413; or there is no
    /// memory for them, 503.
    Variable(VariableReject),
    /// The input, with bound parameters, is too long. 413.
    InputTooLong {
        /// The bound in bytes.
        max: usize,
    },
    /// The annotation `warm` is a text, but no path. 400.
    WarmPath,
    /// What a function is told of the request is too long. 431.
    EnvironmentTooLong,
    /// The registry is full, 503; or what the namespace may have of it, 413.
    Full(Full),
    /// The namespace has used up a quota. 429.
    Exceeded(Exceeded),
    /// The registry that keeps the actions could not do its part. 503, 502, 501, 400.
    Store(StoreReject),
    /// What was pushed is not what it should be. 400, 403, 404, 413, 416, 429, 503.
    Push(PushReject),
    /// The record of an activation is on the node with this number. 404.
    OtherNode(u16),
    /// There is no memory to do it now. 503.
    NoMemory,
    /// The namespace holds as much as it may of the node's memory for requests and answers. 503.
    OverBudget,
    /// Too many connections wait for their answers. 503.
    Crowded,
    /// The queues of all cores are full. 503.
    QueueFull,
    /// The node is about to be switched off. 503.
    Draining,
    /// The memory of the invocation could not be reserved. 503.
    NotStarted,
}

/// What OpenWhisk has and this node does not, or not yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsupported {
    /// Making or firing things of this collection.
    Collection(Collection),
}

impl From<OutOfFrames> for Reject {
    fn from(_: OutOfFrames) -> Self {
        Self::NoMemory
    }
}

impl From<JsonReject> for Reject {
    fn from(reject: JsonReject) -> Self {
        Self::Json(reject)
    }
}

impl From<OverBudget> for Reject {
    fn from(_: OverBudget) -> Self {
        Self::OverBudget
    }
}

impl From<KeyReject> for Reject {
    fn from(reject: KeyReject) -> Self {
        Self::Key(reject)
    }
}

impl From<QueryReject> for Reject {
    fn from(reject: QueryReject) -> Self {
        Self::Query(reject)
    }
}

impl From<FieldReject> for Reject {
    fn from(reject: FieldReject) -> Self {
        Self::Field(reject)
    }
}

impl From<NameReject> for Reject {
    fn from(reject: NameReject) -> Self {
        Self::Name(reject)
    }
}

impl From<VariableReject> for Reject {
    fn from(reject: VariableReject) -> Self {
        Self::Variable(reject)
    }
}

impl From<LimitReject> for Reject {
    fn from(reject: LimitReject) -> Self {
        Self::Limit(reject)
    }
}

impl From<CodeReject> for Reject {
    fn from(reject: CodeReject) -> Self {
        Self::Code(reject)
    }
}

impl From<PushReject> for Reject {
    fn from(reject: PushReject) -> Self {
        Self::Push(reject)
    }
}

impl From<ImageReject> for Reject {
    fn from(reject: ImageReject) -> Self {
        Self::Image(reject)
    }
}

impl From<Exceeded> for Reject {
    fn from(exceeded: Exceeded) -> Self {
        Self::Exceeded(exceeded)
    }
}

impl From<Full> for Reject {
    fn from(full: Full) -> Self {
        Self::Full(full)
    }
}

impl Reject {
    /// The status code.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Key(KeyReject::Missing | KeyReject::Wrong) => 401,
            Self::Key(_) => 403,
            Self::NotFound | Self::Packaged { deploy: false } | Self::OtherNode(_) => 404,
            Self::Store(reject) => reject.status(),
            Self::Push(reject) => reject.status(),
            Self::Method { .. } => 405,
            Self::Exists => 409,
            Self::Code(CodeReject::TooLong)
            | Self::Query(QueryReject::TooMany | QueryReject::LongName)
            | Self::ParametersTooLong { .. }
            | Self::Variable(VariableReject::TooLong)
            | Self::InputTooLong { .. }
            | Self::Full(Full::Code(_)) => 413,
            Self::Exceeded(_) => 429,
            Self::Image(ImageReject::NoMemory)
            | Self::Variable(VariableReject::NoMemory)
            | Self::Query(QueryReject::NoMemory) => 503,
            Self::Packaged { deploy: true }
            | Self::Name(_)
            | Self::Encoding
            | Self::ReservedParameters
            | Self::Server
            | Self::ActivationId
            | Self::ListLimit(_)
            | Self::Json(_)
            | Self::Field(_)
            | Self::Limit(_)
            | Self::Variable(_)
            | Self::Kind { .. }
            | Self::RuntimeName(_)
            | Self::Image(_)
            | Self::WarmPath
            | Self::Preparation(_) => 400,
            Self::EnvironmentTooLong => 431,
            Self::Unsupported(_) => 501,
            Self::Code(CodeReject::OutOfFrames)
            | Self::Full(_)
            | Self::NoMemory
            | Self::OverBudget
            | Self::Crowded
            | Self::QueueFull
            | Self::Draining
            | Self::NotStarted => 503,
            Self::Query(_) | Self::Code(_) => 400,
        }
    }

    /// The reason, as it is counted.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Key(_) => Reason::Key,
            Self::Draining => Reason::Draining,
            Self::Code(CodeReject::OutOfFrames)
            | Self::Image(ImageReject::NoMemory)
            | Self::Query(QueryReject::NoMemory) => Reason::Memory,
            Self::Code(_) | Self::Kind { .. } | Self::Image(_) | Self::Preparation(_) => {
                Reason::Image
            }
            Self::Exceeded(_) => Reason::Quota,
            Self::QueueFull => Reason::Queue,
            Self::OverBudget => Reason::Budget,
            Self::Store(_) => Reason::Store,
            Self::Crowded => Reason::Connections,
            Self::Full(_) | Self::NoMemory | Self::NotStarted => Reason::Memory,
            _ => Reason::Request,
        }
    }

    /// The answer.
    #[must_use]
    pub fn response(&self, request_id: &RequestId) -> Response {
        let mut response = error(self.status(), &self.to_string(), request_id);
        match self {
            Self::Key(KeyReject::Missing | KeyReject::Wrong) => {
                response.headers.push_line(CHALLENGE);
            }
            Self::Method { allow } => respond::push_allow(&mut response.headers, allow),
            Self::Exceeded(Exceeded::Rate { wait_s, .. }) => {
                respond::push_retry_after_s(&mut response.headers, *wait_s);
            }
            Self::Exceeded(_) | Self::Push(PushReject::TooMany) => {
                respond::push_retry_after(&mut response.headers);
            }
            _ if self.status() == 503 => respond::push_retry_after(&mut response.headers),
            _ => {}
        }
        response
    }
}

/// An error as clients of OpenWhisk want it: they need both fields, and both as strings.
#[must_use]
pub fn error(status: u16, text: &str, request_id: &RequestId) -> Response {
    let code = request_id.text();
    let body = format!("{{\"error\":{},\"code\":{}}}", Quoted(text), Quoted(code));
    respond::api(status, respond::text(body), request_id)
}

/// The answer to bytes that did not become a request. Browsers and clients of the API get the same.
#[must_use]
pub fn http(reject: http::MessageReject, input_len_max: usize, request_id: &RequestId) -> Response {
    let mut response = match reject {
        http::MessageReject::Malformed(reason) => {
            error(reject.status(), &format!("Malformed request: {reason}"), request_id)
        }
        http::MessageReject::BodyTooLarge => {
            let mib = |len: usize| len >> 20;
            let (input, code) = (mib(input_len_max), mib(CODE_LEN_MAX));
            let text = format!(
                "The body is too large: an input has at most {input} MiB, code {code} MiB."
            );
            error(reject.status(), &text, request_id)
        }
        _ => error(reject.status(), http_text(reject), request_id),
    };
    if reject.status() == 503 {
        respond::push_retry_after(&mut response.headers);
    }
    response
}

const fn http_text(reject: http::MessageReject) -> &'static str {
    match reject {
        http::MessageReject::Malformed(_) => "The request is malformed.",
        http::MessageReject::UnknownMethod => "The method is not known.",
        http::MessageReject::TargetTooLong => "The path is too long.",
        http::MessageReject::HeadTooLarge => "The header fields are too large.",
        http::MessageReject::BodyTooLarge => "The body is too large.",
        http::MessageReject::NoMemory => "The node has no memory left for the body now; try again.",
        http::MessageReject::UnknownCoding => "The transfer coding is not known.",
        http::MessageReject::UnknownVersion => "Only HTTP/1.1 and HTTP/1.0 are spoken here.",
        http::MessageReject::UnknownExpectation => "The expectation cannot be met.",
        http::MessageReject::TooSlow => "The request did not arrive in time.",
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::NotFound => "The requested resource does not exist.",
            Self::Packaged { .. } => "Packages are not supported by this host: use a plain name.",
            Self::ActivationId => "The activation id must be 32 lower-case hexadecimal digits.",
            Self::Exists => "resource already exists",
            Self::Encoding => "The path is not properly percent-encoded.",
            Self::ReservedParameters => {
                "The request defines parameters that are not allowed (e.g., reserved properties)."
            }
            Self::Server => "The action is a web server: it answers at /function/NAME.",
            Self::NoMemory => "The node has no memory left for this request now; try again.",
            Self::Draining => "The node is leaving the service. Nothing ran; try another one.",
            Self::OverBudget => {
                "The namespace holds as much as it may of the node's memory for requests and \
                 answers. Nothing ran; try again."
            }
            Self::Crowded => {
                "The node is busy: too many connections wait for answers. Nothing ran; try again."
            }
            Self::QueueFull => "The node is busy: all queues are full. Nothing ran; try again.",
            Self::NotStarted => {
                "The node cannot reserve the action's memory now. Nothing ran; try again."
            }
            Self::Unsupported(what) => return what.fmt(f),
            Self::Json(reject) => {
                return write!(f, "The request content was malformed: {reject}");
            }
            Self::Key(reject) => return reject.fmt(f),
            Self::Query(reject) => return reject.fmt(f),
            Self::Field(reject) => return reject.fmt(f),
            Self::Limit(reject) => return reject.fmt(f),
            Self::Code(reject) => return reject.fmt(f),
            Self::Kind { kind, valid } => {
                let unknown = CodeReject::Kind(kind.clone());
                return write!(f, "{unknown} Valid values are: {valid}.");
            }
            Self::Variable(reject) => return reject.fmt(f),
            Self::RuntimeName(reject) => return reject.fmt(f),
            Self::Image(reject) => return reject.fmt(f),
            Self::Preparation(what) => what,
            Self::Name(reject) => return reject.fmt(f),
            Self::Full(full) => return full.fmt(f),
            Self::Store(reject) => return reject.fmt(f),
            Self::Push(reject) => return reject.fmt(f),
            Self::OtherNode(node) => {
                return write!(f, "The record of this activation is kept by node {node}.");
            }
            Self::Exceeded(exceeded) => return exceeded.fmt(f),
            Self::Method { allow } => {
                return write!(f, "HTTP method not allowed, supported methods: {allow}");
            }
            Self::ListLimit(value) => {
                return write!(
                    f,
                    "The value '{value}' is not in the range of 0 to {LIST_LIMIT_MAX} for 'limit'."
                );
            }
            Self::EnvironmentTooLong => {
                return write!(
                    f,
                    "Path, query and header fields exceed the {ENVIRONMENT_LEN_MAX} bytes that an \
                     action can be told of a request."
                );
            }
            Self::WarmPath => {
                return write!(
                    f,
                    "The annotation 'warm' is a path that begins with '/', of at most \
                     {WARM_PATH_LEN_MAX} visible ASCII characters."
                );
            }
            Self::ParametersTooLong { name } => {
                return write!(
                    f,
                    "The {name} exceed the limit of {PARAMETERS_MAX} entries or \
                     {PARAMETERS_LEN_MAX} bytes."
                );
            }
            Self::InputTooLong { max } => {
                return write!(
                    f,
                    "The input, bound parameters included, exceeds the limit of {max} bytes."
                );
            }
        };
        f.write_str(text)
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Collection(collection) => {
                write!(f, "{} are not supported by this host.", collection.name())
            }
        }
    }
}
