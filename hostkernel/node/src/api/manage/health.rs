//! What load balancers and curious clients ask without a key: is it alive, is it ready, what is it.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use crate::api::answer::respond::{self, text};
use crate::api::request::Parts;
use crate::http::{Body, Response};
use crate::json::Quoted;
use crate::registry::Runtimes;
use crate::state::store::{RuntimeStand, Stand};
use crate::state::{Node, Policy, Readiness};
use limits::{LOGS_MB_MAX, MEMORY_MB_MAX, MEMORY_MB_MIN, TIMEOUT_MS_MAX, TIMEOUT_MS_MIN};

/// `GET /healthz`, `GET /livez`: who can answer is alive.
pub fn alive(parts: &Parts<'_>) -> Response {
    let body = if verbose(parts) {
        Body::Static(b"[+]network ok\n[+]api ok\nhealthz check passed\n")
    } else {
        Body::Static(b"ok")
    };
    respond::plain(200, respond::TEXT, body, &parts.request_id)
}

/// `GET /readyz`: whether to send requests here. A registry that is away is told, and no reason not
/// to once the runtimes are there: what the node has it goes on serving.
pub fn ready(parts: &Parts<'_>, node: &Node) -> Response {
    let (status, state, address, shutdown) = match node.readiness {
        Readiness::Ready => (200, "ok", "[+]address ok", "[+]shutdown ok"),
        Readiness::Booting => (503, "booting", "[-]address none yet", "[+]shutdown ok"),
        Readiness::Preparing => (503, "preparing", "[+]address ok", "[+]shutdown ok"),
        Readiness::Draining => (503, "draining", "[+]address ok", "[-]shutdown draining"),
    };
    let body = if verbose(parts) {
        let store = match &node.load.store {
            None => "",
            Some(store) if store.is_away => "[-]store away, serving what is here\n",
            Some(_) => "[+]store ok\n",
        };
        let runtimes: String = node.load.runtimes.iter().map(runtime_line).collect();
        let verdict = if status == 200 { "passed" } else { "failed" };
        text(format!("{address}\n{shutdown}\n{store}{runtimes}readyz check {verdict}\n"))
    } else {
        Body::Static(state.as_bytes())
    };
    let mut response = respond::plain(status, respond::TEXT, body, &parts.request_id);
    if status == 503 {
        respond::push_retry_after(&mut response.headers);
    }
    response
}

/// What is said of a runtime that is wanted from the registry.
fn runtime_line((name, stand): &RuntimeStand) -> String {
    let (sign, how) = match stand {
        Stand::Here => ('+', "ok"),
        Stand::Awaited => ('-', "awaited"),
        Stand::Absent => ('-', "not in the store"),
        Stand::Unusable => ('-', "does not start, see the log"),
    };
    format!("[{sign}]runtime {name} {how}\n")
}

fn verbose(parts: &Parts<'_>) -> bool {
    parts.query.has("verbose")
}

/// `GET /api/v1`
pub fn description(parts: &Parts<'_>, policy: &Policy) -> Response {
    let body = format!(
        "{{\"description\":\"OpenWhisk API\",\"api_version\":\"1.0.0\",\
         \"api_version_path\":\"v1\",\"build\":{0},\"buildno\":{0}}}",
        Quoted(&policy.build)
    );
    respond::api(200, text(body), &parts.request_id)
}

/// `GET /`
pub fn index(parts: &Parts<'_>, Node { policy, registry, .. }: &Node) -> Response {
    let memory_max = MEMORY_MB_MAX.min(policy.memory_mb_max) << 20;
    // As long as there is something that hosts them.
    let linux = match &policy.host {
        Some(_) => r#","linux":[{"kind":"linux","default":true,"deprecated":false}]"#,
        None => "",
    };
    let runtimes = runtimes(registry.runtimes());
    let body = format!(
        "{{\"description\":\"OpenWhisk\",\"support\":{{}},\"api_paths\":[\"/api/v1\"],\
         \"runtimes\":{{\"native\":[{{\"kind\":\"native:1\",\"default\":true,\
         \"deprecated\":false}}]{linux}{runtimes}}},\"limits\":{{\
         \"min_action_duration\":{TIMEOUT_MS_MIN},\"max_action_duration\":{TIMEOUT_MS_MAX},\
         \"min_action_memory\":{},\"max_action_memory\":{memory_max},\
         \"min_action_logs\":0,\"max_action_logs\":{}}}}}",
        MEMORY_MB_MIN << 20,
        LOGS_MB_MAX << 20,
    );
    respond::api(200, text(body), &parts.request_id)
}

/// The kinds of the runtimes by family, as members that follow others. The last of a family is its
/// default.
fn runtimes(runtimes: &Runtimes) -> String {
    let mut families: BTreeMap<&str, String> = BTreeMap::new();
    for runtime in runtimes.iter() {
        let family = runtime.name.split(':').next().unwrap_or_default();
        let is_default = runtimes.find(family).is_some_and(|last| last.name == runtime.name);
        let kinds = families.entry(family).or_default();
        let separator = if kinds.is_empty() { "" } else { "," };
        *kinds += &format!(
            "{separator}{{\"kind\":{},\"default\":{is_default},\"deprecated\":false}}",
            Quoted(&runtime.name)
        );
    }
    families.iter().map(|(name, kinds)| format!(",{}:[{kinds}]", Quoted(name))).collect()
}
