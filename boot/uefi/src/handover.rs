//! The last instructions under UEFI's tables: down to 32-bit mode, and into the kernel.
//!
//! The kernel's place may be memory that firmware used until now, also for the page tables that are
//! in force. So the code here is copied to where it is in nobody's way, switches paging off, and
//! only then moves the payload to its place.

use core::arch::global_asm;
use core::mem::offset_of;

use boot_layout::{LOAD_ADDRESS, Prelude};

global_asm!(
    r#"
    .section .text
    .globl handover_start
handover_start:                         # rdi = payload, rsi = its 32-bit words that are moved
    cli
    lea rax, [rip + handover_gdt]
    sub rsp, 16
    mov word ptr [rsp], 23
    mov [rsp + 2], rax
    lgdt [rsp]
    push 0x08
    lea rax, [rip + 2f]
    push rax
    retfq

    .code32
2:  mov eax, 0x10
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov eax, cr0
    and eax, 0x7fffffff                 # paging off
    mov cr0, eax
    xor eax, eax
    mov cr4, eax
    mov ecx, 0xc0000080                 # EFER
    rdmsr
    and eax, 0xfffffeff                 # long mode off
    wrmsr
    mov ecx, esi
    mov esi, edi
    mov edi, {load_address}
    cld
    rep movsd
    mov ebx, {load_address}
    jmp dword ptr [ebx + {entry}]

    .balign 8
handover_gdt:
    .quad 0
    .quad 0x00cf9b000000ffff            # 32-bit code
    .quad 0x00cf93000000ffff            # data
    .globl handover_end
handover_end:
    .code64
    "#,
    load_address = const LOAD_ADDRESS,
    entry = const offset_of!(Prelude, entry),
);

unsafe extern "C" {
    static handover_start: u8;
    static handover_end: u8;
}

/// Copies the code to `place` and runs it.
///
/// # Safety
/// Boot services have ended. `place` is a page of memory, and `payload` a payload of which `len`
/// bytes are moved. Both are above the destination and below 4 GiB; `place` may be executed.
pub unsafe fn start(place: *mut u8, payload: *const u8, len: usize) -> ! {
    let code = &raw const handover_start;
    let code_len = (&raw const handover_end).addr() - code.addr();
    // SAFETY: the code between the two symbols is far shorter than the page the caller gave us.
    unsafe { place.copy_from_nonoverlapping(code, code_len) };
    // SAFETY: it is the code above, which can run anywhere below 4 GiB.
    let code: extern "sysv64" fn(*const u8, usize) -> ! = unsafe { core::mem::transmute(place) };
    code(payload, len / 4)
}
