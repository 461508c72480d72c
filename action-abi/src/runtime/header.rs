//! Holds `include/action.h` to the contract: its numbers are this crate's numbers.

use crate::{ABI_VERSION, Call, CallError, Context, IMAGE_END, IMAGE_START, PAGE_LEN, Stream};
use crate::{NOTE_NAME, NOTE_TYPE, protection};
use core::mem::offset_of;

const HEADER: &str = include_str!("../../include/action.h");

#[test]
fn constants_agree() {
    let expected = [
        format!("#define ACTION_ABI_VERSION {ABI_VERSION}\n"),
        format!("#define ACTION_PAGE_LEN {PAGE_LEN}\n"),
        format!("#define ACTION_IMAGE_START UINT64_C({IMAGE_START:#x})\n"),
        format!("#define ACTION_IMAGE_END UINT64_C({IMAGE_END:#x})\n"),
        format!("ACTION_CALL_EXIT = {},", Call::Exit as u64),
        format!("ACTION_CALL_LOG = {},", Call::Log as u64),
        format!("ACTION_CALL_WRITE = {},", Call::Write as u64),
        format!("ACTION_CALL_MAP = {},", Call::Map as u64),
        format!("ACTION_CALL_UNMAP = {},", Call::Unmap as u64),
        format!("ACTION_CALL_PROTECT = {},", Call::Protect as u64),
        format!("ACTION_CALL_FLUSH = {}\n", Call::Flush as u64),
        format!("ACTION_STDOUT = {},", Stream::Stdout as u64),
        format!("ACTION_STDERR = {}\n", Stream::Stderr as u64),
        format!("ACTION_READ = {},", protection::READ),
        format!("ACTION_WRITE = {},", protection::WRITE),
        format!("ACTION_EXECUTE = {}\n", protection::EXECUTE),
        format!("ERROR_UNKNOWN_CALL = {},", CallError::UnknownCall as i64),
        format!("ERROR_BAD_ADDRESS = {},", CallError::BadAddress as i64),
        format!("ERROR_BAD_ARGUMENT = {},", CallError::BadArgument as i64),
        format!("ERROR_OUT_OF_MEMORY = {},", CallError::OutOfMemory as i64),
        format!("ERROR_LIMIT_REACHED = {} ", CallError::LimitReached as i64),
        format!("\".asciz \\\"{NOTE_NAME}\\\"\\n\""),
        format!("\".long {}, 4, {NOTE_TYPE}\\n\"", NOTE_NAME.len() + 1),
        format!("\".long {ABI_VERSION}\\n\""),
    ];
    for line in expected {
        assert!(HEADER.contains(&line), "{line:?} is not in action.h");
    }
}

#[test]
fn the_layout_agrees() {
    let expected = [
        ("offsetof(struct action_context, input)", offset_of!(Context, input)),
        ("offsetof(struct action_context, memory_limit)", offset_of!(Context, memory_limit)),
        ("offsetof(struct action_context, clock)", offset_of!(Context, clock)),
        ("sizeof(struct action_context)", size_of::<Context>()),
    ];
    for (what, value) in expected {
        let line = format!("ACTION_STATIC_ASSERT({what} == {value});");
        assert!(HEADER.contains(&line), "{line:?} is not in action.h");
    }
}
