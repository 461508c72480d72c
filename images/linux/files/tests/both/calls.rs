//! Pipes, event counters and epoll: the same calls on both, by scripts.
//!
//! Nothing here waits: every descriptor is told not to block.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::sync::RwLock;

use linux_files::abi::{EpollEvent, PollFd, open};
use linux_files::{Files, Owner, Stop};
use rustix::event::{EventfdFlags, PollFlags, epoll};
use rustix::{event, io, pipe};

use crate::host::Still;
use crate::ours::roomy;

/// One call on a descriptor by its place in the order in which they were made.
#[derive(Clone, Debug)]
pub enum Call {
    Pipe,
    Counter(u32, bool),
    Epoll,
    Close(usize),
    Duplicate(usize),
    Read(usize, usize),
    Write(usize, Vec<u8>),
    /// A number to an event counter.
    Add(usize, u64),
    Poll(usize, u16),
    Available(usize),
    SetLen(usize, usize),
    Len(usize),
    Watch {
        epoll: usize,
        operation: u32,
        fd: usize,
        events: u32,
    },
    /// What an instance tells, as many as there is room for.
    Wait(usize, usize),
}

/// What it answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Number(u64),
    Bytes(Vec<u8>),
    /// Events by the number that was given with the watch.
    Events(BTreeSet<(u64, u32)>),
    Error(i32),
    Absent,
}

/// Whoever starts a program writes this lock: until it has begun, it holds what is open here, and
/// the last end of a pipe would not be the last.
pub static SPAWNING: RwLock<()> = RwLock::new(());

/// Runs calls on both and says where they differ.
pub fn compare(calls: &[Call]) -> Result<(), String> {
    let _alone = SPAWNING.read();
    let (mut ours, mut linux) = (Ours::new(), Linux(Vec::new()));
    let mut log = String::new();
    for call in calls {
        // Since 6.10 an event counter takes no more than its eight bytes; before, it ignored them.
        if let Call::Write(index, bytes) = call
            && bytes.len() > 8
            && !ours.is_pipe(*index)
        {
            continue;
        }
        let one = match ours.run(call) {
            Ok(answer) => answer,
            Err(Stop::Errno(errno)) => Answer::Error(errno.number()),
            Err(stop) => return Err(format!("{log}{call:?}: {stop:?}")),
        };
        let other = match linux.run(call) {
            Ok(answer) => answer,
            Err(errno) => Answer::Error(errno.raw_os_error()),
        };
        log += &format!("{call:.60?}\n    {other:.60?}\n");
        if one != other {
            return Err(format!("{log}but here:\n    {one:?}"));
        }
    }
    Ok(())
}

struct Ours {
    files: Files<'static>,
    host: Still,
    fds: Vec<Option<i32>>,
}

impl Ours {
    fn new() -> Self {
        let files = Files::new(&roomy(Owner::default())).expect("there is room");
        Self { files, host: Still::default(), fds: Vec::new() }
    }

    fn is_pipe(&mut self, index: usize) -> bool {
        let fd = self.fds.get(index).copied().flatten();
        fd.is_some_and(|fd| self.files.fcntl(fd, 1032, 0).is_ok())
    }

    fn run(&mut self, call: &Call) -> Result<Answer, Stop> {
        let (files, host) = (&mut self.files, &mut self.host);
        macro_rules! fd {
            ($index:expr) => {
                match self.fds.get(*$index).copied().flatten() {
                    Some(fd) => fd,
                    None => return Ok(Answer::Absent),
                }
            };
        }
        Ok(match call {
            Call::Pipe => {
                let ends = files.pipe2(open::NONBLOCK)?;
                self.fds.extend(ends.map(Some));
                Answer::Number(2)
            }
            Call::Counter(count, is_semaphore) => {
                let flags = open::NONBLOCK | u32::from(*is_semaphore);
                self.fds.push(Some(files.eventfd2(*count, flags)?));
                Answer::Number(1)
            }
            Call::Epoll => {
                self.fds.push(Some(files.epoll_create1(0)?));
                Answer::Number(1)
            }
            Call::Close(index) => {
                files.close(host, fd!(index))?;
                self.fds[*index] = None;
                Answer::Number(0)
            }
            Call::Duplicate(index) => {
                let fd = files.dup(fd!(index))?;
                self.fds.push(Some(fd));
                Answer::Number(1)
            }
            Call::Read(index, len) => {
                let mut bytes = vec![0; *len];
                let count = files.read(host, fd!(index), &mut bytes)?;
                bytes.truncate(count);
                Answer::Bytes(bytes)
            }
            Call::Write(index, bytes) => number(files.write(host, fd!(index), bytes)?),
            Call::Add(index, count) => {
                number(files.write(host, fd!(index), &count.to_le_bytes())?)
            }
            Call::Poll(index, events) => {
                let mut polled = [PollFd { fd: fd!(index), events: *events, revents: 0 }];
                files.poll(host, &mut polled)?;
                Answer::Number(polled[0].revents.into())
            }
            Call::Available(index) => Answer::Number(files.ioctl(fd!(index), 0x541b, 0)?.into()),
            Call::SetLen(index, len) => {
                Answer::Number(files.fcntl(fd!(index), 1031, *len as u64)?)
            }
            Call::Len(index) => Answer::Number(files.fcntl(fd!(index), 1032, 0)?),
            Call::Watch { epoll, operation, fd, events } => {
                let event = EpollEvent { events: *events, data: *fd as u64 };
                files.epoll_ctl(fd!(epoll), *operation, fd!(fd), event)?;
                Answer::Number(0)
            }
            Call::Wait(index, room) => {
                let mut events = vec![EpollEvent::default(); *room];
                let polled = files.epoll_wait(host, fd!(index), &mut events)?;
                let told = events[..polled.ready].iter().map(|event| (event.data, event.events));
                Answer::Events(told.collect())
            }
        })
    }
}

struct Linux(Vec<Option<OwnedFd>>);

impl Linux {
    fn run(&mut self, call: &Call) -> Result<Answer, io::Errno> {
        macro_rules! fd {
            ($index:expr) => {
                match self.0.get(*$index).and_then(Option::as_ref) {
                    Some(fd) => fd,
                    None => return Ok(Answer::Absent),
                }
            };
        }
        Ok(match call {
            Call::Pipe => {
                let (read, write) =
                    pipe::pipe_with(pipe::PipeFlags::NONBLOCK | pipe::PipeFlags::CLOEXEC)?;
                self.0.extend([Some(read), Some(write)]);
                Answer::Number(2)
            }
            Call::Counter(count, is_semaphore) => {
                let semaphore =
                    if *is_semaphore { EventfdFlags::SEMAPHORE } else { EventfdFlags::empty() };
                let counter = event::eventfd(*count, EventfdFlags::NONBLOCK | semaphore)?;
                self.0.push(Some(counter));
                Answer::Number(1)
            }
            Call::Epoll => {
                self.0.push(Some(epoll::create(epoll::CreateFlags::empty())?));
                Answer::Number(1)
            }
            Call::Close(index) => match self.0.get_mut(*index).and_then(Option::take) {
                Some(_) => Answer::Number(0),
                None => Answer::Absent,
            },
            Call::Duplicate(index) => {
                let fd = io::fcntl_dupfd_cloexec(fd!(index), 0)?;
                self.0.push(Some(fd));
                Answer::Number(1)
            }
            Call::Read(index, len) => {
                let mut bytes = vec![0; *len];
                let count = io::read(fd!(index), &mut bytes)?;
                bytes.truncate(count);
                Answer::Bytes(bytes)
            }
            Call::Write(index, bytes) => number(io::write(fd!(index), bytes)?),
            Call::Add(index, count) => number(io::write(fd!(index), &count.to_le_bytes())?),
            Call::Poll(index, events) => {
                let flags = PollFlags::from_bits_retain(*events);
                let mut polled = [event::PollFd::new(fd!(index), flags)];
                event::poll(&mut polled, Some(&event::Timespec { tv_sec: 0, tv_nsec: 0 }))?;
                Answer::Number(polled[0].revents().bits().into())
            }
            Call::Available(index) => match io::ioctl_fionread(fd!(index)) {
                // What an instance of epoll answers, since it has requests of its own.
                Err(io::Errno::INVAL) => return Err(io::Errno::NOTTY),
                answer => Answer::Number(answer?),
            },
            Call::SetLen(index, len) => {
                Answer::Number(pipe::fcntl_setpipe_size(fd!(index), *len)? as u64)
            }
            Call::Len(index) => Answer::Number(pipe::fcntl_getpipe_size(fd!(index))? as u64),
            Call::Watch { epoll, operation, fd, events } => {
                let flags = epoll::EventFlags::from_bits_retain(*events);
                let data = epoll::EventData::new_u64(*fd as u64);
                let (epoll, fd) = (fd!(epoll), fd!(fd));
                match operation {
                    1 => epoll::add(epoll, fd, data, flags)?,
                    2 => epoll::delete(epoll, fd)?,
                    _ => epoll::modify(epoll, fd, data, flags)?,
                }
                Answer::Number(0)
            }
            Call::Wait(index, room) => {
                let mut events = Vec::with_capacity(*room);
                let none = event::Timespec { tv_sec: 0, tv_nsec: 0 };
                let buffer = rustix::buffer::spare_capacity(&mut events);
                epoll::wait(fd!(index), buffer, Some(&none))?;
                let told = events.iter().map(|event: &epoll::Event| {
                    let (data, flags) = (event.data, event.flags);
                    (data.u64(), flags.bits())
                });
                Answer::Events(told.collect())
            }
        })
    }
}

fn number(count: usize) -> Answer {
    Answer::Number(count as u64)
}
