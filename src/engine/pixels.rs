//! Spectra of pixels: a [`Cube`] in any order, and [`Pixels`] in the order that the engine takes.

use std::sync::Arc;

use ndarray::{Array, Axis, RemoveAxis};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use rayon::prelude::*;

use crate::engine::ground::pages::Pages;
use crate::engine::ground::sample::{distance, spaced};
use crate::engine::layout::limits::BAND_GROUP;

/// Pixels by bands, pixel-major, each row padded with zeros to a multiple of [`BAND_GROUP`], so
/// that nobody has a remainder to read.
#[derive(Debug, Clone, PartialEq)]
pub struct Cube {
    data: Pages<f32>,
    pixels: usize,
    bands: usize,
}

impl Cube {
    /// An all-zero cube.
    pub fn zeros(pixels: usize, bands: usize) -> Self {
        Cube { data: Pages::zeros(pixels * bands.next_multiple_of(BAND_GROUP)), pixels, bands }
    }

    /// Takes padded rows, as [`Cube::padded`] gives them: `pixels * stride` values.
    pub(crate) fn from_padded(data: Pages<f32>, pixels: usize, bands: usize) -> Self {
        debug_assert_eq!(data.len(), pixels * bands.next_multiple_of(BAND_GROUP));
        Cube { data, pixels, bands }
    }

    /// Number of pixels.
    pub fn pixels(&self) -> usize {
        self.pixels
    }

    /// Number of bands, padding not counted.
    pub fn bands(&self) -> usize {
        self.bands
    }

    /// Floats from one pixel to the next: `bands` rounded up to a multiple of [`BAND_GROUP`].
    pub fn stride(&self) -> usize {
        self.bands.next_multiple_of(BAND_GROUP)
    }

    /// The spectrum of one pixel, `bands` values.
    pub fn spectrum(&self, pixel: usize) -> &[f32] {
        &self.data[pixel * self.stride()..][..self.bands]
    }

    /// The spectrum of one pixel with its padding.
    #[inline]
    pub fn spectrum_padded(&self, pixel: usize) -> &[f32] {
        self.spectra_padded(pixel, 1)
    }

    /// The spectra of `count` pixels that follow each other, with their padding.
    #[inline]
    pub fn spectra_padded(&self, first: usize, count: usize) -> &[f32] {
        &self.data[first * self.stride()..][..count * self.stride()]
    }

    /// The spectrum of one pixel, to be written.
    pub fn spectrum_mut(&mut self, pixel: usize) -> &mut [f32] {
        let stride = self.stride();
        &mut self.data[pixel * stride..][..self.bands]
    }

    /// The cube of these pixels, in this order.
    pub fn select(&self, pixels: &[usize]) -> Cube {
        let mut chosen = Cube::zeros(pixels.len(), self.bands);
        let stride = chosen.stride().max(1);
        // Rows at random are read from all over memory: threads wait for it side by side.
        chosen.data.par_chunks_exact_mut(stride).zip(pixels).for_each(|(row, &from)| {
            row.copy_from_slice(self.spectrum_padded(from));
        });
        chosen
    }

    /// All values with the padding, `pixels * stride`.
    pub fn padded(&self) -> &[f32] {
        &self.data
    }
}

/// The pixels of a fit, in an order of chance. Minibatches are runs of sixteen pixels that follow
/// each other here: neighbours on the ground are alike, and sixteen of them would say little more
/// than one.
///
/// Only the engine, the starts and the search see this order. What is computed for each pixel
/// leaves through [`Pixels::restore`], in the order of the cube that the pixels were made of, so
/// that every array outside of the engine follows the rows of the cube beside it.
#[derive(Debug, Clone)]
pub struct Pixels {
    cube: Arc<Cube>,
    /// For each pixel here its row in the cube that it came from; none where the two are one.
    places: Option<Arc<[usize]>>,
}

impl Pixels {
    /// All pixels of a cube. Always the same order for the same number of pixels. Takes a copy of
    /// the cube.
    pub fn of(cube: &Cube) -> Self {
        Self::shuffled(cube, (0..cube.pixels()).collect())
    }

    /// At most `most` pixels of a cube, evenly spread over its rows. Takes a copy of them.
    pub fn sample(cube: &Cube, most: usize) -> Self {
        Self::shuffled(cube, spaced(cube.pixels(), most).collect())
    }

    /// The pixels of a cube whose rows have no order that matters, as they lie: of one that was
    /// simulated pixel by pixel, or one that belongs to other [`Pixels`].
    pub fn as_given(cube: impl Into<Arc<Cube>>) -> Self {
        Pixels { cube: cube.into(), places: None }
    }

    fn shuffled(cube: &Cube, mut places: Vec<usize>) -> Self {
        // Fisher and Yates; Durstenfeld 1964, CACM 7.
        let rng = &mut ChaCha8Rng::seed_from_u64(0);
        for last in (1..places.len()).rev() {
            places.swap(last, rng.random_range(0..=last));
        }
        Pixels { cube: Arc::new(cube.select(&places)), places: Some(places.into()) }
    }

    /// A fair part of them, of at most `most`; all of them share their memory.
    pub fn part(&self, most: usize) -> Self {
        self.chosen(&spaced(self.count(), most).collect::<Vec<usize>>())
    }

    /// As many pixels half way between those of [`Pixels::part`]: others, where there are twice as
    /// many.
    pub fn part_between(&self, most: usize) -> Self {
        let half = distance(self.count(), most) / 2;
        let between = spaced(self.count(), most).map(|n| n + half).filter(|&n| n < self.count());
        self.chosen(&between.collect::<Vec<usize>>())
    }

    /// Some of them, in their order here: `chosen` are their numbers, ascending. Takes a copy of
    /// them, but for all of them.
    pub fn chosen(&self, chosen: &[usize]) -> Self {
        if chosen.len() == self.count() {
            return self.clone();
        }
        let place = |&n: &usize| self.places.as_ref().map_or(n, |places| places[n]);
        let places = chosen.iter().map(place).collect();
        Pixels { cube: Arc::new(self.cube.select(chosen)), places: Some(places) }
    }

    /// Those that are not in some rows, ascending, of the cube that the pixels were made of.
    pub(crate) fn without_rows(&self, rows: &[usize]) -> Self {
        self.without(&self.in_rows(rows))
    }

    /// All but those with some numbers here, ascending.
    pub(crate) fn without(&self, out: &[usize]) -> Self {
        self.chosen(&all_but(out, self.count()))
    }

    /// The numbers here, ascending, of the pixels in some rows of the cube that they were made of,
    /// where they are all of its pixels.
    pub(crate) fn in_rows(&self, rows: &[usize]) -> Vec<usize> {
        if rows.is_empty() {
            return Vec::new();
        }
        let order = self.order();
        let mut numbers: Vec<usize> = rows.iter().map(|&row| order[row]).collect();
        numbers.sort_unstable();
        numbers
    }

    /// The same pixels with other values, row by row.
    pub(crate) fn with_cube(&self, cube: Cube) -> Self {
        debug_assert_eq!(cube.pixels(), self.count());
        Pixels { cube: Arc::new(cube), places: self.places.clone() }
    }

    /// Number of pixels.
    pub fn count(&self) -> usize {
        self.cube.pixels()
    }

    /// Number of bands.
    pub fn bands(&self) -> usize {
        self.cube.bands()
    }

    /// A number that tells these spectra, in their order, from others. Reads all of them.
    pub fn fingerprint(&self) -> u64 {
        // Fowler, Noll and Vo's 1a, of each pixel and then of all: the same on every machine.
        const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
        let add = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        let of_pixel = |n: usize| {
            let words = self.cube.spectrum(n).iter().map(|y| u64::from(y.to_bits()));
            words.fold(BASIS, add)
        };
        let pixels: Vec<u64> = (0..self.count()).into_par_iter().map(of_pixel).collect();
        pixels.into_iter().fold(BASIS, add)
    }

    /// Their spectra, in the order of chance.
    pub(crate) fn cube(&self) -> &Arc<Cube> {
        &self.cube
    }

    /// Whether both are the same pixels in the same memory.
    pub(crate) fn same(&self, other: &Pixels) -> bool {
        Arc::ptr_eq(&self.cube, &other.cube)
    }

    /// Where each pixel of the cube that they were made of is here: of a sample, its pixels in the
    /// cube's order.
    pub(crate) fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.count()).collect();
        if let Some(places) = &self.places {
            order.sort_unstable_by_key(|&n| places[n]);
        }
        order
    }

    /// The inverse of [`Pixels::restore`]: values along the first axis, in the order of the pixels
    /// here.
    pub(crate) fn arrange<T: Clone, D: RemoveAxis>(&self, values: Array<T, D>) -> Array<T, D> {
        if self.places.is_none() {
            return values;
        }
        let mut row_of = vec![0; self.count()];
        self.order().into_iter().enumerate().for_each(|(row, n)| row_of[n] = row);
        values.select(Axis(0), &row_of)
    }

    /// Values of each pixel here, along the first axis, in the order of the cube that the pixels
    /// were made of.
    pub(crate) fn restore<T: Clone, D: RemoveAxis>(&self, values: Array<T, D>) -> Array<T, D> {
        match &self.places {
            Some(_) => values.select(Axis(0), &self.order()),
            None => values,
        }
    }
}

/// The numbers below `count`, ascending, but for some that ascend.
pub(crate) fn all_but(out: &[usize], count: usize) -> Vec<usize> {
    (0..count).filter(|n| out.binary_search(n).is_err()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array1;

    fn numbered(pixels: usize) -> Cube {
        let mut cube = Cube::zeros(pixels, 3);
        (0..pixels).for_each(|pixel| cube.spectrum_mut(pixel).fill(pixel as f32));
        cube
    }

    /// The first band of each pixel, (N).
    fn numbers(pixels: &Pixels) -> Array1<f32> {
        (0..pixels.count()).map(|n| pixels.cube().spectrum(n)[0]).collect()
    }

    #[test]
    fn pixels_are_no_neighbours_and_find_their_way_back() {
        let pixels = Pixels::of(&numbered(400));
        let shuffled = numbers(&pixels);
        // In an order of chance two pairs of neighbours are expected, and 12 have a chance below
        // 1e-5.
        let close = |pair: &[f32]| (pair[0] - pair[1]).abs() == 1.0;
        let close = shuffled.to_vec().windows(2).filter(|pair| close(pair)).count();
        assert!(close < 12, "{close}");
        let ascending: Array1<f32> = (0..400).map(|n| n as f32).collect();
        assert_eq!(pixels.restore(shuffled.clone()), ascending);
        assert_eq!(pixels.arrange(ascending), shuffled);
    }

    #[test]
    fn parts_and_samples_keep_the_order_of_the_cube_they_came_from() {
        let cube = numbered(100);
        for part in [Pixels::of(&cube).part(30), Pixels::sample(&cube, 30)] {
            assert_eq!(part.count(), 25);
            let restored = part.restore(numbers(&part)).to_vec();
            assert!(restored.windows(2).all(|pair| pair[0] < pair[1]), "{restored:?}");
        }
        let all = Pixels::of(&cube);
        assert!(all.same(&all.part(100)) && !all.same(&all.part(99)));
        let given = Pixels::as_given(cube);
        assert_eq!(given.restore(numbers(&given)), numbers(&given));
        assert_eq!(Pixels::of(&numbered(0)).count(), 0);
    }
}
