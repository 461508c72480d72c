//! Random bytes: a stream of the node's, another one for each invocation.
//!
//! The context brings a seed of 32 bytes; from it comes as much as an action wants (ChaCha20, as
//! in the node). The crate `getrandom` draws from it too, and with it `rand`, `uuid` and what else
//! asks the operating system elsewhere.

use core::cell::Cell;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng as _, SeedableRng as _};

use super::context::context;

/// The generator, once it was asked for.
struct Stream(Cell<Option<ChaCha20Rng>>);

// SAFETY: an action has one thread. A test has several, but each has a generator of its own.
#[cfg(panic = "abort")]
unsafe impl Sync for Stream {}

#[cfg(panic = "abort")]
static STREAM: Stream = Stream(Cell::new(None));

/// Has the generator do something.
fn with<T>(stream: &Stream, draw: impl FnOnce(&mut ChaCha20Rng) -> T) -> T {
    let seeded = || ChaCha20Rng::from_seed(context().random_seed);
    let mut generator = stream.0.take().unwrap_or_else(seeded);
    let drawn = draw(&mut generator);
    stream.0.set(Some(generator));
    drawn
}

/// Fills a slice with random bytes that nobody can foretell.
pub fn fill(bytes: &mut [u8]) {
    #[cfg(panic = "abort")]
    with(&STREAM, |generator| generator.fill_bytes(bytes));
    #[cfg(not(panic = "abort"))]
    {
        extern crate std;
        std::thread_local! {
            static STREAM: Stream = const { Stream(Cell::new(None)) };
        }
        STREAM.with(|stream| with(stream, |generator| generator.fill_bytes(bytes)));
    }
}

/// A random number.
#[must_use]
pub fn number() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// What the crate `getrandom` calls when it is compiled with `getrandom_backend="custom"`, as
/// actions are.
///
/// # Safety
/// `first` must be valid for writes of `len` bytes.
#[cfg(panic = "abort")]
#[unsafe(no_mangle)]
unsafe extern "Rust" fn __getrandom_v03_custom(
    first: *mut u8,
    len: usize,
) -> Result<(), getrandom::Error> {
    // SAFETY: the caller's promise; bytes are bytes whatever they hold, once they are written.
    let bytes = unsafe {
        first.write_bytes(0, len);
        core::slice::from_raw_parts_mut(first, len)
    };
    fill(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_goes_on_and_does_not_repeat() {
        let mut bytes = [[0; 32]; 3];
        bytes.iter_mut().for_each(|bytes| fill(bytes));
        assert_ne!(bytes[0], bytes[1]);
        assert_ne!(bytes[1], bytes[2]);
        assert_ne!(number(), number());
        fill(&mut []);
    }
}
