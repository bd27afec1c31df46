//! Whether pixels differ in brightness at all. Where they do not, a model that lets each have its
//! own leaves the sizes of the spectra open, which abundances then pay for: it takes a material for
//! a brighter one of nearly the same shape.

use nalgebra::{DMatrix, DVector};
use ndarray::{Array1, Array2, Axis};

use super::judge::{Fitted, Judge};
use super::{best_of_each, by_elbo};
use crate::engine::ground::error::Result;
use crate::engine::ground::math::spread;
use crate::engine::ground::sample::spaced;
use crate::engine::guide::Guide;
use crate::starts::Init;
use crate::statistics::products::share_of_products;

/// Families whose starts are tried without brightness, beside the best start of all: those that
/// take spectra as they are. What geometry finds where shade is no direction has sizes of its own.
const FAMILIES: [Init; 3] = [Init::Simplex, Init::Vca, Init::NFindr];
/// Starts that are tried, at most.
pub const TRIED: usize = FAMILIES.len() + 1;

/// How far the brightness of pixels is spread, as the sd of its log, from which on they differ in
/// it whatever a start without brightness says: a dark material can stand for shade, and then most
/// of what a pixel is made of is wrong.
const DIFFER: f64 = 0.08;
/// The share of the brightness that products of amounts explain, beyond the amounts, from which on
/// it is how materials mix: light that meets several of them on its way is darker than their mean.
/// Shade knows nothing of materials.
const FOLLOWS: f64 = 0.5;
/// What a start without brightness must be ahead by, nats a pixel: 1.5 to 8 in scenes without
/// shade, and up to 0.6 in one whose shade a dark material can stand for.
const GAIN: f64 = 1.0;
/// Pixels that are looked at, at most.
const LOOKED_AT: usize = 4096;

/// Whether pixels differ in brightness, and why.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shade {
    /// How far their brightness is spread in the best start, as the sd of its log.
    pub spread: f64,
    /// The share of it that follows products of amounts, 0 to 1.
    pub follows: f64,
    /// By how much the best start with brightness is ahead in ELBO, nats a pixel; none where it is
    /// spread so far, or follows so much, that no start was fitted without to know.
    pub gain: Option<f64>,
    /// Whether they do.
    pub kept: bool,
}

/// Whether pixels differ in brightness, by the starts of a table and by fits without brightness
/// from some of them, after as many steps; none where there is nothing to compare, or when
/// interrupted. They do not where brightness costs more than it gains, or follows from what pixels
/// are made of.
///
/// # Errors
///
/// What ends all fits, as a device that is lost.
pub(super) async fn decide(
    plain: &Judge<'_>,
    table: &[Fitted],
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Shade>> {
    let first = by_elbo(table).first().and_then(|&i| brightness(table[i].whole_guide()?));
    let Some((spread, follows)) = first else { return Ok(None) };
    let shade = Shade { spread, follows, gain: None, kept: follows <= FOLLOWS };
    if !shade.kept || spread > DIFFER {
        return Ok(Some(shade));
    }
    let best = |table: &[Fitted]| by_elbo(table).first().and_then(|&i| table[i].probe_elbo);
    let few = best_of_each(table).into_iter().enumerate();
    let few = few.filter(|&(rank, i)| rank == 0 || table[i].is_of(&FAMILIES));
    let tried = plain.probe(few.map(|(_, i)| table[i].start()).collect()).await?;
    let (Some(with), Some(without)) = (best(table), best(&tried)) else { return Ok(None) };
    let shade = Shade { gain: Some(with - without), kept: with - without > -GAIN, ..shade };
    Ok((!interrupted()).then_some(shade))
}

/// How far the brightness of the typical pixel is from the median, as the sd of the log of a normal
/// one, and the share of it that follows products of amounts ([`share_of_products`]), of at most
/// 4,096 pixels; for the sizes of the spectra with which amounts come closest to a sum of one:
/// brightness and sizes stand for each other. None where nothing is left of it, or where there are
/// too few pixels to tell.
fn brightness(guide: &Guide) -> Option<(f64, f64)> {
    let count = guide.params.pixels as usize;
    let k = guide.k();
    let rows: Vec<f64> = spaced(count, LOOKED_AT).flat_map(|n| guide.amounts(n)).collect();
    let mut amounts = Array2::from_shape_vec((rows.len() / k, k), rows).ok()?;
    let (square, linear) = (amounts.t().dot(&amounts), amounts.sum_axis(Axis(0)));
    let factor = DMatrix::from_fn(k, k, |i, j| square[[i, j]]).cholesky();
    let sizes = factor.map(|factor| factor.solve(&DVector::from_vec(linear.to_vec())));
    let sizes = sizes.filter(|r| r.iter().all(|&r| r > 0.0));
    if let Some(sizes) = sizes {
        amounts *= &Array1::from_iter(sizes.iter().copied());
    }
    let logs = amounts.sum_axis(Axis(1)).mapv(f64::ln);
    let spread = spread(logs.as_slice()?)?;
    let follows = share_of_products(amounts.view(), logs.insert_axis(Axis(1)).view())?;
    Some((spread, follows))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::engine::ground::rng::{self, Stream};
    use crate::engine::layout::Params;
    use crate::engine::model::Model;
    use crate::engine::pixels::Cube;

    const PIXELS: usize = 600;

    fn normal(n: usize, i: u32) -> f64 {
        rng::normal_at(rng::key(5), Stream::Posterior, 0, 0, n as u32, i).into()
    }

    /// Spread and share of a guide whose pixels hold three materials, as log bright as said, and
    /// whose spectra have other sizes than those that the brightness is told of.
    fn told(log_bright: impl Fn(usize, [f64; 3]) -> f64) -> (f64, f64) {
        let sizes = [1.0, 0.4, 2.5];
        let mut shares = Array2::<f32>::zeros((PIXELS, 3));
        let mut logs = Array1::<f32>::zeros(PIXELS);
        for n in 0..PIXELS {
            let e = [0, 1, 2].map(|i| normal(n, i).powi(2) + 0.02);
            let w = e.map(|x| x / e.iter().sum::<f64>());
            let bright = log_bright(n, w).exp();
            let u: Vec<f64> = w.iter().zip(sizes).map(|(w, size)| bright * w / size).collect();
            let sum: f64 = u.iter().sum();
            (0..3).for_each(|i| shares[[n, i]] = (u[i] / sum) as f32);
            logs[n] = sum.ln() as f32;
        }
        let model = Model { brightness: Some(0.3), ..Model::new(3) };
        let params = Params::new(&model, PIXELS, 4, PIXELS, 1, 7).unwrap();
        let endmembers = Array2::from_elem((3, 4), 0.5);
        let cube = Cube::zeros(PIXELS, 4);
        let (c, w) = (endmembers.view(), shares.view());
        brightness(&Guide::around(&params, &model, &cube, c, w, Some(logs.view()))).unwrap()
    }

    #[test]
    fn shade_is_spread_and_follows_nothing_and_mixing_follows_products() {
        let (spread, follows) = told(|n, _| 0.2 * normal(n, 9));
        // The spread of 600 normals is known to a thirtieth.
        assert!((spread - 0.2).abs() < 0.03 && follows < 0.1, "{spread} {follows}");
        // Mixtures darker than the mean of their materials, and a little shade.
        let (_, follows) = told(|n, w| -0.5 * (w[0] * w[1] + w[1] * w[2]) + 0.01 * normal(n, 9));
        assert!(follows > FOLLOWS, "{follows}");
        // One brightness, whatever sizes the spectra have.
        let (spread, _) = told(|n, _| 1e-3 * normal(n, 9));
        assert!(spread < 0.01, "{spread}");
    }
}
