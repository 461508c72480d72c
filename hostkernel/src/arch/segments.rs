//! Segments, and what the processor reads of tasks and gates (Intel SDM vol. 3A, chapters 3, 6, 7).

/// Kernel code segment.
pub const KERNEL_CODE: u16 = 0x08;
/// Kernel data segment.
pub const KERNEL_DATA: u16 = 0x10;
/// Data segment of actions, with requested privilege level 3.
pub const USER_DATA: u16 = 0x18 | 3;
/// Code segment of actions. There is no 32-bit one: a far jump to it is a general protection fault.
pub const USER_CODE: u16 = 0x20 | 3;
/// Entries of the GDT: null, four segments, and the task state in two.
pub const GDT_LEN: usize = 7;

/// 64-bit task state segment: which stacks the processor switches to.
#[repr(C, packed(4))]
pub struct TaskState {
    reserved: u32,
    privilege_stacks: [u64; 3],
    reserved_2: u64,
    interrupt_stacks: [u64; 7],
    reserved_3: u64,
    reserved_4: u16,
    // Past the segment's limit: no I/O permission bitmap, so ring 3 may use no port.
    io_map_base: u16,
}

impl TaskState {
    /// Stacks for entries from ring 3, and for emergencies; no port is for ring 3.
    pub fn new(privilege_0: u64, emergencies: [u64; 4]) -> Self {
        let [nmi, double_fault, machine_check, debug] = emergencies;
        Self {
            reserved: 0,
            privilege_stacks: [privilege_0, 0, 0],
            reserved_2: 0,
            interrupt_stacks: [nmi, double_fault, machine_check, debug, 0, 0, 0],
            reserved_3: 0,
            reserved_4: 0,
            io_map_base: size_of::<Self>() as u16,
        }
    }
}

/// A 64-bit interrupt gate.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Gate {
    low: u64,
    high: u64,
}

/// The interrupt descriptor table.
#[repr(C, align(4096))]
pub struct Idt([Gate; 256]);

impl Idt {
    /// A table with a gate for each vector.
    pub fn new(gate: impl Fn(usize) -> Gate) -> Self {
        Self(core::array::from_fn(gate))
    }
}

impl Gate {
    /// A gate to a handler, on an interrupt stack (0: none), for `int` from this privilege level.
    pub fn new(handler: u64, stack: u8, privilege: u64) -> Self {
        const INTERRUPT_GATE: u64 = 0x8e00;
        let kind = INTERRUPT_GATE | privilege << 13 | u64::from(stack);
        let low = (handler & 0xffff)
            | u64::from(KERNEL_CODE) << 16
            | kind << 32
            | (handler >> 16 & 0xffff) << 48;
        Self { low, high: handler >> 32 }
    }
}
