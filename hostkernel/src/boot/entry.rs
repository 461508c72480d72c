//! The first instructions: from 32-bit protected mode to Rust in the upper half.
//!
//! The boot loader enters `pvh_start` by the x86/HVM direct boot protocol (PVH): flat 32-bit
//! segments, paging off, `ebx` = physical address of the start info. The code here builds the first
//! page tables and jumps. What they map, all readable, writable and executable, until
//! [`memory::kernel_map`] replaces them:
//!
//! ```text
//! 0                       first 4 GiB, identity     (so that the jump survives)
//! 0xffff_8000_0000_0000   first 4 GiB               (the direct map, as far as booting needs it)
//! 0xffff_ffff_8000_0000   first 1 GiB               (the kernel image)
//! 0xffff_ffff_c020_0000   one zeroed page           (the per-core page: this is core 0)
//! ```
//!
//! Other cores come here from [`super::smp`]'s real-mode code through `application_start_32`.

use core::arch::global_asm;

use spin::Once;

use super::pvh;
use crate::handover::BootInfo;
use crate::init;

/// Bytes of the stack used until a core has its own.
const BOOT_STACK_LEN: usize = 32 * 1024;

global_asm!(
    r#"
    .section .note.Xen, "a"
    .balign 4
    .long 4, 8, 18                      # name length, value length, XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad pvh_start

    .section .boot, "awx"
    .code32
    .globl pvh_start
pvh_start:
    cli
    cld
    mov esi, ebx                        # start info; cpuid below overwrites ebx
    mov esp, offset boot_stack_32_top

    mov eax, 0x80000000
    cpuid
    cmp eax, 0x80000001
    jb no_long_mode
    mov eax, 0x80000001
    cpuid
    test edx, 1 << 29                   # long mode
    jz no_long_mode
    test edx, 1 << 20                   # no-execute; without it Rust says what is missing
    jz 1f
    or dword ptr [boot_efer], 1 << 11
1:

    # Tables are zero already: they are part of the loaded file.
    mov edi, offset boot_level_2        # four tables: 2,048 pages of 2 MiB
    mov eax, 0x83                       # present, writable, 2 MiB
    mov ecx, 2048
1:  mov [edi], eax
    add eax, 0x200000
    add edi, 8
    loop 1b

    mov edi, offset boot_level_3
    mov eax, offset boot_level_2 + 3
    mov ecx, 4
2:  mov [edi], eax
    add eax, 4096
    add edi, 8
    loop 2b

    mov eax, offset boot_level_3 + 3
    mov [boot_level_4], eax
    mov [boot_level_4 + 256 * 8], eax
    mov eax, offset boot_level_3_high + 3
    mov [boot_level_4 + 511 * 8], eax
    mov eax, offset boot_level_2 + 3
    mov [boot_level_3_high + 510 * 8], eax
    mov eax, offset boot_level_2_core + 3
    mov [boot_level_3_high + 511 * 8], eax
    mov eax, offset boot_level_1_core + 3
    mov [boot_level_2_core + 1 * 8], eax
    mov eax, offset boot_core_page + 3
    mov [boot_level_1_core], eax

    .globl application_start_32
    mov ebp, 0                          # core 0
application_start_32:                   # further cores: ebp = their number, esi = start page
    mov eax, cr4
    or eax, 1 << 5                      # PAE
    mov cr4, eax
    mov eax, offset boot_level_4
    mov cr3, eax
    mov ecx, 0xc0000080                 # EFER
    rdmsr
    or eax, [boot_efer]
    wrmsr
    mov eax, cr0
    and eax, 0x9fffffff                 # caches on: a processor leaves INIT with them off
    or eax, 0x80010001                  # paging, write protect, protected mode
    mov cr0, eax
    lgdt [boot_gdt_pointer]
    ljmp 0x08, offset start_64

no_long_mode:
    mov esi, offset no_long_mode_text
    mov edi, 0xb8000                    # the text screen; without one it is nobody's memory
    mov bh, 0x07                        # grey on black
3:  lodsb
    test al, al
    jz 4f
    mov bl, al
    cmp al, 0x20                        # the line's end is for the serial port
    jb 7f
    mov [edi], bx
    add edi, 2
7:  mov ecx, 100000
    mov dx, 0x3fd
5:  in al, dx                           # wait for the serial port, if there is one, but not forever
    test al, 0x20
    loopz 5b
    mov al, bl
    mov dx, 0x3f8
    out dx, al
    jmp 3b
4:  hlt
    jmp 4b

    .code64
start_64:
    mov eax, 0x10
    mov ds, eax
    mov es, eax
    mov ss, eax
    xor eax, eax
    mov fs, eax
    mov gs, eax
    mov esi, esi                        # the upper half is undefined after a change of mode
    test ebp, ebp
    jnz 6f
    lea rsp, [boot_stack_top]
    mov rdi, rsi
    mov rax, offset {start}
    xor ebp, ebp
    call rax
    ud2
6:  mov rdx, offset application_switch
    mov rax, [rsi + {root}]             # what smp.rs left for the one core it starts at a time
    mov rsi, [rsi + {stack}]
    jmp rdx

    .section .text
application_switch:
    mov cr3, rax                        # this core's own tables, which also map the stack
    mov rsp, rsi
    mov rdi, rbp
    xor ebp, ebp
    call {application_start}
    ud2

    .section .boot
    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff            # 64-bit code
    .quad 0x00cf93000000ffff            # data
    .quad 0x00cf9b000000ffff            # 32-bit code, for further cores
boot_gdt_pointer:
    .word 31
    .quad boot_gdt
no_long_mode_text:
    .ascii "hostkernel: this processor has no 64-bit mode (long mode). This machine cannot run it."
    .byte 13, 10, 0
    .balign 4
boot_efer: .long 1 << 8                 # long mode, and what the processor has

    .balign 4096
    .globl boot_level_4
boot_level_4: .skip 4096
boot_level_3: .skip 4096
boot_level_3_high: .skip 4096
boot_level_2: .skip 4 * 4096
boot_level_2_core: .skip 4096
boot_level_1_core: .skip 4096
boot_core_page: .skip 4096
    .skip 256
boot_stack_32_top:
    .balign 16
    .skip {stack_len}
boot_stack_top:
    "#,
    start = sym start,
    application_start = sym super::smp::application_start,
    root = const super::smp::ROOT,
    stack = const super::smp::STACK,
    stack_len = const BOOT_STACK_LEN,
);

static BOOT_INFO: Once<BootInfo> = Once::new();

/// Called once by the code above on core 0, on the boot stack and the first page tables.
extern "C" fn start(start_info: u64) -> ! {
    let info = BOOT_INFO.call_once(|| {
        let mut info = BootInfo::EMPTY;
        // SAFETY: the boot loader passed this address, by the PVH protocol; the first page tables
        // map the low 4 GiB, where all of it lies.
        unsafe { pvh::read(start_info, &mut info) };
        info
    });
    init::start(info)
}
