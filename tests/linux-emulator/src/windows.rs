//! The windows of an instance, at the addresses of version 2 of the native ABI.

use std::fs::File;
use std::time::{Duration, Instant};

use action_abi::host::{FEATURE_FSGSBASE, HostContext};
use action_abi::{Clock, Context, HOST_VERSION, Range};

use crate::EmulatorError;

pub const PAGE: u64 = 4096;
/// The addresses, and the lengths of what has one always.
const STACK: Range = Range { address: 0x80_0000_1000, len: 0xf_f000 };
const CONTEXT: u64 = 0x80_0010_1000;
const CONTEXT_LEN: u64 = 0xf000;
/// Arguments and environment, in the pages behind the context.
const STRINGS: u64 = CONTEXT + PAGE;
const OUTPUT: Range = Range { address: 0x80_0018_0000, len: 6 << 20 };
/// Where long inputs are on a node; here all.
const INPUT: Range = Range { address: 0x80_0419_0000, len: 6 << 20 };
const HEAP: Range = Range { address: 0x80_1000_0000, len: 512 << 20 };
/// How long the time stamp counter is measured.
const CALIBRATION: Duration = Duration::from_millis(5);

/// What a stage or an instance begins with.
#[derive(Clone, Debug, Default)]
pub struct Beginning {
    /// Its number; 0 while instances are being prepared.
    pub instance: u64,
    /// Arguments, each with its NUL.
    pub arguments: Vec<u8>,
    /// Environment, each entry with its NUL.
    pub environment: Vec<u8>,
    /// Standard input.
    pub input: Vec<u8>,
}

/// The memory of another process.
pub trait Memory {
    /// Writes it, whatever its protection.
    fn write(&self, address: u64, bytes: &[u8]) -> Option<()>;
}

/// What the image is told, and where.
#[derive(Clone, Debug)]
pub struct Windows {
    pub context: HostContext,
    pub context_address: u64,
}

/// Maps the windows into this process, with nothing in the input.
pub fn map(payload_len: u64) -> Result<Windows, EmulatorError> {
    for range in [STACK, OUTPUT, HEAP, INPUT] {
        map_zeroed(range.address, range.len)?;
    }
    map_zeroed(CONTEXT, CONTEXT_LEN)?;
    let context = HostContext {
        common: Context {
            version: HOST_VERSION,
            len: size_of::<HostContext>() as u32,
            input: Range { len: 0, ..INPUT },
            output: OUTPUT,
            environment: Range { address: STRINGS, len: 0 },
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
        arguments: Range { address: STRINGS, len: 0 },
    };
    // From here on they are written from outside.
    protect(INPUT.address, INPUT.len, libc::PROT_READ)?;
    protect(CONTEXT, CONTEXT_LEN, libc::PROT_READ)?;
    Ok(Windows { context, context_address: CONTEXT })
}

impl Windows {
    /// Fills the windows of a stopped process with what a stage or an instance begins with.
    pub fn fill(
        &mut self,
        memory: &impl Memory,
        beginning: &Beginning,
    ) -> Result<(), EmulatorError> {
        let Beginning { instance, arguments, environment, input } = beginning;
        let write = |address, bytes: &[u8]| {
            let refused = || EmulatorError::Fault("its windows cannot be written".to_owned());
            memory.write(address, bytes).ok_or_else(refused)
        };
        let lens = [arguments.len(), environment.len()].map(|len| len as u64);
        if STRINGS + lens[0] + lens[1] > CONTEXT + CONTEXT_LEN || input.len() as u64 > INPUT.len {
            return Err(EmulatorError::TooLong);
        }
        // What was there before is of no use to anybody.
        let mut bytes = vec![0; input.len().max(self.context.common.input.len as usize)];
        bytes[..input.len()].copy_from_slice(input);
        write(INPUT.address, &bytes)?;
        write(STRINGS, &[&arguments[..], environment].concat())?;
        let context = &mut self.context;
        context.instance = *instance;
        context.arguments.len = lens[0];
        context.common.environment = Range { address: STRINGS + lens[0], len: lens[1] };
        context.common.input.len = input.len() as u64;
        context.common.clock = clock();
        context.common.random_seed = seed()?;
        write(self.context_address, &context.to_bytes())
    }
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
