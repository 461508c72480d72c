//! The process that runs the image, seen through `ptrace`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use crate::EmulatorError;
use crate::windows::{Memory, Windows};

/// The signal that stops the process for an alarm.
pub const ALARM_SIGNAL: i32 = libc::SIGUSR2;
/// How often an alarm is looked for.
const TICK: Duration = Duration::from_millis(1);
/// `PTRACE_SYSEMU`
const PTRACE_SYSEMU: libc::c_uint = 31;
/// `PTRACE_SYSEMU_SINGLESTEP`
const PTRACE_SYSEMU_STEP: libc::c_uint = 32;
/// `TRAP_TRACE`: an instruction was executed that was to be the only one.
const STEPPED: i32 = 2;

/// A stopped process.
#[derive(Debug)]
pub struct Process {
    pid: libc::pid_t,
    memory: File,
    /// Its registers; what is changed here counts when it goes on.
    pub registers: libc::user_regs_struct,
    /// Stops it after each instruction.
    pub steps: bool,
}

/// Why it stopped.
#[derive(Debug)]
pub enum Stop {
    /// A `syscall` instruction, which has not been served.
    Call,
    /// An instruction was executed.
    Step,
    /// A signal.
    Signal(libc::siginfo_t),
}

fn system(what: &'static str) -> EmulatorError {
    EmulatorError::System { what, cause: io::Error::last_os_error() }
}

/// Forks the process and stops it before the image's first instruction.
pub fn start(entry: u64, windows: &Windows) -> Result<Process, EmulatorError> {
    // SAFETY: the child only makes two system calls; this program has one thread.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(system("fork"));
    }
    if pid == 0 {
        // SAFETY: asks to be traced, and stops.
        unsafe {
            libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
            libc::raise(libc::SIGSTOP);
            libc::_exit(255);
        }
    }
    let mut status = 0;
    // SAFETY: waits for the child just made.
    unsafe { libc::waitpid(pid, &mut status, 0) };
    let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL | libc::PTRACE_O_TRACEFORK;
    // SAFETY: the child is stopped and traced.
    if unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, pid, 0, options) } != 0 {
        return Err(system("ptrace"));
    }
    tick();
    // SAFETY: an all-zero structure of numbers.
    let registers = unsafe { core::mem::zeroed() };
    let mut process = Process { pid, memory: memory(pid)?, registers, steps: false };
    process.read_registers()?;
    let stack = windows.context.common.stack;
    let segments = process.registers;
    process.registers = libc::user_regs_struct {
        rip: entry,
        rdi: windows.context_address,
        rsp: stack.address + stack.len,
        eflags: 0x202,
        cs: segments.cs,
        ss: segments.ss,
        orig_rax: u64::MAX,
        // SAFETY: an all-zero structure of numbers.
        ..unsafe { core::mem::zeroed() }
    };
    Ok(process)
}

/// The memory of a traced process.
fn memory(pid: libc::pid_t) -> Result<File, EmulatorError> {
    let memory = File::options().read(true).write(true).open(format!("/proc/{pid}/mem"));
    memory.map_err(|cause| EmulatorError::System { what: "the image's memory", cause })
}

/// Makes waiting end now and then.
fn tick() {
    extern "C" fn nothing(_: libc::c_int) {}
    let interval = libc::timeval { tv_sec: 0, tv_usec: TICK.as_micros() as i64 };
    let timer = libc::itimerval { it_interval: interval, it_value: interval };
    // SAFETY: the handler does nothing; without SA_RESTART waiting ends with EINTR.
    unsafe {
        let mut action: libc::sigaction = core::mem::zeroed();
        action.sa_sigaction = nothing as *const () as usize;
        libc::sigaction(libc::SIGALRM, &action, core::ptr::null_mut());
        libc::setitimer(libc::ITIMER_REAL, &timer, core::ptr::null_mut());
    }
}

impl Memory for Process {
    fn write(&self, address: u64, bytes: &[u8]) -> Option<()> {
        self.memory.write_all_at(bytes, address).ok()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SAFETY: ends the process, which is this one's own, and waits for that.
        unsafe {
            libc::kill(self.pid, libc::SIGKILL);
            libc::waitpid(self.pid, core::ptr::null_mut(), libc::__WALL);
        }
    }
}

impl Process {
    /// Lets the process run until it stops. `alarm` says whether it is to be stopped for one.
    pub fn run(&mut self, alarm: impl Fn() -> bool) -> Result<Stop, EmulatorError> {
        self.write_registers()?;
        let request = if self.steps { PTRACE_SYSEMU_STEP } else { PTRACE_SYSEMU };
        // SAFETY: the process is stopped and traced.
        if unsafe { libc::ptrace(request, self.pid, 0, 0) } != 0 {
            return Err(system("ptrace"));
        }
        let mut status = 0;
        // SAFETY: waits for the process.
        while unsafe { libc::waitpid(self.pid, &mut status, 0) } < 0 {
            if alarm() {
                // SAFETY: a signal to the process, which stops it before it is delivered.
                unsafe { libc::kill(self.pid, ALARM_SIGNAL) };
            }
        }
        self.read_registers()?;
        if !libc::WIFSTOPPED(status) {
            return Err(EmulatorError::Fault(format!("the process ended: {status:#x}")));
        }
        if libc::WSTOPSIG(status) == libc::SIGTRAP | 0x80 {
            return Ok(Stop::Call);
        }
        // SAFETY: an all-zero structure, which the call writes.
        let mut info: libc::siginfo_t = unsafe { core::mem::zeroed() };
        // SAFETY: the process is stopped for a signal.
        unsafe { libc::ptrace(libc::PTRACE_GETSIGINFO, self.pid, 0, &mut info) };
        if self.steps && info.si_signo == libc::SIGTRAP && info.si_code == STEPPED {
            return Ok(Stop::Step);
        }
        Ok(Stop::Signal(info))
    }

    /// Makes the process itself do a system call of this computer. `site` is the address of a
    /// `syscall` instruction. All registers are as before afterwards.
    pub fn inject(
        &mut self,
        site: u64,
        call: i64,
        arguments: [u64; 6],
    ) -> Result<i64, EmulatorError> {
        let saved = self.registers;
        let [rdi, rsi, rdx, r10, r8, r9] = arguments;
        self.registers = libc::user_regs_struct {
            rip: site,
            rax: call as u64,
            rdi,
            rsi,
            rdx,
            r10,
            r8,
            r9,
            orig_rax: u64::MAX,
            ..saved
        };
        self.write_registers()?;
        // The first step may only leave the call in which the process was stopped.
        while self.registers.rip == site {
            // SAFETY: the process is stopped and traced.
            if unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, self.pid, 0, 0) } != 0 {
                return Err(system("ptrace"));
            }
            let mut status = 0;
            // SAFETY: waits for the process.
            while unsafe { libc::waitpid(self.pid, &mut status, 0) } < 0 {}
            self.read_registers()?;
        }
        let result = self.registers.rax as i64;
        self.registers = saved;
        Ok(result)
    }

    /// Makes a second process that is as this one, stopped, too. `site` as in [`Self::inject`].
    pub fn fork(&mut self, site: u64) -> Result<Self, EmulatorError> {
        let saved = self.registers;
        self.registers = libc::user_regs_struct {
            rip: site,
            rax: libc::SYS_fork as u64,
            orig_rax: u64::MAX,
            ..saved
        };
        self.write_registers()?;
        let mut child: libc::c_ulong = 0;
        let mut is_in_call = true;
        // The call is only left by the step behind the one that tells of the child.
        while is_in_call {
            // SAFETY: the process is stopped and traced.
            if unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, self.pid, 0, 0) } != 0 {
                return Err(system("ptrace"));
            }
            let mut status = 0;
            // SAFETY: waits for the process.
            while unsafe { libc::waitpid(self.pid, &mut status, 0) } < 0 {}
            is_in_call = child == 0;
            if status >> 16 == libc::PTRACE_EVENT_FORK {
                // SAFETY: the process is stopped by this event; the call writes its number.
                unsafe { libc::ptrace(libc::PTRACE_GETEVENTMSG, self.pid, 0, &mut child) };
            }
            self.read_registers()?;
        }
        self.registers = saved;
        let pid = child as libc::pid_t;
        let mut status = 0;
        // SAFETY: waits for the process just made, which stops at once.
        while unsafe { libc::waitpid(pid, &mut status, libc::__WALL) } < 0 {}
        Ok(Self { pid, memory: memory(pid)?, registers: saved, steps: self.steps })
    }

    /// Its number.
    pub fn number(&self) -> libc::pid_t {
        self.pid
    }

    /// Reads memory of the process.
    pub fn read(&self, address: u64, len: u64) -> Option<Vec<u8>> {
        let mut bytes = vec![0; len as usize];
        self.memory.read_exact_at(&mut bytes, address).ok()?;
        Some(bytes)
    }

    fn read_registers(&mut self) -> Result<(), EmulatorError> {
        // SAFETY: the process is stopped; the structure is the one the call writes.
        match unsafe { libc::ptrace(libc::PTRACE_GETREGS, self.pid, 0, &mut self.registers) } {
            0 => Ok(()),
            _ => Err(system("ptrace")),
        }
    }

    fn write_registers(&mut self) -> Result<(), EmulatorError> {
        // SAFETY: as above, for reading.
        match unsafe { libc::ptrace(libc::PTRACE_SETREGS, self.pid, 0, &self.registers) } {
            0 => Ok(()),
            _ => Err(system("ptrace")),
        }
    }
}
