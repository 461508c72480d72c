//! Limits of an action: what a request says about them, and their ranges.

use core::fmt;

use super::query::{Query, QueryReject};
use crate::json::{FieldReject, Json};
use crate::registry::{Limits, Quotas};
use limits::{LOGS_MB_MAX, MEMORY_MB_MAX, MEMORY_MB_MIN, TIMEOUT_MS_MAX, TIMEOUT_MS_MIN};

/// The limits a request names; the others stay as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct LimitChanges {
    timeout_ms: Option<u64>,
    memory_mb: Option<u64>,
    logs_mb: Option<u64>,
    concurrency: Option<u64>,
}

/// A limit out of its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitReject {
    /// Which limit.
    pub name: &'static str,
    /// Its unit, with a space in front if it has one.
    pub unit: &'static str,
    /// What was asked for.
    pub value: u64,
    /// The bound it exceeds or falls below.
    pub bound: LimitBound,
}

/// The bound a limit violates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitBound {
    /// No node takes less.
    Minimum(u64),
    /// No node takes more.
    Maximum(u64),
    /// This node has no more.
    Node(u64),
}

impl LimitChanges {
    /// Reads OpenWhisk's object.
    pub fn read(json: Json<'_>) -> Result<Self, FieldReject> {
        let [timeout, memory, logs, concurrency] = json
            .pick(["timeout", "memory", "logs", "concurrency"])
            .map_err(|_| FieldReject { name: "limits", expected: "an object" })?;
        let number = |value: Option<Json<'_>>, name| {
            let read = |value: Json<'_>| {
                value.unsigned().ok_or(FieldReject { name, expected: "a whole number" })
            };
            value.map(read).transpose()
        };
        Ok(Self {
            timeout_ms: number(timeout, "limits.timeout")?,
            memory_mb: number(memory, "limits.memory")?,
            logs_mb: number(logs, "limits.logs")?,
            concurrency: number(concurrency, "limits.concurrency")?,
        })
    }

    /// Reads the same from a query.
    pub fn read_query(query: Query<'_>) -> Result<Self, QueryReject> {
        Ok(Self {
            timeout_ms: query.number("timeout")?,
            memory_mb: query.number("memory")?,
            logs_mb: query.number("logs")?,
            concurrency: None,
        })
    }

    /// The limits as they will be. `memory_mb_max` is what this node can give.
    pub fn apply(
        self,
        limits: Limits,
        memory_mb_max: u64,
        quotas: &Quotas,
    ) -> Result<Limits, LimitReject> {
        let limits = Limits {
            timeout_ms: self.timeout_ms.unwrap_or(limits.timeout_ms),
            memory_mb: self.memory_mb.unwrap_or(limits.memory_mb),
            logs_mb: self.logs_mb.unwrap_or(limits.logs_mb),
        };
        let Limits { timeout_ms, memory_mb, logs_mb } = limits;
        check("timeout", " milliseconds", timeout_ms, TIMEOUT_MS_MIN, TIMEOUT_MS_MAX)?;
        let allowed_mb = quotas.memory_mb.unwrap_or(MEMORY_MB_MAX);
        check("memory", " MB", memory_mb, MEMORY_MB_MIN, allowed_mb)?;
        if memory_mb > memory_mb_max {
            let bound = LimitBound::Node(memory_mb_max);
            return Err(LimitReject { name: "memory", unit: " MB", value: memory_mb, bound });
        }
        check("log", " MB", logs_mb, 0, LOGS_MB_MAX)?;
        check("concurrency", "", self.concurrency.unwrap_or(1), 1, 1)?;
        Ok(limits)
    }
}

fn check(
    name: &'static str,
    unit: &'static str,
    value: u64,
    min: u64,
    max: u64,
) -> Result<(), LimitReject> {
    let bound = if value < min {
        LimitBound::Minimum(min)
    } else if value > max {
        LimitBound::Maximum(max)
    } else {
        return Ok(());
    };
    Err(LimitReject { name, unit, value, bound })
}

impl fmt::Display for LimitReject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, unit, value, bound } = self;
        match bound {
            LimitBound::Minimum(min) => {
                write!(f, "{name} {value}{unit} below allowed threshold of {min}{unit}")
            }
            LimitBound::Maximum(max) => {
                write!(f, "{name} {value}{unit} exceeds allowed threshold of {max}{unit}")
            }
            LimitBound::Node(max) => {
                write!(f, "{name} {value}{unit} exceeds the {max}{unit} this node can serve")
            }
        }
    }
}
