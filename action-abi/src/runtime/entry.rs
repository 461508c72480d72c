//! From `_start` to the author's function, and the macros that make a program an action.
//!
//! Order: the kernel jumps to `_start` (emitted by [`start!`](crate::start)), which calls a
//! function so that the stack is aligned as the C calling convention wants it; that function calls
//! [`start`], which remembers the context, runs the body and exits with what the body left in the
//! output. In a program for the computer it is written on `main` does the same by way of `run`.

use super::call::{STATUS_BAD_CONTEXT, STATUS_OK, exit, exit_with_output};
use super::context;
use super::output::Output;
use crate::{ABI_VERSION, Context, HOST_VERSION, NOTE_NAME, NOTE_TYPE};

/// Bytes of [`NOTE_NAME`] with its NUL, padded to the four bytes that ELF asks for.
const NOTE_NAME_LEN: usize = (NOTE_NAME.len() + 1).next_multiple_of(4);

/// The ELF note that marks a program as an action (System V ABI, "Note Section").
#[repr(C)]
pub struct Note {
    name_len: u32,
    descriptor_len: u32,
    kind: u32,
    name: [u8; NOTE_NAME_LEN],
    version: u32,
}

impl Note {
    /// The note of an action built against this version of the contract.
    pub const CURRENT: Self = Self::of(ABI_VERSION);
    /// The note of a [host image](crate::host).
    pub const HOST: Self = Self::of(HOST_VERSION);

    const fn of(version: u32) -> Self {
        let mut name = [0; NOTE_NAME_LEN];
        let (text, _) = name.split_at_mut(NOTE_NAME.len());
        text.copy_from_slice(NOTE_NAME.as_bytes());
        Self {
            name_len: NOTE_NAME.len() as u32 + 1,
            descriptor_len: size_of::<u32>() as u32,
            kind: NOTE_TYPE,
            name,
            version,
        }
    }
}

/// Runs `body` with the input and an empty output, then exits with what it wrote.
///
/// Called by the code [`start!`](crate::start) emits; nothing else has a reason to.
///
/// # Safety
/// `context` must be the pointer the kernel passed in `rdi`, and this must be the only call.
pub unsafe fn start(context: *const Context, body: fn(&'static [u8], &mut Output)) -> ! {
    // SAFETY: the kernel passes a pointer to a context that lives as long as the invocation.
    let known = unsafe { &*context };
    // A host image's context begins as any other.
    let is_known = [ABI_VERSION, HOST_VERSION].contains(&known.version);
    if !is_known || (known.len as usize) < size_of::<Context>() {
        exit(STATUS_BAD_CONTEXT);
    }
    // SAFETY: as above; the pages are read-only, so nothing changes them.
    unsafe { context::set(context) };
    // SAFETY: the kernel maps the input read-only for the whole invocation.
    let input = unsafe { context::bytes(known.input) };
    // SAFETY: the window is mapped, zeroed and nobody else's; this is the only call, so it is the
    // only `Output` over it.
    let mut output = unsafe { Output::over_window(known.output) };
    body(input, &mut output);
    exit_with_output(STATUS_OK, output.len())
}

/// Runs `body` as a node would, in a program for the computer it is written on.
///
/// Called by the code [`start!`](crate::start) emits; nothing else has a reason to.
#[cfg(not(panic = "abort"))]
pub fn run(body: fn(&'static [u8], &mut Output)) -> ! {
    // SAFETY: the context is complete, lives to the end, and this is the only call.
    super::host::run(|context| unsafe { start(context, body) }, super::call::STATUS_PANIC)
}

/// Makes a typed function an action: JSON in, JSON out.
///
/// The handler is `fn(In) -> Out` or `fn(In) -> Result<Out, E>` where `In: Deserialize<'static>`,
/// `Out: Serialize` and `E: Display`. See [`json`](crate::runtime::json) for what empty, malformed
/// and refused input turns into.
///
/// ```
/// use action_abi::prelude::*;
///
/// #[derive(Deserialize)]
/// struct In {
///     name: String,
/// }
/// #[derive(Serialize)]
/// struct Out {
///     greeting: String,
/// }
/// fn hello(input: In) -> Out {
///     Out { greeting: format!("Hello, {}!", input.name) }
/// }
/// # // A doc test has an entry point, an allocator and a panic handler of its own.
/// # #[cfg(any())]
/// action_abi::action!(hello);
/// # hello(In { name: String::new() });
/// ```
#[macro_export]
macro_rules! action {
    ($handler:expr) => {
        $crate::support!();
        $crate::start!($crate::json_body!($handler));
    };
}

/// The closure from bytes to [`Output`] that [`action!`](crate::action) makes of a typed function.
///
/// By itself only for a program with an `_start` of its own, as an argument of [`start`].
#[macro_export]
macro_rules! json_body {
    ($handler:expr) => {
        |input, output| {
            #[allow(
                unused_imports,
                reason = "an inherent method serves handlers with a Result"
            )]
            use $crate::runtime::json::Answer as _;
            match $crate::runtime::json::parse(input) {
                Ok(input) => $crate::runtime::json::Returned(($handler)(input)).answer(output),
                Err(error) => $crate::runtime::json::refuse(error, output),
            }
        }
    };
}

/// Makes a function on bytes an action.
///
/// The handler is `fn(&[u8]) -> R` with `R: AsRef<[u8]>`, or `fn(&[u8], &mut Output)` to write the
/// result where the kernel reads it. See [`raw`](crate::runtime::raw).
#[macro_export]
macro_rules! raw_action {
    ($handler:expr) => {
        $crate::support!();
        $crate::start!(|input, output| $crate::runtime::raw::run($handler, input, output));
    };
}

/// Makes a function on HTTP requests an action, to be deployed with the annotation `cgi`.
///
/// The handler is `fn(Request) -> R` where `R` is a [`Response`](crate::runtime::http::Response),
/// text, bytes, or a `Result` with one of them.
#[macro_export]
macro_rules! http_action {
    ($handler:expr) => {
        $crate::support!();
        $crate::start!(|input, output| $crate::runtime::http::run($handler, input, output));
    };
}

/// Emits what every action needs besides an entry point: note, allocator, panic handler.
///
/// Part of [`action!`](crate::action) and [`raw_action!`](crate::raw_action); by itself only for a
/// program with an `_start` of its own.
#[cfg(panic = "abort")]
#[macro_export]
macro_rules! support {
    () => {
        const _: () = {
            // lld keeps note sections under --gc-sections; `used` keeps this one up to the linker.
            #[used]
            #[unsafe(link_section = ".note.hostkernel")]
            static NOTE: $crate::runtime::entry::Note = $crate::runtime::entry::Note::CURRENT;

            #[global_allocator]
            static HEAP: $crate::runtime::heap::Heap = $crate::runtime::heap::Heap::new();

            #[panic_handler]
            fn panic(info: &::core::panic::PanicInfo<'_>) -> ! {
                $crate::runtime::panic::report(info)
            }
        };
    };
}

/// Emits nothing: a program for the computer it is written on has all of it from there.
#[cfg(not(panic = "abort"))]
#[macro_export]
macro_rules! support {
    () => {};
}

/// Emits `_start`, which runs the given closure or `fn(&'static [u8], &mut Output)`.
///
/// Part of [`action!`](crate::action) and [`raw_action!`](crate::raw_action).
#[cfg(panic = "abort")]
#[macro_export]
macro_rules! start {
    ($body:expr) => {
        const _: () = {
            unsafe extern "C" fn run(context: *const $crate::Context) -> ! {
                // SAFETY: `_start` passes on what the kernel left in rdi, and runs once.
                unsafe { $crate::runtime::entry::start(context, $body) }
            }

            // rsp arrives 16-byte aligned, and the convention wants it so *before* a call: calling
            // is all the alignment there is to do. rbp is 0, which ends stack walks.
            #[unsafe(naked)]
            #[unsafe(no_mangle)]
            unsafe extern "C" fn _start() -> ! {
                ::core::arch::naked_asm! { "call {run}", "ud2", run = sym run }
            }
        };
    };
}

/// Emits the `main` of the C library, which runs the given closure or
/// `fn(&'static [u8], &mut Output)`. Not in unit tests, which have another one.
///
/// Part of [`action!`](crate::action) and [`raw_action!`](crate::raw_action).
#[cfg(not(panic = "abort"))]
#[macro_export]
macro_rules! start {
    ($body:expr) => {
        const _: () = {
            #[allow(dead_code, reason = "in unit tests it only shows that the handler is used")]
            fn run() -> ! {
                $crate::runtime::entry::run($body)
            }

            #[cfg(not(test))]
            #[unsafe(no_mangle)]
            extern "C" fn main() -> ::core::ffi::c_int {
                run()
            }
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_has_the_layout_of_the_elf_specification() {
        let note = Note::CURRENT;
        assert_eq!(note.name_len, 11);
        assert_eq!(note.descriptor_len, 4);
        assert_eq!(note.kind, NOTE_TYPE);
        assert_eq!(&note.name, b"hostkernel\0\0");
        assert_eq!(core::mem::offset_of!(Note, version), 12 + note.name.len());
        assert_eq!(size_of::<Note>(), 28);
    }
}
