//! How an invocation may end: well, or with a reason that has a name.

use serde_json::Value;

use super::Find;
use super::session::Session;
use crate::connection::{ACTIONS, AUTHORIZATION};

/// How the reason of a failed activation begins.
const REASONS: [&str; 8] = [
    "page fault ",
    "stack overflow touching ",
    "deadline of ",
    "memory limit of ",
    "result of ",
    "exit status ",
    // What was an image of ours may be a Linux program to the node after a mutation.
    "killed by ",
    "The action did not produce a valid JSON response: ",
];
/// What the reason contains if it is a processor exception.
const EXCEPTION: &str = " (#";

/// Invokes an action, which may end in any way that has a name.
///
/// # Errors
/// A [`Find`] if it ends in another way, or not at all.
pub fn invoke(session: &mut Session, name: &str, input: &[u8]) -> Result<(), Find> {
    let target = format!("{ACTIONS}/{name}?blocking=true");
    let answer = session.exchange("POST", &target, &[AUTHORIZATION], input)?;
    let record = serde_json::from_slice(&answer.body).unwrap_or_default();
    if is_named(answer.status, &record) {
        return Ok(());
    }
    Err(Find::new(format!("an end without a name: {} {}", answer.status, answer.text())))
}

fn is_named(status: u16, record: &Value) -> bool {
    let response = &record["response"];
    match response["status"].as_str() {
        Some("success") => status == 200,
        Some("application error") => status == 502,
        Some("action developer error") => {
            let reason = response["result"]["error"].as_str().unwrap_or_default();
            let known = REASONS.iter().any(|start| reason.starts_with(start));
            status == 502 && (known || reason.contains(EXCEPTION))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ends_with_a_name_are_told_from_others() {
        let failed = |reason: &str| {
            json!({ "response": { "status": "action developer error",
                "result": { "error": reason } } })
        };
        assert!(is_named(502, &failed("page fault reading 0x0 at 0x400000")));
        assert!(is_named(502, &failed("invalid instruction (#UD) at 0x400000")));
        assert!(!is_named(200, &failed("exit status 3")));
        assert!(!is_named(502, &failed("")));
        assert!(is_named(200, &json!({ "response": { "status": "success" } })));
        assert!(!is_named(502, &json!({ "error": "no record" })));
    }
}
