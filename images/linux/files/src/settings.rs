//! Types that calls take and give, beside those of [`crate::abi`].

use crate::errno::Stop;
use crate::host::Time;

/// Whose process it is, and what it may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Who the process is. User 0 may do to files what root may.
    pub owner: Owner,
    /// Bytes that files, names and pipes may take together.
    pub bytes_max: u64,
    /// Inodes there may be, those out of archives and some 90 that are always there included.
    pub inodes_max: u32,
}

/// A user and a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub user: u32,
    /// Group id.
    pub group: u32,
}

/// What the program may do with what an archive holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Writing answers `EROFS`.
    ReadOnly,
    /// Writing changes the process' own copy.
    Writable,
}

/// What a mapping of a file can be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping<'p> {
    /// These bytes of an archive or of the executable, from the offset on to the file's end; they
    /// never change, so that they can be mapped where the offset within the page fits.
    Payload(&'p [u8]),
    /// There is no such place: read the file into the pages.
    Copy,
}

/// What `poll` found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Polled {
    /// Descriptors (for `select`: bits) that are ready.
    pub ready: usize,
    /// If none is: when one becomes ready without anybody's doing, by
    /// [`Host::monotonic_ns`](crate::Host::monotonic_ns). A thread that waits need not look again
    /// before that, or before another thread has made a call of this crate.
    pub wake_ns: Option<u64>,
}

impl Polled {
    /// The reason to stop counts only if nothing is ready: what is there comes first.
    pub(crate) fn or(self, stopped: Option<Stop>) -> Result<Self, Stop> {
        match stopped {
            Some(stop) if self.ready == 0 => Err(stop),
            _ => Ok(self),
        }
    }
}

/// How a timer stands (`struct itimerspec`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timer {
    /// From one expiry to the next; zero for a single one.
    pub interval: Time,
    /// To the next one; zero if disarmed.
    pub value: Time,
}

/// What `timerfd_settime` is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerChange {
    /// The new setting.
    pub timer: Timer,
    /// `TFD_TIMER_…` flags.
    pub flags: u32,
}

/// What `utimensat` is told about one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timestamp {
    /// `UTIME_NOW`.
    Now,
    /// `UTIME_OMIT`.
    Keep,
    /// This.
    At(Time),
}
