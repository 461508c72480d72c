//! What a namespace may use.

use alloc::format;
use alloc::string::String;

use crate::api::answer::respond;
use crate::api::request::Parts;
use crate::http::Response;
use crate::json::Quoted;
use crate::registry::{Namespace, Runtimes};
use crate::state::Policy;
use limits::{
    LOGS_MB_MAX, MEMORY_MB_MAX, MEMORY_MB_MIN, PARAMETERS_LEN_MAX, TIMEOUT_MS_MAX, TIMEOUT_MS_MIN,
};

/// `GET …/limits`: what the namespace may use. A quota it does not have is left out.
pub fn describe(
    namespace: &Namespace,
    runtimes: &Runtimes,
    policy: &Policy,
    parts: &Parts<'_>,
) -> Response {
    let quotas = namespace.quotas();
    let quota = |name: &str, value: Option<u64>| {
        value.map_or_else(String::new, |value| format!("\"{name}\":{value},"))
    };
    let memory_mb = MEMORY_MB_MAX.min(policy.memory_mb_max);
    let memory_mb = quotas.memory_mb.unwrap_or(memory_mb).min(memory_mb);
    // As long as there is something that hosts them.
    let linux = if policy.host.is_some() { ",\"linux\"" } else { "" };
    let kinds: String =
        runtimes.iter().map(|runtime| format!(",{}", Quoted(&runtime.name))).collect();
    let body = format!(
        "{{{}{}{}\"firesPerMinute\":0,\
         \"allowedKinds\":[\"native:1\"{linux},\"blackbox\"{kinds}],\
         \"minActionDuration\":{TIMEOUT_MS_MIN},\"maxActionDuration\":{TIMEOUT_MS_MAX},\
         \"minActionMemory\":\"{MEMORY_MB_MIN} MB\",\"maxActionMemory\":\"{memory_mb} MB\",\
         \"minActionLogs\":\"0 MB\",\"maxActionLogs\":\"{LOGS_MB_MAX} MB\",\
         \"minActionConcurrency\":1,\"maxActionConcurrency\":1,\
         \"maxParameterSize\":\"{PARAMETERS_LEN_MAX} B\"}}",
        quota("invocationsPerMinute", quotas.rate.map(u64::from)),
        quota("concurrentInvocations", quotas.concurrency.map(u64::from)),
        quota("maxCodeMb", quotas.code_mb),
    );
    respond::api(200, respond::text(body), &parts.request_id)
}
