//! What a process finds: its descriptors, `/proc`, `/dev`, `/etc`, timers, and who is told to wait.

use linux_files::abi::{EpollEvent, PollFd, at, open, ready, watch};
use linux_files::{
    Access, Errno, Files, Owner, Polled, Settings, Sink, Stop, Time, Timer, TimerChange,
};

mod host;
use host::Still;

const ROOMY: Settings =
    Settings { owner: Owner { user: 0, group: 0 }, bytes_max: 64 << 20, inodes_max: 10_000 };

struct Process {
    files: Files<'static>,
    host: Still,
}

impl Process {
    fn new() -> Self {
        Self { files: Files::new(&ROOMY).expect("there is room"), host: Still::default() }
    }

    fn open(&mut self, path: &str, flags: u32) -> Result<i32, Errno> {
        self.files.openat(&mut self.host, at::CURRENT, path.as_bytes(), flags, 0o644)
    }

    fn text(&mut self, path: &str) -> String {
        let fd = self.open(path, 0).expect("it is there");
        let mut bytes = vec![0; 10_000];
        let count = self.files.read(&mut self.host, fd, &mut bytes).expect("it can be read");
        self.files.close(&mut self.host, fd).expect("it is open");
        String::from_utf8(bytes[..count].to_vec()).expect("it is text")
    }

    fn target(&mut self, path: &str) -> String {
        let target = self.files.readlinkat(&mut self.host, at::CURRENT, path.as_bytes());
        String::from_utf8_lossy(&target.expect("it is a link")).into_owned()
    }

    fn write(&mut self, fd: i32, bytes: &[u8]) -> Result<usize, Stop> {
        self.files.write(&mut self.host, fd, bytes)
    }

    fn read(&mut self, fd: i32, len: usize) -> Result<Vec<u8>, Stop> {
        let mut bytes = vec![0; len];
        let count = self.files.read(&mut self.host, fd, &mut bytes)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    fn poll(&mut self, fd: i32, events: u32) -> Result<u32, Stop> {
        let mut polled = [PollFd { fd, events: events as u16, revents: 0 }];
        self.files.poll(&mut self.host, &mut polled)?;
        Ok(polled[0].revents.into())
    }
}

#[test]
fn the_input_is_asked_for_when_it_is_looked_at() {
    let mut process = Process::new();
    assert_eq!(process.read(0, 0), Ok(vec![]));
    assert_eq!(process.read(0, 5), Err(Stop::NeedsInput));
    assert_eq!(process.poll(0, ready::IN), Err(Stop::NeedsInput));
    assert_eq!(process.poll(0, 0), Ok(ready::HANG_UP));
    assert_eq!(process.poll(0, ready::OUT), Ok(ready::HANG_UP));
    assert_eq!(process.files.ioctl(0, 0x541b, 0), Err(Stop::NeedsInput));
    let epoll = process.files.epoll_create1(0).expect("there is room");
    let event = EpollEvent { events: ready::IN, data: 7 };
    assert_eq!(process.files.epoll_ctl(epoll, watch::ADD, 0, event), Ok(()));
    let mut events = [EpollEvent::default(); 4];
    let told = process.files.epoll_wait(&mut process.host, epoll, &mut events);
    assert_eq!(told, Err(Stop::NeedsInput));
    // Something else that is ready comes first.
    let counter = process.files.eventfd2(1, 0).expect("there is room");
    assert_eq!(process.files.epoll_ctl(epoll, watch::ADD, counter, event), Ok(()));
    let told = process.files.epoll_wait(&mut process.host, epoll, &mut events);
    assert_eq!(told, Ok(Polled { ready: 1, wake_ns: None }));
    process.files.set_input(b"the input");
    assert_eq!(process.poll(0, ready::IN), Ok(ready::IN | ready::HANG_UP));
    assert_eq!(process.read(0, 4), Ok(b"the ".to_vec()));
    // By another name it is the same stream.
    let again = process.open("/dev/stdin", 0).expect("it can be opened");
    assert_eq!(process.read(again, 100), Ok(b"input".to_vec()));
    assert_eq!(process.read(0, 100), Ok(vec![]));
    assert_eq!(process.poll(0, ready::IN), Ok(ready::HANG_UP));
    assert_eq!(process.write(0, b"x"), Err(Errno::EBADF.into()));
    assert_eq!(process.files.lseek(0, 0, 0), Err(Errno::ESPIPE));
}

#[test]
fn behind_a_piece_of_the_input_more_is_asked_for() {
    let mut process = Process::new();
    let freeze = process.open("/dev/hostkernel-freeze", 0).expect("it can be opened");
    assert_eq!(process.read(freeze, 1), Err(Stop::NeedsInput));
    process.files.set_input_piece(b"line\n");
    assert_eq!(process.files.ioctl(0, 0x541b, 0), Ok(5));
    assert_eq!(process.read(0, 100), Ok(b"line\n".to_vec()));
    assert_eq!(process.read(0, 100), Err(Stop::NeedsInput));
    assert_eq!(process.poll(0, ready::IN), Err(Stop::NeedsInput));
    assert_eq!(process.files.ioctl(0, 0x541b, 0), Err(Stop::NeedsInput));
    assert_eq!(process.read(freeze, 1), Err(Stop::NeedsInput));
    process.files.set_input(b"rest");
    assert_eq!(process.read(freeze, 1), Ok(vec![]));
    assert_eq!(process.read(0, 100), Ok(b"rest".to_vec()));
    assert_eq!(process.read(0, 100), Ok(vec![]));
}

#[test]
fn output_goes_where_its_descriptor_leads() {
    let mut process = Process::new();
    for (fd, bytes) in [(1, b"one"), (2, b"two"), (3, b"res")] {
        assert_eq!(process.write(fd, bytes), Ok(3));
    }
    let again = process.open("/dev/stderr", 1).expect("it can be opened");
    assert_eq!(process.files.writev(&mut process.host, again, &[b"a", b"", b"bc"]), Ok(3));
    let (files, host) = (&mut process.files, &mut process.host);
    assert_eq!(files.dup2(host, 2, 1), Ok(1));
    assert_eq!(process.write(1, b"turned"), Ok(6));
    let sinks: Vec<(Sink, &[u8])> =
        process.host.output.iter().map(|(sink, bytes)| (*sink, &**bytes)).collect();
    let expected: [(Sink, &[u8]); 6] = [
        (Sink::Stdout, b"one"),
        (Sink::Stderr, b"two"),
        (Sink::Result, b"res"),
        (Sink::Stderr, b"a"),
        (Sink::Stderr, b"bc"),
        (Sink::Stderr, b"turned"),
    ];
    assert_eq!(sinks, expected);
    assert_eq!(process.read(1, 1), Err(Errno::EBADF.into()));
}

#[test]
fn descriptors_are_the_lowest_there_are() {
    let mut process = Process::new();
    let (null, zero) = (process.open("/dev/null", 2), process.open("/dev/zero", 0));
    assert_eq!((null, zero), (Ok(4), Ok(5)));
    let (files, host) = (&mut process.files, &mut process.host);
    assert_eq!(files.close(host, 1), Ok(()));
    assert_eq!(files.close(host, 1), Err(Errno::EBADF));
    assert_eq!(files.dup(4), Ok(1));
    assert_eq!(files.fcntl(4, 0, 100), Ok(100));
    assert_eq!(files.fcntl(4, 0, 100), Ok(101));
    assert_eq!(files.fcntl(4, 0, 1024), Err(Errno::EINVAL));
    assert_eq!(files.fcntl(4, 1030, 0), Ok(6));
    assert_eq!((files.fcntl(6, 1, 0), files.fcntl(4, 1, 0)), (Ok(1), Ok(0)));
    assert_eq!(files.dup3(host, 4, 4, 0), Err(Errno::EINVAL));
    assert_eq!(files.dup2(host, 4, 4), Ok(4));
    assert_eq!(files.dup2(host, 99, 99), Err(Errno::EBADF));
    assert_eq!(files.dup2(host, 4, 1024), Err(Errno::EBADF));
    assert_eq!(files.dup2(host, 4, -1), Err(Errno::EBADF));
    assert_eq!(files.dup3(host, 5, 101, open::CLOSE_ON_EXEC), Ok(101));
    assert_eq!(files.close_range(host, 7, u32::MAX, 0), Ok(()));
    assert_eq!(files.dup(100), Err(Errno::EBADF));
    assert_eq!(files.set_descriptors_max(8), Ok(()));
    assert_eq!((files.dup(4), files.dup(4)), (Ok(7), Err(Errno::EMFILE)));
    assert_eq!(files.pipe2(0), Err(Errno::EMFILE));
    assert_eq!(files.close(host, 7), Ok(()));
    assert_eq!(files.pipe2(0), Err(Errno::EMFILE));
    assert_eq!(files.dup(4), Ok(7));
    assert_eq!(files.set_descriptors_max(1 << 20), Err(Errno::EPERM));
}

#[test]
fn devices_do_what_they_are_for() {
    let mut process = Process::new();
    let mut device = |name: &str| process.open(&format!("/dev/{name}"), 2);
    let [null, zero, full, random] = ["null", "zero", "full", "urandom"].map(&mut device);
    assert_eq!(device("tty"), Err(Errno::ENXIO));
    let [null, zero, full, random] = [null, zero, full, random].map(|fd| fd.expect("it is there"));
    assert_eq!((process.read(null, 3), process.write(null, b"abc")), (Ok(vec![]), Ok(3)));
    assert_eq!((process.read(zero, 3), process.write(zero, b"abc")), (Ok(vec![0; 3]), Ok(3)));
    assert_eq!(process.write(full, b"abc"), Err(Errno::ENOSPC.into()));
    assert_eq!(process.read(random, 3), Ok(vec![4; 3]));
    assert_eq!(process.files.ioctl(null, 0x5401, 0), Err(Errno::ENOTTY.into()));
    assert_eq!(process.files.fstat(null).map(|stat| stat.special_device), Ok(0x103));
}

#[test]
fn the_process_finds_itself() {
    let mut process = Process::new();
    assert_eq!(process.target("/proc/self/exe"), "/app/exec");
    assert_eq!(process.target("/proc/42/exe"), "/app/exec");
    assert_eq!(process.open("/proc/43/exe", 0), Err(Errno::ENOENT));
    assert_eq!(process.text("/proc/self/cmdline"), "exec\0--flag\0");
    assert_eq!(process.text("/proc/self/comm"), "exec\n");
    assert_eq!(process.text("/proc/self/environ"), "A=1\0B=2\0");
    let maps = process.text("/proc/self/maps");
    let first =
        "00400000-00401000 r-xp 00000000 00:01 1                                  /app/exec\n";
    assert_eq!(maps, format!("{first}7fff0000-7fff8000 rw-p 00000000 00:01 0 \n"));
    let status = process.text("/proc/self/status");
    assert!(status.contains("\nPid:\t42\n") && status.contains("\nThreads:\t1\n"), "{status}");
    assert!(status.contains("\nVmRSS:\t    1024 kB\n"), "{status}");
    let stat = process.text("/proc/self/stat");
    assert_eq!(stat.split_whitespace().count(), 52, "{stat}");
    assert!(process.text("/proc/meminfo").starts_with("MemTotal:         131072 kB\n"));
    assert!(process.text("/proc/cpuinfo").starts_with("processor\t: 0\nvendor_id"));
    assert!(process.text("/proc/stat").starts_with("cpu  "));
    assert!(process.text("/proc/mounts").contains("tmpfs /tmp tmpfs rw,"));
    assert_eq!(process.text("/proc/self/cgroup"), "0::/\n");
    assert_eq!(process.text("/proc/sys/kernel/random/uuid").len(), 37);
    for path in ["/proc/version", "/proc/uptime", "/proc/loadavg", "/proc/self/limits"] {
        assert!(process.text(path).ends_with('\n'), "{path}");
    }
    assert_eq!(process.open("/proc/self/maps", 1), Err(Errno::EACCES));
    assert_eq!(process.open("/proc/new", 0o101), Err(Errno::EROFS));
}

#[test]
fn descriptors_have_names_in_proc() {
    let mut process = Process::new();
    assert_eq!(process.target("/proc/self/fd/0"), "pipe:[1]");
    assert_eq!(process.target("/dev/stdout"), "/proc/self/fd/1");
    let fd = process.open("/tmp/file", 0o102).expect("it can be made");
    assert_eq!(fd, 4);
    assert_eq!(process.target("/proc/self/fd/4"), "/tmp/file");
    assert_eq!(process.target("/dev/fd/4"), "/tmp/file");
    assert_eq!(process.write(fd, b"text"), Ok(4));
    // A description of its own, with a position of its own.
    let again = process.open("/proc/self/fd/4", 0).expect("it can be opened");
    assert_eq!(process.read(again, 9), Ok(b"text".to_vec()));
    assert_eq!(process.open("/proc/self/fd/4", open::NO_FOLLOW), Err(Errno::ELOOP));
    assert_eq!(process.open("/proc/self/fd/9", 0), Err(Errno::ENOENT));
    assert_eq!(process.open("/proc/self/fd/04", 0), Err(Errno::ENOENT));
    let list = process.open("/proc/self/fd", open::DIRECTORY).expect("it is a directory");
    let mut bytes = [0; 1000];
    let len = process.files.getdents64(list, &mut bytes).expect("there is room");
    assert_eq!(len, 9 * 24, "two dots, four that were there, and three more");
    let cwd = at::CURRENT;
    assert_eq!(process.files.unlinkat(&mut process.host, cwd, b"/tmp/file", 0), Ok(()));
    assert!(process.target("/proc/self/fd/4").ends_with("(deleted)"));
}

#[test]
fn the_c_library_finds_its_configuration() {
    let mut process = Process::new();
    assert!(process.text("/etc/passwd").starts_with("root:x:0:0:"));
    assert!(process.text("/etc/hosts").contains("127.0.0.1\tlocalhost\n"));
    assert!(process.text("/etc/nsswitch.conf").contains("hosts: files"));
    assert_eq!(process.text("/etc/resolv.conf"), "");
    let zone = process.open("/etc/localtime", 0).expect("it is there");
    let zone = process.read(zone, 1000).expect("it can be read");
    // Header of 44 bytes, one kind of time of 6, its name of 4; again; and the rule (RFC 9636, 3).
    assert_eq!(zone.len(), 2 * (44 + 6 + 4) + 6);
    assert_eq!((&zone[..5], &zone[54..59]), (&b"TZif2"[..], &b"TZif2"[..]));
    assert_eq!(zone[32..44], [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4]);
    assert!(zone.ends_with(b"UTC\0\nUTC0\n"));
    let huge = process.text("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size");
    assert_eq!(huge, "2097152\n");
}

#[test]
fn a_timer_tells_when_it_expires() {
    let mut process = Process::new();
    let (files, host) = (&mut process.files, &mut process.host);
    assert_eq!(files.timerfd_create(5, 0), Err(Errno::EINVAL));
    let fd = files.timerfd_create(1, 0).expect("there is room");
    let second = Time { seconds: 1, nanoseconds: 0 };
    let timer = Timer { interval: second, value: second };
    let change = TimerChange { timer, flags: 0 };
    assert_eq!(files.timerfd_settime(host, fd, change), Ok(Timer::default()));
    let set_ns = host.now_ns;
    let mut bytes = [0; 8];
    assert_eq!(files.read(host, fd, &mut bytes), Err(Stop::WouldBlock));
    assert_eq!(files.read(host, fd, &mut bytes[..7]), Err(Errno::EINVAL.into()));
    let mut polled = [PollFd { fd, events: ready::IN as u16, revents: 0 }];
    let found = files.poll(host, &mut polled).expect("it can be asked");
    let wake_ns = found.wake_ns.expect("it will expire");
    assert!(found.ready == 0 && wake_ns.abs_diff(set_ns + 1_000_000_000) < 10, "{wake_ns}");
    host.now_ns += 3_500_000_000;
    assert_eq!(files.poll(host, &mut polled).map(|found| found.ready), Ok(1));
    assert_eq!(files.read(host, fd, &mut bytes), Ok(8));
    assert_eq!(u64::from_le_bytes(bytes), 3);
    let left = files.timerfd_gettime(host, fd).expect("it is a timer").value;
    assert!(left.seconds == 0 && left.nanoseconds.abs_diff(500_000_000) < 100, "{left:?}");
    assert_eq!(files.timerfd_gettime(host, 1), Err(Errno::EINVAL));
    let wrong = Timer { value: Time { seconds: 0, nanoseconds: 1_000_000_000 }, ..timer };
    let change = TimerChange { timer: wrong, flags: 0 };
    assert_eq!(files.timerfd_settime(host, fd, change), Err(Errno::EINVAL));
}

#[test]
fn who_may_block_is_told_to_wait() {
    let mut process = Process::new();
    let [read, write] = process.files.pipe2(0).expect("there is room");
    assert_eq!(process.read(read, 1), Err(Stop::WouldBlock));
    assert_eq!(process.write(write, &[0; 70_000]), Ok(65_536));
    assert_eq!(process.write(write, &[0]), Err(Stop::WouldBlock));
    assert_eq!(process.files.is_nonblocking(write), Ok(false));
    assert_eq!(process.files.ioctl(write, 0x5421, 1), Ok(0));
    assert_eq!(process.write(write, &[0]), Err(Errno::EAGAIN.into()));
    assert_eq!(process.files.ioctl(read, 0x541b, 0), Ok(65_536));
    let mut sets = [[0_u64], [0], [0]];
    let both = 1 << read | 1 << write;
    (sets[0][0], sets[1][0]) = (both, both);
    let [readable, writable, exceptions] = &mut sets;
    let asked = [Some(&mut readable[..]), Some(&mut writable[..]), Some(&mut exceptions[..])];
    let found = process.files.select(&mut process.host, 64, asked);
    assert_eq!(found.map(|found| found.ready), Ok(1));
    assert_eq!(sets, [[1 << read], [0], [0]]);
    let asked = [Some(&mut [1 << 60][..]), None, None];
    let found = process.files.select(&mut process.host, 64, asked);
    assert_eq!(found, Err(Errno::EBADF.into()));
    assert_eq!(process.poll(60, ready::IN), Ok(ready::INVALID));
}

#[test]
fn everybody_watched_gets_a_turn() {
    let mut process = Process::new();
    let files = &mut process.files;
    let epoll = files.epoll_create1(0).expect("there is room");
    for data in 0..5 {
        let counter = files.eventfd2(1, 0).expect("there is room");
        let event = EpollEvent { events: ready::IN, data };
        assert_eq!(files.epoll_ctl(epoll, watch::ADD, counter, event), Ok(()));
    }
    let mut told = Vec::new();
    for _ in 0..5 {
        let mut events = [EpollEvent::default(); 2];
        let found = files.epoll_wait(&mut process.host, epoll, &mut events).expect("all are ready");
        assert_eq!(found.ready, 2);
        told.extend(events.map(|event| event.data));
    }
    assert_eq!(told, [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
}

#[test]
fn what_is_used_is_bounded_and_comes_back() {
    let settings = Settings { bytes_max: 1 << 20, inodes_max: 200, ..ROOMY };
    let mut process =
        Process { files: Files::new(&settings).expect("there is room"), host: Still::default() };
    let free = |process: &mut Process| {
        let stat = process.files.statfs(&mut process.host, b"/tmp").expect("it is there");
        (stat.blocks_free, stat.inodes_free)
    };
    let before = free(&mut process);
    let fd = process.open("/tmp/large", 0o102).expect("it can be made");
    let written = process.write(fd, &vec![1; 2 << 20]).expect("some of it fits");
    assert!(written < 1 << 20 && written.is_multiple_of(4096), "{written}");
    assert_eq!(process.write(fd, b"x"), Err(Errno::ENOSPC.into()));
    let (files, host) = (&mut process.files, &mut process.host);
    assert_eq!(files.fallocate(host, fd, 0, 0, i64::MAX), Err(Errno::ENOSPC));
    assert_eq!(files.unlinkat(host, at::CURRENT, b"/tmp/large", 0), Ok(()));
    assert_eq!(files.close(host, fd), Ok(()));
    assert_eq!(free(&mut process), before);
    let target = vec![b'x'; 4000];
    let (files, host) = (&mut process.files, &mut process.host);
    for _ in 0..1000 {
        let refused = files.symlinkat(host, &target, at::CURRENT, b"/etc/new");
        assert_eq!(refused, Err(Errno::EROFS), "and nothing was used up");
    }
    let mut made = 0;
    while process.open(&format!("/tmp/{made}"), 0o101).is_ok() {
        process.files.close(&mut process.host, 4).expect("it is open");
        made += 1;
    }
    assert_eq!(process.open("/tmp/more", 0o101), Err(Errno::ENOSPC));
    assert!(made > 10);
    for number in 0..made {
        let path = format!("/tmp/{number}");
        let gone = process.files.unlinkat(&mut process.host, at::CURRENT, path.as_bytes(), 0);
        assert_eq!(gone, Ok(()));
    }
    assert_eq!(free(&mut process), before);
}

#[test]
fn a_working_directory_can_be_one_of_the_archive() {
    let mut process = Process::new();
    process.files.insert(b"/app/exec", b"\x7fELF", 0o755).expect("there is room");
    assert_eq!(process.files.insert(b"/app/exec", b"", 0o755), Err(Errno::EEXIST));
    let (files, host) = (&mut process.files, &mut process.host);
    files
        .mount(b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", b"/app", Access::Writable)
        .expect("empty");
    assert_eq!(files.chdir(host, b"/app"), Ok(()));
    assert_eq!(files.getcwd(4), Err(Errno::ERANGE));
    assert_eq!(files.getcwd(5).as_deref(), Ok(&b"/app\0"[..]));
    assert_eq!(files.mkdirat(host, at::CURRENT, b"new", 0o755), Ok(()));
    assert_eq!(process.target("/proc/self/cwd"), "/app");
}
