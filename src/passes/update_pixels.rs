//! Adam on the guide of the minibatch's pixels; each pixel keeps its own moments, touched only in
//! steps that draw it.

use pulp::{Simd, WithSimd};

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

/// Updates on the CPU. No bias correction: with decays 0.8 and 0.95 the first step has 0.9 of its
/// length. One thread: a few multiplications a pixel, scattered over memory.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    let (stride, batch) = (p.local_stride as usize, p.batch as usize);
    if b.status[0] != 0 || stride == 0 {
        return;
    }
    pulp::Arch::new().dispatch(Batch {
        p,
        pixel_of: &b.pixel_of[..batch],
        grads: &b.local_grads[..batch * stride],
        locals: &mut b.locals,
        moments: &mut b.local_moments,
    });
}

/// A minibatch. Fields as the buffers.
struct Batch<'a, T> {
    p: &'a Params,
    pixel_of: &'a [u32],
    grads: &'a [T],
    locals: &'a mut [T],
    moments: &'a mut [T],
}

impl<T: Real> WithSimd for Batch<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Batch { p, pixel_of, grads, locals, moments } = self;
        let (stride, latents) = (p.local_stride as usize, p.latents as usize);
        let decay = (T::of(f64::from(p.decay_first_local)), T::of(f64::from(p.decay_second_local)));
        let (rate, of_loadings) = (T::of(f64::from(p.rate_local)), T::of(loading_share(p)));
        for (group, pixels) in pixel_of.chunks(LANES).enumerate() {
            if let Some(next) = pixel_of[group * LANES..].chunks(LANES).nth(AHEAD) {
                prefetch_rows(moments, next, 2 * stride);
                prefetch_rows(locals, next, stride);
            }
            let guide = starts(pixels.iter().map(|&pixel| pixel as usize), stride);
            let moment = starts(pixels.iter().map(|&pixel| pixel as usize), 2 * stride);
            let own = starts((0..pixels.len()).map(|i| group * LANES + i), stride);
            // Locs come first, so that they see the log scales as they were.
            for d in 0..stride {
                let grad = gather(grads, &own, d);
                let mut value = gather(locals, &guide, d);
                let mut first = gather(moments, &moment, d);
                let mut second = gather(moments, &moment, stride + d);
                let mut share = [if d >= p.loadings_at() { of_loadings } else { T::one() }; LANES];
                if d < latents {
                    let log_scale = gather(locals, &guide, latents + d);
                    for i in 0..LANES {
                        share[i] = (T::of(LOC_STEP) * log_scale[i].quick_exp()).min(T::one());
                    }
                }
                for i in 0..LANES {
                    (first[i], second[i]) = moments_after((first[i], second[i]), grad[i], decay);
                    value[i] = value[i] + rate * share[i] * climb(first[i], second[i]);
                }
                scatter(moments, &moment, d, &first);
                scatter(moments, &moment, stride + d, &second);
                scatter(locals, &guide, d, &value);
            }
        }
    }
}
