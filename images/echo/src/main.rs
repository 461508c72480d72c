//! Any bytes → the same bytes, up to the length of the output window.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

fn echo(input: &[u8]) -> &[u8] {
    input
}

action_abi::raw_action!(echo);
