//! The bare-metal binary: it links the library and gives Rust its panic handler. The first
//! instruction is in [`hostkernel::boot`], the boot order in `init.rs`.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    hostkernel::crash::panic(info)
}

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("hostkernel runs on a bare machine; `cargo xtask run` boots it in QEMU");
}
