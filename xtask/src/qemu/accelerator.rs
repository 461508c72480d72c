//! Which engine runs the guest's instructions: the processor (KVM) or an emulator (TCG).

use std::fs::{self, OpenOptions};
use std::str::FromStr;

use super::QemuError;

/// What the user asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accelerator {
    /// KVM where it works, else TCG.
    #[default]
    Auto,
    /// QEMU's emulator. Works everywhere, slowly.
    Tcg,
    /// Hardware virtualisation; an error where it cannot work.
    Kvm,
}

/// What QEMU is told to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// QEMU's emulator.
    Tcg,
    /// Hardware virtualisation.
    Kvm,
}

impl Accelerator {
    /// Decides, by looking at this computer.
    ///
    /// # Errors
    /// [`QemuError::NoKvm`] if KVM was demanded and cannot work here.
    pub fn resolve(self) -> Result<Engine, QemuError> {
        match self {
            Self::Tcg => Ok(Engine::Tcg),
            Self::Auto => Ok(kvm_works().map_or(Engine::Tcg, |()| Engine::Kvm)),
            Self::Kvm => {
                kvm_works().map_err(|reason| QemuError::NoKvm { reason })?;
                Ok(Engine::Kvm)
            }
        }
    }
}

impl FromStr for Accelerator {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "auto" => Ok(Self::Auto),
            "tcg" => Ok(Self::Tcg),
            "kvm" => Ok(Self::Kvm),
            _ => Err("expected auto, tcg or kvm".to_owned()),
        }
    }
}

impl Engine {
    /// The name QEMU and people use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcg => "tcg",
            Self::Kvm => "kvm",
        }
    }

    /// The processor model that shows the guest everything the engine can do.
    #[must_use]
    pub const fn default_cpu(self) -> &'static str {
        match self {
            Self::Tcg => "max",
            Self::Kvm => "host",
        }
    }
}

/// The device file alone proves nothing: containers often have it on processors that cannot
/// virtualise.
fn kvm_works() -> Result<(), String> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    if !processor_virtualises(&cpuinfo) {
        return Err("this processor shows neither vmx nor svm in /proc/cpuinfo".to_owned());
    }
    OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .map(drop)
        .map_err(|error| format!("/dev/kvm cannot be opened for reading and writing ({error})"))
}

fn processor_virtualises(cpuinfo: &str) -> bool {
    cpuinfo
        .lines()
        .filter(|line| line.starts_with("flags"))
        .flat_map(str::split_whitespace)
        .any(|flag| flag == "vmx" || flag == "svm")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_flags_vmx_and_svm_mean_virtualisation() {
        assert!(processor_virtualises("flags\t\t: fpu vmx sse\n"));
        assert!(processor_virtualises("model name: x\nflags : svm\n"));
        assert!(!processor_virtualises("flags : fpu svm_lock avx\n"));
        assert!(!processor_virtualises("model name : vmx\nflags : fpu\n"));
        assert!(!processor_virtualises(""));
    }

    #[test]
    fn asking_for_the_emulator_always_works() {
        assert_eq!(Accelerator::Tcg.resolve().ok(), Some(Engine::Tcg));
        assert!(Accelerator::Auto.resolve().is_ok());
    }
}
