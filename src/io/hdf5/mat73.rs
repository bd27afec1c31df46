//! MATLAB 7.3 files: HDF5 whose axes are those of MATLAB in the reverse order.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use super::file::{Array, Hdf5};
use crate::engine::ground::error::{Error, Result};
use crate::io::arrays::{Arrays, NamedArray};
use crate::io::bytes::FileBytes;
use crate::io::numbers::{Kind, Numbers};

/// Arrays up to this size are held in memory; larger ones are unpacked once into a temporary file,
/// so that they can be read in any order of rows and columns.
const IN_MEMORY: usize = 8 << 20;
/// Bytes that are unpacked at once, about.
const WINDOW: usize = 16 << 20;

/// True for the text at the start of a file that MATLAB 7.3 or hdf5storage wrote.
pub(crate) fn is_mat73(start: &[u8]) -> bool {
    start.starts_with(b"MATLAB 7.3 MAT-file")
}

/// The variables of a MATLAB 7.3 file, as those of older files are.
pub(crate) fn read(path: &Path) -> Result<Arrays> {
    let file = Hdf5::open(path, 0)?;
    let mut found =
        Arrays { path: path.to_owned(), arrays: Vec::new(), others: Vec::new(), matlab: true };
    for array in &file.arrays {
        let place = array.place.trim_start_matches('/');
        // `#refs#` and `#subsystem#` are what cells and objects are made of; members of a structure
        // go by their own name.
        if place.starts_with('#') {
            continue;
        }
        let name = array.name().to_owned();
        let class = array.text("MATLAB_class").unwrap_or_default();
        let what = match class.as_str() {
            "char" => Some("text"),
            "cell" => Some("a cell array"),
            _ if array.has("MATLAB_sparse") || place.ends_with("/ir") || place.ends_with("/jc") => {
                Some("a sparse matrix")
            }
            _ => None,
        };
        if let Some(what) = what {
            found.others.push((name, what.into()));
            continue;
        }
        if array.has("MATLAB_empty") {
            found.others.push((name, "empty".into()));
            continue;
        }
        let numbers = numbers(&file, array)?;
        let shape = array.shape.iter().rev().copied().collect();
        found.arrays.push(NamedArray { name, shape, fortran: true, numbers });
    }
    Ok(found)
}

/// The numbers of an array, in memory or in a temporary file.
fn numbers(file: &Hdf5, array: &Array) -> Result<Numbers> {
    let fail = |e| Error::io(&file.path, e);
    let large = || Error::file(&file.path, format!("`{}` is larger than any file.", array.place));
    let count = array.shape.iter().try_fold(1usize, |n, s| n.checked_mul(*s)).ok_or_else(large)?;
    let bytes = count.checked_mul(array.kind.size()).ok_or_else(large)?;
    if bytes <= IN_MEMORY {
        let mut values = Vec::new();
        file.each_block(array, WINDOW, |block| {
            values.extend_from_slice(block);
            Ok(())
        })?;
        return Ok(Numbers::owned(values, array.kind, cfg!(target_endian = "big")));
    }
    let mut spool: File = tempfile::tempfile().map_err(fail)?;
    file.each_block(array, WINDOW, |block| spool.write_all(block).map_err(fail))?;
    in_file(&file.path, spool, bytes, array.kind)
}

/// Numbers in a file of this program's own, in this machine's byte order.
fn in_file(path: &Path, spool: File, bytes: usize, kind: Kind) -> Result<Numbers> {
    let file = FileBytes::own(path, spool)?;
    let numbers = Numbers::in_file(&file, 0..bytes as u64, kind, cfg!(target_endian = "big"));
    numbers.ok_or_else(|| Error::file(path, "yields fewer values than its size asks for."))
}
