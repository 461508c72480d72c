//! Ring 3 as a function call: [`enter`] runs an action until it needs the kernel and says why.

use core::arch::naked_asm;
use core::mem::offset_of;

use super::area::{self, EntryArea, Guard};
use super::cpu;
use super::mitigation;
use super::registers::Registers;
use super::segments::{USER_CODE, USER_DATA};
use super::trap::{self, VECTOR_SYSCALL, pop_registers};
use action_abi::Range;
use action_abi::host::{Moment, Reflection, UPCALL_ALARM, UpcallFrame};
use memory::core_area;
use memory::space::USER_END;
use memory::{Access, AddressSpace, Frame, OutOfFrames, Processor};
use node::mitigation::Since;

/// Why an action stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It made a call: number and arguments.
    Call {
        /// Number of the call.
        number: u64,
        /// Its arguments.
        arguments: [u64; 4],
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
        context.reflect(&Reflection::default());
        context
    }

    /// Prepares the calling core for an instance that goes on where one was frozen, with this
    /// result of the call by which it was.
    #[must_use]
    pub fn resume(processor: &Processor, result: u64) -> Self {
        let mut context = Self { _core_bound: core::marker::PhantomData };
        let words = &processor.words;
        let registers = context.registers_mut();
        let mut general = general_registers(registers);
        general.iter_mut().zip(words).for_each(|(register, word)| **register = *word);
        registers.rax = result;
        registers.cs = u64::from(USER_CODE);
        registers.ss = u64::from(USER_DATA);
        registers.rflags = registers.rflags & RFLAGS_OF_RING_3 | RFLAGS_START;
        let (fs_base, gs_base) = (words[FS_BASE], words[GS_BASE]);
        match &processor.extended {
            Some(area) => cpu::restore_user_state(area.bytes(), fs_base, gs_base),
            None => cpu::restore_bases(fs_base, gs_base),
        }
        context.reflect(&reflection_of(processor));
        context
    }

    /// What the processor holds of the action, for [`Self::resume`]; `written` is kept with it.
    ///
    /// # Errors
    /// [`OutOfFrames`] if there is none for extended state.
    pub fn freeze(
        &mut self,
        reflection: &Reflection,
        written: u64,
        at: Moment,
    ) -> Result<Processor, OutOfFrames> {
        let mut words = [0; Processor::WORDS];
        let general = general_registers(self.registers_mut());
        words.iter_mut().zip(general).for_each(|(word, register)| *word = *register);
        (words[FS_BASE], words[GS_BASE]) = cpu::segment_bases();
        let Reflection { code, syscall_handler, exception_handler, exceptions, frame } =
            *reflection;
        words[REFLECTION..WRITTEN].copy_from_slice(&[
            code.address,
            code.len,
            syscall_handler,
            exception_handler,
            exceptions,
            frame,
        ]);
        words[WRITTEN] = written;
        let mut area = Frame::allocate()?;
        let is_needed = cpu::save_user_state(area.bytes_mut());
        Ok(Processor { words, extended: is_needed.then_some(area), at })
    }

    /// Sends calls of other code than this to its handler from now on.
    ///
    /// # Panics
    /// If the handler is no address of ring 3: `iretq` would fault in ring 0.
    pub fn reflect(&mut self, reflection: &Reflection) {
        let Reflection { code, syscall_handler, .. } = *reflection;
        let (code_start, code_end) = match code.len {
            0 => (0, u64::MAX),
            len => (code.address, code.address.saturating_add(len)),
        };
        assert!(syscall_handler < USER_END, "handlers are in ring 3");
        // SAFETY: the area belongs to this core, and the entry code reads it in ring 0 only.
        let entry = unsafe { &mut (*area::entry_area()).reflection };
        entry.code_start = code_start;
        entry.code_end = code_end;
        if code.len > 0 {
            entry.rip = syscall_handler;
            entry.cs = u64::from(USER_CODE);
            entry.rflags = RFLAGS_START;
            entry.ss = u64::from(USER_DATA);
        }
    }

    /// The frame that tells an exception handler what happened.
    #[must_use]
    pub fn upcall_frame(&self, vector: u64, address: u64) -> UpcallFrame {
        let Registers { error, rax, rcx, rip, cs, rflags, rsp, ss, .. } = *self.registers();
        let error = if vector == UPCALL_ALARM { 0 } else { error };
        UpcallFrame {
            vector,
            error,
            address,
            rax,
            rcx,
            rip,
            cs,
            rflags,
            rsp,
            ss,
            ..UpcallFrame::default()
        }
    }

    /// Goes on at a handler instead, which finds the frame's address in `rax`.
    ///
    /// # Panics
    /// If the handler is no address of ring 3.
    pub fn enter_handler(&mut self, handler: u64, frame: u64) {
        assert!(handler < USER_END, "handlers are in ring 3");
        let registers = self.registers_mut();
        registers.rip = handler;
        registers.rax = frame;
        registers.rflags = RFLAGS_START;
    }

    /// Sets the base of FS.
    ///
    /// # Panics
    /// If it is no address of ring 3.
    pub fn set_thread_pointer(&mut self, base: u64) {
        assert!(base < USER_END, "what is not canonical would fault in ring 0");
        // SAFETY: it is canonical.
        unsafe { cpu::set_thread_pointer(base) };
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
                arguments: [registers.rdi, registers.rsi, registers.rdx, registers.r10],
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
/// What ring 3 can set itself: the arithmetic flags, TF, DF, AC, ID.
const RFLAGS_OF_RING_3: u64 = 0xcd5 | 1 << 8 | 1 << 18 | 1 << 21;
/// Places in [`Processor::words`]: 16 general registers, rip and flags come first.
const FS_BASE: usize = GENERAL;
const GS_BASE: usize = FS_BASE + 1;
const REFLECTION: usize = GS_BASE + 1;
const WRITTEN: usize = REFLECTION + size_of::<Reflection>() / 8;
const GENERAL: usize = 18;
const _: () = assert!(WRITTEN < Processor::WORDS);

/// The registers that a frozen instance keeps, in the order of [`Processor::words`].
fn general_registers(registers: &mut Registers) -> [&mut u64; GENERAL] {
    let Registers { r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, .. } = registers;
    let Registers { rax, rcx, rdx, rsi, rdi, rip, rflags, rsp, .. } = registers;
    [r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, rip, rflags, rsp]
}

/// The reflection that a frozen instance had declared.
#[must_use]
pub fn reflection_of(processor: &Processor) -> Reflection {
    let [address, len, syscall_handler, exception_handler, exceptions, frame] =
        core::array::from_fn(|index| processor.words[REFLECTION + index]);
    let code = Range { address, len };
    Reflection { code, syscall_handler, exception_handler, exceptions, frame }
}

/// How much of its result a frozen instance had written.
#[must_use]
pub fn written_of(processor: &Processor) -> u64 {
    processor.words[WRITTEN]
}

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
