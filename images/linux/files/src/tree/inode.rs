//! One inode.

use alloc::boxed::Box;

use super::content::Content;
use super::directory::{Directory, Number};
use super::place::device_of_mount;
use crate::abi::{Stat, device, kind};
use crate::host::Time;
use crate::limits::PAGE_LEN;
use crate::settings::Owner;

/// A file of any kind, without its names.
#[derive(Debug)]
pub struct Inode<'p> {
    pub node: Node<'p>,
    pub permissions: u16,
    pub mount: u8,
    /// Names; of a directory also `.` and the `..` of others.
    pub links: u32,
    /// Uses without a name.
    pub held: u32,
    /// The directory of the last name: of a directory what `..` means.
    pub parent: Number,
    pub owner: Owner,
    pub accessed: Time,
    pub modified: Time,
    pub changed: Time,
    pub born: Time,
}

/// What an inode is.
#[derive(Debug)]
pub enum Node<'p> {
    File(Content<'p>),
    Directory(Directory),
    Link(Box<[u8]>),
    /// A link whose target depends on the instance.
    Magic(Magic),
    Device(Device),
    /// A file whose text is made when it is opened.
    Text(Text),
    /// `/proc/self/fd`.
    Descriptors,
}

/// Links in `/proc/self`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Magic {
    Executable,
    WorkingDirectory,
}

/// Files in `/dev`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    Null,
    Zero,
    Full,
    Random,
    Urandom,
    /// There is no terminal: opening it answers `ENXIO`.
    Terminal,
    /// Reading it gives nothing, in an instance; before, it is the moment to freeze.
    Freeze,
}

impl Device {
    const fn numbers(self) -> u64 {
        match self {
            Self::Null => device(1, 3),
            Self::Zero => device(1, 5),
            Self::Full => device(1, 7),
            Self::Random => device(1, 8),
            Self::Urandom => device(1, 9),
            Self::Terminal => device(5, 0),
            // Of the numbers for experiments (`Documentation/admin-guide/devices.txt`).
            Self::Freeze => device(60, 0),
        }
    }
}

/// Files in `/proc` and `/sys` that are written at each opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    Maps,
    CommandLine,
    CommandName,
    Environment,
    Status,
    ProcessStat,
    ProcessMemory,
    Limits,
    MountList,
    MountInfo,
    Processors,
    Memory,
    MachineStat,
    Uptime,
    Load,
    BootId,
    Uuid,
}

impl<'p> Inode<'p> {
    pub fn new(node: Node<'p>, permissions: u32, mount: u8, owner: Owner) -> Self {
        Self {
            node,
            permissions: permissions as u16,
            mount,
            links: 0,
            held: 0,
            parent: super::ROOT,
            owner,
            accessed: Time::default(),
            modified: Time::default(),
            changed: Time::default(),
            born: Time::default(),
        }
    }

    pub fn is_directory(&self) -> bool {
        matches!(self.node, Node::Directory(_) | Node::Descriptors)
    }

    pub fn is_link(&self) -> bool {
        matches!(self.node, Node::Link(_) | Node::Magic(_))
    }

    /// Whether writing to it changes no file.
    pub fn is_special(&self) -> bool {
        matches!(self.node, Node::Device(_) | Node::Text(_))
    }

    /// The data was changed.
    pub fn touch(&mut self, now: Time) {
        (self.modified, self.changed) = (now, now);
    }

    /// All times are now.
    pub fn set_times(&mut self, now: Time) {
        (self.accessed, self.modified, self.changed, self.born) = (now, now, now, now);
    }

    /// What it was charged beside its place in the table.
    pub fn cost(&self) -> u64 {
        match &self.node {
            Node::File(content) => content.cost(),
            Node::Link(target) => target.len() as u64,
            _ => 0,
        }
    }

    /// Kind and permissions.
    pub fn mode(&self) -> u32 {
        let kind = match self.node {
            Node::File(_) | Node::Text(_) => kind::REGULAR,
            Node::Directory(_) | Node::Descriptors => kind::DIRECTORY,
            Node::Link(_) | Node::Magic(_) => kind::LINK,
            Node::Device(_) => kind::CHARACTER,
        };
        kind | u32::from(self.permissions)
    }

    pub fn stat(&self, number: Number) -> Stat {
        let (len, blocks) = match &self.node {
            Node::File(content) => (content.len(), content.blocks()),
            Node::Directory(directory) => (directory.apparent_len(), 0),
            Node::Link(target) => (target.len() as u64, 0),
            _ => (0, 0),
        };
        Stat {
            device: device_of_mount(self.mount),
            inode: u64::from(number) + 1,
            links: self.links.into(),
            mode: self.mode(),
            user: self.owner.user,
            group: self.owner.group,
            special_device: if let Node::Device(device) = self.node { device.numbers() } else { 0 },
            len,
            block_len: PAGE_LEN as u64,
            blocks,
            accessed: self.accessed,
            modified: self.modified,
            changed: self.changed,
        }
    }
}
