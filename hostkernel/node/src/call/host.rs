//! The calls of host images: memory at addresses of their choice, and what their core does for
//! them.
//!
//! What needs the processor is checked here and handed on as a [`Request`]: nothing in it can fail
//! any more.

use alloc::vec::Vec;

use action_abi::host::{
    EXCEPTIONS, Moment, REPORT_LEN_MAX, Reflection, Report, USER_END, UpcallFrame,
};
use action_abi::{Call, CallError};

use super::hosted::Request;
use super::{After, Instance, protection_or_none, refused};
use limits::PAGE_LEN;
use memory::Refusal;

/// Serves a call that only host images can make.
pub(super) fn serve(
    instance: &mut Instance,
    call: Call,
    [a, b, c, d]: [u64; 4],
) -> Result<After, CallError> {
    let Instance { space, host, .. } = instance;
    let host = host.as_mut().ok_or(CallError::UnknownCall)?;
    let is_reflecting = host.reflection.code.len > 0;
    let result = match call {
        Call::MapAt => space.map_at(a, b, protection_or_none(c)?).map(|()| a),
        Call::MapPayload => space.map_payload(a, b, protection_or_none(c)?, d).map(|()| a),
        Call::Discard => space.discard(a, b).map(|()| 0),
        Call::Reflect => {
            let reflection = read_reflection(instance, a)?;
            return Ok(After::Machine(Request::Reflect(reflection)));
        }
        Call::Freeze if host.is_preparing => {
            let at = Moment::from_flags(a).ok_or(CallError::BadArgument)?;
            return Ok(After::Machine(Request::Freeze { at }));
        }
        Call::SetThreadPointer if a < USER_END => {
            return Ok(After::Machine(Request::ThreadPointer(a)));
        }
        Call::Alarm if is_reflecting || a == 0 => return Ok(After::Machine(Request::Alarm(a))),
        Call::Sleep => return Ok(After::Machine(Request::Sleep(a))),
        Call::Report => return report(instance, a, b, c).map(|()| After::Resume(0)),
        _ => return Err(CallError::BadArgument),
    };
    result.map(After::Resume).map_err(refused)
}

/// A declaration that keeps the rules of [`action_abi::host`].
fn read_reflection(instance: &mut Instance, address: u64) -> Result<Reflection, CallError> {
    let mut bytes = [0; size_of::<Reflection>()];
    let mut filled = 0;
    let read = instance.space.read(address, bytes.len() as u64, |piece| {
        bytes[filled..filled + piece.len()].copy_from_slice(piece);
        filled += piece.len();
        Ok(())
    });
    read.map_err(refused)?;
    let reflection = Reflection::from_bytes(&bytes);
    if reflection.code.len == 0 {
        return Ok(Reflection::default());
    }
    let Reflection { code, syscall_handler, exception_handler, exceptions, frame } = reflection;
    let end = code.address.checked_add(code.len).filter(|end| *end <= USER_END);
    let is_inside = |handler| end.is_some_and(|end| (code.address..end).contains(&handler));
    let frame_end = frame.checked_add(size_of::<UpcallFrame>() as u64);
    let is_in_page = frame_end.is_some_and(|end| {
        end <= USER_END && frame / PAGE_LEN as u64 == (end - 1) / PAGE_LEN as u64
    });
    let is_good = is_inside(syscall_handler)
        && is_inside(exception_handler)
        && exceptions & !EXCEPTIONS == 0
        && frame.is_multiple_of(align_of::<UpcallFrame>() as u64)
        && is_in_page;
    if is_good { Ok(reflection) } else { Err(CallError::BadArgument) }
}

fn report(instance: &mut Instance, kind: u64, address: u64, len: u64) -> Result<(), CallError> {
    let kind = Report::from_number(kind).ok_or(CallError::BadArgument)?;
    if len > REPORT_LEN_MAX as u64 {
        return Err(CallError::LimitReached);
    }
    let Instance { space, host, .. } = instance;
    let host = host.as_mut().ok_or(CallError::UnknownCall)?;
    let mut text = Vec::new();
    text.try_reserve_exact(len as usize).map_err(|_| CallError::OutOfMemory)?;
    let read = space.read(address, len, |piece| {
        let fits = text.capacity() - text.len() >= piece.len();
        text.extend_from_slice(if fits { piece } else { return Err(Refusal::OutOfMemory) });
        Ok(())
    });
    read.map_err(refused)?;
    if core::str::from_utf8(&text).is_err() {
        return Err(CallError::BadArgument);
    }
    let reports = host.reports.get_or_insert_default();
    *match kind {
        Report::Unsupported => &mut reports.unsupported,
        Report::Reason => &mut reports.reason,
        Report::Entropy => &mut reports.entropy,
    } = text;
    Ok(())
}
