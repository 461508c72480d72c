//! Freezing where the program first looks at its input, and what begins behind that.
//!
//! ```text
//!   program ─▶ read of the input: nothing there ─▶ other threads, until all wait ─▶ freeze
//!                                                                                     │
//!        instance 0: the next stage, with new code and a first line of input ◀────────┤
//!        instance 1, 2, …: all of the input ◀─────────────────────────────────────────┘
//!   program ◀─ the same read, made again
//! ```
//!
//! Each instance is like a fresh fork: another process number and random stream, clocks that go on,
//! and zeroes where `MADV_WIPEONFORK` asked for them. Other than behind `fork` all threads are
//! there. Numbers of threads stay, but for the first one, which has the process'; both its numbers
//! mean it.
#![forbid(unsafe_code)]

use alloc::format;

use action_abi::host::Moment;
use linux_files::{Access, EntryReject, LoadReject, entry_not_text};

use crate::limits::REST_NS;
use crate::load::program::{ACTION, SOURCE, SOURCE_MODE, ZIP};
use crate::load::reject::Reject;
use crate::native::{Instance, Native, Report};
use crate::os::Os;
use crate::outcome::Break;
use crate::thread::State;

impl<N: Native> Os<N> {
    /// A thread begins to wait for the input: from now on the others have to come to rest.
    pub(crate) fn expect_rest(&mut self) {
        if self.threads.rest_until_ns == 0 {
            self.threads.rest_until_ns = self.native.now_ns().saturating_add(REST_NS);
        }
    }

    /// Refuses a program one of whose threads still runs though another has waited for the input
    /// long enough.
    pub(crate) fn check_rest(&mut self, now: u64) -> Result<(), Break> {
        let until = self.threads.rest_until_ns;
        if until == 0 || now < until || !self.threads.wait_for_input() {
            return Ok(());
        }
        let busy =
            self.threads.all.iter().find(|thread| !matches!(thread.state, State::Waiting(_)));
        let Some(thread) = busy else { return Ok(()) };
        let name = thread.name.split(|byte| *byte == 0).next().unwrap_or_default();
        let name = alloc::string::String::from_utf8_lossy(name);
        let text = format!(
            "thread {} {name:?} does not come to rest, so the program cannot be frozen at its \
             input",
            thread.number
        );
        self.refuse(&text);
        Err(Break::Refused)
    }

    /// Becomes a template, once it is warm; goes on in what is made of it.
    pub(crate) fn freeze(&mut self) -> Result<(), Break> {
        if self.warm_up()? {
            return Ok(());
        }
        if self.space.wipe(&mut self.native).is_err() {
            self.refuse("there is no memory to wipe what is to be zero in each instance");
            return Err(Break::Refused);
        }
        let drawn = self.files.random.drawn;
        if drawn > 0 {
            self.native.report(Report::Entropy, &format!("{drawn} bytes"));
        }
        let unsupported = core::mem::take(&mut self.unsupported);
        if !unsupported.is_empty() {
            self.native.report(Report::Unsupported, &unsupported.text());
        }
        // What the kernel gave it takes back.
        self.identity.environment = &[];
        if let Some(files) = &mut self.files.files {
            files.set_input_piece(&[]);
        }
        let output = self.files.output.take_window();
        // Who listens is a server, and waits for a request.
        let is_server = self.sockets.exchange.is_server();
        let at = if is_server { Moment::Accept } else { Moment::Input };
        match self.native.freeze(at, output) {
            Ok(instance) => self.thaw(instance),
            Err(_) => {
                self.refuse("the kernel does not freeze this program");
                Err(Break::Refused)
            }
        }
    }

    /// Makes the instance's own what differs from one to the next, and lets those look again that
    /// wait for the input.
    fn thaw(&mut self, instance: Instance) -> Result<(), Break> {
        let input = instance.input;
        self.adopt(instance);
        self.threads.alarm_ns = 0;
        self.threads.rest_until_ns = 0;
        if self.is_preparing
            && let Err(reject) = self.take_code()
        {
            self.refuse(&format!("{reject}"));
            return Err(Break::Refused);
        }
        if let Some(files) = &mut self.files.files {
            match self.is_preparing {
                true => files.set_input_piece(input),
                false => files.set_input(input),
            }
        }
        for thread in self.threads.all.iter_mut().filter(|thread| thread.waits_for_input()) {
            thread.state = State::Again;
            // Times that the call began with were those of another process.
            thread.until_ns = None;
            thread.gives_up_ns = None;
        }
        Ok(())
    }

    /// Puts the function's code where the program looks for it: an archive's files into the working
    /// directory, anything else as one file.
    fn take_code(&mut self) -> Result<(), Reject> {
        let code = self.native.payload().map_err(|_| Reject::NoMemory)?;
        self.space.set_payload(code);
        let files = self.files.files.as_mut().ok_or(Reject::NoMemory)?;
        if !code.starts_with(ZIP) {
            return files.insert(SOURCE, code, SOURCE_MODE).map_err(|_| Reject::NoMemory);
        }
        if let Some(number) = entry_not_text(code) {
            let reason = EntryReject::NotText;
            return Err(Reject::archive(code, LoadReject::Entry { number, reason }));
        }
        files.mount(code, ACTION, Access::Writable).map_err(|why| Reject::archive(code, why))?;
        files.unpack().map_err(Reject::file)
    }
}
