//! Adam on the guide of the minibatch's pixels; each pixel keeps its own moments, touched only in
//! steps that draw it.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::pass::{Access, Grid, Pass, shader};
use super::update_globals::{climb, moments_after};
use crate::engine::ground::lanes::{LANES, load, prefetch_all, store};
use crate::engine::ground::math::Real;
use crate::engine::guide::transform::loading_share;
use crate::engine::layout::{Buf, Params, ROW_GROUP};
use crate::engine::passes::buffers::Buffers;

/// One invocation a pixel of the minibatch and parameter of its guide, a loc and its log scale
/// together.
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
    grid: |p| {
        let units = u64::from(p.local_stride - p.latents);
        Grid::Line((p.groups() * ROW_GROUP) as u64 * units)
    },
    trips: |_| 0,
};

/// Most that a loc moves in a step at full rate, in units of its scale: what is known well needs no
/// longer steps, and their noise would stay in the answer.
const LOC_STEP: f64 = 2.0;

/// How many groups of pixels ahead of their turn moments are asked for.
const AHEAD: usize = 2;
/// Groups of the minibatch that are worth a thread.
const WORTH_A_THREAD: usize = 128;

/// Updates on the CPU. No bias correction: with decays 0.8 and 0.95 the first step has 0.9 of its
/// length. Each thread has a part of the scene, and of the minibatch takes what lies there: groups
/// at random places, of which no two threads then have the same.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    let group = p.local_stride as usize * LANES;
    if b.status[0] != 0 || group == 0 {
        return;
    }
    let arch = pulp::Arch::new();
    let (pixel_of, grads) = (&b.pixel_of[..p.batch as usize], &b.local_grads);
    let threads = rayon::current_num_threads().min(p.groups().div_ceil(WORTH_A_THREAD));
    let part = p.scene_groups().div_ceil(threads);
    let locals = b.locals[..p.scene_groups() * group].par_chunks_mut(part * group);
    let moments = b.local_moments.par_chunks_mut(2 * part * group);
    locals.zip(moments).enumerate().for_each(|(at, (locals, moments))| {
        arch.dispatch(Part { p, first: at * part, pixel_of, grads, locals, moments });
    });
}

/// A part of the scene, with the buffers that an update reads. `locals` and `moments` hold this
/// part only.
struct Part<'a, T> {
    p: &'a Params,
    /// Its first group.
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
        let group = self.p.local_stride as usize * LANES;
        let all = self.locals.len() / group;
        let first = self.first;
        let of_part = |pixels: &[u32]| {
            let own = (pixels[0] as usize / LANES).wrapping_sub(first);
            (own < all).then_some((own, pixels.len()))
        };
        let (pixel_of, grads) = (self.pixel_of, self.grads);
        let mut ahead = pixel_of.chunks(LANES).filter_map(of_part).skip(AHEAD);
        for (pixels, grads) in pixel_of.chunks(LANES).zip(grads.chunks_exact(group)) {
            let Some((own, rows)) = of_part(pixels) else { continue };
            if let Some((next, _)) = ahead.next() {
                prefetch_all(&self.moments[2 * next * group..][..2 * group]);
                prefetch_all(&self.locals[next * group..][..group]);
            }
            self.update(own, rows, grads);
        }
    }
}

impl<T: Real> Part<'_, T> {
    /// Updates one of the part's groups, which has `count` pixels.
    #[inline(always)]
    fn update(&mut self, own: usize, rows: usize, grads: &[T]) {
        let p = self.p;
        let (stride, latents) = (p.local_stride as usize, p.latents as usize);
        let decay = (T::of(f64::from(p.decay_first_local)), T::of(f64::from(p.decay_second_local)));
        let (rate, of_loadings) = (T::of(f64::from(p.rate_local)), T::of(loading_share(p)));
        let guide = &mut self.locals[own * stride * LANES..][..stride * LANES];
        let moments = &mut self.moments[2 * own * stride * LANES..][..2 * stride * LANES];
        // Locs come first, so that they see the log scales as they were.
        for d in 0..stride {
            let grad = load(grads, d);
            let mut value = load(guide, d);
            let (mut first, mut second) = (load(moments, d), load(moments, stride + d));
            let mut share = [if d >= p.loadings_at() { of_loadings } else { T::one() }; LANES];
            if d < latents {
                let log_scale = load(guide, latents + d);
                for i in 0..LANES {
                    share[i] = (T::of(LOC_STEP) * log_scale[i].quick_exp()).min(T::one());
                }
            }
            for i in 0..LANES {
                (first[i], second[i]) = moments_after((first[i], second[i]), grad[i], decay);
                value[i] = value[i] + rate * share[i] * climb(first[i], second[i]);
            }
            store(moments, d, &first, rows);
            store(moments, stride + d, &second, rows);
            store(guide, d, &value, rows);
        }
    }
}
