//! Whether the curvature of pixels' likelihoods is so much alike for all draws of the spectra that
//! the curvature given their centre serves for all.
//!
//! Curvatures cost most of what a pixel's forms cost, as they are products of all pairs of spectra,
//! and of each with each shape that bands share; slopes are sums of each spectrum. Draws come in
//! mirrored pairs, so that what a draw changes of the curvature is taken back by its mirror image:
//! what is left in a pixel's covariance goes with the square of the relative change.

use nalgebra::DMatrix;

use super::group::Group;
use super::known::Known;
use crate::engine::ground::lanes::LANES;

/// The largest relative change of a curvature that makes no difference: its square, a hundredth, is
/// what variances may be off by, half of it their sds.
const LARGEST: f64 = 0.1;
/// Precision that every amount has anyway: none is far above one.
const PRIOR: f64 = 1.0;

/// Whether they are alike, given the centre and draws of the spectra, (L, K): in a pixel of the
/// mean mixture, and in pixels of one endmember each. It depends on the scene's posterior alone,
/// not on the pixels at hand, lest a part of a scene gets other answers than the whole.
pub(super) fn alike(known: &Known, centre: &[f32], draws: &[Vec<f32>]) -> bool {
    change(known, centre, draws) <= LARGEST
}

/// The largest change of a curvature relative to itself: the largest eigenvalue, apart from its
/// sign, of `A^-1/2 (B - A) A^-1/2`, with A given the centre and B given a draw.
fn change(known: &Known, centre: &[f32], draws: &[Vec<f32>]) -> f64 {
    if known.free() == 0 {
        return 0.0;
    }
    let (k, mut group) = (known.k, Group::new(known));
    let mut largest: f64 = 0.0;
    for first in (0..=k).step_by(LANES) {
        let mut around = vec![0.0; k * LANES];
        for lane in 0..LANES {
            for i in 0..k {
                around[i * LANES + lane] = match (first + lane).min(k) {
                    of if of == k => known.mean[i],
                    of => f32::from(u8::from(of == i)),
                };
            }
        }
        group.place(&around);
        let mut curvatures = |spectra: &[f32]| -> Vec<DMatrix<f64>> {
            group.forms(spectra);
            (0..LANES).map(|lane| curvature(known, &group, lane)).collect()
        };
        let roots: Option<Vec<_>> = curvatures(centre)
            .into_iter()
            .map(|a| {
                let factor = (&a + DMatrix::identity(a.nrows(), a.nrows()) * PRIOR).cholesky()?;
                Some((a, factor.l()))
            })
            .collect();
        let Some(roots) = roots else { return f64::INFINITY };
        for spectra in draws {
            for (b, (a, root)) in curvatures(spectra).into_iter().zip(&roots) {
                let relative = root
                    .solve_lower_triangular(&(b - a))
                    .and_then(|half| root.solve_lower_triangular(&half.transpose()));
                let Some(relative) = relative else { return f64::INFINITY };
                if relative.iter().any(|x| !x.is_finite()) {
                    return f64::INFINITY;
                }
                largest = largest.max(relative.symmetric_eigenvalues().amax());
            }
        }
    }
    largest
}

/// The curvature of the pixel of a lane along the amounts that are free.
fn curvature(known: &Known, group: &Group, lane: usize) -> DMatrix<f64> {
    let (k, free) = (known.k, known.free());
    let at = |i: usize, j: usize| f64::from(group.square[(i * k + j) * LANES + lane]);
    DMatrix::from_fn(free, free, |i, j| match free == k {
        true => at(i, j),
        false => at(i, j) - at(i, k - 1) - at(k - 1, j) + at(k - 1, k - 1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ground::rng;
    use crate::engine::model::Model;
    use crate::posterior::nested::known::tests::flat;

    /// The change where draws are spectra times 1 + `by` and 1 - `by`, by hand (1 + `by`)^2 - 1.
    fn scaled(model: &Model, by: f32) -> f64 {
        let (k, bands) = (model.endmembers, 40);
        let mut guide = flat(model, 8, bands);
        let noise = guide.params.noise_at();
        guide.globals[noise..noise + bands].fill(-6.0);
        let known = Known::of(&guide);
        // No pattern: periodic values would be spectra of which some are sums of others.
        let word = |at: usize| rng::philox([at as u32, 0, 0, 0], [1, 2])[0] >> 8;
        let centre: Vec<f32> =
            (0..bands * k).map(|at| 0.2 + word(at) as f32 / (1 << 24) as f32).collect();
        let draw = |by: f32| centre.iter().map(|c| c * (1.0 + by)).collect();
        change(&known, &centre, &[draw(by), draw(-by)])
    }

    #[test]
    fn the_change_is_that_written_out() {
        // More endmembers than lanes, and brightness or none.
        for (k, brightness) in [(3, None), (3, Some(0.3)), (18, Some(0.3))] {
            let model = Model { brightness, ..Model::new(k) };
            for by in [0.0f32, 0.01, 0.2] {
                let (found, wanted) = (scaled(&model, by), f64::from((1.0 + by).powi(2) - 1.0));
                // The prior's precision beside that of the likelihood; sums in f32.
                assert!((found - wanted).abs() < 0.02 * wanted + 1e-4, "{k} {by}: {found}");
            }
        }
    }

    #[test]
    fn one_amount_that_is_not_free_has_no_curvature() {
        assert_eq!(scaled(&Model::new(1), 0.2), 0.0);
    }

    #[test]
    fn what_is_no_number_is_not_alike() {
        let known = Known::of(&flat(&Model::new(2), 8, 3));
        let centre = vec![0.5, 0.1, 0.2, 0.3, 0.4, 0.1];
        assert!(alike(&known, &centre, std::slice::from_ref(&centre)));
        assert!(!alike(&known, &centre, &[vec![f32::NAN; 6]]));
    }
}
