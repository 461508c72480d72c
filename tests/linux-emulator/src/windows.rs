//! The windows of an instance, at the addresses of version 2 of the native ABI.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use action_abi::host::{FEATURE_FSGSBASE, HostContext};
use action_abi::{Clock, Context, HOST_VERSION, Range};

use crate::EmulatorError;

pub const PAGE: u64 = 4096;
/// The addresses, and the lengths of what has one always.
const STACK: Range = Range { address: 0x80_0000_1000, len: 0xf_f000 };
const CONTEXT: u64 = 0x80_0010_1000;
const CONTEXT_LEN: u64 = 0xf000;
const INPUT: u64 = 0x80_0011_0000;
const OUTPUT: Range = Range { address: 0x80_0021_1000, len: 1 << 20 };
const HEAP: Range = Range { address: 0x80_0100_0000, len: 512 << 20 };
/// How long the time stamp counter is measured.
const CALIBRATION: Duration = Duration::from_millis(5);

/// What the image is told, and where.
#[derive(Debug)]
pub struct Windows {
    pub context: HostContext,
    pub context_address: u64,
}

/// Maps the windows into this process.
pub fn map(payload: &File, arguments: &[OsString], input: &[u8]) -> Result<Windows, EmulatorError> {
    let system = |what| move |cause| EmulatorError::System { what, cause };
    let payload_len = payload.metadata().map_err(system("the payload's length"))?.len();
    for range in [STACK, OUTPUT, HEAP] {
        map_zeroed(range.address, range.len)?;
    }
    let input_len = (input.len() as u64).next_multiple_of(PAGE).max(PAGE);
    map_zeroed(INPUT, input_len)?[..input.len()].copy_from_slice(input);
    protect(INPUT, input_len, libc::PROT_READ)?;

    let mut strings = Vec::new();
    for argument in arguments {
        strings.extend_from_slice(argument.as_bytes());
        strings.push(0);
    }
    let arguments_len = strings.len() as u64;
    for (name, value) in std::env::vars_os() {
        if let Some(name) = name.as_bytes().strip_prefix(b"ACTION_") {
            strings.extend([name, b"=", value.as_bytes(), b"\0"].concat());
        }
    }
    let first = CONTEXT + PAGE;
    let rest = strings.len() as u64 - arguments_len;
    let context = HostContext {
        common: Context {
            version: HOST_VERSION,
            len: size_of::<HostContext>() as u32,
            input: Range { address: INPUT, len: input.len() as u64 },
            output: OUTPUT,
            environment: Range { address: first + arguments_len, len: rest },
            heap: HEAP,
            stack: STACK,
            memory_limit: HEAP.len,
            deadline_ns: u64::MAX,
            clock: clock(),
            random_seed: seed()?,
        },
        payload: Range { address: 0, len: payload_len },
        features: if std::env::var_os("NO_FSGSBASE").is_some() { 0 } else { FEATURE_FSGSBASE },
        instance: 0,
        arguments: Range { address: first, len: arguments_len },
    };
    let page = map_zeroed(CONTEXT, CONTEXT_LEN)?;
    page[..size_of::<HostContext>()].copy_from_slice(&context.to_bytes());
    let at = PAGE as usize;
    page[at..at + strings.len()].copy_from_slice(&strings);
    protect(CONTEXT, CONTEXT_LEN, libc::PROT_READ)?;
    Ok(Windows { context, context_address: CONTEXT })
}

fn seed() -> Result<[u8; 32], EmulatorError> {
    use std::io::Read;

    let mut seed = [0; 32];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut seed))
        .map_err(|cause| EmulatorError::System { what: "random bytes", cause })?;
    Ok(seed)
}

/// The time stamp counter against this computer's clocks.
fn clock() -> Clock {
    let (begin, first) = (Instant::now(), cycles());
    std::thread::sleep(CALIBRATION);
    let (elapsed, passed) = (begin.elapsed(), cycles() - first);
    let scale = (elapsed.as_nanos() << 32) / u128::from(passed.max(1));
    let wall = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    Clock {
        start_cycles: cycles(),
        start_ns: now_ns(),
        scale: scale as u64,
        start_wall_ns: wall.as_nanos() as u64,
    }
}

fn cycles() -> u64 {
    // SAFETY: the instruction exists on every x86-64 processor.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// The monotonic clock.
pub fn now_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the structure.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Maps zeroed pages at exactly this address, where nothing may be.
pub fn map_zeroed(address: u64, len: u64) -> Result<&'static mut [u8], EmulatorError> {
    let flags =
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE | libc::MAP_NORESERVE;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: replaces nothing, so it takes no memory from anybody.
    let pages =
        unsafe { libc::mmap(address as *mut libc::c_void, len as usize, protection, flags, -1, 0) };
    if pages == libc::MAP_FAILED {
        let cause = std::io::Error::last_os_error();
        return Err(EmulatorError::System { what: "a window's pages", cause });
    }
    // SAFETY: just mapped, zeroed, and nobody else's.
    Ok(unsafe { core::slice::from_raw_parts_mut(pages.cast(), len as usize) })
}

/// Changes the protection of pages that [`map_zeroed`] gave and nobody uses any more.
pub fn protect(address: u64, len: u64, protection: i32) -> Result<(), EmulatorError> {
    // SAFETY: the pages are the image's, and this program does not touch them afterwards.
    let result = unsafe { libc::mprotect(address as *mut libc::c_void, len as usize, protection) };
    match result {
        0 => Ok(()),
        _ => {
            let cause = std::io::Error::last_os_error();
            Err(EmulatorError::System { what: "a window's protection", cause })
        }
    }
}
