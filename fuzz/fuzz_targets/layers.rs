//! Layers of images: any bytes as tar or tar+gzip, twice, and what comes of it as an archive.
#![no_main]

use libfuzzer_sys::fuzz_target;
use limits::CODE_LEN_MAX;
use memory::{PageBuffer, frames, install_for_test};
use node::image::layers::{Packer, Process};
use node::image::{ZipReject, zip};
use node::slice::Slice;

fuzz_target!(|bytes: &[u8]| {
    install_for_test();
    let before = frames::available();
    // Where the second layer begins is the fuzzer's, too.
    let (at, rest) = bytes.split_first().map_or((0, bytes), |(at, rest)| (*at, rest));
    let (first, second) = rest.split_at(rest.len() * usize::from(at) / 256);
    let buffer = |bytes| PageBuffer::from_bytes(bytes).expect("the arena is large");
    let arguments = ["/a", "b"].map(String::from).into();
    let process = Process { arguments, ..Process::default() };
    let mut packer = Packer::new(vec![buffer(first), buffer(second)], process);
    let code = loop {
        match packer.step(&mut Slice::new(1000)) {
            Ok(None) => {}
            Ok(Some(code)) => break Some(code),
            Err(_) => break None,
        }
    };
    drop(packer);
    if let Some(archive) = code {
        assert!(archive.len() <= CODE_LEN_MAX);
        // What it was started with says more than a path, so it is an archive, with the program;
        // its path may be no text.
        if let Err(reject) = zip::extract(&archive) {
            assert_eq!(reject, ZipReject::Link, "what the node writes it can read");
        }
    }
    assert_eq!(frames::available(), before, "every frame came back");
});
