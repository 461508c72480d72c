//! Preparing a program, and beginning an instance of it.
//!
//! [`Os::prepare`] runs once, at deploy; the kernel then freezes everything. [`Os::begin`] runs in
//! each instance, before the program's first instruction: what differs from one to the next is set
//! there.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use linux_files::{Access, Files, Owner, Settings};

use super::elf::{self, Executable};
use super::place::{self, Places};
use super::reject::Reject;
use super::{map, process, stack};
use crate::frame::Frame;
use crate::limits::{ARGUMENT_LEN_MAX, INODES_MAX, STACK_LEN};
use crate::memory::regions::{PAGE, Protection, Region, Source};
use crate::native::{Instance, Native};
use crate::os::Os;
use crate::random::{Random, SEED_LEN};
use crate::signal;

/// Where the code of an action is, and where programs begin.
pub(crate) const ACTION: &[u8] = b"/action";
/// Where a function's code is that is no archive, and its permissions.
pub(crate) const SOURCE: &[u8] = b"/action/source";
pub(crate) const SOURCE_MODE: u32 = 0o644;
/// Where a runtime is.
const RUNTIME: &[u8] = b"/runtime";
/// What the deployed file is called there, if it is no archive.
const EXECUTABLE: &[u8] = b"/exec";
/// Permissions of an executable.
const EXECUTABLE_MODE: u32 = 0o755;
/// What a zip begins with.
pub(crate) const ZIP: &[u8] = b"PK";
/// What the environment says if the program is to be frozen at its input, not at its start.
const AT_INPUT: &[u8] = b"HOSTKERNEL_INIT=input";
/// What it says of a program to which functions will be brought later.
const IS_RUNTIME: &[u8] = b"HOSTKERNEL_STAGE=runtime";
/// Bytes of a command line of the usual length.
const COMMAND_LINE_LEN: usize = 512;
/// Flags of a program that begins: interrupts are on, bit 1 is always set.
const FLAGS: u64 = 0x202;

/// What preparing needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Preparation {
    /// The deployed file.
    pub payload: &'static [u8],
    /// Environment of the preparation, each entry with its NUL.
    pub environment: &'static [u8],
    /// Where the library with the time functions is.
    pub vdso: u64,
    /// Random bytes for the layout.
    pub seed: [u8; SEED_LEN],
    /// Memory limit in bytes.
    pub memory_limit: u64,
    /// What the processor offers: `AT_HWCAP`, `AT_HWCAP2`.
    pub hardware: [u64; 2],
}

/// A program that was prepared.
#[derive(Clone, Copy, Debug)]
pub struct Prepared {
    /// The first instruction: the program's, or that of its interpreter.
    start: u64,
    stack_end: u64,
    vector: stack::Vector,
    /// The program runs up to its input before it is frozen.
    pub at_input: bool,
}

impl<N: Native> Os<N> {
    /// Loads the program.
    ///
    /// # Errors
    /// [`Reject`]
    pub fn prepare(&mut self, preparation: &Preparation) -> Result<Prepared, Reject> {
        let says =
            |what: &[u8]| preparation.environment.split(|byte| *byte == 0).any(|e| e == what);
        let is_archive = preparation.payload.starts_with(ZIP);
        let is_whole = is_archive && process::is_whole(preparation.payload);
        let root = match is_whole {
            _ if says(IS_RUNTIME) => RUNTIME,
            true => process::ROOT,
            false => ACTION,
        };
        self.files.output.set_runtime(says(IS_RUNTIME));
        self.space.set_payload(preparation.payload);
        self.identity.memory_limit = preparation.memory_limit;
        let settings = Settings {
            owner: Owner { user: 0, group: 0 },
            bytes_max: preparation.memory_limit,
            inodes_max: INODES_MAX,
        };
        let files = Files::new(&settings).map_err(|_| Reject::NoMemory)?;
        let files = self.files.files.insert(files);
        files.make_directory(ACTION).map_err(|_| Reject::NoMemory)?;
        let file = match is_archive {
            true => {
                files
                    .mount(preparation.payload, root, Access::Writable)
                    .map_err(|why| Reject::archive(preparation.payload, why))?;
                self.find_program(root)?
            }
            false => {
                let path = [root, EXECUTABLE].concat();
                files
                    .insert(&path, preparation.payload, EXECUTABLE_MODE)
                    .map_err(|_| Reject::NoMemory)?;
                self.identity.set_path(&path);
                self.identity.called = path;
                preparation.payload
            }
        };
        self.with_files(|io| Ok(io.files.chdir(io.host, ACTION)?)).map_err(|_| Reject::NoMemory)?;
        if root == process::ROOT {
            self.read_process()?;
        }
        Ok(Prepared { at_input: says(AT_INPUT), ..self.load(file, preparation)? })
    }

    fn load(&mut self, file: &'static [u8], given: &Preparation) -> Result<Prepared, Reject> {
        let executable = elf::parse(file)?;
        // Another stream than the one the program draws from.
        let mut random = Random::new();
        random.seed(given.seed.map(|byte| !byte));
        let mut words = [[0; 8]; 3];
        words.iter_mut().for_each(|word| random.fill(word));
        let align = executable.movable_by.unwrap_or(PAGE);
        let places = place::places(words.map(u64::from_le_bytes), align);
        let base = executable.movable_by.map_or(0, |_| places.base);
        map::segments(&mut self.space, &mut self.native, &executable, file, base)?;
        self.lay_out(&executable, base, &places)?;
        let (start, interpreter) = match executable.interpreter {
            Some(path) => self.load_interpreter(path)?,
            None => (executable.entry + base, 0),
        };
        if given.vdso != 0 {
            // A page of the library OS's image that the program may execute.
            let (end, protection) = (given.vdso + PAGE, Protection::EXECUTE);
            self.space.regions.insert(given.vdso, Region { end, protection, source: Source::Vdso });
        }
        // So that most instances need no memory for it.
        self.identity.command_line.reserve(COMMAND_LINE_LEN);
        self.identity.image = file;
        self.identity.base = base;
        self.threads.begin(0);
        let loaded = stack::Loaded {
            hardware: given.hardware,
            interpreter,
            entry: executable.entry + base,
            headers: executable.headers + base,
            header_count: executable.header_count,
            vdso: given.vdso,
            signal_stack_len: signal::stack::len_max(self.native.extended_len()),
        };
        let vector = stack::Vector::new(&loaded);
        Ok(Prepared { start, stack_end: places.stack_end, vector, at_input: false })
    }

    /// Loads what loads the program: the address of its first instruction, and its base.
    fn load_interpreter(&mut self, path: &[u8]) -> Result<(u64, u64), Reject> {
        let unusable = || Reject::interpreter(path);
        let file = self.open_whole(path).ok_or_else(|| Reject::dynamic(path))?;
        let interpreter = elf::parse(file)?;
        let align = interpreter.movable_by.ok_or_else(unusable)?;
        if interpreter.interpreter.is_some() {
            return Err(unusable());
        }
        let last = interpreter.segments.last().ok_or_else(unusable)?;
        let len = (last.address + last.memory_len).next_multiple_of(PAGE);
        // Wherever in the gap the alignment wants it.
        let gap = len.checked_add(align).and_then(|len| self.space.gap(len));
        let base = gap.ok_or(Reject::NoMemory)?.next_multiple_of(align);
        map::segments(&mut self.space, &mut self.native, &interpreter, file, base)?;
        Ok((interpreter.entry + base, base))
    }

    /// Stack, heap, and where mappings go.
    fn lay_out(
        &mut self,
        executable: &Executable<'_>,
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
        let (seed, input) = (instance.seed, instance.input);
        let given = match &self.identity.process {
            Some(process) => Given::Whole(&process.arguments),
            None if instance.arguments.is_empty() => Given::Input(input),
            None => Given::Whole(instance.arguments),
        };
        let mut line = core::mem::take(&mut self.identity.command_line);
        arguments(&mut line, &self.identity.called, &given);
        self.identity.command_line = line;
        self.adopt(instance);
        let environment = self.identity.environment;
        if let Some(files) = &mut self.files.files
            && !self.is_preparing
        {
            files.set_input(input);
        }
        let start = stack::Start {
            end: prepared.stack_end,
            path: self.identity.path(),
            arguments: &self.identity.command_line,
            environment,
            random: stack_random(&seed),
            vector: &prepared.vector,
        };
        let rsp = stack::build(&mut self.space, &start).map_err(|_| Reject::NoMemory)?;
        Ok(Frame { rip: prepared.start, rsp, flags: FLAGS, ..Frame::zero() })
    }
}

impl<N: Native> Os<N> {
    /// Makes the process another one.
    pub(crate) fn adopt(&mut self, instance: Instance) {
        /// Numbers of processes begin above this: 1 would be the first process, which some treat
        /// as special.
        const PROCESS_MIN: u64 = 2;
        const PROCESS_SPAN: u64 = (1 << 22) - PROCESS_MIN;
        let wanted = (PROCESS_MIN + instance.number % PROCESS_SPAN) as u32;
        self.is_preparing = instance.number == 0;
        self.identity.process_id = self.threads.adopt(wanted);
        self.identity.memory_limit = instance.memory_limit;
        self.identity.wall_offset_ns = instance.wall_offset_ns;
        self.identity.start_ns = self.native.now_ns();
        let environment = match self.is_preparing {
            true => self.expect_warming(instance.environment),
            false => self.meet_client(instance.environment, instance.input),
        };
        self.identity.environment = self.identity.environment_with(environment);
        self.files.random.seed(instance.seed);
        self.files.output.begin(instance.output, self.is_preparing);
    }
}

/// The program's own 16 random bytes: the halves of the seed, of which the generator only shows
/// what it makes of both.
fn stack_random(seed: &[u8; SEED_LEN]) -> [u8; stack::RANDOM_LEN] {
    let (words, _) = seed.as_chunks::<8>();
    let word = |at: usize| u64::from_le_bytes(words[at]);
    let mixed = [word(0) ^ word(3).rotate_left(3), word(1) ^ word(2).rotate_left(3)];
    let mut random = [0; stack::RANDOM_LEN];
    for (place, word) in random.as_chunks_mut::<8>().0.iter_mut().zip(mixed) {
        *place = word.to_le_bytes();
    }
    random
}

/// What follows the path in a command line.
enum Given<'a> {
    /// This, each argument with its NUL.
    Whole(&'a [u8]),
    /// The input, as one argument, if it is short.
    Input(&'a [u8]),
}

/// Makes the command line: the path, then what was given.
fn arguments(line: &mut Vec<u8>, path: &[u8], given: &Given<'_>) {
    let (Given::Whole(bytes) | Given::Input(bytes)) = given;
    line.clear();
    line.reserve(path.len() + bytes.len() + 2);
    line.extend_from_slice(path);
    line.push(0);
    match given {
        Given::Whole(bytes) => line.extend_from_slice(bytes),
        Given::Input(input)
            if !input.is_empty() && input.len() <= ARGUMENT_LEN_MAX && !input.contains(&0) =>
        {
            line.extend_from_slice(input);
            line.push(0);
        }
        Given::Input(_) => {}
    }
}
