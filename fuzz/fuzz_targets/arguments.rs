#![no_main]

#[path = "../../tests/fuzz/arguments.rs"]
mod arguments;

libfuzzer_sys::fuzz_target!(|data: &[u8]| arguments::body(std::path::Path::new("."), data));
