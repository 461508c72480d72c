//! Machine checks: what the hardware reports of its own errors (Intel SDM vol. 3B, ch. 16).
//!
//! Errors that cannot be corrected raise an exception on every processor of the package; the core
//! that reports first prints what all of them found. Those that the hardware corrected stay in its
//! banks until somebody looks: each core does, when it wakes and some time has passed.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use super::cpu::{Features, read_msr, write_msr};
use super::cpuid;
use limits::{CORES_MAX, MACHINE_CHECK_BANKS_MAX, MACHINE_CHECK_POLL_NS};
use memory::core_id;

const MSR_CAPABILITIES: u32 = 0x179;
const MSR_CONTROL: u32 = 0x17b;
/// Control, status, address and miscellaneous register of the first bank; the others follow.
const MSR_BANK_0: u32 = 0x400;
const BANK_REGISTERS: u32 = 4;
const STATUS: u32 = 1;
const ADDRESS: u32 = 2;
const CAPABILITY_BANKS: u64 = 0xff;
const CAPABILITY_CONTROL: u64 = 1 << 8;
const STATUS_VALID: u64 = 1 << 63;
const STATUS_UNCORRECTED: u64 = 1 << 61;
const STATUS_ADDRESS: u64 = 1 << 58;
const ALL_ERRORS: u64 = u64::MAX;
/// Whole multiples of model and family numbers in leaf 1.
const FAMILY_6: u32 = 6;
/// The first model of family 6 whose bank 0 is not the firmware's alone (Intel SDM vol. 3B,
/// 16.3.2.1).
const MODEL_WITH_BANK_0: u32 = 0x1a;

/// What a bank held.
#[derive(Clone, Copy, Debug)]
pub struct Error {
    bank: u64,
    status: u64,
    address: Option<u64>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bank {}, status {:016x}", self.bank, self.status)?;
        self.address.map_or(Ok(()), |address| write!(f, ", address {address:#x}"))
    }
}

/// An error that is kept for another core to read. Zero status: none.
struct Note {
    bank: AtomicU64,
    status: AtomicU64,
    address: AtomicU64,
}

impl Note {
    const fn none() -> Self {
        Self { bank: AtomicU64::new(0), status: AtomicU64::new(0), address: AtomicU64::new(0) }
    }

    fn write(&self, error: Error) {
        self.bank.store(error.bank, Ordering::Relaxed);
        self.address.store(error.address.unwrap_or(0), Ordering::Relaxed);
        self.status.store(error.status, Ordering::Release);
    }

    fn read(&self) -> Option<Error> {
        let status = self.status.load(Ordering::Acquire);
        let address = self.address.load(Ordering::Relaxed);
        let bank = self.bank.load(Ordering::Relaxed);
        let has_address = status & STATUS_ADDRESS != 0;
        (status != 0).then_some(Error { bank, status, address: has_address.then_some(address) })
    }
}

/// What each core found when the exception came.
static FATAL: [Note; CORES_MAX] = [const { Note::none() }; CORES_MAX];
/// The last error that was found without an exception, on any core.
static LAST: Note = Note::none();
/// Errors found without one, on all cores.
static CORRECTED: AtomicU64 = AtomicU64::new(0);
/// When each core looks again.
static NEXT_NS: [AtomicU64; CORES_MAX] = [const { AtomicU64::new(0) }; CORES_MAX];
/// Banks of a processor; the same on all of them.
static BANKS: AtomicU64 = AtomicU64::new(0);

/// Has the calling core's hardware report errors of every kind.
///
/// # Safety
/// Called once per core, after its descriptor tables are loaded and before the exception is
/// switched on.
pub(super) unsafe fn enable(features: &Features) {
    if !features.machine_check_banks {
        return;
    }
    // SAFETY: the processor has these registers, as it says; banks are counted by the first, and
    // the values written switch reports on.
    unsafe {
        let capabilities = read_msr(MSR_CAPABILITIES);
        let banks = (capabilities & CAPABILITY_BANKS).min(MACHINE_CHECK_BANKS_MAX);
        BANKS.store(banks, Ordering::Relaxed);
        if capabilities & CAPABILITY_CONTROL != 0 {
            write_msr(MSR_CONTROL, ALL_ERRORS);
        }
        for bank in u64::from(!has_bank_0())..banks {
            write_msr(register(bank, 0), ALL_ERRORS);
        }
    }
    // What firmware or the time before a restart left behind is as much an error as any.
    look();
}

/// Whether bank 0 may be controlled.
fn has_bank_0() -> bool {
    let signature = cpuid::features(1, 0).eax;
    let (family, model) = (signature >> 8 & 0xf, signature >> 4 & 0xf | signature >> 12 & 0xf0);
    family != FAMILY_6 || model >= MODEL_WITH_BANK_0
}

const fn register(bank: u64, which: u32) -> u32 {
    MSR_BANK_0 + bank as u32 * BANK_REGISTERS + which
}

/// The errors in the calling core's banks.
fn errors() -> impl Iterator<Item = Error> {
    (0..BANKS.load(Ordering::Relaxed)).filter_map(|bank| {
        // SAFETY: so many banks exist on every core. The address register is read only if the
        // status says that there is one.
        unsafe {
            let status = read_msr(register(bank, STATUS));
            let has_address = status & STATUS_ADDRESS != 0;
            let address = || read_msr(register(bank, ADDRESS));
            let is_valid = status & STATUS_VALID != 0;
            is_valid.then(|| Error { bank, status, address: has_address.then(address) })
        }
    })
}

/// Counts and removes what is in the calling core's banks.
fn look() {
    for error in errors() {
        LAST.write(error);
        CORRECTED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the bank exists; zero makes room for the next error.
        unsafe { write_msr(register(error.bank, STATUS), 0) };
    }
}

/// Looks for errors of the calling core that raised no exception, if it is time. Returns whether it
/// was.
pub fn poll(now_ns: u64) -> bool {
    let next_ns = &NEXT_NS[core_id()];
    if now_ns < next_ns.load(Ordering::Relaxed) {
        return false;
    }
    next_ns.store(now_ns.saturating_add(MACHINE_CHECK_POLL_NS), Ordering::Relaxed);
    look();
    true
}

/// How many errors were found without an exception.
pub fn corrected() -> u64 {
    CORRECTED.load(Ordering::Relaxed)
}

/// The last of them.
pub fn last_corrected() -> Option<Error> {
    LAST.read()
}

/// Keeps what the exception is about for the core that reports it: an error that was not corrected,
/// if there is one.
pub fn note_fatal() {
    let is_fatal = |error: &Error| error.status & STATUS_UNCORRECTED != 0;
    if let Some(error) = errors().find(is_fatal).or_else(|| errors().next()) {
        FATAL[core_id()].write(error);
    }
}

/// What each core kept so.
pub fn fatal() -> impl Iterator<Item = (usize, Error)> {
    FATAL.iter().enumerate().filter_map(|(core, note)| Some((core, note.read()?)))
}
