//! The smallest host image, with nothing to host but itself: it freezes once it has prepared, and
//! each instance tells what it finds.
//!
//! What it does instead of freezing says a word in the file, which tests change.

#![no_std]
#![no_main]

use core::arch::{asm, naked_asm};
use core::fmt::Write as _;
use core::sync::atomic::{AtomicU64, Ordering};

use action_abi::host::{HostContext, Report};
use action_abi::runtime::call;
use action_abi::runtime::entry::Note;
use action_abi::runtime::heap::Heap;
use action_abi::runtime::output::Output;
use action_abi::{Call, CallError, PAGE_LEN, Stream, protection};

#[used]
#[unsafe(link_section = ".note.hostkernel")]
static NOTE: Note = Note::HOST;

#[global_allocator]
static HEAP: Heap = Heap::new();

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    action_abi::runtime::panic::report(info)
}

/// What it does: `freeze`, `exit`, `spin` or `fault`, in eight bytes behind a mark.
#[used]
static MODE: [u8; 16] = *b"MODE IS:freeze..";
/// What was prepared: 42, and one more for each instance that counts in its own memory.
static PREPARED: AtomicU64 = AtomicU64::new(0);
/// An address that no image and no window is at.
const FAR: u64 = 0x7f00_0000_0000;
/// What it says of randomness.
const ENTROPY: &str = "8 \"bytes\"";
/// Status of a run that was not to be frozen.
const STATUS_NOT_FROZEN: u32 = 3;

#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn _start() -> ! {
    naked_asm!("call {run}", "ud2", run = sym run)
}

/// Makes a call with four arguments.
///
/// # Safety
/// The call must not take away memory that is in use.
unsafe fn native(number: Call, [a, b, c, d]: [u64; 4]) -> Result<u64, CallError> {
    let result;
    // SAFETY: the contract preserves all other registers; memory is the caller's promise.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as u64 => result,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            in("r10") d,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    CallError::check(result)
}

unsafe extern "C" fn run(context: *const HostContext) -> ! {
    PREPARED.store(42, Ordering::Relaxed);
    let _ = call::log(b"prepares itself\n", Stream::Stderr);
    // SAFETY: the static is read as it is in memory, whatever the compiler knows of it.
    let mode = unsafe { (&raw const MODE).read_volatile() };
    match &mode[8..12] {
        b"exit" => call::exit(STATUS_NOT_FROZEN),
        b"spin" => loop {
            core::hint::spin_loop();
        },
        // SAFETY: ends the invocation.
        b"faul" => unsafe { asm!("ud2", options(noreturn)) },
        _ => {}
    }
    // SAFETY: memory of this instance is only taken away where it ends; the text is a constant.
    let number = unsafe {
        let (address, len) = (ENTROPY.as_ptr() as u64, ENTROPY.len() as u64);
        let _ = native(Call::Report, [Report::Entropy as u64, address, len, 0]);
        native(Call::Freeze, [0; 4])
    };
    // SAFETY: the kernel put a context of this instance there, which lives as long as it.
    let context = unsafe { context.read_volatile() };
    // SAFETY: the window is mapped and nobody else's.
    let mut output = unsafe { Output::over_window(context.common.output) };
    let prepared = PREPARED.fetch_add(1, Ordering::Relaxed);
    // SAFETY: as above; the addresses are nobody's.
    let (again, mapped, refused) = unsafe {
        let again = native(Call::Freeze, [0; 4]);
        let mapped = native(Call::MapAt, [FAR, PAGE_LEN as u64, protection::NONE, 0]);
        let context = context.common.output.address;
        (again, mapped, native(Call::Unmap, [context, PAGE_LEN as u64, 0, 0]))
    };
    let input = context.common.input.len;
    let written = write!(
        output,
        "{{\"number\":{},\"instance\":{},\"prepared\":{prepared},\"input\":{input},\
         \"again\":\"{again:?}\",\"mapped\":{},\"window\":\"{refused:?}\"}}",
        number.unwrap_or(0),
        context.instance,
        mapped == Ok(FAR),
    );
    call::exit_with_output(u32::from(written.is_err()), output.len())
}
