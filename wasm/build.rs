//! The linker's share of the memory limit.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("TARGET").is_ok_and(|target| target.starts_with("wasm32")) {
        // A page that claims two gigabytes must not get them: beyond this an allocation fails.
        println!("cargo:rustc-cdylib-link-arg=--max-memory={}", 3u64 << 29);
    }
}
