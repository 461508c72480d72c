//! Version 2: what an image needs that hosts another program.
//!
//! An image whose note says [`HOST_VERSION`](crate::HOST_VERSION) is a *host image*: a library OS
//! or a runtime. It is deployed together with a *payload*, the file that somebody wants to run, and
//! knows what to do with it; the kernel does not. It starts as every image does, `rdi` being the
//! address of a [`HostContext`].
//!
//! # Address space
//!
//! ```text
//! 0x00_0001_0000  ┐ the image, where it was linked (below IMAGE_END), and whatever it maps
//! 0x80_0000_0000  ┘
//! 0x80_0000_1000    stack, up to 0x80_0010_0000
//! 0x80_0010_1000    context, arguments and environment, read-only
//! 0x80_0011_0000    input of up to 444 KiB, read-only
//! 0x80_0018_0000    output window, up to 64 MiB
//! 0x80_0419_0000    input, where it is longer, up to 64 MiB
//! 0x80_1000_0000    heap, as long as the memory limit was when it was first frozen
//! 0xc0_0000_0000  ┐ whatever it maps; `map` chooses addresses from here upwards
//! USER_END        ┘
//! ```
//!
//! No address but the input's own depends on the input, so that what was frozen stays right.
//!
//! # Memory
//!
//! An instance's *own* pages are all between [`IMAGE_START`](crate::IMAGE_START) and [`USER_END`],
//! but for the *windows*: from [`WINDOWS_START`] to [`WINDOWS_END`] only stack and heap are its
//! own. `unmap`, `protect`, `map_at`, `map_payload` and `discard` take whole pages, in any number
//! of regions, and parts of them; `protect` and `discard` refuse a range with a gap.
//! Neighbouring regions that are alike count as one. No page is writable and executable at once.
//! Every page is backed when it is touched, and so is charged then; so are the kernel's notes.
//!
//! # Reflection
//!
//! With [`Call::Reflect`](crate::Call::Reflect) an image declares which of its code makes native
//! calls. A `syscall` anywhere else does not reach the kernel proper: it continues at
//! `syscall_handler` in ring 3, out of the entry code, with
//!
//! ```text
//! rcx = address behind the syscall     r11 = its flags     rflags = IF only
//! every other register, rsp included, and all extended state: unchanged
//! ```
//!
//! The handler continues the program with `jmp rcx` once it has restored what it changed and the
//! flags in `r11`. Nothing is written to the program's stack, so its red zone is safe.
//!
//! An exception outside the declared code, if its bit is set in `exceptions`, continues at
//! `exception_handler`, with an [`UpcallFrame`] written to `frame`, and
//!
//! ```text
//! rax = address of the frame     rflags = IF only     every other register unchanged
//! ```
//!
//! A handler whose image lies in the lower 2 GiB goes back without a free register: flags by
//! `popfq`, `rsp` from the frame, and `jmp` through [`UpcallFrame::rip`] at its absolute address.
//! The last five words of the frame are also what `iretq` takes; but QEMU before 9.1 cannot
//! execute it in ring 3 while supervisor mode access prevention is on. A page fault is only
//! delivered if the kernel cannot provide the page. An exception *inside* the declared code, or
//! when the frame cannot be written, ends the invocation, as it does without a reflection.
//!
//! A [`Reflection`] whose code has the length 0 switches all of this off. The last declaration
//! counts. Refused with [`CallError::BadAddress`](crate::CallError::BadAddress) if the structure
//! cannot be read; with [`CallError::BadArgument`](crate::CallError::BadArgument) if a handler is
//! not inside the code, the code not below [`USER_END`], the frame not aligned to 16 bytes or
//! across pages, or a vector asked for that is not an action's to have.
//!
//! # Freezing
//!
//! When a payload is deployed, the image runs once, with the input empty and
//! [`HostContext::instance`] 0, to prepare. [`Call::Freeze`](crate::Call::Freeze) ends this run.
//! Its memory and registers become what every later instance starts from, behind the call, which
//! returns the instance's number there (1 or more, no two alike on this node). What is fresh in an
//! instance: context, arguments, environment, input. What is kept: everything else: pages and
//! their protections, general and extended registers, FS and GS base, the reflection, the result
//! so far. The log is not kept, nor is an alarm.
//!
//! What was frozen can be the base of more: an instance of it is started with another payload, an
//! input and [`HostContext::instance`] 0, goes on behind the call, which returns 0 there, and
//! freezes again. [`HostContext::payload`] and [`Call::MapPayload`](crate::Call::MapPayload) are
//! about the newest payload from then on; pages that were mapped from an earlier one stay what
//! they are.
//!
//! In an instance that was not started to prepare, the call is refused with
//! [`CallError::BadArgument`](crate::CallError::BadArgument).
//!
//! # Alarm
//!
//! At the time that [`Call::Alarm`](crate::Call::Alarm) set, an upcall is delivered as for an
//! exception with the vector [`UPCALL_ALARM`], once. Inside the declared code it is not delivered:
//! [`UpcallFrame::pending_alarm`] becomes 1 instead, which the image looks at and resets before it
//! returns to the program. That look, and all that follows it up to the program, belongs outside
//! the declared code: an alarm after it is then delivered, where otherwise it would be noted for
//! nobody. The call is refused without a reflection. A new one replaces the old.

use crate::{Context, IMAGE_END, Range};

/// End of what can ever be mapped: the last page below the hole in the address space is not.
pub const USER_END: u64 = 0x7fff_ffff_f000;
/// Start of the windows that the kernel laid out.
pub const WINDOWS_START: u64 = IMAGE_END;
/// End of the windows. `map` chooses addresses from here upwards.
pub const WINDOWS_END: u64 = IMAGE_END + (256 << 30);
/// Text that [`Call::Report`](crate::Call::Report) takes of each kind.
pub const REPORT_LEN_MAX: usize = 512;
/// In the argument of [`Call::Freeze`](crate::Call::Freeze): it is made where the program first
/// looked at its input. Shown in the deploy's answer.
pub const FREEZE_AT_INPUT: u64 = 1 << 0;
/// In the argument of [`Call::Freeze`](crate::Call::Freeze): it is made where the program first
/// waited for a connection. It is a web server then: what an invocation answers is a request.
pub const FREEZE_AT_ACCEPT: u64 = 1 << 1;
/// In [`HostContext::features`]: ring 3 may use `rdfsbase`, `wrfsbase` and their like.
pub const FEATURE_FSGSBASE: u64 = 1 << 0;
/// The vector of an [`UpcallFrame`] that no exception caused but the alarm.
pub const UPCALL_ALARM: u64 = 256;
/// The vectors that [`Reflection::exceptions`] may name: divide, debug, breakpoint, overflow,
/// bounds, invalid opcode, segment, stack, protection, page, x87, alignment and vector faults.
pub const EXCEPTIONS: u64 = 1 << 0
    | 1 << 1
    | 1 << 3
    | 1 << 4
    | 1 << 5
    | 1 << 6
    | 1 << 11
    | 1 << 12
    | 1 << 13
    | 1 << 14
    | 1 << 16
    | 1 << 17
    | 1 << 19;

/// Where a program was when its instance was frozen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Moment {
    /// Where its host wanted, as a rule at its first instruction.
    #[default]
    Start,
    /// At its first look at the input.
    Input,
    /// Where it first waited for a connection.
    Accept,
}

impl Moment {
    /// What the argument of [`Call::Freeze`](crate::Call::Freeze) says, if it says something known.
    #[must_use]
    pub const fn from_flags(flags: u64) -> Option<Self> {
        Some(match flags {
            0 => Self::Start,
            FREEZE_AT_INPUT => Self::Input,
            FREEZE_AT_ACCEPT => Self::Accept,
            _ => return None,
        })
    }

    /// The argument that says so.
    #[must_use]
    pub const fn flags(self) -> u64 {
        match self {
            Self::Start => 0,
            Self::Input => FREEZE_AT_INPUT,
            Self::Accept => FREEZE_AT_ACCEPT,
        }
    }

    /// Its name in the deploy's answer.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Input => "input",
            Self::Accept => "accept",
        }
    }
}

/// What a text of [`Call::Report`](crate::Call::Report) is about.
#[repr(u64)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Calls of the program that the image does not serve, for the receipt.
    Unsupported = 1,
    /// Why the program ended. With an exit status other than 0 it is the error's message.
    Reason = 2,
    /// What random bytes were drawn before the freeze, for the deploy's answer.
    Entropy = 3,
}

impl Report {
    /// The kind with this number, if there is one.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            1 => Self::Unsupported,
            2 => Self::Reason,
            3 => Self::Entropy,
            _ => return None,
        })
    }
}

/// What the kernel tells a host image. Its start is the [`Context`] of version 1.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostContext {
    /// What every action is told. Its `len` is that of the whole structure.
    pub common: Context,
    /// The newest payload: `len` is its length. It is not mapped, and `address` is 0; see
    /// [`Call::MapPayload`](crate::Call::MapPayload).
    pub payload: Range,
    /// What the processor offers, as `FEATURE_` bits.
    pub features: u64,
    /// The number of the instance; 0 while it is being prepared.
    pub instance: u64,
    /// Arguments that the deploy gave for the program: strings, each ended by a NUL byte.
    pub arguments: Range,
}

impl HostContext {
    /// The structure as the bytes an image finds in its memory.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; size_of::<Self>()] {
        let Self { common, payload, features, instance, arguments } = self;
        let mut bytes = [0; size_of::<Self>()];
        let (start, rest) = bytes.split_at_mut(size_of::<Context>());
        start.copy_from_slice(&common.to_bytes());
        let words =
            [payload.address, payload.len, *features, *instance, arguments.address, arguments.len];
        for (field, word) in rest.chunks_exact_mut(8).zip(words) {
            field.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

/// Which code of an image makes native calls, and where other code's calls and exceptions go.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reflection {
    /// The code that makes native calls; the length 0 switches reflection off.
    pub code: Range,
    /// Where a `syscall` outside it continues.
    pub syscall_handler: u64,
    /// Where an exception outside it continues.
    pub exception_handler: u64,
    /// Which exceptions: bit n stands for vector n. None but those of [`EXCEPTIONS`].
    pub exceptions: u64,
    /// Address of an [`UpcallFrame`] in the instance's own writable memory.
    pub frame: u64,
}

impl Reflection {
    /// The structure out of the bytes that an image has in its memory.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; size_of::<Self>()]) -> Self {
        let mut words = [0; size_of::<Self>() / 8];
        for (word, field) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*field);
        }
        let [address, len, syscall_handler, exception_handler, exceptions, frame] = words;
        let code = Range { address, len };
        Self { code, syscall_handler, exception_handler, exceptions, frame }
    }
}

/// What happened, for an exception handler. Aligned to 16 bytes, in one page.
#[repr(C, align(16))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpcallFrame {
    /// Set to 1 when the alarm was due inside the declared code. Otherwise not written.
    pub pending_alarm: u64,
    /// Vector of the exception, or [`UPCALL_ALARM`].
    pub vector: u64,
    /// The processor's error code, 0 if the exception has none. Of a page fault: bit 0 set if the
    /// page is there, bit 1 for a write, bit 4 for an instruction fetch.
    pub error: u64,
    /// The address of a page fault; else 0.
    pub address: u64,
    /// The program's `rax`, which holds the frame's address now.
    pub rax: u64,
    /// The program's `rcx`, which is also still there.
    pub rcx: u64,
    /// Zero.
    pub reserved: u64,
    /// Address of the instruction that raised the exception, or of the next one where the
    /// processor counts it done.
    pub rip: u64,
    /// The program's code segment.
    pub cs: u64,
    /// The program's flags.
    pub rflags: u64,
    /// The program's stack pointer, which is also still there.
    pub rsp: u64,
    /// The program's stack segment.
    pub ss: u64,
}

impl UpcallFrame {
    /// The structure as bytes, without [`Self::pending_alarm`], which comes first.
    #[must_use]
    pub fn to_bytes_after_alarm(&self) -> [u8; size_of::<Self>() - 8] {
        let Self { vector, error, address, rax, rcx, reserved, .. } = *self;
        let Self { rip, cs, rflags, rsp, ss, .. } = *self;
        let words = [vector, error, address, rax, rcx, reserved, rip, cs, rflags, rsp, ss];
        let mut bytes = [0; size_of::<Self>() - 8];
        for (field, word) in bytes.chunks_exact_mut(8).zip(words) {
            field.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

const _: () = assert!(size_of::<HostContext>() == size_of::<Context>() + 48);
const _: () = assert!(size_of::<Reflection>() == 48);
const _: () = assert!(size_of::<UpcallFrame>() == 96);
// Where an instruction may begin, an address behind it is canonical.
const _: () = assert!(USER_END < 1 << 47);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reflection_is_read_as_it_is_laid_out() {
        let mut bytes = [0; size_of::<Reflection>()];
        for (number, word) in (1_u64..).zip(bytes.chunks_exact_mut(8)) {
            word.copy_from_slice(&number.to_le_bytes());
        }
        let read = Reflection::from_bytes(&bytes);
        assert_eq!(read.code, Range { address: 1, len: 2 });
        let rest = [read.syscall_handler, read.exception_handler, read.exceptions, read.frame];
        assert_eq!(rest, [3, 4, 5, 6]);
    }

    #[test]
    fn a_host_context_begins_as_any_context() {
        let context = HostContext { instance: 7, ..HostContext::default() };
        let bytes = context.to_bytes();
        assert_eq!(bytes[..size_of::<Context>()], context.common.to_bytes());
        assert_eq!(bytes[core::mem::offset_of!(HostContext, instance)], 7);
    }

    #[test]
    fn a_frame_ends_with_what_iretq_takes() {
        let frame = UpcallFrame { rip: 1, ss: 5, ..UpcallFrame::default() };
        let bytes = frame.to_bytes_after_alarm();
        assert_eq!(bytes.len() + 8 - core::mem::offset_of!(UpcallFrame, rip), 5 * 8);
        assert_eq!([bytes[bytes.len() - 40], bytes[bytes.len() - 8]], [1, 5]);
    }
}
