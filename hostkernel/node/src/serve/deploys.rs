//! Deploys under way.

use alloc::boxed::Box;

use super::turns::{Turns, Work};
use crate::api::Deploying;
use crate::registry::{Holding, Namespace};

/// All of them.
pub type Deploys = Turns<Deploy>;

/// One, and the slot of the connection that waits for it.
pub struct Deploy {
    pub slot: u32,
    pub deploying: Box<Deploying>,
    pub holding: Holding,
}

impl Work for Deploy {
    fn namespace(&self) -> &Namespace {
        &self.deploying.namespace
    }

    fn is_left(&mut self, slot: u32) -> bool {
        self.slot != slot
    }
}
