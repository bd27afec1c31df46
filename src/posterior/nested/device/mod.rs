//! The posterior of pixels on a GPU: what [`super::Nested::summary`] does on the CPU, some thousand
//! pixels at a time. Spectra go to the device once, answers come back; draws stay there.

mod draw_amounts;
mod place_amounts;
mod propose_amounts;
mod share_bands;
mod sizes;
mod summarise_amounts;

use std::ops::RangeInclusive;
use std::sync::Mutex;

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
pub static KERNELS: [&Kernel; 5] = [
    &place_amounts::KERNEL,
    &share_bands::KERNEL,
    &propose_amounts::KERNEL,
    &draw_amounts::KERNEL,
    &summarise_amounts::KERNEL,
];
const PLACE: usize = 0;
const SHARE: usize = 1;
const PROPOSE: usize = 2;
const DRAW: usize = 3;
const SUMMARISE: usize = 4;

/// Whether there are kernels for pixels of the scene, whatever the device.
pub(crate) fn is_taken(nested: &Nested) -> bool {
    sizes::fit(nested.known.k, nested.known.shapes.count())
}

/// Lots of pixels that are on their way at once, each with buffers of its own: while the device
/// computes one, another is written or read.
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
        OnDevice::in_lots(nested, scenes, adapter, usize::MAX).await
    }

    /// As [`OnDevice::new`], with at most so many pixels at a time.
    async fn in_lots(
        nested: &'a Nested<'a>,
        scenes: &Scenes,
        adapter: &Adapter,
        most: usize,
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
        };
        let chunk = sizes::chunk(count, known, stride, 1).min(most);
        let trips = [
            place_amounts::trips,
            share_bands::trips,
            propose_amounts::trips,
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
                "{}: its kernels for pixels do not take {k} endmembers, {bands} bands and {} \
                 shapes of their variability",
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
            ("ALIKE", on(scenes.alike)),
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
        let (count, k) = (self.nested.of.count(), self.nested.known.k);
        let all: Vec<usize> = (0..count).collect();
        let mut pieces: Vec<Summary> =
            all.chunks(self.chunk).map(|lot| Summary::zeros(lot.len(), k)).collect();
        let mut left = self.lots(&all, 1..=1, &mut pieces, interrupted).await?;
        // They meet again in few lots: a device takes as long for some pixels as for thousands.
        left.sort_unstable();
        self.lots(&left, 2..=MOST_ROUNDS, &mut pieces, interrupted).await?;
        Ok((!interrupted()).then_some(pieces))
    }

    /// Answers for some pixels, from so many rounds of draws and more where they are worth too
    /// little; those that need more than there may be are given. Ends early when `interrupted`.
    async fn lots(
        &self,
        pixels: &[usize],
        rounds: RangeInclusive<usize>,
        to: &mut [Summary],
        interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<usize>> {
        let to = Mutex::new(to);
        let take = |list: &[usize], found: &[f32]| -> Vec<usize> {
            let Ok(mut to) = to.lock() else { return Vec::new() };
            let answers = found.chunks_exact(answers(self.nested.known.k));
            let worths = list
                .iter()
                .zip(answers)
                .map(|(&n, answer)| (n, to[n / self.chunk].take(n % self.chunk, answer)));
            worths.filter(|(_, worth)| worth.is_nan() || *worth < WORTH).map(|(n, _)| n).collect()
        };
        let of_lane = async |lane: usize| -> Result<Vec<usize>> {
            let mut left = Vec::new();
            let lots = pixels.chunks(self.chunk).skip(lane).step_by(self.lanes.len());
            for lot in lots {
                if interrupted() {
                    break;
                }
                left.extend(self.lot(&self.lanes[lane], lot, rounds.clone(), &take).await?);
            }
            Ok(left)
        };
        let lanes = (0..self.lanes.len()).map(of_lane);
        Ok(try_join_all(lanes).await?.into_iter().flatten().collect())
    }

    /// Does so for pixels that fit the device, in ascending order.
    async fn lot(
        &self,
        kernels: &Kernels,
        pixels: &[usize],
        rounds: RangeInclusive<usize>,
        take: &impl Fn(&[usize], &[f32]) -> Vec<usize>,
    ) -> Result<Vec<usize>> {
        let (nested, k) = (self.nested, self.nested.known.k);
        let cube = nested.of.cube();
        let follow = pixels.last().zip(pixels.first());
        let (_gathered, spectra);
        if follow.is_some_and(|(last, first)| last - first + 1 == pixels.len()) {
            spectra = cube.spectra_padded(pixels[0], pixels.len());
        } else {
            _gathered = cube.select(pixels);
            spectra = _gathered.padded();
        }
        kernels.write(sizes::SPECTRA, bytemuck::cast_slice(spectra)).await?;
        let mut words = vec![0; pixels.len() * k];
        let (key, free) = (nested.params().key(), nested.known.free());
        words.par_chunks_mut(k).zip(pixels).for_each(|(to, &n)| {
            let drawn = shifts(cube.spectrum(n), key);
            to[..free].iter_mut().zip(drawn).for_each(|(to, word)| *to = word);
        });
        kernels.write(sizes::SHIFTS, &words).await?;

        let mut left: Vec<usize> = (0..pixels.len()).collect();
        let mut before = self.places(pixels.len());
        for rounds in rounds {
            let together = (self.room / draws(k, rounds)).clamp(1, self.chunk);
            let mut again = Vec::new();
            for list in left.chunks(together) {
                let list: Vec<u32> = list.iter().map(|&at| at as u32).collect();
                let found = self.drawn(kernels, std::mem::take(&mut before), &list, rounds).await?;
                let numbers: Vec<usize> = list.iter().map(|&at| pixels[at as usize]).collect();
                again.extend(take(&numbers, &found));
            }
            // Back to their places among the pixels, which ascend.
            left = again.iter().filter_map(|n| pixels.binary_search(n).ok()).collect();
        }
        Ok(left.into_iter().map(|at| pixels[at]).collect())
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

    /// Answers for some pixels of a lot, one after the other, from so many rounds of draws, after
    /// what comes `before`.
    async fn drawn(
        &self,
        kernels: &Kernels,
        before: Vec<(usize, Grid, Sizes)>,
        list: &[u32],
        rounds: usize,
    ) -> Result<Vec<f32>> {
        kernels.write(sizes::LIST, list).await?;
        let sizes = Sizes { count: list.len() as u32, rounds: rounds as u32, ..self.sizes };
        let mut work = before;
        work.extend([
            (PROPOSE, propose_amounts::grid(&sizes), sizes),
            (DRAW, draw_amounts::grid(&sizes), sizes),
            (SUMMARISE, summarise_amounts::grid(&sizes), sizes),
        ]);
        kernels.run(&work).await?;
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
    let mut words: Vec<u32> =
        [&known.noise, &varies, &scenes.centre, &known.mean, &known.dirichlet]
            .into_iter()
            .flat_map(|values| values.iter().map(|x| x.to_bits()))
            .collect();
    words.extend((0..k).map(step));
    let of_draws = |from: &[Vec<f32>], size: usize| -> Vec<u32> {
        (0..size).flat_map(|at| from.iter().map(move |values| values[at].to_bits())).collect()
    };
    let common = scenes.common.iter().map(|common| {
        let odds = std::iter::once(common.log_odds);
        odds.chain(common.more.iter().copied()).collect()
    });
    let mut common: Vec<Vec<f32>> = common.collect();
    common.resize(SCENES, vec![0.0; k + 1]);
    words.extend(of_draws(&common, k + 1));
    words.extend(of_draws(&scenes.heights, k));
    words.extend(of_draws(&scenes.spectra, known.bands * k));
    words.extend(known.shapes.columns.iter().map(|x| x.to_bits()));
    words.extend(known.shapes.of.iter().map(|&i| i as u32));
    words.extend(known.tables.cells.iter().map(|x| x.to_bits()));
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convention::Convention;
    use crate::engine::backend::device::{self, Place};
    use crate::engine::guide::Guide;
    use crate::engine::model::Model;
    use crate::engine::pixels::{Cube, Pixels};
    use crate::engine::wait::block_on;
    use crate::posterior::nested::known::tests::flat;
    use crate::posterior::nested::{NOISE_SHAPES, SHAPES, SceneNormal, Shared};
    use crate::posterior::of_scene::OfScene;

    fn adapter() -> Option<Adapter> {
        match device::tests::gpu().map(|device| device.place) {
            Some(Place::Gpu(adapter)) => Some(*adapter),
            _ => {
                eprintln!("skipped: no adapter");
                None
            }
        }
    }

    /// A guide with four endmembers, and 42 pixels.
    fn scene() -> (Guide, Pixels) {
        let model = Model { brightness: Some(0.3), ..Model::new(4) };
        let (pixels, bands) = (42, 12);
        let mut guide = flat(&model, pixels, bands);
        let (stride, noise) = (guide.params.stride(), guide.params.noise_at());
        for l in 0..bands {
            guide.globals[noise + l] = -4.0;
            for k in 0..4 {
                guide.globals[k * stride + l] = -1.0 + ((7 * k + 3 * l) % 5) as f32 / 3.0;
            }
        }
        let mut cube = Cube::zeros(pixels, bands);
        for n in 0..pixels {
            for (l, y) in cube.spectrum_mut(n).iter_mut().enumerate() {
                *y = 0.2 + ((n * 37 + l * (n % 7)) % 19) as f32 / 50.0;
            }
        }
        (guide, Pixels::as_given(cube))
    }

    /// Where the curvature of the centre serves for all draws of the spectra it is that of the
    /// twin, with shapes that bands share and without.
    #[test]
    fn the_curvature_of_the_centre_serves_as_on_the_cpu() {
        let Some(adapter) = adapter() else { return };
        let (guide, pixels) = scene();
        let normal = SceneNormal::of_guide(&guide);
        let shared = Shared {
            sds: (0..4 * SHAPES).map(|at| 0.02 * (at % 4) as f64).collect(),
            noise_sds: vec![0.01; NOISE_SHAPES],
            noise: vec![4e-4; 12],
            variability: vec![1e-4; 4 * 12],
            dirichlet: None,
        };
        for normal in [normal.clone(), normal.varying(shared)] {
            let nested = Nested::given(&guide, &pixels, &normal).unwrap();
            let mut of = OfScene::new(&nested, Convention::Peak);
            let mut means = Vec::new();
            for alike in [true, false] {
                of.scenes.alike = alike;
                let on = block_on(OnDevice::new(&nested, &of.scenes, &adapter)).unwrap();
                let pieces = block_on(on.summaries(&|| false)).unwrap().unwrap();
                let found: Vec<f32> = pieces.iter().flat_map(|s| s.mean.clone()).collect();
                let twin = nested.summary(0, &of.scenes);
                for (at, (found, mean)) in found.iter().zip(&twin.mean).enumerate() {
                    // Rounding puts a draw of 512 into another cell of a table now and then.
                    let unit = 0.05 * twin.sd[at] + 1e-3;
                    assert!((found - mean).abs() < unit, "{alike} {at}: {found} {mean}");
                }
                means.push((found, twin.sd));
            }
            // Spectra of this guide are far from alike: the other curvature is seen.
            let [(a, sd), (b, _)] = &means[..] else { panic!("two ways") };
            let off = a.iter().zip(b).zip(sd).map(|((a, b), sd)| (a - b).abs() / sd);
            assert!(off.fold(0.0, f32::max) > 0.1);
        }
    }

    /// Pixels have the same bits in whatever lots they go, in one lane or two; and whatever rounds
    /// of draws they need.
    #[test]
    fn lots_do_not_matter() {
        let Some(adapter) = adapter() else { return };
        let (guide, pixels) = scene();
        let nested = Nested::given(&guide, &pixels, &SceneNormal::of_guide(&guide)).unwrap();
        let of = OfScene::new(&nested, Convention::Peak);
        let found = |most: usize| {
            let on = OnDevice::in_lots(&nested, &of.scenes, &adapter, most);
            let on = block_on(on).unwrap();
            let pieces = block_on(on.summaries(&|| false)).unwrap().unwrap();
            let of = |part: fn(&Summary) -> &Vec<f32>| -> Vec<u32> {
                pieces.iter().flat_map(part).map(|x| x.to_bits()).collect()
            };
            (on.lanes.len(), [of(|s| &s.mean), of(|s| &s.quantiles[0]), of(|s| &s.worth)])
        };
        let (lanes, whole) = found(usize::MAX);
        assert_eq!(lanes, 1);
        for most in [1, 5, 21] {
            let (lanes, lots) = found(most);
            assert!(lanes == 2 && lots == whole, "{most}");
        }
    }
}
