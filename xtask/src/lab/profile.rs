//! Instructions by address, by the plugin in `tests/instruction-counter`.
//!
//! As in [`counters`](super::counters) the figures are slopes, here for each address by itself.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use super::counters::{QUIET, create};
use super::{Counters, LabError, Plan};
use crate::qemu::Machine;

/// The plugin's file: addresses there is room for, and the length of one's record.
const ADDRESSES_MAX: usize = 1 << 19;
const RECORD_LEN: usize = 16;

/// Instructions per run at each address.
pub type Executions = HashMap<u64, f64>;

/// The files in which the plugin counts, by core and, for one core, by address.
#[derive(Debug)]
pub struct Profile {
    counters: Counters,
    file: PathBuf,
    core: u32,
}

impl Profile {
    /// Makes the files in `folder`, to count what `core` executes.
    ///
    /// # Errors
    /// When they cannot be written, or QEMU would not take their names.
    pub fn create(folder: &Path, core: u32) -> Result<Self, LabError> {
        let counters = Counters::create(folder.join("counters"))?;
        let file = folder.join("addresses");
        create(&file, ADDRESSES_MAX * RECORD_LEN)?;
        Ok(Self { counters, file, core })
    }

    /// Lets a machine count.
    #[must_use]
    pub fn attach(&self, machine: Machine, plugin: &Path) -> Machine {
        let arguments =
            format!("{},addresses={},core={}", plugin.display(), self.file.display(), self.core);
        self.counters.attach(machine, Path::new(&arguments))
    }

    /// How often each instruction is executed in one run of something. `run` does as many runs as
    /// it is told; of the plan's rounds there is one.
    ///
    /// # Errors
    /// What `run` says, or that the file cannot be read.
    pub fn per_run(
        &self,
        plan: Plan,
        mut run: impl FnMut(u64) -> Result<(), LabError>,
    ) -> Result<Executions, LabError> {
        let mut counted = |runs| {
            let before = self.read()?;
            run(runs)?;
            thread::sleep(QUIET);
            let mut grown = self.read()?;
            grown.iter_mut().for_each(|(address, count)| {
                *count -= before.get(address).copied().unwrap_or_default();
            });
            Ok::<_, LabError>(grown)
        };
        counted(plan.warm_up)?;
        let (small, mut large) = (counted(plan.runs)?, counted(3 * plan.runs)?);
        for (address, count) in &mut large {
            *count -= small.get(address).copied().unwrap_or_default();
            *count /= (2 * plan.runs) as f64;
        }
        large.retain(|_, count| *count != 0.0);
        Ok(large)
    }

    fn read(&self) -> Result<Executions, LabError> {
        let bytes = fs::read(&self.file).map_err(LabError::file(&self.file))?;
        let record = |bytes: &[u8]| {
            let (address, rest) = bytes.split_first_chunk()?;
            let count = u64::from_ne_bytes(*rest.first_chunk()?);
            Some((u64::from_ne_bytes(*address), count as f64))
        };
        let records = bytes.chunks(RECORD_LEN).map_while(record);
        Ok(records.take_while(|(address, _)| *address != 0).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_a_slope_of_its_own() {
        let folder = std::env::temp_dir().join(format!("profile-{}", std::process::id()));
        let profile = Profile::create(&folder, 1).expect("it can be written");
        let mut counted = [(0x1000_u64, 0_u64), (0x2000, 0), (0x3000, 0)];
        let plan = Plan { warm_up: 1, runs: 10, rounds: 1 };
        let executions = profile.per_run(plan, |runs| {
            counted[0].1 += 5000 + 3 * runs;
            counted[1].1 += runs / 2;
            counted[2].1 += 7;
            let record = |(address, count): &(u64, u64)| [*address, *count].map(u64::to_ne_bytes);
            let bytes: Vec<u8> =
                counted.iter().flat_map(record).flatten().chain([0; RECORD_LEN]).collect();
            fs::write(&profile.file, bytes).map_err(LabError::file(&profile.file))
        });
        fs::remove_dir_all(&folder).expect("it is ours");
        let expected = HashMap::from([(0x1000, 3.0), (0x2000, 0.5)]);
        assert_eq!(executions.expect("it runs"), expected);
    }
}
