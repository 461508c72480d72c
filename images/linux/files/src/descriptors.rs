//! Descriptors, and the open file descriptions behind them.

use alloc::boxed::Box;
use alloc::vec::Vec;

use slab::Slab;

use crate::abi::open;
use crate::errno::Errno;
use crate::host::Sink;
use crate::limits::{DESCRIPTORS_DEFAULT, DESCRIPTORS_MAX};
use crate::timer::TimerFile;
use crate::tree::Number;
use crate::watch::{DescriptionNumber, Watcher};

const FREE: DescriptionNumber = DescriptionNumber::MAX;

/// What one or more descriptors stand for.
#[derive(Debug)]
pub struct Description {
    pub object: Object,
    /// Status flags and access mode of `open`.
    pub flags: u32,
    /// Of files and directories.
    pub position: u64,
    /// Descriptors that stand for it.
    references: u32,
    /// Instances of epoll that watch it.
    pub watchers: u32,
}

#[derive(Debug)]
pub enum Object {
    /// The input.
    Input,
    Output(Sink),
    /// A file, directory, device, or (with `O_PATH`) anything. The description holds it.
    Inode(Number),
    /// A text made at opening, and the inode it was made for.
    Text(Number, Box<[u8]>),
    /// One end or both, by the access mode.
    Pipe(u32),
    Event(EventCounter),
    Timer(Box<TimerFile>),
    Epoll(Box<Watcher>),
    Socket(u32),
}

/// An eventfd.
#[derive(Clone, Copy, Debug)]
pub struct EventCounter {
    pub count: u64,
    pub is_semaphore: bool,
    pub readable_edges: u32,
    pub writable_edges: u32,
}

impl Description {
    pub fn is_readable(&self) -> bool {
        !self.is_path()
            && self.flags & open::ACCESS_MODE != open::WRITE_ONLY
            && !self.has_no_access()
    }

    pub fn is_writable(&self) -> bool {
        !self.is_path()
            && self.flags & open::ACCESS_MODE != open::READ_ONLY
            && !self.has_no_access()
    }

    /// Access mode 3: may neither be read nor written.
    fn has_no_access(&self) -> bool {
        self.flags & open::ACCESS_MODE == open::ACCESS_MODE
    }

    pub fn is_path(&self) -> bool {
        self.flags & open::PATH != 0
    }

    pub fn blocks(&self) -> bool {
        self.flags & open::NONBLOCK == 0
    }
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    description: DescriptionNumber,
    close_on_exec: bool,
}

const EMPTY: Slot = Slot { description: FREE, close_on_exec: false };

/// The table of descriptors.
#[derive(Debug)]
pub struct Descriptors {
    slots: Vec<Slot>,
    /// No slot below is free.
    lowest_free: usize,
    pub limit: u32,
    pub descriptions: Slab<Description>,
}

impl Descriptors {
    pub fn new() -> Self {
        Self {
            slots: Vec::new(),
            lowest_free: 0,
            limit: DESCRIPTORS_DEFAULT,
            descriptions: Slab::new(),
        }
    }

    /// The description of a descriptor.
    pub fn number(&self, fd: i32) -> Result<DescriptionNumber, Errno> {
        let slot = usize::try_from(fd).ok().and_then(|fd| self.slots.get(fd));
        match slot {
            Some(slot) if slot.description != FREE => Ok(slot.description),
            _ => Err(Errno::EBADF),
        }
    }

    pub fn get(&self, fd: i32) -> Result<&Description, Errno> {
        Ok(&self.descriptions[self.number(fd)? as usize])
    }

    pub fn get_mut(&mut self, fd: i32) -> Result<&mut Description, Errno> {
        let number = self.number(fd)?;
        Ok(&mut self.descriptions[number as usize])
    }

    /// As [`Self::get`], for calls that do something with the file: not with `O_PATH`.
    pub fn usable(&self, fd: i32) -> Result<&Description, Errno> {
        self.get(fd).and_then(|found| if found.is_path() { Err(Errno::EBADF) } else { Ok(found) })
    }

    /// See [`Self::usable`].
    pub fn usable_mut(&mut self, fd: i32) -> Result<&mut Description, Errno> {
        self.usable(fd)?;
        self.get_mut(fd)
    }

    pub fn open_descriptors(&self) -> impl Iterator<Item = (i32, DescriptionNumber)> {
        let slots = self.slots.iter().enumerate().filter(|(_, slot)| slot.description != FREE);
        slots.map(|(fd, slot)| (fd as i32, slot.description))
    }

    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The lowest number from `from` on that is free; `EMFILE` if that is not below the limit.
    fn lowest(&self, from: usize) -> Result<usize, Errno> {
        let start = from.max(self.lowest_free);
        let taken = self.slots.iter().skip(start);
        let fd = start + taken.take_while(|slot| slot.description != FREE).count();
        if fd < self.limit as usize { Ok(fd) } else { Err(Errno::EMFILE) }
    }

    /// Whether another descriptor can be had.
    pub fn has_room(&self) -> Result<(), Errno> {
        self.lowest(0).map(drop)
    }

    fn put(&mut self, fd: usize, slot: Slot) {
        if self.slots.len() <= fd {
            self.slots.resize(fd + 1, EMPTY);
        }
        self.slots[fd] = slot;
        if fd == self.lowest_free {
            self.lowest_free += 1;
        }
    }

    /// A new description under the lowest free number. `flags` are those of `open`.
    pub fn open(&mut self, object: Object, flags: u32) -> Result<i32, Errno> {
        let fd = self.lowest(0)?;
        let kept = flags
            & !(open::CREATE
                | open::EXCLUSIVE
                | open::NO_TERMINAL
                | open::TRUNCATE
                | open::CLOSE_ON_EXEC);
        let description =
            Description { object, flags: kept, position: 0, references: 1, watchers: 0 };
        let description = self.descriptions.insert(description) as DescriptionNumber;
        self.put(fd, Slot { description, close_on_exec: flags & open::CLOSE_ON_EXEC != 0 });
        Ok(fd as i32)
    }

    /// The lowest free number from `from` on for the same description.
    pub fn duplicate(&mut self, fd: i32, from: u64, close_on_exec: bool) -> Result<i32, Errno> {
        let description = self.number(fd)?;
        let from = usize::try_from(from).ok().filter(|from| *from < self.limit as usize);
        let to = self.lowest(from.ok_or(Errno::EINVAL)?)?;
        self.descriptions[description as usize].references += 1;
        self.put(to, Slot { description, close_on_exec });
        Ok(to as i32)
    }

    /// This number for the same description; what it stood for goes, and is the answer if nothing
    /// else stood for it.
    pub fn replace(
        &mut self,
        fd: i32,
        to: i32,
        close_on_exec: bool,
    ) -> Result<Option<(DescriptionNumber, Description)>, Errno> {
        let to = usize::try_from(to).ok().filter(|to| *to < self.limit as usize);
        let to = to.ok_or(Errno::EBADF)?;
        let description = self.number(fd)?;
        self.descriptions[description as usize].references += 1;
        let gone = self.close(to as i32).unwrap_or(None);
        self.put(to, Slot { description, close_on_exec });
        Ok(gone)
    }

    /// Frees a number; the description is the answer if nothing stands for it any more.
    pub fn close(&mut self, fd: i32) -> Result<Option<(DescriptionNumber, Description)>, Errno> {
        let number = self.number(fd)?;
        let slot = fd as usize;
        self.slots[slot] = EMPTY;
        self.lowest_free = self.lowest_free.min(slot);
        let description = &mut self.descriptions[number as usize];
        description.references -= 1;
        if description.references > 0 {
            return Ok(None);
        }
        Ok(Some((number, self.descriptions.remove(number as usize))))
    }

    pub fn closes_on_exec(&self, fd: i32) -> Result<bool, Errno> {
        self.number(fd).map(|_| self.slots[fd as usize].close_on_exec)
    }

    pub fn set_close_on_exec(&mut self, fd: i32, close_on_exec: bool) -> Result<(), Errno> {
        self.number(fd)?;
        self.slots[fd as usize].close_on_exec = close_on_exec;
        Ok(())
    }

    pub fn set_limit(&mut self, limit: u32) -> Result<(), Errno> {
        if limit > DESCRIPTORS_MAX {
            return Err(Errno::EPERM);
        }
        self.limit = limit;
        Ok(())
    }
}
