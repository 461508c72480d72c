//! What the machine itself was heard of: interrupts, non-maskable ones, errors it corrected.

/// Who interrupts the network's core by a line or message of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The network card.
    Card,
    /// The power button and whatever else ACPI reports.
    Acpi,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Card, Self::Acpi];

    /// As it is called in the log and in the metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Acpi => "acpi",
        }
    }
}

/// What is counted of one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceCounts {
    /// Interrupts.
    pub interrupts: u64,
    /// Those among them for which nothing was to be done.
    pub unserviced: u64,
    /// Whether it was switched off for that, and is polled.
    pub is_polled: bool,
}

/// What is counted of the machine since the boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MachineCounts {
    /// Of each source, in the order of [`Source::ALL`].
    pub sources: [SourceCounts; Source::ALL.len()],
    /// Non-maskable interrupts that were survived.
    pub nmis: u64,
    /// Errors of hardware that it corrected by itself.
    pub errors_corrected: u64,
}
