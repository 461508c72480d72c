//! What travels between the API and a worker: an [`Invocation`] one way, a [`Completion`] back.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use action_abi::host::Moment;

use super::{Log, Outlet};
use crate::registry::{Limits, Permit, Variables};
use memory::{Access, PageBuffer, Template};

/// Identifies one invocation: 128 random bits, 32 hexadecimal digits on the wire. The first 16 bits
/// are the number of the node, if it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActivationId(pub u128);

impl ActivationId {
    /// The id that a text of 32 lower-case hexadecimal digits stands for.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_id = text.len() == 32 && text.bytes().all(is_digit);
        is_id.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(Self)
    }

    /// The same that begins with the number of a node; as it is for number 0.
    #[must_use]
    pub const fn of_node(self, node: u16) -> Self {
        match node {
            0 => self,
            node => Self(self.0 << 16 >> 16 | (node as u128) << NODE_SHIFT),
        }
    }

    /// The number of the node that it begins with, if ids do.
    #[must_use]
    pub const fn node(self) -> u16 {
        (self.0 >> NODE_SHIFT) as u16
    }
}

/// The number of a node is in the upper bits of an id.
const NODE_SHIFT: u32 = 112;

impl fmt::Display for ActivationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Where the front keeps what it knows of an invocation under way: a place in its table, which is
/// free again only when the completion was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(pub u32);

/// One admitted request to run an action.
#[derive(Debug)]
pub struct Invocation {
    /// Its id.
    pub id: ActivationId,
    /// Where its completion goes.
    pub ticket: Ticket,
    /// Whose it is, and its place among the invocations of that namespace.
    pub permit: Permit,
    /// The image to run.
    pub template: Arc<Template>,
    /// What it may use.
    pub limits: Limits,
    /// The action's input.
    pub input: PageBuffer,
    /// `NAME=value` strings, each ended by a NUL byte. The worker appends `__OW_DEADLINE`.
    pub environment: Vec<u8>,
    /// What the environment has besides, if the action has variables of its own.
    pub variables: Option<Arc<Variables>>,
    /// The payload, if this is no request but the preparation of a host image.
    pub payload: Option<Arc<PageBuffer>>,
    /// Longest result, in bytes.
    pub output_len_max: usize,
    /// Where its result leaves piece by piece, if it does.
    pub outlet: Option<Arc<Outlet>>,
    /// Monotonic time at which it was admitted.
    pub admitted_ns: u64,
}

/// The end of an invocation, whatever it was.
#[derive(Debug)]
pub struct Completion {
    /// The invocation's id.
    pub id: ActivationId,
    /// Where it goes.
    pub ticket: Ticket,
    /// How it ended.
    pub end: End,
    /// The result; empty unless `end` is an exit.
    pub output: PageBuffer,
    /// What it logged.
    pub log: Log,
    /// Where its time went.
    pub timing: Timing,
    /// The invocation's place among those of its namespace.
    pub permit: Permit,
    /// What it used.
    pub usage: Usage,
    /// What an image said about its program.
    pub reports: Option<Box<Reports>>,
    /// The template, if it was frozen.
    pub frozen: Option<Arc<Template>>,
    /// The memory of its environment, for another's.
    pub environment: Vec<u8>,
}

impl Completion {
    /// What becomes of an invocation where there is no core to run it: nothing, or the template
    /// that it would be.
    #[must_use]
    pub fn without_core(invocation: Invocation, frozen: Option<Arc<Template>>) -> Self {
        let Invocation { id, ticket, permit, environment, .. } = invocation;
        let end = match frozen {
            Some(_) => End::Frozen { at: Moment::Start },
            None => End::NotStarted,
        };
        Self {
            id,
            ticket,
            end,
            output: PageBuffer::new(),
            log: Log::default(),
            timing: Timing::default(),
            permit,
            usage: Usage::default(),
            reports: None,
            frozen,
            environment,
        }
    }
}

/// Texts of the call `report`; empty where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reports {
    /// Calls of the program that the image does not serve.
    pub unsupported: Vec<u8>,
    /// Why the program ended.
    pub reason: Vec<u8>,
    /// What was drawn of randomness before the freeze.
    pub entropy: Vec<u8>,
}

/// What one invocation used of the machine, counted while it ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The core that ran it.
    pub core: u32,
    /// Calls it made, `exit` included.
    pub calls: u32,
    /// Page faults, the one that may have ended it included.
    pub page_faults: u32,
    /// Frames it held at its end: page tables, context and its pages. The input is not its own.
    pub frames: u32,
    /// The most frames it held at a time.
    pub frames_peak: u32,
    /// Pages it was given because it, or an earlier instance of its image, touched them.
    pub pages_touched: u32,
    /// Cycles of the time stamp counter from its first instruction to its end.
    pub cycles: u64,
}

/// How an invocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It made the exit call with this status.
    Exit(i32),
    /// It broke a rule.
    Fault(Fault),
    /// It became a template.
    Frozen {
        /// What its program had come to.
        at: Moment,
    },
    /// It was never started: its memory limit cannot be reserved on this node now. 503.
    NotStarted,
}

/// Monotonic times and spans of one invocation, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// When its first instruction ran.
    pub started_ns: u64,
    /// From admission until a core took it.
    pub queue_ns: u64,
    /// Making its address space.
    pub load_ns: u64,
    /// From its first instruction to its end.
    pub run_ns: u64,
}

/// A rule an action broke. Its text is what clients see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It touched memory it may not touch so.
    Page {
        /// What it tried.
        access: Access,
        /// The address it tried it on.
        address: u64,
        /// Where the instruction is.
        instruction: u64,
    },
    /// It ran off the end of its stack.
    StackOverflow {
        /// The address it touched.
        address: u64,
        /// Where the instruction is.
        instruction: u64,
    },
    /// It raised a processor exception other than a page fault.
    Exception {
        /// Which one.
        exception: Exception,
        /// Where the instruction is.
        instruction: u64,
    },
    /// It ran longer than its limit.
    Deadline {
        /// The limit.
        timeout_ms: u64,
        /// Where the instruction is that was next; not said of a program that an image hosts, whose
        /// addresses mean nothing outside.
        instruction: Option<u64>,
    },
    /// It needed more memory than its limit.
    Memory {
        /// The limit.
        memory_mb: u64,
        /// The address whose page could not be provided; 0 if a call asked.
        address: u64,
    },
    /// It declared a result longer than the output window.
    ResultTooLong {
        /// What it declared.
        len: u64,
        /// What it may have.
        max: u64,
    },
    /// The client that its result was on the way to has left.
    Abandoned,
}

/// Processor exceptions an action can raise, page faults apart. The numbers are the vectors.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exception {
    /// #DE
    Divide = 0,
    /// #DB
    Debug = 1,
    /// #BP
    Breakpoint = 3,
    /// #OF
    Overflow = 4,
    /// #BR
    BoundRange = 5,
    /// #UD
    InvalidOpcode = 6,
    /// #NM
    DeviceNotAvailable = 7,
    /// #TS
    InvalidTss = 10,
    /// #NP
    SegmentNotPresent = 11,
    /// #SS
    StackSegment = 12,
    /// #GP
    GeneralProtection = 13,
    /// #MF
    FloatingPoint = 16,
    /// #AC
    AlignmentCheck = 17,
    /// #XM
    Simd = 19,
    /// #CP
    ControlProtection = 21,
}

impl Exception {
    /// The exception with this vector, if it is one an action can raise.
    #[must_use]
    pub const fn from_vector(vector: u8) -> Option<Self> {
        Some(match vector {
            0 => Self::Divide,
            1 => Self::Debug,
            3 => Self::Breakpoint,
            4 => Self::Overflow,
            5 => Self::BoundRange,
            6 => Self::InvalidOpcode,
            7 => Self::DeviceNotAvailable,
            10 => Self::InvalidTss,
            11 => Self::SegmentNotPresent,
            12 => Self::StackSegment,
            13 => Self::GeneralProtection,
            16 => Self::FloatingPoint,
            17 => Self::AlignmentCheck,
            19 => Self::Simd,
            21 => Self::ControlProtection,
            _ => return None,
        })
    }

    /// Its name in words, with the processor manuals' abbreviation.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Divide => "divide error (#DE)",
            Self::Debug => "debug exception (#DB)",
            Self::Breakpoint => "breakpoint (#BP)",
            Self::Overflow => "overflow (#OF)",
            Self::BoundRange => "bound range exceeded (#BR)",
            Self::InvalidOpcode => "invalid instruction (#UD)",
            Self::DeviceNotAvailable => "device not available (#NM)",
            Self::InvalidTss => "invalid TSS (#TS)",
            Self::SegmentNotPresent => "segment not present (#NP)",
            Self::StackSegment => "stack-segment fault (#SS)",
            Self::GeneralProtection => "general protection fault (#GP)",
            Self::FloatingPoint => "x87 floating-point error (#MF)",
            Self::AlignmentCheck => "alignment check (#AC)",
            Self::Simd => "SIMD floating-point exception (#XM)",
            Self::ControlProtection => "control protection exception (#CP)",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Page { access, address, instruction } => {
                write!(f, "page fault {access} {address:#x} at {instruction:#x}")
            }
            Self::StackOverflow { address, instruction } => {
                write!(f, "stack overflow touching {address:#x} at {instruction:#x}")
            }
            Self::Exception { exception, instruction } => {
                write!(f, "{} at {instruction:#x}", exception.name())
            }
            Self::Deadline { timeout_ms, instruction } => {
                write!(f, "deadline of {timeout_ms} ms exceeded")?;
                instruction.map_or(Ok(()), |instruction| write!(f, " at {instruction:#x}"))
            }
            Self::Memory { memory_mb, .. } => {
                write!(f, "memory limit of {memory_mb} MB exceeded")
            }
            Self::Abandoned => f.write_str("the client left before the end"),
            Self::ResultTooLong { len, max } => {
                write!(f, "result of {len} bytes exceeds the limit of {max} bytes")
            }
        }
    }
}
