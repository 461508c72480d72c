//! Processor features, control registers, and the state an action must not inherit.

use core::arch::asm;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::segments::{KERNEL_CODE, KERNEL_DATA};
use super::{area, cpuid};
use limits::PAGE_LEN;

/// What this processor offers of what the kernel uses. The same on every core.
#[derive(Clone, Copy, Debug, Default)]
pub struct Features {
    /// Supervisor mode does not execute user pages.
    pub smep: bool,
    /// Supervisor mode does not touch user pages.
    pub smap: bool,
    /// `sgdt` and its like fault in ring 3.
    pub umip: bool,
    /// Ring 3 may read and write FS and GS bases.
    pub fsgsbase: bool,
    /// XSAVE and what it manages, as the value for XCR0; 0 without XSAVE.
    pub extended_state: u64,
    /// x2APIC.
    pub x2apic: bool,
    /// The APIC timer can be set to a time stamp.
    pub tsc_deadline: bool,
    /// The time stamp counter runs at a constant rate.
    pub invariant_tsc: bool,
    /// Translations carry the number of their address space and survive a switch to another.
    pub pcid: bool,
    /// 1 GiB pages.
    pub huge_pages: bool,
    /// Broken hardware raises an exception instead of stopping the processor.
    pub machine_check: bool,
    /// The hardware keeps what it reports in banks.
    pub machine_check_banks: bool,
    /// RDTSCP, which also reads a register of the kernel's choice.
    pub rdtscp: bool,
    /// RDRAND.
    pub rdrand: bool,
}

const CR0_MP: u64 = 1 << 1;
const CR0_EM: u64 = 1 << 2;
const CR0_TS: u64 = 1 << 3;
const CR0_NE: u64 = 1 << 5;
const CR0_WP: u64 = 1 << 16;
const CR0_AM: u64 = 1 << 18;
const CR4_MCE: u64 = 1 << 6;
const CR4_OSFXSR: u64 = 1 << 9;
const CR4_OSXMMEXCPT: u64 = 1 << 10;
const CR4_UMIP: u64 = 1 << 11;
const CR4_FSGSBASE: u64 = 1 << 16;
const CR4_PCIDE: u64 = 1 << 17;
const CR4_OSXSAVE: u64 = 1 << 18;
const CR4_SMEP: u64 = 1 << 20;
const CR4_SMAP: u64 = 1 << 21;

const MSR_SYSENTER_CS: u32 = 0x174;
const MSR_PAGE_ATTRIBUTES: u32 = 0x277;
const MSR_EFER: u32 = 0xc000_0080;
const MSR_STAR: u32 = 0xc000_0081;
const MSR_LSTAR: u32 = 0xc000_0082;
const MSR_CSTAR: u32 = 0xc000_0083;
const MSR_SFMASK: u32 = 0xc000_0084;
const MSR_FS_BASE: u32 = 0xc000_0100;
const MSR_GS_BASE: u32 = 0xc000_0101;
const MSR_TSC_AUX: u32 = 0xc000_0103;
const EFER_SYSCALL: u64 = 1 << 0;
/// Flags cleared by `syscall`: TF, IF, DF, IOPL, NT, RF, AC.
const SYSCALL_FLAG_MASK: u64 = 1 << 8 | 1 << 9 | 1 << 10 | 3 << 12 | 1 << 14 | 1 << 16 | 1 << 18;

/// State components actions may use: x87, SSE, AVX, and the three of AVX-512.
const EXTENDED_STATE_WANTED: u64 = 0b1110_0111;
/// x87 and SSE are there whenever XSAVE is.
const EXTENDED_STATE_MIN: u64 = 0b11;

/// Reads a model-specific register.
///
/// # Safety
/// The register exists on this processor.
#[must_use]
pub unsafe fn read_msr(register: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the caller knows that the register exists; reading has no effect on memory.
    unsafe {
        asm!("rdmsr", in("ecx") register, out("eax") low, out("edx") high, options(nomem, nostack));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Writes a model-specific register.
///
/// # Safety
/// The register exists, and the value breaks no assumption of running code.
pub unsafe fn write_msr(register: u32, value: u64) {
    // SAFETY: the caller vouches for both.
    unsafe {
        asm!(
            "wrmsr",
            in("ecx") register, in("eax") value as u32, in("edx") (value >> 32) as u32,
            options(nostack, preserves_flags),
        );
    }
}

impl Features {
    /// Asks the processor.
    #[must_use]
    pub fn detect() -> Self {
        let basic = cpuid::features(1, 0);
        let structured = cpuid::features(7, 0);
        let amd = cpuid::features(0x8000_0001, 0);
        let power = cpuid::features(0x8000_0007, 0);
        // Firmware that limits the leaves leaves the bit and takes away what belongs to it.
        let xsave = basic.ecx & 1 << 26 != 0;
        let offered = if xsave { u64::from(cpuid::features(0xd, 0).eax) } else { 0 };
        let has_minimum = offered & EXTENDED_STATE_MIN == EXTENDED_STATE_MIN;
        Self {
            smep: structured.ebx & 1 << 7 != 0,
            smap: structured.ebx & 1 << 20 != 0,
            umip: structured.ecx & 1 << 2 != 0,
            fsgsbase: structured.ebx & 1 << 0 != 0,
            extended_state: if has_minimum { offered & EXTENDED_STATE_WANTED } else { 0 },
            x2apic: basic.ecx & 1 << 21 != 0,
            tsc_deadline: basic.ecx & 1 << 24 != 0,
            invariant_tsc: power.edx & 1 << 8 != 0,
            pcid: basic.ecx & 1 << 17 != 0,
            huge_pages: amd.edx & 1 << 26 != 0,
            machine_check: basic.edx & 1 << 7 != 0,
            machine_check_banks: basic.edx & 1 << 7 != 0 && basic.edx & 1 << 14 != 0,
            rdtscp: amd.edx & 1 << 27 != 0,
            rdrand: basic.ecx & 1 << 30 != 0,
        }
    }
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = [
            (self.smep, "smep"),
            (self.smap, "smap"),
            (self.umip, "umip"),
            (self.fsgsbase, "fsgsbase"),
            (self.extended_state != 0, "xsave"),
            (self.extended_state & 4 != 0, "avx"),
            (self.extended_state & 0xe0 == 0xe0, "avx512"),
            (self.x2apic, "x2apic"),
            (self.tsc_deadline, "tsc-deadline"),
            (self.invariant_tsc, "invariant-tsc"),
            (self.pcid, "pcid"),
            (self.rdrand, "rdrand"),
        ];
        for (present, name) in flags {
            if !present {
                f.write_str("no-")?;
            }
            write!(f, "{name} ")?;
        }
        Ok(())
    }
}

/// Value of XCR0, 0 without XSAVE. Set once per boot and read by
/// [`reset_user_state`], which runs for every invocation.
static EXTENDED_STATE: AtomicU64 = AtomicU64::new(0);
/// Whether ring 3 has the instructions for FS and GS bases.
static FSGSBASE: AtomicBool = AtomicBool::new(false);
/// Whether RDRAND exists.
static RDRAND: AtomicBool = AtomicBool::new(false);

/// Whether process-context identifiers are on.
static PCID: AtomicBool = AtomicBool::new(false);
/// The identifier of whatever action runs on a core; the kernel's is 0.
const PCID_ACTION: u64 = 1;
/// In a value written to CR3: keep the translations of its identifier (Intel SDM vol. 3A, 4.10.4).
const CR3_KEEP: u64 = 1 << 63;
const CR3_ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// The value for CR3 that enters an action's tables. Without `keep` the processor forgets all it
/// knew of this or any earlier action; without process-context identifiers it always does.
pub(super) fn action_root(root: u64, keep: bool) -> u64 {
    match (PCID.load(Ordering::Relaxed), keep) {
        (false, _) => root,
        (true, false) => root | PCID_ACTION,
        (true, true) => root | PCID_ACTION | CR3_KEEP,
    }
}

/// Whether a value that [`action_root`] made is for these tables.
pub(super) fn is_same_root(value: u64, root: u64) -> bool {
    value & CR3_ADDRESS == root
}

/// The kinds of memory a page-table entry can choose from (Intel SDM vol. 3A, 12.12): as after a
/// reset, but that number 4 is write-combining. Only mappings of the screen choose it.
const PAGE_ATTRIBUTES: u64 = 0x0007_0401_0007_0406;

/// Whether the processor can collect writes to a page.
#[must_use]
pub fn has_write_combining() -> bool {
    cpuid::features(1, 0).edx & 1 << 16 != 0
}

fn enable_write_combining() {
    if has_write_combining() {
        // SAFETY: the register exists. No translation in use has the number that changes, and what
        // the processor may know of others is forgotten with the second instruction.
        unsafe {
            write_msr(MSR_PAGE_ATTRIBUTES, PAGE_ATTRIBUTES);
            asm!("mov {0}, cr3", "mov cr3, {0}", out(reg) _, options(nostack, preserves_flags));
        }
    }
}

/// Sets the calling core's control and model-specific registers.
///
/// # Safety
/// Called once per core, after its descriptor tables are loaded.
pub(super) unsafe fn enable(features: &Features, syscall_entry: u64) {
    enable_write_combining();
    let mut cr4: u64;
    let mut cr0: u64;
    // SAFETY: reads only.
    unsafe { asm!("mov {}, cr4", "mov {}, cr0", out(reg) cr4, out(reg) cr0) };
    cr0 |= CR0_MP | CR0_NE | CR0_WP | CR0_AM;
    cr0 &= !(CR0_EM | CR0_TS);
    cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT;
    for (present, bit) in [
        (features.machine_check, CR4_MCE),
        (features.smep, CR4_SMEP),
        (features.smap, CR4_SMAP),
        (features.umip, CR4_UMIP),
        (features.fsgsbase, CR4_FSGSBASE),
        (features.pcid, CR4_PCIDE),
        (features.extended_state != 0, CR4_OSXSAVE),
    ] {
        if present {
            cr4 |= bit;
        }
    }
    // SAFETY: only bits the processor offers are set; the kernel neither touches nor executes user
    // pages, and its own mappings are correct under write protection. Process-context identifiers
    // may be switched on because the core is in long mode, on tables with identifier 0.
    unsafe { asm!("mov cr0, {}", "mov cr4, {}", in(reg) cr0, in(reg) cr4) };
    if features.pcid {
        PCID.store(true, Ordering::Relaxed);
        // SAFETY: the field is this core's, read by the entry code only, and valid in CR3 from now
        // on: the kernel's translations stay, since its entries never change once present.
        unsafe { (*area::entry_area()).kernel_root |= CR3_KEEP };
    }
    RDRAND.store(features.rdrand, Ordering::Relaxed);
    FSGSBASE.store(features.fsgsbase, Ordering::Relaxed);
    if features.extended_state != 0 {
        // XCR0 bits depend on each other: AVX-512 is all three or none, and needs AVX.
        let mut state = features.extended_state;
        if state & 0xe4 != 0xe4 {
            state &= !0xe0;
        }
        EXTENDED_STATE.store(state, Ordering::Relaxed);
        // SAFETY: OSXSAVE is on and the value has only supported, consistent bits.
        unsafe {
            asm!(
                "xsetbv",
                in("ecx") 0, in("eax") state as u32, in("edx") 0,
                options(nomem, nostack),
            );
        }
    }
    if features.rdtscp {
        // SAFETY: the register exists. What firmware left there is nobody's business.
        unsafe { write_msr(MSR_TSC_AUX, 0) };
    }
    // `syscall` loads CS from the low half; `sysret` is not used, so the high half stays 0.
    let selectors = u64::from(KERNEL_CODE) << 32;
    const { assert!(KERNEL_DATA == KERNEL_CODE + 8) };
    // SAFETY: all of these exist in long mode. A null SYSENTER_CS makes `sysenter` fault.
    unsafe {
        write_msr(MSR_STAR, selectors);
        write_msr(MSR_LSTAR, syscall_entry);
        write_msr(MSR_CSTAR, syscall_entry);
        write_msr(MSR_SFMASK, SYSCALL_FLAG_MASK);
        write_msr(MSR_SYSENTER_CS, 0);
        write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_SYSCALL);
    }
}

/// An XSAVE area in its initial state: no component present, default control words.
#[repr(C, align(64))]
struct InitialState([u8; 576]);

static INITIAL_STATE: InitialState = {
    let mut area = [0; 576];
    // x87 control word 0x037f and MXCSR 0x1f80: all exceptions masked.
    area[0] = 0x7f;
    area[1] = 0x03;
    area[24] = 0x80;
    area[25] = 0x1f;
    InitialState(area)
};

/// Puts vector, x87 and segment state into its initial state, so that the next action finds nothing
/// of the one before. The kernel itself uses none of it.
pub(super) fn reset_user_state() {
    // SAFETY: the area is aligned and large enough for both forms, and has no component present.
    unsafe { load_user_state((&raw const INITIAL_STATE).cast(), 0, 0) };
}

/// Loads vector and x87 state that [`save_user_state`] saved, and these bases of FS and GS.
pub(super) fn restore_user_state(area: &[u8; PAGE_LEN], fs_base: u64, gs_base: u64) {
    assert!(area.as_ptr().addr().is_multiple_of(STATE_ALIGN), "frames are aligned");
    // SAFETY: the area was written by `save_user_state` on this node, so it is one the processor
    // accepts, and the bases were in the registers.
    unsafe { load_user_state(area.as_ptr(), fs_base, gs_base) };
}

/// Puts vector and x87 state into its initial state, and loads these bases of FS and GS.
pub(super) fn restore_bases(fs_base: u64, gs_base: u64) {
    // SAFETY: as in `reset_user_state`; the bases were in the registers.
    unsafe { load_user_state((&raw const INITIAL_STATE).cast(), fs_base, gs_base) };
}

/// Loads user state: every enabled component that the area does not have becomes initial.
///
/// # Safety
/// The area is 64-byte aligned, as long as the enabled components need, and in the form of `xsave`,
/// or of `fxsave` where there is no XSAVE. The bases are canonical.
unsafe fn load_user_state(area: *const u8, fs_base: u64, gs_base: u64) {
    let state = EXTENDED_STATE.load(Ordering::Relaxed);
    let initial = &raw const INITIAL_STATE;
    // SAFETY: the caller's promise. Ring 0 uses none of these registers, nor DS, ES, FS or GS. Some
    // processors restore the addresses of the last x87 instruction and its operand only with an
    // exception pending (AMD APM vol. 5, FXRSTOR), so an instruction of ours takes their place
    // first.
    unsafe {
        asm!("fnclex", "emms", "fild dword ptr [{}]", in(reg) initial, options(nostack));
        if state == 0 {
            asm!("fxrstor64 [{}]", in(reg) area, options(nostack));
        } else {
            asm!("xrstor64 [{}]", in(reg) area, in("eax") state as u32, in("edx") 0,
                options(nostack));
        }
        asm!(
            "mov ds, {zero:x}", "mov es, {zero:x}", "mov fs, {zero:x}", "mov gs, {zero:x}",
            zero = in(reg) 0_u32, options(nomem, nostack, preserves_flags),
        );
        write_msr(MSR_FS_BASE, fs_base);
        write_msr(MSR_GS_BASE, gs_base);
    }
}

/// Alignment of an area for extended state.
const STATE_ALIGN: usize = 64;

/// Saves vector and x87 state into a zeroed area. Returns whether it is another than the initial
/// one.
pub(super) fn save_user_state(area: &mut [u8; PAGE_LEN]) -> bool {
    assert!(area.as_ptr().addr().is_multiple_of(STATE_ALIGN), "frames are aligned");
    let state = EXTENDED_STATE.load(Ordering::Relaxed);
    let start = area.as_mut_ptr();
    // SAFETY: the area is aligned, and longer than all components (`enable` checks that).
    unsafe {
        if state == 0 {
            asm!("fxsave64 [{}]", in(reg) start, options(nostack, preserves_flags));
        } else {
            asm!("xsave64 [{}]", in(reg) start, in("eax") state as u32, in("edx") 0,
                options(nostack, preserves_flags));
        }
    }
    const MXCSR: core::ops::Range<usize> = 24..28;
    const COMPONENTS: core::ops::Range<usize> = 512..520;
    let has_components = area[COMPONENTS].iter().any(|byte| *byte != 0);
    state == 0 || has_components || area[MXCSR] != INITIAL_STATE.0[MXCSR]
}

/// The bases of FS and GS.
pub(super) fn segment_bases() -> (u64, u64) {
    // SAFETY: both registers exist in long mode.
    unsafe { (read_msr(MSR_FS_BASE), read_msr(MSR_GS_BASE)) }
}

/// Sets the base of FS.
///
/// # Safety
/// `base` is canonical.
pub(super) unsafe fn set_thread_pointer(base: u64) {
    // SAFETY: the register exists, ring 0 does not use FS, and the caller's promise.
    unsafe { write_msr(MSR_FS_BASE, base) };
}

/// Whether ring 3 may read and write the bases of FS and GS.
#[must_use]
pub fn has_fsgsbase() -> bool {
    FSGSBASE.load(Ordering::Relaxed)
}

/// Whether the processor has a random number generator.
#[must_use]
pub fn has_random() -> bool {
    RDRAND.load(Ordering::Relaxed)
}

/// Random 64 bits from the processor, if it has them to give.
#[must_use]
pub fn hardware_random() -> Option<u64> {
    if !has_random() {
        return None;
    }
    // Intel's guide: ten tries, then the generator is broken.
    const TRIES: usize = 10;
    for _ in 0..TRIES {
        let (value, ok): (u64, u8);
        // SAFETY: the instruction exists.
        unsafe { asm!("rdrand {}", "setc {}", out(reg) value, out(reg_byte) ok) };
        if ok != 0 {
            return Some(value);
        }
    }
    None
}
