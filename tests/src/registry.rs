//! A registry of Debian on a port of its own, for as long as a test wants it.

use std::ops::{Deref, DerefMut};

use tempfile::TempDir;
use xtask::fleet;
use xtask::qemu::free_port;

pub use xtask::fleet::registry::HOST;

/// A running registry with a folder that goes with it.
#[derive(Debug)]
pub struct Registry {
    // Ended before its folder goes.
    registry: fleet::Registry,
    _folder: TempDir,
}

impl Registry {
    /// Starts one that has nothing.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start() -> Self {
        fleet::ensure(|text| eprintln!("{text}")).unwrap_or_else(|error| panic!("{error}"));
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let port = free_port().expect("a port is free");
        let registry = fleet::Registry::start(folder.path(), port).expect("it is installed");
        Self { registry, _folder: folder }
    }
}

impl Deref for Registry {
    type Target = fleet::Registry;

    fn deref(&self) -> &fleet::Registry {
        &self.registry
    }
}

impl DerefMut for Registry {
    fn deref_mut(&mut self) -> &mut fleet::Registry {
        &mut self.registry
    }
}
