//! Ring 3 as a function call: [`enter`] runs an action until it needs the kernel and says why.

use core::arch::naked_asm;
use core::mem::offset_of;

use super::area::{self, EntryArea, Guard};
use super::cpu;
use super::mitigation;
use super::registers::Registers;
use super::segments::{USER_CODE, USER_DATA};
use super::trap::{self, VECTOR_SYSCALL, pop_registers};
use memory::Access;
use memory::AddressSpace;
use memory::core_area;
use memory::space::USER_END;
use node::mitigation::Since;

/// Why an action stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It made a call: number and arguments.
    Call {
        /// Number of the call.
        number: u64,
        /// Its arguments.
        arguments: [u64; 3],
    },
    /// It touched memory that is not mapped, or not so.
    PageFault {
        /// The address.
        address: u64,
        /// What it tried.
        access: Access,
    },
    /// It raised another exception.
    Exception {
        /// The vector.
        vector: u8,
    },
    /// A device or another core interrupted it; it can go on.
    Interrupt,
}

/// The state of an action between two entries into ring 3.
///
/// There is one per core, in the entry area; holding this value is holding that area. It is created
/// for one invocation and must not outlive it.
#[derive(Debug)]
pub struct UserContext {
    // Not `Send`: the registers are this core's.
    _core_bound: core::marker::PhantomData<*mut ()>,
}

impl UserContext {
    /// Prepares the calling core for an action that starts at `entry`: all registers defined,
    /// vector and segment state as after reset, nothing left of whoever ran before.
    #[must_use]
    pub fn new(entry: u64, stack_pointer: u64, argument: u64) -> Self {
        let registers = Registers {
            rip: entry,
            rsp: stack_pointer,
            rdi: argument,
            cs: u64::from(USER_CODE),
            ss: u64::from(USER_DATA),
            rflags: RFLAGS_START,
            ..Registers::default()
        };
        cpu::reset_user_state();
        let mut context = Self { _core_bound: core::marker::PhantomData };
        *context.registers_mut() = registers;
        context
    }

    fn registers(&self) -> &Registers {
        // SAFETY: the area belongs to this core, and the entry code writes it only inside `enter`.
        unsafe { &(*area::entry_area()).registers }
    }

    fn registers_mut(&mut self) -> &mut Registers {
        // SAFETY: as above.
        unsafe { &mut (*area::entry_area()).registers }
    }

    /// Address of the next instruction.
    #[must_use]
    pub fn instruction(&self) -> u64 {
        self.registers().rip
    }

    /// Sets the result of the call that [`Stop::Call`] reported.
    pub fn set_result(&mut self, value: u64) {
        self.registers_mut().rax = value;
    }

    /// Runs the action in `space` until it stops. Interrupts are on while it runs, and only then.
    /// What ran on this core since ring 3 did decides what is cleared first.
    pub fn run(&mut self, space: &mut AddressSpace, since: Since) -> Stop {
        // The last user page is never mapped, so no instruction leaves rip past it; but `iretq` to
        // a non-canonical address would fault in ring 0, so this is not left to an argument.
        if self.registers().rip >= USER_END {
            return Stop::Exception { vector: 13 };
        }
        let (root, is_stale) = (space.root(), space.take_stale());
        // SAFETY: the field belongs to this core and is read by `enter` only.
        let last = unsafe { &mut (*area::entry_area()).action_root };
        *last = cpu::action_root(root, !is_stale && cpu::is_same_root(*last, root));
        mitigation::way_out(since);
        // SAFETY: the tables behind `space` map this core's entry code and area (the worker sets
        // that), and the registers describe ring 3: their selectors and flags were set in `new` and
        // since then written by the processor alone.
        unsafe { enter() };
        self.stop()
    }

    fn stop(&self) -> Stop {
        let registers = self.registers();
        match registers.vector {
            VECTOR_SYSCALL => Stop::Call {
                number: registers.rax,
                arguments: [registers.rdi, registers.rsi, registers.rdx],
            },
            14 => Stop::PageFault {
                address: trap::fault_address(),
                access: match registers.error {
                    error if error & PAGE_FAULT_FETCH != 0 => Access::Execute,
                    error if error & PAGE_FAULT_WRITE != 0 => Access::Write,
                    _ => Access::Read,
                },
            },
            2 if trap::is_survived(registers) => Stop::Interrupt,
            2 | 8 | 18 => trap::machine(registers),
            vector @ 0..32 => Stop::Exception { vector: vector as u8 },
            vector => {
                super::interrupt::arrived(vector as u8);
                Stop::Interrupt
            }
        }
    }
}

const RFLAGS_START: u64 = 1 << 9 | 1 << 1;
const PAGE_FAULT_WRITE: u64 = 1 << 1;
const PAGE_FAULT_FETCH: u64 = 1 << 4;

/// Enters ring 3 with the registers of the entry area; returns when the entry code comes back.
///
/// # Safety
/// `action_root` in the entry area is a table that maps this core's entry code and entry area as
/// the kernel's does, and the registers there are those of ring 3.
#[unsafe(naked)]
#[unsafe(link_section = ".entry")]
unsafe extern "C" fn enter() {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [{kernel_stack}], rsp",
        "mov rax, [{action_root}]",
        "mov rsp, {registers}",
        "mov cr3, rax",
        pop_registers!(),
        "add rsp, 16",
        "cmp byte ptr [{clears_buffers}], 0",
        "je 2f",
        "verw word ptr [{selector}]",
        "2:",
        "iretq",
        kernel_stack = const REGISTERS + offset_of!(EntryArea, kernel_stack) as i64,
        action_root = const REGISTERS + offset_of!(EntryArea, action_root) as i64,
        registers = const REGISTERS,
        clears_buffers = const GUARD + offset_of!(Guard, clears_buffers) as i64,
        selector = const GUARD + offset_of!(Guard, selector) as i64,
    )
}

const REGISTERS: i64 = core_area::ENTRY_AREA.cast_signed();
const GUARD: i64 = REGISTERS + offset_of!(EntryArea, guard) as i64;

const _: () = assert!(offset_of!(EntryArea, registers) == 0);
