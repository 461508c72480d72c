//! The same harm as the program of a host image: frozen before it, with every call and exception
//! reflected to code that stands between the program and the kernel.
//!
//! A test deploys this file with version 2 in its note. What stands between passes each call on and
//! returns what the kernel answered, flags included; an exception makes it switch the reflection
//! off and go back, where it is raised again. So each kind ends as it does without a host.

use core::arch::{asm, naked_asm};
use core::cell::UnsafeCell;

use action_abi::host::{EXCEPTIONS, HostContext, Reflection, UpcallFrame};
use action_abi::{Call, CallError, Context, Range};

/// Debug exceptions, breakpoints and overflows come behind their instruction: going back to it does
/// not raise them again.
const TRAPS: u64 = 1 << 1 | 1 << 3 | 1 << 4;
/// Bytes of the code that makes native calls, and no other code is between them.
const CODE_LEN: u64 = 256;
/// Where the second handler begins in it.
const EXCEPTION_AT: u64 = 8;

/// What the handlers keep, and their stack for flags.
#[repr(C, align(16))]
struct Kept {
    rcx: u64,
    r11: u64,
    rsp: u64,
    rdi: u64,
    stack: [u64; 4],
}

/// Memory that only the handlers and the kernel write.
#[repr(transparent)]
struct Shared<T>(UnsafeCell<T>);

// SAFETY: an action has one thread.
unsafe impl<T> Sync for Shared<T> {}

static KEPT: Shared<Kept> =
    Shared(UnsafeCell::new(Kept { rcx: 0, r11: 0, rsp: 0, rdi: 0, stack: [0; 4] }));
static FRAME: Shared<UpcallFrame> = Shared(UnsafeCell::new(UpcallFrame {
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
}));
static NOTHING: Reflection = Reflection {
    code: Range { address: 0, len: 0 },
    syscall_handler: 0,
    exception_handler: 0,
    exceptions: 0,
    frame: 0,
};

/// Freezes, and in each instance puts [`between`] the program and the kernel, if this is a host
/// image.
///
/// # Safety
/// Only with the kernel's context, and once.
pub unsafe fn begin(context: *const Context) {
    // SAFETY: the caller passes on what the kernel gave.
    if unsafe { (*context).len as usize } < size_of::<HostContext>() {
        return;
    }
    let code = Range { address: between as *const () as u64, len: CODE_LEN };
    let reflection = Reflection {
        code,
        syscall_handler: code.address,
        exception_handler: code.address + EXCEPTION_AT,
        exceptions: EXCEPTIONS & !TRAPS,
        frame: FRAME.0.get() as u64,
    };
    // SAFETY: neither takes away memory; the structure is on the stack until the call has read it.
    let done = unsafe { native(Call::Freeze, 0) }
        .and_then(|_| unsafe { native(Call::Reflect, &raw const reflection as u64) });
    assert!(done.is_ok(), "a host image may freeze and reflect");
}

/// Makes a call with one argument.
///
/// # Safety
/// The call must not take away memory that is in use.
unsafe fn native(call: Call, argument: u64) -> Result<u64, CallError> {
    let result;
    // SAFETY: the contract preserves all other registers; memory is the caller's promise.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") call as u64 => result,
            in("rdi") argument,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    CallError::check(result)
}

/// Passes calls on, and lets exceptions be raised again. Calls that only hosts have are answered as
/// the kernel answers them to others.
#[unsafe(naked)]
unsafe extern "C" fn between() {
    naked_asm!(
        ".balign 256",
        // A call: rcx and r11 are where it goes on and its flags.
        "jmp 2f",
        ".balign 8",
        // An exception: rax is the frame.
        "mov [rip + {kept} + 24], rdi",
        "mov [rip + {kept} + 8], r11",
        "lea rdi, [rip + {nothing}]",
        "mov eax, {reflect}",
        "syscall",
        "mov rdi, [rip + {kept} + 24]",
        "mov r11, [rip + {kept} + 8]",
        "mov rcx, [rip + {frame} + 40]",
        "mov rax, [rip + {frame} + 32]",
        "lea rsp, [rip + {kept} + 64]",
        "push qword ptr [rip + {frame} + 72]",
        "popfq",
        "mov rsp, [rip + {frame} + 80]",
        "jmp [rip + {frame} + 56]",
        "2:",
        "mov [rip + {kept}], rcx",
        "mov [rip + {kept} + 8], r11",
        "cmp rax, {hosts_only}",
        "jb 3f",
        "cmp rax, {last}",
        "ja 3f",
        "mov rax, {unknown}",
        "jmp 4f",
        "3:",
        "syscall",
        "4:",
        "mov [rip + {kept} + 16], rsp",
        "lea rsp, [rip + {kept} + 64]",
        "push qword ptr [rip + {kept} + 8]",
        "popfq",
        "mov rsp, [rip + {kept} + 16]",
        "mov rcx, [rip + {kept}]",
        "mov r11, [rip + {kept} + 8]",
        "jmp rcx",
        ".balign 256",
        kept = sym KEPT,
        frame = sym FRAME,
        nothing = sym NOTHING,
        reflect = const Call::Reflect as u64,
        hosts_only = const Call::MapAt as u64,
        last = const Call::Report as u64,
        unknown = const CallError::UnknownCall.to_result().cast_signed(),
    )
}

const _: () = {
    assert!(core::mem::offset_of!(Kept, stack) == 32 && size_of::<Kept>() == 64);
    assert!(core::mem::offset_of!(UpcallFrame, rax) == 32);
    assert!(core::mem::offset_of!(UpcallFrame, rcx) == 40);
    assert!(core::mem::offset_of!(UpcallFrame, rip) == 56);
    assert!(core::mem::offset_of!(UpcallFrame, rflags) == 72);
    assert!(core::mem::offset_of!(UpcallFrame, rsp) == 80);
};
