//! What an invocation used, as the annotations of its record say. A node that does not measure
//! something leaves it out, and so do we.

use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::Timing;

/// What an invocation used. What the node did not report is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Receipt {
    /// Where the time went, in microseconds when written as JSON.
    #[serde(flatten, serialize_with = "microseconds")]
    pub timing: Timing,
    /// Processor cycles in the action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cycles: Option<u64>,
    /// Page faults that were served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_faults: Option<u64>,
    /// Pages the instance owned at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<u64>,
    /// Bytes of pages that were touched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_touched: Option<u64>,
    /// Most memory at any time, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_peak_bytes: Option<u64>,
    /// The core it ran on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core: Option<u64>,
    /// Calls the action made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<u64>,
    /// Digest of the image it ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What a Linux program called that the node does not serve: `io_uring_setup × 1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsupported: Option<String>,
}

impl Receipt {
    /// Reads the annotation `receipt` of an activation.
    #[must_use]
    pub fn read(annotations: &[Value]) -> Self {
        let is_receipt = |annotation: &&Value| annotation["key"] == "receipt";
        let receipt = annotations.iter().find(is_receipt).map_or(&Value::Null, |it| &it["value"]);
        let number = |name: &str| receipt[name].as_u64();
        let time = |name: &str| Duration::try_from_secs_f64(receipt[name].as_f64()? / 1e6).ok();
        Self {
            timing: Timing {
                queue: time("queue_us"),
                load: time("load_us"),
                run: time("run_us"),
                total: time("total_us"),
            },
            cycles: number("cycles"),
            page_faults: number("page_faults"),
            pages: number("pages"),
            bytes_touched: number("bytes_touched"),
            memory_peak_bytes: number("memory_peak_bytes"),
            core: number("core"),
            calls: number("calls"),
            image: receipt["image"].as_str().map(str::to_owned),
            unsupported: receipt["unsupported"].as_str().map(str::to_owned),
        }
    }
}

fn microseconds<S: Serializer>(timing: &Timing, serializer: S) -> Result<S::Ok, S::Error> {
    let parts = timing.parts().map(|(name, time)| {
        let microseconds = time.map(|time| time.as_secs_f64() * 1e6);
        (format!("{name}_us"), microseconds)
    });
    serializer.collect_map(parts.into_iter().filter(|(_, time)| time.is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_receipt_is_read_and_written() {
        let annotations = [
            json!({"key": "limits", "value": {"core": 7}}),
            json!({"key": "receipt", "value": {"run_us": 340.5, "core": 1, "image": "ab",
                "unsupported": "io_uring_setup × 1"}}),
        ];
        let receipt = Receipt::read(&annotations);
        assert_eq!(receipt.timing.queue, None);
        assert_eq!(receipt.timing.run, Some(Duration::from_nanos(340_500)));
        assert_eq!((receipt.core, receipt.bytes_touched), (Some(1), None));
        let written = serde_json::to_value(&receipt).expect("JSON");
        let expected = json!({"run_us": 340.5, "core": 1, "image": "ab",
            "unsupported": "io_uring_setup × 1"});
        assert_eq!(written, expected);
    }

    #[test]
    fn nonsense_is_passed_over() {
        let annotations =
            [json!(7), json!({"key": "receipt", "value": {"run_us": -1, "core": ""}})];
        assert_eq!(Receipt::read(&annotations), Receipt::default());
        assert_eq!(Receipt::read(&[]), Receipt::default());
    }
}
