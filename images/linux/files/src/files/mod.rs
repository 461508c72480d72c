//! The calls, named as Linux names them.
//!
//! A method takes what the call takes, decoded; what it answers is what the call answers in `rax`,
//! or [`Errno`]. Calls that can block answer [`Stop`](crate::Stop). Paths are bytes without the
//! final zero. Who wonders about an order of checks finds it in `fs/namei.c` and `fs/open.c`.

mod attributes;
mod close;
mod control;
mod copy;
mod create;
mod describe;
mod epoll;
mod furnish;
mod input;
mod load;
mod make;
mod names;
mod offset;
mod open;
mod read;
mod ready;
mod remove;
mod report;
mod resize;
mod share;
mod timer;
mod walk;
mod write;

use slab::Slab;

use crate::descriptors::Descriptors;
use crate::errno::Errno;
use crate::pipe::Pipe;
use crate::settings::Settings;
use crate::tree::{Budget, Number, Tree};
use input::Input;

pub use copy::Side;

/// All files, directories, pipes and descriptors of a process.
#[derive(Debug)]
pub struct Files<'p> {
    tree: Tree<'p>,
    table: Descriptors,
    pipes: Slab<Pipe>,
    /// What the pipes may hold together.
    pipes_len: usize,
    input: Input<'p>,
    working: Number,
    mask: u32,
    places: Places,
}

/// Directories that mean something special.
#[derive(Clone, Copy, Debug, Default)]
struct Places {
    /// `/proc`.
    process: Number,
    /// `/proc/self`.
    own: Number,
}

impl<'p> Files<'p> {
    /// A tree with `/dev`, `/etc`, `/proc`, `/sys` and a writable `/tmp`, in which only archives
    /// and [`Self::insert`] put more. Descriptors 0 to 3 are open: the input and the three sinks.
    /// The working directory is `/`.
    ///
    /// # Errors
    /// `ENOSPC` if the settings leave no room for that.
    pub fn new(settings: &Settings) -> Result<Self, Errno> {
        let budget = Budget::new(settings.bytes_max, settings.inodes_max);
        let mut files = Self {
            tree: Tree::new(settings.owner, budget)?,
            table: Descriptors::new(),
            pipes: Slab::new(),
            pipes_len: 0,
            input: Input::default(),
            working: crate::tree::ROOT,
            mask: 0o022,
            places: Places::default(),
        };
        files.tree.hold(files.working);
        files.furnish()?;
        files.open_standard()?;
        Ok(files)
    }

    /// `umask`.
    pub fn umask(&mut self, mask: u32) -> u32 {
        core::mem::replace(&mut self.mask, mask & 0o777)
    }
}
