//! The other side of the calls, in a program for the computer it is written on.
//!
//! Cargo builds an action for a node with `panic = "abort"`: nothing can unwind there. Every other
//! build (`cargo check`, `build`, `run`, `test`, an editor's) is a program of this computer, with
//! the same function in it: input from the first argument or the standard input, result to the
//! standard output, log to the standard error, environment and exit status those of the process.
//!
//! It shows what a function does, not how a node bounds it: memory, time and log are unlimited, and
//! protections are not enforced.

// The action itself stays without it: in a crate that is `no_std` nobody finds it under its name.
extern crate std as os;

use core::alloc::Layout;
use core::arch::x86_64::_rdtsc;
use core::{ptr, slice};

use os::boxed::Box;
use os::io::{self, IsTerminal, Read, Write};
use os::os::unix::ffi::{OsStrExt, OsStringExt};
use os::sync::{Mutex, PoisonError};
use os::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use os::vec::Vec;
use os::{env, fs, panic, process, thread, vec};

use crate::{ABI_VERSION, Call, CallError, Clock, Context, PAGE_LEN, Range, Stream, protection};

/// Length of the output window: what a node offers.
const OUTPUT_LEN: usize = 6 << 20;
/// What a node gives an action that says nothing.
const MEMORY_LIMIT: u64 = 256 << 20;
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// How long the time stamp counter is compared with the clock: enough for three digits.
const CALIBRATION: Duration = Duration::from_millis(2);
/// Fractional bits of [`Clock::scale`].
const SCALE_FRACTION_BITS: u32 = 32;
/// Exit status when the result cannot be written.
const STATUS_NO_OUTPUT: u32 = 1;

/// What `write` appended to the result.
static WRITTEN: Mutex<Vec<u8>> = Mutex::new(Vec::new());
/// Where the result is built. None in a test, which calls handlers itself and has none to print.
static WINDOW: Mutex<Option<Range>> = Mutex::new(None);

/// Runs a body with the input this process was given, to its end or its panic.
pub(super) fn run(body: impl FnOnce(&'static Context), panic_status: u32) -> ! {
    let context = context(read_input());
    *WINDOW.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.output);
    let _ = panic::catch_unwind(panic::AssertUnwindSafe(|| body(context)));
    // The hook of the standard library has said why.
    process::exit(panic_status as i32)
}

/// What `syscall` would do. The result register, as the contract has it.
///
/// # Safety
/// Arguments that are an address and a length must describe memory that can be read.
pub(super) unsafe fn call(number: u64, [first, second, third]: [u64; 3]) -> u64 {
    // SAFETY: the caller's promise, for the calls that take bytes.
    let bytes = || unsafe { bytes(Range { address: first, len: second }) };
    let result = match number {
        _ if number == Call::Exit as u64 => exit(first as u32, second as usize),
        _ if number == Call::Log as u64 => log(bytes(), third),
        _ if number == Call::Write as u64 => write(bytes()),
        _ if number == Call::Map as u64 => map(first as usize, second),
        // All of it is printed at the end.
        _ if number == Call::Flush as u64 => Ok(0),
        // Pages stay until the end; whoever is done with them does not care.
        _ if number == Call::Unmap as u64 => whole_pages(first, second),
        _ if number == Call::Protect as u64 => {
            whole_pages(first, second).and_then(|done| allowed(third).map(|()| done))
        }
        _ => Err(CallError::UnknownCall),
    };
    result.unwrap_or_else(|error| (error as i64).wrapping_neg() as u64)
}

/// Prints the result and ends the process.
pub(super) fn exit(status: u32, output_len: usize) -> ! {
    let Some(window) = *WINDOW.lock().unwrap_or_else(PoisonError::into_inner) else {
        process::exit(status as i32);
    };
    let written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    let len = window.len.min(output_len as u64);
    // SAFETY: the window is leaked memory, and nothing writes to it any more.
    let built = unsafe { bytes(Range { len, ..window }) };
    let result = if written.is_empty() { built } else { &written };
    let mut out = io::stdout().lock();
    let printed = out.write_all(result).and_then(|()| match result.last() {
        // On a terminal the next prompt gets a line of its own.
        Some(last) if *last != b'\n' && io::stdout().is_terminal() => out.write_all(b"\n"),
        _ => Ok(()),
    });
    match printed.and_then(|()| out.flush()) {
        Ok(()) => process::exit(status as i32),
        Err(_) => process::exit(STATUS_NO_OUTPUT as i32),
    }
}

/// The bytes of a range.
///
/// # Safety
/// The range must be readable and stay as it is.
unsafe fn bytes(range: Range) -> &'static [u8] {
    if range.len == 0 {
        return &[];
    }
    let first = ptr::with_exposed_provenance::<u8>(range.address as usize);
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts(first, range.len as usize) }
}

fn log(bytes: &[u8], stream: u64) -> Result<u64, CallError> {
    let known = [Stream::Stdout as u64, Stream::Stderr as u64].contains(&stream);
    if bytes.is_empty() || !known {
        return Err(CallError::BadArgument);
    }
    // Both streams are log; the standard output has the result. A closed one loses the rest.
    let _ = io::stderr().write_all(bytes);
    Ok(bytes.len() as u64)
}

fn write(bytes: &[u8]) -> Result<u64, CallError> {
    let mut written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    if bytes.is_empty() {
        return Err(CallError::BadArgument);
    }
    if bytes.len() > OUTPUT_LEN - written.len() {
        return Err(CallError::LimitReached);
    }
    written.extend_from_slice(bytes);
    Ok(bytes.len() as u64)
}

fn map(len: usize, protection: u64) -> Result<u64, CallError> {
    allowed(protection)?;
    let layout = Layout::from_size_align(len, PAGE_LEN).map_err(|_| CallError::OutOfMemory)?;
    if len == 0 {
        return Err(CallError::BadArgument);
    }
    // SAFETY: the layout is not empty.
    let pages = unsafe { os::alloc::alloc_zeroed(layout.pad_to_align()) };
    if pages.is_null() { Err(CallError::OutOfMemory) } else { Ok(pages.expose_provenance() as u64) }
}

fn allowed(wanted: u64) -> Result<(), CallError> {
    let all = protection::READ | protection::WRITE | protection::EXECUTE;
    let both = protection::WRITE | protection::EXECUTE;
    match wanted & !all == 0 && wanted & both != both {
        true => Ok(()),
        false => Err(CallError::BadArgument),
    }
}

fn whole_pages(address: u64, len: u64) -> Result<u64, CallError> {
    let page = PAGE_LEN as u64;
    match address.is_multiple_of(page) && len.is_multiple_of(page) && len > 0 {
        true => Ok(0),
        false => Err(CallError::BadArgument),
    }
}

/// The first argument, or all of the standard input unless somebody would have to type it.
fn read_input() -> Vec<u8> {
    if let Some(argument) = env::args_os().nth(1) {
        return argument.into_vec();
    }
    let mut input = Vec::new();
    if !io::stdin().is_terminal() {
        // What could be read until then is the input.
        let _ = io::stdin().read_to_end(&mut input);
    }
    input
}

/// What a node would tell an invocation without input.
pub(super) fn empty_context() -> &'static Context {
    context(Vec::new())
}

/// What a node would tell an invocation with this input. It lives to the end of the process.
fn context(input: Vec<u8>) -> &'static Context {
    let mut environment = Vec::new();
    for (name, value) in env::vars_os() {
        environment.extend([name.as_bytes(), b"=", value.as_bytes(), b"\0"].concat());
    }
    Box::leak(Box::new(Context {
        version: ABI_VERSION,
        len: size_of::<Context>() as u32,
        input: leak(input),
        output: leak(vec![0; OUTPUT_LEN]),
        environment: leak(environment),
        memory_limit: MEMORY_LIMIT,
        deadline_ns: TIME_LIMIT.as_nanos() as u64,
        clock: calibrate(),
        random_seed: random_seed(),
        // There is no heap window: the allocator is the computer's.
        ..Context::default()
    }))
}

fn leak(bytes: Vec<u8>) -> Range {
    let bytes = bytes.leak();
    Range { address: bytes.as_mut_ptr().expose_provenance() as u64, len: bytes.len() as u64 }
}

fn calibrate() -> Clock {
    let (begin, start_cycles) = (Instant::now(), cycles());
    thread::sleep(CALIBRATION);
    let cycles = cycles().saturating_sub(start_cycles).max(1);
    let scale = (begin.elapsed().as_nanos() << SCALE_FRACTION_BITS) / u128::from(cycles);
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Clock {
        start_cycles,
        start_ns: 0,
        scale: scale as u64,
        start_wall_ns: wall.saturating_sub(CALIBRATION).as_nanos() as u64,
    }
}

fn cycles() -> u64 {
    // SAFETY: every x86-64 processor has it, and no system we know of forbids it.
    unsafe { _rdtsc() }
}

fn random_seed() -> [u8; 32] {
    let mut seed = [0; 32];
    let read = fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut seed));
    read.expect("every Unix has /dev/urandom");
    seed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(error: CallError) -> u64 {
        (error as i64).wrapping_neg() as u64
    }

    #[test]
    fn calls_answer_as_a_node_does() {
        // SAFETY: the range is empty or a constant's.
        let log = |bytes: &[u8], stream| unsafe {
            call(Call::Log as u64, [bytes.as_ptr() as u64, bytes.len() as u64, stream])
        };
        assert_eq!(log(b"x\n", Stream::Stderr as u64), 2);
        assert_eq!(log(b"", Stream::Stderr as u64), error(CallError::BadArgument));
        assert_eq!(log(b"x", 7), error(CallError::BadArgument));
        // SAFETY: a number without meaning takes no memory.
        assert_eq!(unsafe { call(99, [0; 3]) }, error(CallError::UnknownCall));
    }

    #[test]
    fn mapped_memory_is_zeroed_and_aligned() {
        let address = map(PAGE_LEN, protection::READ | protection::WRITE).expect("memory");
        assert!(address.is_multiple_of(PAGE_LEN as u64));
        // SAFETY: just mapped, and never freed.
        let page = unsafe { bytes(Range { address, len: PAGE_LEN as u64 }) };
        assert!(page.iter().all(|byte| *byte == 0));
        assert_eq!(whole_pages(address, PAGE_LEN as u64), Ok(0));
        assert_eq!(whole_pages(address + 1, PAGE_LEN as u64), Err(CallError::BadArgument));
        let both = protection::WRITE | protection::EXECUTE;
        assert_eq!(map(PAGE_LEN, both), Err(CallError::BadArgument));
        assert_eq!(map(0, protection::READ), Err(CallError::BadArgument));
    }

    #[test]
    fn the_clock_is_about_right() {
        let clock = calibrate();
        let second = u128::from(clock.scale) * 1_000_000_000 >> SCALE_FRACTION_BITS;
        // A billion cycles are a second on a processor of 1 GHz: between 0.1 and 20 GHz.
        assert!((50_000_000..10_000_000_000).contains(&second), "{second}");
        assert!(clock.start_wall_ns > 0);
    }
}
