//! `openat`, and how an inode is made.

use super::Files;
use super::walk::Found;
use crate::abi::open;
use crate::descriptors::Object;
use crate::errno::Errno;
use crate::host::{Host, Sink};
use crate::limits::NAME_LEN_MAX;
use crate::tree::{Content, Device, Node, Number, READ, SEARCH, WRITE};

/// What `O_PATH` leaves of the flags.
const PATH_FLAGS: u32 = open::PATH | open::DIRECTORY | open::NO_FOLLOW | open::CLOSE_ON_EXEC;
const SET_GROUP: u32 = 0o2000;

impl<'p> Files<'p> {
    /// Descriptors 0 to 3.
    pub(super) fn open_standard(&mut self) -> Result<(), Errno> {
        self.table.open(Object::Input, open::READ_ONLY)?;
        for sink in [Sink::Stdout, Sink::Stderr, Sink::Result] {
            self.table.open(Object::Output(sink), open::WRITE_ONLY)?;
        }
        Ok(())
    }

    /// `openat`, `open`, `creat`. Never blocks: there are no named pipes.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn openat(
        &mut self,
        host: &mut dyn Host,
        directory: i32,
        path: &[u8],
        mut flags: u32,
        mode: u32,
    ) -> Result<i32, Errno> {
        if flags & open::PATH != 0 {
            flags &= PATH_FLAGS;
        }
        let is_temporary = flags & open::TEMPORARY == open::TEMPORARY;
        let creates = flags & open::CREATE != 0;
        let writes = flags & open::ACCESS_MODE != open::READ_ONLY;
        // O_TMPFILE without the O_DIRECTORY that belongs to it is nonsense as well.
        let is_half_temporary = flags & open::TEMPORARY & !open::DIRECTORY != 0 && !is_temporary;
        if is_half_temporary
            || (is_temporary && (creates || !writes))
            || (creates && flags & open::DIRECTORY != 0)
        {
            return Err(Errno::EINVAL);
        }
        if path.is_empty() {
            return Err(Errno::ENOENT);
        }
        self.table.has_room()?;
        let exclusive = creates && flags & open::EXCLUSIVE != 0;
        let mut walk = self.walk(host, directory, path)?;
        walk.makes_file = creates;
        walk.check_slashes()?;
        let mut has_slashes = walk.has_slashes;
        let stays = flags & open::NO_FOLLOW != 0 && !has_slashes;
        let found = if exclusive || stays {
            self.look_up(host, &walk)?
        } else {
            let found = self.follow(host, &mut walk)?;
            has_slashes |= walk.has_slashes;
            found
        };
        if has_slashes {
            flags |= open::DIRECTORY;
        }
        match found {
            Found::Nothing if creates => {
                let directory = walk.directory;
                let number = self.create_file(host, directory, walk.name(), mode)?;
                self.open_inode(host, number, flags)
            }
            Found::Nothing => Err(Errno::ENOENT),
            _ if exclusive => Err(Errno::EEXIST),
            Found::Inode(number) if is_temporary => self.open_temporary(host, number, flags, mode),
            Found::Inode(number) => {
                self.check_open(number, flags)?;
                self.truncate_opened(host, number, flags)?;
                self.open_inode(host, number, flags)
            }
            Found::DescriptorLink(_) if flags & open::DIRECTORY != 0 => Err(Errno::ENOTDIR),
            Found::DescriptorLink(_) => Err(Errno::ELOOP),
            Found::Descriptor(_) if flags & open::DIRECTORY != 0 => Err(Errno::ENOTDIR),
            Found::Descriptor(fd) => self.open_again(fd, flags),
        }
    }

    /// Whether an inode that is there may be opened so.
    fn check_open(&self, number: Number, flags: u32) -> Result<(), Errno> {
        let inode = self.tree.inode(number);
        let is_path = flags & open::PATH != 0;
        if flags & open::CREATE != 0 && inode.is_directory() {
            return Err(Errno::EISDIR);
        }
        if flags & open::DIRECTORY != 0 && !inode.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        if is_path {
            return Ok(());
        }
        if inode.is_link() {
            return Err(Errno::ELOOP);
        }
        let access = match flags & open::ACCESS_MODE {
            open::READ_ONLY => READ,
            open::WRITE_ONLY => WRITE,
            _ => READ | WRITE,
        };
        let access = access | if flags & open::TRUNCATE != 0 { WRITE } else { 0 };
        if access & WRITE != 0 && inode.is_directory() {
            return Err(Errno::EISDIR);
        }
        if access & WRITE != 0 && matches!(inode.node, Node::Text(_)) {
            return Err(Errno::EACCES);
        }
        self.tree.may(number, access)?;
        if flags & open::NO_ACCESS_TIME != 0 && !self.tree.owns(number) {
            return Err(Errno::EPERM);
        }
        match inode.node {
            Node::Device(Device::Terminal) => Err(Errno::ENXIO),
            _ => Ok(()),
        }
    }

    fn truncate_opened(
        &mut self,
        host: &mut dyn Host,
        number: Number,
        flags: u32,
    ) -> Result<(), Errno> {
        let is_file = matches!(self.tree.inode(number).node, Node::File(_));
        if flags & open::TRUNCATE == 0 || !is_file {
            return Ok(());
        }
        self.set_len(host, number, 0)
    }

    /// A description of an inode that may be opened.
    fn open_inode(
        &mut self,
        host: &mut dyn Host,
        number: Number,
        flags: u32,
    ) -> Result<i32, Errno> {
        let is_path = flags & open::PATH != 0;
        let tree = &mut self.tree;
        let object = match &mut tree.inodes[number as usize].node {
            Node::Text(text) if !is_path => {
                let text = *text;
                Object::Text(number, self.report(host, text))
            }
            Node::File(content) if !is_path => {
                content.prepare(&mut tree.budget)?;
                Object::Inode(number)
            }
            _ => Object::Inode(number),
        };
        let fd = self.table.open(object, flags)?;
        self.tree.hold(number);
        Ok(fd)
    }

    /// Opens what another descriptor stands for: by `/dev/stdout`, for instance.
    fn open_again(&mut self, fd: i32, flags: u32) -> Result<i32, Errno> {
        let object = match self.table.get(fd)?.object {
            _ if flags & open::PATH != 0 => return Err(Errno::ENXIO),
            Object::Input => Object::Input,
            Object::Output(sink) => Object::Output(sink),
            Object::Pipe(pipe) => Object::Pipe(pipe),
            _ => return Err(Errno::ENXIO),
        };
        let opened = self.table.open(object, flags)?;
        let description = self.table.get(opened)?;
        if let Object::Pipe(pipe) = description.object {
            let pipe = &mut self.pipes[pipe as usize];
            pipe.readers += u32::from(description.is_readable());
            pipe.writers += u32::from(description.is_writable());
        }
        Ok(opened)
    }

    /// Whether a name may be made in a directory.
    pub(super) fn may_create(&self, directory: Number) -> Result<(), Errno> {
        if self.tree.inode(directory).links == 0 {
            return Err(Errno::ENOENT);
        }
        self.tree.directory(directory).map_err(|_| Errno::EACCES)?;
        self.tree.may(directory, WRITE | SEARCH)
    }

    fn create_file(
        &mut self,
        host: &mut dyn Host,
        directory: Number,
        name: &[u8],
        mode: u32,
    ) -> Result<Number, Errno> {
        let node = Node::File(Content::default());
        self.create(host, directory, name, node, mode & 0o7777 & !self.mask)
    }

    /// A new inode of the process with a name, if it may be made.
    pub(super) fn create(
        &mut self,
        host: &mut dyn Host,
        directory: Number,
        name: &[u8],
        node: Node<'p>,
        permissions: u32,
    ) -> Result<Number, Errno> {
        if name.len() > NAME_LEN_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        self.may_create(directory)?;
        let now = host.realtime();
        let number = self.create_unnamed(directory, node, permissions)?;
        self.tree.inode_mut(number).set_times(now);
        match self.tree.link(directory, name, number, now) {
            Ok(()) => Ok(number),
            Err(errno) => {
                self.tree.discard(number);
                Err(errno)
            }
        }
    }

    fn create_unnamed(
        &mut self,
        directory: Number,
        node: Node<'p>,
        permissions: u32,
    ) -> Result<Number, Errno> {
        let parent = self.tree.inode(directory);
        let (mount, group) = (parent.mount, parent.owner.group);
        let inherits = u32::from(parent.permissions) & SET_GROUP;
        let number = self.tree.make(node, permissions, mount)?;
        let inode = self.tree.inode_mut(number);
        inode.parent = directory;
        if inherits != 0 {
            inode.owner.group = group;
            if inode.is_directory() {
                inode.permissions |= inherits as u16;
            }
        }
        Ok(number)
    }

    fn open_temporary(
        &mut self,
        host: &mut dyn Host,
        directory: Number,
        flags: u32,
        mode: u32,
    ) -> Result<i32, Errno> {
        self.tree.directory(directory)?;
        self.may_create(directory)?;
        let permissions = mode & 0o7777 & !self.mask;
        let number = self.create_unnamed(directory, Node::File(Content::default()), permissions)?;
        self.tree.inode_mut(number).set_times(host.realtime());
        let opened = self.open_inode(host, number, flags);
        if opened.is_err() {
            self.tree.discard(number);
        }
        opened
    }

    /// Whether a descriptor is a directory one can start from.
    pub(super) fn directory_of(&self, fd: i32) -> Result<Number, Errno> {
        match self.table.get(fd)?.object {
            Object::Inode(number) if self.tree.inode(number).is_directory() => Ok(number),
            _ => Err(Errno::ENOTDIR),
        }
    }
}
