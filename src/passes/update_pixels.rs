//! Adam on the guide of the minibatch's pixels; each pixel keeps its own moments, touched only in
//! steps that draw it.

use super::update_globals::{climb, moments_after};
use super::{Access, Grid, Pass, shader};
use crate::buffers::Buffers;
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

/// Updates on the CPU. No bias correction: with decays 0.8 and 0.95 the first step has 0.9 of its
/// length. One thread: a few multiplications a pixel, scattered over memory.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    let (stride, batch) = (p.local_stride as usize, p.batch as usize);
    if b.status[0] != 0 || stride == 0 {
        return;
    }
    let decay = (T::of(f64::from(p.decay_first_local)), T::of(f64::from(p.decay_second_local)));
    let (rate, of_loadings) = (T::of(f64::from(p.rate_local)), T::of(loading_share(p)));
    for (&pixel, grads) in b.pixel_of[..batch].iter().zip(b.local_grads.chunks_exact(stride)) {
        let pixel = pixel as usize;
        let guide = &mut b.locals[pixel * stride..][..stride];
        let (first, second) =
            b.local_moments[pixel * 2 * stride..][..2 * stride].split_at_mut(stride);
        let latents = p.latents as usize;
        // Locs come first, so that they see the log scales as they were.
        for d in 0..stride {
            (first[d], second[d]) = moments_after((first[d], second[d]), grads[d], decay);
            let share = match d < latents {
                true => (T::of(LOC_STEP) * guide[latents + d].quick_exp()).min(T::one()),
                false if d >= p.loadings_at() => of_loadings,
                false => T::one(),
            };
            guide[d] = guide[d] + rate * share * climb(first[d], second[d]);
        }
    }
}
