//! Programs for the in-kernel tests, in assembly: small enough to read, independent of any
//! compiler.
//!
//! They are constants to the kernel, which loads them like any image. At entry `rdi` points to the
//! [`action_abi::Context`]; call 0 is `exit(status, output_len)`.

use core::arch::global_asm;
use core::mem::offset_of;

use action_abi::Context;

/// Where the data of every program lies: one page from the file, one of zeros.
pub const DATA: u64 = 0x40_1000;

macro_rules! programs {
    ($($(#[$documentation:meta])* $name:ident: $text:literal)*) => {$(
        global_asm!(
            ".section .rodata",
            concat!(".globl test_program_", stringify!($name)),
            concat!(".globl test_program_", stringify!($name), "_end"),
            concat!("test_program_", stringify!($name), ":"),
            $text,
            concat!("test_program_", stringify!($name), "_end:"),
            "/* {input} {output} {heap} {data} */",
            input = const offset_of!(Context, input),
            output = const offset_of!(Context, output),
            heap = const offset_of!(Context, heap),
            data = const DATA,
        );

        $(#[$documentation])*
        #[must_use]
        pub fn $name() -> &'static [u8] {
            unsafe extern "C" {
                #[link_name = concat!("test_program_", stringify!($name))]
                static START: u8;
                #[link_name = concat!("test_program_", stringify!($name), "_end")]
                static END: u8;
            }
            let start = &raw const START;
            let len = (&raw const END).addr() - start.addr();
            // SAFETY: the two symbols enclose the bytes above, in read-only data.
            unsafe { core::slice::from_raw_parts(start, len) }
        }
    )*};
}

programs! {
    /// Exits with status 0 and no result.
    exit: "
        xor eax, eax
        xor edi, edi
        xor esi, esi
        syscall
    "

    /// Never ends.
    endless: "
    2:  jmp 2b
    "

    /// Copies the input to the output window and exits with its length.
    echo: "
        mov rsi, [rdi + {input}]
        mov rcx, [rdi + {input} + 8]
        mov rdx, rcx
        mov rdi, [rdi + {output}]
        rep movsb
        xor edi, edi
        mov rsi, rdx
        xor eax, eax
        syscall
    "

    /// Maps 2 MiB and a page 150 times, touches the last page of each, and exits with 24,576 bytes.
    map_far: "
        mov ebx, 150
    2:  mov eax, 3
        mov edi, 0x201000
        mov esi, 3
        syscall
        test rax, rax
        js 3f
        mov byte ptr [rax + 0x200000], 1
        dec ebx
        jnz 2b
        xor eax, eax
        xor edi, edi
        mov esi, 0x6000
        syscall
    3:  mov rdi, rax
        xor esi, esi
        xor eax, eax
        syscall
    "

    /// Leaves 0xa5 in stack, heap, output window, data and two vector registers.
    stain: "
        mov r8, rdi
        mov al, 0xa5
        lea rdi, [rsp - 0x10000]
        mov ecx, 0x10000
        rep stosb
        mov rdi, [r8 + {heap}]
        mov ecx, 0x40000
        rep stosb
        mov rdi, [r8 + {output}]
        mov ecx, 0x40000
        rep stosb
        mov edi, {data}
        mov ecx, 0x2000
        rep stosb
        movdqu xmm0, [rsp - 128]
        movdqu xmm15, [rsp - 128]
        xor eax, eax
        xor edi, edi
        xor esi, esi
        syscall
    "

    /// Looks for what `stain` leaves: exits with the number of places that are not as new.
    look: "
        mov r8, rdi
        xor ebx, ebx
        xor eax, eax
        lea rdi, [rsp - 0x10000]
        mov ecx, 0x10000
        repe scasb
        je 2f
        inc ebx
    2:  mov rdi, [r8 + {heap}]
        mov ecx, 0x40000
        repe scasb
        je 2f
        inc ebx
    2:  mov rdi, [r8 + {output}]
        mov ecx, 0x40000
        repe scasb
        je 2f
        inc ebx
    2:  mov edi, {data} + 0x1000
        mov ecx, 0x1000
        repe scasb
        je 2f
        inc ebx
    2:  cmp byte ptr [{data}], 'i'
        je 2f
        inc ebx
    2:  movq rax, xmm0
        movq rcx, xmm15
        or rax, rcx
        jz 2f
        inc ebx
    2:  xor eax, eax
        mov edi, ebx
        xor esi, esi
        syscall
    "

    /// Exits with 1 if a general register other than `rdi` and `rsp` is not 0.
    registers: "
        or rax, rbx
        or rax, rcx
        or rax, rdx
        or rax, rsi
        or rax, rbp
        or rax, r8
        or rax, r9
        or rax, r10
        or rax, r11
        or rax, r12
        or rax, r13
        or rax, r14
        or rax, r15
        xor edi, edi
        test rax, rax
        setne dil
        xor eax, eax
        xor esi, esi
        syscall
    "

    /// An undefined instruction.
    undefined: "ud2"
    /// A privileged instruction.
    privileged: "hlt"
    /// An interrupt of the timer's vector, by software.
    software_interrupt: "int 0x40"
    /// A division of nothing by nothing.
    divide: "div eax"
    /// A load that is not aligned, with the check for it on.
    misaligned: "
        pushfq
        or dword ptr [rsp], 0x40000
        popfq
        mov eax, [rsp - 7]
        pushfq
        and dword ptr [rsp], ~0x40000
        popfq
        xor eax, eax
        xor edi, edi
        xor esi, esi
        syscall
    "
    /// A division of nothing by nothing in vector registers, with every exception on.
    divide_vector: "
        push 0
        ldmxcsr [rsp]
        xorps xmm0, xmm0
        divss xmm0, xmm0
        xor eax, eax
        xor edi, edi
        xor esi, esi
        syscall
    "
    /// The debugger's own breakpoint.
    int1: ".byte 0xf1"
    /// The 32-bit way into kernels of old.
    sysenter: "sysenter"
    /// A call in the shadow of a load of the stack segment, while stepping.
    shadowed_call: "
        mov ecx, ss
        xor eax, eax
        xor edi, edi
        xor esi, esi
        pushfq
        or dword ptr [rsp], 0x100
        popfq
        mov ss, ecx
        syscall
    "
    /// A breakpoint in the same place.
    shadowed_breakpoint: "
        mov ecx, ss
        pushfq
        or dword ptr [rsp], 0x100
        popfq
        mov ss, ecx
        int3
    "
    /// A load from address 0.
    read_null: "mov rax, ds:[0]"
    /// A load from the kernel's image.
    read_kernel: "mov rax, ds:[-0x80000000]"
    /// A store to its own text.
    write_text: "mov ds:[0x400000], al"
    /// A store past its data.
    write_past_data: "mov ds:[{data} + 0x2000], al"
    /// A store past the end of its stack.
    overflow_stack: "mov [rsp - 0x100000], al"
}
