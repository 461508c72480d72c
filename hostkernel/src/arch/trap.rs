//! Every way into the kernel: exceptions, interrupts and `syscall`.
//!
//! From ring 3 the processor pushes straight into the entry area's [`Registers`]; the code below
//! adds the rest, switches to the kernel's tables and returns from
//! [`super::user::UserContext::run`], which is an ordinary function call to the rest of the kernel.
//! So there is no kernel code that runs "inside" an exception of an action.
//!
//! From ring 0 only two things are expected: a device interrupt while the core halts, and an NMI.
//! Everything else is a bug and ends in a crash record.
//!
//! [`Registers`]: super::registers::Registers

use core::arch::{asm, global_asm};
use core::mem::offset_of;

use spin::Once;

use super::area::{EntryArea, EntryReflection};
use super::mitigation;
use super::registers::Registers;
use super::segments::{USER_CODE, USER_DATA};
use memory::core_area;

/// Stands in the place of a vector for `syscall`.
pub const VECTOR_SYSCALL: u64 = 256;
/// The interrupt flag.
const RFLAGS_INTERRUPT: u64 = 1 << 9;
/// Bytes between two entries of the stub table.
const STUB_LEN: usize = 16;

const REGISTERS: i64 = core_area::ENTRY_AREA.cast_signed();
const REFLECTION: i64 = REGISTERS + offset_of!(EntryArea, reflection) as i64;
const VECTOR: i64 = REGISTERS + offset_of!(Registers, vector) as i64;

/// Pushes the general registers in the order of [`Registers`], below vector and error code.
macro_rules! push_registers {
    () => {
        "push rdi\npush rsi\npush rdx\npush rcx\npush rax\npush r8\npush r9\npush r10\npush r11\n\
         push rbx\npush rbp\npush r12\npush r13\npush r14\npush r15"
    };
}

/// The reverse of `push_registers`.
macro_rules! pop_registers {
    () => {
        "pop r15\npop r14\npop r13\npop r12\npop rbp\npop rbx\npop r11\npop r10\npop r9\npop r8\n\
         pop rax\npop rcx\npop rdx\npop rsi\npop rdi"
    };
}
pub(super) use pop_registers;

global_asm!(
    r#"
    .section .entry, "ax"
    # One stub for each vector. Exceptions with an error code have pushed it already.
    .balign {stub_len}
    .globl trap_stubs
trap_stubs:
    .set vector, 0
    .rept 256
    .balign {stub_len}
    # A bit for each vector that has an error code: 8, 10 to 14, 17, 21.
    .if (vector >= 32) || !((0x227d00 >> vector) & 1)
    push 0
    .endif
    push vector
    .if (vector == 1) || (vector == 2) || (vector == 8) || (vector == 18)
    jmp emergency
    .else
    jmp trap
    .endif
    .set vector, vector + 1
    .endr

    # [rsp] vector, error, rip, cs, rflags, rsp, ss. From ring 3 this is the tail of Registers.
trap:
    test byte ptr [rsp + 24], 3
    jz from_kernel
from_action:
    "#,
    push_registers!(),
    r#"
    cmp byte ptr [{on_entry}], 0
    jne guard_entry                     # in mitigation.rs, and back
    .globl guarded
guarded:
    mov rax, [{kernel_root}]
    mov cr3, rax                        # no guess of the jump outlives this
    mov rsp, [{kernel_stack}]
    push 2                              # no TF, DF, NT, AC, IOPL from the action; IF off
    popfq
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret                                 # from `user::enter`

    # On an emergency stack. From ring 3 the frame moves to where `from_action` expects it.
emergency:
    test byte ptr [rsp + 24], 3
    jz from_kernel
    push rax
    mov rax, [rsp + 8]
    mov [{vector} + 0], rax
    mov rax, [rsp + 16]
    mov [{vector} + 8], rax
    mov rax, [rsp + 24]
    mov [{vector} + 16], rax
    mov rax, [rsp + 32]
    mov [{vector} + 24], rax
    mov rax, [rsp + 40]
    mov [{vector} + 32], rax
    mov rax, [rsp + 48]
    mov [{vector} + 40], rax
    mov rax, [rsp + 56]
    mov [{vector} + 48], rax
    pop rax
    mov rsp, {vector}
    jmp from_action

    # `syscall` switches no stack: rsp is still the action's, rip and rflags are in rcx and r11.
    .globl trap_syscall
trap_syscall:
    cmp rcx, [{code_start}]
    jbe reflect
    cmp rcx, [{code_end}]
    ja reflect
    mov [{registers} + {rsp_offset}], rsp
    mov rsp, {vector}
    mov qword ptr [rsp], {vector_syscall}
    mov qword ptr [rsp + 8], 0
    mov [rsp + 16], rcx
    mov qword ptr [rsp + 24], {user_code}
    mov [rsp + 32], r11
    mov qword ptr [rsp + 48], {user_data}
    jmp from_action

    # A call of code that makes none itself: on to the handler in ring 3, on the same tables. The
    # frame holds what `UserContext::reflect` checked, but for the stack pointer, which `iretq`
    # takes as it is. Nothing was read here but this core's own area, so there is nothing to clear.
reflect:
    mov [{reflected_rsp}], rsp
    mov rsp, {reflected_frame}
    iretq

    # From ring 0, perhaps inside this very section and on an action's tables.
from_kernel:
    "#,
    push_registers!(),
    r#"
    mov rbx, cr3
    mov rax, [{kernel_root}]
    mov cr3, rax
    cld
    mov rdi, rsp
    mov rbp, rsp
    and rsp, -16
    call {kernel_trap}
    mov rsp, rbp
    mov cr3, rbx
    "#,
    pop_registers!(),
    r#"
    add rsp, 16
    iretq
    "#,
    stub_len = const STUB_LEN,
    kernel_root = const REGISTERS + offset_of!(EntryArea, kernel_root) as i64,
    kernel_stack = const REGISTERS + offset_of!(EntryArea, kernel_stack) as i64,
    on_entry = const mitigation::ON_ENTRY,
    registers = const REGISTERS,
    vector = const VECTOR,
    rsp_offset = const offset_of!(Registers, rsp),
    vector_syscall = const VECTOR_SYSCALL,
    user_code = const USER_CODE,
    user_data = const USER_DATA,
    kernel_trap = sym kernel_trap,
    code_start = const REFLECTION + offset_of!(EntryReflection, code_start) as i64,
    code_end = const REFLECTION + offset_of!(EntryReflection, code_end) as i64,
    reflected_frame = const REFLECTION + offset_of!(EntryReflection, rip) as i64,
    reflected_rsp = const REFLECTION + offset_of!(EntryReflection, rsp) as i64,
);

unsafe extern "C" {
    static trap_stubs: u8;
    fn trap_syscall();
}

/// Address of the stub for a vector.
pub(super) fn stub(vector: usize) -> u64 {
    (&raw const trap_stubs).addr() as u64 + (vector * STUB_LEN) as u64
}

/// Address of the entry for `syscall`.
pub(super) fn syscall_entry() -> u64 {
    trap_syscall as *const () as u64
}

/// Who takes what is no action's fault: the crash record, which lies above.
pub struct Upward {
    /// An exception in ring 0, and the address of the last page fault.
    pub exception: fn(&Registers, u64) -> !,
    /// An exception that concerns the machine, while an action ran.
    pub machine: fn(&Registers) -> !,
    /// A non-maskable interrupt: whether the core goes on.
    pub is_survived: fn(&Registers) -> bool,
}

static UPWARD: Once<Upward> = Once::new();

/// Names them, before the first core can take a trap.
pub fn set_upward(upward: Upward) {
    UPWARD.call_once(|| upward);
}

fn upward() -> &'static Upward {
    UPWARD.get().expect("the boot sets this before it loads descriptor tables")
}

/// What `user` hands on.
pub(super) fn is_survived(registers: &Registers) -> bool {
    (upward().is_survived)(registers)
}

/// Likewise.
pub(super) fn machine(registers: &Registers) -> ! {
    (upward().machine)(registers)
}

/// A trap in ring 0: an interrupt while the core halts, or a bug.
extern "C" fn kernel_trap(registers: &mut Registers) {
    match registers.vector {
        vector @ 32..256 => {
            super::interrupt::arrived(vector as u8);
            end_halt(registers);
        }
        2 if is_survived(registers) => end_halt(registers),
        // A debug exception can only be one an action left pending across its entry; its own trap
        // reports it.
        1 => {}
        _ => (upward().exception)(registers, fault_address()),
    }
}

/// The halt is over, with interrupts off: a line that stays up until its device is asked would
/// interrupt again before the next instruction, forever.
///
/// A non-maskable interrupt may come in front of the halt instruction, after interrupts were
/// switched on for it. With interrupts off it would never end, so it is left out.
fn end_halt(registers: &mut Registers) {
    const HALT: u8 = 0xf4;
    if registers.rflags & RFLAGS_INTERRUPT == 0 {
        return;
    }
    registers.rflags &= !RFLAGS_INTERRUPT;
    let next: *const u8 = core::ptr::with_exposed_provenance(registers.rip as usize);
    // SAFETY: interrupts are on in ring 0 only in `interrupt::halt`, where the processor was about
    // to execute this byte of the kernel's text.
    if unsafe { next.read() } == HALT {
        registers.rip += 1;
    }
}

/// The address of the last page fault of this core.
#[must_use]
pub fn fault_address() -> u64 {
    let address;
    // SAFETY: reading CR2 has no effect.
    unsafe { asm!("mov {}, cr2", out(reg) address, options(nomem, nostack, preserves_flags)) };
    address
}
