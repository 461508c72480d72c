//! Starting the other cores: INIT, then start-up at a page of real-mode code, one core at a time.

use core::arch::global_asm;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering, compiler_fence};

use spin::Once;

use crate::arch::{apic, area, clock, interrupt, mitigation};
use crate::handover::BootInfo;
use crate::platform::starting::{Choice, Role, plan};
use limits::{CORES_MAX, PAGE_LEN, START_TIMEOUT_NS};
use memory::core_area;
use memory::holes;
use memory::physical::{PhysicalAddress, direct_pointer};

/// Offsets in the page the real-mode code is copied to: what the core that starts takes as its
/// descriptor table and jumps to, and three words for it: its number, its root table, its stack.
const GDT_ADDRESS: usize = 10;
const TARGET: usize = 16;
const NUMBER: usize = 24;
pub(super) const ROOT: usize = NUMBER + 8;
pub(super) const STACK: usize = NUMBER + 16;
const GDT: usize = NUMBER + 24;
/// Start-up messages a core gets.
const STARTUPS: u64 = 2;
/// How long it takes to start after INIT, and how long it may take to be stopped by it.
const INIT_US: u64 = 200;
const INIT_US_STOPPED: u64 = 10_000;

global_asm!(
    r#"
    .section .rodata
    .balign 16                          # the offsets below count from here
    .globl application_start_16
application_start_16:
    .code16
    jmp 1f
    .balign 8
    .word 23                            # limit and address of the table below
    .long 0                             # at {gdt_address}
    .balign 8
    .long 0                             # at {target}: where 32-bit code begins, and its segment
    .word 0x08
    .balign 8
    .quad 0, 0, 0                       # at {number}: the core's number, root table, stack
    .quad 0                             # at {gdt}
    .quad 0x00cf9b000000ffff            # flat 32-bit code
    .quad 0x00cf93000000ffff            # flat data
1:  cli
    cld
    mov ax, cs                          # the page we were started at
    mov ds, ax
    movzx esi, ax
    shl esi, 4
    lgdt [{gdt_address} - 2]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    .byte 0x66, 0xff, 0x2e              # far jump with a 32-bit offset, to 32-bit code
    .word {target}
    .code32
    .globl application_protected
application_protected:
    mov ax, 0x10
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov ebp, [esi + {number}]
    mov eax, offset application_start_32
    jmp eax
    .globl application_start_16_end
application_start_16_end:
    .code64
    "#,
    gdt_address = const GDT_ADDRESS,
    target = const TARGET,
    number = const NUMBER,
    gdt = const GDT,
);

unsafe extern "C" {
    static application_start_16: u8;
    static application_protected: u8;
    static application_start_16_end: u8;
}

/// APIC id of each core, by core number.
static APIC_IDS: [AtomicU32; CORES_MAX] = [const { AtomicU32::new(0) }; CORES_MAX];
/// Cores that were taken over, core 0 and parked ones included.
static RUNNING: AtomicUsize = AtomicUsize::new(1);
static NEXT: Once<fn() -> !> = Once::new();
/// The core that may report that it started, by number. Whoever changes this first, that core or
/// the one that gives it up, decides.
static AWAITED: AtomicUsize = AtomicUsize::new(NOBODY);
const NOBODY: usize = usize::MAX;
const REPORTED: usize = usize::MAX - 1;
/// The core that starts next is to wait.
static PARKS: AtomicBool = AtomicBool::new(false);

/// The APIC id of a core that was taken over.
#[must_use]
pub fn apic_id(core: usize) -> u32 {
    APIC_IDS[core].load(Ordering::Relaxed)
}

/// Cores that were taken over, parked ones included.
#[must_use]
pub fn running() -> usize {
    RUNNING.load(Ordering::Acquire)
}

/// Takes over every processor of the list but the calling one: up to `cores_max` cores work in all;
/// of the threads of one physical core only the first, unless `hyperthreads`; the others are
/// parked. On its own tables each goes on with `next`, which [reports](report). Core 0, once.
/// Returns the number of cores that work.
pub fn start_others(
    info: &BootInfo,
    processors: &[u32],
    cores_max: usize,
    hyperthreads: bool,
    next: fn() -> !,
) -> usize {
    NEXT.call_once(|| next);
    let own = apic::id();
    APIC_IDS[0].store(own, Ordering::Relaxed);
    let map = info.memory.ranges().iter().map(|range| (*range, true));
    let module = info.module.map(|module| (module, false));
    let Some(page) = holes::start_page(map.chain(module)) else {
        log::warn!("no free memory below 640 KiB to start other cores from: one core is used");
        return 1;
    };
    // SAFETY: the page is ordinary memory, and the frame pool has none below 1 MiB. What the boot
    // loader left there besides the module was copied.
    let start = unsafe { StartPage::prepare(page) };
    let thread_bits = mitigation::thread_bits();
    let id_max = apic::id_max();
    let choice = Choice { own, id_max, thread_bits, cores_max, hyperthreads };
    let (mut working, mut parked) = (1, 0);
    for (processor, role) in plan(processors, choice) {
        let number = working + parked;
        APIC_IDS[number].store(processor, Ordering::Relaxed);
        PARKS.store(role == Role::Parked, Ordering::Relaxed);
        if !start_one(processor, number, &start) {
            log::warn!("processor with APIC id {processor} did not start, and was stopped");
            continue;
        }
        RUNNING.store(number + 1, Ordering::Release);
        match role {
            Role::Works => working += 1,
            Role::Parked => parked += 1,
        }
    }
    if parked > 0 {
        log::info!("parked: {parked} threads or cores, so that tenants share none");
    }
    working
}

/// The page with the code at which other cores begin.
struct StartPage {
    page: u8,
    copy: *mut u8,
}

impl StartPage {
    /// Copies the code there, and tells it where it is.
    ///
    /// # Safety
    /// It is a page of ordinary memory that nobody uses.
    unsafe fn prepare(page: u8) -> Self {
        let address = u32::from(page) * PAGE_LEN as u32;
        let start = &raw const application_start_16;
        let offset_of = |end: *const u8| end.addr() - start.addr();
        let len = offset_of(&raw const application_start_16_end);
        let target = address + offset_of(&raw const application_protected) as u32;
        // The direct map shows all ordinary memory, writable.
        let copy = direct_pointer(PhysicalAddress(u64::from(address)));
        // SAFETY: the caller gives the page, and the code fits.
        unsafe { copy.copy_from_nonoverlapping(start, len) };
        let this = Self { page, copy };
        this.write(GDT_ADDRESS, address + GDT as u32);
        this.write(TARGET, target);
        this
    }

    /// Writes a word for the core that starts next.
    fn write<T>(&self, offset: usize, word: T) {
        assert!(offset < GDT, "words for a core lie in front of its code");
        // SAFETY: the page is ours, and only the core started next reads it.
        unsafe { self.copy.wrapping_add(offset).cast::<T>().write_unaligned(word) };
    }
}

fn start_one(processor: u32, number: usize, start: &StartPage) -> bool {
    let Ok(tables) = area::new_core(number) else { return false };
    start.write(NUMBER, number as u64);
    start.write(ROOT, tables.root());
    start.write(STACK, core_area::KERNEL_STACK_END);
    // The core sees all of it before it begins.
    compiler_fence(Ordering::SeqCst);
    // Intel SDM vol. 3A, 9.4.4: INIT, 10 ms, start-up, 200 us, start-up. Processors of this century
    // need neither the long wait nor the second try, but are not harmed by a short one.
    AWAITED.store(number, Ordering::Release);
    apic::send_init(processor);
    clock::spin_us(INIT_US);
    for _ in 0..STARTUPS {
        apic::send_startup(processor, start.page);
        let give_up = clock::now_ns() + START_TIMEOUT_NS / STARTUPS;
        while clock::now_ns() < give_up {
            if AWAITED.load(Ordering::Acquire) == REPORTED {
                return true;
            }
            core::hint::spin_loop();
        }
    }
    let given_up =
        AWAITED.compare_exchange(number, NOBODY, Ordering::AcqRel, Ordering::Acquire).is_ok();
    if given_up {
        // Wherever it is, it gets no further: not to the next one's number, root and stack. Its own
        // are never used again.
        apic::send_init(processor);
        clock::spin_us(INIT_US_STOPPED);
    }
    !given_up
}

/// The calling core, a further one, is up. Does not return if it was given up before. Returns what
/// it is for.
pub fn report() -> Role {
    let number = core_area::core_id();
    let role = if PARKS.load(Ordering::Relaxed) { Role::Parked } else { Role::Works };
    if AWAITED.compare_exchange(number, REPORTED, Ordering::AcqRel, Ordering::Acquire).is_err() {
        interrupt::halt_forever();
    }
    role
}

/// A further core's first Rust code, on its own tables and stack.
pub(super) extern "C" fn application_start(number: u64) -> ! {
    assert!(core_area::core_id() == number as usize, "a core runs on its own tables");
    let next = NEXT.get().expect("core 0 sets this before it starts another core");
    next()
}
