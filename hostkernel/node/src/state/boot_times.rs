//! How long each phase of the boot took, from the start of the processor's counter.

use core::fmt;

/// Nanoseconds of each phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BootTimes {
    firmware_ns: u64,
    /// Without a loader that told when it began, its time is in that of the firmware.
    loader_ns: Option<u64>,
    /// From the first instruction to readiness, once there was that.
    pub kernel_ns: Option<u64>,
}

impl BootTimes {
    /// The times of a kernel and a loader that began so long after the counter. A loader that
    /// began after the kernel, or with the counter, did not tell the truth.
    #[must_use]
    pub fn new(kernel_start_ns: u64, loader_start_ns: Option<u64>) -> Self {
        let loader_start_ns = loader_start_ns.filter(|ns| (1..=kernel_start_ns).contains(ns));
        Self {
            firmware_ns: loader_start_ns.unwrap_or(kernel_start_ns),
            loader_ns: loader_start_ns.map(|ns| kernel_start_ns - ns),
            kernel_ns: None,
        }
    }

    /// Name and length of those that are known, in their order.
    pub fn phases(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let firmware = ("firmware", Some(self.firmware_ns));
        let all = [firmware, ("loader", self.loader_ns), ("kernel", self.kernel_ns)];
        all.into_iter().filter_map(|(name, ns)| Some((name, ns?)))
    }
}

impl fmt::Display for BootTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.phases().enumerate().try_for_each(|(index, (name, ns))| {
            let comma = if index > 0 { ", " } else { "" };
            let tenths = ns / 100_000;
            write!(f, "{comma}{name} {}.{} ms", tenths / 10, tenths % 10)
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn the_phases_add_up() {
        let mut times = BootTimes::new(150_000_000, Some(120_050_000));
        assert_eq!(times.to_string(), "firmware 120.0 ms, loader 29.9 ms");
        times.kernel_ns = Some(31_400_000);
        assert_eq!(times.to_string(), "firmware 120.0 ms, loader 29.9 ms, kernel 31.4 ms");
        assert_eq!(times.phases().map(|(_, ns)| ns).sum::<u64>(), 181_400_000);
    }

    #[test]
    fn without_a_loader_all_before_the_kernel_is_firmware() {
        for nobody in [None, Some(0), Some(150_000_001), Some(u64::MAX)] {
            let times = BootTimes::new(150_000_000, nobody);
            assert_eq!(times.to_string(), "firmware 150.0 ms", "{nobody:?}");
        }
    }
}
