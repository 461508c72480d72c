//! What a node says about actions and activations: the shapes of the `OpenWhisk` REST interface,
//! version 1, as far as clients need them. Unknown fields are ignored.

use serde::Deserialize;
use serde_json::Value;

use crate::Timing;

/// A deployed action, without its code.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Action {
    /// Name within its namespace.
    pub name: String,
    /// Namespace, `guest` for the development key.
    #[serde(default)]
    pub namespace: String,
    /// Version; the last number grows with each deploy.
    #[serde(default)]
    pub version: String,
    /// What an invocation may use.
    #[serde(default)]
    pub limits: Limits,
}

/// What an invocation may use.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct Limits {
    /// Time in milliseconds.
    #[serde(default, rename = "timeout")]
    pub timeout_ms: u64,
    /// Memory in MB.
    #[serde(default, rename = "memory")]
    pub memory_mb: u64,
}

/// The record of one invocation.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Activation {
    /// 32 hexadecimal digits.
    #[serde(rename = "activationId")]
    pub id: String,
    /// The action's name.
    #[serde(default)]
    pub name: String,
    /// How long it took, in whole milliseconds.
    #[serde(default, rename = "duration")]
    pub duration_ms: u64,
    /// How it ended, and with what.
    pub response: ExecutionResult,
    /// What the action wrote to its log, a line each, with time and stream in front.
    #[serde(default)]
    pub logs: Vec<String>,
    /// Everything else, as key and value.
    #[serde(default)]
    pub annotations: Vec<Value>,
}

/// How an invocation ended, and with what.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct ExecutionResult {
    /// How it ended.
    pub status: Status,
    /// The action's JSON result, or `{"error": reason}`.
    #[serde(default)]
    pub result: Value,
}

/// Who is to blame for the end of an invocation.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub enum Status {
    /// Nobody: it went well.
    #[serde(rename = "success")]
    Success,
    /// The action reported an error in its result.
    #[serde(rename = "application error")]
    ApplicationError,
    /// The action broke a rule: fault, deadline, memory limit, bad exit, no JSON.
    #[serde(rename = "action developer error")]
    DeveloperError,
    /// The node.
    #[serde(rename = "whisk internal error")]
    InternalError,
}

/// The answer to a blocking invocation.
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    /// HTTP status: 200 for success, 502 when the action is to blame.
    pub http_status: u16,
    /// The record.
    pub activation: Activation,
    /// Where the time went.
    pub timing: Timing,
}

impl Invocation {
    /// Whether the action did what it should.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.activation.response.status == Status::Success
    }

    /// The action's JSON result, or `{"error": reason}`.
    #[must_use]
    pub fn result(&self) -> &Value {
        &self.activation.response.result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_full_record_is_read() {
        let record = json!({"namespace": "guest", "name": "hello", "version": "0.0.1",
            "subject": "guest", "activationId": "9afd9bac0d304035af4c2cebfdb98095",
            "start": 1, "end": 3, "duration": 2, "publish": false, "logs": ["a"],
            "response": {"status": "success", "success": true, "result": {"x": 1}, "size": 7},
            "annotations": [{"key": "path", "value": "guest/hello"}]});
        let activation: Activation = serde_json::from_value(record).expect("a record");
        assert_eq!(activation.response.status, Status::Success);
        assert_eq!(activation.response.result, json!({"x": 1}));
        assert_eq!(activation.duration_ms, 2);
    }

    #[test]
    fn a_summary_of_an_action_is_enough() {
        let action: Action = serde_json::from_value(json!({"name": "a"})).expect("an action");
        assert_eq!(action.limits, Limits::default());
    }
}
