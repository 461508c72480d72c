//! What a call of the program comes to.
#![forbid(unsafe_code)]

use linux_files::Stop;

use crate::Errno;
use crate::signal::Info;
use crate::thread::{On, Wait};

/// What a call came to: the value of `rax`, or something else.
pub type Served = Result<u64, Break>;

/// Why a call has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// It failed.
    Errno(Errno),
    /// Its thread waits.
    Wait(Wait),
    /// The frame is what the program goes on with, `rax` included.
    Resumed,
    /// Others may run first.
    Yield,
    /// Its thread has ended.
    ThreadEnded,
    /// The program has ended, with this status.
    Exit(u32),
    /// A signal ended it.
    Killed(Info),
    /// All its threads wait for what can never happen.
    Deadlock,
    /// No instance can be made of it, which the kernel was told.
    Refused,
    /// It is a server that has answered.
    Answered,
}

impl From<Errno> for Break {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<Stop> for Break {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Errno(errno) => Self::Errno(errno),
            Stop::WouldBlock => Self::Wait(Wait { on: On::Files, until_ns: None }),
            Stop::NeedsInput => Self::Wait(Wait { on: On::Input, until_ns: None }),
        }
    }
}

/// Whether a call went to wait.
#[inline]
pub(crate) fn waits(served: &Served) -> bool {
    matches!(served, Err(Break::Wait(_)))
}

/// A call that answers nothing.
pub(crate) fn nothing<E: Into<Break>>(result: Result<(), E>) -> Served {
    result.map(|()| 0).map_err(Into::into)
}
