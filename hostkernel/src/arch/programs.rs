//! Programs for the in-kernel tests, in assembly: small enough to read, independent of any
//! compiler.
//!
//! They are constants to the kernel, which loads them like any image. At entry `rdi` points to the
//! [`action_abi::Context`]; call 0 is `exit(status, output_len)`.

use core::arch::global_asm;
use core::mem::offset_of;

use action_abi::{Clock, Context};

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
            "/* {input} {output} {heap} {start_ns} {data} */",
            input = const offset_of!(Context, input),
            output = const offset_of!(Context, output),
            heap = const offset_of!(Context, heap),
            start_ns = const offset_of!(Context, clock) + offset_of!(Clock, start_ns),
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

    /// Stains data, stack, a vector register and the thread pointer, and freezes. An instance exits
    /// with its number if all of that is as it was, and 99 if not.
    freeze: "
        mov dword ptr [{data}], 0x1234
        push 0x77
        mov eax, 0x55aa
        movd xmm7, eax
        mov eax, 11
        mov edi, {data}
        syscall
        mov eax, 10
        xor edi, edi
        syscall
        mov ebx, eax
        cmp dword ptr [{data}], 0x1234
        jne 9f
        pop rcx
        cmp rcx, 0x77
        jne 9f
        movd eax, xmm7
        cmp eax, 0x55aa
        jne 9f
        cmp dword ptr fs:[0], 0x1234
        jne 9f
        mov dword ptr [{data}], 0x9999
        mov qword ptr [rsp - 8], 0
        mov eax, 10
        xor edi, edi
        syscall
        cmp rax, -3
        jne 9f
        mov edi, ebx
        jmp 8f
    9:  mov edi, 99
    8:  xor esi, esi
        xor eax, eax
        syscall
    "

    /// Freezes with the payload in its memory, and goes on to freeze with the next one, for which
    /// it wants an input that begins with `i`. Exits with its number: of an instance of the first,
    /// 100 more. 99 stands for anything amiss.
    stack: "
        mov r12, rdi
        mov ebp, 0x10000000
        mov rdi, rbp
        mov esi, 0x1000
        mov edx, 1
        xor r10d, r10d
        mov eax, 7
        syscall
        cmp rax, rbp
        jne 9f
        mov eax, 10
        xor edi, edi
        syscall
        cmp byte ptr [rbp], 'r'
        jne 9f
        lea edi, [rax + 100]
        test eax, eax
        jnz 8f
        mov rax, [r12 + {input}]
        cmp byte ptr [rax], 'i'
        jne 9f
        mov ebx, 0x20000000
        mov rdi, rbx
        mov esi, 0x1000
        mov edx, 1
        xor r10d, r10d
        mov eax, 7
        syscall
        cmp rax, rbx
        jne 9f
        mov eax, 10
        xor edi, edi
        syscall
        mov edi, eax
        cmp byte ptr [rbp], 'r'
        jne 9f
        cmp byte ptr [rbx], 'f'
        jne 9f
        test edi, edi
        jnz 8f
    9:  mov edi, 99
    8:  xor esi, esi
        xor eax, eax
        syscall
    "

    /// Reflects calls and exceptions of its own second half, with every odd flag set, and exits
    /// with the number of those that came: 5 calls, 10 for each exception.
    reflect: "
    2:  mov ebx, {data} + 0x1000
        lea rax, [rip + 2b]
        mov [rbx], rax
        lea rcx, [rip + 5f]
        sub rcx, rax
        mov [rbx + 8], rcx
        lea rax, [rip + 3f]
        mov [rbx + 16], rax
        lea rax, [rip + 4f]
        mov [rbx + 24], rax
        mov dword ptr [rbx + 32], 0x604b
        lea rax, [rbx + 0x100]
        mov [rbx + 40], rax
        mov rdi, rbx
        mov eax, 9
        syscall
        test rax, rax
        jnz 7f
        xor r15d, r15d
        jmp 5f
        # A call.
    3:  inc r15d
        mov eax, 1234
        jmp rcx
        # An exception: ud2, the load and div are two bytes long, int3 is over.
    4:  add r15d, 10
        mov rcx, [rax + 8]
        cmp ecx, 3
        je 6f
        cmp ecx, 1
        je 8f
        add qword ptr [rax + 56], 2
    6:  lea rsp, [rax + 72]
        popfq
        mov rcx, [rax + 40]
        mov rsp, [rax + 80]
        mov rax, [rax + 32]
        jmp qword ptr ds:[{data} + 0x1138]
        # A step: no more of them.
    8:  and qword ptr [rax + 72], ~0x100
        jmp 6b
    7:  mov edi, 99
        xor esi, esi
        xor eax, eax
        syscall
    9:  mov edi, r15d
        xor esi, esi
        xor eax, eax
        syscall
        # The code that is hosted.
    5:  mov r12, rsp
        mov eax, 39
        syscall
        cmp eax, 1234
        jne 7b
        cmp rsp, r12
        jne 7b
        mov rsp, -0x100000000000000
        syscall
        mov rsp, 0x1234
        syscall
        mov rsp, r12
        pushfq
        or dword ptr [rsp], 0x44400
        popfq
        syscall
        pushfq
        and dword ptr [rsp], ~0x44400
        popfq
        ud2
        int3
        xor eax, eax
        mov ecx, [rax]
        xor ecx, ecx
        div ecx
        pushfq
        or dword ptr [rsp], 0x100
        popfq
        nop
        nop
        syscall
        jmp 9b
    "

    /// Makes calls from the edges of its code: the last instruction inside makes a native one,
    /// those right outside are reflected, whatever number they have. Exits with how many were.
    edges: "
        jmp 4f
        # Ends where the code begins.
    22: syscall
    2:  jmp 7f
    3:  inc r15d
        mov eax, 1234
        jmp rcx
    4:  xor r15d, r15d
        mov ebx, {data} + 0x1000
        lea rax, [rip + 2b]
        mov [rbx], rax
        lea rcx, [rip + 6f]
        sub rcx, rax
        mov [rbx + 8], rcx
        lea rax, [rip + 3b]
        mov [rbx + 16], rax
        mov [rbx + 24], rax
        mov dword ptr [rbx + 32], 0
        lea rax, [rbx + 0x100]
        mov [rbx + 40], rax
        mov rdi, rbx
        mov eax, 9
        jmp 5f
    7:  mov edi, r15d
        cmp eax, 1234
        je 8f
    9:  mov edi, 99
    8:  xor esi, esi
        xor eax, eax
        syscall
        # Ends where the code ends.
    5:  syscall
    6:  test rax, rax
        jnz 9b
        # Once more, now that it is declared.
        mov rdi, rbx
        mov eax, 9
        inc r14d
        cmp r14d, 2
        jb 5b
        # The end, another declaration, a freeze.
        xor eax, eax
        mov edi, 77
        syscall
        mov rdi, rbx
        mov eax, 9
        syscall
        mov eax, 10
        syscall
        mov eax, 5
        jmp 22b
    "

    /// Reflects, and then faults in its own code.
    fault_in_handler: "
    2:  mov ebx, {data} + 0x1000
        lea rax, [rip + 2b]
        mov [rbx], rax
        mov dword ptr [rbx + 8], 0x100
        mov [rbx + 16], rax
        lea rax, [rip + 4f]
        mov [rbx + 24], rax
        mov dword ptr [rbx + 32], 0x604b
        lea rax, [rbx + 0x100]
        mov [rbx + 40], rax
        mov rdi, rbx
        mov eax, 9
        syscall
        lea rax, [rip + 2b + 0x200]
        jmp rax
    4:  xor eax, eax
        div eax
        .fill 0x200 - (. - 2b), 1, 0xcc
        ud2
    "

    /// Reflects with a frame that cannot be written, and faults in other code.
    frame_read_only: "
    2:  mov ebx, {data} + 0x1000
        lea rax, [rip + 2b]
        mov [rbx], rax
        mov dword ptr [rbx + 8], 0x100
        mov [rbx + 16], rax
        mov [rbx + 24], rax
        mov dword ptr [rbx + 32], 0x604b
        mov dword ptr [rbx + 40], 0x400000
        mov rdi, rbx
        mov eax, 9
        syscall
        lea rax, [rip + 2b + 0x200]
        jmp rax
        .fill 0x200 - (. - 2b), 1, 0xcc
        ud2
    "

    /// Spins in code of which an alarm tells, and then sleeps until one is noted: exits with 3.
    alarm: "
    2:  mov r13, rdi
        mov ebx, {data} + 0x1000
        lea rax, [rip + 2b]
        mov [rbx], rax
        lea rcx, [rip + 5f]
        sub rcx, rax
        mov [rbx + 8], rcx
        mov [rbx + 16], rax
        lea rax, [rip + 4f]
        mov [rbx + 24], rax
        lea rax, [rbx + 0x100]
        mov [rbx + 40], rax
        mov rdi, rbx
        mov eax, 9
        syscall
        mov rdi, [r13 + {start_ns}]
        add rdi, 500000000
        mov eax, 12
        syscall
        mov edi, 9
        test rax, rax
        jnz 3f
        jmp 5f
        # Told while spinning.
    4:  mov edi, 1
        cmp dword ptr [rax + 8], 256
        jne 3f
        mov rdi, [r13 + {start_ns}]
        add rdi, 700000000
        mov eax, 12
        syscall
        mov rdi, -1
        mov eax, 13
        syscall
        mov edi, 2
        cmp dword ptr [rbx + 0x100], 1
        jne 3f
        inc edi
    3:  xor esi, esi
        xor eax, eax
        syscall
    5:  jmp 5b
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
