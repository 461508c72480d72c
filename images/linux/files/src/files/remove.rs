//! Names go: `unlinkat`.

use super::Files;
use super::walk::{Found, Last, Walk};
use crate::abi::at;
use crate::errno::Errno;
use crate::host::Host;
use crate::tree::{Number, SEARCH, WRITE};

const STICKY: u16 = 0o1000;

impl Files<'_> {
    /// `unlinkat`, `unlink`, `rmdir`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn unlinkat(
        &mut self,
        host: &mut dyn Host,
        directory: i32,
        path: &[u8],
        flags: u32,
    ) -> Result<(), Errno> {
        if flags & !at::REMOVE_DIRECTORY != 0 {
            return Err(Errno::EINVAL);
        }
        let is_directory = flags != 0;
        let walk = self.walk(host, directory, path)?;
        match walk.last {
            Last::Name(_) => {}
            _ if !is_directory => return Err(Errno::EISDIR),
            Last::Dot => return Err(Errno::EINVAL),
            Last::DotDot => return Err(Errno::ENOTEMPTY),
            Last::Root => return Err(Errno::EBUSY),
        }
        self.tree.writable(walk.directory)?;
        let victim = self.victim(host, &walk)?;
        if !is_directory && walk.has_slashes {
            let is_directory = self.tree.inode(victim).is_directory();
            return Err(if is_directory { Errno::EISDIR } else { Errno::ENOTDIR });
        }
        self.may_remove(walk.directory, victim, is_directory)?;
        if is_directory && !self.tree.directory(victim)?.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        let now = host.realtime();
        self.tree.unlink(walk.directory, walk.name(), now)
    }

    /// What has the last name of a walk.
    pub(super) fn victim(&self, host: &mut dyn Host, walk: &Walk<'_>) -> Result<Number, Errno> {
        match self.look_up(host, walk)? {
            Found::Inode(number) => Ok(number),
            Found::Nothing => Err(Errno::ENOENT),
            Found::DescriptorLink(_) | Found::Descriptor(_) => Err(Errno::EPERM),
        }
    }

    /// Whether a name may be taken away from something that must (not) be a directory.
    pub(super) fn may_remove(
        &self,
        directory: Number,
        victim: Number,
        is_directory: bool,
    ) -> Result<(), Errno> {
        self.tree.may(directory, WRITE | SEARCH)?;
        let is_sticky = self.tree.inode(directory).permissions & STICKY != 0;
        if is_sticky && !self.tree.owns(directory) && !self.tree.owns(victim) {
            return Err(Errno::EPERM);
        }
        let inode = self.tree.inode(victim);
        match (inode.is_directory(), is_directory) {
            (false, true) => Err(Errno::ENOTDIR),
            (true, false) => Err(Errno::EISDIR),
            (true, true) if self.tree.mount_of(victim).root == victim => Err(Errno::EBUSY),
            _ => Ok(()),
        }
    }
}
