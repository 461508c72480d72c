//! `{"name":"A"}` → `{"greeting":"Hello, A!"}`. Without a name it greets the world.
//!
//! Makes exactly one call, `exit`: the JSON is built in the output window.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use action_abi::prelude::*;

#[derive(Deserialize)]
struct In {
    name: Option<String>,
}

#[derive(Serialize)]
struct Out {
    greeting: String,
}

fn hello(input: In) -> Out {
    Out { greeting: format!("Hello, {}!", input.name.as_deref().unwrap_or("World")) }
}

action_abi::action!(hello);
