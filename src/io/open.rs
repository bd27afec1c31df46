//! Opening a scene: which format a file has.

use std::io::Read;
use std::path::Path;

use super::evidence::{Axis, Known, PixelOrder};
use super::{envi, hdf5, mat, mat4, mat5, npy, tiff, zarr};
use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::files;
use crate::scene::CubeSource;

/// What the caller knows about a scene that its file may not say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OpenOptions {
    /// Height in pixels (`--rows`), for files of flat pixels. Wins over the file.
    pub rows: Option<usize>,
    /// Width in pixels (`--cols`), for files of flat pixels. Wins over the file.
    pub cols: Option<usize>,
    /// The array that is the scene, in a file of several.
    pub variable: Option<String>,
    /// The order of the array's axes, those of length 1 left out.
    pub axes: Option<Vec<Axis>>,
    /// The order of pixels that lie in one line.
    pub pixel_order: Option<PixelOrder>,
}

impl OpenOptions {
    /// What the caller states of the file at a path, and its name says; nothing of its contents.
    pub(crate) fn known(&self, path: &Path) -> Known {
        Known {
            variable: self.variable.clone(),
            axes: self.axes.clone(),
            asked_rows: self.rows,
            asked_cols: self.cols,
            stem: path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default(),
            ..Known::default()
        }
    }

    /// Height and width of `pixels` flat pixels: the caller's, else the file's.
    ///
    /// One of the two suffices where it divides the number of pixels.
    pub(crate) fn size_for(
        &self,
        path: &Path,
        name: &str,
        pixels: usize,
        file_rows: Option<usize>,
        file_cols: Option<usize>,
    ) -> Result<(usize, usize)> {
        let other =
            |one: usize| pixels.checked_div(one).filter(|n| n.checked_mul(one) == Some(pixels));
        let (rows, cols) = match (self.rows.or(file_rows), self.cols.or(file_cols)) {
            (Some(rows), Some(cols)) => (Some(rows), Some(cols)),
            (Some(rows), None) => (Some(rows), other(rows)),
            (None, Some(cols)) => (other(cols), Some(cols)),
            (None, None) => {
                return Err(Error::file(
                    path,
                    format!(
                        "holds {pixels} flat pixels{} and does not say how they lie in rows and \
                         columns; give --rows and --cols.",
                        if name.is_empty() { String::new() } else { format!(" in `{name}`") }
                    ),
                ));
            }
        };
        match (rows, cols) {
            (Some(rows), Some(cols)) if rows.checked_mul(cols) == Some(pixels) => Ok((rows, cols)),
            _ => {
                let say = |n: Option<usize>| n.map_or("?".to_owned(), |n| n.to_string());
                Err(Error::file(
                    path,
                    format!(
                        "{} rows x {} columns are not its {pixels} pixels; correct --rows and \
                         --cols.",
                        say(rows),
                        say(cols)
                    ),
                ))
            }
        }
    }
}

/// Opens the scene at `path`: ENVI (the header or the data file), MATLAB v4 to v7.3, GeoTIFF, HDF5,
/// NetCDF-4, Zarr (a folder or its ZIP archive), NPY or NPZ, told apart by content.
///
/// Values are not read yet where the file can be read by rows. Fails when the file is of another
/// format, damaged, does not say its size, or states rows that are far larger than itself.
pub fn open(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Box<dyn CubeSource>> {
    let path = path.as_ref();
    if path.is_dir() && zarr::is_store(path) {
        return whole_rows(path, zarr::open(path, options)?);
    }
    let start = first_bytes(path)?;
    if npy::is_npz(&start) && zarr::is_store(path) {
        return whole_rows(path, zarr::open(path, options)?);
    }
    // The text that says what a store is, or an array in it.
    if let (true, Some(folder)) = (is_mark(path), path.parent())
        && zarr::is_store(folder)
    {
        return whole_rows(folder, zarr::open(folder, options)?);
    }
    if npy::is_npy(&start) || npy::is_npz(&start) {
        return Ok(Box::new(npy::open(path, options)?));
    }
    if tiff::is_tiff(&start) {
        return whole_rows(path, Box::new(tiff::open(path)?));
    }
    if hdf5::mat73::is_mat73(&start) {
        return whole_rows(path, Box::new(mat::open(path, options)?));
    }
    if hdf5::is_hdf5(path, &start) {
        return whole_rows(path, hdf5::open(path, options)?);
    }
    if has_extension(path, "mat") || mat5::is_mat(&start) || mat4::is_mat(&start) {
        return Ok(Box::new(mat::open(path, options)?));
    }
    if let Some((header, data)) = envi::find_pair(path, &start)? {
        return Ok(Box::new(envi::open(&header, &data)?));
    }
    let advice = match known_content(&start) {
        Some(what) => what.to_owned(),
        None => "is no scene that is known here. ENVI (a .hdr beside the data), GeoTIFF, HDF5, \
                 NetCDF-4, Zarr, MATLAB (.mat), NPY and NPZ are read; an ENVI data file needs its \
                 header beside it, as NAME.hdr."
            .to_owned(),
    };
    Err(Error::file(path, advice))
}

/// Bytes of 32-bit numbers that a row of any file may take, and for each byte of the file: packed
/// values of one byte that hardly differ take a sixteenth of what they are. A row is the least that
/// is read at once.
const ROW: u64 = 64 << 20;
const ROW_FOR_EACH_BYTE: u64 = 64;

/// The source, unless its rows are more than the file or folder can hold: formats of chunks may
/// leave out most of what they state, and a row is the least that there must be memory for.
fn whole_rows(path: &Path, source: Box<dyn CubeSource>) -> Result<Box<dyn CubeSource>> {
    let header = source.header();
    let row = (header.cols as u64).saturating_mul(header.bands as u64).saturating_mul(4);
    if row <= ROW {
        return Ok(source);
    }
    let stored = match path.is_dir() {
        true => zarr::folder_size(path),
        false => std::fs::metadata(path).map_or(0, |found| found.len()),
    };
    if row - ROW <= stored.saturating_mul(ROW_FOR_EACH_BYTE) {
        return Ok(source);
    }
    Err(Error::file(
        path,
        format!(
            "states rows of {} columns x {} bands, which are {:.0} MB each, and has {:.1} MB in \
             all; it is damaged, or nearly all of it was never written.",
            header.cols,
            header.bands,
            row as f64 / 1e6,
            stored as f64 / 1e6
        ),
    ))
}

/// True for the names of the texts in a Zarr store.
fn is_mark(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    ["zarr.json", ".zgroup", ".zarray", ".zattrs", ".zmetadata"].contains(&&*name)
}

/// What a file is that is none of the formats read, and what to do about it.
pub(crate) fn known_content(start: &[u8]) -> Option<&'static str> {
    let text = start.trim_ascii_start();
    let begins = |marks: &[&[u8]]| marks.iter().any(|mark| text.starts_with(mark));
    let page: [&[u8]; 4] = [b"<!DOCTYPE", b"<!doctype", b"<html", b"<HTML"];
    Some(match () {
        () if begins(&[b"version https://git-lfs"]) => {
            "is a git-LFS pointer, not the file itself; fetch it with `git lfs pull`."
        }
        () if begins(&page) => {
            "is a web page (HTML), not the file itself; its download went wrong, fetch it again."
        }
        () if begins(&[b"<?xml"]) => "is XML, not a scene.",
        () if start.starts_with(b"\x1f\x8b") => "is packed with gzip; unpack it first.",
        () if start.starts_with(b"CDF") => {
            "is a classic NetCDF, which is not read; convert it to NetCDF-4 or NPY."
        }
        () if start.starts_with(b"Rar!") || start.starts_with(b"7z\xbc\xaf") => {
            "is an archive; unpack it first."
        }
        () if start.starts_with(b"\x89PNG") || start.starts_with(b"\xff\xd8\xff") => {
            "is a picture, not a scene of spectra."
        }
        () if start.starts_with(b"%PDF") => "is a PDF, not a scene.",
        () => return None,
    })
}

/// True for files of named arrays: MATLAB, NPY and NPZ.
pub(crate) fn is_array_file(path: &Path, start: &[u8]) -> bool {
    npy::is_npy(start)
        || npy::is_npz(start)
        || mat5::is_mat(start)
        || mat4::is_mat(start)
        || has_extension(path, "mat")
}

/// Up to 512 bytes from the start, enough to tell formats apart.
pub(crate) fn first_bytes(path: &Path) -> Result<Vec<u8>> {
    let file = open_file(path)?;
    let mut start = Vec::new();
    file.take(512).read_to_end(&mut start).map_err(|e| Error::io(path, e))?;
    Ok(start)
}

/// Opens an ordinary file.
pub(crate) fn open_file(path: &Path) -> Result<std::fs::File> {
    if std::fs::metadata(path).is_ok_and(|found| found.is_dir()) {
        return Err(Error::file(path, "is a folder, and not one of Zarr arrays; name a file."));
    }
    files::open(path)
}

/// True when the name ends in this extension, in any letter case.
pub(crate) fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension))
}
