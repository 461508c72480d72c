//! Bytes in and out.

use core::fmt::{Display, Write as _};

use super::call::{STATUS_FAILED, exit};
use super::log::stream;
use super::output::Output;
use crate::Stream;

/// A function that [`raw_action!`](crate::raw_action) takes. `Shape` tells the two forms apart and
/// is always inferred.
pub trait RawHandler<Shape> {
    /// Runs the function and leaves its result in `output`.
    #[track_caller]
    fn run(self, input: &'static [u8], output: &mut Output);
}

/// Shape of `fn(&[u8]) -> R`, with `R: AsRef<[u8]>`: the bytes are copied to the output.
pub struct ReturnsBytes<R>(core::marker::PhantomData<R>);

/// Shape of `fn(&[u8]) -> Result<R, E>`: an error is a line in the log, and exit status
/// [`STATUS_FAILED`].
pub struct ReturnsResult<R, E>(core::marker::PhantomData<(R, E)>);

/// Shape of `fn(&[u8], &mut Output)`: the function writes the result itself.
pub struct WritesOutput;

impl<F: FnOnce(&'static [u8]) -> R, R: AsRef<[u8]>> RawHandler<ReturnsBytes<R>> for F {
    #[track_caller]
    fn run(self, input: &'static [u8], output: &mut Output) {
        if let Err(error) = output.write(self(input).as_ref()) {
            panic!("{error}");
        }
    }
}

impl<F, R, E> RawHandler<ReturnsResult<R, E>> for F
where
    F: FnOnce(&'static [u8]) -> Result<R, E>,
    R: AsRef<[u8]>,
    E: Display,
{
    #[track_caller]
    fn run(self, input: &'static [u8], output: &mut Output) {
        match self(input) {
            Ok(bytes) => run(|_: &'static [u8]| bytes, input, output),
            Err(error) => {
                // A log that is full has nowhere else to go.
                let _ = writeln!(stream(Stream::Stderr), "{error}");
                exit(STATUS_FAILED);
            }
        }
    }
}

impl<F: FnOnce(&'static [u8], &mut Output)> RawHandler<WritesOutput> for F {
    #[track_caller]
    fn run(self, input: &'static [u8], output: &mut Output) {
        self(input, output);
    }
}

/// Runs a handler of either shape.
///
/// # Panics
/// If returned bytes are longer than the output window.
#[track_caller]
pub fn run<S>(handler: impl RawHandler<S>, input: &'static [u8], output: &mut Output) {
    handler.run(input, output);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo(input: &[u8]) -> &[u8] {
        input
    }

    fn reverse(input: &[u8]) -> Vec<u8> {
        input.iter().rev().copied().collect()
    }

    fn twice(input: &[u8], output: &mut Output) {
        output.write(input).expect("fits");
        output.write(input).expect("fits");
    }

    fn result<S>(handler: impl RawHandler<S>, input: &'static [u8]) -> Vec<u8> {
        let mut output = Output::for_test(8);
        run(handler, input, &mut output);
        output.as_bytes().to_vec()
    }

    fn checked(input: &[u8]) -> Result<Vec<u8>, core::str::Utf8Error> {
        Ok(core::str::from_utf8(input)?.to_uppercase().into_bytes())
    }

    #[test]
    fn all_shapes_of_handler() {
        assert_eq!(result(checked, b"abc"), b"ABC");
        let borrowed = |input: &'static [u8]| input.strip_prefix(b"a").ok_or("no a");
        assert_eq!(result(borrowed, b"abc"), b"bc");
        assert_eq!(result(echo, b"abc"), b"abc");
        assert_eq!(result(reverse, b"abc"), b"cba");
        assert_eq!(result(twice, b"abc"), b"abcabc");
    }

    #[test]
    #[should_panic(expected = "longer than the output window of 8 bytes")]
    fn a_result_past_the_window_names_the_bound() {
        result(echo, b"123456789");
    }
}
