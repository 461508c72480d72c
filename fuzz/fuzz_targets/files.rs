//! The file side of the Linux library OS: any bytes as an archive, and the rest as calls on what
//! came out of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use linux_files::abi::{EpollEvent, at, open};
use linux_files::{Access, Errno, Files, Host, Memory, Owner, Region, Settings, Sink, Stop, Time};

const SETTINGS: Settings =
    Settings { owner: Owner { user: 0, group: 0 }, bytes_max: 1 << 20, inodes_max: 500 };
/// Separates the archive from the calls.
const MARK: &[u8] = b"\n---\n";
/// Names that calls choose from, beside those in the input.
const NAMES: [&str; 16] = [
    "/tmp/a",
    "/tmp/b",
    "/tmp/d",
    "/tmp/d/a",
    "a",
    "b",
    "d",
    "d/a",
    "..",
    ".",
    "/",
    "/proc/self/fd/4",
    "/proc/self/fd",
    "/proc/self/maps",
    "/dev/null",
    "/app/l",
];

struct Still(u64);

impl Host for Still {
    fn realtime(&mut self) -> Time {
        Time { seconds: 1_000_000_000, nanoseconds: 0 }
    }

    fn monotonic_ns(&mut self) -> u64 {
        self.0 += 1_000_000;
        self.0
    }

    fn random(&mut self, bytes: &mut [u8]) {
        bytes.fill(4);
    }

    fn output(&mut self, _: Sink, bytes: &[u8]) -> Result<usize, Errno> {
        Ok(bytes.len())
    }

    fn regions(&self, _: &mut dyn FnMut(&Region<'_>)) {}

    fn memory(&self) -> Memory {
        Memory::default()
    }

    fn process_id(&self) -> u32 {
        7
    }

    fn command_line(&self) -> &[u8] {
        b"exec\0"
    }

    fn environment(&self) -> &[u8] {
        b""
    }

    fn executable(&self) -> &[u8] {
        b"/app/exec"
    }

    fn processor(&self) -> &[u8] {
        b""
    }
}

/// Choices out of the input; zeros behind its end.
struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    fn next(&mut self) -> u32 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        u32::from(*first)
    }

    fn fd(&mut self) -> i32 {
        (self.next() % 12) as i32 - 1
    }

    fn len(&mut self) -> usize {
        (self.next() * self.next()) as usize
    }

    fn path(&mut self) -> &'a [u8] {
        let choice = self.next() as usize;
        if let Some(name) = NAMES.get(choice) {
            return name.as_bytes();
        }
        let (path, rest) = self.0.split_at(self.0.len().min(choice % 32));
        self.0 = rest;
        path
    }
}

fuzz_target!(|bytes: &[u8]| {
    let at = bytes.windows(MARK.len()).position(|window| window == MARK).unwrap_or(bytes.len());
    let (archive, calls) = (&bytes[..at], bytes.get(at + MARK.len()..).unwrap_or_default());
    let mut files = Files::new(&SETTINGS).expect("there is room");
    let mut host = Still(0);
    // What is refused may leave a part of a tree, which must be as good as any.
    let _ = files.mount(archive, b"/app", Access::Writable);
    let _ = files.unpack();
    files.set_input(b"the input");
    let mut choices = Choices(calls);
    while !choices.0.is_empty() {
        if let Err(Stop::NeedsInput) = call(&mut files, &mut host, &mut choices) {
            panic!("the input is there");
        }
    }
    let stat = files.statfs(&mut host, b"/tmp").expect("nobody can remove it");
    assert!(stat.blocks_free <= stat.blocks && stat.inodes_free <= stat.inodes);
});

fn call(files: &mut Files<'_>, host: &mut Still, choices: &mut Choices<'_>) -> Result<(), Stop> {
    let cwd = at::CURRENT;
    let mut bytes = [0; 5000];
    match choices.next() % 24 {
        0 | 1 => {
            let flags =
                [0, 0o102, 0o1102, 0o302, 0o2101, open::DIRECTORY, open::PATH, 0o20_200_002];
            let flags = flags[choices.next() as usize % flags.len()];
            files.openat(host, cwd, choices.path(), flags, 0o755)?;
        }
        2 => files.close(host, choices.fd())?,
        3 => drop(files.read(host, choices.fd(), &mut bytes[..choices.len() % 5000])?),
        4 => drop(files.write(host, choices.fd(), &bytes[..choices.len() % 5000])?),
        5 => drop(files.pwrite(host, choices.fd(), &bytes[..9], choices.len() as i64)?),
        6 => drop(files.lseek(choices.fd(), choices.len() as i64 - 100, choices.next() % 6)?),
        7 => files.ftruncate(host, choices.fd(), choices.len() as i64)?,
        8 => files.mkdirat(host, cwd, choices.path(), 0o755)?,
        9 => files.unlinkat(host, cwd, choices.path(), choices.next() % 2 * 0x200)?,
        10 | 11 => {
            let (from, to) = ((cwd, choices.path()), (cwd, choices.path()));
            files.renameat2(host, from, to, choices.next() % 3)?;
        }
        12 => files.linkat(host, (cwd, choices.path()), (cwd, choices.path()), 0)?,
        13 => files.symlinkat(host, choices.path(), cwd, choices.path())?,
        14 => drop(files.readlinkat(host, cwd, choices.path())?),
        15 => drop(files.fstatat(host, cwd, choices.path(), 0)?.to_bytes()),
        16 => drop(files.getdents64(choices.fd(), &mut bytes[..choices.len() % 5000])?),
        17 => files.chdir(host, choices.path())?,
        18 => drop(files.getcwd(bytes.len())?),
        19 => drop(files.pipe2(open::NONBLOCK)?),
        20 => drop(files.dup2(host, choices.fd(), choices.fd())?),
        21 => drop(files.epoll_create1(0)?),
        22 => {
            let event = EpollEvent { events: choices.next(), data: 0 };
            files.epoll_ctl(choices.fd(), choices.next() % 4, choices.fd(), event)?;
        }
        _ => {
            let mut events = [EpollEvent::default(); 3];
            files.epoll_wait(host, choices.fd(), &mut events)?;
        }
    }
    Ok(())
}
