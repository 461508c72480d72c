//! Time: the time stamp counter, calibrated once, and each core's one-shot timer.
//!
//! The reference is the ACPI power-management timer, else the programmable interval timer's channel
//! 0, else, under hypervisors where its rate is known, the APIC's timer. Where the processor or
//! hypervisor states its frequency no reference is needed.

use core::sync::atomic::{AtomicU64, Ordering};

use super::cpu::Features;
use super::{apic, cpuid, port};
pub use memory::cycles;

use node::state::boot_times::BootTimes;
use node::wall::{Correction, SharedWall, Wall};

const NS_PER_S: u128 = 1_000_000_000;
/// How long to compare the counters each time. Longer is more exact; this gives about 0.2 %.
const CALIBRATION_US: u64 = 1_000;
/// How often to compare them. The median counts: a hypervisor that takes the processor away between
/// two readings can spoil one.
const CALIBRATIONS: usize = 3;
/// Rate of the ACPI timer (ACPI 6.5, 4.8.3.3).
const ACPI_TIMER_HZ: u64 = 3_579_545;
const ACPI_TIMER_MASK: u32 = 0x00ff_ffff;
/// Rate of the interval timer.
const PIT_HZ: u64 = 1_193_182;
const PIT_CHANNEL_0: u16 = 0x40;
const PIT_COMMAND: u16 = 0x43;
const PIT_RATE_GENERATOR: u8 = 0x34;
const PIT_LATCH: u8 = 0x00;

/// Nanoseconds per cycle, 32.32 fixed point.
static SCALE: AtomicU64 = AtomicU64::new(0);
/// Cycles per nanosecond, 32.32 fixed point.
static INVERSE: AtomicU64 = AtomicU64::new(0);
static WALL: SharedWall = SharedWall::new();
static START_CYCLES: AtomicU64 = AtomicU64::new(0);

/// Nanoseconds since the kernel was entered; 0 before calibration.
#[must_use]
pub fn now_ns() -> u64 {
    to_ns(cycles())
}

/// A time stamp as nanoseconds since the kernel was entered.
#[must_use]
pub fn to_ns(cycles: u64) -> u64 {
    let elapsed = cycles.saturating_sub(START_CYCLES.load(Ordering::Relaxed));
    scaled(elapsed, SCALE.load(Ordering::Relaxed))
}

/// As many cycles as pass in this time.
#[must_use]
pub fn to_cycles(ns: u64) -> u64 {
    scaled(ns, INVERSE.load(Ordering::Relaxed))
}

/// A number times one with 32 binary places.
fn scaled(number: u64, scale: u64) -> u64 {
    (u128::from(number) * u128::from(scale) >> 32) as u64
}

/// What came before the kernel, which a loader of ours began at a count of `loader_start`.
///
/// The counter is taken to begin with the machine, as Intel's manual has it for a reset (SDM vol.
/// 3B, 19.17). QEMU's emulator lets it go on when the machine restarts.
#[must_use]
pub fn before_start(loader_start: Option<u64>) -> BootTimes {
    let ns = |cycles: u64| scaled(cycles, SCALE.load(Ordering::Relaxed));
    BootTimes::new(ns(START_CYCLES.load(Ordering::Relaxed)), loader_start.map(ns))
}

/// Nanoseconds per cycle as 32.32 fixed point, for actions.
#[must_use]
pub fn scale() -> u64 {
    SCALE.load(Ordering::Relaxed)
}

/// Tells the clock the wall-clock time now, in nanoseconds since 1970-01-01 UTC.
pub fn set_wall(wall_ns: u64) {
    WALL.set(Wall::new(now_ns(), wall_ns));
}

/// Corrects the wall clock by what it should show at a time of [`now_ns`]'s scale, see
/// [`Wall::corrected`]. For core 0 only. Returns by how much it was wrong, and what was done.
pub fn correct_wall(at_ns: u64, true_ns: u64, may_step_back: bool) -> (i64, Correction) {
    let (wall, now_ns) = (WALL.get(), now_ns());
    let true_ns = true_ns + now_ns.saturating_sub(at_ns);
    let shown_ns = wall.at(now_ns).unwrap_or(true_ns);
    let error_ns = true_ns.wrapping_sub(shown_ns).cast_signed();
    let (wall, correction) = wall.corrected(now_ns, true_ns, may_step_back);
    WALL.set(wall);
    (error_ns, correction)
}

/// Wall-clock time in nanoseconds since 1970-01-01 UTC, if anybody told the clock.
#[must_use]
pub fn wall_ns() -> Option<u64> {
    wall_ns_at(now_ns())
}

/// The same for a time of [`now_ns`]'s scale.
#[must_use]
pub fn wall_ns_at(at_ns: u64) -> Option<u64> {
    WALL.get().at(at_ns)
}

/// Interrupts the calling core at a time of [`now_ns`]'s scale; at once if it has passed.
pub fn set_alarm(at_ns: u64) {
    let now = cycles();
    let delay_ns = at_ns.saturating_sub(to_ns(now));
    let delay = scaled(delay_ns, INVERSE.load(Ordering::Relaxed));
    apic::set_timer(delay_ns, now.saturating_add(delay));
}

/// Cancels the alarm.
pub fn clear_alarm() {
    apic::clear_timer();
}

/// Notes when the kernel was entered; the first thing it does.
pub fn start() {
    START_CYCLES.store(cycles(), Ordering::Relaxed);
}

/// A counter of known rate.
enum Reference {
    AcpiTimer {
        port: u16,
        last: u32,
        total: u64,
    },
    IntervalTimer {
        last: u16,
        total: u64,
    },
    /// The APIC's timer, which runs while counters are compared.
    VirtualApic,
}

impl Reference {
    /// What this machine may have, the best first. Each is started when its turn comes.
    fn all(acpi_timer: Option<u16>) -> impl Iterator<Item = Self> {
        let acpi = acpi_timer.into_iter().map(Self::acpi_timer);
        let interval = core::iter::once_with(Self::interval_timer);
        let apic = apic_counts_nanoseconds().then_some(Self::VirtualApic);
        acpi.chain(interval).chain(apic)
    }

    fn acpi_timer(port: u16) -> Self {
        // SAFETY: ACPI names this port as its timer; reading it has no effect.
        let last = unsafe { port::read_u32(port) } & ACPI_TIMER_MASK;
        Self::AcpiTimer { port, last, total: 0 }
    }

    fn interval_timer() -> Self {
        // SAFETY: nobody else uses the interval timer, and its interrupt line is masked.
        unsafe {
            port::write_u8(PIT_COMMAND, PIT_RATE_GENERATOR);
            port::write_u8(PIT_CHANNEL_0, 0);
            port::write_u8(PIT_CHANNEL_0, 0);
        }
        Self::IntervalTimer { last: read_interval_timer(), total: 0 }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::AcpiTimer { .. } => "measured with the ACPI timer",
            Self::IntervalTimer { .. } => "measured with the interval timer",
            Self::VirtualApic => "measured with the hypervisor's APIC timer",
        }
    }

    /// Counts from now on.
    fn restart(&mut self) {
        self.elapsed_us();
        match self {
            Self::AcpiTimer { total, .. } | Self::IntervalTimer { total, .. } => *total = 0,
            Self::VirtualApic => {}
        }
    }

    /// Microseconds since the counter was created or restarted. Must be called often enough not to
    /// miss a wrap.
    fn elapsed_us(&mut self) -> u64 {
        match self {
            Self::AcpiTimer { port, last, total } => {
                // SAFETY: as in `new`.
                let now = unsafe { port::read_u32(*port) } & ACPI_TIMER_MASK;
                *total += u64::from(now.wrapping_sub(*last) & ACPI_TIMER_MASK);
                *last = now;
                *total * 1_000_000 / ACPI_TIMER_HZ
            }
            Self::IntervalTimer { last, total } => {
                let now = read_interval_timer();
                // It counts down.
                *total += u64::from(last.wrapping_sub(now));
                *last = now;
                *total * 1_000_000 / PIT_HZ
            }
            Self::VirtualApic => {
                u64::from(apic::timer_ticks()) * apic::TIMER_DIVISOR * 1_000_000 / VIRTUAL_APIC_HZ
            }
        }
    }
}

/// Whether this is a hypervisor whose APIC timer has a known rate.
fn apic_counts_nanoseconds() -> bool {
    let Some(leaf) = cpuid::leaf(0x4000_0000) else { return false };
    let words = [leaf.ebx, leaf.ecx, leaf.edx];
    VIRTUAL_APICS.iter().any(|name| {
        name.chunks_exact(4).zip(words).all(|(bytes, word)| *bytes == word.to_le_bytes())
    })
}

fn read_interval_timer() -> u16 {
    // SAFETY: as in `Reference::new`.
    unsafe {
        port::write_u8(PIT_COMMAND, PIT_LATCH);
        let low = port::read_u8(PIT_CHANNEL_0);
        let high = port::read_u8(PIT_CHANNEL_0);
        u16::from_le_bytes([low, high])
    }
}

/// Readings of a reference in which nothing changes before it counts as broken. Each takes a
/// microsecond or so, in which every reference ticks.
const SAME_READS_MAX: u32 = 2_000;
/// Rate of the APIC's timer under KVM, unless told otherwise, and QEMU's emulator, before division:
/// both count nanoseconds (KVM `APIC_BUS_CYCLE_NS`, QEMU `hw/intc/apic_common.c`).
const VIRTUAL_APIC_HZ: u64 = 1_000_000_000;
const VIRTUAL_APICS: [&[u8; 12]; 2] = [b"KVMKVMKVM\0\0\0", b"TCGTCGTCGTCG"];

/// Finds the rates of the time stamp counter and, unless it takes time stamps, the APIC timer.
/// Returns the rate of the time stamp counter in Hz and where it comes from.
///
/// # Errors
/// A sentence, if no reference counts.
pub fn calibrate(
    features: &Features,
    acpi_timer: Option<u16>,
) -> Result<(u64, &'static str), &'static str> {
    let stated = stated_hz();
    if let (Some(hz), true) = (stated, features.tsc_deadline) {
        set_rate(hz);
        return Ok((hz, "stated by the processor"));
    }
    for mut reference in Reference::all(acpi_timer) {
        let Some([cycles_hz, ticks_hz]) = measure(&mut reference) else { continue };
        let hz = stated.unwrap_or(cycles_hz);
        set_rate(hz);
        if !features.tsc_deadline {
            apic::set_timer_rate(ticks_hz.max(1));
        }
        return Ok((hz, reference.name()));
    }
    if let (Some(hz), true) = (base_hz(), features.tsc_deadline) {
        set_rate(hz);
        return Ok((hz, "the processor's nominal frequency"));
    }
    Err(
        "no timer of known rate: neither the ACPI timer nor the interval timer counts, and neither \
         processor nor hypervisor state a frequency",
    )
}

/// The rates in Hz of the time stamp counter and of the APIC's timer; nothing if the reference
/// stands still.
fn measure(reference: &mut Reference) -> Option<[u64; 2]> {
    let (mut cycles_hz, mut ticks_hz) = ([0; CALIBRATIONS], [0; CALIBRATIONS]);
    for (cycles_hz, ticks_hz) in cycles_hz.iter_mut().zip(&mut ticks_hz) {
        let (cycles, ticks, elapsed_us) = compare(reference)?;
        *cycles_hz = cycles * 1_000_000 / elapsed_us;
        *ticks_hz = u64::from(ticks) * 1_000_000 / elapsed_us;
    }
    Some([cycles_hz, ticks_hz].map(|mut rates| {
        rates.sort_unstable();
        rates[CALIBRATIONS / 2]
    }))
}

/// Lets the counters run until the reference says that the time for it is over. Returns cycles,
/// ticks of the APIC's timer, and microseconds; nothing if the reference stands still.
fn compare(reference: &mut Reference) -> Option<(u64, u32, u64)> {
    let (mut elapsed_us, mut same_reads) = (0, 0);
    reference.restart();
    let start = cycles();
    let ticks = apic::measure_timer(|| {
        while elapsed_us < CALIBRATION_US && same_reads < SAME_READS_MAX {
            let before_us = elapsed_us;
            elapsed_us = reference.elapsed_us();
            same_reads = if elapsed_us == before_us { same_reads + 1 } else { 0 };
        }
    });
    (elapsed_us >= CALIBRATION_US).then(|| (cycles() - start, ticks, elapsed_us))
}

fn set_rate(hz: u64) {
    let hz = u128::from(hz.max(1));
    SCALE.store(((NS_PER_S << 32) / hz) as u64, Ordering::Relaxed);
    INVERSE.store(((hz << 32) / NS_PER_S) as u64, Ordering::Relaxed);
}

/// What the hypervisor (leaf 0x4000_0010) or the processor (leaf 0x15) says.
fn stated_hz() -> Option<u64> {
    if let Some(leaf) = cpuid::leaf(0x4000_0010).filter(|leaf| leaf.eax != 0) {
        return Some(u64::from(leaf.eax) * 1000);
    }
    let leaf = cpuid::leaf(0x15)?;
    let known = leaf.eax != 0 && leaf.ebx != 0 && leaf.ecx != 0;
    known.then(|| u64::from(leaf.ecx) * u64::from(leaf.ebx) / u64::from(leaf.eax))
}

/// The nominal frequency (leaf 0x16), at which time stamps are counted, more or less. Better than
/// nothing.
fn base_hz() -> Option<u64> {
    let mhz = cpuid::features(0x16, 0).eax & 0xffff;
    (mhz != 0).then_some(u64::from(mhz) * 1_000_000)
}

/// Lets the interval timer interrupt by its line, for in-kernel tests.
#[cfg(feature = "selftest")]
pub fn start_interval_timer(period_us: u64) {
    let [low, high] = ((PIT_HZ * period_us / 1_000_000) as u16).to_le_bytes();
    // SAFETY: as in `Reference::interval_timer`; calibration is over.
    unsafe {
        port::write_u8(PIT_COMMAND, PIT_RATE_GENERATOR);
        port::write_u8(PIT_CHANNEL_0, low);
        port::write_u8(PIT_CHANNEL_0, high);
    }
}

/// Waits without halting; for boot only. Not at all before calibration, when there is no time.
pub fn spin_us(microseconds: u64) {
    if SCALE.load(Ordering::Relaxed) == 0 {
        return;
    }
    let end = now_ns() + microseconds * 1000;
    while now_ns() < end {
        core::hint::spin_loop();
    }
}
