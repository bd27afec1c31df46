//! Adam on the guide of the minibatch's pixels; each pixel keeps its own moments, touched only in
//! steps that draw it.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::update_globals::{climb, moments_after};
use super::{Access, Grid, Pass, shader};
use crate::buffers::Buffers;
use crate::lanes::{LANES, gather, prefetch_rows, scatter, starts};
use crate::layout::{Buf, Params};
use crate::math::Real;

/// One invocation a pixel of the minibatch.
pub static PASS: Pass = Pass {
    name: "update_pixels",
    shader: shader!("update_pixels", "adam"),
    bindings: &[
        (Buf::PixelOf, Access::Read),
        (Buf::LocalGrads, Access::Read),
        (Buf::Locals, Access::Write),
        (Buf::LocalMoments, Access::Write),
        (Buf::Status, Access::Read),
    ],
    grid: |p| Grid::Line(if p.local_stride > 0 { u64::from(p.batch) } else { 0 }),
    trips: |p| u64::from(p.local_stride),
};

/// Most that a loc moves in a step at full rate, in units of its scale: what is known well needs no
/// longer steps, and their noise would stay in the answer.
const LOC_STEP: f64 = 2.0;

/// Pixels up to which loadings move at the full rate. What a pixel has in common with the scene is of
/// the order of `1 / sqrt(N)` in units of its scale, and so must be the noise of its steps: a pixel of
/// a large scene sees too few of them to average it out.
const LOADING_PIXELS: f64 = 6.25;

/// Rate of a pixel's loadings over that of its other parameters.
pub fn loading_share(p: &Params) -> f64 {
    (LOADING_PIXELS * f64::from(p.per_pixel)).sqrt().min(1.0)
}

/// Groups of pixels between moments' being asked for and their turn.
const AHEAD: usize = 4;
/// Pixels of the minibatch that are worth a thread.
const WORTH_A_THREAD: usize = 2000;

/// Updates on the CPU. No bias correction: with decays 0.8 and 0.95 the first step has 0.9 of its
/// length. Each thread has a part of the scene, and of the minibatch takes what lies there: rows at random
/// places, of which no two threads then have the same.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    let (stride, batch) = (p.local_stride as usize, p.batch as usize);
    if b.status[0] != 0 || stride == 0 {
        return;
    }
    let arch = pulp::Arch::new();
    let (pixel_of, grads) = (&b.pixel_of[..batch], &b.local_grads);
    let threads = rayon::current_num_threads().min(batch.div_ceil(WORTH_A_THREAD));
    let part = (p.pixels as usize).div_ceil(threads);
    let locals = b.locals[..p.pixels as usize * stride].par_chunks_mut(part * stride);
    let moments = b.local_moments.par_chunks_mut(2 * part * stride);
    locals.zip(moments).enumerate().for_each(|(at, (locals, moments))| {
        arch.dispatch(Part { p, first: at * part, pixel_of, grads, locals, moments });
    });
}

/// A part of the scene. Other fields as the buffers, `locals` and `moments` of this part.
struct Part<'a, T> {
    p: &'a Params,
    /// Its first pixel.
    first: usize,
    pixel_of: &'a [u32],
    grads: &'a [T],
    locals: &'a mut [T],
    moments: &'a mut [T],
}

impl<T: Real> WithSimd for Part<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        let stride = self.p.local_stride as usize;
        let pixels = self.locals.len() / stride;
        // Places in the minibatch whose moments have been asked for.
        let mut asked = [0; (AHEAD + 1) * LANES];
        let mut count = 0;
        for place in 0..self.pixel_of.len() {
            let own = (self.pixel_of[place] as usize).wrapping_sub(self.first);
            if own >= pixels {
                continue;
            }
            asked[count] = place;
            prefetch_rows(self.moments, &[own as u32], 2 * stride);
            prefetch_rows(self.locals, &[own as u32], stride);
            count += 1;
            if count == asked.len() {
                self.update(&asked[..LANES]);
                asked.copy_within(LANES.., 0);
                count -= LANES;
            }
        }
        for places in asked[..count].chunks(LANES) {
            self.update(places);
        }
    }
}

impl<T: Real> Part<'_, T> {
    /// Up to [`LANES`] places of the minibatch.
    #[inline(always)]
    fn update(&mut self, places: &[usize]) {
        let p = self.p;
        let (stride, latents) = (p.local_stride as usize, p.latents as usize);
        let decay = (T::of(f64::from(p.decay_first_local)), T::of(f64::from(p.decay_second_local)));
        let (rate, of_loadings) = (T::of(f64::from(p.rate_local)), T::of(loading_share(p)));
        let (pixel_of, first) = (self.pixel_of, self.first);
        let pixels = || places.iter().map(|&place| pixel_of[place] as usize - first);
        let guide = starts(pixels().map(|pixel| pixel * stride));
        let moment = starts(pixels().map(|pixel| 2 * pixel * stride));
        let own = starts(places.iter().map(|&place| p.place_at(place, stride)));
        // Locs come first, so that they see the log scales as they were.
        for d in 0..stride {
            let grad = gather(self.grads, &own, LANES * d);
            let mut value = gather(self.locals, &guide, d);
            let mut first = gather(self.moments, &moment, d);
            let mut second = gather(self.moments, &moment, stride + d);
            let mut share = [if d >= p.loadings_at() { of_loadings } else { T::one() }; LANES];
            if d < latents {
                let log_scale = gather(self.locals, &guide, latents + d);
                for i in 0..LANES {
                    share[i] = (T::of(LOC_STEP) * log_scale[i].quick_exp()).min(T::one());
                }
            }
            for i in 0..LANES {
                (first[i], second[i]) = moments_after((first[i], second[i]), grad[i], decay);
                value[i] = value[i] + rate * share[i] * climb(first[i], second[i]);
            }
            scatter(self.moments, &moment, d, &first);
            scatter(self.moments, &moment, stride + d, &second);
            scatter(self.locals, &guide, d, &value);
        }
    }
}
