//! What a node says about actions, in the shape of the `OpenWhisk` REST interface, version 1.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A deployed action, without its code.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
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
    /// What else the node says, by its names.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What an invocation may use.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
pub struct Limits {
    /// Time in milliseconds.
    #[serde(default, rename = "timeout")]
    pub timeout_ms: u64,
    /// Memory in MB.
    #[serde(default, rename = "memory")]
    pub memory_mb: u64,
    /// What else the node says, by its names.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_summary_of_an_action_is_enough() {
        let action: Action = serde_json::from_value(json!({"name": "a"})).expect("an action");
        assert_eq!(action.limits, Limits::default());
    }

    #[test]
    fn nothing_the_node_says_is_lost() {
        let said = json!({"name": "a", "namespace": "guest", "version": "0.0.1", "updated": 7,
            "limits": {"timeout": 1, "memory": 2, "logs": 3}, "exec": {"kind": "native:1"}});
        let action: Action = serde_json::from_value(said.clone()).expect("an action");
        assert_eq!(serde_json::to_value(action).expect("JSON"), said);
    }
}
