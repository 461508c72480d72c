//! The page with the time functions (`vdso(7)`): a small shared library that C libraries find by
//! `AT_SYSINFO_EHDR` and look functions up in by name and version.
//!
//! The functions read the time stamp counter and the context page, and call nobody; for clocks that
//! they do not know they make the system call, which is the program's, since this page is not
//! declared to the kernel.

use core::arch::global_asm;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering};

use action_abi::Clock;
use action_abi::Context;
use action_abi::host::HostContext;

/// Where the kernel put the context, for the functions below.
#[unsafe(link_section = ".data.hot")]
static CONTEXT: AtomicU64 = AtomicU64::new(0);

unsafe extern "C" {
    static __vdso_start: u8;
}

/// Remembers where the context is.
pub fn begin(context: *const HostContext) {
    CONTEXT.store(context as u64, Ordering::Relaxed);
}

/// Where the page is.
pub fn address() -> u64 {
    (&raw const __vdso_start) as u64
}

const CLOCK: usize = offset_of!(Context, clock);

global_asm!(
    r#"
    .pushsection .vdso, "ax"
    .balign 4096
    .globl __vdso_start
__vdso_start:
    # ELF header (gABI, chapter 4): a shared object without sections.
    .byte 0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0
    .quad 0
    .short 3, 62
    .long 1
    .quad 0, 64, 0
    .long 0
    .short 64, 56, 2, 0, 0, 0
    # PT_LOAD, readable and executable: everything.
    .long 1, 5
    .quad 0, 0, 0, 3f - __vdso_start, 3f - __vdso_start, 4096
    # PT_DYNAMIC
    .long 2, 4
    .quad 8f - __vdso_start, 8f - __vdso_start, 8f - __vdso_start, 9f - 8f, 9f - 8f, 8

    # Symbols: name, global function, section, value, length.
    .balign 8
4:
    .quad 0, 0, 0
    .long 20f - 5f
    .byte 0x12, 0
    .short 1
    .quad .L__vdso_clock_gettime - __vdso_start, .L__vdso_clock_gettime_end - .L__vdso_clock_gettime
    .long 21f - 5f
    .byte 0x12, 0
    .short 1
    .quad .L__vdso_gettimeofday - __vdso_start, .L__vdso_gettimeofday_end - .L__vdso_gettimeofday
    .long 22f - 5f
    .byte 0x12, 0
    .short 1
    .quad .L__vdso_time - __vdso_start, .L__vdso_time_end - .L__vdso_time
    .long 23f - 5f
    .byte 0x12, 0
    .short 1
    .quad .L__vdso_getcpu - __vdso_start, .L__vdso_getcpu_end - .L__vdso_getcpu
    .long 24f - 5f
    .byte 0x12, 0
    .short 1
    .quad .L__vdso_clock_getres - __vdso_start, .L__vdso_clock_getres_end - .L__vdso_clock_getres
    # Strings.
5:
    .byte 0
20: .asciz "__vdso_clock_gettime"
21: .asciz "__vdso_gettimeofday"
22: .asciz "__vdso_time"
23: .asciz "__vdso_getcpu"
24: .asciz "__vdso_clock_getres"
30: .asciz "linux-vdso.so.1"
31: .asciz "LINUX_2.6"
32:
    # Hash table: one bucket with a chain of all symbols.
    .balign 8
6:
    .long 1, 6
    .long 1
    .long 0, 2, 3, 4, 5, 0
    # Versions of the symbols, and the two that there are: the library's own, and LINUX_2.6. Hashes
    # as of the gABI.
    .balign 8
33:
    .short 0, 2, 2, 2, 2, 2
    .balign 8
7:
    .short 1, 1, 1, 1
    .long 0x0deebfa1, 20, 28
    .long 30b - 5b, 0
    .short 1, 0, 2, 1
    .long 0x03ae75f6, 20, 0
    .long 31b - 5b, 0
    # Dynamic section.
    .balign 8
8:
    .quad 14, 30b - 5b
    .quad 4, 6b - __vdso_start
    .quad 5, 5b - __vdso_start
    .quad 6, 4b - __vdso_start
    .quad 10, 32b - 5b
    .quad 11, 24
    .quad 0x6ffffff0, 33b - __vdso_start
    .quad 0x6ffffffc, 7b - __vdso_start
    .quad 0x6ffffffd, 2
    .quad 0, 0
9:

    # Nanoseconds in rax: what r9 says of the clock's start, and the cycles since.
    # Context in r8. Changes rdx.
    .macro nanoseconds
    rdtsc
    shl rdx, 32
    or rax, rdx
    sub rax, [r8 + {start_cycles}]
    mul qword ptr [r8 + {scale}]
    shrd rax, rdx, 32
    add rax, r9
    .endm
    # The clock's start in r9: wall-clock time, or where there is none, monotonic.
    .macro wall_start
    mov r8, [rip + {context}]
    mov r9, [r8 + {start_wall}]
    test r9, r9
    cmovz r9, [r8 + {start_ns}]
    .endm

    .balign 16
.L__vdso_clock_gettime:
    cmp edi, 7
    ja 42f
    # CLOCK_MONOTONIC, _RAW, _COARSE, CLOCK_BOOTTIME
    mov eax, 0xd2
    bt eax, edi
    jnc 40f
    mov r8, [rip + {context}]
    mov r9, [r8 + {start_ns}]
    jmp 41f
40:
    # CLOCK_REALTIME, _COARSE
    mov eax, 0x21
    bt eax, edi
    jnc 42f
    wall_start
41:
    nanoseconds
    xor edx, edx
    mov ecx, 1000000000
    div rcx
    mov [rsi], rax
    mov [rsi + 8], rdx
    xor eax, eax
    ret
42:
    mov eax, 228
    syscall
    ret
.L__vdso_clock_gettime_end:

    .balign 16
.L__vdso_gettimeofday:
    test rdi, rdi
    jz 50f
    wall_start
    nanoseconds
    xor edx, edx
    mov ecx, 1000000000
    div rcx
    mov [rdi], rax
    mov rax, rdx
    xor edx, edx
    mov ecx, 1000
    div rcx
    mov [rdi + 8], rax
50:
    test rsi, rsi
    jz 51f
    mov qword ptr [rsi], 0
51:
    xor eax, eax
    ret
.L__vdso_gettimeofday_end:

    .balign 16
.L__vdso_time:
    wall_start
    nanoseconds
    xor edx, edx
    mov ecx, 1000000000
    div rcx
    test rdi, rdi
    jz 60f
    mov [rdi], rax
60:
    ret
.L__vdso_time_end:

    .balign 16
.L__vdso_getcpu:
    test rdi, rdi
    jz 70f
    mov dword ptr [rdi], 0
70:
    test rsi, rsi
    jz 71f
    mov dword ptr [rsi], 0
71:
    xor eax, eax
    ret
.L__vdso_getcpu_end:

    .balign 16
.L__vdso_clock_getres:
    mov eax, 229
    syscall
    ret
.L__vdso_clock_getres_end:
3:
    .popsection
    "#,
    context = sym CONTEXT,
    start_cycles = const CLOCK + offset_of!(Clock, start_cycles),
    start_ns = const CLOCK + offset_of!(Clock, start_ns),
    scale = const CLOCK + offset_of!(Clock, scale),
    start_wall = const CLOCK + offset_of!(Clock, start_wall_ns),
);
