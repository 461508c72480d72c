//! Instructions, exceptions, flags, selectors: what `images/faults/src/instructions` does.

use serde_json::json;

use super::{
    BREAKPOINT, DEBUG, GENERAL_PROTECTION, INVALID, Line, STACK_SEGMENT, SURVIVED, cases as lines,
};
use crate::attack::Case;

/// Selectors up to here are tried: past the end of the GDT, with every privilege level and the bit
/// that means the local table, of which there is none.
pub const SELECTOR_MAX: u64 = 0x47;

/// Refused by the privilege level, or not there at all.
const REFUSED: &[&str] = &[GENERAL_PROTECTION, INVALID];
/// NT, ID and AC are ring 3's own; of IOPL, RF, VM, VIF and VIP nothing is left, and IF is on.
pub const FLAGS_LEFT: &str = r#"{"rax":2377218}"#;

pub fn cases() -> Vec<Case> {
    let interrupts = (0..=255_u8).map(|vector| {
        let way = match vector {
            3 => BREAKPOINT,
            4 => "overflow (#OF) at 0x*",
            _ => GENERAL_PROTECTION,
        };
        let code = format!("cd{vector:02x}c3");
        Case::new(format!("int {vector}"), json!({ "kind": "code", "code": code }), &[way])
    });
    let loads = (0..=SELECTOR_MAX).map(|selector| {
        // Null, and the segments of ring 3, whatever privilege is asked for.
        let way = match selector {
            0..=3 | 0x18..=0x1b | 0x20..=0x23 => SURVIVED,
            _ => GENERAL_PROTECTION,
        };
        let input = json!({ "kind": "load-fs", "number": selector });
        Case::new(format!("load-fs {selector:#x}"), input, &[way])
    });
    [EXCEPTIONS, PRIVILEGED, ENTRIES, FLAGS, SEGMENTS]
        .into_iter()
        .flat_map(lines)
        .chain(interrupts)
        .chain(loads)
        .collect()
}

const EXCEPTIONS: &[Line] = &[
    ("divide", &["divide error (#DE) at 0x4*"]),
    ("divide-overflow", &["divide error (#DE) at 0x4*"]),
    ("single-step", &[DEBUG]),
    // Some emulators do not know this one.
    ("int1", &[DEBUG, INVALID]),
    ("breakpoint", &[BREAKPOINT]),
    ("overflow", &["overflow (#OF) at 0x4*"]),
    ("undefined", &[INVALID]),
    ("ud0", &[INVALID]),
    ("ud1", &[INVALID]),
    ("stack-segment", &[STACK_SEGMENT, GENERAL_PROTECTION]),
    ("misaligned-sse", &[GENERAL_PROTECTION, SURVIVED]),
    ("x87", &["x87 floating-point error (#MF) at 0x4*"]),
    // Emulators raise neither #AC nor #XM.
    ("alignment-check", &["alignment check (#AC) at 0x4*", SURVIVED]),
    ("simd-exception", &["SIMD floating-point exception (#XM) at 0x4*", SURVIVED]),
    ("mxcsr-reserved", &[GENERAL_PROTECTION, SURVIVED]),
    ("into", &[INVALID]),
    ("bound", &[INVALID]),
    ("pop-ss", &[INVALID]),
    ("push-cs", &[INVALID]),
    ("aaa", &[INVALID]),
    ("far-jump-direct", &[INVALID]),
    ("far-call-direct", &[INVALID]),
    ("lock-register", &[INVALID]),
    // Emulators overlook some prefixes.
    ("lock-load", &[INVALID, SURVIVED]),
    ("lock-nop", &[INVALID]),
    ("lock-syscall", &[INVALID, SURVIVED]),
    ("lock-int3", &[INVALID, BREAKPOINT]),
    ("rep-undefined", &[INVALID]),
    ("rep-nop", &[SURVIVED]),
    ("length-15", &[SURVIVED]),
    ("length-16", &[GENERAL_PROTECTION]),
    ("length-100", &[GENERAL_PROTECTION]),
    ("rex-before-prefix", &[SURVIVED]),
    ("xrstor-bad-header", &[GENERAL_PROTECTION, INVALID]),
    ("xrstor-misaligned", &[GENERAL_PROTECTION, INVALID]),
];

const PRIVILEGED: &[Line] = &[
    ("privileged", &[GENERAL_PROTECTION]),
    ("sti", &[GENERAL_PROTECTION]),
    ("hlt", &[GENERAL_PROTECTION]),
    ("clts", &[GENERAL_PROTECTION]),
    ("invd", &[GENERAL_PROTECTION]),
    ("wbinvd", &[GENERAL_PROTECTION]),
    ("wbnoinvd", &[GENERAL_PROTECTION]),
    ("invlpg", &[GENERAL_PROTECTION]),
    ("invpcid", REFUSED),
    ("swapgs", &[GENERAL_PROTECTION]),
    ("sysretq", REFUSED),
    ("sysexitq", REFUSED),
    ("rsm", &[INVALID]),
    ("clac", &[INVALID]),
    ("stac", &[INVALID]),
    ("xsetbv", REFUSED),
    ("xsaves", REFUSED),
    ("xrstors", REFUSED),
    ("lgdt", &[GENERAL_PROTECTION]),
    ("lidt", &[GENERAL_PROTECTION]),
    ("lldt", &[GENERAL_PROTECTION]),
    ("ltr", &[GENERAL_PROTECTION]),
    ("lmsw", &[GENERAL_PROTECTION]),
    // UMIP is a feature that not every processor has.
    ("sgdt", &[GENERAL_PROTECTION, SURVIVED]),
    ("sidt", &[GENERAL_PROTECTION, SURVIVED]),
    ("sldt", &[GENERAL_PROTECTION, SURVIVED]),
    ("str", &[GENERAL_PROTECTION, SURVIVED]),
    ("smsw", &[GENERAL_PROTECTION, SURVIVED]),
    ("read-cr0", &[GENERAL_PROTECTION]),
    ("read-cr2", &[GENERAL_PROTECTION]),
    ("read-cr3", &[GENERAL_PROTECTION]),
    ("read-cr4", &[GENERAL_PROTECTION]),
    ("read-cr8", &[GENERAL_PROTECTION]),
    ("write-cr0", &[GENERAL_PROTECTION]),
    ("write-cr2", &[GENERAL_PROTECTION]),
    ("write-cr3", &[GENERAL_PROTECTION]),
    ("write-cr4", &[GENERAL_PROTECTION]),
    ("write-cr8", &[GENERAL_PROTECTION]),
    ("read-dr0", &[GENERAL_PROTECTION]),
    ("read-dr1", &[GENERAL_PROTECTION]),
    ("read-dr2", &[GENERAL_PROTECTION]),
    ("read-dr3", &[GENERAL_PROTECTION]),
    ("read-dr4", REFUSED),
    ("read-dr5", REFUSED),
    ("read-dr6", &[GENERAL_PROTECTION]),
    ("read-dr7", &[GENERAL_PROTECTION]),
    ("write-dr0", &[GENERAL_PROTECTION]),
    ("write-dr1", &[GENERAL_PROTECTION]),
    ("write-dr2", &[GENERAL_PROTECTION]),
    ("write-dr3", &[GENERAL_PROTECTION]),
    ("write-dr4", REFUSED),
    ("write-dr5", REFUSED),
    ("write-dr6", &[GENERAL_PROTECTION]),
    ("write-dr7", &[GENERAL_PROTECTION]),
    ("rdmsr", &[GENERAL_PROTECTION]),
    ("rdmsr-entry", &[GENERAL_PROTECTION]),
    ("rdmsr-none", &[GENERAL_PROTECTION]),
    ("wrmsr", &[GENERAL_PROTECTION]),
    ("wrmsr-entry", &[GENERAL_PROTECTION]),
    ("wrmsrns", REFUSED),
    ("rdpmc", REFUSED),
    ("in-byte", &[GENERAL_PROTECTION]),
    ("in-word", &[GENERAL_PROTECTION]),
    ("in-long", &[GENERAL_PROTECTION]),
    ("in-fixed", &[GENERAL_PROTECTION]),
    ("out-byte", &[GENERAL_PROTECTION]),
    ("out-word", &[GENERAL_PROTECTION]),
    ("out-long", &[GENERAL_PROTECTION]),
    ("out-fixed", &[GENERAL_PROTECTION]),
    ("insb", &[GENERAL_PROTECTION]),
    ("outsb", &[GENERAL_PROTECTION]),
    ("rep-insb", &[GENERAL_PROTECTION]),
    ("rep-outsd", &[GENERAL_PROTECTION]),
    ("vmcall", REFUSED),
    ("vmmcall", REFUSED),
    ("vmlaunch", REFUSED),
    ("vmxoff", REFUSED),
    ("vmxon", REFUSED),
    ("vmptrst", REFUSED),
    ("vmread", REFUSED),
    ("vmrun", REFUSED),
    ("vmload", REFUSED),
    ("vmsave", REFUSED),
    ("stgi", REFUSED),
    ("clgi", REFUSED),
    ("skinit", REFUSED),
    ("invlpga", REFUSED),
    ("encls", REFUSED),
    ("enclu", REFUSED),
    ("getsec", REFUSED),
    ("monitor", &[INVALID]),
    ("mwait", &[INVALID]),
    ("monitorx", &[INVALID, SURVIVED]),
    ("mwaitx", &[INVALID, SURVIVED]),
    ("umonitor", &[INVALID, SURVIVED]),
    ("umwait", &[INVALID, SURVIVED]),
    ("tpause", &[INVALID, SURVIVED]),
    ("rdpkru", &[INVALID]),
    ("wrpkru", &[INVALID]),
    ("wrssq", &[INVALID]),
    ("setssbsy", &[INVALID]),
    ("stui", &[INVALID]),
    // Without FSGSBASE ring 3 cannot set the bases.
    ("fs-base-kernel", &["page fault reading 0xffffffff80000000 at 0x4*", INVALID]),
    ("gs-base-direct-map", &["page fault writing 0xffff800000000000 at 0x4*", INVALID]),
    ("fs-base-non-canonical", REFUSED),
    ("gs-base-non-canonical", REFUSED),
    ("rdtscp", &[r#"{"rax":0}"#, INVALID]),
    ("rdpid", &[r#"{"rax":0}"#, INVALID]),
];

const ENTRIES: &[Line] = &[
    ("sysenter", REFUSED),
    ("mov-ss-int1", &[DEBUG, INVALID]),
    ("mov-ss-int3", &[BREAKPOINT]),
    ("mov-ss-int80", &[GENERAL_PROTECTION]),
    ("mov-ss-ud2", &[INVALID]),
    ("mov-ss-syscall", &[SURVIVED]),
    // The step is reported before the instruction behind the load of SS, or after it, or that
    // instruction's own exception comes first.
    ("trap-mov-ss-int1", &[DEBUG, INVALID]),
    ("trap-mov-ss-int3", &[BREAKPOINT, DEBUG]),
    ("trap-mov-ss-int80", &[GENERAL_PROTECTION, DEBUG]),
    ("trap-mov-ss-ud2", &[INVALID, DEBUG]),
    ("trap-mov-ss-syscall", &[DEBUG]),
    ("trap-syscall", &[DEBUG]),
    ("trap-int3", &[BREAKPOINT]),
    ("trap-ud2", &[INVALID]),
    ("trap-page-fault", &["page fault reading 0x0 at 0x4*"]),
    ("kernel-stack-syscall", &[SURVIVED]),
    ("kernel-stack-int3", &[BREAKPOINT]),
    ("kernel-stack-push", &["page fault writing 0xffffffffc0002ff8 at 0x4*"]),
    ("non-canonical-stack-syscall", &[SURVIVED]),
    ("non-canonical-stack-int3", &[BREAKPOINT]),
    ("null-stack-syscall", &[SURVIVED]),
    ("pending-x87-syscall", &[SURVIVED]),
    ("pending-simd-syscall", &[SURVIVED]),
];

const FLAGS: &[Line] = &[
    ("popfq-iopl-cli", &[GENERAL_PROTECTION]),
    ("popfq-iopl-in", &[GENERAL_PROTECTION]),
    ("popfq-vif-sti", &[GENERAL_PROTECTION]),
    ("popfq-all", &[FLAGS_LEFT]),
    ("popfq-none", &[r#"{"rax":514}"#]),
    ("syscall-all", &[FLAGS_LEFT]),
];

const SEGMENTS: &[Line] = &[
    ("null-segments", &[SURVIVED]),
    ("own-segments", &[SURVIVED]),
    ("null-stack-segment", &[GENERAL_PROTECTION]),
    ("kernel-code-as-stack", &[GENERAL_PROTECTION]),
    ("kernel-data-as-stack", &[GENERAL_PROTECTION]),
    ("lsl-task", &[r#"{"rax":0}"#]),
    ("lar-kernel", &[r#"{"rax":0}"#]),
    ("verr-kernel", &[r#"{"rax":0}"#]),
];
