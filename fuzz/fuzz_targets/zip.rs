//! Archives: any bytes as a zip file with an executable in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use limits::CODE_LEN_MAX;
use memory::{PageBuffer, frames, install_for_test};
use node::image::zip;

fuzz_target!(|bytes: &[u8]| {
    install_for_test();
    let before = frames::available();
    let archive = PageBuffer::from_bytes(bytes).expect("the arena is large");
    if let Ok(file) = zip::extract(&archive) {
        assert!(file.len() <= CODE_LEN_MAX);
    }
    drop(archive);
    assert_eq!(frames::available(), before, "every frame came back");
});
