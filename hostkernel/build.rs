//! Links the bare-metal binary with the kernel's own layout, and with the image that hosts what is
//! not native, if the environment names one.

use std::path::Path;

/// Names the file of that image.
const HOST_IMAGE: &str = "HOSTKERNEL_HOST_IMAGE";

fn main() {
    println!("cargo::rerun-if-changed=linker.ld");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        let directory = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
        println!("cargo::rustc-link-arg-bins=-T{directory}/linker.ld");
        println!("cargo::rustc-link-arg-bins=-no-pie");
        println!("cargo::rustc-link-arg-bins=--build-id");
    }
    println!("cargo::rerun-if-env-changed={HOST_IMAGE}");
    let value = match std::env::var(HOST_IMAGE) {
        Ok(path) => {
            println!("cargo::rerun-if-changed={path}");
            format!("Some(include_bytes!({path:?}))")
        }
        Err(_) => "None".to_owned(),
    };
    let out = std::env::var("OUT_DIR").expect("cargo sets it");
    let written = std::fs::write(Path::new(&out).join("host_image.rs"), value);
    written.expect("the build's own directory can be written");
}
