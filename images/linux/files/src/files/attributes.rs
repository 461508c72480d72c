//! What can be changed about an inode beside its data: permissions, owner, times.

use super::Files;
use super::walk::Found;
use crate::abi::at;
use crate::errno::Errno;
use crate::host::Host;
use crate::settings::Timestamp;
use crate::tree::{Number, WRITE};

const SET_USER: u16 = 0o4000;
const SET_GROUP: u16 = 0o2000;
/// Instead of an id: leave it.
const KEEP: u32 = u32::MAX;

impl Files<'_> {
    /// What a call changes: nothing if it is a stream, whose attributes nobody looks at.
    fn changed(
        &self,
        host: &mut dyn Host,
        directory: i32,
        path: &[u8],
        flags: u32,
    ) -> Result<Option<Number>, Errno> {
        if flags & !(at::NO_FOLLOW | at::EMPTY_PATH) != 0 {
            return Err(Errno::EINVAL);
        }
        match self.resolve_at(host, directory, path, flags)? {
            Found::Inode(number) => self.tree.writable(number).map(|()| Some(number)),
            _ => Ok(None),
        }
    }

    /// `fchmodat2`, `fchmodat`, `chmod`; with `AT_EMPTY_PATH`, `fchmod`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn fchmodat(
        &mut self,
        host: &mut dyn Host,
        directory: i32,
        path: &[u8],
        mode: u32,
        flags: u32,
    ) -> Result<(), Errno> {
        let Some(number) = self.changed(host, directory, path, flags)? else {
            return Ok(());
        };
        if self.tree.inode(number).is_link() {
            return Err(Errno::EOPNOTSUPP);
        }
        if !self.tree.owns(number) {
            return Err(Errno::EPERM);
        }
        let owner = self.tree.owner;
        let now = host.realtime();
        let inode = self.tree.inode_mut(number);
        inode.permissions = (mode & 0o7777) as u16;
        if owner.user != 0 && owner.group != inode.owner.group {
            inode.permissions &= !SET_GROUP;
        }
        inode.changed = now;
        Ok(())
    }

    /// `fchownat`, `chown`, `lchown`; with `AT_EMPTY_PATH`, `fchown`. Ids of all ones stay.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn fchownat(
        &mut self,
        host: &mut dyn Host,
        directory: i32,
        path: &[u8],
        (user, group): (u32, u32),
        flags: u32,
    ) -> Result<(), Errno> {
        let Some(number) = self.changed(host, directory, path, flags)? else {
            return Ok(());
        };
        let process = self.tree.owner;
        let owner = self.tree.inode(number).owner;
        let keeps_user = user == KEEP || (user == owner.user && user == process.user);
        let owns = owner.user == process.user;
        let keeps_group = group == KEEP || (owns && [owner.group, process.group].contains(&group));
        if process.user != 0 && !(keeps_user && keeps_group) {
            return Err(Errno::EPERM);
        }
        let now = host.realtime();
        let inode = self.tree.inode_mut(number);
        if user != KEEP {
            inode.owner.user = user;
        }
        if group != KEEP {
            inode.owner.group = group;
        }
        if !inode.is_directory() {
            // Nobody shall run as somebody else by that.
            inode.permissions &= !SET_USER;
            if inode.permissions & 0o010 != 0 {
                inode.permissions &= !SET_GROUP;
            }
        }
        inode.changed = now;
        Ok(())
    }

    /// `utimensat`, with the times of access and of modification; with `AT_EMPTY_PATH`, `futimens`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn utimensat(
        &mut self,
        host: &mut dyn Host,
        directory: i32,
        path: &[u8],
        times: [Timestamp; 2],
        flags: u32,
    ) -> Result<(), Errno> {
        if times == [Timestamp::Keep; 2] {
            return Ok(());
        }
        let is_wrong = |time: &Timestamp| match time {
            Timestamp::At(time) => time.nanoseconds >= 1_000_000_000,
            Timestamp::Now | Timestamp::Keep => false,
        };
        if times.iter().any(is_wrong) {
            return Err(Errno::EINVAL);
        }
        let Some(number) = self.changed(host, directory, path, flags)? else {
            return Ok(());
        };
        if !self.tree.owns(number) {
            if times != [Timestamp::Now; 2] {
                return Err(Errno::EPERM);
            }
            self.tree.may(number, WRITE)?;
        }
        let now = host.realtime();
        let inode = self.tree.inode_mut(number);
        let [accessed, modified] = times;
        for (time, place) in [(accessed, &mut inode.accessed), (modified, &mut inode.modified)] {
            match time {
                Timestamp::Now => *place = now,
                Timestamp::Keep => {}
                Timestamp::At(time) => *place = time,
            }
        }
        inode.changed = now;
        Ok(())
    }
}
