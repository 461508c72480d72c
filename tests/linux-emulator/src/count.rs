//! Counting instructions: those of the program, and what its calls cost in the image.

use std::collections::{BTreeMap, BTreeSet};

/// The image's own addresses.
const IMAGE: core::ops::Range<u64> = 0x3000_0000..0x4000_0000;

/// What was counted.
#[derive(Debug, Default)]
pub struct Count {
    program: u64,
    image: u64,
    /// The call that is being answered, and when it began.
    call: Option<(u64, u64)>,
    /// Of each call: how often, and the least and the most instructions.
    calls: BTreeMap<u64, (u64, u64, u64)>,
    /// Which calls the program made.
    kinds: BTreeSet<u64>,
}

impl Count {
    /// An instruction is about to be executed at this address.
    pub fn step(&mut self, address: u64) {
        if IMAGE.contains(&address) {
            self.image += 1;
            return;
        }
        self.program += 1;
        if let Some((number, begin)) = self.call.take() {
            let cost = self.image - begin;
            let (count, least, most) = self.calls.entry(number).or_insert((0, u64::MAX, 0));
            *count += 1;
            *least = cost.min(*least);
            *most = cost.max(*most);
        }
    }

    /// The program makes a call.
    pub fn call(&mut self, number: u64) {
        self.call = Some((number, self.image));
        self.kinds.insert(number);
    }

    /// Prints the numbers of the calls that the program made.
    pub fn print_kinds(&self) {
        let numbers: Vec<_> = self.kinds.iter().map(u64::to_string).collect();
        eprintln!("calls: {}", numbers.join(" "));
    }

    /// Prints all of it.
    pub fn print(&self) {
        eprintln!("count: program {} image {}", self.program, self.image);
        for (number, (count, least, most)) in &self.calls {
            eprintln!("count: call {number} × {count}: {least} to {most}");
        }
    }
}
