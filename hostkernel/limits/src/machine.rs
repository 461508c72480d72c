//! Processors, memory, interrupts and what firmware says.

use crate::PAGE_LEN;

/// Processors the node takes over; further ones stay as firmware left them.
pub const CORES_MAX: usize = 256;
/// Kernel stack of a core. The deepest path is a deploy: HTTP, API, JSON, ELF, template.
pub const KERNEL_STACK_LEN: usize = 64 * 1024;
/// Each of the per-core stacks for NMI, double fault, machine check and debug exceptions.
pub const EMERGENCY_STACK_LEN: usize = 2 * PAGE_LEN;
/// Machine check banks of a processor that are looked at: as many as have registers in a row.
pub const MACHINE_CHECK_BANKS_MAX: u64 = 32;
/// How often a core that wakes looks for errors that its hardware corrected.
pub const MACHINE_CHECK_POLL_NS: u64 = 5_000_000_000;
/// How long a core may take to report that it started; then it is stopped for good.
pub const START_TIMEOUT_NS: u64 = 1_000_000_000;
/// Entries of the boot loader's memory map that are looked at; real ones have some hundred.
pub const MEMORY_ENTRIES_MAX: usize = 4096;
/// Ranges of memory that are used; further ones are not, and the log says so.
pub const MEMORY_RANGES_MAX: usize = 256;
/// Bytes of an ACPI table that are looked at. The longest of real boards have some 300 KiB.
pub const ACPI_TABLE_LEN_MAX: usize = 1 << 20;
/// ACPI tables that are looked at.
pub const ACPI_TABLES_MAX: usize = 256;
/// I/O APICs of a machine that are used.
pub const IOAPICS_MAX: usize = 64;
/// Interrupt lines that firmware says are not as usual. The old PC's bus has 16.
pub const LINE_OVERRIDES_MAX: usize = 64;
/// Interrupts of a source that are looked at together, to see whether they are for anything ...
pub const INTERRUPTS_WATCHED: u32 = 1000;
/// ... and how many of them may be for nothing. With more the source is switched off and polled.
pub const INTERRUPTS_UNSERVICED_MAX: u32 = 900;
/// An interrupt for nothing so long after the last is the first of new ones.
pub const INTERRUPT_GAP_NS: u64 = 100_000_000;
/// How long an action that was interrupted goes on at least while the network has more to do.
pub const FRONT_SLICE_MIN_NS: u64 = 50_000;
/// From so much on that the network owes an action which it interrupted, the card is kept quiet.
pub const FRONT_OWED_MIN_NS: u64 = 200_000;
/// The most time that the network owes an action which it interrupted: how long a frame can wait.
pub const FRONT_OWED_MAX_NS: u64 = 20_000_000;
/// How often a network card is polled whose interrupts are switched off.
pub const CARD_POLL_NS: u64 = 1_000_000;
/// How often the power button is polled, likewise.
pub const BUTTON_POLL_NS: u64 = 250_000_000;
/// Modules of the boot loader that are looked at for the machine's description.
pub const BOOT_MODULES_MAX: usize = 16;
/// Devices that the command line may name by `virtio_mmio.device=`.
pub const VIRTIO_WORDS_MAX: usize = 32;
/// With less memory the node does not start.
pub const MEMORY_LEN_MIN: usize = 56 << 20;
/// Frames that move between a core's own list and the shared one at a time.
pub const FRAME_BATCH: usize = 32;
/// Frames a core zeroes in advance while it has nothing to do: what two small instances take.
pub const FRAMES_ZEROED_AHEAD: usize = 16;
/// Frames that a core zeroes between two looks whether it has something better to do.
pub const FRAMES_ZEROED_AT_ONCE: usize = 4;
/// Frames that can rest in one core's lists where no other core can take them.
pub const FRAMES_STRANDED_PER_CORE: usize = 3 * FRAME_BATCH;
/// The heap takes this much ...
pub const HEAP_LEN_BASE: usize = 15 << 20;
/// ... plus this fraction of memory ...
pub const HEAP_MEMORY_DIVISOR: usize = 8;
/// ... up to this much.
pub const HEAP_LEN_MAX: usize = 512 << 20;
/// With less free heap than this a request is refused with 503 before it allocates anything.
pub const HEAP_RESERVE_LEN: usize = 1 << 20;
