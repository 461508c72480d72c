//! Starting the other cores: INIT, then start-up at a page of real-mode code, one core at a time.

use core::arch::global_asm;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::arch::{apic, area, clock, mitigation};
use crate::config::CORES_MAX;
use crate::memory::kernel_map;
use crate::memory::physical::{PhysicalAddress, direct_pointer};

/// Physical page the real-mode code is copied to: low memory, which the frame pool never uses.
const START_PAGE: u8 = 8;
const START_ADDRESS: u64 = START_PAGE as u64 * 4096;
/// Offset in that page of three words: number of the core that starts, its root table, its stack.
const NUMBER_OFFSET: usize = 16;
/// Physical address of the word with the root table of the core that starts.
pub(super) const START_ROOT: u64 = START_ADDRESS + NUMBER_OFFSET as u64 + 8;
/// Physical address of the word with its stack.
pub(super) const START_STACK: u64 = START_ADDRESS + NUMBER_OFFSET as u64 + 16;
/// How long a core may take to report; then it is given up.
const START_TIMEOUT_NS: u64 = 1_000_000_000;

global_asm!(
    r#"
    .section .rodata
    .balign 16                          # the offsets below count from here
    .globl application_start_16
application_start_16:
    .code16
    jmp 1f
    .balign 8
    .word 23                            # at {gdt_pointer}: limit and address of the table below
    .long {page} * 4096 + {gdt}
    .balign 8
    .quad 0, 0, 0                       # at {number}: the core's number, root table, stack
    .quad 0                             # at {gdt}
    .quad 0x00cf9b000000ffff            # flat 32-bit code
    .quad 0x00cf93000000ffff            # flat data
1:  cli
    cld
    mov ax, cs                          # the page we were started at
    mov ds, ax
    lgdt [{gdt_pointer}]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    .byte 0x66, 0xea                    # far jump with a 32-bit offset, to 32-bit code
    .long {page} * 4096 + (application_protected - application_start_16)
    .word 0x08
    .code32
application_protected:
    mov ax, 0x10
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov ebp, [{page} * 4096 + {number}]
    mov eax, offset application_start_32
    jmp eax
    .globl application_start_16_end
application_start_16_end:
    .code64
    "#,
    page = const START_PAGE,
    gdt_pointer = const 8,
    number = const NUMBER_OFFSET,
    gdt = const NUMBER_OFFSET + 24,
);

unsafe extern "C" {
    static application_start_16: u8;
    static application_start_16_end: u8;
}

/// APIC id of each core, by core number.
static APIC_IDS: [AtomicU32; CORES_MAX] = [const { AtomicU32::new(0) }; CORES_MAX];
/// Cores that run, core 0 included.
static RUNNING: AtomicUsize = AtomicUsize::new(1);

/// The APIC id of a running core.
#[must_use]
pub fn apic_id(core: usize) -> u32 {
    APIC_IDS[core].load(Ordering::Relaxed)
}

/// Cores that run.
#[must_use]
pub fn running() -> usize {
    RUNNING.load(Ordering::Acquire)
}

/// Starts every processor of the list but the calling one, up to `cores_max` cores in all; of the
/// threads of one physical core only the first, unless `hyperthreads`. Core 0, once. Returns the
/// number of cores that run.
pub fn start_others(processors: &[u32], cores_max: usize, hyperthreads: bool) -> usize {
    let own = apic::id();
    APIC_IDS[0].store(own, Ordering::Relaxed);
    let start = &raw const application_start_16;
    let len = (&raw const application_start_16_end).addr() - start.addr();
    // Ordinary memory: the direct map shows it already, writable.
    let copy = direct_pointer(PhysicalAddress(START_ADDRESS));
    // SAFETY: the page is in low memory, which nothing else uses, and the code fits.
    unsafe { copy.copy_from_nonoverlapping(start, len) };
    let words = copy.wrapping_add(NUMBER_OFFSET).cast::<u64>();
    let thread_bits = mitigation::thread_bits();
    let (mut count, mut siblings) = (1, 0);
    for &processor in processors.iter().filter(|id| **id != own) {
        if count == cores_max.min(CORES_MAX) {
            break;
        }
        let same_core = |core: usize| apic_id(core) >> thread_bits == processor >> thread_bits;
        if !hyperthreads && thread_bits > 0 && (0..count).any(same_core) {
            siblings += 1;
            continue;
        }
        APIC_IDS[count].store(processor, Ordering::Relaxed);
        if start_one(processor, count, words) {
            count += 1;
        } else {
            log::warn!("processor with APIC id {processor} did not start");
        }
    }
    if siblings > 0 {
        log::info!("hyperthreads: {siblings} left unused, so that tenants share no core");
    }
    count
}

fn start_one(processor: u32, number: usize, words: *mut u64) -> bool {
    let Ok(tables) = kernel_map::new_core(number) else { return false };
    // SAFETY: the words lie inside the copied page, which only the core started next reads.
    unsafe {
        words.write_volatile(number as u64);
        words.add(1).write_volatile(tables.root());
        words.add(2).write_volatile(area::KERNEL_STACK_END);
    }
    // Intel SDM vol. 3A, 9.4.4: INIT, 10 ms, start-up, 200 us, start-up. Processors of this century
    // need neither the long wait nor the second try, but are not harmed by a short one.
    apic::send_init(processor);
    clock::spin_us(200);
    for _ in 0..2 {
        apic::send_startup(processor, START_PAGE);
        let give_up = clock::now_ns() + START_TIMEOUT_NS / 2;
        while clock::now_ns() < give_up {
            if RUNNING.load(Ordering::Acquire) > number {
                return true;
            }
            core::hint::spin_loop();
        }
    }
    false
}

/// A further core's first Rust code, on its own tables and stack.
pub(super) extern "C" fn application_start(number: u64) -> ! {
    assert!(crate::arch::core_id() == number as usize, "a core runs on its own tables");
    crate::init::start_core(|| RUNNING.store(number as usize + 1, Ordering::Release))
}
