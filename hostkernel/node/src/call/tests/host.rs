//! The calls of host images: what they refuse, and what they hand on.

use action_abi::Range;
use action_abi::host::{
    EXCEPTIONS, FREEZE_AT_ACCEPT, FREEZE_AT_INPUT, Moment, Reflection, USER_END, WINDOWS_END,
};
use action_abi::protection::NONE;

use super::*;

const FRAME: u64 = DATA + 0x100;

fn host(is_preparing: bool) -> Instance {
    install_for_test();
    let code = PageBuffer::from_bytes(&[0xcc; 2 * PAGE_LEN]).expect("the arena is large");
    let segment = |address, file_offset, protection| Segment {
        address,
        memory_len: 4096,
        file_offset,
        file_len: 4096,
        protection,
    };
    let segments = Vec::from([
        segment(TEXT, 0, Protection::ReadExecute),
        segment(DATA, 4096, Protection::ReadWrite),
    ]);
    let plan = LoadPlan { entry: TEXT, segments, is_host: true };
    let template = Arc::new(Template::build(&plan, code).expect("the arena is large"));
    let reservation = Reservation::new(100).expect("the arena is large");
    let space = AddressSpace::empty(template, PageBuffer::new(), reservation, Default::default());
    let mut instance = Instance { space, ..instance(10) };
    let payload = PageBuffer::from_bytes(&[b'p'; 5000]).expect("the arena is large");
    instance.space.set_payload(Arc::new(payload)).expect("it is the first");
    instance.space.lay_out(1 << 20, 1 << 20).expect("it fits");
    instance.host = Some(Host { is_preparing, ..Host::default() });
    instance
}

fn result(instance: &mut Instance, call: Call, arguments: [u64; 4]) -> Result<u64, CallError> {
    match serve(instance, call as u64, arguments) {
        After::Resume(result) => CallError::check(result),
        after => panic!("unexpected {after:?}"),
    }
}

fn good() -> Reflection {
    Reflection {
        code: Range { address: TEXT, len: 0x100 },
        syscall_handler: TEXT,
        exception_handler: TEXT + 0xff,
        exceptions: EXCEPTIONS,
        frame: FRAME,
    }
}

fn reflect(instance: &mut Instance, reflection: Reflection) -> After {
    let Reflection { code, syscall_handler, exception_handler, exceptions, frame } = reflection;
    let words = [code.address, code.len, syscall_handler, exception_handler, exceptions, frame];
    for (at, word) in (DATA..).step_by(8).zip(words) {
        instance.space.write(at, &word.to_le_bytes()).expect("it is data");
    }
    serve(instance, Call::Reflect as u64, [DATA, 0, 0, 0])
}

#[test]
fn a_reflection_is_checked_before_a_core_hears_of_it() {
    let mut instance = host(false);
    let handed_on = |reflection| After::Machine(Request::Reflect(reflection));
    assert_eq!(reflect(&mut instance, good()), handed_on(good()));
    let off = Reflection { code: Range { address: 1, len: 0 }, ..good() };
    assert_eq!(reflect(&mut instance, off), handed_on(Reflection::default()));
    let kernel = 0xffff_ffff_8000_0000;
    let bad = [
        Reflection { syscall_handler: kernel, ..good() },
        Reflection { syscall_handler: 1 << 47, ..good() },
        Reflection { syscall_handler: TEXT - 1, ..good() },
        Reflection { exception_handler: TEXT + 0x100, ..good() },
        Reflection { exception_handler: u64::MAX, ..good() },
        Reflection { code: Range { address: TEXT, len: u64::MAX }, ..good() },
        Reflection { code: Range { address: TEXT, len: USER_END }, ..good() },
        Reflection { code: Range { address: kernel, len: 16 }, syscall_handler: kernel, ..good() },
        Reflection { exceptions: 1 << 2, ..good() },
        Reflection { exceptions: 1 << 8, ..good() },
        Reflection { exceptions: 1 << 18, ..good() },
        Reflection { exceptions: u64::MAX, ..good() },
        Reflection { frame: FRAME + 8, ..good() },
        Reflection { frame: DATA + 4096 - 16, ..good() },
        Reflection { frame: kernel, ..good() },
        Reflection { frame: u64::MAX - 15, ..good() },
    ];
    for reflection in bad {
        let refused = After::Resume(CallError::BadArgument.to_result());
        assert_eq!(reflect(&mut instance, reflection), refused, "{reflection:x?}");
    }
    for address in [0, kernel, DATA + 4090] {
        let refused = result(&mut instance, Call::Reflect, [address, 0, 0, 0]);
        assert_eq!(refused, Err(CallError::BadAddress), "{address:#x}");
    }
}

#[test]
fn memory_is_shaped_by_address() {
    let mut instance = host(false);
    let at = 0x7000_0000;
    assert_eq!(result(&mut instance, Call::MapAt, [at, 8192, READ | WRITE, 0]), Ok(at));
    instance.space.write(at, b"x").expect("it is mapped");
    assert_eq!(result(&mut instance, Call::Protect, [at, 4096, NONE, 0]), Ok(0));
    assert_eq!(instance.space.write(at, b"x"), Err(Refusal::NotAllowed));
    assert_eq!(result(&mut instance, Call::MapPayload, [at, 8192, READ, 0]), Ok(at));
    assert_eq!(read(&mut instance, at + 4999, 2), b"p\0");
    assert_eq!(result(&mut instance, Call::Discard, [at, 8192, 0, 0]), Ok(0));
    assert_eq!(
        result(&mut instance, Call::Unmap, [at, 1 << 40, 0, 0]),
        Err(CallError::BadArgument)
    );
    assert_eq!(result(&mut instance, Call::Unmap, [at, 1 << 20, 0, 0]), Ok(0));
    assert_eq!(result(&mut instance, Call::Map, [4096, NONE, 0, 0]), Ok(WINDOWS_END));
    for (call, arguments) in [
        (Call::MapAt, [at, 4096, WRITE | EXECUTE, 0]),
        (Call::MapAt, [at, 4096, 8, 0]),
        (Call::MapAt, [TEXT + 1, 4096, READ, 0]),
        (Call::MapPayload, [at, 12288, READ, 0]),
        (Call::MapPayload, [at, 4096, READ, 8192]),
        (Call::MapPayload, [at, 4096, READ, u64::MAX - 4095]),
        (Call::Discard, [at, 4096, 0, 0]),
        (Call::Discard, [TEXT, 4096, 0, 0]),
    ] {
        let refused = result(&mut instance, call, arguments);
        assert_eq!(refused, Err(CallError::BadArgument), "{call:?} {arguments:x?}");
    }
}

#[test]
fn what_needs_the_core_is_handed_on_or_refused() {
    let machine = |request| After::Machine(request);
    let refused = After::Resume(CallError::BadArgument.to_result());
    let mut instance = host(true);
    let mut serve = |call: Call, a| serve(&mut instance, call as u64, [a, 0, 0, 0]);
    for (flags, at) in
        [(0, Moment::Start), (FREEZE_AT_INPUT, Moment::Input), (FREEZE_AT_ACCEPT, Moment::Accept)]
    {
        assert_eq!(serve(Call::Freeze, flags), machine(Request::Freeze { at }));
    }
    assert_eq!(serve(Call::Freeze, FREEZE_AT_INPUT | FREEZE_AT_ACCEPT), refused, "one moment");
    assert_eq!(serve(Call::Freeze, 4), refused);
    assert_eq!(serve(Call::SetThreadPointer, 7), machine(Request::ThreadPointer(7)));
    assert_eq!(serve(Call::SetThreadPointer, 1 << 47), refused);
    assert_eq!(serve(Call::SetThreadPointer, u64::MAX), refused);
    assert_eq!(serve(Call::Alarm, 9), refused, "nowhere to tell of it");
    assert_eq!(serve(Call::Alarm, 0), machine(Request::Alarm(0)));
    assert_eq!(serve(Call::Sleep, 9), machine(Request::Sleep(9)));
    let mut instance = host(false);
    let freeze = super::super::serve(&mut instance, Call::Freeze as u64, [0; 4]);
    assert_eq!(freeze, After::Resume(CallError::BadArgument.to_result()));
}

#[test]
fn reports_are_text_and_bounded() {
    let mut instance = host(false);
    instance.space.write(DATA, "killed by ÄÖ\0".as_bytes()).expect("it is data");
    assert_eq!(result(&mut instance, Call::Report, [2, DATA, 14, 0]), Ok(0));
    assert_eq!(result(&mut instance, Call::Report, [2, DATA, 11, 0]), Err(CallError::BadArgument));
    assert_eq!(result(&mut instance, Call::Report, [4, DATA, 1, 0]), Err(CallError::BadArgument));
    assert_eq!(result(&mut instance, Call::Report, [1, 0, 1, 0]), Err(CallError::BadAddress));
    let long = result(&mut instance, Call::Report, [1, DATA, 513, 0]);
    assert_eq!(long, Err(CallError::LimitReached));
    let reports = instance.host.and_then(|host| host.reports).expect("there is one");
    assert_eq!(reports.reason, "killed by ÄÖ".as_bytes());
    assert!(reports.unsupported.is_empty());
}
