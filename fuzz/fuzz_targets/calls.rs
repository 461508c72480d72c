//! Calls and page faults of an action, in any order and with any arguments.
//!
//! Beside the address space runs a plain list of the pages the action has mapped: what it says may
//! be touched can be touched, and nothing else above the windows.
#![no_main]

use std::collections::BTreeMap;
use std::sync::Arc;

use action_abi::{Call, CallError, protection};
use arbitrary::Arbitrary;
use hostkernel_fuzz::{IMAGE_ADDRESS, image};
use libfuzzer_sys::fuzz_target;
use memory::Access;
use memory::{
    AddressSpace, PageBuffer, Processor, Refusal, Reservation, Skeleton, Template, frames,
    install_for_test,
};
use node::call::{self, After, Host, Instance, Request};
use node::dispatch::{End, Log};
use node::image::elf;
use node::registry::Limits;

const PAGE: u64 = 4096;
/// Pages of the memory limit.
const FRAMES: u16 = 300;
/// Where `map` starts to place.
const MAPPED_START: u64 = action_abi::host::WINDOWS_END;
/// Templates that are frozen one from the other.
const STAGES: u32 = 3;

#[derive(Arbitrary, Debug)]
struct Input {
    /// A host image, whose memory no list is kept of: its calls come back or end it, it goes on
    /// where it was frozen, and every frame comes back.
    is_host: bool,
    frames: u16,
    input_len: u16,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    /// A call of the ABI, or with any number.
    Call(u8, [Argument; 4]),
    AnyCall(u64, [u64; 4]),
    /// The action touches memory.
    Touch(Argument, Kind),
    /// The instance ends, and another of the same frozen template begins on the same core.
    Again,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Kind {
    Read,
    Write,
    Execute,
}

/// Numbers near those that mean something.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Argument {
    Any(u64),
    Small(u8),
    Len(u16),
    Pages(u8),
    Image(i16),
    Stack(i16),
    Input(i16),
    Output(i32),
    Heap(i32),
    /// A page that was mapped, by its position, and an offset.
    Mapped(u8, i16),
}

struct Action {
    instance: Instance,
    /// Pages `map` gave, with their rights.
    pages: BTreeMap<u64, u64>,
    limit: usize,
    /// What was frozen last.
    frozen: Option<Arc<Template>>,
}

fuzz_target!(|input: Input| {
    install_for_test();
    let before = frames::available();
    if let Some(action) = Action::new(&input) {
        run(action, input.steps);
    }
    assert_eq!(frames::available(), before, "every frame came back");
});

fn run(mut action: Action, steps: Vec<Step>) {
    for step in steps {
        match step {
            Step::Touch(address, kind) => action.touch(address, kind),
            Step::Again => {
                let frozen = action.frozen.clone();
                if frozen.is_some_and(|template| action.go_on(template, false).is_none()) {
                    return;
                }
            }
            Step::AnyCall(number, arguments) => {
                if action.call(number, arguments).is_none() {
                    return;
                }
            }
            Step::Call(number, arguments) => {
                let arguments = arguments.map(|argument| action.value(argument));
                if action.call(u64::from(number % 17), arguments).is_none() {
                    return;
                }
            }
        }
    }
}

impl Action {
    fn new(input: &Input) -> Option<Self> {
        let file = image();
        let mut plan = elf::plan(&file).expect("the smallest image is accepted");
        plan.is_host = input.is_host;
        let code = PageBuffer::from_bytes(&file).expect("the arena is large");
        let template = Arc::new(Template::build(&plan, code).expect("the arena is large"));
        let limit = usize::from(input.frames % FRAMES);
        let reservation = Reservation::new(limit).expect("the arena is large");
        let bytes = vec![b'i'; usize::from(input.input_len)];
        let bytes = PageBuffer::from_bytes(&bytes).expect("the arena is large");
        let skeleton = Skeleton::new().expect("the arena is large");
        let mut space = AddressSpace::empty(template, bytes, reservation, skeleton);
        if input.is_host {
            let payload = PageBuffer::from_bytes(&[b'p'; 9000]).expect("the arena is large");
            space.set_payload(Arc::new(payload)).expect("it is the first");
        }
        space.lay_out(1 << 20, 1 << 20).ok()?;
        let host = input.is_host.then(|| Host { is_preparing: true, ..Host::default() });
        let instance = Instance {
            space,
            log: Log::default(),
            limits: Limits { timeout_ms: 1000, memory_mb: 1, logs_mb: 1 },
            clock: || 7,
            written: 0,
            output: PageBuffer::new(),
            host,
        };
        Some(Self { instance, pages: BTreeMap::new(), limit, frozen: None })
    }

    fn value(&self, argument: Argument) -> u64 {
        let space = &self.instance.space;
        let near = |address: u64, offset: i64| address.wrapping_add_signed(offset);
        match argument {
            Argument::Any(value) => value,
            Argument::Small(value) => u64::from(value % 8),
            Argument::Len(value) => u64::from(value),
            Argument::Pages(value) => u64::from(value % 16) * PAGE,
            Argument::Image(offset) => near(IMAGE_ADDRESS, offset.into()),
            Argument::Stack(offset) => near(space.stack_range().address, offset.into()),
            Argument::Input(offset) => near(space.input_range().address, offset.into()),
            Argument::Output(offset) => near(space.output_range().address, offset.into()),
            Argument::Heap(offset) => near(space.heap_range().address, offset.into()),
            Argument::Mapped(position, offset) => {
                let count = self.pages.len().max(1);
                let page = self.pages.keys().nth(usize::from(position) % count);
                // Mostly whole pages: others are refused at once.
                let offset = if offset % 4 == 0 { 0 } else { offset };
                near(page.copied().unwrap_or(MAPPED_START), offset.into())
            }
        }
    }

    /// Makes a call; `None` if it was the last.
    fn call(&mut self, number: u64, arguments: [u64; 4]) -> Option<()> {
        let result = match call::serve(&mut self.instance, number, arguments) {
            After::Resume(result) => CallError::check(result),
            After::End(end) => {
                self.check_end(end, number);
                return None;
            }
            After::Flush { len } => {
                assert!(len <= self.instance.space.output_range().len);
                Ok(0)
            }
            After::Machine(Request::Freeze { at }) => {
                let words = [0; Processor::WORDS];
                let processor = Processor { words, extended: None, at };
                let template = self.instance.space.freeze(processor).ok()?;
                return self.go_on(Arc::new(template), !arguments[1].is_multiple_of(2));
            }
            After::Machine(_) => Ok(0),
        };
        if self.instance.host.is_some() {
            assert!(self.instance.space.frames_left() <= self.limit);
            return Some(());
        }
        let [first, second, third, _] = arguments;
        match (Call::from_number(number), result) {
            (None, result) => assert_eq!(result, Err(CallError::UnknownCall)),
            (Some(call), result) if call.is_for_hosts() => {
                assert_eq!(result, Err(CallError::UnknownCall));
            }
            (Some(Call::Exit), _) => panic!("exit does not return"),
            (Some(Call::Map), Ok(start)) => {
                assert!(start >= MAPPED_START && start.is_multiple_of(PAGE));
                for page in (start..start + first.next_multiple_of(PAGE)).step_by(PAGE as usize) {
                    assert!(self.pages.insert(page, second).is_none(), "never mapped twice");
                }
            }
            (Some(Call::Unmap), Ok(_)) => {
                self.each_page(first, second, |pages, page| pages.remove(&page).is_some())
            }
            (Some(Call::Protect), Ok(_)) => {
                self.each_page(first, second, |pages, page| pages.insert(page, third).is_some())
            }
            (_, Ok(value)) => assert!(value <= second, "no more than was asked for"),
            (_, Err(_)) => {}
        }
        assert!(self.instance.space.frames_left() <= self.limit);
        Some(())
    }

    /// Becomes an instance of what was frozen, or one that prepares more on top of it.
    fn go_on(&mut self, template: Arc<Template>, prepares: bool) -> Option<()> {
        let skeleton = self.instance.space.end();
        self.frozen = Some(Arc::clone(&template));
        let stages = template.stages();
        let is_preparing = prepares && stages < STAGES;
        let reservation = Reservation::new(self.limit).expect("the arena is large");
        let input = PageBuffer::from_bytes(b"more").expect("the arena is large");
        let mut space = AddressSpace::empty(template, input, reservation, skeleton);
        if is_preparing {
            let payload = PageBuffer::from_bytes(&[b'p' + stages as u8; 5000]);
            space.set_payload(Arc::new(payload.expect("the arena is large"))).expect("few stages");
        }
        space.lay_out(1 << 20, 1 << 20).ok()?;
        self.instance.space = space;
        self.instance.host = Some(Host { is_preparing, ..Host::default() });
        Some(())
    }

    fn each_page(
        &mut self,
        start: u64,
        len: u64,
        mut change: impl FnMut(&mut BTreeMap<u64, u64>, u64) -> bool,
    ) {
        for page in (start..start + len.next_multiple_of(PAGE)).step_by(PAGE as usize) {
            assert!(change(&mut self.pages, page), "only mapped pages are changed");
        }
    }

    fn check_end(&self, end: End, number: u64) {
        assert_eq!(Call::from_number(number), Some(Call::Exit));
        if let End::Exit(_) = end {
            assert!(self.instance.output.len() <= 1 << 20);
        }
    }

    fn touch(&mut self, address: Argument, kind: Kind) {
        let address = self.value(address);
        let access = match kind {
            Kind::Read => Access::Read,
            Kind::Write => Access::Write,
            Kind::Execute => Access::Execute,
        };
        let resolved = self.instance.space.resolve(address, access);
        let is_unknown = self.instance.host.is_some() || address < MAPPED_START;
        if is_unknown || resolved == Err(Refusal::OutOfMemory) {
            return;
        }
        let allowed = match (self.pages.get(&(address / PAGE * PAGE)), kind) {
            (None, _) => false,
            (Some(_), Kind::Read) => true,
            (Some(rights), Kind::Write) => rights & protection::WRITE != 0,
            (Some(rights), Kind::Execute) => rights & protection::EXECUTE != 0,
        };
        assert_eq!(resolved.is_ok(), allowed, "{address:#x} {access:?}: {resolved:?}");
    }
}
