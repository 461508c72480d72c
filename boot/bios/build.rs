//! Links a flat binary that runs where a BIOS loads it.

fn main() {
    println!("cargo::rerun-if-changed=linker.ld");
    let folder = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    for argument in [&format!("-T{folder}/linker.ld"), "-no-pie", "--oformat=binary"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
