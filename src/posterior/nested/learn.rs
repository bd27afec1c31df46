//! How much spectra vary along the shapes that bands share, and what is left to each band: learned
//! from the pixels with their amounts integrated out, by steps of expectation and maximisation.

use nalgebra::{DMatrix, DVector};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::group::Group;
use super::group_at;
use super::information::Room;
use super::known::Known;
use super::shared::{NOISE_SHAPES, SHAPES, Shared};
use crate::engine::ground::lanes::{LANES, Lanes, load};
use crate::engine::guide::Guide;
use crate::engine::layout::{BRIGHTNESS, VARIABILITY};
use crate::engine::pixels::Cube;

/// How long it is learned, and from how much.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effort {
    /// Steps. One leaves at least a tenth of the variance of a shape, and half of that of a band,
    /// and doubles either at most.
    pub(super) steps: usize,
    /// The most pixels that are looked at.
    pub(super) pixels: usize,
}

/// For what is reported.
pub(super) const WHOLE: Effort = Effort { steps: 14, pixels: 2048 };
/// To compare solutions: their differences are known by far fewer pixels.
pub(super) const BRIEF: Effort = Effort { steps: 12, pixels: 512 };
/// What a step must gain beyond what was best before, nats a pixel, or it is the last. Shapes that
/// gain no more than this are none.
const GAIN: f64 = 0.02;
/// Steps that there are in any case: the first ones may lose.
const FEWEST: usize = 4;

/// Parts that threads take, fixed so that sums do not depend on their number.
const PARTS: usize = 16;
/// Sd of each shape where learning begins, as a share of the spectrum.
const BEGIN: f64 = 0.02;
/// Prior scale of that sd (half-normal).
const SCALE: f64 = 0.1;
/// Prior scale of the sd of noise along a shape (half-normal), reflectance.
const NOISE_SCALE: f64 = 0.05;
/// Ridge on the curvature of variances that W^2 hardly tells from each other, as a share of it.
const RIDGE: f64 = 1e-3;
/// The least value of a spectrum.
const DARKEST: f64 = 1e-6;

/// Sums over pixels.
#[derive(Clone)]
struct Sums {
    /// Slope by the spectra, (K, L).
    slope: Vec<f64>,
    /// Curvature if amounts and shapes of all pixels were known, (K, K, L).
    complete: Vec<f64>,
    /// Slope and curvature by the variances of noise and endmembers of each band, (L, K + 1) and
    /// (L, K + 1, K + 1).
    noise: Vec<f64>,
    bend: Vec<f64>,
    /// Slope and curvature by the logarithms of the shapes' variances, (count) each, times two.
    shapes: Vec<f64>,
    shapes_bend: Vec<f64>,
    /// Log density of the pixels, one number.
    evidence: Vec<f64>,
}

impl Sums {
    fn new(k: usize, bands: usize, count: usize) -> Self {
        Sums {
            slope: vec![0.0; k * bands],
            complete: vec![0.0; k * k * bands],
            noise: vec![0.0; (k + 1) * bands],
            bend: vec![0.0; (k + 1) * (k + 1) * bands],
            shapes: vec![0.0; count],
            shapes_bend: vec![0.0; count],
            evidence: vec![0.0],
        }
    }

    fn all(&mut self) -> [&mut Vec<f64>; 7] {
        let Sums { slope, complete, noise, bend, shapes, shapes_bend, evidence } = self;
        [slope, complete, noise, bend, shapes, shapes_bend, evidence]
    }

    /// Adds a group whose amounts were drawn.
    fn add(&mut self, group: &Group, room: &Room) {
        self.evidence[0] += (0..group.rows).map(|lane| room.evidence(group, lane)).sum::<f64>();
        Arch::new().dispatch(AddBands { sums: self, group, room });
        self.add_shapes(group, room);
    }

    /// By the log variance of a shape the log likelihood has the slope (A^2 - H) / 2 with A = R^-T
    /// F'r, H = 1 - diag (R R')^-1, and the information H^2 / 2.
    fn add_shapes(&mut self, group: &Group, room: &Room) {
        let (k, count) = (group.known.k, group.known.shapes.count());
        let (_, spread) = room.moments_of_amounts();
        let (white, by) = (room.white(), group.projection());
        for lane in 0..group.rows {
            let at = |from: &[f32], column: usize| f64::from(from[column * LANES + lane]);
            for a in 0..count {
                let u = match group.known.shapes.of[a] {
                    i if i < k => at(&group.around, i),
                    _ => 1.0,
                };
                if u <= 0.0 {
                    continue;
                }
                // T is R^-1 times the amounts.
                let inverse = |b: usize| at(by.taken, b * count + a) / u;
                let h = 1.0 - (a..count).map(|b| inverse(b).powi(2)).sum::<f64>();
                let explained = |i: usize| -> f64 {
                    (a..count).map(|b| inverse(b) * at(&white.projected, i * count + b)).sum()
                };
                let of: Vec<f64> = (0..=k).map(explained).collect();
                let mut square = of[k] * of[k];
                for i in 0..k {
                    for j in 0..k {
                        square += at(spread, i * k + j) * of[i] * of[j];
                    }
                }
                self.shapes[a] += square - h;
                self.shapes_bend[a] += h * h;
            }
        }
    }
}

/// Adds what each band of a group says.
struct AddBands<'a> {
    sums: &'a mut Sums,
    group: &'a Group<'a>,
    room: &'a Room,
}

impl WithSimd for AddBands<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let AddBands { sums, group, room } = self;
        let (k, bands, count) = (group.known.k, group.known.bands, group.known.shapes.count());
        let (white, (mean, spread), rows) = (room.white(), room.moments_of_amounts(), group.rows);
        let weight = group.known.weight;
        // 1, and the squares of the shares.
        let mut x = vec![[1.0f32; LANES]; k + 1];
        let mut total = [f32::MIN_POSITIVE; LANES];
        for i in 0..k {
            total = each(|lane| total[lane] + load(&group.around, i)[lane]);
        }
        for (i, x) in x[1..].iter_mut().enumerate() {
            let u = load(&group.around, i);
            *x = each(|lane| (u[lane] / total[lane]).powi(2));
        }
        for l in 0..bands {
            let (p, rest) = (load(&group.precision, l), load(&white.rest, l));
            // What the diagonal of the inverse covariance is less than p, and the mean square of
            // what that makes of the residual.
            let mut shared = [0.0; LANES];
            for a in 0..count {
                let f = load(&white.factor, l * count + a);
                shared = each(|lane| shared[lane] + f[lane] * f[lane]);
            }
            let mut square = each(|lane| rest[lane] * rest[lane]);
            for i in 0..k {
                let (c, m) = (load(&white.spectra, l * k + i), load(mean, i));
                let mut slope = each(|lane| m[lane] * rest[lane]);
                for j in 0..k {
                    let (other, n) = (load(&white.spectra, l * k + j), load(mean, j));
                    let s = load(spread, i * k + j);
                    slope = each(|lane| slope[lane] - s[lane] * other[lane]);
                    square = each(|lane| square[lane] + s[lane] * c[lane] * other[lane]);
                    let known = each(|lane| p[lane] * (m[lane] * n[lane] + s[lane]));
                    sums.complete[(i * k + j) * bands + l] += sum(&known, rows);
                }
                sums.slope[i * bands + l] += sum(&slope, rows);
            }
            // What is noise of the residual, mean square, given what is known of the pixel, beyond
            // the variance that it should have.
            let variance = each(|lane| weight / p[lane]);
            let off = each(|lane| {
                let noise = (square[lane] + shared[lane]) / (p[lane] * p[lane]);
                (noise - variance[lane]) / (variance[lane] * variance[lane])
            });
            let own = (k + 1) * l;
            for a in 0..=k {
                sums.noise[own + a] += sum(&each(|lane| x[a][lane] * off[lane]), rows);
                let bend = each(|lane| x[a][lane] / (variance[lane] * variance[lane]));
                for b in 0..=k {
                    let both = each(|lane| bend[lane] * x[b][lane]);
                    sums.bend[(own + a) * (k + 1) + b] += sum(&both, rows);
                }
            }
        }
    }
}

#[inline(always)]
fn each(value: impl Fn(usize) -> f32) -> Lanes<f32> {
    let mut lanes = [0.0; LANES];
    for (lane, to) in lanes.iter_mut().enumerate() {
        *to = value(lane);
    }
    lanes
}

/// The sum of the first `rows`.
#[inline(always)]
fn sum(lanes: &Lanes<f32>, rows: usize) -> f64 {
    let mut parts = each(|lane| if lane < rows { lanes[lane] } else { 0.0 });
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            parts[lane] += parts[lane + half];
        }
        half /= 2;
    }
    f64::from(parts[0])
}

/// What was learned.
pub(super) struct Learned {
    pub(super) shared: Shared,
    /// Spectra, (K, L).
    pub(super) spectra: Vec<f64>,
    /// Log density of a pixel given them, amounts integrated out, nats; minus infinity where it is
    /// none.
    pub(super) evidence: f64,
}

/// Learns what bands share from the pixels of a cube, around spectra (K, L); these follow, unless
/// the guide holds them. Nothing is learned where spectra do not vary. Of all that it passes, from
/// bands that share nothing on, it takes what makes the pixels most probable: amounts are drawn,
/// and a step may lose. None when interrupted.
pub(super) fn learn(
    known: &mut Known,
    guide: &Guide,
    cube: &Cube,
    (mut spectra, held): (Vec<f64>, bool),
    effort: Effort,
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Option<Learned> {
    let (k, bands) = (known.k, known.bands);
    let wide = |values: &[f32]| values.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
    let own = |at: usize| known.variability.get(at % bands * k + at / bands).copied();
    let none = Shared {
        sds: vec![0.0; k * SHAPES],
        noise_sds: vec![0.0; NOISE_SHAPES],
        noise: wide(&known.noise),
        variability: (0..k * bands).map(|at| own(at).unwrap_or(0.0).into()).collect(),
    };
    let sizes: Vec<f64> = spectra.chunks_exact(bands).map(length).collect();
    let looks = (guide, cube, effort);
    let evidence = look(known, looks, (&none, &spectra), interrupted)?.1;
    let noise = 0.5 * (none.noise.iter().sum::<f64>() / bands as f64).sqrt();
    let mut shared = Shared {
        sds: vec![BEGIN; k * SHAPES],
        noise_sds: vec![noise; NOISE_SHAPES],
        ..none.clone()
    };
    let mut best = Learned { shared: none, spectra: spectra.clone(), evidence };
    if !guide.params.has(VARIABILITY) {
        return Some(best);
    }
    for step in 0..=effort.steps {
        let (sums, evidence) = look(known, looks, (&shared, &spectra), interrupted)?;
        let gains = evidence > best.evidence + GAIN;
        if gains {
            best = Learned { shared: shared.clone(), spectra: spectra.clone(), evidence };
        }
        let mut all = sums.slope.iter().chain(&sums.noise).chain(&sums.shapes);
        // A fit that is none stays as it is.
        if all.any(|x| !x.is_finite()) || (step >= FEWEST && !gains) {
            break;
        }
        step_variances(known, guide, &sums, &mut shared);
        step_shapes(known, &sums, &mut shared);
        if !held {
            step_spectra(guide, &sums, &mut spectra);
            if guide.params.has(BRIGHTNESS) {
                // The data do not tell the size of a spectrum.
                for (c, size) in spectra.chunks_exact_mut(bands).zip(&sizes) {
                    let by = size / length(c).max(DARKEST);
                    c.iter_mut().for_each(|c| *c *= by);
                }
            }
        }
    }
    known.share(&best.shared, &best.spectra);
    Some(best)
}

/// What the pixels say at some spectra, (K, L), and their mean evidence.
fn look(
    known: &mut Known,
    (guide, cube, effort): (&Guide, &Cube, Effort),
    (shared, spectra): (&Shared, &[f64]),
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Option<(Sums, f64)> {
    if guide.params.has(VARIABILITY) {
        known.share(shared, spectra);
    }
    let sums = sums(known, guide, cube, (spectra, effort.pixels), interrupted)?;
    let evidence = mean_evidence(known, cube, &sums);
    Some((sums, evidence))
}

fn mean_evidence(known: &Known, cube: &Cube, sums: &Sums) -> f64 {
    let evidence = known.normaliser + sums.evidence[0] / cube.pixels().max(1) as f64;
    if evidence.is_nan() { f64::NEG_INFINITY } else { evidence }
}

fn length(c: &[f64]) -> f64 {
    c.iter().map(|c| c * c).sum::<f64>().sqrt()
}

/// The sums over the pixels that are looked at, scaled to all.
fn sums(
    known: &Known,
    guide: &Guide,
    cube: &Cube,
    (spectra, most): (&[f64], usize),
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Option<Sums> {
    let (k, bands, key) = (known.k, known.bands, guide.params.key());
    let by_bands = known.by_bands(spectra);
    let groups = cube.pixels().div_ceil(LANES);
    let every = groups.div_ceil(most / LANES).max(1);
    let taken: Vec<usize> = (0..groups).step_by(every).collect();
    let part = |of: &[usize]| {
        let mut group = Group::new(known);
        let mut room = Room::new(k);
        let mut sums = Sums::new(k, bands, known.shapes.count());
        for &g in of {
            if interrupted() {
                break;
            }
            group.take(cube, &group_at(g * LANES, cube.pixels()), key, &by_bands);
            room.draw(&mut group, &by_bands);
            sums.add(&group, &room);
        }
        sums
    };
    let chunk = taken.len().div_ceil(PARTS).max(1);
    let parts: Vec<Sums> = taken.par_chunks(chunk).map(part).collect();
    if interrupted() {
        return None;
    }
    let mut total = Sums::new(k, bands, known.shapes.count());
    for mut part in parts {
        for (to, from) in total.all().into_iter().zip(part.all()) {
            to.iter_mut().zip(from).for_each(|(to, x)| *to += *x);
        }
    }
    let scale = groups as f64 / taken.len().max(1) as f64;
    total.all().into_iter().for_each(|of| of.iter_mut().for_each(|x| *x *= scale));
    Some(total)
}

/// A step of the variances that each band has for itself.
fn step_variances(known: &Known, guide: &Guide, sums: &Sums, shared: &mut Shared) {
    let (k, bands) = (known.k, known.bands);
    let least = f64::from(guide.params.noise_floor).max(f64::from(f32::MIN_POSITIVE));
    for l in 0..bands {
        let own = (k + 1) * l;
        let mut bend = DMatrix::from_fn(k + 1, k + 1, |a, b| sums.bend[(own + a) * (k + 1) + b]);
        for a in 0..=k {
            bend[(a, a)] *= 1.0 + RIDGE;
        }
        let slope = DVector::from_fn(k + 1, |a, _| sums.noise[own + a]);
        let Some(step) = bend.cholesky().map(|factor| factor.solve(&slope)) else { continue };
        let moved = |x: f64, step: f64| (x + step.clamp(-0.5 * x, x + least)).max(least);
        shared.noise[l] = moved(shared.noise[l], step[0]);
        for i in 0..k {
            let v = &mut shared.variability[i * bands + l];
            *v = moved(*v, step[i + 1]);
        }
    }
    if guide.params.noises == 1 {
        let mean = shared.noise.iter().sum::<f64>() / bands as f64;
        shared.noise.fill(mean);
    }
}

/// A step of the shapes. The level of a spectrum is also its amount, which only the prior of the
/// amounts tells: it varies as much as the others do on average.
fn step_shapes(known: &Known, sums: &Sums, shared: &mut Shared) {
    let shapes = &known.shapes;
    for (a, (&i, &j)) in shapes.of.iter().zip(&shapes.number).enumerate() {
        let (sd, scale) = match i < known.k {
            true => (&mut shared.sds[i * SHAPES + j], SCALE),
            false => (&mut shared.noise_sds[j], NOISE_SCALE),
        };
        let prior = (*sd / scale).powi(2);
        let step = (sums.shapes[a] - prior) / (sums.shapes_bend[a] + prior).max(f64::MIN_POSITIVE);
        *sd *= (1.0 + step.clamp(-0.9, 1.0)).sqrt();
    }
    for sds in shared.sds.chunks_exact_mut(SHAPES) {
        let others: f64 = sds[1..].iter().map(|sd| sd * sd).sum();
        sds[0] = (others / (SHAPES - 1) as f64).sqrt();
    }
}

/// A step of the spectra.
fn step_spectra(guide: &Guide, sums: &Sums, spectra: &mut [f64]) {
    let p = &guide.params;
    let (k, bands, precision) = (p.k(), p.bands as usize, f64::from(p.endmember_precision));
    for l in 0..bands {
        let bend = DMatrix::from_fn(k, k, |i, j| {
            sums.complete[(i * k + j) * bands + l] + if i == j { precision } else { 0.0 }
        });
        let slope = DVector::from_fn(k, |i, _| {
            let centre = f64::from(guide.prior_centre[i * p.stride() + l]);
            sums.slope[i * bands + l] - precision * (spectra[i * bands + l] - centre)
        });
        let Some(step) = bend.cholesky().map(|factor| factor.solve(&slope)) else { continue };
        for i in 0..k {
            let c = &mut spectra[i * bands + l];
            *c = (*c + step[i]).max(DARKEST);
        }
    }
}
