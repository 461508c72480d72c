//! `GET /metrics`: the node's gauges in the text format of Prometheus, version 0.0.4.

use alloc::string::String;
use core::fmt::Write as _;

use super::respond::{self, text};
use super::{Node, Parts, Readiness};
use crate::config::PAGE_LEN;
use crate::http::{Line, Response};
use crate::memory::{frames, heap_free};

/// What Prometheus insists on, to the letter.
const METRICS: Line = Line::new("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n");

/// One family: a gauge with at most one label.
struct Gauge<'a> {
    name: &'static str,
    help: &'static str,
    /// Label in braces, or nothing; and the value.
    samples: &'a [(&'static str, usize)],
}

/// The answer to `GET /metrics`.
pub fn metrics(parts: &Parts<'_>, node: &Node) -> Response {
    let families = [
        Gauge {
            name: "hostkernel_ready",
            help: "Whether the node takes requests.",
            samples: &[("", usize::from(node.readiness == Readiness::Ready))],
        },
        Gauge {
            name: "hostkernel_memory_bytes",
            help: "Memory by kind: installed, available to images and invocations, kernel heap.",
            samples: &[
                ("{kind=\"installed\"}", frames::installed() * PAGE_LEN),
                ("{kind=\"available\"}", frames::available() * PAGE_LEN),
                ("{kind=\"heap_free\"}", heap_free()),
            ],
        },
        Gauge {
            name: "hostkernel_actions",
            help: "Deployed actions.",
            samples: &[("", node.registry.len())],
        },
        Gauge {
            name: "hostkernel_inflight_invocations",
            help: "Invocations admitted and not yet answered.",
            samples: &[("", node.load.in_flight)],
        },
        Gauge {
            name: "hostkernel_open_connections",
            help: "Open TCP connections to the API.",
            samples: &[("", node.load.connections)],
        },
    ];
    let mut body = String::new();
    for Gauge { name, help, samples } in families {
        // Writing to a string cannot fail.
        let _ = writeln!(body, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (label, value) in samples {
            let _ = writeln!(body, "{name}{label} {value}");
        }
    }
    respond::plain(200, METRICS, text(body), &parts.request_id)
}
