//! Tables as real boards and hypervisors have them, and as nobody should.

use super::table::{HEADER_LEN, Table};
use super::*;
use alloc::vec;
use proptest::prelude::*;

/// A table of `len` bytes, zero but for these fields.
fn table(signature: &[u8; 4], len: usize, fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; len];
    for (at, field) in fields {
        bytes[*at..at + field.len()].copy_from_slice(field);
    }
    bytes[..4].copy_from_slice(signature);
    bytes[4..8].copy_from_slice(&(len as u32).to_le_bytes());
    bytes
}

fn with_entries(entries: &[&[u8]]) -> Platform {
    let mut bytes = table(madt::SIGNATURE, 44, &[]);
    bytes.extend(entries.concat());
    let len = bytes.len() as u32;
    bytes[4..8].copy_from_slice(&len.to_le_bytes());
    let mut platform = Platform::default();
    madt::read(Table::new(&bytes).expect("a table"), &mut platform);
    platform
}

fn read_fadt(bytes: &[u8], platform: &mut Platform) {
    fadt::read(Table::new(bytes).expect("a table"), platform);
}

#[test]
fn a_table_of_acpi_1_says_what_it_has_and_nothing_of_what_lies_behind() {
    // As SeaBIOS makes it: 116 bytes; behind it there happens to be something else.
    let fields: &[(usize, &[u8])] = &[
        (40, &[0x40, 0x0f, 0xfe, 0x0f]),
        (46, &[9, 0]),
        (48, &[0xb2, 0, 0, 0]),
        (52, &[2]),
        (56, &[0, 6, 0, 0]),
        (64, &[4, 6, 0, 0]),
        (76, &[8, 6, 0, 0]),
        (80, &[0x20, 6, 0, 0]),
        (88, &[4, 2, 0, 4, 16]),
        (108, &[0x32]),
        (112, &[0xa5, 0x84, 0, 0]),
    ];
    let mut bytes = table(fadt::SIGNATURE, 116, fields);
    bytes.extend([0xff; 200]);
    let mut platform = Platform::default();
    read_fadt(&bytes, &mut platform);
    let port = |port| Some(Register::Port(port));
    let expected = Power {
        events: [port(0x600), None],
        event_len: 4,
        general_events: [Some((Register::Port(0x620), 16)), None],
        controls: [port(0x604), None],
        line: Some(InterruptLine { number: 9, signal: Signal::SHARED }),
        handover: Some((0xb2, 2)),
        ..Power::default()
    };
    assert_eq!(platform.power, expected, "the flag says reset, but no register is there");
    assert_eq!((platform.timer_port, platform.century), (Some(0x608), Some(0x32)));
    let found = Table::new(&bytes).and_then(fadt::byte_code);
    assert_eq!(found, Some(0x0ffe_0f40));
}

#[test]
fn addresses_of_later_tables_win_over_ports_where_they_are_not_zero() {
    let memory = [&[0, 32, 0, 3][..], &0xfed8_0800_u64.to_le_bytes()].concat();
    let reset = [&[1, 8, 0, 1][..], &0xcf9_u64.to_le_bytes()].concat();
    let fields: &[(usize, &[u8])] = &[
        (40, &[0, 0, 0, 1]),
        (46, &[9, 0]),
        (56, &[0, 4, 0, 0]),
        (64, &[4, 4, 0, 0]),
        (112, &(1_u32 << 10).to_le_bytes()),
        (116, &reset),
        (128, &[6]),
        (140, &0x1_0000_0000_u64.to_le_bytes()),
        (148, &memory),
    ];
    let mut platform = Platform::default();
    let bytes = table(fadt::SIGNATURE, 276, fields);
    read_fadt(&bytes, &mut platform);
    let power = platform.power;
    assert_eq!(power.events, [Some(Register::Memory(0xfed8_0800)), None]);
    assert_eq!(power.controls, [Some(Register::Port(0x404)), None]);
    assert_eq!(power.reset, Some((Register::Port(0xcf9), 6)));
    assert_eq!(Table::new(&bytes).and_then(fadt::byte_code), Some(0x1_0000_0000));
}

#[test]
fn a_reduced_machine_has_no_fixed_registers_whatever_stands_there() {
    let flags = (1_u32 << 20).to_le_bytes();
    let bytes = table(fadt::SIGNATURE, 276, &[(46, &[9]), (56, &[0, 6]), (112, &flags)]);
    let mut platform = Platform::default();
    read_fadt(&bytes, &mut platform);
    assert_eq!(platform.power, Power::default());
}

#[test]
fn lines_signal_as_the_overrides_say() {
    // Interrupt 0 is line 2, as everywhere; the system control interrupt is as QEMU has it, high,
    // or as boards have it: low, or as usual for it; PCI's 11 goes to line 20, low by its bus.
    let sci = |flags: u8| [2, 10, 0, 9, 9, 0, 0, 0, flags, 0];
    let others: [&[u8]; 2] =
        [&[2, 10, 0, 0, 2, 0, 0, 0, 0, 0], &[2, 10, 0, 11, 20, 0, 0, 0, 0x0c, 0]];
    for (flags, signal) in [
        (0b1101, Signal { level: true, low: false }),
        (0b1111, Signal { level: true, low: true }),
        (0b0000, Signal::SHARED),
        (0b0101, Signal { level: false, low: false }),
        (0b1010, Signal::SHARED),
    ] {
        let platform = with_entries(&[&sci(flags), others[0], others[1]]);
        assert_eq!(
            platform.line(9, Signal::SHARED),
            InterruptLine { number: 9, signal },
            "{flags:b}"
        );
        assert_eq!(platform.line(0, Signal::SHARED).number, 2);
        let pci = InterruptLine { number: 20, signal: Signal::SHARED };
        assert_eq!(platform.line(11, Signal::SHARED), pci, "by the number it has for firmware");
        assert_eq!(platform.line(20, Signal::SHARED), pci, "and by its global one");
        let other = InterruptLine { number: 16, signal: Signal::TRANSPORT };
        assert_eq!(platform.line(16, Signal::TRANSPORT), other);
    }
    let mut platform = with_entries(&[&sci(0b1101)]);
    read_fadt(&table(fadt::SIGNATURE, 116, &[(46, &[9, 0])]), &mut platform);
    let signal = Signal { level: true, low: false };
    assert_eq!(platform.power.line, Some(InterruptLine { number: 9, signal }));
}

#[test]
fn a_processor_that_is_listed_twice_is_one() {
    let local = |id: u8, flags: u8| [0, 8, id, id, flags, 0, 0, 0];
    let x2 = |id: u32, flags: u8| {
        let [a, b, c, d] = id.to_le_bytes();
        [9, 16, 0, 0, a, b, c, d, flags, 0, 0, 0, 0, 0, 0, 0]
    };
    let platform = with_entries(&[
        &local(0, 1),
        &local(2, 1),
        &local(3, 0),
        &local(0xff, 1),
        &x2(0, 1),
        &x2(2, 1),
        &x2(3, 1),
        &x2(300, 1),
        &x2(300, 1),
        &x2(u32::MAX, 1),
    ]);
    assert_eq!(platform.processors, [0, 2, 3, 300]);
}

#[test]
fn odd_entries_end_the_list_or_say_nothing() {
    let good: &[u8] = &[1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 24, 0, 0, 0];
    assert_eq!(with_entries(&[good]).ioapics, [(0xfec0_0000, 24)]);
    // Too short for what it is, then a good one.
    assert_eq!(with_entries(&[&[1, 4, 0, 0], good]).ioapics, [(0xfec0_0000, 24)]);
    for bad in [&[0, 0][..], &[1, 1], &[7, 0xff], &[1]] {
        assert_eq!(with_entries(&[bad, good]).ioapics, [], "{bad:?}");
        assert_eq!(with_entries(&[good, bad]).ioapics, [(0xfec0_0000, 24)], "{bad:?}");
    }
}

#[test]
fn byte_code_is_searched() {
    // As QEMU's microvm has it, shortened.
    let device = |flags: u8| {
        let interrupt = [0x89, 6, 0, flags, 1, 5, 0, 0, 0];
        [&b"\x0d"[..], aml::VIRTIO, b"\0\x08_CRS", &[0x86, 9, 0, 1, 0, 2, 0, 0xfe], &interrupt]
            .concat()
    };
    let code = [device(0b0001), device(0b0111)].concat();
    let lines: Vec<_> = aml::devices(&code, aml::VIRTIO).collect();
    let line = |level, low| InterruptLine { number: 5, signal: Signal { level, low } };
    assert_eq!(lines, [(0xfe00_0200, line(true, false)), (0xfe00_0200, line(false, true))]);
    assert_eq!(aml::devices(&code, aml::EVENT_DEVICE).count(), 0);
    let off = b"\x08_S5_\x12\x06\x04\x0a\x05\x0a\x07\0\0";
    assert_eq!(aml::soft_off(off), Some((5, 7)));
    assert_eq!(aml::soft_off(b"\x08_S5_\x12\x06\x04\0\0\0\0"), Some((0, 0)));
    for len in 0..10 {
        assert_eq!(aml::soft_off(&off[..len]), None, "{len}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        len in prop_oneof![Just(None), (0..500_u32).prop_map(Some)],
    ) {
        let mut bytes = bytes;
        if let (Some(len), Some(place)) = (len, bytes.get_mut(4..8)) {
            place.copy_from_slice(&len.to_le_bytes());
        }
        let mut platform = Platform::default();
        if let Some(table) = Table::new(&bytes) {
            prop_assert!(table.rest(0).len() >= HEADER_LEN);
            madt::read(table, &mut platform);
            fadt::read(table, &mut platform);
            let _ = fadt::byte_code(table);
        }
        let _ = (aml::soft_off(&bytes), aml::devices(&bytes, aml::VIRTIO).count());
        prop_assert!(platform.processors.len() <= bytes.len() / 8);
    }

    #[test]
    fn nothing_behind_a_table_changes_what_it_says(
        content in proptest::collection::vec(any::<u8>(), 0..300),
        behind in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let read = |bytes: &[u8]| {
            let mut platform = Platform::default();
            let table = Table::new(bytes).expect("a table");
            madt::read(table, &mut platform);
            fadt::read(table, &mut platform);
            alloc::format!("{platform:?}")
        };
        let mut bytes = table(b"TEST", HEADER_LEN, &[]);
        bytes.extend(&content);
        let len = bytes.len() as u32;
        bytes[4..8].copy_from_slice(&len.to_le_bytes());
        let alone = read(&bytes);
        bytes.extend(&behind);
        prop_assert_eq!(read(&bytes), alone);
    }
}
