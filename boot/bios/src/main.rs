//! From the first sector of a disk, or the boot image of a CD, to the kernel: for a BIOS.
//!
//! A BIOS loads the first sector of a disk, of which 440 bytes are ours, and they load the rest of
//! this stage. Of a CD it loads all of it. From there on both are the same, but for the length of a
//! block; where the payload is, the image's builder has written into [`StageParameters`].
//!
//! ```text
//! 0x0_1000   memory map          0x0_7c00   this stage
//!     …      stack, grows down   0x1_0000   chunk of the payload on its way up
//! ```
//!
//! The processor stays in real mode, where firmware can be called. To reach memory above 1 MiB it
//! visits protected mode for each chunk, and comes back with a segment that has kept its 4 GiB.
#![no_std]
#![no_main]

use core::arch::global_asm;
use core::mem::offset_of;

use boot_layout::{
    CHUNK_LEN, LOAD_ADDRESS, MEMORY_MAP_MAX, MemoryRange, Platform, Prelude, STAGE_LEN,
    STAGE_PARAMETERS, START_INFO_MAGIC, StartInfo,
};

/// Where the memory map is left for the kernel, which never hands out the first MiB.
const MEMORY_MAP: usize = 0x1000;
/// Segment of the chunk.
const CHUNK_SEGMENT: usize = 0x1000;
/// How often a read is tried.
const READ_TRIES: usize = 5;

const _: () = assert!(MEMORY_MAP + MEMORY_MAP_MAX * size_of::<MemoryRange>() < 0x7000);

global_asm!(
    r#"
    .section .stage, "awx"
    .code16
    .globl _start
_start:
    cli
    cld
    ljmp 0, offset begin                # some firmware begins at 07c0:0000
begin:
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7c00
    sti
    mov [drive], dl
    rdtsc                               # when firmware was done, for the kernel's log
    push edx
    push eax
    mov bp, [packet + 2]
    test bp, bp
    jz load
    call read
    jmp load

read:                                   # bp blocks, as the packet says
    mov cx, {tries}
4:  push cx
    mov [packet + 2], bp                # firmware replaces it by what it could read
    mov si, offset packet
    mov dl, [drive]
    mov ah, 0x42
    int 0x13
    pop cx
    jnc 2f
    push cx
    mov dl, [drive]
    xor ah, ah                          # reset the drive
    int 0x13
    pop cx
    loop 4b
    mov si, offset no_disk
    jmp fail
2:  ret

fail:                                   # si = why
    push si
    mov si, offset prefix
    call print
    pop si
    call print
4:  hlt
    jmp 4b

print:                                  # si = text, to the screen and the first serial port
    lodsb
    test al, al
    jz 2f
    push si
    push ax
    mov bx, 7
    mov ah, 0x0e
    int 0x10
    xor cx, cx
    mov dx, 0x3fd
4:  in al, dx
    test al, 0x20                       # room for a byte, or no such port
    loopz 4b
    pop ax
    mov dl, 0xf8
    out dx, al
    pop si
    jmp print
2:  ret

prefix: .asciz "hostkernel: "
no_disk: .asciz "cannot read the disk\r\n"

    .org {parameters}
packet: .skip 16
payload_block: .skip 4
chunks: .skip 4
chunk_blocks: .skip 2
drive: .skip 6
    .skip 70                            # disk signature and partition table
    .word 0xaa55

load:
    mov eax, 0x80000000
    cpuid
    cmp eax, 0x80000001
    jb 4f
    mov eax, 0x80000001
    cpuid
    and edx, 1 << 29 | 1 << 20          # long mode, no-execute
    cmp edx, 1 << 29 | 1 << 20
    je 2f
4:  mov si, offset no_long_mode
    jmp fail

2:  mov ax, 0x2401                      # address line 20 on
    int 0x15
    jnc 3f
    in al, 0x92
    or al, 2
    and al, 0xfe                        # the bit beside it resets the machine
    out 0x92, al

3:  movzx eax, word ptr [chunks]        # memory the payload takes
    shl eax, {chunk_shift}
    mov [payload_len], eax
    mov di, {memory_map}
    xor ebx, ebx
next_range:
    mov eax, 0xe820
    mov edx, 0x534d4150                 # "SMAP"
    mov ecx, 24
    int 0x15
    jc end_of_map
    cmp eax, 0x534d4150
    jne end_of_map
    cmp dword ptr [di + 16], 1          # usable?
    jne 4f
    cmp dword ptr [di + 4], 0
    jne 4f
    mov edx, {load_address}
    sub edx, [di]                       # what of it lies in front of the payload
    jb 4f
    mov eax, [di + 8]
    mov ecx, [di + 12]
    sub eax, edx
    sbb ecx, 0                          # what is left, in ecx:eax
    jb 4f
    jnz 2f
    cmp eax, [payload_len]
    jb 4f
2:  mov byte ptr [fits], 1
4:  add di, {range_len}
    inc word ptr [ranges]
    test ebx, ebx                       # nothing follows
    jz end_of_map
    cmp word ptr [ranges], {ranges_max}
    jb next_range
end_of_map:
    mov si, offset no_memory
    cmp byte ptr [fits], 0
    je fail

    mov word ptr [packet + 4], 0
    mov word ptr [packet + 6], {chunk_segment}
    mov eax, [payload_block]
    mov [packet + 8], eax
next_chunk:
    mov bp, [chunk_blocks]
    call read
    movzx eax, word ptr [chunk_blocks]
    add [packet + 8], eax
    call store
    dec dword ptr [chunks]
    jnz next_chunk
    mov si, offset damaged
    cmp dword ptr [sum], 0
    jne fail

    cli
    lgdt [gdt_pointer]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    ljmp 0x08, offset start_32

store:                                  # moves a chunk up and adds up its words
    cli
    cld
    lgdt [gdt_pointer]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    mov bx, 0x10
    mov es, bx                          # base 0, 4 GiB, until it is loaded in protected mode again
    and al, 0xfe
    mov cr0, eax
    mov edi, [destination]
    mov ebx, [sum]
    mov cx, {chunk_words}
    mov ax, {chunk_segment}
    mov ds, ax
    xor si, si
4:  lodsd
    add ebx, eax
    mov es:[edi], eax
    add edi, 4
    loop 4b
    xor ax, ax
    mov ds, ax
    mov [destination], edi
    mov [sum], ebx
    mov edi, {load_address}
    cmp dword ptr es:[edi], {magic}
    mov es, ax
    sti
    mov si, offset no_high_memory
    jne fail
    ret

    .code32
start_32:
    mov ax, 0x10
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov ebx, {load_address}
    mov dword ptr [ebx + {start_memory_map}], {memory_map}
    movzx eax, word ptr [ranges]
    mov [ebx + {start_memory_map_len}], eax
    mov eax, [0x7c00 - 8]               # what was pushed first
    mov [ebx + {loader_start}], eax
    mov eax, [0x7c00 - 4]
    mov [ebx + {loader_start} + 4], eax
    jmp dword ptr [ebx + {entry}]

    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff            # 32-bit code
    .quad 0x00cf93000000ffff            # data
gdt_pointer:
    .word 23
    .long gdt
destination: .long {load_address}
sum: .long 0
payload_len: .long 0
ranges: .word 0
fits: .byte 0
no_long_mode: .asciz "this processor has no 64-bit mode with no-execute pages\r\n"
no_memory: .asciz "not enough memory above 1 MiB\r\n"
no_high_memory: .asciz "memory above 1 MiB cannot be reached\r\n"
damaged: .asciz "this image is damaged; write it again\r\n"
    .org {stage_len}
    "#,
    tries = const READ_TRIES,
    parameters = const STAGE_PARAMETERS,
    chunk_shift = const CHUNK_LEN.ilog2(),
    chunk_segment = const CHUNK_SEGMENT,
    chunk_words = const CHUNK_LEN / 4,
    memory_map = const MEMORY_MAP,
    ranges_max = const MEMORY_MAP_MAX,
    range_len = const size_of::<MemoryRange>(),
    load_address = const LOAD_ADDRESS,
    magic = const START_INFO_MAGIC,
    start_memory_map = const offset_of!(StartInfo, memory_map),
    start_memory_map_len = const offset_of!(StartInfo, memory_map_len),
    entry = const offset_of!(Prelude, entry),
    loader_start = const offset_of!(Prelude, platform) + offset_of!(Platform, loader_start),
    stage_len = const STAGE_LEN,
);

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
