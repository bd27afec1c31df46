//! Scenes in MATLAB files of versions 4 and 5.

use std::path::Path;

use super::array_scene;
use super::arrays::Arrays;
use super::open::OpenOptions;
use super::strided::Strided;
use crate::engine::ground::error::Result;

/// Opens the cube in a MATLAB file of version 4 or 5.
pub(crate) fn open(path: &Path, options: &OpenOptions) -> Result<Strided> {
    array_scene::open(path, Arrays::read(path)?, options)
}
