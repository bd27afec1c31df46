//! The posterior of pixels on a GPU: what [`super::Nested::summary`] does on the CPU, some thousand
//! pixels at a time. Spectra go to the device once, answers come back; draws stay there.

mod draw_amounts;
mod place_amounts;
mod share_bands;
mod sizes;
mod summarise_amounts;

use futures_util::future::try_join_all;
use rayon::prelude::*;

pub use self::sizes::Sizes;
use self::sizes::{answers, draws};
use super::Nested;
use super::group::{ROUNDS, shifts, step};
use super::pixels::{MOST_ROUNDS, SCENES, Scenes, Summary, WORTH};
use crate::engine::backend::gpu::{Adapter, Constants, Kernel, Kernels};
use crate::engine::ground::error::{Error, Result};
use crate::engine::layout::limits::MOST_TRIPS;
use crate::engine::passes::Grid;

/// The text of a kernel followed by the shared texts it needs.
macro_rules! shader {
    ($name:literal) => {
        concat!(
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $name, ".wgsl")),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/shared/scene_draws.wgsl")),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/shared/grid.wgsl")),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/shared/finite.wgsl")),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/shared/math.wgsl")),
        )
    };
}
use shader;

/// The kernels, by the numbers below.
pub static KERNELS: [&Kernel; 4] = [
    &place_amounts::KERNEL,
    &share_bands::KERNEL,
    &draw_amounts::KERNEL,
    &summarise_amounts::KERNEL,
];
const PLACE: usize = 0;
const SHARE: usize = 1;
const DRAW: usize = 2;
const SUMMARISE: usize = 3;

/// Whether there are kernels for pixels of the scene, whatever the device.
pub(crate) fn is_taken(nested: &Nested) -> bool {
    sizes::fit(nested.known.k, nested.known.shapes.count())
}

/// Pixels that are on their way at once, each lot with buffers of its own: while the device computes
/// one, another is written or read.
const LANES: usize = 2;

/// The kernels of one scene on a device.
pub(crate) struct OnDevice<'a> {
    nested: &'a Nested<'a>,
    lanes: Vec<Kernels>,
    sizes: Sizes,
    /// Pixels that go to the device at a time.
    chunk: usize,
    /// Words of draws that it has room for.
    room: usize,
}

impl<'a> OnDevice<'a> {
    /// Compiles the kernels and uploads what pixels need of the scene.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] where the device or its kernels have no room for so many endmembers or
    /// bands, [`Error::DeviceLost`] where it fails.
    pub(crate) async fn new(
        nested: &'a Nested<'a>,
        scenes: &Scenes,
        adapter: &Adapter,
    ) -> Result<Self> {
        let (known, count) = (&nested.known, nested.of.count());
        let (k, bands, stride) = (known.k, known.bands, nested.of.cube().stride());
        let sizes = Sizes {
            count: 0,
            bands: bands as u32,
            stride: stride as u32,
            rounds: MOST_ROUNDS as u32,
            begun: 0,
            shapes: known.shapes.count() as u32,
            weight: known.weight,
            over_variance: known.brightness.unwrap_or(0.0),
            alpha: known.alpha,
            odds: known.common.as_ref().map_or(0.0, |(_, odds)| *odds),
        };
        let chunk = sizes::chunk(count, known, stride, 1);
        let trips = [
            place_amounts::trips,
            share_bands::trips,
            draw_amounts::trips,
            summarise_amounts::trips,
        ];
        let longest = trips.map(|trips| trips(&sizes, k as u64)).into_iter().max();
        if !is_taken(nested)
            || scenes.spectra.len() != SCENES
            || sizes::chunk(count, known, stride, MOST_ROUNDS) == 0
            || (adapter.is_software() && longest > Some(MOST_TRIPS))
        {
            return Err(Error::Device(format!(
                "{}: its kernels for pixels do not take {k} endmembers, {bands} bands and {} shapes \
                 of their variability",
                adapter.info().name,
                sizes.shapes
            )));
        }
        let room = draws(k, 1).saturating_mul(chunk).max(draws(k, MOST_ROUNDS));
        let on = |yes: bool| f64::from(u8::from(yes));
        let constants = [
            ("ENDMEMBERS", k as f64),
            ("BRIGHT", on(known.brightness.is_some())),
            ("VARIES", on(!known.variability.is_empty())),
            ("MIXED", on(known.common.is_some())),
            ("SHAPED", on(sizes.shapes > 0)),
        ];
        let lengths = [("MOST_ENDMEMBERS", k as u32), ("MOST_SHAPES", sizes.shapes)];
        let words = sizes::words(chunk, known, stride, room);
        let uniform = size_of::<Sizes>();
        let constants = Constants { overrides: &constants, lengths: &lengths };
        let scene = scene_words(nested, scenes);
        let mut lanes = Vec::new();
        for _ in 0..LANES.min(count.div_ceil(chunk)).max(1) {
            let kernels = Kernels::new(adapter, &KERNELS, &words, uniform, constants).await?;
            kernels.write(sizes::SCENE, &scene).await?;
            lanes.push(kernels);
        }
        Ok(OnDevice { nested, lanes, sizes, chunk, room })
    }

    /// Moments and quantiles of all pixels, in the engine's order, in pieces. None when
    /// `interrupted`.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceLost`] where the device fails.
    pub(crate) async fn summaries(
        &self,
        interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Vec<Summary>>> {
        let count = self.nested.of.count();
        let of_lane = async |lane: usize| -> Result<Vec<(usize, Summary)>> {
            let mut found = Vec::new();
            let firsts = (0..count).step_by(self.chunk);
            for first in firsts.skip(lane).step_by(self.lanes.len()) {
                if interrupted() {
                    break;
                }
                let size = self.chunk.min(count - first);
                found.push((first, self.summary(&self.lanes[lane], first, size).await?));
            }
            Ok(found)
        };
        let lanes = (0..self.lanes.len()).map(of_lane);
        let mut found: Vec<_> = try_join_all(lanes).await?.into_iter().flatten().collect();
        if interrupted() {
            return Ok(None);
        }
        found.sort_by_key(|&(first, _)| first);
        Ok(Some(found.into_iter().map(|(_, summary)| summary).collect()))
    }

    async fn summary(&self, kernels: &Kernels, first: usize, count: usize) -> Result<Summary> {
        let (nested, k) = (self.nested, self.nested.known.k);
        let cube = nested.of.cube();
        let spectra = &cube.padded()[first * cube.stride()..][..count * cube.stride()];
        kernels.write(sizes::SPECTRA, bytemuck::cast_slice(spectra)).await?;
        let mut words = vec![0; count * k];
        let (key, free) = (nested.params().key(), nested.known.free());
        words.par_chunks_mut(k).enumerate().for_each(|(n, to)| {
            let drawn = shifts(cube.spectrum(first + n), key);
            to[..free].iter_mut().zip(drawn).for_each(|(to, word)| *to = word);
        });
        kernels.write(sizes::SHIFTS, &words).await?;
        kernels.run(&self.places(count)).await?;

        let mut summary = Summary::zeros(count, k);
        let mut left: Vec<u32> = (0..count as u32).collect();
        for rounds in 1..=MOST_ROUNDS {
            let together = (self.room / draws(k, rounds)).clamp(1, self.chunk);
            let mut again = Vec::new();
            for list in left.chunks(together) {
                let found = self.drawn(kernels, list, rounds).await?;
                for (&n, answer) in list.iter().zip(found.chunks_exact(answers(k))) {
                    if summary.take(n as usize, answer) < WORTH {
                        again.push(n);
                    }
                }
            }
            left = again;
        }
        Ok(summary)
    }

    /// What places so many pixels: one dispatch, or more where the bands share something at the
    /// amounts, and the amounts follow it.
    fn places(&self, count: usize) -> Vec<(usize, Grid, Sizes)> {
        let all = Sizes { count: count as u32, rounds: ROUNDS as u32, ..self.sizes };
        if all.shapes == 0 {
            return vec![(PLACE, place_amounts::grid(&all), all)];
        }
        let round = |begun: u32| {
            let sizes = Sizes { rounds: 1, begun, ..all };
            let place = (PLACE, place_amounts::grid(&sizes), sizes);
            [place, (SHARE, share_bands::grid(&sizes), sizes)]
        };
        (0..ROUNDS as u32).flat_map(round).collect()
    }

    /// Answers for some pixels of the chunk, one after the other, from so many rounds of draws.
    async fn drawn(&self, kernels: &Kernels, list: &[u32], rounds: usize) -> Result<Vec<f32>> {
        kernels.write(sizes::LIST, list).await?;
        let sizes = Sizes { count: list.len() as u32, rounds: rounds as u32, ..self.sizes };
        let draw = (DRAW, draw_amounts::grid(&sizes), sizes);
        let summarise = (SUMMARISE, summarise_amounts::grid(&sizes), sizes);
        kernels.run(&[draw, summarise]).await?;
        let words = list.len() * answers(self.nested.known.k);
        Ok(bytemuck::cast_vec(kernels.read(sizes::ANSWERS, words).await?))
    }
}

/// The scene as the kernels read it: `shaders/shared/scene_draws.wgsl` has the order.
fn scene_words(nested: &Nested, scenes: &Scenes) -> Vec<u32> {
    let known = &nested.known;
    let k = known.k;
    let varies = match known.variability.is_empty() {
        true => vec![0.0; known.bands * k],
        false => known.variability.clone(),
    };
    let common = known.common.as_ref().map_or_else(|| vec![0.0; k], |(more, _)| more.clone());
    let mut words: Vec<u32> =
        [&known.noise, &varies, &scenes.centre, &known.mean, &known.dirichlet, &common]
            .into_iter()
            .flat_map(|values| values.iter().map(|x| x.to_bits()))
            .collect();
    words.extend((0..k).map(step));
    let of_draws = |from: &[Vec<f32>], size: usize| -> Vec<u32> {
        (0..size).flat_map(|at| from.iter().map(move |values| values[at].to_bits())).collect()
    };
    words.extend(of_draws(&scenes.heights, k));
    words.extend(of_draws(&scenes.spectra, known.bands * k));
    words.extend(known.shapes.columns.iter().map(|x| x.to_bits()));
    words.extend(known.shapes.of.iter().map(|&i| i as u32));
    words.extend(known.tables.cells.iter().map(|x| x.to_bits()));
    words
}
