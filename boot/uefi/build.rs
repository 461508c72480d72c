//! Links without the time of day and without the path of a file with symbols, so that the same
//! sources give the same file.

fn main() {
    println!("cargo::rustc-link-arg-bins=/Brepro");
    println!("cargo::rustc-link-arg-bins=/DEBUG:NONE");
}
