//! New names: `mkdirat`, `linkat`, `symlinkat`.

use alloc::boxed::Box;

use super::Files;
use super::walk::{Follow, Found, Walk};
use crate::abi::at;
use crate::errno::Errno;
use crate::host::Host;
use crate::limits::{NAMES_OF_INODE_MAX, PATH_LEN_MAX};
use crate::tree::{Directory, Node};

impl Files<'_> {
    /// Goes to where a name is to be made, which must be free. `is_directory` if slashes behind it
    /// are allowed.
    fn walk_to_create<'n>(
        &self,
        host: &mut dyn Host,
        directory: i32,
        path: &'n [u8],
        is_directory: bool,
    ) -> Result<Walk<'n>, Errno> {
        let walk = self.walk(host, directory, path)?;
        walk.name_or(Errno::EEXIST)?;
        if self.look_up(host, &walk)? != Found::Nothing {
            return Err(Errno::EEXIST);
        }
        if walk.has_slashes && !is_directory {
            return Err(Errno::ENOENT);
        }
        Ok(walk)
    }

    /// `mkdirat`, `mkdir`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn mkdirat(
        &mut self,
        host: &mut dyn Host,
        directory: i32,
        path: &[u8],
        mode: u32,
    ) -> Result<(), Errno> {
        let walk = self.walk_to_create(host, directory, path, true)?;
        let node = Node::Directory(Directory::default());
        let permissions = mode & 0o1777 & !self.mask;
        self.create(host, walk.directory, walk.name(), node, permissions).map(drop)
    }

    /// `symlinkat`, `symlink`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn symlinkat(
        &mut self,
        host: &mut dyn Host,
        target: &[u8],
        directory: i32,
        path: &[u8],
    ) -> Result<(), Errno> {
        if target.is_empty() {
            return Err(Errno::ENOENT);
        }
        if target.len() >= PATH_LEN_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let walk = self.walk_to_create(host, directory, path, false)?;
        let node = Node::Link(Box::from(target));
        self.create(host, walk.directory, walk.name(), node, 0o777).map(drop)
    }

    /// `linkat`, `link`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn linkat(
        &mut self,
        host: &mut dyn Host,
        from: (i32, &[u8]),
        to: (i32, &[u8]),
        flags: u32,
    ) -> Result<(), Errno> {
        if flags & !(at::FOLLOW | at::EMPTY_PATH) != 0 {
            return Err(Errno::EINVAL);
        }
        let found = if from.1.is_empty() {
            self.resolve_at(host, from.0, from.1, flags)?
        } else {
            let follow = if flags & at::FOLLOW != 0 { Follow::Yes } else { Follow::No };
            self.resolve(host, from.0, from.1, follow)?
        };
        let walk = self.walk_to_create(host, to.0, to.1, false)?;
        let Found::Inode(number) = found else {
            return Err(Errno::EXDEV);
        };
        let inode = self.tree.inode(number);
        if inode.mount != self.tree.inode(walk.directory).mount {
            return Err(Errno::EXDEV);
        }
        self.may_create(walk.directory)?;
        let inode = self.tree.inode(number);
        if inode.is_directory() {
            return Err(Errno::EPERM);
        }
        if inode.links == 0 {
            return Err(Errno::ENOENT);
        }
        if inode.links >= NAMES_OF_INODE_MAX {
            return Err(Errno::EMLINK);
        }
        let now = host.realtime();
        self.tree.link(walk.directory, walk.name(), number, now)
    }
}
