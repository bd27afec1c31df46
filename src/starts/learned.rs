//! The pixels that a model of a scene is learned from: all of a small scene, a sample of a large
//! one.

use std::collections::BTreeMap;
use std::ops::Range;

use super::survey::{Extremes, Survey};
use crate::engine::ground::error::Result;
use crate::engine::ground::interrupt::{Interrupted, heed};
use crate::scene::{Cube, Lottery, Scene, Windows};

/// Pixels whose scores are held at a time.
const TOGETHER: usize = 1 << 14;

/// Of `most` pixels that a scene is learned from, those that are drawn by lot: nine tenths.
pub fn by_lot(most: usize) -> usize {
    most - most / 10
}

/// About `most` pixels of a cube of finite values that a model of the scene is learned from, in
/// ascending order: a fair sample, and a tenth of extremes, so that no rare material is lost and
/// none weighs much more than it has pixels. All of a cube that has no more.
pub fn learned_from(cube: &Cube, k: usize, most: usize, seed: u64) -> Vec<usize> {
    if cube.pixels() <= most {
        return (0..cube.pixels()).collect();
    }
    let mut lottery = Lottery::new(by_lot(most), seed);
    (0..cube.pixels()).for_each(|number| {
        lottery.draw(number);
    });
    let mut chosen: Vec<usize> = lottery.slots().into_iter().map(|(number, _)| number).collect();
    let survey = Survey::new(&cube.select(&chosen), k, most, seed);
    let extremes = survey_of(&survey, Extremes::default(), cube, 0);
    chosen.extend(numbers(&extremes));
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

/// Extremes of earlier pixels and of a cube, whose first pixel has the number `first` in the scene.
fn survey_of(survey: &Survey, so_far: Extremes, cube: &Cube, first: usize) -> Extremes {
    let blocks = (0..cube.pixels()).step_by(TOGETHER);
    let rows = |begin: usize| -> Range<usize> { begin..cube.pixels().min(begin + TOGETHER) };
    blocks.map(rows).fold(so_far, |so_far, rows| {
        let found = survey.of_rows(cube, rows, |row| (first + row) as u64, &so_far);
        survey.merge(so_far, found)
    })
}

fn numbers(extremes: &Extremes) -> Vec<usize> {
    // Numbers of pixels of this machine's memory.
    extremes.pixels().into_iter().map(|number| number as usize).collect()
}

/// As [`learned_from`] of a scene whose spectra stay in their file, `rows` rows of which are held
/// at a time; it was opened with [`by_lot`] of `most` and the same seed. The same pixels with the
/// same spectra as a part of the scene.
///
/// # Errors
///
/// [`crate::Error::Interrupted`], and what reading refuses.
pub fn learned_from_windows(
    windows: &mut Windows,
    (k, most, seed): (usize, usize, u64),
    rows: usize,
    interrupted: Interrupted,
) -> Result<Scene> {
    let whole = windows.valid() <= most;
    let survey = Survey::new(&windows.drawn().cube, k, most, seed);
    let mut extremes = Extremes::default();
    // By number: place in the image and spectrum.
    let mut held: BTreeMap<usize, (u32, Vec<f32>)> = BTreeMap::new();
    let (mut number, all) = (0, windows.geometry().rows());
    for first in (0..all).step_by(rows.max(1)) {
        heed(interrupted)?;
        let (cube, places) = windows.rows(first..all.min(first + rows.max(1)))?;
        let wanted: Vec<usize> = match whole {
            true => (number..number + cube.pixels()).collect(),
            false => {
                extremes = survey_of(&survey, extremes, &cube, number);
                numbers(&extremes)
            }
        };
        if !whole {
            held.retain(|number, _| wanted.binary_search(number).is_ok());
        }
        for n in wanted.into_iter().filter(|n| *n >= number) {
            held.insert(n, (places[n - number], cube.spectrum(n - number).to_vec()));
        }
        number += cube.pixels();
    }
    if !whole {
        let drawn = windows.drawn();
        for (pixel, number) in drawn.numbers.iter().enumerate() {
            held.insert(*number, (drawn.places[pixel], drawn.cube.spectrum(pixel).to_vec()));
        }
    }
    let mut cube = Cube::zeros(held.len(), windows.geometry().bands().len());
    let mut places = Vec::with_capacity(held.len());
    for (pixel, (place, spectrum)) in held.into_values().enumerate() {
        cube.spectrum_mut(pixel).copy_from_slice(&spectrum);
        places.push(place);
    }
    windows.part(cube, places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rare_material_is_among_the_pixels_and_all_of_a_small_cube_are() {
        let mut cube = Cube::zeros(5000, 4);
        for n in 0..5000 {
            let share = (n % 97) as f32 / 97.0;
            let pixel = [0.2 + 0.3 * share, 0.4 - 0.2 * share, 0.3, 0.1];
            cube.spectrum_mut(n).copy_from_slice(&pixel);
        }
        // Three pixels of five thousand hold what no other does.
        for n in [7, 2900, 4999] {
            cube.spectrum_mut(n)[3] = 0.9;
        }
        let chosen = learned_from(&cube, 2, 300, 1);
        assert!([7, 2900, 4999].iter().all(|n| chosen.contains(n)));
        assert!((280..=420).contains(&chosen.len()), "{}", chosen.len());
        assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(learned_from(&cube, 2, 5000, 1).len(), 5000);
    }
}
