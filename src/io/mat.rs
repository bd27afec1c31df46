//! Scenes in MATLAB files: `V` or `Y` with flat pixels, or one array of rows x columns x bands.
//!
//! Flat pixels are column-major, as MATLAB reshapes them: pixel n = column * rows + row.

use std::path::Path;

use super::arrays::Arrays;
use super::open::OpenOptions;
use super::strided::{Order, Strided};
use crate::engine::ground::error::Result;
use crate::scene::{HIGHEST, Header};

/// Names under which the literature publishes cubes, the commonest first.
const NAMES: [&str; 4] = ["V", "Y", "cube", "X"];

/// Opens the cube in a MATLAB v5 file.
pub(crate) fn open(path: &Path, options: &OpenOptions) -> Result<Strided> {
    let mut file = Arrays::read(path)?;
    let chosen = choose(&file)?;
    let mut header = Header::default();
    let shape = file.arrays.get(chosen).map(|a| &a.shape[..]);
    let order = match *shape.unwrap_or_default() {
        [rows, cols, bands] => {
            (header.rows, header.cols, header.bands) = (rows, cols, bands);
            Order::BandColRow
        }
        [a, b] => {
            let flat = Flat { a, b, bands: file.count("nBand")? };
            let (stored_rows, stored_cols) = (file.count("nRow")?, file.count("nCol")?);
            let pixels =
                flat.pixels(&file, options.rows.or(stored_rows), options.cols.or(stored_cols))?;
            let (rows, cols) = options.size_for(path, pixels, stored_rows, stored_cols)?;
            for (flag, given, stored) in
                [("--rows", options.rows, stored_rows), ("--cols", options.cols, stored_cols)]
            {
                if let (Some(given), Some(stored)) = (given, stored)
                    && given != stored
                {
                    header
                        .notes
                        .push(format!("{flag} {given} was used; the file states {stored}."));
                }
            }
            (header.rows, header.cols) = (rows, cols);
            if pixels == b {
                header.bands = a;
                if a == b {
                    header.notes.push(format!(
                        "The array is {a} x {b}, so pixels and bands cannot be told apart; it was \
                         taken as bands x pixels."
                    ));
                }
                Order::ColRowBand
            } else {
                header.bands = b;
                header.notes.push("The array was taken as pixels x bands.".into());
                Order::BandColRow
            }
        }
        // `choose` passes over arrays with another number of axes.
        _ => return Err(file.error("holds no cube.")),
    };
    let (wavelengths, note) = file.wavelengths(header.bands);
    header.wavelengths = wavelengths;
    header.notes.extend(note);
    header.good_bands = selected_bands(&file, header.bands, &mut header.notes);
    let stated = file.scalar("maxValue");
    let array = file.arrays.swap_remove(chosen);
    // Published cubes come with `maxValue` to be divided by, or already divided by it.
    if let Some(max) = stated.filter(|m| m.is_finite() && *m > HIGHEST) {
        let peak = array.numbers.to_f64().into_iter().filter(|v| v.is_finite()).fold(0.0, f64::max);
        if peak > HIGHEST {
            header.stated_scale = Some((vec![1.0 / max], vec![0.0], "maxValue".into()));
        }
    }
    Strided::new(path, header, array.numbers, order)
}

/// The place of the cube among the arrays: a known name, else the only array with three axes, else
/// the only one with two axes that both exceed 1.
fn choose(file: &Arrays) -> Result<usize> {
    let is_cube = |i: &usize| {
        let shape = file.arrays.get(*i).map_or(&[][..], |a| &a.shape);
        shape.len() == 3 || shape.len() == 2
    };
    for name in NAMES {
        if let Some(i) = file.arrays.iter().position(|a| a.name == name).filter(is_cube) {
            return Ok(i);
        }
    }
    for axes in [3, 2] {
        let fitting: Vec<usize> = file
            .arrays
            .iter()
            .enumerate()
            .filter(|(_, a)| a.shape.len() == axes && a.shape.iter().all(|n| *n > 1))
            .map(|(i, _)| i)
            .collect();
        match fitting[..] {
            [] => {}
            [one] => return Ok(one),
            _ => break,
        }
    }
    Err(file.error(format!(
        "holds {}; a scene needs a numeric array `V` or `Y` of bands x pixels, or a single one of \
         rows x columns x bands.",
        file.inventory()
    )))
}

/// A matrix of flat pixels, `a` x `b`.
struct Flat {
    a: usize,
    b: usize,
    bands: Option<usize>,
}

impl Flat {
    /// How many pixels it has, found from what is known of the size.
    fn pixels(&self, file: &Arrays, rows: Option<usize>, cols: Option<usize>) -> Result<usize> {
        let Flat { a, b, bands } = *self;
        let known = match (rows, cols) {
            (Some(rows), Some(cols)) => rows.checked_mul(cols),
            _ => None,
        };
        let fits = |pixels: usize, of_bands: usize| {
            bands.is_none_or(|n| n == of_bands) && known.is_none_or(|n| n == pixels)
        };
        if fits(b, a) {
            return Ok(b);
        }
        if fits(a, b) {
            return Ok(a);
        }
        let mut stated = Vec::new();
        if let (Some(rows), Some(cols)) = (rows, cols) {
            stated.push(format!("{rows} rows x {cols} columns"));
        }
        if let Some(bands) = bands {
            stated.push(format!("{bands} bands (`nBand`)"));
        }
        Err(file.error(format!(
            "its array is {a} x {b}, which fits {} neither as bands x pixels nor as pixels x \
             bands; correct --rows and --cols.",
            stated.join(" and ")
        )))
    }
}

/// Which bands `SlectBands` (so spelt where it is published) selects.
///
/// As many entries as the cube has bands say which bands of the sensor were kept in it: there is
/// nothing left to select.
fn selected_bands(file: &Arrays, bands: usize, notes: &mut Vec<String>) -> Option<Vec<bool>> {
    let array = file.get_any_case("SlectBands").or_else(|| file.get_any_case("SelectBands"))?;
    let values = array.numbers.to_f64();
    if values.len() == bands {
        let mask = values.iter().all(|v| *v == 0.0 || *v == 1.0) && values.contains(&0.0);
        return mask.then(|| values.iter().map(|v| *v == 1.0).collect());
    }
    let mut good = vec![false; bands];
    for value in &values {
        // Counted from 1.
        let slot = (*value >= 1.0 && value.fract() == 0.0)
            .then(|| good.get_mut(*value as usize - 1))
            .flatten();
        let Some(slot) = slot else {
            notes.push(format!(
                "`{}` names the band {value}, of {bands}; it was left aside.",
                array.name
            ));
            return None;
        };
        *slot = true;
    }
    good.contains(&true).then_some(good)
}
