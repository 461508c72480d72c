//! From the kernel to the program's first instruction.

use core::arch::naked_asm;
use core::arch::x86_64::__cpuid_count;
use core::fmt::Write;

use action_abi::host::{EXCEPTIONS, FEATURE_FSGSBASE, HostContext, Moment, Reflection};
use action_abi::{HOST_VERSION, NOTE_NAME, NOTE_TYPE, Range};
use alloc::string::String;
use linux_os::load::program::{Preparation, Prepared};
use linux_os::native::{Instance, Native};
use linux_os::report::STATUS_NOT_RUNNABLE;

use super::{FRAME, OS, calls, entry, heap, vdso};

/// Exit status if the kernel refuses what it promised.
const STATUS_REFUSED: u32 = 102;

/// Bytes of [`NOTE_NAME`] with its NUL, padded to the four bytes that ELF asks for.
const NOTE_NAME_LEN: usize = (NOTE_NAME.len() + 1).next_multiple_of(4);

/// The note that makes this image one that hosts others.
#[repr(C)]
struct Note {
    name_len: u32,
    descriptor_len: u32,
    kind: u32,
    name: [u8; NOTE_NAME_LEN],
    version: u32,
}

#[used]
#[unsafe(link_section = ".note.hostkernel")]
static NOTE: Note = {
    let mut name = [0; NOTE_NAME_LEN];
    let (text, _) = name.split_at_mut(NOTE_NAME.len());
    text.copy_from_slice(NOTE_NAME.as_bytes());
    Note {
        name_len: NOTE_NAME.len() as u32 + 1,
        descriptor_len: 4,
        kind: NOTE_TYPE,
        name,
        version: HOST_VERSION,
    }
};

/// The image's first instruction: `rdi` is the context's address, `rsp` the stack's top, where the
/// handlers' stack will be too.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn _start() -> ! {
    naked_asm!(
        "mov [rip + {stack}], rsp",
        "call {start}",
        "jmp {leave}",
        stack = sym entry::STACK,
        start = sym start,
        leave = sym entry::leave,
    )
}

/// Prepares, freezes, begins.
extern "C" fn start(context: *const HostContext) {
    // SAFETY: this runs once, before any handler; nothing else holds the reference.
    let os = unsafe { &mut *OS.0.get() };
    // SAFETY: `_start` passes on what the kernel left in rdi.
    unsafe { os.native.begin(context) };
    vdso::begin(context);
    let context = os.native.context();
    heap::begin(context.common.heap);

    let prepared = prepare(&context);
    if calls::reflect(&reflection()).is_err() {
        refuse(STATUS_REFUSED, "the kernel does not reflect calls");
    }
    let instance = match prepared.at_input {
        // SAFETY: nothing that the kernel gave is in use: what was prepared lies in the image's own
        // memory.
        true => Ok(unsafe { os.native.instance() }),
        false => os.native.freeze(Moment::Start, &mut []),
    };
    let Ok(instance) = instance else {
        refuse(STATUS_REFUSED, "the kernel does not freeze this instance");
    };
    begin(instance, &prepared);
}

/// Loads the program, or ends with the sentence that says why it cannot be.
fn prepare(context: &HostContext) -> Prepared {
    // SAFETY: as in `start`; the caller's reference is not used meanwhile.
    let os = unsafe { &mut *OS.0.get() };
    let Ok(payload) = os.native.payload() else {
        refuse(STATUS_NOT_RUNNABLE, "there is no program, or no memory for it");
    };
    let preparation = Preparation {
        payload,
        // SAFETY: the kernel's window, which is read before there is an instance.
        environment: unsafe { calls::bytes(context.common.environment) },
        vdso: vdso::address(),
        seed: context.common.random_seed,
        memory_limit: context.common.memory_limit,
        hardware: hardware(context),
    };
    match os.prepare(&preparation) {
        Ok(prepared) => prepared,
        Err(reject) => {
            let mut text = String::new();
            // A string takes everything.
            let _ = write!(text, "{reject}");
            refuse(STATUS_NOT_RUNNABLE, &text)
        }
    }
}

/// What the processor offers, as Linux passes it on: `CPUID.1:EDX`, and whether ring 3 may set FS.
fn hardware(context: &HostContext) -> [u64; 2] {
    /// `HWCAP2_FSGSBASE`
    const FSGSBASE: u64 = 1 << 1;
    let fsgsbase = context.features & FEATURE_FSGSBASE != 0;
    [u64::from(__cpuid_count(1, 0).edx), if fsgsbase { FSGSBASE } else { 0 }]
}

/// Which code makes native calls, and where the program's go.
fn reflection() -> Reflection {
    unsafe extern "C" {
        static __native_start: u8;
        static __native_end: u8;
    }
    let start = (&raw const __native_start) as u64;
    let end = (&raw const __native_end) as u64;
    Reflection {
        code: Range { address: start, len: end - start },
        syscall_handler: entry::syscall_handler as *const () as u64,
        exception_handler: entry::exception_handler as *const () as u64,
        exceptions: EXCEPTIONS,
        frame: entry::UPCALL.0.get() as u64,
    }
}

/// Makes the instance's own what differs from one to the next.
fn begin(instance: Instance, prepared: &Prepared) {
    // SAFETY: as in `start`.
    let (os, frame) = unsafe { (&mut *OS.0.get(), &mut *FRAME.0.get()) };
    match os.begin(prepared, instance) {
        Ok(first) => *frame = first,
        Err(_) => refuse(STATUS_NOT_RUNNABLE, "arguments and environment do not fit the stack"),
    }
}

/// Ends the invocation with a sentence that says why.
fn refuse(status: u32, why: &str) -> ! {
    // SAFETY: as in `start`; whoever had the reference does not go on.
    let os = unsafe { &mut *OS.0.get() };
    os.refuse(why);
    calls::exit(status, 0)
}
