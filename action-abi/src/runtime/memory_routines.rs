//! `memcpy`, `memmove`, `memset`, `memcmp`, `bcmp`: what compiled code calls by name and a C
//! library would provide. (The core library of this target leaves them to libc.)
//!
//! The ones that write are assembly, so that no compiler can see a copy loop and turn it into a
//! call to itself. They move 16 bytes at a time with plain SSE2 and finish with one overlapping
//! move, so the last bytes need no loop. `rep movsb` was rejected: its start-up costs more than
//! most copies here, and not every processor has the fast form.
//!
//! They are exported only from a program that aborts on panic, which every action does. Unit tests
//! and tools on the host unwind and keep the C library's.

use core::arch::naked_asm;

/// Copies `len` bytes between ranges that do not overlap. (Moving forwards is also right when the
/// destination lies below the source, which is what [`memmove`] uses it for.)
///
/// # Safety
/// As in C: `source` is readable and `destination` writable for `len` bytes, and they are disjoint.
#[unsafe(naked)]
#[cfg_attr(all(panic = "abort", not(test)), unsafe(no_mangle))]
pub unsafe extern "C" fn memcpy(destination: *mut u8, source: *const u8, len: usize) -> *mut u8 {
    naked_asm!(
        "mov rax, rdi",
        "cmp rdx, 16",
        "jb 3f",
        // The last 16 bytes are read first: a forward move may overwrite them on its way.
        "movups xmm1, [rsi + rdx - 16]",
        "lea rcx, [rdi + rdx - 16]",
        "cmp rdi, rcx",
        "jae 4f",
        "2:",
        "movups xmm0, [rsi]",
        "movups [rdi], xmm0",
        "add rsi, 16",
        "add rdi, 16",
        "cmp rdi, rcx",
        "jb 2b",
        "4:",
        "movups [rcx], xmm1",
        "ret",
        // Below 16 bytes everything is read before anything is written: two overlapping moves.
        "3:",
        "cmp edx, 8",
        "jb 5f",
        "mov rcx, [rsi]",
        "mov r8, [rsi + rdx - 8]",
        "mov [rdi], rcx",
        "mov [rdi + rdx - 8], r8",
        "ret",
        "5:",
        "cmp edx, 4",
        "jb 6f",
        "mov ecx, [rsi]",
        "mov r8d, [rsi + rdx - 4]",
        "mov [rdi], ecx",
        "mov [rdi + rdx - 4], r8d",
        "ret",
        // One to three bytes: first, middle, last, which may be the same byte.
        "6:",
        "test edx, edx",
        "jz 7f",
        "mov cl, [rsi]",
        "mov r8b, [rsi + rdx - 1]",
        "mov r9d, edx",
        "shr r9d, 1",
        "mov r10b, [rsi + r9]",
        "mov [rdi], cl",
        "mov [rdi + r9], r10b",
        "mov [rdi + rdx - 1], r8b",
        "7:",
        "ret",
    )
}

/// Copies `len` bytes between ranges that may overlap.
///
/// # Safety
/// As in C: `source` is readable and `destination` writable for `len` bytes.
#[unsafe(naked)]
#[cfg_attr(all(panic = "abort", not(test)), unsafe(no_mangle))]
pub unsafe extern "C" fn memmove(destination: *mut u8, source: *const u8, len: usize) -> *mut u8 {
    naked_asm!(
        // Forwards unless the destination starts inside the source; short moves are right either
        // way.
        "mov rax, rdi",
        "sub rax, rsi",
        "cmp rax, rdx",
        "jae {memcpy}",
        "cmp rdx, 16",
        "jb {memcpy}",
        // Backwards. The first 16 bytes are read first, for the reason given in memcpy.
        "mov rax, rdi",
        "movups xmm1, [rsi]",
        "2:",
        "movups xmm0, [rsi + rdx - 16]",
        "movups [rdi + rdx - 16], xmm0",
        "sub rdx, 16",
        "cmp rdx, 16",
        "jae 2b",
        "movups [rdi], xmm1",
        "ret",
        memcpy = sym memcpy,
    )
}

/// Sets `len` bytes to the low byte of `value`.
///
/// # Safety
/// As in C: `destination` is writable for `len` bytes.
#[unsafe(naked)]
#[cfg_attr(all(panic = "abort", not(test)), unsafe(no_mangle))]
pub unsafe extern "C" fn memset(destination: *mut u8, value: i32, len: usize) -> *mut u8 {
    naked_asm!(
        "mov rax, rdi",
        // Eight copies of the byte in rcx.
        "movzx esi, sil",
        "movabs rcx, 0x0101010101010101",
        "imul rcx, rsi",
        "cmp rdx, 16",
        "jb 3f",
        "movq xmm0, rcx",
        "punpcklqdq xmm0, xmm0",
        "lea rcx, [rdi + rdx - 16]",
        "2:",
        "movups [rdi], xmm0",
        "add rdi, 16",
        "cmp rdi, rcx",
        "jb 2b",
        "movups [rcx], xmm0",
        "ret",
        "3:",
        "cmp edx, 8",
        "jb 4f",
        "mov [rdi], rcx",
        "mov [rdi + rdx - 8], rcx",
        "ret",
        "4:",
        "cmp edx, 4",
        "jb 5f",
        "mov [rdi], ecx",
        "mov [rdi + rdx - 4], ecx",
        "ret",
        "5:",
        "test edx, edx",
        "jz 6f",
        "mov [rdi], cl",
        "mov [rdi + rdx - 1], cl",
        "shr edx, 1",
        "mov [rdi + rdx], cl",
        "6:",
        "ret",
    )
}

/// Compares `len` bytes as unsigned numbers: negative, zero or positive as the first difference
/// has it.
///
/// # Safety
/// As in C: both ranges are readable for `len` bytes.
#[cfg_attr(all(panic = "abort", not(test)), unsafe(no_mangle))]
pub unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, len: usize) -> i32 {
    const WORD_LEN: usize = size_of::<u64>();
    let mut at = 0;
    while len - at >= WORD_LEN {
        // SAFETY: `at + WORD_LEN <= len`, and the caller vouches for `len` bytes.
        let (left, right) = unsafe {
            (
                left.add(at).cast::<u64>().read_unaligned(),
                right.add(at).cast::<u64>().read_unaligned(),
            )
        };
        if left != right {
            return if left.swap_bytes() < right.swap_bytes() { -1 } else { 1 };
        }
        at += WORD_LEN;
    }
    while at < len {
        // SAFETY: `at < len`.
        let (left, right) = unsafe { (left.add(at).read(), right.add(at).read()) };
        if left != right {
            return i32::from(left) - i32::from(right);
        }
        at += 1;
    }
    0
}

/// Zero if the ranges are equal; compilers prefer it to `memcmp` where the order does not matter.
///
/// # Safety
/// As [`memcmp`].
#[unsafe(naked)]
#[cfg_attr(all(panic = "abort", not(test)), unsafe(no_mangle))]
pub unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, len: usize) -> i32 {
    naked_asm!("jmp {memcmp}", memcmp = sym memcmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Long enough for every path, several rounds of the loops, and every remainder.
    const LEN_MAX: usize = 100;
    /// Bytes around the range under test, which must not change.
    const MARGIN: usize = 17;

    fn pattern(len: usize) -> Vec<u8> {
        (0..len).map(|index| (index * 7 + 3) as u8).collect()
    }

    #[test]
    fn memcpy_copies_every_length_and_nothing_more() {
        let source = pattern(LEN_MAX);
        for len in 0..=LEN_MAX {
            let mut memory = [0xAA; LEN_MAX + 2 * MARGIN];
            let destination = memory[MARGIN..].as_mut_ptr();
            // SAFETY: both ranges have `len` bytes and are different allocations.
            let returned = unsafe { memcpy(destination, source.as_ptr(), len) };
            assert_eq!(returned, destination);
            assert_eq!(memory[MARGIN..MARGIN + len], source[..len], "{len}");
            assert!(memory[..MARGIN].iter().all(|byte| *byte == 0xAA), "{len}");
            assert!(memory[MARGIN + len..].iter().all(|byte| *byte == 0xAA), "{len}");
        }
    }

    #[test]
    fn memmove_agrees_with_copy_within_at_every_overlap() {
        for len in 0..=LEN_MAX {
            for from in 0..=2 * MARGIN {
                let mut memory = pattern(LEN_MAX + 2 * MARGIN);
                let mut expected = memory.clone();
                expected.copy_within(from..from + len, MARGIN);
                let first = memory.as_mut_ptr();
                // SAFETY: `from` and `MARGIN` plus `len` are within the vector.
                let returned = unsafe { memmove(first.add(MARGIN), first.add(from), len) };
                assert_eq!(returned.addr(), first.addr() + MARGIN);
                assert_eq!(memory, expected, "{len} bytes from {from} to {MARGIN}");
            }
        }
    }

    #[test]
    fn memset_sets_every_length_and_nothing_more() {
        for len in 0..=LEN_MAX {
            let mut memory = [0xAA; LEN_MAX + 2 * MARGIN];
            let mut expected = memory;
            expected[MARGIN..MARGIN + len].fill(0x5C);
            let destination = memory[MARGIN..].as_mut_ptr();
            // SAFETY: the range has `len` bytes. Only the low byte of the value counts.
            let returned = unsafe { memset(destination, 0x7F5C, len) };
            assert_eq!(returned, destination);
            assert_eq!(memory, expected, "{len}");
        }
    }

    #[test]
    fn memcmp_orders_by_the_first_difference_as_unsigned_bytes() {
        for len in 0..=40 {
            let left = pattern(len);
            // SAFETY: both have `len` bytes.
            let compare = |right: &[u8]| unsafe {
                assert_eq!(
                    bcmp(left.as_ptr(), right.as_ptr(), len) == 0,
                    memcmp(left.as_ptr(), right.as_ptr(), len) == 0
                );
                memcmp(left.as_ptr(), right.as_ptr(), len).signum()
            };
            assert_eq!(compare(&left), 0);
            for at in 0..len {
                for change in [1, 0x7F, 0x80, 0xFF] {
                    let mut right = left.clone();
                    right[at] = right[at].wrapping_add(change);
                    right[at + 1..].reverse();
                    assert_eq!(compare(&right), left[..].cmp(&right) as i32, "{len} {at}");
                }
            }
        }
    }
}
