//! The unsafe part: the instruction, and memory by its address.

use core::arch::asm;
use core::ptr::with_exposed_provenance_mut;

use action_abi::Range;

/// Put into registers that a call must preserve.
const CANARIES: [u64; 4] =
    [0x0123_4567_89AB_CDEF, u64::MAX, 0x8000_0000_0000_0000, 0x5555_5555_5555_5555];

/// Makes a call that is not `exit`.
///
/// # Panics
/// If a register changed that the contract preserves.
pub fn call(number: u64, arguments: [u64; 3]) -> u64 {
    let [mut a, mut b, mut c] = arguments;
    let [mut r8, mut r9, mut r10, mut r12] = CANARIES;
    let result;
    // SAFETY: `exit` does not come here. The kernel lets an action unmap and protect only what it
    // mapped itself, and that is used by `model` alone, which is told about it.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            inlateout("rdi") a,
            inlateout("rsi") b,
            inlateout("rdx") c,
            inlateout("r8") r8,
            inlateout("r9") r9,
            inlateout("r10") r10,
            inlateout("r12") r12,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    assert_eq!([a, b, c], arguments, "a call changed an argument register");
    assert_eq!([r8, r9, r10, r12], CANARIES, "a call changed a preserved register");
    result
}

/// The word at an address of this action that can be read.
pub fn read(address: u64) -> u64 {
    // SAFETY: only for addresses the model holds for readable; where it is wrong, the kernel ends
    // the invocation, and that is the finding. No object of the program lies there.
    unsafe { with_exposed_provenance_mut::<u64>(address as usize).read_volatile() }
}

/// Writes the word at an address of this action that can be written.
pub fn write(address: u64, word: u64) {
    // SAFETY: as in `read`; only pages that were mapped for this, and windows nobody else uses yet.
    unsafe { with_exposed_provenance_mut::<u64>(address as usize).write_volatile(word) };
}

/// Fills memory that nobody uses yet with spaces.
pub fn blank(range: Range) {
    let first = with_exposed_provenance_mut::<u8>(range.address as usize);
    // SAFETY: as in `write`.
    unsafe { first.write_bytes(b' ', range.len as usize) };
}
