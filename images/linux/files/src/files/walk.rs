//! From a path to what it names, as `fs/namei.c` goes.
//!
//! A walk goes to the directory of the last part first; what happens to the last part is up to the
//! call. Following a link puts its text in place of what is left.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::ops::Range;

use super::Files;
use crate::abi::at;
use crate::descriptors::Object;
use crate::errno::Errno;
use crate::host::Host;
use crate::limits::{LINKS_FOLLOWED_MAX, NAME_LEN_MAX, PATH_LEN_MAX};
use crate::tree::{Magic, Node, Number, ROOT, SEARCH};

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Inode(Number),
    /// The link to an open descriptor in `/proc/self/fd`, itself.
    DescriptorLink(i32),
    /// What such a link leads to, where that has no inode in the tree.
    Descriptor(i32),
    /// Nothing has the last name.
    Nothing,
}

/// The last part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Last {
    /// A name, at this place in the walk's path.
    Name(Range<usize>),
    Dot,
    DotDot,
    /// There is none: the path is `/`.
    Root,
}

/// A walk that has reached the directory of the last part.
#[derive(Debug)]
pub struct Walk<'n> {
    path: Cow<'n, [u8]>,
    pub directory: Number,
    pub last: Last,
    /// Slashes behind the last part: it must be a directory.
    pub has_slashes: bool,
    links: u32,
    /// It is for making a file: `EISDIR` as soon as slashes follow its name, also in a link.
    pub makes_file: bool,
}

impl Walk<'_> {
    /// See [`Self::makes_file`].
    pub fn check_slashes(&self) -> Result<(), Errno> {
        let is_name = matches!(self.last, Last::Name(_));
        match self.makes_file && self.has_slashes && is_name {
            true => Err(Errno::EISDIR),
            false => Ok(()),
        }
    }

    /// The last name; nothing if the last part is none.
    pub fn name(&self) -> &[u8] {
        match &self.last {
            Last::Name(range) => &self.path[range.clone()],
            _ => &[],
        }
    }

    /// The last name, for those who make or remove it; this error if the last part is no name.
    pub fn name_or(&self, errno: Errno) -> Result<&[u8], Errno> {
        match &self.last {
            Last::Name(range) => Ok(&self.path[range.clone()]),
            _ => Err(errno),
        }
    }
}

/// Whether the last part is followed if it is a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    Yes,
    No,
}

impl Follow {
    /// By a flag that forbids it.
    pub fn unless(flags: u32, flag: u32) -> Self {
        if flags & flag == 0 { Self::Yes } else { Self::No }
    }
}

impl Files<'_> {
    /// Where a path begins.
    fn start(&self, directory: i32, path: &[u8]) -> Result<Number, Errno> {
        if path.starts_with(b"/") {
            return Ok(ROOT);
        }
        if directory == at::CURRENT {
            return Ok(self.working);
        }
        match self.table.get(directory)?.object {
            Object::Inode(number) if self.tree.inode(number).is_directory() => Ok(number),
            _ => Err(Errno::ENOTDIR),
        }
    }

    /// Goes to the directory of the last part.
    pub(super) fn walk<'n>(
        &self,
        host: &mut dyn Host,
        directory: i32,
        path: &'n [u8],
    ) -> Result<Walk<'n>, Errno> {
        if path.is_empty() {
            return Err(Errno::ENOENT);
        }
        if path.len() >= PATH_LEN_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let directory = self.start(directory, path)?;
        let path = Cow::Borrowed(path);
        let mut walk = Walk {
            path,
            directory,
            last: Last::Root,
            has_slashes: false,
            links: 0,
            makes_file: false,
        };
        self.advance(host, &mut walk, 0)?;
        Ok(walk)
    }

    /// Goes on from a place in the path to the directory of its last part.
    fn advance(
        &self,
        host: &mut dyn Host,
        walk: &mut Walk<'_>,
        mut from: usize,
    ) -> Result<(), Errno> {
        walk.last = Last::Root;
        walk.has_slashes = false;
        loop {
            let slashes = walk.path[from..].iter().take_while(|byte| **byte == b'/').count();
            from += slashes;
            let rest = &walk.path[from..];
            if rest.is_empty() {
                walk.has_slashes = slashes > 0;
                return Ok(());
            }
            // What stands before this part must be a directory.
            if walk.last != Last::Root {
                self.enter(host, walk, from)?;
                if walk.last == Last::Root {
                    // A link was followed: its text is the path now.
                    from = 0;
                    if walk.path.starts_with(b"/") {
                        walk.directory = ROOT;
                    }
                    continue;
                }
            }
            if !self.tree.inode(walk.directory).is_directory() {
                return Err(Errno::ENOTDIR);
            }
            self.tree.may(walk.directory, SEARCH)?;
            let rest = &walk.path[from..];
            let len = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
            walk.last = match &rest[..len] {
                b"." => Last::Dot,
                b".." => Last::DotDot,
                name if name.len() > NAME_LEN_MAX => return Err(Errno::ENAMETOOLONG),
                _ => Last::Name(from..from + len),
            };
            from += len;
        }
    }

    /// Makes the last part the directory; `rest` is where the path goes on. If the last part is a
    /// link, the path is changed instead and begins anew, with no last part.
    fn enter(&self, host: &mut dyn Host, walk: &mut Walk<'_>, rest: usize) -> Result<(), Errno> {
        match self.look_up(host, walk)? {
            Found::Nothing => return Err(Errno::ENOENT),
            Found::Inode(number) if self.tree.inode(number).is_link() => {
                let target = self.target(host, number)?;
                self.splice(walk, &target, rest)?;
                walk.last = Last::Root;
                return Ok(());
            }
            Found::Inode(number) => walk.directory = number,
            Found::DescriptorLink(fd) => match self.behind(fd)? {
                Found::Inode(number) => walk.directory = number,
                _ => return Err(Errno::ENOTDIR),
            },
            Found::Descriptor(_) => return Err(Errno::ENOTDIR),
        }
        if self.tree.inode(walk.directory).is_directory() { Ok(()) } else { Err(Errno::ENOTDIR) }
    }

    fn splice(&self, walk: &mut Walk<'_>, target: &[u8], rest: usize) -> Result<(), Errno> {
        walk.links += 1;
        if walk.links > LINKS_FOLLOWED_MAX {
            return Err(Errno::ELOOP);
        }
        let mut path = Vec::with_capacity(target.len() + 1 + walk.path.len() - rest);
        path.extend_from_slice(target);
        if rest < walk.path.len() || walk.has_slashes {
            path.push(b'/');
            path.extend_from_slice(&walk.path[rest..]);
        }
        walk.path = Cow::Owned(path);
        Ok(())
    }

    /// What the last part names, links not followed.
    pub(super) fn look_up(&self, host: &mut dyn Host, walk: &Walk<'_>) -> Result<Found, Errno> {
        let directory = self.tree.inode(walk.directory);
        Ok(match &walk.last {
            Last::Root | Last::Dot => Found::Inode(walk.directory),
            Last::DotDot if walk.directory == ROOT => Found::Inode(ROOT),
            Last::DotDot => Found::Inode(directory.parent),
            Last::Name(_) => match &directory.node {
                Node::Directory(entries) => match entries.get(walk.name()) {
                    Some(number) => Found::Inode(number),
                    None => self.process_directory(host, walk),
                },
                Node::Descriptors => match number(walk.name()) {
                    Some(fd) if self.table.get(fd).is_ok() => Found::DescriptorLink(fd),
                    _ => Found::Nothing,
                },
                _ => return Err(Errno::ENOTDIR),
            },
        })
    }

    /// `/proc/PID` is `/proc/self`, for as long as the process has that number.
    fn process_directory(&self, host: &mut dyn Host, walk: &Walk<'_>) -> Found {
        if walk.directory != self.places.process {
            return Found::Nothing;
        }
        match number(walk.name()) {
            Some(id) if id as u32 == host.process_id() => Found::Inode(self.places.own),
            _ => Found::Nothing,
        }
    }

    /// What a link in `/proc/self/fd` leads to.
    fn behind(&self, fd: i32) -> Result<Found, Errno> {
        Ok(match self.table.get(fd)?.object {
            Object::Inode(number) | Object::Text(number, _) => Found::Inode(number),
            _ => Found::Descriptor(fd),
        })
    }

    /// The text of a link.
    pub(super) fn target(&self, host: &mut dyn Host, number: Number) -> Result<Vec<u8>, Errno> {
        match &self.tree.inode(number).node {
            Node::Link(target) => Ok(target.to_vec()),
            Node::Magic(Magic::Executable) => Ok(host.executable().to_vec()),
            Node::Magic(Magic::WorkingDirectory) => {
                self.tree.path(self.working).ok_or(Errno::ENOENT)
            }
            _ => Err(Errno::EINVAL),
        }
    }

    /// If the last part is a link, goes on to where it leads; answers what it names in the end.
    pub(super) fn follow(&self, host: &mut dyn Host, walk: &mut Walk<'_>) -> Result<Found, Errno> {
        loop {
            match self.look_up(host, walk)? {
                Found::Inode(number) if self.tree.inode(number).is_link() => {
                    let target = self.target(host, number)?;
                    let end = walk.path.len();
                    self.splice(walk, &target, end)?;
                    if target.starts_with(b"/") {
                        walk.directory = ROOT;
                    }
                    self.advance(host, walk, 0)?;
                    walk.check_slashes()?;
                }
                Found::DescriptorLink(fd) => return self.behind(fd),
                found => return Ok(found),
            }
        }
    }

    /// What a path names, which must be there. Slashes at its end demand a directory, and follow a
    /// link in any case.
    pub(super) fn resolve(
        &self,
        host: &mut dyn Host,
        directory: i32,
        path: &[u8],
        follow: Follow,
    ) -> Result<Found, Errno> {
        let mut walk = self.walk(host, directory, path)?;
        let found = if follow == Follow::Yes || walk.has_slashes {
            let has_slashes = walk.has_slashes;
            let found = self.follow(host, &mut walk)?;
            walk.has_slashes |= has_slashes;
            found
        } else {
            self.look_up(host, &walk)?
        };
        match found {
            Found::Nothing => Err(Errno::ENOENT),
            Found::Inode(number) if !walk.has_slashes || self.tree.inode(number).is_directory() => {
                Ok(found)
            }
            _ if walk.has_slashes => Err(Errno::ENOTDIR),
            _ => Ok(found),
        }
    }

    /// As [`Self::resolve`] for a call with flags: with `AT_EMPTY_PATH`, an empty path means the
    /// descriptor itself.
    pub(super) fn resolve_at(
        &self,
        host: &mut dyn Host,
        directory: i32,
        path: &[u8],
        flags: u32,
    ) -> Result<Found, Errno> {
        if !path.is_empty() || flags & at::EMPTY_PATH == 0 {
            return self.resolve(host, directory, path, Follow::unless(flags, at::NO_FOLLOW));
        }
        if directory == at::CURRENT {
            return Ok(Found::Inode(self.working));
        }
        Ok(match self.table.get(directory)?.object {
            Object::Inode(number) | Object::Text(number, _) => Found::Inode(number),
            _ => Found::Descriptor(directory),
        })
    }
}

/// A decimal number without sign or leading zeros.
fn number(name: &[u8]) -> Option<i32> {
    let has_only_digits = name.iter().all(u8::is_ascii_digit);
    let is_canonical = has_only_digits && (name.len() == 1 || !name.starts_with(b"0"));
    if !is_canonical {
        return None;
    }
    core::str::from_utf8(name).ok()?.parse().ok()
}
