//! The keys that leave `hk top`: read one by one, without their being shown.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::read;

/// Ctrl-C: no signal while we listen, since nobody would put the terminal back in order after it.
const INTERRUPT: u8 = 3;

/// A terminal that hands over every key at once. Dropping it puts the terminal back in order.
pub struct Keys {
    before: Termios,
}

impl Keys {
    /// `None` if the standard input is no terminal.
    pub fn listen() -> Option<Self> {
        let input = io::stdin();
        if !input.is_terminal() {
            return None;
        }
        let before = tcgetattr(&input).ok()?;
        let mut plain = before.clone();
        plain.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG);
        tcsetattr(&input, SetArg::TCSANOW, &plain).ok()?;
        Some(Self { before })
    }

    /// Waits for that long, or until somebody wants to leave.
    pub fn leaves_within(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            // Rounded up, so that the last millisecond is no busy loop.
            let left = u16::try_from(left.as_millis() + 1).unwrap_or(u16::MAX);
            let input = io::stdin();
            let mut wanted = [PollFd::new(input.as_fd(), PollFlags::POLLIN)];
            let mut key = [0];
            let is_there = poll(&mut wanted, PollTimeout::from(left)).is_ok_and(|count| count > 0);
            if !is_there {
                continue;
            }
            match read(&input, &mut key) {
                Ok(1) if is_leave(key[0]) => return true,
                Ok(1) => {}
                // The terminal is gone, and with it whoever looked.
                _ => return true,
            }
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // A terminal that is gone needs no order.
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.before);
    }
}

fn is_leave(key: u8) -> bool {
    matches!(key, b'q' | b'Q' | INTERRUPT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_keys_leave_and_others_do_not() {
        assert!([b'q', b'Q', INTERRUPT].into_iter().all(is_leave));
        assert!(!is_leave(b'x') && !is_leave(b'\n'));
    }
}
