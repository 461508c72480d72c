//! How frames are named.

use core::num::NonZeroU32;

/// Number of a 4 KiB frame: physical address / 4096. Frame 0 is never used, so `Option` is free.
pub type FrameNumber = NonZeroU32;
