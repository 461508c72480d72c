//! Devices that a virtual machine monitor names on the command line, in Linux's way:
//! `virtio_mmio.device=LENGTH@ADDRESS:LINE`. Machines without ACPI have no other list.

use limits::VIRTIO_WORDS_MAX;

const KEY: &str = "virtio_mmio.device=";

/// Physical address and interrupt line of each; words that make no sense are left out.
pub fn named(command_line: &str) -> impl Iterator<Item = (u64, u32)> {
    let words = command_line.split_ascii_whitespace().take_while(|word| *word != "--");
    words.filter_map(|word| device(word.strip_prefix(KEY)?)).take(VIRTIO_WORDS_MAX)
}

/// The length says nothing: the registers have one of their own. So does an id at the end.
fn device(value: &str) -> Option<(u64, u32)> {
    let (_, place) = value.split_once('@')?;
    let mut parts = place.split(':');
    let address = match parts.next()? {
        number if number.starts_with("0x") => u64::from_str_radix(&number[2..], 16).ok()?,
        number => number.parse().ok()?,
    };
    let line = parts.next()?.parse().ok()?;
    (address != 0 && address.is_multiple_of(4)).then_some((address, line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn words_of_monitors_are_read() {
        let words = "ip=dhcp virtio_mmio.device=512@0xfeb00e00:12 \
                     virtio_mmio.device=4K@0xd0000000:5:1 -- virtio_mmio.device=4K@0xd0001000:6";
        let found: Vec<_> = named(words).collect();
        assert_eq!(found, [(0xfeb0_0e00, 12), (0xd000_0000, 5)]);
    }

    #[test]
    fn nonsense_is_left_out() {
        for value in [
            "",
            "4K",
            "4K@",
            "4K@:5",
            "4K@0x:5",
            "4K@0xd0000000",
            "4K@0xd0000001:5",
            "4K@0:5",
            "4K@0xd0000000:x",
            "4K@0xfffffffffffffffff:5",
            "4K@0x+1:5",
        ] {
            assert_eq!(device(value), None, "{value}");
        }
    }
}
