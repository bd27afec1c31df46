//! Adam on the guide of the scene latents (Kingma and Ba, ICLR 2015), with bias correction.
//! Endmembers that are held do not move.

use super::pass::{Access, Grid, Pass, shader};
use crate::engine::ground::math::Real;
use crate::engine::layout::{Buf, HELD, HELD_VARIABILITY, Params};
use crate::engine::passes::buffers::Buffers;

/// One invocation a guide parameter.
pub static PASS: Pass = Pass {
    name: "update_globals",
    shader: shader!("update_globals", "adam"),
    bindings: &[
        (Buf::GlobalGrads, Access::Read),
        (Buf::Globals, Access::Write),
        (Buf::GlobalMoments, Access::Write),
        (Buf::Status, Access::Read),
    ],
    grid: |p| Grid::Line(p.global_stride() as u64),
    trips: |_| 0,
};

/// Guards the square root against a gradient that has been zero since the start, nothing more: the
/// length of a step must not depend on the unit of the ELBO.
const EPSILON: f64 = 1e-20;

/// First and second moment of a parameter after one more gradient.
#[inline(always)]
pub fn moments_after<T: Real>((first, second): (T, T), grad: T, decay: (T, T)) -> (T, T) {
    (
        decay.0 * first + (T::one() - decay.0) * grad,
        decay.1 * second + (T::one() - decay.1) * grad * grad,
    )
}

/// The step uphill that Adam takes at a learning rate of 1.
#[inline(always)]
pub fn climb<T: Real>(first: T, second: T) -> T {
    first / (second + T::of(EPSILON)).sqrt()
}

/// Updates on the CPU.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    let count = p.global_stride();
    if b.status[0] != 0 {
        return;
    }
    let decay = (T::of(f64::from(p.decay_first_global)), T::of(f64::from(p.decay_second_global)));
    let correction = (T::of(f64::from(p.correction_first)), T::of(f64::from(p.correction_second)));
    let rate = T::of(f64::from(p.rate_global));
    let (first, second) = b.global_moments[..2 * count].split_at_mut(count);
    let (g, rank) = (p.globals as usize, p.rank as usize);
    let from = if p.has(HELD) { p.noise_at() } else { 0 };
    let varieties = p.variability_at()..p.regression_at();
    let to = if p.has(HELD_VARIABILITY) { varieties.end } else { varieties.start };
    let free = [from..varieties.start, to..g];
    // Locs, log scales, loadings.
    let parts = [(0, 1), (g, 1), (2 * g, rank)];
    let ranges = parts.into_iter().flat_map(|(first, each)| {
        free.clone().map(|latents| first + each * latents.start..first + each * latents.end)
    });
    for range in ranges {
        for (((x, m), v), &grad) in b.globals[range.clone()]
            .iter_mut()
            .zip(&mut first[range.clone()])
            .zip(&mut second[range.clone()])
            .zip(&b.global_grads[range.clone()])
        {
            (*m, *v) = moments_after((*m, *v), grad, decay);
            *x = *x + rate * climb(*m * correction.0, *v * correction.1);
        }
    }
}
