//! Between the program and the library OS: two ways in, one way out.
//!
//! ```text
//!   syscall in the program       ─▶ syscall_handler   ─┐ registers to FRAME, own stack
//!   exception, alarm             ─▶ exception_handler ─┤
//!                                                      ▼
//!                                   Os::system_call, Os::exception, Os::alarm
//!                                                      │
//!   program ◀── jmp [FRAME.rip] ◀── leave ◀────────────┘ registers from FRAME
//! ```
//!
//! Nothing is written to the program's stack. Extended registers are not touched: this image is
//! compiled without them.
//!
//! **An alarm is never lost.** While declared code runs the kernel only notes it. [`leave`] lies
//! outside the declared code and begins by looking at that note; an alarm that comes later is
//! delivered, and since `leave` only reads [`FRAME`](super::FRAME), the handler then finds the
//! program's registers there as if it had not begun.

use core::arch::naked_asm;
use core::mem::{offset_of, size_of};

use action_abi::host::{UPCALL_ALARM, UpcallFrame};
use linux_os::frame::Frame;
use linux_os::os::Next;
use linux_os::signal::fault::Exception;

use super::{Alone, FRAME, OS, calls};

/// What the kernel writes about an exception.
#[unsafe(link_section = ".data.hot")]
pub(super) static UPCALL: Alone<UpcallFrame> = Alone::new(UpcallFrame {
    pending_alarm: 0,
    vector: 0,
    error: 0,
    address: 0,
    rax: 0,
    rcx: 0,
    reserved: 0,
    rip: 0,
    cs: 0,
    rflags: 0,
    rsp: 0,
    ss: 0,
});

/// Top of the stack that the handlers use: that of the image itself.
#[unsafe(link_section = ".data.hot")]
pub(super) static STACK: Alone<u64> = Alone::new(0);

/// Bytes of [`leave`], at most.
const LEAVE_LEN: usize = 96;

/// Where the kernel lets a program's `syscall` go on: `rcx` is the address behind it, `r11` its
/// flags, everything else as the program left it.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn syscall_handler() -> ! {
    naked_asm!(
        "mov [rip + {frame} + {rsp}], rsp",
        "lea rsp, [rip + {frame} + {rsp}]",
        "push rcx",
        "push rdi",
        "push rsi",
        "push rdx",
        "push rcx",
        "push rax",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push r11",
        "mov rsp, [rip + {stack}]",
        "call {system_call}",
        "jmp {leave}",
        frame = sym FRAME,
        rsp = const offset_of!(Frame, rsp),
        stack = sym STACK,
        system_call = sym system_call,
        leave = sym leave,
    )
}

/// Where the kernel lets the program go on after an exception or an alarm: `rax` is the address of
/// [`UPCALL`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn exception_handler() -> ! {
    naked_asm!(
        // In the middle of `leave` the registers are in FRAME already.
        "mov rcx, [rip + {upcall} + {rip}]",
        "lea rax, [rip + {leave}]",
        "sub rcx, rax",
        "cmp rcx, {leave_len}",
        "jb 2f",
        "lea rsp, [rip + {frame} + {end}]",
        "push [rip + {upcall} + {rsp}]",
        "push [rip + {upcall} + {rip}]",
        "push rdi",
        "push rsi",
        "push rdx",
        "push [rip + {upcall} + {rcx}]",
        "push [rip + {upcall} + {rax}]",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push [rip + {upcall} + {flags}]",
        "2:",
        "mov rsp, [rip + {stack}]",
        "call {exception}",
        "jmp {leave}",
        frame = sym FRAME,
        upcall = sym UPCALL,
        stack = sym STACK,
        end = const size_of::<Frame>(),
        rip = const offset_of!(UpcallFrame, rip),
        rsp = const offset_of!(UpcallFrame, rsp),
        rax = const offset_of!(UpcallFrame, rax),
        rcx = const offset_of!(UpcallFrame, rcx),
        flags = const offset_of!(UpcallFrame, rflags),
        leave_len = const LEAVE_LEN,
        exception = sym exception,
        leave = sym leave,
    )
}

/// Lets the program go on with the registers in [`FRAME`](super::FRAME).
///
/// # Safety
/// The frame must hold registers of the program. What the caller has on its stack is forgotten.
#[unsafe(naked)]
#[unsafe(link_section = ".leave")]
pub(super) unsafe extern "C" fn leave() -> ! {
    naked_asm!(
        "cmp qword ptr [rip + {upcall}], 0",
        "jne {alarm_handler}",
        "lea rsp, [rip + {frame}]",
        "popfq",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rax",
        "pop rcx",
        "pop rdx",
        "pop rsi",
        "pop rdi",
        "mov rsp, [rip + {frame} + {rsp}]",
        "jmp qword ptr [rip + {frame} + {rip}]",
        ".org {leave} + {leave_len}, 0xcc",
        upcall = sym UPCALL,
        frame = sym FRAME,
        rsp = const offset_of!(Frame, rsp),
        rip = const offset_of!(Frame, rip),
        alarm_handler = sym alarm_handler,
        leave = sym leave,
        leave_len = const LEAVE_LEN,
    )
}

/// An alarm was noted while declared code ran.
#[unsafe(naked)]
unsafe extern "C" fn alarm_handler() -> ! {
    naked_asm!(
        "mov rsp, [rip + {stack}]",
        "call {alarm}",
        "jmp {leave}",
        stack = sym STACK,
        alarm = sym alarm,
        leave = sym leave,
    )
}

extern "C" fn system_call() {
    // SAFETY: only the handlers call this, one at a time; nothing else holds these references.
    let (os, frame) = unsafe { (&mut *OS.0.get(), &mut *FRAME.0.get()) };
    if let Next::Exit(status) = os.system_call(frame) {
        calls::exit(status, os.files.output.len());
    }
}

extern "C" fn exception() {
    // SAFETY: as above; the kernel writes the frame only before it enters the handler.
    let (os, frame, upcall) =
        unsafe { (&mut *OS.0.get(), &mut *FRAME.0.get(), UPCALL.0.get().read_volatile()) };
    let next = match upcall.vector {
        UPCALL_ALARM => os.alarm(frame),
        vector => {
            let UpcallFrame { error, address, .. } = upcall;
            os.exception(frame, Exception { vector, error, address })
        }
    };
    if let Next::Exit(status) = next {
        calls::exit(status, os.files.output.len());
    }
}

extern "C" fn alarm() {
    // SAFETY: as above. The kernel sets the note while declared code runs; volatile, since nothing
    // here tells the compiler so.
    let (os, frame) = unsafe {
        (&raw mut (*UPCALL.0.get()).pending_alarm).write_volatile(0);
        (&mut *OS.0.get(), &mut *FRAME.0.get())
    };
    if let Next::Exit(status) = os.alarm(frame) {
        calls::exit(status, os.files.output.len());
    }
}

const _: () = assert!(offset_of!(UpcallFrame, pending_alarm) == 0);
const _: () = assert!(size_of::<Frame>() == offset_of!(Frame, rsp) + 8);
const _: () = assert!(offset_of!(Frame, rip) + 8 == offset_of!(Frame, rsp));
