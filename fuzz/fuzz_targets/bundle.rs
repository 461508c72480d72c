//! What a node boots with: any bytes as a boot bundle, as settings, and as tables of the firmware.
#![no_main]

use hostkernel::device::{fw_cfg, smbios};
use libfuzzer_sys::fuzz_target;
use limits::SMBIOS_LEN_MAX;
use memory::{frames, install_for_test};
use node::api::Boot;
use node::bundle::{Bundle, cpio};
use node::dispatch::{Completion, Invocation};
use node::registry::Share;
use node::settings::{Loader, Source};
use node::state::records::Records;
use node::state::{Node, Policy};

fuzz_target!(|bytes: &[u8]| {
    install_for_test();
    let before = frames::available();
    check_archive(bytes);
    let bundle = Bundle::read(bytes);
    let mut loader = Loader::default();
    loader.lines(Source::BootBundle, bundle.config.unwrap_or(bytes));
    if !bundle.is_whole() {
        loader.close();
    }
    smbios::strings(bytes).for_each(|string| loader.string(string));
    assert!(fw_cfg::files(bytes).count() <= bytes.len() / 64);
    assert!(smbios::table(bytes).is_none_or(|(_, len)| len <= SMBIOS_LEN_MAX));
    let loaded = loader.finish();
    let access = &loaded.settings.access;
    assert!(bundle.is_whole() || !access.is_development(), "what is broken opens nothing");
    let records = Records::new(1, 1).expect("the arena is large");
    let mut node = Node::new(Policy::new(access, 64), Share::UNBOUNDED, records);
    let mut refused = 0;
    let deployed =
        bundle.deploy(&mut node, &mut Boot { wall_ms: 0, run: &mut nobody }, |_| refused += 1);
    assert_eq!(node.registry().len(), deployed.actions);
    assert!(deployed.actions + deployed.runtimes + refused <= cpio::entries(bytes).count());
    drop(node);
    assert_eq!(frames::available(), before, "every frame came back");
});

/// Runs nothing: an image that hosts others is refused.
fn nobody(invocation: Invocation) -> Completion {
    Completion::without_core(invocation, None)
}

/// Entries lie within the archive, one behind the other, and nothing follows an error.
fn check_archive(bytes: &[u8]) {
    let mut end = bytes.as_ptr();
    let mut is_broken = false;
    for entry in cpio::entries(bytes) {
        assert!(!is_broken, "nothing follows an error");
        let Ok(cpio::Entry { path, content, .. }) = entry else {
            is_broken = true;
            continue;
        };
        for piece in [path.as_bytes(), content] {
            let range = piece.as_ptr_range();
            assert!(range.start >= end && range.end <= bytes.as_ptr_range().end);
            end = range.end;
        }
    }
}
