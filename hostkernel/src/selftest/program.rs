//! From the programs in [`crate::arch::programs`] to invocations.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::arch::clock;
use crate::arch::programs::DATA;
use crate::worker::go_on;
use limits::{BODY_LEN_MAX, PAGE_LEN};
use memory::{LoadPlan, Protection, Segment};
use memory::{PageBuffer, Template};
use node::dispatch::{ActivationId, Completion, End, Fault, Invocation, Ticket};
use node::registry::Limits;
use node::registry::Namespace;

/// Where the text of every program lies.
pub const TEXT: u64 = 0x40_0000;
/// What the page of data that comes from the file begins with.
const DATA_BYTES: &[u8] = b"initial";

/// The template of a program.
pub fn template(text: &[u8]) -> Arc<Template> {
    template_of(text, false)
}

/// The template of a program that hosts others.
pub fn host_template(text: &[u8]) -> Arc<Template> {
    template_of(text, true)
}

fn template_of(text: &[u8], is_host: bool) -> Arc<Template> {
    let mut code = PageBuffer::from_bytes(text).expect("there is memory");
    code.append(&[0xcc; PAGE_LEN][text.len()..]).expect("there is memory");
    code.append(DATA_BYTES).expect("there is memory");
    let text_len = text.len() as u64;
    let plan = LoadPlan {
        entry: TEXT,
        segments: Vec::from([
            Segment {
                address: TEXT,
                memory_len: text_len,
                file_offset: 0,
                file_len: text_len,
                protection: Protection::ReadExecute,
            },
            Segment {
                address: DATA,
                memory_len: 0x2000,
                file_offset: PAGE_LEN as u64,
                file_len: DATA_BYTES.len() as u64,
                protection: Protection::ReadWrite,
            },
        ]),
        is_host,
    };
    Arc::new(Template::build(&plan, code).expect("there is memory"))
}

/// An invocation of a template with 4 MiB and this time limit.
pub fn invocation(template: &Arc<Template>, input: &[u8], timeout_ms: u64) -> Invocation {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Invocation {
        id: ActivationId(u128::from(NEXT.fetch_add(1, Ordering::Relaxed))),
        ticket: Ticket(0),
        permit: Namespace::new("guest").admit(0).expect("there are no quotas"),
        template: template.clone(),
        limits: Limits { timeout_ms, memory_mb: 4, logs_mb: 0 },
        input: PageBuffer::from_bytes(input).expect("there is memory"),
        environment: b"A=b\0".to_vec(),
        variables: None,
        payload: None,
        output_len_max: BODY_LEN_MAX,
        outlet: None,
        admitted_ns: clock::now_ns(),
    }
}

/// How [`endless`](crate::arch::programs::endless) ends: in its only instruction.
pub const fn overdue(timeout_ms: u64) -> End {
    End::Fault(Fault::Deadline { timeout_ms, instruction: Some(TEXT) })
}

/// The time limit of programs that are expected to end by themselves.
pub const TIMEOUT_MS: u64 = 10_000;

impl super::Bench {
    /// Runs a program on this core.
    pub fn run(&mut self, text: &[u8], input: &[u8]) -> Completion {
        let invocation = invocation(&template(text), input, TIMEOUT_MS);
        self.worker.run(invocation, &mut go_on)
    }

    /// Runs a program that must exit with this status.
    pub fn exits(&mut self, text: &[u8], status: i32) {
        assert_eq!(self.run(text, b"").end, End::Exit(status));
    }
}
