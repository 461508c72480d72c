//! Machines as firmware and emulators lay them out, and some that nobody should.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use super::assign;
use super::function::{Function, MemoryBar, Space};
use super::scan::Functions;
use crate::platform::pci::{Address, Buses, Ecam, named, windows};
use crate::platform::table::Table;
use limits::{PCI_CAPABILITIES_MAX, PCI_FUNCTIONS_MAX};

/// Configuration space of functions that are there, with base addresses of these lengths.
#[derive(Default)]
struct Machine {
    functions: RefCell<BTreeMap<Address, [u32; 64]>>,
    lens: BTreeMap<Address, [u64; 6]>,
    reads: Cell<usize>,
}

const fn at(bus: u8, device: u8, function: u8) -> Address {
    Address { segment: 0, bus, device, function }
}

impl Space for Machine {
    fn read(&self, at: Address, register: u8) -> u32 {
        self.reads.set(self.reads.get() + 1);
        let functions = self.functions.borrow();
        functions.get(&at).map_or(u32::MAX, |words| words[usize::from(register / 4)])
    }

    fn write(&self, at: Address, register: u8, value: u32) {
        let mut functions = self.functions.borrow_mut();
        let Some(words) = functions.get_mut(&at) else { return };
        let word = &mut words[usize::from(register / 4)];
        let bar = usize::from(register.wrapping_sub(0x10) / 4);
        *word = match self.lens.get(&at).and_then(|lens| lens.get(bar)) {
            Some(0) => 0,
            // The low bits say what it is, and those below the length are not there.
            Some(len @ 16..) => value & !(*len as u32 - 1) | *word & 0xf,
            // The upper half of one that is shorter than 4 GiB.
            _ => value,
        };
    }
}

impl Machine {
    fn with(mut self, at: Address, words: &[(u8, u32)]) -> Self {
        let mut space = [0; 64];
        space[0] = 0x1000_1af4;
        words.iter().for_each(|(register, value)| space[usize::from(register / 4)] = *value);
        self.functions.get_mut().insert(at, space);
        self
    }

    fn bridge(self, at: Address, secondary: u8) -> Self {
        let numbers = u32::from(secondary) << 8 | u32::from(secondary) << 16;
        self.with(at, &[(0x0c, 1 << 16), (0x18, numbers)])
    }

    fn seen(&self, ranges: &[Buses]) -> Vec<Address> {
        Functions::find(self, ranges).all().iter().map(|function| function.at).collect()
    }
}

#[test]
fn bridges_lead_from_bus_to_bus() {
    let machine = Machine::default()
        .with(at(0, 0, 0), &[])
        .with(at(0, 3, 0), &[(0x0c, 1 << 23)])
        .with(at(0, 3, 5), &[])
        // Without the mark on function 0 nobody looks for others.
        .with(at(0, 4, 0), &[])
        .with(at(0, 4, 1), &[])
        .bridge(at(0, 30, 0), 7)
        .bridge(at(7, 31, 0), 3)
        .with(at(3, 0, 0), &[]);
    let expected = [at(0, 0, 0), at(0, 3, 0), at(0, 3, 5), at(0, 4, 0), at(0, 30, 0), at(7, 31, 0)];
    assert_eq!(machine.seen(&[Buses::OF_PORTS]), [&expected[..], &[at(3, 0, 0)]].concat());
}

#[test]
fn a_tree_that_is_none_ends() {
    let mut machine = Machine::default().with(at(0, 0, 0), &[]);
    // To itself, to each other, to a bus without a number, and out of the range.
    for (device, bus) in [(1, 0), (2, 1), (3, 200)] {
        machine = machine.bridge(at(0, device, 0), bus);
    }
    machine = machine.bridge(at(1, 0, 0), 0).bridge(at(1, 1, 0), 1).with(at(200, 0, 0), &[]);
    let some = Buses { last: 100, ..Buses::OF_PORTS };
    assert_eq!(machine.seen(&[some]).len(), 6);
    assert_eq!(machine.seen(&[]), []);
}

#[test]
fn behind_a_port_of_express_there_is_one_device() {
    // A capability with the port's kind, behind another one.
    let express = [(0x04, 1 << 20), (0x34, 0x40), (0x40, 0x5005), (0x50, 4 << 20 | 0x10)];
    let port = [&express[..], &[(0x0c, 1 << 16), (0x18, 5 << 8)]].concat();
    let machine =
        Machine::default().with(at(0, 1, 0), &port).with(at(5, 0, 0), &[]).with(at(5, 1, 0), &[]);
    assert_eq!(machine.seen(&[Buses::OF_PORTS]), [at(0, 1, 0), at(5, 0, 0)]);
}

#[test]
fn other_root_buses_cost_nothing_until_somebody_needs_them() {
    let machine = Machine::default()
        .with(at(0, 0, 0), &[])
        .bridge(at(128, 2, 0), 130)
        .with(at(130, 0, 0), &[]);
    let mut functions = Functions::find(&machine, &[Buses::OF_PORTS]);
    assert!(functions.all().len() == 1 && machine.reads.get() < 40, "{}", machine.reads.get());
    let further: Vec<_> = functions.look_further().iter().map(|found| found.at).collect();
    assert_eq!(further, [at(128, 2, 0), at(130, 0, 0)]);
    let reads = machine.reads.get();
    assert!(functions.look_further().is_empty() && machine.reads.get() == reads);
    assert_eq!(functions.all().len(), 3);
    // Where nothing is, nothing is sought.
    let empty = Machine::default();
    let mut functions = Functions::find(&empty, &[Buses::OF_PORTS]);
    assert!(functions.look_further().is_empty() && empty.reads.get() == 32);
}

#[test]
fn segments_are_told_apart() {
    let other = Address { segment: 7, bus: 16, device: 0, function: 0 };
    let machine = Machine::default().with(at(0, 0, 0), &[]).with(other, &[]);
    let second = Buses { segment: 7, first: 16, last: 31 };
    assert_eq!(machine.seen(&[Buses::OF_PORTS, second]), [at(0, 0, 0), other]);
    assert_eq!(alloc::format!("{} {other}", at(1, 2, 3)), "01:02.3 0007:10:00.0");
}

#[test]
fn a_space_that_answers_everywhere_is_bounded() {
    struct Everywhere;
    impl Space for Everywhere {
        fn read(&self, _: Address, register: u8) -> u32 {
            // Capabilities in a circle, too.
            if register == 0 { 0x1111_1111 } else { 0x4040_4040 }
        }
        fn write(&self, _: Address, _: u8, _: u32) {}
    }
    let mut functions = Functions::find(&Everywhere, &[Buses::OF_PORTS]);
    let _ = functions.look_further();
    assert_eq!(functions.all().len(), PCI_FUNCTIONS_MAX);
    let function = Function::find(&Everywhere, at(0, 0, 0)).expect("it answers");
    assert!(function.capabilities(0x40).count() <= PCI_CAPABILITIES_MAX);
}

#[test]
fn a_base_address_is_one_of_memory_or_none() {
    let bars = [
        (0x04, 0xffff_0003),
        (0x10, 0xc001),
        (0x14, 0xfe00_0008),
        (0x18, 0x0000_000c),
        (0x1c, 7),
        (0x20, 2),
        (0x24, 4),
    ];
    let mut machine = Machine::default().with(at(0, 1, 0), &bars).bridge(at(0, 2, 0), 1);
    machine.lens.insert(at(0, 1, 0), [0, 1 << 12, 1 << 14, 1, 0, 0]);
    let function = Function::find(&machine, at(0, 1, 0)).expect("it is there");
    let found: Vec<_> = (0..8).map(|bar| function.bar_address(bar)).collect();
    let wide = 0x7_0000_0000;
    assert_eq!(found, [None, Some(0xfe00_0000), Some(wide), None, None, None, None, None]);
    assert_eq!(function.memory_bar(2), Some(MemoryBar { address: wide, is_wide: true }));
    let lens: Vec<_> = (0..6).map(|bar| function.bar_len(bar)).collect();
    assert_eq!(lens, [0, 1 << 12, 1 << 14, 0, 0, 0]);
    assert_eq!(function.bar_address(2), Some(wide), "as before");
    assert_eq!(function.read(0x04), 3, "the status is left alone");
    let bridge = Function::find(&machine, at(0, 2, 0)).expect("it is there");
    assert_eq!(bridge.bar_address(0), None);
}

fn ranges(table: &[u8]) -> Vec<Ecam> {
    Table::new(table).map_or(Vec::new(), |table| crate::platform::pci::ranges(table).collect())
}

/// A table of ranges.
fn table(entries: &[(u64, u16, u8, u8)]) -> Vec<u8> {
    let mut table = vec![0; 44];
    for (base, segment, first, last) in entries {
        table.extend(base.to_le_bytes());
        table.extend(segment.to_le_bytes());
        table.extend([*first, *last, 0, 0, 0, 0]);
    }
    let len = table.len() as u32;
    table[4..8].copy_from_slice(&len.to_le_bytes());
    table
}

#[test]
fn a_table_is_read_as_far_as_it_makes_sense() {
    let whole = table(&[
        (0xb000_0000, 0, 0, 255),
        (0x40_0000_0000, 1, 0x80, 0x8f),
        (0, 2, 0, 255),
        (0x1234, 3, 0, 255),
        (0xe000_0000, 4, 9, 8),
        (!0xf_ffff, 5, 0, 1),
    ]);
    let found = ranges(&whole);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].range(), 0xb000_0000..0xc000_0000);
    assert_eq!(found[1].range(), 0x40_0800_0000..0x40_0900_0000);
    assert_eq!(found[0].of(at(1, 2, 3)), Some(0xb011_3000));
    assert_eq!(found[1].of(at(0x80, 0, 0)), None, "another segment");
    let other = Address { segment: 1, bus: 0x81, device: 0, function: 0 };
    assert_eq!(found[1].of(other), Some(0x40_0810_0000));
    assert_eq!(found[1].of(Address { bus: 0x90, ..other }), None);
    for len in 0..whole.len() {
        assert!(ranges(&whole[..len]).len() <= (len.saturating_sub(44)) / 16);
    }
}

#[test]
fn byte_code_names_configuration_space_as_a_constant() {
    let base = |code: &[u8]| named(code).map(|found| found.range().start);
    // A method of QEMU's, and a name.
    assert_eq!(base(b"\x14\x0c_CBA\x00\xa4\x0c\x00\x00\x00\xe0x"), Some(0xe000_0000));
    assert_eq!(base(b"\x08_CBA\x0e\0\0\0\0\x40\0\0\0"), Some(0x40_0000_0000));
    for code in [&b"_CBA"[..], b"_CBA\x0c\0\0\0", b"_CBA\x0c\0\x01\0\0", b"_CBB\x0c\0\0\0\xe0", b""]
    {
        assert_eq!(base(code), None);
    }
}

/// `DWordMemory`.
fn window(flags: u8, kind: u8, first: u32, last: u32) -> Vec<u8> {
    let mut code = vec![0x87, 0x17, 0, kind, flags, 1];
    for word in [0, first, last, 0, last.wrapping_sub(first)] {
        code.extend(word.to_le_bytes());
    }
    code
}

#[test]
fn functions_without_addresses_get_some() {
    let code = [
        window(0x0c, 1, 0x1000_0000, 0x1fff_ffff),
        window(0x0d, 0, 0x2000_0000, 0x2fff_ffff),
        window(0x0c, 0, 0xa_0000, 0xb_ffff),
        window(0x0c, 0, 0xdfff_ffff, 0xc000_0000),
        window(0x0c, 0, 0xc000_0000, 0xc000_ffff),
        vec![0x87, 0x17, 0, 0, 0x0c],
    ];
    let found: Vec<_> = windows(&code.concat()).collect();
    let window = 0xc000_0000..0xc001_0000;
    assert_eq!(found, core::slice::from_ref(&window));
    let bars = [(0x10, 1), (0x14, 0), (0x20, 0xc)];
    let mut machine = Machine::default().with(at(0, 1, 0), &bars).with(at(0, 2, 0), &bars);
    for device in [1, 2] {
        machine.lens.insert(at(0, device, 0), [0, 0x1000, 0, 0, 0x8000, 1]);
    }
    let functions = Functions::find(&machine, &[Buses::OF_PORTS]);
    assert!(assign::is_needed(functions.all()));
    assign::assign(functions.all(), window);
    let places: Vec<_> = functions
        .all()
        .iter()
        .flat_map(|function| [1, 4].map(|bar| function.bar_address(bar)))
        .collect();
    // There is no room for the last one.
    assert_eq!(places, [Some(0xc000_0000), Some(0xc000_8000), None, None]);
    assert!(!assign::is_needed(functions.all()) && !assign::is_needed(&[]));
}
