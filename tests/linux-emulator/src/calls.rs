//! The native calls, answered with what this computer offers.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;

use action_abi::host::{Reflection, UpcallFrame};
use action_abi::{Call, CallError, protection};

use crate::count::Count;
use crate::process::{Process, Stop};
use crate::windows::{Beginning, Memory, Windows, now_ns};
use crate::{EmulatorError, pages};

/// Bytes of the `syscall` instruction.
pub const SYSCALL_LEN: u64 = 2;

/// In the environment: the numbers of the calls are printed.
const KINDS: &str = "CALLS";

/// An instance and its kernel.
#[derive(Debug)]
pub struct Machine {
    pub process: Process,
    windows: Windows,
    /// By the number that the image's process knows it by, too: all share one.
    payload: Rc<File>,
    pub reflection: Reflection,
    /// The alarm that is set, 0 for none.
    pub alarm_ns: u64,
    result: Vec<u8>,
    plan: Plan,
    count: Count,
    /// The runtime as it was frozen, if its pages are to be compared.
    runtime: Option<Process>,
}

/// What follows when the image freezes.
#[derive(Debug, Default)]
pub struct Plan {
    /// The function of a runtime, once: its code, and what its stage begins with.
    pub function: Option<(File, Beginning)>,
    /// Then the instances, one after the other.
    pub instances: Vec<Beginning>,
}

impl Machine {
    pub fn new(process: Process, windows: Windows, payload: File, plan: Plan) -> Self {
        Self {
            process,
            windows,
            payload: Rc::new(payload),
            reflection: Reflection::default(),
            alarm_ns: 0,
            result: Vec::new(),
            plan,
            count: Count::default(),
            runtime: None,
        }
    }

    /// Runs the image to its exit, and every instance; the first status that is not 0.
    pub fn run(mut self) -> Result<u8, EmulatorError> {
        loop {
            let alarm_ns = self.alarm_ns;
            let due = || alarm_ns != 0 && alarm_ns <= now_ns();
            match self.process.run(due)? {
                Stop::Call if self.is_declared(self.process.registers.rip - SYSCALL_LEN) => {
                    if let Some(status) = self.native_call()? {
                        return Ok(status);
                    }
                }
                Stop::Call => {
                    self.count.call(self.process.registers.orig_rax);
                    self.reflect_call();
                }
                Stop::Step => self.count.step(self.process.registers.rip),
                Stop::Signal(info) => self.signal(&info)?,
            }
        }
    }

    /// Whether code at this address makes native calls.
    pub fn is_declared(&self, address: u64) -> bool {
        let code = self.reflection.code;
        code.len == 0 || address.checked_sub(code.address).is_some_and(|at| at < code.len)
    }

    /// Continues a foreign call at the image's handler.
    fn reflect_call(&mut self) {
        let handler = self.reflection.syscall_handler;
        let registers = &mut self.process.registers;
        registers.rax = registers.orig_rax;
        registers.orig_rax = u64::MAX;
        registers.rip = handler;
        registers.eflags = 0x202;
    }

    /// Answers a native call; `Some` if it was the last.
    fn native_call(&mut self) -> Result<Option<u8>, EmulatorError> {
        let registers = self.process.registers;
        let number = registers.orig_rax;
        let [one, two, three, four] = [registers.rdi, registers.rsi, registers.rdx, registers.r10];
        let answer = match Call::from_number(number) {
            Some(Call::Exit) => return self.exit(one, two).map(Some),
            Some(Call::Log) => self.log(one, two),
            Some(Call::Write) => self.append(one, two),
            Some(Call::Unmap) => self.memory(libc::SYS_munmap, [one, two, 0, 0, 0, 0]),
            Some(Call::Protect) => {
                self.memory(libc::SYS_mprotect, [one, two, protection_bits(three), 0, 0, 0])
            }
            Some(Call::MapAt) => self.map_at(one, two, three),
            Some(Call::MapPayload) => self.map_payload(one, two, three, four),
            Some(Call::Discard) => {
                let advice = libc::MADV_DONTNEED as u64;
                self.memory(libc::SYS_madvise, [one, two, advice, 0, 0, 0])
            }
            Some(Call::Reflect) => self.reflect(one),
            Some(Call::Freeze) => return self.freeze(),
            Some(Call::SetThreadPointer) => {
                self.process.registers.fs_base = one;
                Ok(0)
            }
            Some(Call::Alarm) => {
                self.alarm_ns = one;
                Ok(0)
            }
            Some(Call::Sleep) => Ok(self.sleep(one)),
            Some(Call::Report) => self.report(one, two, three),
            // Nobody waits for what leaves early.
            Some(Call::Flush) => Ok(0),
            Some(Call::Map) | None => Err(CallError::UnknownCall),
        };
        let registers = &mut self.process.registers;
        registers.rax = answer.unwrap_or_else(CallError::to_result);
        registers.orig_rax = u64::MAX;
        Ok(None)
    }

    fn exit(&mut self, status: u64, output_len: u64) -> Result<u8, EmulatorError> {
        let output = self.windows.context.common.output.address;
        if self.process.steps {
            self.count.print();
        }
        if std::env::var_os(KINDS).is_some() {
            self.count.print_kinds();
        }
        let mut result = core::mem::take(&mut self.result);
        if result.is_empty() {
            result = self.process.read(output, output_len).unwrap_or_default();
        }
        std::io::stdout()
            .write_all(&result)
            .map_err(|cause| EmulatorError::System { what: "standard output", cause })?;
        Ok(status as u8)
    }

    fn bytes(&self, address: u64, len: u64) -> Result<Vec<u8>, CallError> {
        self.process.read(address, len).ok_or(CallError::BadAddress)
    }

    fn log(&mut self, address: u64, len: u64) -> Result<u64, CallError> {
        let bytes = self.bytes(address, len)?;
        // A log that nobody reads is none of the image's business.
        let _ = std::io::stderr().write_all(&bytes);
        Ok(len)
    }

    fn append(&mut self, address: u64, len: u64) -> Result<u64, CallError> {
        let bytes = self.bytes(address, len)?;
        self.result.extend(bytes);
        Ok(len)
    }

    /// Makes a call about memory in the image's process.
    fn memory(&mut self, call: i64, arguments: [u64; 6]) -> Result<u64, CallError> {
        let site = self.process.registers.rip - SYSCALL_LEN;
        match self.process.inject(site, call, arguments) {
            Ok(result) if result >= 0 => Ok(arguments[0]),
            Ok(result) if result == -i64::from(libc::ENOMEM) => Err(CallError::OutOfMemory),
            _ => Err(CallError::BadArgument),
        }
    }

    fn map_at(&mut self, address: u64, len: u64, bits: u64) -> Result<u64, CallError> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_NORESERVE;
        let arguments = [address, len, protection_bits(bits), flags as u64, u64::MAX, 0];
        self.memory(libc::SYS_mmap, arguments)
    }

    fn map_payload(
        &mut self,
        address: u64,
        len: u64,
        bits: u64,
        offset: u64,
    ) -> Result<u64, CallError> {
        let file_len = self.windows.context.payload.len;
        if offset + len > file_len.next_multiple_of(crate::windows::PAGE) {
            return Err(CallError::BadArgument);
        }
        let flags = (libc::MAP_PRIVATE | libc::MAP_FIXED) as u64;
        let file = self.payload.as_raw_fd() as u64;
        let arguments = [address, len, protection_bits(bits), flags, file, offset];
        self.memory(libc::SYS_mmap, arguments)
    }

    fn reflect(&mut self, address: u64) -> Result<u64, CallError> {
        let bytes = self.bytes(address, size_of::<Reflection>() as u64)?;
        let bytes = bytes.as_slice().try_into().map_err(|_| CallError::BadAddress)?;
        self.reflection = Reflection::from_bytes(bytes);
        Ok(0)
    }

    /// Goes on as what is made of the template would: the next stage, or each of the instances in a
    /// fork of its own. `Some` if they all have ended.
    fn freeze(&mut self) -> Result<Option<u8>, EmulatorError> {
        if let Some((code, beginning)) = self.plan.function.take() {
            let system = |cause| EmulatorError::System { what: "the function's length", cause };
            self.windows.context.payload.len = code.metadata().map_err(system)?.len();
            self.payload = Rc::new(code);
            if std::env::var_os("PAGES").is_some() {
                let site = self.process.registers.rip - SYSCALL_LEN;
                self.runtime = Some(self.process.fork(site)?);
            }
            self.begin(&beginning)?;
            return Ok(None);
        }
        let site = self.process.registers.rip - SYSCALL_LEN;
        if let Some(runtime) = &self.runtime {
            pages::print(runtime, &self.process);
        }
        let mut first_failure = 0;
        for beginning in core::mem::take(&mut self.plan.instances) {
            let mut instance = Self {
                process: self.process.fork(site)?,
                windows: self.windows.clone(),
                payload: Rc::clone(&self.payload),
                reflection: self.reflection,
                alarm_ns: 0,
                result: self.result.clone(),
                plan: Plan::default(),
                count: Count::default(),
                runtime: None,
            };
            instance.process.steps = std::env::var_os("COUNT").is_some();
            instance.begin(&beginning)?;
            let status = instance.run()?;
            if first_failure == 0 {
                first_failure = status;
            }
        }
        Ok(Some(first_failure))
    }

    /// Continues behind the freeze as what begins so.
    fn begin(&mut self, beginning: &Beginning) -> Result<(), EmulatorError> {
        self.alarm_ns = 0;
        self.windows.fill(&self.process, beginning)?;
        self.process.registers.rax = beginning.instance;
        self.process.registers.orig_rax = u64::MAX;
        Ok(())
    }

    /// Sleeps, at most until the alarm, which then is due inside declared code.
    fn sleep(&mut self, until_ns: u64) -> u64 {
        let alarm = if self.alarm_ns == 0 { u64::MAX } else { self.alarm_ns };
        let until = until_ns.min(alarm);
        loop {
            let left = until.saturating_sub(now_ns());
            if left == 0 {
                break;
            }
            std::thread::sleep(Duration::from_nanos(left));
        }
        if alarm <= now_ns() {
            self.note_alarm();
        }
        0
    }

    /// Notes that an alarm was due inside declared code.
    pub fn note_alarm(&mut self) {
        self.alarm_ns = 0;
        let at = self.reflection.frame + core::mem::offset_of!(UpcallFrame, pending_alarm) as u64;
        // A frame that cannot be written is noticed at the next upcall.
        let _ = self.process.write(at, &1_u64.to_le_bytes());
    }

    fn report(&mut self, kind: u64, address: u64, len: u64) -> Result<u64, CallError> {
        let bytes = self.bytes(address, len)?;
        let text = String::from_utf8(bytes).map_err(|_| CallError::BadArgument)?;
        eprintln!("report: {kind}: {text}");
        Ok(0)
    }
}

/// Protections as this computer's bits.
fn protection_bits(bits: u64) -> u64 {
    let bit = |bit, linux: i32| if bits & bit != 0 { linux as u64 } else { 0 };
    bit(protection::READ, libc::PROT_READ)
        | bit(protection::WRITE, libc::PROT_WRITE | libc::PROT_READ)
        | bit(protection::EXECUTE, libc::PROT_EXEC | libc::PROT_READ)
}
