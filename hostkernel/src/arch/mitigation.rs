//! Does what [`node::mitigation`] decided: reads the processor's words, switches on what is
//! switched on once, and stands guard on the way in and on the way out.
//!
//! The decisions, and the page about what is cleared when, are there; this has the instructions.
//!
//! ```text
//! ring 3 ──▶ trap.rs ── guard_entry ──▶ cr3 of the kernel ──▶ Rust … run() ── way_out()
//!    ▲                  history, IBPB,                                        IBPB, return stack,
//!    │                  return stack                                          divider
//!    └── iretq ◀── verw ◀── registers ◀── cr3 of the action ◀── user.rs ──────────┘
//! ```
//!
//! The guard on the way in is on the action's own tables, and in front of the write to CR3. That
//! waits for everything before it, so a processor that guesses wrongly whether there is a guard
//! does not get beyond. `iretq` does the same for `verw`.

use core::arch::{asm, global_asm};
use core::mem::offset_of;
use core::sync::atomic::{AtomicU8, Ordering};

use super::area::{self, EntryArea, Guard};
use super::cpu::{read_msr, write_msr};
use super::cpuid;
use super::segments::KERNEL_DATA;
use memory::core_area::ENTRY_AREA;
use node::mitigation::{Entry, Plan, Since, Threads, Vendor, WayOut, Words};

const MSR_TEST_CONTROL: u32 = 0x33;
const MSR_SPEC_CTRL: u32 = 0x48;
const MSR_PRED_CMD: u32 = 0x49;
const MSR_PATCH_LEVEL: u32 = 0x8b;
const MSR_CORE_CAPABILITIES: u32 = 0xcf;
const MSR_ARCH_CAPABILITIES: u32 = 0x10a;
const MSR_TSX_CTRL: u32 = 0x122;
const MSR_MCU_OPT_CTRL: u32 = 0x123;
const MSR_EFER: u32 = 0xc000_0080;
const MSR_DE_CFG: u32 = 0xc001_1029;
const PRED_CMD_IBPB: u64 = 1 << 0;
/// Transactions abort at once, and CPUID does not offer them.
const TSX_OFF: u64 = 1 << 0 | 1 << 1;
const EFER_AUTOMATIC_IBRS: u64 = 1 << 21;
const CORE_CAPABILITY_SPLIT_LOCK: u64 = 1 << 5;
const TEST_CONTROL_SPLIT_LOCK: u64 = 1 << 29;

/// Address of [`Guard::on_entry`].
pub(super) const ON_ENTRY: i64 =
    ENTRY_AREA.cast_signed() + (offset_of!(EntryArea, guard) + offset_of!(Guard, on_entry)) as i64;

/// Puts harmless addresses in place of all that the return stack holds. No processor has more than
/// 32; what follows each call is where a return to it would go, and is not executed.
macro_rules! refill_return_stack {
    () => {
        ".rept 32\ncall 77f\nint3\n77:\n.endr\nadd rsp, 32 * 8"
    };
}

// Filling the history: `outer` times `inner` taken jumps, and a call and its return, are 96 taken
// branches and more than any processor remembers that has no control for it (Skylake 93, Ice Lake
// fewer). Intel's "Branch History Injection", software sequences, for processors before Alder Lake.
global_asm!(
    r#"
    .section .entry, "ax"
    .globl guard_entry
guard_entry:
    test byte ptr [{on_entry}], {barrier}
    jz 2f
    mov ecx, {pred_cmd}
    mov eax, {ibpb}
    xor edx, edx
    wrmsr
    "#,
    refill_return_stack!(),
    r#"
    jmp guarded
2:  mov ecx, {outer}
3:  mov eax, {inner}
4:  jmp 5f
    int3
5:  sub eax, 1
    jnz 4b
    call 6f
    sub ecx, 1
    jnz 3b
    jmp guarded
6:  ret
    int3
    "#,
    on_entry = const ON_ENTRY,
    barrier = const Guard::BARRIER,
    pred_cmd = const MSR_PRED_CMD,
    ibpb = const PRED_CMD_IBPB,
    outer = const 8,
    inner = const 5,
);

/// What [`way_out`] has to clear, as bits of [`WayOut`]. The same on every core.
static WAY_OUT: AtomicU8 = AtomicU8::new(0);

/// What the processor says of itself.
#[must_use]
pub fn words() -> Words {
    let (vendor, basic) = (cpuid::features(0, 0), cpuid::features(1, 0));
    let leaf_7 = cpuid::features(7, 0);
    let part_2 = if leaf_7.eax >= 2 { cpuid::features(7, 2).edx } else { 0 };
    let amd_21 = cpuid::features(0x8000_0021, 0);
    let mut words = Words {
        vendor: [vendor.ebx, vendor.edx, vendor.ecx],
        signature: basic.eax,
        basic_ecx: basic.ecx,
        structured_ebx: leaf_7.ebx,
        structured_edx: leaf_7.edx,
        structured_2_edx: part_2,
        amd_8_ebx: cpuid::features(0x8000_0008, 0).ebx,
        amd_21_eax: amd_21.eax,
        amd_21_ecx: amd_21.ecx,
        capabilities: 0,
        microcode: 0,
    };
    if leaf_7.edx & 1 << 29 != 0 {
        // SAFETY: the processor says that it has this register.
        words.capabilities = unsafe { read_msr(MSR_ARCH_CAPABILITIES) };
    }
    if words.vendor() == Vendor::Amd && !words.is_virtual() {
        // SAFETY: every AMD processor with a 64-bit mode has this register.
        words.microcode = unsafe { read_msr(MSR_PATCH_LEVEL) } as u32;
    }
    words
}

/// Who shares a physical core, if the operator lets threads be used.
#[must_use]
pub fn threads(are_used: bool) -> Threads {
    match (thread_bits(), are_used) {
        (0, _) => Threads::One,
        (_, false) => Threads::Parked,
        (_, true) => Threads::Shared,
    }
}

/// Switches on what is switched on once, on the calling core. `plan` was made from this processor's
/// words: it names no register that they do not.
pub fn enable(plan: &Plan) {
    // SAFETY: the plan has a register's bits only if CPUID, the capabilities or, on a bare
    // processor, its family say that the register and the bits exist. They affect predictions,
    // transactions, and how far `lfence` waits, none of which the kernel's code depends on. The
    // guard is this core's own, read by the entry code only, which no action is under way to reach;
    // the selector is one that may be written.
    unsafe {
        if plan.spec_ctrl != 0 {
            write_msr(MSR_SPEC_CTRL, plan.spec_ctrl);
        }
        if plan.has_automatic_ibrs {
            write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_AUTOMATIC_IBRS);
        }
        if plan.has_tsx_off {
            write_msr(MSR_TSX_CTRL, read_msr(MSR_TSX_CTRL) | TSX_OFF);
        }
        if plan.mcu_opt_clear != 0 {
            write_msr(MSR_MCU_OPT_CTRL, read_msr(MSR_MCU_OPT_CTRL) & !plan.mcu_opt_clear);
        }
        if plan.de_cfg_set != 0 {
            write_msr(MSR_DE_CFG, read_msr(MSR_DE_CFG) | plan.de_cfg_set);
        }
        (*area::entry_area()).guard = Guard {
            on_entry: match plan.entry {
                Entry::Nothing => 0,
                Entry::FillHistory => Guard::FILL_HISTORY,
                Entry::Barrier => Guard::BARRIER,
            },
            clears_buffers: 0,
            selector: KERNEL_DATA,
        };
    }
    WAY_OUT.store(plan.way_out.bits(), Ordering::Relaxed);
}

/// Lets a locked access across two cache lines, which stops all cores, end the action that makes
/// it. No leak, and not up to the operator.
pub(super) fn enable_split_lock_detection() {
    if cpuid::features(7, 0).edx & 1 << 30 == 0 {
        return;
    }
    // SAFETY: the processor has the registers, and the bit where the first says so. The kernel's
    // atomics are aligned.
    unsafe {
        if read_msr(MSR_CORE_CAPABILITIES) & CORE_CAPABILITY_SPLIT_LOCK != 0 {
            write_msr(MSR_TEST_CONTROL, read_msr(MSR_TEST_CONTROL) | TEST_CONTROL_SPLIT_LOCK);
        }
    }
}

/// Clears what must be cleared before ring 3 is entered, or has the entry code do it.
pub(super) fn way_out(since: Since) {
    let here = WayOut::from_bits(WAY_OUT.load(Ordering::Relaxed));
    if !here.is_nothing() {
        clear(here.after(since));
    }
    #[cfg(feature = "selftest")]
    taken::note(since, here.after(since));
}

#[cold]
fn clear(what: WayOut) {
    if what.has(WayOut::PREDICTIONS) {
        // SAFETY: the processor has the register; the write and the calls affect predictions only.
        // The calls use 256 bytes of this stack, which has them, and give them back.
        unsafe {
            write_msr(MSR_PRED_CMD, PRED_CMD_IBPB);
            asm!(refill_return_stack!());
        }
    }
    if what.has(WayOut::DIVIDER) {
        // SAFETY: 0 divided by 1.
        unsafe { asm!("div {0:e}", in(reg) 1, inout("eax") 0 => _, inout("edx") 0 => _) };
    }
    // SAFETY: the guard is this core's own; the entry code reads it, after this.
    unsafe {
        (*area::entry_area()).guard.clears_buffers = u8::from(what.has(WayOut::BUFFERS));
    }
}

/// How far to shift an APIC id to get the number of its physical core: its low bits name the
/// threads of one core. 0 if the processor does not say, which means one thread per core.
#[must_use]
pub fn thread_bits() -> u32 {
    const LEVEL_THREAD: u32 = 1;
    for leaf in [0x1f, 0xb] {
        let topology = cpuid::features(leaf, 0);
        if topology.ebx != 0 && topology.ecx >> 8 & 0xff == LEVEL_THREAD {
            return topology.eax & 0x1f;
        }
    }
    0
}

/// Which ways out were taken, for the in-kernel tests.
#[cfg(feature = "selftest")]
pub mod taken {
    use core::sync::atomic::{AtomicUsize, Ordering};

    use node::mitigation::{Since, WayOut};

    static WAYS: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];
    static CLEARED: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];

    pub(super) fn note(since: Since, cleared: WayOut) {
        WAYS[since as usize].fetch_add(1, Ordering::Relaxed);
        for (count, what) in
            CLEARED.iter().zip([WayOut::BUFFERS, WayOut::PREDICTIONS, WayOut::DIVIDER])
        {
            count.fetch_add(usize::from(cleared.has(what)), Ordering::Relaxed);
        }
    }

    /// Since the last call: ways out by [`Since`]; and on how many buffers, predictions and the
    /// divider were cleared.
    pub fn take() -> ([usize; 3], [usize; 3]) {
        let take = |counts: &[AtomicUsize; 3]| {
            counts.each_ref().map(|count| count.swap(0, Ordering::Relaxed))
        };
        (take(&WAYS), take(&CLEARED))
    }
}
