//! From code to a template: at once where it is native, by running its host where it is not.
//!
//! A host image prepares its payload as an invocation of the tenant, on a worker, under the
//! action's limits. The action waits with that invocation; it is deployed when its image was
//! frozen. Until then nothing has changed.
//!
//! The host may be a frozen template itself. Then it goes on where that was frozen, and what comes
//! of it holds only what it changed: the base is shared by all that were made from it, whoever has
//! deployed them.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::actions::{Detail, describe_to};
use super::inspect::{Inspected, KIND_NATIVE};
use crate::api::answer::deed::{Change, Deed};
use crate::api::answer::distribution;
use crate::api::answer::error::Reject;
use crate::api::invoke::admission::{self, Admission, Pending, Reply};
use crate::api::invoke::shape::Shape;
use crate::api::invoke::{outcome, server};
use crate::api::request::query::Query;
use crate::api::request::{Parts, RequestId};
use crate::digits::Hex;
use crate::dispatch::{ActivationId, Completion, End, Invocation, Log, Ticket};
use crate::document::contiguous;
use crate::http::{Headers, Method, Response};
use crate::image::elf;
use crate::registry::{Action, Annotations, Digest, Name, Namespace, Registry, Runtime, Warm};
use crate::state::{Now, Policy};
use crate::traceparent::TraceParent;
use limits::EXCERPT_LEN_MAX;
use memory::{PageBuffer, Template};

/// Kind of a program for the library OS that comes without one.
const KIND_LINUX: &str = "linux";
/// In the environment of a host image that prepares: freeze at the program's input, or where it
/// waits for a connection; and the port on which it is expected to.
const INIT_AT_INPUT: &[u8] = b"HOSTKERNEL_INIT=input\0PORT=8080\0";
/// Likewise: the payload is a runtime, which waits for a function.
const STAGE_RUNTIME: &[u8] = b"HOSTKERNEL_INIT=input\0HOSTKERNEL_STAGE=runtime\0PORT=8080\0";
/// Likewise: the payload is a function for the runtime that waits, or a server.
const STAGE_FUNCTION: &[u8] = b"HOSTKERNEL_INIT=input\0HOSTKERNEL_STAGE=function\0PORT=8080\0";

/// Whose the action will be, on which node, from when.
#[derive(Clone, Copy)]
pub struct Owner<'a> {
    pub namespace: &'a Namespace,
    pub policy: &'a Policy,
    pub wall_ms: u64,
}

/// What a frozen template depends on, besides the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings<'a> {
    /// The memory limit, which a program may have asked for.
    pub memory_mb: u64,
    /// Whether it is frozen at its input.
    pub at_input: bool,
    /// What is answered before that, if it is a server.
    pub warming: Option<Warming<'a>>,
}

impl Settings<'_> {
    fn digest(self, of_file: Digest) -> Digest {
        let digest = of_file.frozen_under(self.memory_mb, self.at_input);
        self.warming.map_or(digest, |warming| digest.warmed_by(warming.path))
    }

    /// The preparation of a program.
    fn prepare(self, payload: Arc<PageBuffer>) -> Preparation {
        Preparation::of_program(payload, self.at_input).warmed_by(self.warming)
    }
}

/// What a server answers before it is frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warming<'a> {
    /// What the action is called.
    pub name: &'a str,
    /// Where it is asked, with a query if there is one.
    pub path: &'a str,
}

impl<'a> Warming<'a> {
    /// What an action wants.
    ///
    /// # Errors
    /// [`Reject::WarmPath`] if that is no path.
    pub fn read(annotations: &'a Annotations, name: &'a Name) -> Result<Option<Self>, Reject> {
        match &annotations.warm {
            Warm::Not => Ok(None),
            Warm::Path(path) => Ok(Some(Self { name: name.as_str(), path })),
            Warm::Unclear => Err(Reject::WarmPath),
        }
    }
}

/// What code comes to.
pub struct Made {
    pub digest: Digest,
    /// Digest of the template's code alone.
    pub of_code: Digest,
    /// What instances are made from, the first of which may have to prepare it.
    pub template: Arc<Template>,
    /// What it has to prepare.
    pub preparation: Option<Preparation>,
}

/// What a host image is given before there is anything to invoke.
#[derive(Debug)]
pub struct Preparation {
    /// The file that it is to prepare.
    pub payload: Arc<PageBuffer>,
    /// What it reads meanwhile.
    pub input: PageBuffer,
    /// `NAME=value` strings, each ended by a NUL byte.
    pub environment: Vec<u8>,
}

impl Preparation {
    /// That of a program, up to its first instruction or its first look at the input.
    #[must_use]
    pub fn of_program(payload: Arc<PageBuffer>, at_input: bool) -> Self {
        let environment = if at_input { Vec::from(INIT_AT_INPUT) } else { Vec::new() };
        Self { payload, input: PageBuffer::new(), environment }
    }

    /// That of a runtime, up to where it waits for a function.
    #[must_use]
    pub fn of_runtime(payload: Arc<PageBuffer>) -> Self {
        Self { payload, input: PageBuffer::new(), environment: STAGE_RUNTIME.into() }
    }

    /// That of a function, up to where it waits for a call. Its runtime reads `init` first.
    #[must_use]
    pub fn of_function(payload: Arc<PageBuffer>, init: PageBuffer) -> Self {
        Self { payload, input: init, environment: STAGE_FUNCTION.into() }
    }

    /// The same for a server that answers something before it is frozen.
    #[must_use]
    pub fn warmed_by(mut self, warming: Option<Warming<'_>>) -> Self {
        if let Some(Warming { name, path }) = warming {
            self.environment.splice(..0, server::warming_head(name, path));
        }
        self
    }
}

/// Whether an image is to be frozen at its program's first look at the input, as servers are that
/// are warmed up.
pub fn at_input(annotations: &Annotations) -> bool {
    let is_said = |item| item == (r#""init""#, r#""input""#);
    annotations.warm != Warm::Not || annotations.list().iter().any(is_said)
}

/// Turns code into what instances are made from. A namespace that has the same code already has it
/// once. What it was found to be comes back.
pub fn load(
    code: Inspected,
    registry: &Registry,
    Owner { namespace, policy, .. }: Owner<'_>,
    settings: Settings<'_>,
) -> Result<(&'static str, Made), Reject> {
    let Inspected { executable, of_file, of_sent, text, has_note } = code;
    let known = |digest: &Digest| registry.image(namespace, digest).map(Arc::clone);
    if let Some(template) = known(&of_file) {
        return Ok((
            KIND_NATIVE,
            Made { digest: of_file, of_code: of_file, template, preparation: None },
        ));
    }
    if let Some(host) = &policy.host
        && executable.can_be_hosted()
        && !has_note
    {
        let mut sent = executable.into_sent();
        sent.clear_tail();
        let (digest, of_code) = (settings.digest(of_sent), of_sent);
        let made = match known(&digest) {
            Some(template) => Made { digest, of_code, template, preparation: None },
            None => {
                let preparation = settings.prepare(Arc::new(sent));
                Made { digest, of_code, template: Arc::clone(host), preparation: Some(preparation) }
            }
        };
        return Ok((KIND_LINUX, made));
    }
    let plan = elf::plan_pages(&executable.file, text)?;
    if !plan.is_host {
        let template = Arc::new(Template::build(&plan, executable.file)?);
        return Ok((
            KIND_NATIVE,
            Made { digest: of_file, of_code: of_file, template, preparation: None },
        ));
    }
    // It prepares itself.
    let (digest, of_code) = (settings.digest(of_file), of_file);
    let made = match known(&digest) {
        Some(template) => Made { digest, of_code, template, preparation: None },
        None => {
            let template = Arc::new(Template::build(&plan, executable.file)?);
            let preparation = settings.prepare(Arc::new(PageBuffer::new()));
            Made { digest, of_code, template, preparation: Some(preparation) }
        }
    };
    Ok((KIND_NATIVE, made))
}

/// The template of an action whose settings may have changed.
pub fn renew(action: &Action, registry: &Registry, settings: Settings<'_>) -> Made {
    let Action { namespace, template, .. } = action;
    let (unchanged, of_code) = (action.digest, action.of_code);
    let kept = || Arc::clone(template);
    let unchanged = || Made { digest: unchanged, of_code, template: kept(), preparation: None };
    let Some(frozen) = template.frozen() else { return unchanged() };
    let digest = settings.digest(action.of_code);
    if digest == action.digest {
        return unchanged();
    }
    match registry.image(namespace, &digest) {
        Some(template) => {
            Made { digest, of_code, template: Arc::clone(template), preparation: None }
        }
        None => Made {
            digest,
            of_code,
            template: Arc::clone(frozen.base()),
            preparation: Some(settings.prepare(Arc::clone(frozen.payload()))),
        },
    }
}

/// Hands out the invocation that prepares an action, whose template is its host for now.
pub fn admit(
    action: &Arc<Action>,
    parts: &Parts<'_>,
    Preparation { payload, input, environment }: Preparation,
    shape: Shape,
) -> Result<Reply, Reject> {
    let reply = admission::prepare(action, parts, input, environment, shape)?;
    Ok(match reply {
        Reply::Invoke(mut admission) => {
            admission.payload = Some(payload);
            // What is frozen has none of them: calls bring the ones that count by then.
            admission.variables = None;
            Reply::Invoke(admission)
        }
        reply => reply,
    })
}

/// The same for what nobody has sent: it came from the registry.
pub fn admit_unasked(
    action: &Arc<Action>,
    policy: &Policy,
    preparation: Preparation,
    shape: Shape,
    (now, random_id): (Now, u128),
) -> Result<Admission, Reject> {
    let id_text = Hex::of(random_id);
    let parts = Parts {
        method: Method::Put,
        query: Query::new(None),
        headers: Headers::default(),
        now,
        id: ActivationId(random_id),
        id_text,
        request_id: RequestId::Generated(id_text),
        trace: TraceParent::new(id_text.as_bytes()),
        traced: false,
        body_len_max: policy.body_len_max,
    };
    match admit(action, &parts, preparation, shape)? {
        Reply::Invoke(admission) => Ok(admission),
        Reply::Respond(_) | Reply::Store(_) | Reply::Deploy(_) | Reply::Read(_) => {
            Err(Reject::NotFound)
        }
    }
}

/// What the machine lends to deploying before it serves.
pub struct Boot<'a> {
    /// Milliseconds since 1970-01-01 UTC, or 0.
    pub wall_ms: u64,
    /// Runs an invocation that prepares a host image, and waits for its end.
    pub run: &'a mut dyn FnMut(Invocation) -> Completion,
}

/// Prepares an action while nothing is served: all that is to do has time.
pub fn at_boot(
    action: &Action,
    policy: &Policy,
    Preparation { payload, input, environment }: Preparation,
    run: &mut dyn FnMut(Invocation) -> Completion,
) -> Result<Arc<Template>, Reject> {
    let completion = run(Invocation {
        id: ActivationId(0),
        ticket: Ticket(0),
        permit: action.namespace.admit(0)?,
        template: Arc::clone(&action.template),
        limits: action.limits,
        input,
        environment,
        variables: None,
        payload: Some(payload),
        output_len_max: policy.body_len_max,
        outlet: None,
        admitted_ns: 0,
    });
    frozen(&completion)
}

/// The template that a preparation came to.
///
/// # Errors
/// Why it did not come to one.
pub fn frozen(completion: &Completion) -> Result<Arc<Template>, Reject> {
    match (completion.end, &completion.frozen) {
        (End::Frozen { .. }, Some(template)) => Ok(Arc::clone(template)),
        (End::NotStarted, _) => Err(Reject::NotStarted),
        _ => Err(Reject::Preparation(what_happened(completion))),
    }
}

/// What a preparation has led to.
#[derive(Debug)]
pub enum Done {
    /// It was deployed, or not: this is the answer.
    Answer(Response),
    /// The registry has to hear of it first.
    Deed(Deed),
    /// The registry has it, by this manifest, and here it is, or why not.
    Fetched(Digest, Result<Arc<Action>, Reject>),
    /// The same of a runtime.
    Supplied(Digest, Result<Arc<Runtime>, Reject>),
}

/// Deploys an action whose preparation has ended, or says why not.
pub fn complete(
    registry: &mut Registry,
    pending: &Pending,
    completion: Completion,
    has_store: bool,
) -> Result<Done, Reject> {
    let action =
        frozen(&completion).map(|template| Arc::new(pending.action().with_template(template)));
    let shape = pending.shape();
    if let Shape::Fetch { etag } = shape {
        return Ok(Done::Fetched(etag, action));
    }
    let action = action?;
    // Somebody else may have been faster.
    let is_new = matches!(shape, Shape::Deploy { is_new: true, .. });
    if is_new && registry.get(&action.namespace, action.name.as_str()).is_some() {
        return Err(Reject::Exists);
    }
    let response = deployed(&action, shape, pending.request_id())?;
    if has_store {
        let request_id = pending.request_id().clone();
        return Ok(Done::Deed(Deed { change: Change::Put(action), response, request_id }));
    }
    registry.insert(action)?;
    Ok(Done::Answer(response))
}

/// The answer to the deploy of an action.
///
/// # Errors
/// There is no memory for it.
pub fn deployed(action: &Action, shape: Shape, id: &RequestId) -> Result<Response, Reject> {
    match shape {
        Shape::Deploy { with_code: true, .. } => describe_to(action, Detail::WithCode, id),
        Shape::Deploy { .. } => describe_to(action, Detail::WithoutCode, id),
        Shape::Push { manifest } => Ok(distribution::manifest_created(manifest, id)),
        _ => Err(Reject::NotFound),
    }
}

/// Why an image did not get to where it could be frozen, with the end of its log.
fn what_happened(completion: &Completion) -> String {
    let said = || outcome::said(completion.end, &completion.output);
    let reason = || outcome::reason(completion.end, completion.reports.as_deref());
    let why = match said().or_else(reason) {
        Some(reason) => reason,
        None => String::from("it ended by itself"),
    };
    let end = if why.ends_with('.') { "" } else { "." };
    let mut text = format!("The code could not be prepared: {why}{end}");
    let log = contiguous(&completion.log.text).unwrap_or_default();
    // An image that says why says so in the log, too, for those who only see that.
    let is_new = |line: &&[u8]| *line != why.as_bytes();
    let lines: Vec<&[u8]> = Log::lines(&log).map(|line| line.text).filter(is_new).collect();
    let mut len = 0;
    let fits = |line: &&&[u8]| {
        len += line.len();
        len <= EXCERPT_LEN_MAX
    };
    let shown = lines.iter().rev().take_while(fits).count();
    for line in &lines[lines.len() - shown..] {
        text.push_str(" | ");
        text.push_str(&String::from_utf8_lossy(line));
    }
    text
}
