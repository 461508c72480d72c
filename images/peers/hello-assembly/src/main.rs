//! Prints the greeting of `images/hello` with two system calls and without a C library: the least
//! that a process can cost on Linux.

#![no_std]
#![no_main]

use core::arch::global_asm;
use core::panic::PanicInfo;

static GREETING: [u8; 28] = *br#"{"greeting":"Hello, World!"}"#;

global_asm!(
    ".global _start",
    "_start:",
    "mov eax, 1", // write
    "mov edi, 1", // to stdout
    "lea rsi, [rip + {greeting}]",
    "mov edx, {length}",
    "syscall",
    "xor edi, edi",
    "mov eax, 60", // exit
    "syscall",
    greeting = sym GREETING,
    length = const GREETING.len(),
);

/// Never called: the program is two system calls. The compiler wants one.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}
