//! Zarr stores of versions 2 and 3: folders, or archives of folders, in which each array is a text
//! of JSON and files of chunks.
//!
//! A reader of our own: `zarrs`, the crate for it, brings 160 others and a C compiler's work, and
//! allocates what a damaged chunk states; the JSON and the order of chunks are little to read, and
//! the compressors are crates that are here for other formats.

mod attributes;
mod blosc;
mod codecs;
mod files;
mod metadata;
mod shard;
mod store;

use std::path::Path;

use self::store::ZarrStore;
use super::labelled::{self, OnDisk, Store};
use super::open::OpenOptions;
use crate::engine::ground::error::Result;
use crate::scene::CubeSource;

pub(crate) use files::{folder_size, is_store};

/// Opens the scene in a store, or the array that `path` leads to inside one.
pub(crate) fn open(path: &Path, options: &OpenOptions) -> Result<Box<dyn CubeSource>> {
    let (root, place) = files::root_of(path);
    let store = ZarrStore::open_again(&root, 0)?;
    match place {
        Some(place) if options.variable.is_none() && store.array_at(&place).is_some() => {
            let options = OpenOptions { variable: Some(place), ..options.clone() };
            labelled::open(&store, &options)
        }
        _ => labelled::open(&store, options),
    }
}
