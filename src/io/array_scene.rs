//! The scene in a file of named arrays: MATLAB, NPZ, NPY.

use std::path::Path;

use super::arrays::{Arrays, NamedArray, StatedSize};
use super::evidence::{Axes, Candidate, Known, PixelOrder, pixel_order, weigh};
use super::open::OpenOptions;
use super::strided::Strided;
use crate::engine::ground::error::Result;
use crate::scene::Header;

/// Opens the scene among the arrays of a file: all evidence is weighed (names, sizes, stated sizes,
/// lists of wavelengths, values), and what was taken is noted.
///
/// # Errors
/// When no array can be a scene, when two may be, or when pixels lie in one line and nobody says
/// how many rows they make.
pub(crate) fn open(path: &Path, mut file: Arrays, options: &OpenOptions) -> Result<Strided> {
    let size = file.stated_size()?;
    unpack(&mut file);
    let (index, axes, note) = choose(path, &file, &size, options)?;
    let Some(array) = file.arrays.get(index) else {
        return Err(file.error("holds no array."));
    };
    let length = |axis: usize| array.shape.get(axis).copied().unwrap_or(0);
    let step = array.strides();
    let step = |axis: usize| step.get(axis).copied().unwrap_or(0);
    let mut header = Header::default();
    header.notes.extend(note);
    header.format = if file.matlab { "MATLAB" } else { "NumPy" }.to_owned();
    let strides = match axes {
        Axes::Cube { row, col, band } => {
            (header.rows, header.cols, header.bands) = (length(row), length(col), length(band));
            [step(row), step(col), step(band)]
        }
        Axes::Flat { pixel, band } => {
            header.bands = length(band);
            let (rows, cols) =
                options.size_for(path, &array.name, length(pixel), size.rows, size.cols)?;
            (header.rows, header.cols) = (rows, cols);
            note_stated(&mut header, options, &size);
            let order = order(&file, array, (pixel, band), &mut header, options);
            match order {
                PixelOrder::Row => [step(pixel) * cols, step(pixel), step(band)],
                PixelOrder::Column => [step(pixel), step(pixel) * rows, step(band)],
            }
        }
    };
    file.describe(&mut header);
    let array = file.arrays.swap_remove(index);
    Strided::with_strides(path, header, array.numbers, strides)
}

/// Unpacks what may be the scene, so that its values can be looked at. What cannot be unpacked is
/// left as it is: the scene may be another.
fn unpack(file: &mut Arrays) {
    for array in file.arrays.iter_mut().filter(|a| a.shape.len() > 1 && a.numbers.len() > 1) {
        if let Ok(numbers) = array.numbers.clone().at_hand() {
            array.numbers = numbers;
        }
    }
}

fn choose(
    path: &Path,
    file: &Arrays,
    size: &StatedSize,
    options: &OpenOptions,
) -> Result<(usize, Axes, Option<String>)> {
    let at: Vec<_> =
        file.arrays.iter().map(|array| move |index: &[usize]| array.at(index)).collect();
    // Lists and single numbers describe a scene; they are none.
    let is_list =
        |a: &NamedArray| a.shape.len() <= 2 && a.shape.iter().filter(|n| **n > 1).count() <= 1;
    let alone = file.arrays.len() == 1;
    let may_be = |a: &NamedArray| alone || !(is_list(a) || a.shape.contains(&0));
    let places: Vec<usize> =
        (0..file.arrays.len()).filter(|&i| file.arrays.get(i).is_some_and(may_be)).collect();
    let candidates: Vec<Candidate<'_>> = places
        .iter()
        .filter_map(|&i| Some((file.arrays.get(i)?, at.get(i)?)))
        .map(|(array, at)| Candidate {
            name: &array.name,
            shape: array.shape.clone(),
            byte: array.numbers.kind().size() == 1,
            at: Some(at),
            stated: None,
        })
        .collect();
    if candidates.is_empty() {
        return Err(file.error(format!(
            "holds {}; a scene needs a numeric array of rows x columns x bands, or `V` or `Y` of \
             bands x pixels.",
            file.inventory()
        )));
    }
    let known = Known {
        rows: size.rows,
        cols: size.cols,
        bands: size.bands,
        pixels: size.pixels,
        spectral: file.spectral_lengths(),
        bands_first: file.matlab,
        ..options.known(path)
    };
    let verdict = weigh(&candidates, &known).map_err(|why| file.error(why))?;
    let index = places.get(verdict.index).copied().unwrap_or_default();
    Ok((index, verdict.axes, verdict.note))
}

fn note_stated(header: &mut Header, options: &OpenOptions, size: &StatedSize) {
    for (what, given, stated) in
        [("rows", options.rows, size.rows), ("columns", options.cols, size.cols)]
    {
        if let (Some(given), Some(stated)) = (given, stated)
            && given != stated
        {
            header
                .notes
                .push(format!("{given} {what} were used, as asked; the file states {stated}."));
        }
    }
}

/// The order of pixels that lie in one line along the axis `pixel`.
fn order(
    file: &Arrays,
    array: &NamedArray,
    (pixel, band): (usize, usize),
    header: &mut Header,
    options: &OpenOptions,
) -> PixelOrder {
    let value = |p: usize, b: usize| {
        let mut index = vec![0; array.shape.len()];
        for (axis, place) in [(pixel, p), (band, b)] {
            if let Some(slot) = index.get_mut(axis) {
                *slot = place;
            }
        }
        array.at(&index)
    };
    let size = (header.rows, header.cols, header.bands);
    let (order, note) = pixel_order(size, options.pixel_order, file.custom(), &value);
    header.notes.extend(note);
    order
}
