//! `ANY /api/v1/web/NS/PACKAGE/NAME[.EXTENSION][/PATH]`: exported actions, for browsers.
//!
//! A request becomes JSON in `input`, a JSON result becomes a response in `output`. The
//! annotations of an action decide who may do what: without `web-export` there is nothing here.

mod charset;
mod content_type;
pub mod input;
mod output;

use input::Composing;
pub use output::{Failure, Transcoded, Transcoding, complete};

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;

use crate::api::answer::error::Reject;
use crate::api::answer::respond;
use crate::api::invoke::admission::{Reply, prepare};
use crate::api::invoke::environment::environment;
use crate::api::invoke::reading::{Reading, Source};
use crate::api::invoke::shape::{Media, Shape};
use crate::api::request::Parts;
use crate::api::request::query::decode_segment;
use crate::api::request::route::WebTarget;
use crate::http::Method;
use crate::registry::{Action, Door, Namespace, Registry};
use crate::state::Node;
use crate::state::tenants::{KeyReject, Tenants, equal};
use memory::PageBuffer;

const EXTENSIONS: [(&str, Media); 5] = [
    (".http", Media::Http),
    (".json", Media::Json),
    (".html", Media::Html),
    (".svg", Media::Svg),
    (".text", Media::Text),
];

/// Admits an invocation of an exported action.
pub fn admit(
    node: &mut Node,
    parts: &Parts<'_>,
    body: PageBuffer,
    target: WebTarget<'_>,
) -> Result<Reply, Reject> {
    let Node { registry, policy, spare, .. } = node;
    let (action, media) = find(registry, target)?;
    if action.template.is_server() {
        return Err(Reject::Server);
    }
    let cors = !action.annotations.answers_options;
    if parts.method == Method::Options && cors {
        let asked = parts.headers.get("access-control-request-headers");
        return Ok(Reply::Respond(respond::preflight_web(asked, &parts.request_id)));
    }
    let tenants = &policy.tenants;
    let user = parts.headers.get("authorization").map(|key| tenants.authenticate(Some(key)));
    // An action that answers OPTIONS itself does so for everybody: browsers ask without keys.
    if parts.method != Method::Options {
        check_secret(action, parts, tenants)?;
    }
    let namespace = user.and_then(Result::ok).map(|tenant| &tenant.namespace);
    let composing = Composing::new(action, parts, body, target.path, namespace)?;
    let shape = Shape::Web { media, cors };
    if composing.is_long(&action.parameters) {
        let source = Source::Web(Arc::clone(action), Box::new(composing), shape);
        return Ok(Reply::Read(Box::new(Reading::new(parts, source))));
    }
    let input = composing.whole(&action.parameters)?;
    let environment = environment(spare, action, parts, 0);
    prepare(action, parts, input, environment, shape)
}

/// Whose action it is, and which, without the extension.
pub fn named(target: WebTarget<'_>) -> Option<(String, String)> {
    let name = decode_segment(target.name)?;
    let (name, _) = split(&name);
    Some((decode_segment(target.namespace)?.into_owned(), name.into()))
}

/// A name without its extension, and what that says.
fn split(name: &str) -> (&str, Media) {
    let extension = EXTENSIONS.iter().find(|(extension, _)| name.ends_with(extension));
    let (extension, media) = extension.copied().unwrap_or(("", Media::Http));
    (name.strip_suffix(extension).unwrap_or(name), media)
}

/// The exported action, and what its result is to become. Whatever is wrong, there is nothing.
fn find<'a>(
    registry: &'a Registry,
    target: WebTarget<'_>,
) -> Result<(&'a Arc<Action>, Media), Reject> {
    let namespace = decode_segment(target.namespace).ok_or(Reject::Encoding)?;
    let name = decode_segment(target.name).ok_or(Reject::Encoding)?;
    let (name, media) = split(&name);
    let found = registry.get(&Namespace::new(&namespace), name);
    found
        .filter(|action| target.package == "default" && action.annotations.is_exported)
        .map(|action| (action, media))
        .ok_or(Reject::NotFound)
}

/// Checks what `require-whisk-auth` asks for: `true` for anybody's key, else a secret of its own.
pub fn check_secret(action: &Action, parts: &Parts<'_>, tenants: &Tenants) -> Result<(), Reject> {
    // Header fields are looked up only for those who ask for them.
    let sent = || parts.headers.get("x-require-whisk-auth");
    match &action.annotations.door {
        Door::Open => Ok(()),
        Door::AnyKey => {
            tenants.authenticate(parts.headers.get("authorization"))?;
            Ok(())
        }
        Door::Secret(secret)
            if sent().is_some_and(|sent| equal(secret.as_bytes(), sent.as_bytes())) =>
        {
            Ok(())
        }
        Door::Secret(_) | Door::Closed => Err(KeyReject::unauthorized(sent().is_some()).into()),
    }
}
