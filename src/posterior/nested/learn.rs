//! How much spectra vary along the shapes that bands share, and what is left to each band: learned
//! from the pixels with their amounts integrated out, by steps of expectation and maximisation.

use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;

use super::dirichlet;
use super::group::Group;
use super::group_at;
use super::information::Room;
use super::known::Known;
use super::learned_sums::{Adder, Sums};
use super::shared::{NOISE_SHAPES, SHAPES, Shared};
use crate::engine::ground::lanes::LANES;
use crate::engine::ground::sample::spaced;
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

/// Where it begins.
pub(super) struct Begin {
    /// Spectra, (K, L).
    pub(super) spectra: Vec<f64>,
    /// Whether they stay.
    pub(super) held: bool,
    /// Whether the Dirichlet may become sparser.
    pub(super) sparser: bool,
    /// What was learned of bands before; none, or nothing that they share: as much of all shapes.
    pub(super) shared: Option<Shared>,
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

/// Learns what bands share from the pixels of a cube, around spectra; these follow, unless they are
/// held. Nothing is learned where spectra do not vary. Of all that it passes, from
/// bands that share nothing on, it takes what makes the pixels most probable: amounts are drawn,
/// and a step may lose. None when interrupted.
pub(super) fn learn(
    known: &mut Known,
    guide: &Guide,
    cube: &Cube,
    begin: Begin,
    effort: Effort,
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Option<Learned> {
    let Begin { mut spectra, held, sparser, shared: before } = begin;
    let (k, bands) = (known.k, known.bands);
    let wide = |values: &[f32]| values.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
    let own = |at: usize| known.variability.get(at % bands * k + at / bands).copied();
    let none = Shared {
        sds: vec![0.0; k * SHAPES],
        noise_sds: vec![0.0; NOISE_SHAPES],
        noise: wide(&known.noise),
        dirichlet: None,
        variability: (0..k * bands).map(|at| own(at).unwrap_or(0.0).into()).collect(),
    };
    let sizes: Vec<f64> = spectra.chunks_exact(bands).map(length).collect();
    let looks = (guide, cube, (effort, sparser));
    let evidence = look(known, looks, (&none, &spectra), interrupted)?.1;
    let noise = 0.5 * (none.noise.iter().sum::<f64>() / bands as f64).sqrt();
    let mut shared = before.filter(Shared::is_any).unwrap_or_else(|| Shared {
        sds: vec![BEGIN; k * SHAPES],
        noise_sds: vec![noise; NOISE_SHAPES],
        ..none.clone()
    });
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
        if sparser {
            let logs: Vec<f64> = sums.logs.iter().map(|x| x / cube.pixels() as f64).collect();
            let most = &known.expected;
            let now = shared.dirichlet.as_deref().unwrap_or(most);
            shared.dirichlet = Some(dirichlet::step(now, &logs, most));
        }
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
    (guide, cube, (effort, with_logs)): (&Guide, &Cube, (Effort, bool)),
    (shared, spectra): (&Shared, &[f64]),
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Option<(Sums, f64)> {
    if guide.params.has(VARIABILITY) {
        known.share(shared, spectra);
    }
    let sums = sums(known, guide, cube, (spectra, effort.pixels, with_logs), interrupted)?;
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

/// The sums over the pixels that are looked at, scaled to all; logarithms of the abundances only
/// where they are asked for.
fn sums(
    known: &Known,
    guide: &Guide,
    cube: &Cube,
    (spectra, most, with_logs): (&[f64], usize, bool),
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Option<Sums> {
    let (k, bands, key) = (known.k, known.bands, guide.params.key());
    let by_bands = known.by_bands(spectra);
    let groups = cube.pixels().div_ceil(LANES);
    let taken: Vec<usize> = spaced(groups, most / LANES).collect();
    let part = |of: &[usize]| {
        let mut group = Group::new(known);
        let mut room = Room::new(k);
        let mut adder = Adder::new(k, bands, known.shapes.count());
        for &g in of {
            if interrupted() {
                break;
            }
            group.take(cube, &group_at(g * LANES, cube.pixels()), key, &by_bands);
            room.draw(&mut group, &by_bands);
            adder.add(&group, &room);
            if with_logs {
                adder.add_logs(&group, &room);
            }
        }
        adder.sums()
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
        let lower = |a: usize, b: usize| sums.bend[(own + a.max(b)) * (k + 1) + a.min(b)];
        let mut bend = DMatrix::from_fn(k + 1, k + 1, lower);
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
            let sum = sums.complete[(i.max(j) * k + i.min(j)) * bands + l];
            sum + if i == j { precision } else { 0.0 }
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
