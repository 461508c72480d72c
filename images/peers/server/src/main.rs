//! The benchmark's Linux guest: its first process, and an HTTP server that answers as hostkernel's
//! `hello` does, by the means of others.
//!
//! | path | the answer is made by |
//! |---|---|
//! | `/constant` | the server itself |
//! | `/process`, `/musl` | a new process of a static program: assembly, Rust with musl |
//! | `/crun`, `/runc` | the assembly program in a new container |
//! | `/wasm` | a new instance of a WebAssembly module, in the server |
//! | `/solo5` | a new unikernel, where the guest was made with one |
//! | `/bare/PEER?n=N` | N runs of a peer in a row, without network: their durations as JSON |
//! | `/readyz` | the server itself: it is up |
//!
//! As process 1 the program prepares the system (`init`), starts itself again as the server, and
//! collects orphans. The server has a thread for each core and is otherwise as small as such a
//! server can be, for what it costs is part of every figure.

#![forbid(unsafe_code)]

mod bare;
mod connection;
mod container;
mod init;
mod netlink;
mod peer;
mod process;
mod server;
mod wasm;

use std::io;

use dlmalloc::GlobalDlmalloc;

#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;

fn main() -> io::Result<()> {
    if std::process::id() == 1 { init::run() } else { server::run() }
}
