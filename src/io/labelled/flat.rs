//! A scene whose pixels lie in one line, (pixels, bands) or (bands, pixels): read once, and from
//! then on as an array of NumPy.

use std::io::Write;

use super::describe;
use super::store::{Store, StoredArray};
use crate::engine::ground::error::{Error, Result};
use crate::io::array_scene;
use crate::io::arrays::{Arrays, NamedArray};
use crate::io::bytes::FileBytes;
use crate::io::numbers::{Kind, Numbers};
use crate::io::open::OpenOptions;
use crate::scene::{CubeSource, Header};

/// Arrays up to this many numbers are held in memory; larger ones go to a temporary file once.
const IN_MEMORY: usize = 2 << 20;
/// Numbers that are read at once, about.
const WINDOW: usize = 4 << 20;

/// Opens `array` as pixels in one line; `lists` say how many rows they make.
pub(super) fn open<S: Store>(
    file: &S,
    array: &S::Array,
    mut lists: Arrays,
    options: &OpenOptions,
) -> Result<Box<dyn CubeSource>> {
    let name = array.place().trim_start_matches('/').to_owned();
    let mut own = Header::default();
    describe::attributes(array, &mut own);
    lists.arrays.push(NamedArray {
        name: name.clone(),
        shape: array.shape().to_vec(),
        fortran: false,
        numbers: numbers(file, array)?,
    });
    let options = OpenOptions { variable: Some(name), ..options.clone() };
    let mut cube = array_scene::open(file.path(), lists, &options)?;
    let header = cube.header_mut();
    header.format = format!("{}, {}", S::FORMAT, array.kind().name());
    header.integer = array.kind().is_integer();
    header.largest = array.kind().largest();
    header.ignore_value = own.ignore_value.or(header.ignore_value);
    header.stated_scale = own.stated_scale.or(header.stated_scale.take());
    Ok(Box::new(cube))
}

/// The numbers of an array in 32 bits, as a scene has them.
fn numbers<S: Store>(file: &S, array: &S::Array) -> Result<Numbers> {
    let fail = |error| Error::io(file.path(), error);
    let large =
        || Error::file(file.path(), format!("`{}` is larger than any file.", array.place()));
    let count = array.count().filter(|n| n.checked_mul(4).is_some()).ok_or_else(large)?;
    let mut spool = match count <= IN_MEMORY {
        true => None,
        false => Some(std::io::BufWriter::new(tempfile::tempfile().map_err(fail)?)),
    };
    let mut bytes = Vec::new();
    let length = array.shape().first().copied().unwrap_or(1);
    let at_once = (WINDOW / (count / length.max(1)).max(1)).max(1);
    for start in (0..length).step_by(at_once) {
        let mut window: Vec<_> = array.shape().iter().map(|n| 0..*n).collect();
        if let Some(first) = window.first_mut() {
            *first = start..start.saturating_add(at_once).min(length);
        }
        let values = file.window(array, &window)?;
        match &mut spool {
            Some(spool) => {
                values.iter().try_for_each(|v| spool.write_all(&v.to_le_bytes())).map_err(fail)?;
            }
            None => bytes.extend(values.iter().flat_map(|v| v.to_le_bytes())),
        }
    }
    let Some(spool) = spool else { return Ok(Numbers::owned(bytes, Kind::F32, false)) };
    let held = FileBytes::own(file.path(), spool.into_inner().map_err(|e| fail(e.into_error()))?)?;
    Numbers::in_file(&held, 0..4 * count as u64, Kind::F32, false).ok_or_else(|| {
        Error::file(file.path(), format!("`{}` holds fewer values than it states.", array.place()))
    })
}
