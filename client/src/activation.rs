//! What a node says about activations, in the shapes of the `OpenWhisk` REST interface, version 1.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Receipt, Timing};

/// In the reason of an action that ended as programs in Rust do when they panic.
const PANIC_STATUS: &str = "exit status 101";
/// In the line of their log that says where.
const PANICKED: &str = "panicked at ";

/// The record of one invocation.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
pub struct Activation {
    /// 32 hexadecimal digits.
    #[serde(rename = "activationId")]
    pub id: String,
    /// The action's name.
    #[serde(default)]
    pub name: String,
    /// When it started, in milliseconds since 1970.
    #[serde(default, rename = "start")]
    pub start_ms: u64,
    /// How long it took, in whole milliseconds.
    #[serde(default, rename = "duration")]
    pub duration_ms: u64,
    /// How it ended, and with what.
    pub response: ExecutionResult,
    /// What the action wrote to its log, a line each, with time and stream in front.
    #[serde(default)]
    pub logs: Vec<String>,
    /// Everything measured, as key and value; [`Receipt::read`](crate::Receipt::read) knows them.
    #[serde(default)]
    pub annotations: Vec<Value>,
    /// What else the node says, by its names.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Activation {
    /// Why it did not go well: the node's name for the fault, or what the action says of its error.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        if self.response.status == Status::Success {
            return None;
        }
        let error = &self.response.result["error"];
        match error.as_str() {
            Some(text) if text.contains(PANIC_STATUS) => {
                let panic = self.panic().map(|panic| format!(", {panic}")).unwrap_or_default();
                Some(format!("{text}{panic}"))
            }
            Some(text) => Some(text.to_owned()),
            None if error.is_null() => Some(self.response.status.text().to_owned()),
            None => Some(error.to_string()),
        }
    }

    /// Where and why a program in Rust gave up, which is in its log only.
    fn panic(&self) -> Option<String> {
        let text = |line: &String| Some(line.split_once("stderr: ")?.1.to_owned());
        let mut lines = self.logs.iter().filter_map(text);
        let place = lines.find(|line| line.contains(PANICKED))?;
        // The message follows in lines of its own; the first one says most.
        Some([Some(place), lines.next()].into_iter().flatten().collect::<Vec<_>>().join(" "))
    }
}

/// An entry of a list of activations: the record without result and log.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
pub struct Summary {
    /// 32 hexadecimal digits.
    #[serde(rename = "activationId")]
    pub id: String,
    /// The action's name.
    #[serde(default)]
    pub name: String,
    /// When it started, in milliseconds since 1970.
    #[serde(default, rename = "start")]
    pub start_ms: u64,
    /// How long it took, in whole milliseconds.
    #[serde(default, rename = "duration")]
    pub duration_ms: u64,
    /// How it ended: [`Status`] by its number.
    #[serde(default, rename = "statusCode")]
    pub status_code: usize,
    /// Everything measured, as key and value.
    #[serde(default)]
    pub annotations: Vec<Value>,
    /// What else the node says, by its names.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Summary {
    /// How it ended.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::ALL.get(self.status_code).copied().unwrap_or(Status::InternalError)
    }
}

/// Which activations to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Of this action only.
    pub name: Option<String>,
    /// How many at most; the node's default if absent, and never more than 200.
    pub limit: Option<u32>,
    /// How many of the newest to leave out.
    pub skip: u32,
    /// Only those that started at this time or later, in milliseconds since 1970.
    pub since_ms: Option<u64>,
}

/// How an invocation ended, and with what.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
pub struct ExecutionResult {
    /// How it ended.
    pub status: Status,
    /// The action's JSON result, or `{"error": reason}`.
    #[serde(default)]
    pub result: Value,
    /// What else the node says, by its names.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Who is to blame for the end of an invocation.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
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

impl Status {
    /// In the order of their numbers.
    const ALL: [Self; 4] =
        [Self::Success, Self::ApplicationError, Self::DeveloperError, Self::InternalError];

    /// In a word or two, for people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::ApplicationError => "application error",
            Self::DeveloperError => "developer error",
            Self::InternalError => "internal error",
        }
    }
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
    /// What the answer would have been to who waited on.
    pub(crate) fn recorded(activation: Activation) -> Self {
        let http_status = if activation.response.status == Status::Success { 200 } else { 502 };
        let timing = Receipt::read(&activation.annotations).timing;
        Self { http_status, activation, timing }
    }

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
    fn a_full_record_is_read_and_nothing_of_it_is_lost() {
        let record = json!({"namespace": "guest", "name": "hello", "version": "0.0.1",
            "subject": "guest", "activationId": "9afd9bac0d304035af4c2cebfdb98095",
            "start": 1, "end": 3, "duration": 2, "publish": false, "logs": ["a"],
            "response": {"status": "success", "success": true, "result": {"x": 1}, "size": 7},
            "annotations": [{"key": "path", "value": "guest/hello"}]});
        let activation: Activation = serde_json::from_value(record.clone()).expect("a record");
        assert_eq!(activation.response.status, Status::Success);
        assert_eq!(activation.response.result, json!({"x": 1}));
        assert_eq!(activation.duration_ms, 2);
        assert_eq!(serde_json::to_value(activation).expect("JSON"), record);
    }

    #[test]
    fn a_failure_has_a_reason_and_a_success_none() {
        let reason = |status: &str, result: Value| {
            let record = json!({"activationId": "a",
                "response": {"status": status, "result": result}});
            serde_json::from_value::<Activation>(record).expect("a record").reason()
        };
        let fault = "page fault reading 0x0 at 0x4";
        let developer = "action developer error";
        assert_eq!(reason(developer, json!({"error": fault})).as_deref(), Some(fault));
        assert_eq!(reason(developer, json!({"x": 1})).as_deref(), Some("developer error"));
        let own = reason("application error", json!({"error": {"code": 7}}));
        assert_eq!(own.as_deref(), Some("{\"code\":7}"));
        assert_eq!(reason("success", json!({"error": "not one"})), None);
    }

    #[test]
    fn a_panic_is_named_with_its_place() {
        let reason = |error: &str, logs: &[&str]| {
            let record = json!({"activationId": "a", "logs": logs,
                "response": {"status": "action developer error", "result": {"error": error}}});
            serde_json::from_value::<Activation>(record).expect("a record").reason()
        };
        let logs = [
            "2026 stdout: panicked at x",
            "2026 stderr: panicked at src/main.rs:7:5:",
            "2026 stderr: no more room",
            "2026 stderr: note",
        ];
        assert_eq!(
            reason("exit status 101", &logs).as_deref(),
            Some("exit status 101, panicked at src/main.rs:7:5: no more room")
        );
        assert_eq!(reason("exit status 101", &[]).as_deref(), Some("exit status 101"));
        assert_eq!(reason("exit status 1", &logs).as_deref(), Some("exit status 1"));
    }

    #[test]
    fn a_summary_has_its_status_as_a_number() {
        let summary = |code: u64| -> Summary {
            serde_json::from_value(json!({"activationId": "a", "statusCode": code}))
                .expect("a summary")
        };
        assert_eq!(summary(0).status(), Status::Success);
        assert_eq!(summary(2).status(), Status::DeveloperError);
        assert_eq!(summary(9).status(), Status::InternalError);
    }
}
