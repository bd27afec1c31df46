//! HDF5 files as arrays with attributes and named axes.

use std::ops::Range;
use std::path::Path;

use super::file::{Array, Hdf5};
use crate::engine::ground::error::Result;
use crate::io::labelled::{OnDisk, Store, StoredArray};
use crate::io::numbers::Kind;

impl StoredArray for Array {
    fn place(&self) -> &str {
        &self.place
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn chunk_row(&self, axis: usize) -> usize {
        let Some(chunks) = self.dataset.chunks() else { return 0 };
        let along = |(i, (n, chunk)): (usize, (&usize, u32))| {
            let chunk = (chunk as usize).max(1);
            if i == axis { chunk } else { n.div_ceil(chunk).saturating_mul(chunk) }
        };
        self.shape
            .iter()
            .zip(chunks)
            .enumerate()
            .map(along)
            .fold(self.kind.size(), usize::saturating_mul)
    }

    fn attribute_numbers(&self, name: &str) -> Option<Vec<f64>> {
        self.numbers(name)
    }

    fn attribute_text(&self, name: &str) -> Option<String> {
        self.text(name)
    }
}

impl OnDisk for Hdf5 {
    fn open_again(path: &Path, cache: usize) -> Result<Self> {
        Hdf5::open(path, cache)
    }
}

impl Store for Hdf5 {
    type Array = Array;
    const FORMAT: &'static str = "HDF5";

    fn path(&self) -> &Path {
        &self.path
    }

    fn arrays(&self) -> &[Array] {
        &self.arrays
    }

    fn whole(&self, array: &Array) -> Result<Vec<f64>> {
        self.numbers(array)
    }

    fn window(&self, array: &Array, window: &[Range<usize>]) -> Result<Vec<f32>> {
        self.window_of(array, window)
    }

    /// Names of the axes, where the file has dimension scales for all of them (NetCDF-4 does).
    fn axes(&self, array: &Array) -> Option<Vec<String>> {
        let list = array.dataset.attribute("DIMENSION_LIST").ok()?;
        let lists = array.reference_lists(&list)?;
        lists.iter().map(|address| self.name_at(*address)).collect()
    }

    fn root_text(&self, name: &str) -> Option<String> {
        Hdf5::root_text(self, name)
    }

    fn refused(&self) -> &[(String, String)] {
        &self.refused
    }

    fn texts(&self) -> Vec<(String, Vec<String>)> {
        let texts = self.texts.iter();
        texts.filter_map(|(place, of)| Some((place.clone(), of.read_strings().ok()?))).collect()
    }
}
