//! Any words as the arguments of the program, read by what the program reads them with.
// The rest of the program, which takes what is parsed, is not here.
#![allow(dead_code, unused_imports)]

#[path = "../../src/cli/args.rs"]
pub mod args;
#[path = "../../src/cli/args_output.rs"]
pub mod args_output;
#[path = "../../src/cli/args_tools.rs"]
pub mod args_tools;
#[path = "../../src/cli/layout.rs"]
pub mod layout;
#[path = "../../src/cli/values.rs"]
pub mod values;

use std::ffi::OsString;
use std::path::Path;

/// One argument a line. Most of them are refused; what is taken must have ranges that make sense.
pub fn body(_: &Path, data: &[u8]) {
    #[cfg(unix)]
    let word =
        |bytes: &[u8]| -> OsString { std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec()) };
    #[cfg(not(unix))]
    let word = |bytes: &[u8]| -> OsString { String::from_utf8_lossy(bytes).into_owned().into() };
    let words = data.split(|&byte| byte == b'\n').map(word);
    let all = std::iter::once(OsString::from("unmixel")).chain(words);
    if let Err(error) = <args::Arguments as clap::Parser>::try_parse_from(all) {
        assert!(!error.render().to_string().is_empty());
    }
}
