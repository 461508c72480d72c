//! Instructions that are the kernel's alone, and some that ring 3 may use with care.

use super::{assembly, returning};
use crate::Misbehave;

pub const KINDS: &[(&str, Misbehave)] = assembly! {
    "privileged" => "cli";
    "sti"        => "sti";
    "hlt"        => "hlt";
    "clts"       => "clts";
    "invd"       => "invd";
    "wbinvd"     => "wbinvd";
    "wbnoinvd"   => ".byte 0xF3, 0x0F, 0x09";
    "invlpg"     => "invlpg [rsp]";
    "invpcid"    => "xor eax, eax; push rax; push rax; invpcid rax, [rsp]";
    "swapgs"     => "swapgs";
    "sysretq"    => "lea rcx, [rip + 2f]; sysretq; 2:";
    "sysexitq"   => "lea rdx, [rip + 2f]; mov rcx, rsp; sysexitq; 2:";
    "rsm"        => "rsm";
    "clac"       => "clac";
    "stac"       => "stac";
    "xsetbv"     => "xor ecx, ecx; xgetbv; xsetbv";
    "xsaves"     => "sub rsp, 4096; and rsp, -64; xor edx, edx; mov eax, 3; xsaves [rsp]";
    "xrstors"    => "sub rsp, 4096; and rsp, -64; xor edx, edx; mov eax, 3; xrstors [rsp]";

    // Descriptor tables.
    "lgdt"       => "lgdt [rsp]";
    "lidt"       => "lidt [rsp]";
    "lldt"       => "xor eax, eax; lldt ax";
    "ltr"        => "xor eax, eax; ltr ax";
    "lmsw"       => "xor eax, eax; lmsw ax";

    // Tell kernel addresses, unless UMIP forbids.
    "sgdt"       => "sub rsp, 16; sgdt [rsp]; add rsp, 16";
    "sidt"       => "sub rsp, 16; sidt [rsp]; add rsp, 16";
    "sldt"       => "sldt eax";
    "str"        => "str eax";
    "smsw"       => "smsw eax";

    // Control and debug registers.
    "read-cr0"   => "mov rax, cr0";
    "read-cr2"   => "mov rax, cr2";
    "read-cr3"   => "mov rax, cr3";
    "read-cr4"   => "mov rax, cr4";
    "read-cr8"   => "mov rax, cr8";
    "write-cr0"  => "xor eax, eax; mov cr0, rax";
    "write-cr2"  => "xor eax, eax; mov cr2, rax";
    "write-cr3"  => "xor eax, eax; mov cr3, rax";
    "write-cr4"  => "xor eax, eax; mov cr4, rax";
    "write-cr8"  => "xor eax, eax; mov cr8, rax";
    "read-dr0"   => "mov rax, dr0";
    "read-dr1"   => "mov rax, dr1";
    "read-dr2"   => "mov rax, dr2";
    "read-dr3"   => "mov rax, dr3";
    "read-dr4"   => "mov rax, dr4";
    "read-dr5"   => "mov rax, dr5";
    "read-dr6"   => "mov rax, dr6";
    "read-dr7"   => "mov rax, dr7";
    "write-dr0"  => "lea rax, [rip]; mov dr0, rax";
    "write-dr1"  => "lea rax, [rip]; mov dr1, rax";
    "write-dr2"  => "lea rax, [rip]; mov dr2, rax";
    "write-dr3"  => "lea rax, [rip]; mov dr3, rax";
    "write-dr4"  => "xor eax, eax; mov dr4, rax";
    "write-dr5"  => "xor eax, eax; mov dr5, rax";
    "write-dr6"  => "xor eax, eax; mov dr6, rax";
    "write-dr7"  => "mov eax, 0x4FF; mov dr7, rax";

    // Model-specific registers: EFER, the entry of `syscall`, and one that does not exist.
    "rdmsr"         => "mov ecx, 0xC0000080; rdmsr";
    "rdmsr-entry"   => "mov ecx, 0xC0000082; rdmsr";
    "rdmsr-none"    => "mov ecx, 0x12345678; rdmsr";
    "wrmsr"         => "mov ecx, 0xC0000080; xor eax, eax; xor edx, edx; wrmsr";
    "wrmsr-entry"   => "mov ecx, 0xC0000082; xor eax, eax; xor edx, edx; wrmsr";
    "wrmsrns"       => "mov ecx, 0xC0000080; .byte 0x0F, 0x01, 0xC6";
    "rdpmc"         => "xor ecx, ecx; rdpmc";

    // Ports: keyboard, PCI configuration, power management, the first serial port.
    "in-byte"    => "mov edx, 0x60; in al, dx";
    "in-word"    => "mov edx, 0x604; in ax, dx";
    "in-long"    => "mov edx, 0xCF8; in eax, dx";
    "in-fixed"   => "in al, 0x60";
    "out-byte"   => "mov edx, 0xF4; xor eax, eax; out dx, al";
    "out-word"   => "mov edx, 0x604; mov eax, 0x2000; out dx, ax";
    "out-long"   => "mov edx, 0xCF8; mov eax, 0x80000000; out dx, eax";
    "out-fixed"  => "mov al, 0xFE; out 0x64, al";
    "insb"       => "mov edx, 0x3F8; lea rdi, [rsp - 64]; insb";
    "outsb"      => "mov edx, 0x3F8; mov rsi, rsp; outsb";
    "rep-insb"   => "mov edx, 0x3F8; lea rdi, [rsp - 64]; mov ecx, 8; rep insb";
    "rep-outsd"  => "mov edx, 0xCF8; mov rsi, rsp; mov ecx, 2; rep outsd";

    // Virtual machines, enclaves, system management.
    "vmcall"     => "vmcall";
    "vmmcall"    => "vmmcall";
    "vmlaunch"   => "vmlaunch";
    "vmxoff"     => "vmxoff";
    "vmxon"      => "vmxon [rsp]";
    "vmptrst"    => "vmptrst [rsp]";
    "vmread"     => "xor eax, eax; vmread rcx, rax";
    "vmrun"      => "xor eax, eax; vmrun rax";
    "vmload"     => "xor eax, eax; vmload rax";
    "vmsave"     => "xor eax, eax; vmsave rax";
    "stgi"       => "stgi";
    "clgi"       => "clgi";
    "skinit"     => "xor eax, eax; skinit eax";
    "invlpga"    => "xor eax, eax; xor ecx, ecx; invlpga rax, ecx";
    "encls"      => "encls";
    "enclu"      => "xor eax, eax; enclu";
    "getsec"     => "xor eax, eax; getsec";

    // Waiting without the kernel. `umwait` and `tpause` are for ring 3; an interrupt ends them, so
    // the deadline does. So do monitorx and mwaitx.
    "monitor"    => "mov rax, rsp; xor ecx, ecx; xor edx, edx; monitor";
    "mwait"      => "xor eax, eax; xor ecx, ecx; mwait";
    "monitorx"   => "mov rax, rsp; xor ecx, ecx; xor edx, edx; monitorx";
    "mwaitx"     => "xor eax, eax; xor ecx, ecx; mwaitx";
    "umonitor"   => "mov rax, rsp; umonitor rax";
    "umwait"     => "xor eax, eax; xor edx, edx; xor ecx, ecx; umwait ecx";
    "tpause"     => "xor eax, eax; xor edx, edx; xor ecx, ecx; tpause ecx";

    // Features that are not switched on: protection keys, shadow stacks, user interrupts.
    "rdpkru"     => "xor ecx, ecx; rdpkru";
    "wrpkru"     => "xor eax, eax; xor ecx, ecx; xor edx, edx; wrpkru";
    "wrssq"      => "wrssq [rsp], rax";
    "setssbsy"   => "setssbsy";
    "stui"       => ".byte 0xF3, 0x0F, 0x01, 0xEF";

    // Segment bases, where ring 3 may set them.
    "fs-base-kernel"        => "mov rax, 0xFFFFFFFF80000000; wrfsbase rax; mov rax, fs:[0]";
    "gs-base-direct-map"    => "mov rax, 0xFFFF800000000000; wrgsbase rax; mov gs:[0], rax";
    "fs-base-non-canonical" => "mov rax, 0x8000000000000000; wrfsbase rax; mov rax, fs:[0]";
    "gs-base-non-canonical" => "mov rax, 0x0000800000000000; wrgsbase rax; mov rax, gs:[0]";
};

/// `IA32_TSC_AUX`, where systems keep the number of the core: the kernel leaves it 0.
pub const RETURNING: &[(&str, Misbehave)] = returning! {
    "rdtscp" => "rdtscp; mov eax, ecx";
    "rdpid"  => "rdpid rax";
};
