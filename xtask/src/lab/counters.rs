//! Instructions a guest executes, by the plugin in `tests/instruction-counter`.
//!
//! Figures are slopes: n runs and then 3 n runs are counted, and the difference is divided by 2 n.
//! So whatever does not grow with the number of runs cancels out.

use std::fs::{self, File};
use std::ops::{Add, Sub};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::LabError;
use crate::qemu::{Accelerator, Machine};

/// The plugin's file: the distance of two cores' counters, and how many cores there may be.
const STRIDE: usize = 64;
const CORES_MAX: usize = 256;
/// After the last answer a guest still frees memory and acknowledges; then it sleeps.
pub(super) const QUIET: Duration = Duration::from_millis(300);

/// Instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Count {
    /// All of them.
    pub all: f64,
    /// Those of programs: in the lower half of the address space.
    pub programs: f64,
}

impl Count {
    fn map(self, change: impl Fn(f64) -> f64) -> Self {
        Self { all: change(self.all), programs: change(self.programs) }
    }
}

impl Add for Count {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { all: self.all + other.all, programs: self.programs + other.programs }
    }
}

impl Sub for Count {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { all: self.all - other.all, programs: self.programs - other.programs }
    }
}

/// The file in which the plugin counts.
#[derive(Clone, Debug)]
pub struct Counters {
    file: PathBuf,
}

impl Counters {
    /// Makes the file; a machine that runs must not use it.
    ///
    /// # Errors
    /// When it cannot be written, or QEMU would not take its name.
    pub fn create(file: PathBuf) -> Result<Self, LabError> {
        create(&file, CORES_MAX * STRIDE)?;
        Ok(Self { file })
    }

    /// Lets a machine count: it needs QEMU's emulator for it. See [`crate::build`] for the plugin.
    #[must_use]
    pub fn attach(&self, machine: Machine, plugin: &Path) -> Machine {
        machine.accelerator(Accelerator::Tcg).argument("-plugin").argument(format!(
            "{},counters={}",
            plugin.display(),
            self.file.display()
        ))
    }

    /// What each of the first cores has executed until now.
    ///
    /// # Errors
    /// When the file is gone.
    pub fn read(&self, cores: usize) -> Result<Vec<Count>, LabError> {
        let bytes = fs::read(&self.file).map_err(LabError::file(&self.file))?;
        let core = |bytes: &[u8]| {
            let (all, rest) = bytes.split_first_chunk()?;
            let all = u64::from_ne_bytes(*all) as f64;
            Some(Count { all, programs: u64::from_ne_bytes(*rest.first_chunk()?) as f64 })
        };
        let counts: Option<Vec<_>> = bytes.chunks(STRIDE).take(cores).map(core).collect();
        counts.ok_or_else(|| LabError::unusable(&self.file, "is too short"))
    }
}

/// Makes a file of zeros for the plugin.
pub(super) fn create(file: &Path, len: usize) -> Result<(), LabError> {
    if file.to_string_lossy().contains(',') {
        return Err(LabError::unusable(file, "QEMU takes no comma in this path"));
    }
    let folder = file.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).map_err(LabError::file(folder))?;
    let zeros = File::create(file).and_then(|file| file.set_len(len as u64));
    zeros.map_err(LabError::file(file))
}

/// How to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Runs before anything is counted: they fill caches and translate the code.
    pub warm_up: u64,
    /// Runs in the small batch; the large one has three times as many.
    pub runs: u64,
    /// How often to measure; at least 1.
    pub rounds: u32,
}

/// Instructions per run: for each round, the cores.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    rounds: Vec<Vec<Count>>,
}

impl Figures {
    /// The rounds in the order in which they were measured, and in each the cores.
    #[must_use]
    pub fn rounds(&self) -> &[Vec<Count>] {
        &self.rounds
    }

    /// The cores in the round that has the median of all cores together.
    #[must_use]
    pub fn median_round(&self) -> &[Count] {
        let mut rounds: Vec<_> = self.rounds.iter().collect();
        rounds.sort_by(|one, other| total(one).all.total_cmp(&total(other).all));
        rounds.get(rounds.len() / 2).map_or(&[], |round| round)
    }

    /// All cores together in that round.
    #[must_use]
    pub fn median(&self) -> Count {
        total(self.median_round())
    }
}

/// All cores together.
#[must_use]
pub fn total(cores: &[Count]) -> Count {
    cores.iter().copied().fold(Count::default(), Add::add)
}

/// Counts the instructions of something that is done once, by core.
///
/// # Errors
/// What `run` says, or that the counters cannot be read.
pub fn once(
    counters: &Counters,
    cores: usize,
    run: impl FnOnce() -> Result<(), LabError>,
) -> Result<Vec<Count>, LabError> {
    thread::sleep(QUIET);
    let before = counters.read(cores)?;
    run()?;
    thread::sleep(QUIET);
    let after = counters.read(cores)?;
    Ok(after.into_iter().zip(before).map(|(after, before)| after - before).collect())
}

/// Counts the instructions of one run of something. `run` does as many runs as it is told.
///
/// # Errors
/// What `run` says, or that the counters cannot be read.
pub fn per_run(
    counters: &Counters,
    cores: usize,
    plan: Plan,
    mut run: impl FnMut(u64) -> Result<(), LabError>,
) -> Result<Figures, LabError> {
    run(plan.warm_up)?;
    thread::sleep(QUIET);
    let mut counted = |runs| {
        let before = counters.read(cores)?;
        run(runs)?;
        thread::sleep(QUIET);
        let after = counters.read(cores)?;
        Ok::<Vec<_>, LabError>(
            after.into_iter().zip(before).map(|(after, before)| after - before).collect(),
        )
    };
    let mut rounds = Vec::new();
    for _ in 0..plan.rounds {
        let (small, large) = (counted(plan.runs)?, counted(3 * plan.runs)?);
        let slope = |(large, small): (Count, Count)| {
            (large - small).map(|figure| figure / (2 * plan.runs) as f64)
        };
        rounds.push(large.into_iter().zip(small).map(slope).collect());
    }
    Ok(Figures { rounds })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(rounds: &[f64]) -> Figures {
        let core = |all| Count { all, programs: 1.0 };
        Figures { rounds: rounds.iter().map(|all| vec![core(*all), core(0.5)]).collect() }
    }

    #[test]
    fn the_median_round_counts_with_all_its_cores() {
        assert_eq!(figures(&[9.0, 2.0, 3.0]).median(), Count { all: 3.5, programs: 2.0 });
        assert_eq!(figures(&[]).median(), Count::default());
    }

    #[test]
    fn a_slope_is_free_of_what_does_not_grow_with_the_runs() {
        let file = std::env::temp_dir().join(format!("counters-{}", std::process::id()));
        let counters = Counters::create(file.clone()).expect("it can be written");
        let mut counted = [0_u64; 2];
        let plan = Plan { warm_up: 1, runs: 10, rounds: 2 };
        let figures = per_run(&counters, 1, plan, |runs| {
            counted[0] += 5000 + 70 * runs;
            counted[1] += 300 + 20 * runs;
            let mut bytes = fs::read(&file).map_err(LabError::file(&file))?;
            bytes[..16].copy_from_slice(&counted.map(u64::to_ne_bytes).concat());
            fs::write(&file, bytes).map_err(LabError::file(&file))
        });
        fs::remove_file(&file).expect("it is ours");
        assert_eq!(figures.expect("it runs").median(), Count { all: 70.0, programs: 20.0 });
    }
}
