//! Every size, offset and buffer of the engine in one place. Shaders state the same in
//! `shaders/shared/params.wgsl`; `tests/shaders.rs` holds the two against each other.

mod buf;
mod flags;
pub mod limits;
mod minibatch;
pub mod padding;

use std::ops::Range;

use bytemuck::{Pod, Zeroable};

use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::rng;
use crate::engine::model::{Family, Held, Model, Noise};
pub use buf::Buf;
pub use flags::*;
pub use limits::{BAND_GROUP, MOST_CONSTANTS, MOST_PARTICLES, ROW_GROUP, STATUS, TRACE_LEN};
use limits::{MAX_CHUNKS, MIN_CHUNK_ROWS, MIN_SCENE_CHUNK, MOST_FUSED, MOST_SCENE_CHUNKS};

/// All that a pass may know of a step, as shaders see it: a uniform of 32-bit words.
/// R = particles * batch rows; row `s * batch + i` is particle s of minibatch place i.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable, PartialEq)]
pub struct Params {
    /// N, pixels of the scene.
    pub pixels: u32,
    /// L, bands in use.
    pub bands: u32,
    /// Bands in groups of four, padded to whole [`BAND_GROUP`]s.
    pub quads: u32,
    /// K, endmembers.
    pub endmembers: u32,
    /// B, pixels in a minibatch; in a step that draws the scene's last group, fewer (see
    /// [`Params::at`]).
    pub batch: u32,
    /// S, draws a step.
    pub particles: u32,
    /// P, latents of a pixel.
    pub latents: u32,
    /// Guide parameters of a pixel: P locs, P log scales, P (P - 1) / 2 off-diagonals if full-rank,
    /// P rows of `rank` loadings.
    pub local_stride: u32,
    /// G, latents of the scene: endmembers, noise, mean abundance, concentration, common mixture,
    /// log tau, variability, regressions between bands, in this order.
    pub globals: u32,
    /// Directions of the low-rank guide, 0 without it.
    pub rank: u32,
    /// Noise latents: 1, or 4 * quads.
    pub noises: u32,
    /// [`BRIGHTNESS`], [`VARIABILITY`], [`FULL_RANK`], [`CONCENTRATION`], [`COVARIANCE`],
    /// [`SEPARATE`], [`HELD`], [`HELD_VARIABILITY`], [`COMMON`], [`SPREAD`].
    pub flags: u32,
    /// Rows that one partial sum takes.
    pub chunk_rows: u32,
    /// Partial sums a particle.
    pub chunks: u32,
    /// Low word of the seed.
    pub seed_low: u32,
    /// High word of the seed.
    pub seed_high: u32,
    /// Bits of the domain of the groups' shuffle.
    pub shuffle_bits: u32,
    /// Step, from 0.
    pub step: u32,
    /// Pass over the scene that the step belongs to.
    pub epoch: u32,
    /// First of the minibatch's groups in the epoch's order.
    pub first_group: u32,
    /// The place, among the minibatch's groups, of the one that changes places with the last: the
    /// scene's last group, if it is drawn.
    pub odd_group: u32,
    /// Where the step's ELBO goes in the trace buffer.
    pub trace_slot: u32,
    /// N / B, by which sums over the minibatch count for the scene.
    pub scale: f32,
    /// Weight of the likelihood.
    pub weight: f32,
    /// alpha, total concentration of the abundances' Dirichlet, or the median of its prior.
    pub concentration: f32,
    /// 1 / sd^2 of the prior of log alpha.
    pub concentration_precision: f32,
    /// Median of the prior of beta, total concentration around the common mixture.
    pub common_concentration: f32,
    /// 1 / sd^2 of the prior of log beta.
    pub common_precision: f32,
    /// alpha0, concentration of the prior of the mean abundance.
    pub mean_concentration: f32,
    /// 1 / sd^2 of the endmembers' prior.
    pub endmember_precision: f32,
    /// 1 / tau^2, with tau the prior sd of log brightness, or the median of its prior.
    pub brightness_precision: f32,
    /// 1 / sd^2 of the prior of log tau.
    pub spread_precision: f32,
    /// Least noise variance.
    pub noise_floor: f32,
    /// Noise prior: how often log s counts, 1 for a HalfNormal on s, 0 for a Normal on log s.
    pub noise_jacobian: f32,
    /// Noise prior: 1 / scale^2 of the HalfNormal, 0 without one.
    pub noise_quadratic: f32,
    /// Noise prior: mean of the Normal on log s, 0 without one.
    pub noise_centre: f32,
    /// Noise prior: 1 / sd^2 of the Normal on log s, 0 without one.
    pub noise_precision: f32,
    /// 1 / sd^2 of the prior of the regression on the band before.
    pub regression_precision: f32,
    /// 1 / scale^2 of the variability's HalfNormal.
    pub variability_quadratic: f32,
    /// 1 / N: global gradients are those of the ELBO a pixel.
    pub per_pixel: f32,
    /// Learning rate of scene latents at this step.
    pub rate_global: f32,
    /// Learning rate of pixel latents at this step.
    pub rate_local: f32,
    /// Adam's bias correction of the first moment of scene latents.
    pub correction_first: f32,
    /// Adam's bias correction of the second moment of scene latents.
    pub correction_second: f32,
    /// Decay of the first moment, scene latents.
    pub decay_first_global: f32,
    /// Decay of the second moment, scene latents.
    pub decay_second_global: f32,
    /// Decay of the first moment, pixel latents.
    pub decay_first_local: f32,
    /// Decay of the second moment, pixel latents.
    pub decay_second_local: f32,
}

impl Params {
    /// The sizes and hyperparameters of a fit. What changes with the step is zero: see `svi`.
    pub fn new(
        model: &Model,
        pixels: usize,
        bands: usize,
        batch: usize,
        particles: usize,
        seed: u64,
    ) -> Result<Self> {
        if pixels == 0 || bands == 0 || model.endmembers == 0 {
            return Err(Error::Scene(format!(
                "{pixels} pixels, {bands} bands and {} endmembers leave nothing to fit; at least 1 \
                 of each is needed",
                model.endmembers
            )));
        }
        let too_large = |what: &str| {
            Error::Scene(format!(
                "{what} does not fit the engine's 32-bit sizes; fit a part of the scene"
            ))
        };
        let int = |n: usize, what: &str| u32::try_from(n).map_err(|_| too_large(what));
        let quads = bands.next_multiple_of(BAND_GROUP) / 4;
        let k = model.endmembers;
        let variability = model.variability.is_some();
        let noises = if model.noise == Noise::Isotropic { 1 } else { 4 * quads };
        let covariance = model.noise == Noise::Covariance;
        let spread = model.brightness.and(model.brightness_spread);
        let latents = model.pixel_latents();
        let rank = model.family.rank();
        let full_rank = model.family != Family::MeanField;
        let off_diagonal =
            if full_rank { latents.saturating_mul(latents.saturating_sub(1)) / 2 } else { 0 };
        // Numbers of any size come in: what overflows is too large below.
        let globals = [
            (4 * quads).saturating_mul(k).saturating_mul(1 + usize::from(variability)),
            noises,
            k - 1,
            usize::from(model.concentration_sd.is_some()),
            if model.common.is_some() { k.saturating_add(1) } else { 0 },
            usize::from(spread.is_some()),
            if covariance { (4 * quads).saturating_mul(4 * quads) } else { 0 },
        ]
        .into_iter()
        .fold(0, usize::saturating_add);
        let guide = [2 * latents.min(usize::MAX / 2), off_diagonal, latents.saturating_mul(rank)]
            .into_iter()
            .fold(0, usize::saturating_add);
        let batch = minibatch::rounded(batch, pixels);
        let groups = int(pixels.div_ceil(ROW_GROUP), "the number of pixels")?;
        let [seed_low, seed_high] = rng::key(seed);
        let params = Params {
            pixels: int(pixels, "the number of pixels")?,
            bands: int(bands, "the number of bands")?,
            quads: int(quads, "the number of bands")?,
            endmembers: int(k, "the number of endmembers")?,
            batch: int(batch, "the minibatch")?,
            particles: int(particles, "the number of particles")?,
            latents: int(latents, "the number of endmembers")?,
            local_stride: int(guide, "the guide")?,
            globals: int(globals, "endmembers times bands")?,
            rank: int(rank, "the rank")?,
            noises: int(noises, "the number of bands")?,
            flags: if model.brightness.is_some() { BRIGHTNESS } else { 0 }
                | if variability { VARIABILITY } else { 0 }
                | if full_rank { FULL_RANK } else { 0 }
                | if model.concentration_sd.is_some() { CONCENTRATION } else { 0 }
                | if model.common.is_some() { COMMON } else { 0 }
                | if spread.is_some() { SPREAD } else { 0 }
                | if covariance { COVARIANCE } else { 0 }
                | if covariance || k > MOST_FUSED { SEPARATE } else { 0 }
                | match model.held {
                    Held::Nothing => 0,
                    Held::Spectra => HELD,
                    Held::SpectraAndVariability => HELD | HELD_VARIABILITY,
                },
            seed_low,
            seed_high,
            shuffle_bits: rng::shuffle_bits(groups),
            scale: (pixels as f64 / batch as f64) as f32,
            weight: model.likelihood_weight as f32,
            concentration: model.concentration as f32,
            concentration_precision: model.concentration_sd.map_or(0.0, |sd| sd.powi(-2)) as f32,
            common_concentration: model.common.map_or(0.0, |common| common.concentration) as f32,
            common_precision: model.common.map_or(0.0, |common| common.sd.powi(-2)) as f32,
            mean_concentration: model.mean_concentration as f32,
            endmember_precision: model.endmember_sd.powi(-2) as f32,
            brightness_precision: model.brightness.map_or(0.0, |tau| tau.powi(-2)) as f32,
            spread_precision: spread.map_or(0.0, |sd| sd.powi(-2)) as f32,
            noise_floor: model.noise_floor.powi(2) as f32,
            noise_jacobian: model.noise_prior.jacobian as f32,
            noise_quadratic: model.noise_prior.quadratic as f32,
            noise_centre: model.noise_prior.centre as f32,
            noise_precision: model.noise_prior.precision as f32,
            regression_precision: model.regression_sd.powi(-2) as f32,
            variability_quadratic: model.variability.map_or(0.0, |h| h.powi(-2)) as f32,
            per_pixel: (1.0 / pixels as f64) as f32,
            ..Params::zeroed()
        }
        .in_chunks(MAX_CHUNKS);
        // Shaders count in u32: the largest buffer must be addressable.
        for buf in Buf::ALL {
            int(params.len(buf), "the scene with its working memory")?;
        }
        Ok(params)
    }

    /// These sizes with at most `most` partial sums a particle.
    pub fn in_chunks(self, most: u32) -> Self {
        let chunk_rows = self.batch.div_ceil(most).next_multiple_of(MIN_CHUNK_ROWS);
        Params { chunk_rows, chunks: self.batch.div_ceil(chunk_rows), ..self }
    }

    /// True when the flag is set.
    pub fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// The seed as Philox takes it.
    pub fn key(&self) -> [u32; 2] {
        [self.seed_low, self.seed_high]
    }

    /// R, rows of a step: particles times batch.
    pub fn rows(&self) -> usize {
        self.particles as usize * self.batch as usize
    }

    /// Groups of the minibatch's places, the last of which may have room left.
    pub fn groups(&self) -> usize {
        (self.batch as usize).div_ceil(ROW_GROUP)
    }

    /// First element of a particle's row in a buffer (groups, S, columns, [`ROW_GROUP`]); its next
    /// column is [`ROW_GROUP`] further.
    pub fn row_at(&self, particle: usize, place: usize, columns: usize) -> usize {
        self.place_at(place, self.particles as usize * columns) + particle * columns * ROW_GROUP
    }

    /// First element of a row in a buffer (groups, columns, [`ROW_GROUP`]), whose rows are places
    /// of the minibatch or pixels of the scene.
    pub fn place_at(&self, place: usize, columns: usize) -> usize {
        place / ROW_GROUP * columns * ROW_GROUP + place % ROW_GROUP
    }

    /// Where a group of pixels lies in a buffer of the scene, (groups, columns, [`ROW_GROUP`]).
    /// `pixel` is the group's first.
    pub fn group_of(&self, pixel: u32, columns: usize) -> Range<usize> {
        let first = self.place_at(pixel as usize, columns);
        first..first + columns * ROW_GROUP
    }

    /// Bands with the padding.
    pub fn stride(&self) -> usize {
        4 * self.quads as usize
    }

    /// K as a length.
    pub fn k(&self) -> usize {
        self.endmembers as usize
    }

    /// First noise latent in the vector of scene latents.
    pub fn noise_at(&self) -> usize {
        self.k() * self.stride()
    }

    /// First mean-abundance latent in the vector of scene latents.
    pub fn mean_at(&self) -> usize {
        self.noise_at() + self.noises as usize
    }

    /// The concentration's latent, if it is learned, in the vector of scene latents.
    pub fn concentration_at(&self) -> usize {
        self.mean_at() + self.k() - 1
    }

    /// First latent of the common mixture, where there is one, in the vector of scene latents: K -
    /// 1 logits of the mixture, log beta, and the logit of the share of pixels that have it.
    pub fn common_at(&self) -> usize {
        self.concentration_at() + usize::from(self.has(CONCENTRATION))
    }

    /// The latent log tau, if it is learned, in the vector of scene latents.
    pub fn spread_at(&self) -> usize {
        self.common_at() + if self.has(COMMON) { self.k() + 1 } else { 0 }
    }

    /// First variability latent in the vector of scene latents.
    pub fn variability_at(&self) -> usize {
        self.spread_at() + usize::from(self.has(SPREAD))
    }

    /// First regression between bands in the vector of scene latents: a row of bands for each band,
    /// of which those below the diagonal are in use.
    pub fn regression_at(&self) -> usize {
        let variability = if self.has(VARIABILITY) { self.k() * self.stride() } else { 0 };
        self.variability_at() + variability
    }

    /// Guide parameters of the scene latents: G locs, G log scales, G rows of `rank` loadings.
    pub fn global_stride(&self) -> usize {
        (self.globals as usize).saturating_mul(2 + self.rank as usize)
    }

    /// First loading of a pixel in its guide.
    pub fn loadings_at(&self) -> usize {
        self.local_stride as usize - self.latents as usize * self.rank as usize
    }

    /// Scene latents whose loadings one partial sum takes: at most 256 sums, so that one workgroup
    /// can add them.
    pub fn scene_chunk(&self) -> usize {
        (self.globals as usize).div_ceil(MOST_SCENE_CHUNKS).max(MIN_SCENE_CHUNK)
    }

    /// Partial sums over the loadings of scene latents.
    pub fn scene_chunks(&self) -> usize {
        (self.globals as usize).div_ceil(self.scene_chunk())
    }

    /// Floats of one particle's scene draw ([`Buf::Theta`]): endmembers (K rows of bands), noise
    /// variance (a row), variability variance (K rows; when it is off, the first has the noise
    /// precision, one over its variance), Dirichlet parameters a (K), alpha; with a common mixture
    /// its Dirichlet parameters b (K), beta, and what the log densities of the two, each with its
    /// log share, have constant (2); 1 / tau^2; with covariance the regressions between bands (a
    /// row for each band, zero from the diagonal on).
    pub fn theta_stride(&self) -> usize {
        self.theta_regression_at()
            + if self.has(COVARIANCE) { self.stride() * self.stride() } else { 0 }
    }

    /// Regressions between bands within theta.
    pub fn theta_regression_at(&self) -> usize {
        (self.precision_at() + 1).next_multiple_of(BAND_GROUP)
    }

    /// Precision of the log brightness, 1 / tau^2, within theta.
    pub fn precision_at(&self) -> usize {
        let common = if self.has(COMMON) { self.k() + 3 } else { 0 };
        self.dirichlet_at() + self.k() + 1 + common
    }

    /// Dirichlet parameters within theta.
    pub fn dirichlet_at(&self) -> usize {
        (2 * self.k() + 1) * self.stride()
    }

    /// Floats of one row's draw ([`Buf::Draws`]): abundances (K), their logarithms (K), brightness,
    /// its logarithm; the sum of the guide's log scales, the entropy without its constant; and with
    /// a common mixture the probability that the pixel has it (r), and by how much the log density
    /// of the abundances is more than `a'log W`.
    pub fn draw_stride(&self) -> usize {
        2 * self.k() + 3 + if self.has(COMMON) { 2 } else { 0 }
    }

    /// Sums over bands that each row needs: `sum A c` (K), `sum B v^2` (K), and the log density.
    pub fn row_grad_stride(&self) -> usize {
        2 * self.k() + 1
    }

    /// Columns of the partial sums over pixels, each of all bands: endmembers (K), noise, and
    /// variability (K) if it is on.
    pub fn columns(&self) -> usize {
        self.k() + 1 + if self.has(VARIABILITY) { self.k() } else { 0 }
    }

    /// Sums over pixels without bands: log abundances (K); with a common mixture r times these (K)
    /// and r; the square of log brightness, if
    /// tau is learned; and the pixels' part of the ELBO.
    pub fn scalars(&self) -> usize {
        let common = if self.has(COMMON) { self.k() + 1 } else { 0 };
        self.k() + 1 + common + usize::from(self.has(SPREAD))
    }

    /// Sums over all pixels of the minibatch: the columns of bands, and the scalars.
    pub fn totals_stride(&self) -> usize {
        self.columns() * self.stride() + self.scalars()
    }

    /// Elements of a buffer (32-bit words). Never 0: bindings may not be empty.
    pub fn len(&self, buf: Buf) -> usize {
        let (s, g) = (self.particles as usize, self.globals as usize);
        let wide = self.rows().saturating_mul(self.stride());
        let square = (self.rank as usize).pow(2);
        let in_groups = |columns: usize| (self.groups() * ROW_GROUP).saturating_mul(columns);
        let in_scene = |columns: usize| (self.scene_groups() * ROW_GROUP).saturating_mul(columns);
        let if_covariance = |len: usize| if self.has(COVARIANCE) { len } else { 0 };
        let if_separate = |len: usize| if self.has(SEPARATE) { len } else { 0 };
        let len = match buf {
            Buf::Cube => {
                let values = (self.pixels as usize).saturating_mul(self.stride());
                if self.has(HALF) { values / 2 } else { values }
            }
            Buf::Globals | Buf::GlobalGrads => self.global_stride(),
            Buf::GlobalMoments => self.global_stride().saturating_mul(2),
            Buf::PriorCentre => self.k() * self.stride(),
            Buf::GlobalEps => s.saturating_mul(g),
            Buf::Theta => s.saturating_mul(self.theta_stride()),
            Buf::Locals => in_scene(self.local_stride as usize),
            Buf::LocalMoments => in_scene(2 * self.local_stride as usize),
            Buf::PixelOf => self.batch as usize,
            Buf::LocalEps => in_groups(s * self.latents as usize),
            Buf::Draws => in_groups(s * self.draw_stride()),
            Buf::Mu | Buf::ScoreMean | Buf::ScoreVariance => if_separate(wide),
            Buf::Residuals | Buf::ScoreInnovation => if_covariance(wide),
            Buf::LogDensity => if_separate(self.rows().saturating_mul(self.quads as usize)),
            Buf::RowGrads => in_groups(s * self.row_grad_stride()),
            Buf::LocalGrads => in_groups(self.local_stride as usize + s * self.latents as usize),
            Buf::Partials => {
                (s * self.chunks as usize).saturating_mul(self.columns() * self.stride())
            }
            Buf::RegressionSums => {
                if_covariance(s.saturating_mul(self.stride()).saturating_mul(self.stride()))
            }
            Buf::RowSums => s * self.chunks as usize * self.scalars(),
            Buf::Totals => s.saturating_mul(self.totals_stride()),
            Buf::GlobalTerms => g.saturating_mul(1 + s),
            Buf::RankEps => s * self.rank as usize,
            Buf::RankPartials => (self.scene_chunks() + self.chunks as usize) * square,
            Buf::RankSum => square,
            Buf::RankInverse => square + 1,
            Buf::Trace => TRACE_LEN as usize,
            Buf::Status => STATUS as usize,
        };
        len.max(4)
    }
}
