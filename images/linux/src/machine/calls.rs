//! The native calls, and the instructions that only the machine has.

use core::arch::asm;
use core::arch::x86_64::{__cpuid_count, _rdtsc};
use core::fmt::Write;
use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};
use core::slice;

use action_abi::host::{FEATURE_FSGSBASE, HostContext, Moment, Reflection};
use action_abi::{Call, CallError, PAGE_LEN, Range, Stream, protection};
use linux_os::memory::PAYLOAD;
use linux_os::native::{Extended, Instance, Native, Report};

use super::heap;

/// Exit status after a panic of the library OS itself.
const STATUS_PANIC: u32 = 101;

/// The kernel, as the library OS sees it.
#[derive(Debug)]
pub struct Calls {
    context: *const HostContext,
    /// The processor lets ring 3 set FS.
    has_fsgsbase: bool,
    /// Base of FS, where it cannot be read.
    pointer: u64,
    /// The processor has `xsave`, and the kernel has switched it on.
    has_xsave: bool,
    extended_len: usize,
    /// Where the next payload is mapped.
    next_payload: u64,
}

/// Bytes that `fxsave` writes.
const LEGACY_LEN: usize = 512;

impl Calls {
    pub const fn new() -> Self {
        Self {
            context: core::ptr::null(),
            has_fsgsbase: false,
            pointer: 0,
            has_xsave: false,
            extended_len: LEGACY_LEN,
            next_payload: PAYLOAD,
        }
    }

    /// Takes the context, and looks what the processor has.
    ///
    /// # Safety
    /// The kernel passed this pointer.
    pub unsafe fn begin(&mut self, context: *const HostContext) {
        /// `CPUID.1:ECX.OSXSAVE` (SDM volume 1, 13.2).
        const OSXSAVE: u32 = 1 << 27;
        self.context = context;
        self.has_fsgsbase = self.context().features & FEATURE_FSGSBASE != 0;
        self.has_xsave = __cpuid_count(1, 0).ecx & OSXSAVE != 0;
        if self.has_xsave {
            self.extended_len = __cpuid_count(0xd, 0).ebx as usize;
        }
    }

    /// What this instance begins with.
    ///
    /// # Safety
    /// What an earlier call gave must not be used any more.
    pub unsafe fn instance(&self) -> Instance {
        let context = self.context();
        let common = &context.common;
        let clock = common.clock;
        // SAFETY: windows that the kernel mapped for the length of the invocation; those that are
        // only read nobody writes, and the output is nobody else's, as the caller promises.
        unsafe {
            Instance {
                number: context.instance,
                seed: common.random_seed,
                input: bytes(common.input),
                output: slice::from_raw_parts_mut(
                    with_exposed_provenance_mut(common.output.address as usize),
                    common.output.len as usize,
                ),
                arguments: bytes(context.arguments),
                environment: bytes(common.environment),
                memory_limit: common.memory_limit,
                wall_offset_ns: clock.start_wall_ns.saturating_sub(clock.start_ns),
            }
        }
    }

    /// What the kernel says about this instance now.
    pub fn context(&self) -> HostContext {
        // SAFETY: `begin` took the kernel's pointer; its pages stay mapped. By value, since
        // freezing replaces them.
        unsafe { self.context.read() }
    }
}

/// Makes a call whose arguments change no memory that Rust code holds.
///
/// # Safety
/// The call must not take away or change the protection of memory that is still in use.
unsafe fn call(call: Call, arguments: [u64; 4]) -> Result<u64, CallError> {
    let result;
    // SAFETY: the contract preserves every register but rax, rcx and r11; what the call does to
    // memory is the caller's promise.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") call as u64 => result,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            in("r10") arguments[3],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    CallError::check(result)
}

/// Ends the invocation.
pub fn exit(status: u32, output_len: usize) -> ! {
    // SAFETY: nothing is in use afterwards; the call does not return.
    let _ = unsafe { call(Call::Exit, [u64::from(status), output_len as u64, 0, 0]) };
    loop {
        core::hint::spin_loop();
    }
}

/// Tells the kernel where the program's calls and exceptions go.
pub fn reflect(reflection: &Reflection) -> Result<(), CallError> {
    // SAFETY: reads the structure.
    unsafe { call(Call::Reflect, [core::ptr::from_ref(reflection) as u64, 0, 0, 0]) }.map(drop)
}

/// The bytes of a range.
///
/// # Safety
/// They must be mapped readable, and stay so unchanged as long as they are used.
pub unsafe fn bytes(range: Range) -> &'static [u8] {
    if range.len == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe {
        slice::from_raw_parts(with_exposed_provenance(range.address as usize), range.len as usize)
    }
}

/// Logs a panic and ends the invocation.
pub fn panicked(info: &core::panic::PanicInfo<'_>) -> ! {
    /// The log, without memory of its own.
    struct Log;
    impl Write for Log {
        fn write_str(&mut self, text: &str) -> core::fmt::Result {
            Calls::new().log(text.as_bytes(), Stream::Stderr);
            Ok(())
        }
    }
    // A log that is full has no other place to be told.
    let _ = writeln!(Log, "the Linux library OS failed: {info}");
    exit(STATUS_PANIC, 0)
}

impl Native for Calls {
    fn map_at(&mut self, address: u64, len: u64, protection: u64) -> Result<(), CallError> {
        // SAFETY: only `Space` calls this, for pages of the program, of which it holds no reference
        // meanwhile.
        unsafe { call(Call::MapAt, [address, len, protection, 0]) }.map(drop)
    }

    fn map_payload(
        &mut self,
        address: u64,
        len: u64,
        protection: u64,
        offset: u64,
    ) -> Result<(), CallError> {
        // SAFETY: as above.
        unsafe { call(Call::MapPayload, [address, len, protection, offset]) }.map(drop)
    }

    fn protect(&mut self, address: u64, len: u64, protection: u64) -> Result<(), CallError> {
        // SAFETY: as above.
        unsafe { call(Call::Protect, [address, len, protection, 0]) }.map(drop)
    }

    fn unmap(&mut self, address: u64, len: u64) -> Result<(), CallError> {
        // SAFETY: as above.
        unsafe { call(Call::Unmap, [address, len, 0, 0]) }.map(drop)
    }

    fn discard(&mut self, address: u64, len: u64) -> Result<(), CallError> {
        // SAFETY: as above.
        unsafe { call(Call::Discard, [address, len, 0, 0]) }.map(drop)
    }

    fn payload(&mut self) -> Result<&'static [u8], CallError> {
        /// Bytes between payloads that are not mapped.
        const GAP: u64 = PAGE_LEN as u64;
        let (address, len) = (self.next_payload, self.context().payload.len);
        let mapped = len.next_multiple_of(PAGE_LEN as u64);
        if mapped == 0 {
            return Ok(&[]);
        }
        self.map_payload(address, mapped, protection::READ, 0)?;
        self.next_payload = address + mapped + GAP;
        // SAFETY: just mapped where nothing was, and never changed: it is not the program's to map.
        Ok(unsafe { bytes(Range { address, len }) })
    }

    fn freeze(&mut self, at: Moment, _: &'static mut [u8]) -> Result<Instance, CallError> {
        // SAFETY: memory is the same behind the call, but for the kernel's windows, which the
        // caller gave back.
        unsafe { call(Call::Freeze, [at.flags(), 0, 0, 0]) }?;
        heap::resize(self.context().common.heap);
        // SAFETY: as above.
        Ok(unsafe { self.instance() })
    }

    fn alarm(&mut self, at_ns: u64) {
        // SAFETY: touches no memory. Without an alarm a thread only runs longer.
        let _ = unsafe { call(Call::Alarm, [at_ns, 0, 0, 0]) };
    }

    fn sleep(&mut self, until_ns: u64) {
        // SAFETY: touches no memory. Who sleeps looks at the clock afterwards.
        let _ = unsafe { call(Call::Sleep, [until_ns, 0, 0, 0]) };
    }

    fn flush(&mut self, len: usize) -> usize {
        // SAFETY: the kernel reads the result, which is only appended to from here on.
        let left = unsafe { call(Call::Flush, [len as u64, 0, 0, 0]) };
        left.map_or(0, |left| left as usize)
    }

    fn log(&mut self, bytes: &[u8], stream: Stream) {
        if bytes.is_empty() {
            return;
        }
        let arguments = [bytes.as_ptr() as u64, bytes.len() as u64, stream as u64, 0];
        // SAFETY: reads the bytes. What the log has no room for is lost, as it says.
        let _ = unsafe { call(Call::Log, arguments) };
    }

    fn report(&mut self, kind: Report, text: &str) {
        let kind = match kind {
            Report::Unsupported => action_abi::host::Report::Unsupported,
            Report::Ending => action_abi::host::Report::Reason,
            Report::Entropy => action_abi::host::Report::Entropy,
        };
        let arguments = [kind as u64, text.as_ptr() as u64, text.len() as u64, 0];
        // SAFETY: reads the text.
        let _ = unsafe { call(Call::Report, arguments) };
    }

    fn now_ns(&self) -> u64 {
        // SAFETY: as in `context`; the instruction exists on every x86-64 processor.
        let (clock, cycles) = unsafe { ((*self.context).common.clock, _rdtsc()) };
        let elapsed = u128::from(cycles.saturating_sub(clock.start_cycles));
        clock.start_ns + (elapsed * u128::from(clock.scale) >> 32) as u64
    }

    fn thread_pointer(&self) -> u64 {
        if !self.has_fsgsbase {
            return self.pointer;
        }
        let base;
        // SAFETY: reads a register, by an instruction that the kernel said exists.
        unsafe { asm!("rdfsbase {}", out(reg) base, options(nomem, nostack, preserves_flags)) };
        base
    }

    fn set_thread_pointer(&mut self, base: u64) {
        self.pointer = base;
        if self.has_fsgsbase {
            // SAFETY: this image does not use FS. Callers pass canonical addresses.
            unsafe { asm!("wrfsbase {}", in(reg) base, options(nomem, nostack, preserves_flags)) };
        } else {
            // SAFETY: touches no memory.
            let _ = unsafe { call(Call::SetThreadPointer, [base, 0, 0, 0]) };
        }
    }

    fn save_extended(&mut self, area: &mut Extended) {
        let area = area.as_mut_ptr();
        // SAFETY: the area is as long as `extended_len` says and aligned to 64 bytes. This image is
        // compiled without extended registers, so they are the program's.
        unsafe {
            match self.has_xsave {
                true => asm!("xsave64 [{}]", in(reg) area, in("eax") !0, in("edx") !0,
                    options(nostack)),
                false => asm!("fxsave64 [{}]", in(reg) area, options(nostack)),
            }
        }
    }

    fn load_extended(&mut self, area: &Extended) {
        let area = area.as_ptr();
        // SAFETY: as above; the contents were saved here, or checked when they came from a frame.
        unsafe {
            match self.has_xsave {
                true => asm!("xrstor64 [{}]", in(reg) area, in("eax") !0, in("edx") !0,
                    options(nostack, readonly)),
                false => asm!("fxrstor64 [{}]", in(reg) area, options(nostack, readonly)),
            }
        }
    }

    fn extended_len(&self) -> usize {
        self.extended_len
    }
}
