//! Which array of a file is the scene, and which of its axes are rows, columns and bands.

use super::cube::{Cube, Part};
use super::describe;
use super::flat;
use super::place;
use super::store::{OnDisk, Store, StoredArray};
use crate::engine::ground::error::{Error, Result};
use crate::io::arrays::{Arrays, NamedArray, names_bands, names_cols, names_rows};
use crate::io::evidence::{Axes, Candidate, Known, weigh};
use crate::io::numbers::{Kind, Numbers};
use crate::io::open::OpenOptions;
use crate::io::spectral::names_wavelengths;
use crate::io::texts;
use crate::scene::{CubeSource, Header};

/// Names of axes that are no names of counts.
const ROW_NAMES: [&str; 11] = [
    "y",
    "lat",
    "latitude",
    "downtrack",
    "northing",
    "along_track",
    "scanline",
    "y_dim",
    "nrows",
    "row_id",
    "yc",
];
const COL_NAMES: [&str; 11] = [
    "x",
    "sample",
    "lon",
    "longitude",
    "crosstrack",
    "easting",
    "across_track",
    "pixel",
    "x_dim",
    "column_id",
    "xc",
];
const BAND_NAMES: [&str; 5] = ["channel", "spectral", "n_bands", "spectral_band", "wavenumber"];
/// Longer lists describe pixels, not bands, and more lists than this describe no scene.
const LONGEST_LIST: usize = 1 << 17;
const MOST_LISTS: usize = 256;

/// Opens the array that the user names, or the one that all evidence says is the scene.
pub(crate) fn open<S: OnDisk + 'static>(
    file: &S,
    options: &OpenOptions,
) -> Result<Box<dyn CubeSource>> {
    let lists = lists(file);
    let (array, axes, note) = choose(file, &lists, options)?;
    let Axes::Cube { row, col, band } = axes else {
        return flat::open(file, array, lists, options);
    };
    let axes = [row, col, band];
    let header = header(file, array, axes, &lists, note)?;
    let part = Part { array: array.clone(), axes, bands: (0..header.bands).collect() };
    Ok(Box::new(Cube::new(file, header, vec![part])?))
}

/// All that is said of the array whose rows, columns and bands lie along these axes.
pub(super) fn header<S: Store>(
    file: &S,
    array: &S::Array,
    [row, col, band]: [usize; 3],
    lists: &Arrays,
    note: Option<String>,
) -> Result<Header> {
    let bands = array.shape().get(band).copied().unwrap_or(0);
    if bands > MOST_BANDS {
        return Err(Error::file(
            file.path(),
            format!("states {bands} bands; a scene has at most {MOST_BANDS}."),
        ));
    }
    let mut header = Header { bands, ..Header::default() };
    header.notes.extend(note);
    describe::describe(file, array, band, lists, &mut header);
    place::place(file, array, [row, col], &mut header);
    Ok(header)
}

/// More bands than any sensor has: a size that a damaged file states.
const MOST_BANDS: usize = 1_000_000;

/// Single numbers and short lists: they describe the scene. One that cannot be read is left out.
pub(super) fn lists<S: Store>(file: &S) -> Arrays {
    let short = |array: &&S::Array| {
        array.count().is_some_and(|n| (1..=LONGEST_LIST).contains(&n)) && is_list(array.shape())
    };
    let named = |array: &S::Array| {
        let values = file.whole(array).ok()?;
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Some(NamedArray {
            name: array.place().trim_start_matches('/').to_owned(),
            shape: array.shape().to_vec(),
            fortran: false,
            numbers: Numbers::owned(bytes, Kind::F64, false),
        })
    };
    let mut arrays: Vec<NamedArray> =
        file.arrays().iter().filter(short).take(MOST_LISTS).filter_map(named).collect();
    let numbers = |(place, list): (String, Vec<String>)| {
        Some(texts::named(place.trim_start_matches('/').to_owned(), &texts::numbers(&list)?))
    };
    arrays.extend(file.texts().into_iter().filter_map(numbers));
    Arrays { path: file.path().to_owned(), arrays, others: Vec::new(), matlab: false }
}

fn is_list(shape: &[usize]) -> bool {
    shape.iter().filter(|n| **n > 1).count() <= 1
}

/// The scene's array, its axes, and a note on how it was found.
pub(super) fn choose<'a, S: Store>(
    file: &'a S,
    lists: &Arrays,
    options: &OpenOptions,
) -> Result<(&'a S::Array, Axes, Option<String>)> {
    let all = file.arrays();
    let asked = options.variable.as_deref();
    let may_be = |a: &&S::Array| {
        !a.shape().contains(&0) && (all.len() == 1 || a.shape().len() > 2 || !is_list(a.shape()))
    };
    let arrays: Vec<&S::Array> = all.iter().filter(may_be).collect();
    // What it holds beside may look like a scene, and is none.
    let asked_for = |place: &str| asked.is_none_or(|name| place.trim_start_matches('/') == name);
    if let Some((place, why)) = file.refused().iter().find(|(place, _)| asked_for(place)) {
        let aside = if asked.is_some() {
            ""
        } else {
            "; name another array as the variable if it is the scene"
        };
        return Err(Error::file(file.path(), format!("its `{place}` {why}{aside}.")));
    }
    if let Some(name) = asked {
        check_asked(file, name)?;
    }
    if arrays.is_empty() {
        return Err(Error::file(
            file.path(),
            format!("holds {}; none has the axes of a scene.", file.inventory()),
        ));
    }
    let mut spectral = lists.spectral_lengths();
    let names: Vec<Option<Vec<String>>> = arrays.iter().map(|a| file.axes(a)).collect();
    for (array, names) in arrays.iter().zip(&names) {
        let along = |(name, n): (&String, &usize)| names_wavelengths(name).then_some(*n);
        spectral.extend(names.iter().flatten().zip(array.shape()).filter_map(along));
    }
    let stated: Vec<Option<Axes>> = arrays
        .iter()
        .zip(&names)
        .map(|(array, names)| named_axes(array.shape(), names.as_deref()?))
        .collect();
    // A file may have a height or a number of lines that is no size of an image.
    let size = lists.stated_size().unwrap_or_default();
    let known = Known {
        rows: size.rows,
        cols: size.cols,
        bands: size.bands.filter(|n| *n > 1),
        pixels: size.pixels,
        spectral: spectral.clone(),
        ..options.known(file.path())
    };
    let at: Vec<_> = arrays
        .iter()
        .map(|array| {
            move |index: &[usize]| {
                let window: Vec<_> = index.iter().map(|i| *i..i.saturating_add(1)).collect();
                file.window(array, &window).ok()?.first().map(|v| f64::from(*v))
            }
        })
        .collect();
    let candidates = |with_values: bool| -> Vec<Candidate<'_>> {
        arrays
            .iter()
            .zip(&at)
            .zip(&stated)
            .map(|((array, at), stated)| Candidate {
                name: array.place(),
                shape: array.shape().to_vec(),
                byte: array.kind().size() == 1,
                at: if with_values { Some(at) } else { None },
                stated: *stated,
            })
            .collect()
    };
    // Values cost the unpacking of chunks: they are asked where names and sizes do not tell.
    let told = stated.iter().any(Option::is_some)
        || arrays.iter().any(|a| a.shape().iter().filter(|n| spectral.contains(n)).count() == 1);
    let verdict = if told { weigh(&candidates(false), &known) } else { Err(String::new()) };
    let verdict = verdict
        .or_else(|_| weigh(&candidates(true), &known))
        .map_err(|why| Error::file(file.path(), why))?;
    let array = arrays.get(verdict.index).copied();
    let array = array.ok_or_else(|| Error::file(file.path(), "holds no array."))?;
    Ok((array, verdict.axes, verdict.note))
}

/// Refuses a name that no array has, or several.
fn check_asked<S: Store>(file: &S, name: &str) -> Result<()> {
    let named: Vec<&S::Array> = file.arrays().iter().filter(|a| a.last_name() == name).collect();
    let same_case = |a: &S::Array| {
        a.place().trim_start_matches('/').eq_ignore_ascii_case(name.trim_start_matches('/'))
            || a.last_name().eq_ignore_ascii_case(name)
    };
    match (file.array_at(name), &named[..]) {
        (Some(_), _) | (None, [_]) => Ok(()),
        (None, []) if file.arrays().iter().any(same_case) => Ok(()),
        (None, []) => Err(Error::file(
            file.path(),
            format!("has no array `{name}`; it holds {}.", file.inventory()),
        )),
        (None, several) => {
            let places: Vec<String> = several.iter().map(|a| format!("`{}`", a.place())).collect();
            Err(Error::file(
                file.path(),
                format!("has several arrays `{name}`: say one of {}.", places.join(", ")),
            ))
        }
    }
}

/// Rows, columns and bands by the names of the axes; axes of length 1 aside where there are more
/// than three.
fn named_axes(shape: &[usize], names: &[String]) -> Option<Axes> {
    let all: Vec<usize> = (0..shape.len()).collect();
    let long: Vec<usize> = all.iter().copied().filter(|axis| shape[*axis] > 1).collect();
    let places = if all.len() == 3 { all } else { long };
    let [_, _, _] = places[..] else { return None };
    let name = |axis: usize| names.get(axis).map(String::as_str).unwrap_or_default();
    let find = |fits: &dyn Fn(&str) -> bool| {
        let mut found = places.iter().copied().filter(|axis| fits(name(*axis)));
        found.next().filter(|_| found.next().is_none())
    };
    let band =
        find(&names_wavelengths).or_else(|| find(&|n| BAND_NAMES.contains(&n) || names_bands(n)));
    let row = find(&|n| ROW_NAMES.contains(&n) || names_rows(n));
    let col = find(&|n| COL_NAMES.contains(&n) || names_cols(n));
    match (row, col, band) {
        (Some(row), Some(col), Some(band)) => Some(Axes::Cube { row, col, band }),
        // The one axis that is left, where the other two are named.
        (Some(row), Some(col), None) => {
            let band = places.iter().copied().find(|axis| *axis != row && *axis != col)?;
            Some(Axes::Cube { row, col, band })
        }
        (_, _, Some(band)) => {
            let mut rest = places.iter().copied().filter(|axis| *axis != band);
            let (first, second) = (rest.next()?, rest.next()?);
            // One of the two may be named, as what the other is not.
            let turned = row == Some(second) || col == Some(first);
            let (row, col) = if turned { (second, first) } else { (first, second) };
            Some(Axes::Cube { row, col, band })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_axes_tell_which_is_which() {
        let axes = |shape: &[usize], names: &[&str]| {
            let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
            named_axes(shape, &names).map(|axes| match axes {
                Axes::Cube { row, col, band } => [row, col, band],
                Axes::Flat { .. } => panic!("flat"),
            })
        };
        assert_eq!(axes(&[4, 5, 6], &["y", "x", "wavelength"]), Some([0, 1, 2]));
        assert_eq!(axes(&[6, 5, 4], &["band", "x", "y"]), Some([2, 1, 0]));
        assert_eq!(axes(&[1, 4, 5, 6], &["time", "lat", "lon", "wl"]), Some([1, 2, 3]));
        assert_eq!(axes(&[6, 4, 5], &["channel", "a", "b2"]), Some([1, 2, 0]));
        assert_eq!(axes(&[6, 4, 5], &["channel", "x", "a"]), Some([2, 1, 0]));
        assert_eq!(axes(&[4, 5, 6], &["y", "x", "z"]), Some([0, 1, 2]));
        let oci = ["number_of_scans", "pixels_per_line", "wavelength_3d"];
        assert_eq!(axes(&[4, 5, 6], &oci), Some([0, 1, 2]));
        assert_eq!(axes(&[6, 5, 4], &["wellenlaenge", "spalten", "zeilen"]), Some([2, 1, 0]));
        assert_eq!(axes(&[4, 5, 6], &["phony_dim_0", "phony_dim_1", "phony_dim_2"]), None);
        assert_eq!(axes(&[4, 5], &["y", "x"]), None);
    }
}
