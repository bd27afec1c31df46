//! On macOS an extension module must be told that Python's symbols come with the interpreter;
//! maturin says so by itself, plain `cargo build` does not.

#![allow(clippy::print_stdout, reason = "lines on standard output are how cargo is told")]

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "macos") {
        println!("cargo:rustc-cdylib-link-arg=-undefined");
        println!("cargo:rustc-cdylib-link-arg=dynamic_lookup");
    }
}
