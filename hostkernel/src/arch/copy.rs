//! How the kernel copies bytes: the function that compilers call for every move of a value and
//! every copy of a slice that is not a few words of known length.
//!
//! The one that comes with the compiler is made of three repeated string instructions, each of
//! which a processor takes some ten cycles to begin, whatever the length; and mostly that is short:
//! a word of a header, a digit, a name. Up to 32 bytes are moved here by pairs of loads and stores
//! that may overlap, in the middle, without a loop. Longer ones go by words, with the last word
//! apart, which may overlap what came before.

use core::arch::naked_asm;

/// Copies `len` bytes that do not overlap, and returns `target`.
///
/// # Safety
/// As for [`core::ptr::copy_nonoverlapping`]; also both may be the same.
// SAFETY: the symbol is the one that the compiler's own library leaves to whoever defines it, and
// does what is said of it: System V's registers, the direction flag clear as that demands, no stack
// and nothing else written. Every load of a length up to 32 comes before the first store.
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub unsafe extern "C" fn memcpy(target: *mut u8, source: *const u8, len: usize) -> *mut u8 {
    naked_asm!(
        "mov rax, rdi",
        "cmp rdx, 16",
        "ja 4f",
        "cmp edx, 8",
        "jb 2f",
        // 8 to 16: the first and the last word.
        "mov rcx, [rsi]",
        "mov rsi, [rsi + rdx - 8]",
        "mov [rdi], rcx",
        "mov [rdi + rdx - 8], rsi",
        "ret",
        "2:",
        "cmp edx, 4",
        "jb 3f",
        // 4 to 7: likewise by halves of a word.
        "mov ecx, [rsi]",
        "mov esi, [rsi + rdx - 4]",
        "mov [rdi], ecx",
        "mov [rdi + rdx - 4], esi",
        "ret",
        "3:",
        "test edx, edx",
        "je 6f",
        // 1 to 3: the first, the middle and the last byte.
        "mov ecx, edx",
        "shr ecx",
        "movzx r8d, byte ptr [rsi]",
        "movzx r9d, byte ptr [rsi + rcx]",
        "movzx esi, byte ptr [rsi + rdx - 1]",
        "mov [rdi], r8b",
        "mov [rdi + rcx], r9b",
        "mov [rdi + rdx - 1], sil",
        "6:",
        "ret",
        "4:",
        "cmp rdx, 32",
        "ja 5f",
        // 17 to 32: the first two words and the last two.
        "mov rcx, [rsi]",
        "mov r8, [rsi + 8]",
        "mov r9, [rsi + rdx - 16]",
        "mov rsi, [rsi + rdx - 8]",
        "mov [rdi], rcx",
        "mov [rdi + 8], r8",
        "mov [rdi + rdx - 16], r9",
        "mov [rdi + rdx - 8], rsi",
        "ret",
        "5:",
        // More: whole words, and the last one.
        "mov r8, [rsi + rdx - 8]",
        "lea r9, [rdi + rdx - 8]",
        "mov rcx, rdx",
        "shr rcx, 3",
        "rep movsq",
        "mov [r9], r8",
        "ret",
    )
}
