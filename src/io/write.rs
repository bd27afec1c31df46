//! Writing cubes and truths, for made-up scenes and for programs that read them.
//!
//! Files are written under a temporary name beside their place and renamed, so that a name never
//! stands for half a file.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use ndarray::{ArrayView1, ArrayView2, ArrayView3};
use ndarray_npy::{NpzWriter, WriteNpyExt};

use crate::engine::ground::error::{Error, Result};

/// Writes `cube` (rows, columns, bands) as an NPZ with the array `cube`, and `wavelength` (bands,
/// in nanometres) where given. Fails when the file cannot be written, or the counts differ.
pub fn write_npz(
    path: impl AsRef<Path>,
    cube: ArrayView3<f32>,
    wavelengths: Option<&[f64]>,
) -> Result<()> {
    let path = path.as_ref();
    check_wavelengths(path, cube.dim().2, wavelengths)?;
    let wavelengths = wavelengths.map(ArrayView1::from);
    let mut arrays: Vec<(&str, &dyn Npy)> = vec![("cube", &cube)];
    if let Some(wavelengths) = &wavelengths {
        arrays.push(("wavelength", wavelengths));
    }
    // Noise has hardly a byte to save, and a large scene would take minutes.
    write_arrays(path, |file| NpzWriter::new(file), &arrays)
}

/// Writes a truth as an NPZ with `endmembers` (K, bands) and `abundances` (rows, columns, K). Fails
/// when the file cannot be written, or the two differ in K.
pub fn write_truth(
    path: impl AsRef<Path>,
    endmembers: ArrayView2<f64>,
    abundances: ArrayView3<f32>,
) -> Result<()> {
    let path = path.as_ref();
    if endmembers.nrows() != abundances.dim().2 {
        return Err(Error::file(
            path,
            format!(
                "cannot be written: {} endmembers, but abundances of {}.",
                endmembers.nrows(),
                abundances.dim().2
            ),
        ));
    }
    let arrays: [(&str, &dyn Npy); 2] = [("endmembers", &endmembers), ("abundances", &abundances)];
    write_arrays(path, |file| NpzWriter::new_compressed(file), &arrays)
}

/// Writes `cube` (rows, columns, bands) as ENVI float32, interleave bip, and gives the paths of the
/// header and of the data.
///
/// `path` names either: `a.hdr` goes with `a.img`, and any other name is the data's, with its
/// extension replaced by `hdr` for the header. `wavelengths` are in nanometres, one a band;
/// `ignore_value` is what stands for no data. Fails when a file cannot be written, or the counts
/// differ.
pub fn write_envi(
    path: impl AsRef<Path>,
    cube: ArrayView3<f32>,
    wavelengths: Option<&[f64]>,
    ignore_value: Option<f32>,
) -> Result<(PathBuf, PathBuf)> {
    let path = path.as_ref();
    let header_path = path.with_extension("hdr");
    let data_path = if super::open::has_extension(path, "hdr") {
        path.with_extension("img")
    } else {
        path.into()
    };
    let (rows, cols, bands) = cube.dim();
    check_wavelengths(path, bands, wavelengths)?;
    let mut header = format!(
        "ENVI\ndescription = {{Written by unmixel}}\nsamples = {cols}\nlines = {rows}\nbands = \
         {bands}\nheader offset = 0\nfile type = ENVI Standard\ndata type = 4\ninterleave = \
         bip\nbyte order = 0\n"
    );
    if let Some(value) = ignore_value {
        header += &format!("data ignore value = {value}\n");
    }
    if let Some(wavelengths) = wavelengths {
        let list: Vec<_> = wavelengths.iter().map(f64::to_string).collect();
        header +=
            &format!("wavelength units = Nanometers\nwavelength = {{\n{}}}\n", list.join(",\n"));
    }
    replace(&data_path, |file| {
        for value in cube.iter() {
            file.write_all(&value.to_le_bytes())?;
        }
        Ok(())
    })?;
    replace(&header_path, |file| file.write_all(header.as_bytes()))?;
    Ok((header_path, data_path))
}

/// An array of any shape and type that an NPZ can take.
trait Npy {
    fn add(&self, npz: &mut NpzWriter<UntilFault<'_>>, name: &str) -> std::io::Result<()>;
}

impl<T: WriteNpyExt> Npy for T {
    fn add(&self, npz: &mut NpzWriter<UntilFault<'_>>, name: &str) -> std::io::Result<()> {
        npz.add_array(name, self).map_err(io_error)
    }
}

/// A file that takes no more after its first fault: an archive written into it would try to end
/// itself, and print that it cannot.
struct UntilFault<'a> {
    file: &'a mut std::fs::File,
    failed: bool,
}

impl Write for UntilFault<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.failed {
            return Ok(bytes.len());
        }
        let written = self.file.write(bytes);
        self.failed = written.as_ref().is_err_and(|e| e.kind() != std::io::ErrorKind::Interrupted);
        written
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.failed { Ok(()) } else { self.file.flush() }
    }
}

impl std::io::Seek for UntilFault<'_> {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        self.file.seek(to)
    }
}

/// What the system said where that is the reason: a full disk is no bad input.
fn io_error(error: ndarray_npy::WriteNpzError) -> std::io::Error {
    use ndarray_npy::{WriteNpyError, WriteNpzError};
    match error {
        WriteNpzError::Zip(zip::result::ZipError::Io(error))
        | WriteNpzError::Npy(WriteNpyError::Io(error)) => error,
        other => std::io::Error::other(other),
    }
}

fn write_arrays(
    path: &Path,
    begin: for<'a> fn(UntilFault<'a>) -> NpzWriter<UntilFault<'a>>,
    arrays: &[(&str, &dyn Npy)],
) -> Result<()> {
    replace_file(path, |file| {
        let mut npz = begin(UntilFault { file, failed: false });
        for (name, array) in arrays {
            array.add(&mut npz, name)?;
        }
        npz.finish().map(|_| ()).map_err(io_error)
    })
}

fn check_wavelengths(path: &Path, bands: usize, wavelengths: Option<&[f64]>) -> Result<()> {
    match wavelengths.map(<[f64]>::len) {
        Some(n) if n != bands => {
            Err(Error::file(path, format!("cannot be written: {n} wavelengths for {bands} bands.")))
        }
        _ => Ok(()),
    }
}

/// Puts what `write` writes at `path`, all of it or none.
pub(crate) fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&mut std::fs::File>) -> std::io::Result<()>,
) -> Result<()> {
    replace_file(path, |file| {
        let mut file = BufWriter::new(file);
        write(&mut file)?;
        file.flush()
    })
}

/// As [`replace`], for writers that move about in the file.
fn replace_file(
    path: &Path,
    write: impl FnOnce(&mut std::fs::File) -> std::io::Result<()>,
) -> Result<()> {
    let fail = |e| Error::io(path, e);
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    // Temporary files are private by default; this one is to become an ordinary file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).map_err(fail)?;
    write(file.as_file_mut()).map_err(fail)?;
    file.persist(path).map_err(|e| fail(e.error))?;
    Ok(())
}
