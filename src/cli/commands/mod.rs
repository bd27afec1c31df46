//! One file a command.

pub mod apply;
pub mod bench;
pub mod calibrate;
pub mod compare;
pub mod completions;
pub mod count;
pub mod demo;
pub mod devices;
pub mod fit;
pub mod info;
pub mod mosaic;
pub mod resume;
pub mod score;
pub mod simulate;
