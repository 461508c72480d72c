//! Any machine code, for what no other kind covers.

use core::arch::asm;
use core::ptr::NonNull;

use action_abi::prelude::*;
use action_abi::protection::{EXECUTE, READ, WRITE};
use action_abi::runtime::call;

use crate::{In, Misbehave};

pub const KINDS: &[(&str, Misbehave)] = &[("code", run_code)];

/// Runs `code`, hexadecimal machine code that ends in `c3`, as a function; returns its `rax`.
fn run_code(input: &In) -> Option<Value> {
    let digits = input.code.as_bytes().chunks(2);
    let code: Option<Vec<u8>> =
        digits.map(|pair| u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok()).collect();
    let Some(code) = code.filter(|code| !code.is_empty()) else {
        return Some(json!({ "error": "code must be hexadecimal" }));
    };
    let pages = match call::map(code.len(), READ | WRITE) {
        Ok(pages) => pages,
        Err(error) => return Some(json!({ "error": format!("map: {error:?}") })),
    };
    let first: NonNull<u8> = pages.cast();
    // SAFETY: the pages are fresh and at least as long as the code.
    unsafe { first.copy_from_nonoverlapping(NonNull::from(&code[..]).cast(), code.len()) };
    // SAFETY: nothing writes to the pages from here on.
    if let Err(error) = unsafe { call::protect(pages, READ | EXECUTE) } {
        return Some(json!({ "error": format!("protect: {error:?}") }));
    }
    let result: u64;
    // SAFETY: the caller asked for whatever this does.
    unsafe { asm!("call {}", in(reg) first.as_ptr(), lateout("rax") result, clobber_abi("C")) };
    Some(json!({ "rax": result }))
}
