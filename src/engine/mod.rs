//! One run of stochastic variational inference on any device. Knows no files, no flags and no
//! defaults of a program.

pub mod backend;
pub mod ground;
pub mod guide;
pub mod layout;
pub mod model;
pub mod passes;
pub mod pixels;
pub mod svi;
pub mod wait;
