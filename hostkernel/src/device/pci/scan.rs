//! Which functions a machine has.
//!
//! Bus 0, or the first one of a segment, and what bridges lead to from there, is nearly always all.
//! A machine may have further host bridges, whose buses only firmware's byte code names, and that
//! is not run (decision 4): they are found by looking. But each look is an exit of a virtual
//! machine, 32 a bus, and a bus is mostly empty; so that is done only for who has not found what it
//! needs.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use limits::PCI_FUNCTIONS_MAX;

use super::function::{Function, Space};
use crate::platform::pci::{Address, Buses};

const DEVICES: u8 = 32;
const FUNCTIONS: u8 = 8;

/// Buses, and which of them were looked at.
struct Root {
    buses: Buses,
    seen: [u64; 4],
}

impl Root {
    /// Marks a bus as looked at. Returns whether it is one of these and was not.
    fn begin(&mut self, bus: u8) -> bool {
        let word = &mut self.seen[usize::from(bus / 64)];
        let bit = 1 << (bus % 64);
        let is_new = self.buses.contains(self.buses.segment, bus) && *word & bit == 0;
        *word |= bit;
        is_new
    }
}

/// The functions found so far, in the order of the buses.
pub struct Functions<'s> {
    space: &'s dyn Space,
    roots: Vec<Root>,
    found: Vec<Function<'s>>,
}

impl<'s> Functions<'s> {
    /// Looks at the first bus of each range, and at all buses that bridges lead to from there.
    pub fn find(space: &'s dyn Space, ranges: &[Buses]) -> Self {
        let roots = ranges.iter().map(|&buses| Root { buses, seen: [0; 4] }).collect();
        let mut functions = Self { space, roots, found: Vec::new() };
        for root in 0..functions.roots.len() {
            functions.follow(root, functions.roots[root].buses.first);
        }
        functions
    }

    /// The functions found so far.
    #[must_use]
    pub fn all(&self) -> &[Function<'s>] {
        &self.found
    }

    /// Looks at all other buses. Returns what was found, nothing the second time, and nothing on a
    /// machine that seems to have no PCI.
    pub fn look_further(&mut self) -> &[Function<'s>] {
        let known = self.found.len();
        if known == 0 {
            return &[];
        }
        for root in 0..self.roots.len() {
            let Buses { first, last, .. } = self.roots[root].buses;
            (first..=last).for_each(|bus| self.follow(root, bus));
        }
        &self.found[known..]
    }

    /// Looks at a bus, and at those behind its bridges.
    fn follow(&mut self, root: usize, bus: u8) {
        let mut waiting = Vec::from([(bus, DEVICES)]);
        let mut next = 0;
        while let Some(&(bus, devices)) = waiting.get(next) {
            next += 1;
            if !self.roots[root].begin(bus) {
                continue;
            }
            for device in 0..devices {
                let segment = self.roots[root].buses.segment;
                let at = Address { segment, bus, device, function: 0 };
                let Some(first) = Function::find(self.space, at) else { continue };
                let count = if first.has_others() { FUNCTIONS } else { 1 };
                let others = (1..count).map(|function| Address { function, ..at });
                let others = others.filter_map(|at| Function::find(self.space, at));
                for function in [first].into_iter().chain(others) {
                    if let Some(bus) = function.secondary_bus() {
                        waiting.push((bus, if function.is_link() { 1 } else { DEVICES }));
                    }
                    if self.found.len() < PCI_FUNCTIONS_MAX {
                        self.found.push(function);
                    }
                }
            }
        }
    }
}
