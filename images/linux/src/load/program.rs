//! Preparing a program, and beginning an instance of it.
//!
//! [`Os::prepare`] runs once, at deploy; the kernel then freezes everything. [`Os::begin`] runs in
//! each instance, before the program's first instruction: what differs from one to the next is set
//! there.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use linux_files::{Access, Files, Owner, Settings};

use super::elf::{self, Executable, Reject};
use super::place::{self, Places};
use super::{map, stack};
use crate::frame::Frame;
use crate::limits::{ARGUMENT_LEN_MAX, INODES_MAX, STACK_LEN};
use crate::memory::regions::{PAGE, Protection, Region, Source};
use crate::native::Native;
use crate::os::Os;
use crate::random::SEED_LEN;
use crate::signal;

/// Where the deployed file is, as the program sees it.
const EXECUTABLE: &[u8] = b"/action/exec";
/// Where an archive is unpacked.
const ROOT: &[u8] = b"/action";
/// Permissions of an executable.
const EXECUTABLE_MODE: u32 = 0o755;
/// What a zip begins with.
const ZIP: &[u8] = b"PK";
/// Flags of a program that begins: interrupts are on, bit 1 is always set.
const FLAGS: u64 = 0x202;

/// What preparing needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Preparation {
    /// The deployed file, readable at [`crate::memory::PAYLOAD`].
    pub payload: &'static [u8],
    /// Where the library with the time functions is.
    pub vdso: u64,
    /// Random bytes for the layout.
    pub seed: [u8; SEED_LEN],
    /// Memory limit in bytes.
    pub memory_limit: u64,
    /// What the processor offers: `AT_HWCAP`, `AT_HWCAP2`.
    pub hardware: [u64; 2],
}

/// What an instance begins with.
#[derive(Debug)]
pub struct Instance {
    /// Its number.
    pub number: u64,
    /// Random bytes.
    pub seed: [u8; SEED_LEN],
    /// Standard input.
    pub input: &'static [u8],
    /// Where the result goes.
    pub output: &'static mut [u8],
    /// Arguments of the deploy, each with its NUL.
    pub arguments: &'static [u8],
    /// Environment, each entry with its NUL.
    pub environment: &'static [u8],
    /// Memory limit in bytes.
    pub memory_limit: u64,
    /// Wall-clock time minus monotonic time.
    pub wall_offset_ns: u64,
}

/// A program that was prepared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Prepared {
    entry: u64,
    headers: u64,
    header_count: u64,
    vdso: u64,
    stack_end: u64,
    hardware: [u64; 2],
}

impl<N: Native> Os<N> {
    /// Loads the program.
    ///
    /// # Errors
    /// [`Reject`]
    pub fn prepare(&mut self, preparation: &Preparation) -> Result<Prepared, Reject> {
        self.space.layout.payload_len = preparation.payload.len() as u64;
        self.identity.memory_limit = preparation.memory_limit;
        self.files.random.seed(preparation.seed);
        let settings = Settings {
            owner: Owner { user: 0, group: 0 },
            bytes_max: preparation.memory_limit,
            inodes_max: INODES_MAX,
        };
        let mut files = Files::new(&settings).map_err(|_| Reject::NoMemory)?;
        let file = match preparation.payload.starts_with(ZIP) {
            true => {
                files
                    .mount(preparation.payload, ROOT, Access::Writable)
                    .map_err(|_| Reject::NoProgram)?;
                self.files.files = Some(files);
                self.find_program()?
            }
            false => {
                files
                    .insert(EXECUTABLE, preparation.payload, EXECUTABLE_MODE)
                    .map_err(|_| Reject::NoMemory)?;
                self.identity.executable = EXECUTABLE.to_vec();
                self.identity.called = EXECUTABLE.to_vec();
                self.files.files = Some(files);
                preparation.payload
            }
        };
        self.with_files(|io| Ok(io.files.chdir(io.host, ROOT)?)).map_err(|_| Reject::NoMemory)?;
        self.load(file, preparation)
    }

    fn load(&mut self, file: &'static [u8], given: &Preparation) -> Result<Prepared, Reject> {
        let executable = elf::parse(file)?;
        let mut random = [[0; 8]; 3];
        for word in &mut random {
            self.files.random.fill(word);
        }
        let align = executable.movable_by.unwrap_or(PAGE);
        let places = place::places(random.map(u64::from_le_bytes), align);
        let base = executable.movable_by.map_or(0, |_| places.base);
        map::segments(&mut self.space, &mut self.native, &executable, file, base)?;
        self.lay_out(&executable, base, &places)?;
        if given.vdso != 0 {
            // A page of the library OS's image that the program may execute.
            let (end, protection) = (given.vdso + PAGE, Protection::EXECUTE);
            self.space.regions.insert(given.vdso, Region { end, protection, source: Source::Vdso });
        }
        self.identity.image = file;
        self.identity.base = base;
        self.threads.begin(0);
        Ok(Prepared {
            entry: executable.entry + base,
            headers: executable.headers + base,
            header_count: executable.header_count,
            vdso: given.vdso,
            stack_end: places.stack_end,
            hardware: given.hardware,
        })
    }

    /// Stack, heap, and where mappings go.
    fn lay_out(
        &mut self,
        executable: &Executable,
        base: u64,
        places: &Places,
    ) -> Result<(), Reject> {
        let last = executable.segments.last().ok_or(Reject::Malformed)?;
        let image_end = (base + last.address + last.memory_len).next_multiple_of(PAGE);
        let layout = &mut self.space.layout;
        layout.break_start = image_end + places.heap_gap * PAGE;
        layout.break_end = layout.break_start;
        layout.mmap_top = places.mmap_top;
        let stack = places.stack_end - STACK_LEN..places.stack_end;
        self.space
            .map_zeroed(&mut self.native, stack, Protection::WRITE, Source::Stack)
            .map_err(|_| Reject::NoMemory)
    }

    /// Makes the program ready for its first instruction: its registers.
    ///
    /// # Errors
    /// [`Reject::NoMemory`] if arguments and environment do not fit.
    pub fn begin(&mut self, prepared: &Prepared, instance: Instance) -> Result<Frame, Reject> {
        /// Numbers of processes begin above this: 1 would be the first process, which some treat
        /// as special.
        const PROCESS_MIN: u64 = 2;
        const PROCESS_SPAN: u64 = (1 << 22) - PROCESS_MIN;
        let process = (PROCESS_MIN + instance.number % PROCESS_SPAN) as u32;
        self.identity.process_id = process;
        self.identity.memory_limit = instance.memory_limit;
        self.identity.wall_offset_ns = instance.wall_offset_ns;
        self.identity.start_ns = self.native.now_ns();
        self.identity.environment = instance.environment;
        self.threads.adopt(process);
        self.files.random.seed(instance.seed);
        self.files.output.set_window(instance.output);
        self.identity.command_line =
            arguments(&self.identity.called, instance.arguments, instance.input);
        if let Some(files) = &mut self.files.files {
            files.set_input(instance.input);
        }
        let mut path = [0; PATH_LEN];
        let executable = &self.identity.executable;
        path[..executable.len()].copy_from_slice(executable);
        let start = stack::Start {
            end: prepared.stack_end,
            path: &path[..=executable.len()],
            arguments: &self.identity.command_line,
            environment: instance.environment,
            random: stack_random(&instance.seed),
            hardware: prepared.hardware,
            entry: prepared.entry,
            headers: prepared.headers,
            header_count: prepared.header_count,
            vdso: prepared.vdso,
            signal_stack_len: signal::stack::len_max(self.native.extended_len()),
        };
        let rsp = stack::build(&mut self.space, &start).map_err(|_| Reject::NoMemory)?;
        Ok(Frame { rip: prepared.entry, rsp, flags: FLAGS, ..Frame::zero() })
    }
}

/// Bytes of the longest path of an executable, with its NUL.
const PATH_LEN: usize = 32;

/// The program's own 16 random bytes: the seed turned around, of which the generator only shows
/// what it makes of it.
fn stack_random(seed: &[u8; SEED_LEN]) -> [u8; stack::RANDOM_LEN] {
    core::array::from_fn(|at| seed[at] ^ seed[SEED_LEN - 1 - at].rotate_left(3))
}

/// The command line: the path, then what the deploy gave, or else the input if it is short.
fn arguments(path: &[u8], given: &[u8], input: &[u8]) -> Vec<u8> {
    let mut line = Vec::with_capacity(path.len() + given.len().max(input.len()) + 2);
    line.extend_from_slice(path);
    line.push(0);
    if !given.is_empty() {
        line.extend_from_slice(given);
    } else if !input.is_empty() && input.len() <= ARGUMENT_LEN_MAX && !input.contains(&0) {
        line.extend_from_slice(input);
        line.push(0);
    }
    line
}
