//! The built program as a user drives it: files and flags in; files, two streams and an exit code
//! out. Scenes are small and steps few: what a fit finds is tested elsewhere.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

#[path = "../common/mat5.rs"]
mod mat5;

mod apply;
mod bad_files;
mod bad_options;
mod bench;
mod benchmark;
mod calibrate;
mod chain;
mod compare;
mod hostile;
mod interrupt;
mod kills;
mod large;
mod limits;
mod model;
mod moments;
mod odd_scenes;
mod published;
mod repeat;
mod resume;
mod surface;
