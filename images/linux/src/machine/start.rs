//! From the kernel to the program's first instruction.

use core::arch::naked_asm;
use core::arch::x86_64::__cpuid_count;
use core::fmt::Write;
use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};
use core::slice;

use action_abi::host::{EXCEPTIONS, FEATURE_FSGSBASE, HostContext, Reflection};
use action_abi::{HOST_VERSION, NOTE_NAME, NOTE_TYPE, PAGE_LEN, Range, protection};
use alloc::string::String;
use linux_os::load::program::{Instance, Preparation, Prepared};
use linux_os::memory::PAYLOAD;
use linux_os::native::{Native, Report};

use super::{FRAME, OS, calls, entry, heap, vdso};

/// Exit status if the program cannot be run, as shells give it.
const STATUS_NOT_RUNNABLE: u32 = 126;
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
    let Ok(number) = calls::freeze() else {
        refuse(STATUS_REFUSED, "the kernel does not freeze this instance");
    };
    begin(number, &prepared);
}

/// Loads the program, or ends with the sentence that says why it cannot be.
fn prepare(context: &HostContext) -> Prepared {
    // SAFETY: as in `start`; the caller's reference is not used meanwhile.
    let os = unsafe { &mut *OS.0.get() };
    let len = context.payload.len.next_multiple_of(PAGE_LEN as u64);
    if len == 0 || os.native.map_payload(PAYLOAD, len, protection::READ, 0).is_err() {
        refuse(STATUS_NOT_RUNNABLE, "there is no program, or no memory for it");
    }
    let payload = Range { address: PAYLOAD, len: context.payload.len };
    let preparation = Preparation {
        // SAFETY: just mapped, and never changed: it is not the program's to map.
        payload: unsafe { bytes(payload) },
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
fn begin(number: u64, prepared: &Prepared) {
    // SAFETY: as in `start`.
    let (os, frame) = unsafe { (&mut *OS.0.get(), &mut *FRAME.0.get()) };
    let context = os.native.context();
    let common = &context.common;
    let clock = common.clock;
    // SAFETY: windows that the kernel mapped for the length of the invocation; those that are only
    // read nobody writes, and the output is nobody else's.
    let instance = unsafe {
        Instance {
            number,
            seed: common.random_seed,
            input: bytes(common.input),
            output: slice::from_raw_parts_mut(
                with_exposed_provenance_mut(common.output.address as usize),
                common.output.len as usize,
            ),
            arguments: bytes(context.arguments),
            environment: bytes(common.environment),
            memory_limit: common.memory_limit,
            wall_offset_ns: clock.start_wall_ns.saturating_sub(clock.start_ns),
        }
    };
    match os.begin(prepared, instance) {
        Ok(first) => *frame = first,
        Err(_) => refuse(STATUS_NOT_RUNNABLE, "arguments and environment do not fit the stack"),
    }
}

/// The bytes of a range.
///
/// # Safety
/// They must be mapped readable, and stay so unchanged.
unsafe fn bytes(range: Range) -> &'static [u8] {
    if range.len == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe {
        slice::from_raw_parts(with_exposed_provenance(range.address as usize), range.len as usize)
    }
}

/// Ends the invocation with a sentence that says why.
fn refuse(status: u32, why: &str) -> ! {
    let mut native = super::Calls::new();
    native.report(Report::Ending, why);
    native.log(why.as_bytes(), action_abi::Stream::Stderr);
    native.log(b"\n", action_abi::Stream::Stderr);
    calls::exit(status, 0)
}
