//! Large vectors, or a sentence where memory does not suffice.

use std::path::Path;

use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::pages::Pages;
use crate::engine::ground::spare::asking;

/// An empty vector with room for `len` items, or a sentence where memory does not suffice (an
/// ordinary allocation would abort the program).
pub(crate) fn grow<T>(path: &Path, len: usize) -> Result<Vec<T>> {
    let mut vec = Vec::new();
    asking(|| vec.try_reserve_exact(len)).map_err(|_| too_much::<T>(path, len))?;
    Ok(vec)
}

/// The same in [`Pages`], all zero.
pub(crate) fn grow_pages<T: bytemuck::Pod>(path: &Path, len: usize) -> Result<Pages<T>> {
    Pages::try_zeros(len).ok_or_else(|| too_much::<T>(path, len))
}

fn too_much<T>(path: &Path, len: usize) -> Error {
    let megabytes = len as f64 * std::mem::size_of::<T>() as f64 / 1e6;
    Error::file(
        path,
        format!(
            "needs {megabytes:.1} MB of memory more than this machine, or a limit set for this \
             program, gives; cut a smaller piece out of the scene."
        ),
    )
}
