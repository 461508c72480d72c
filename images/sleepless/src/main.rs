//! `{"ms":100}` → `{"slept_ms":100}`: spins until the clock has advanced that far.
//!
//! Reading the clock is no call. Waiting for longer than the time limit shows the deadline.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::time::Duration;

use action_abi::prelude::*;

#[derive(Deserialize)]
struct In {
    ms: u64,
}

#[derive(Serialize)]
struct Out {
    slept_ms: u64,
}

fn sleepless(input: In) -> Out {
    let (start, wanted) = (now(), Duration::from_millis(input.ms));
    loop {
        let slept = now() - start;
        if slept >= wanted {
            return Out { slept_ms: slept.as_millis() as u64 };
        }
        core::hint::spin_loop();
    }
}

action_abi::action!(sleepless);
