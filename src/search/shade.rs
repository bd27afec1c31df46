//! Whether pixels differ in brightness at all. Where they do not, a model that lets each have its
//! own leaves the sizes of the spectra open, which abundances then pay for: it takes a material for
//! a brighter one of nearly the same shape.

use nalgebra::{DMatrix, DVector};

use super::judge::{Fitted, Judge};
use super::{best_of_each, by_elbo, family, gains};
use crate::engine::ground::error::Result;
use crate::engine::pixels::Pixels;
use crate::posterior::Posterior;
use crate::starts::Init;

/// Families whose starts are tried without brightness, beside the best start of all: those that
/// take spectra as they are. What geometry finds where shade is no direction has sizes of its own.
const FAMILIES: [Init; 3] = [Init::Simplex, Init::Vca, Init::NFindr];
/// Starts that are tried, at most.
pub const TRIED: usize = FAMILIES.len() + 1;

/// How far the brightness of pixels is spread, as the sd of its log, from which on they differ in
/// it whatever a start without brightness says: a dark material can stand for shade, and then most
/// of what a pixel is made of is wrong.
const DIFFER: f64 = 0.08;
/// The median of what normals are off their mean, in sds.
const MIDDLE: f64 = 0.6745;

/// Whether pixels differ in brightness, and why.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shade {
    /// How far their brightness is spread in the best start, as the sd of its log.
    pub spread: f64,
    /// By how much the best start with brightness is ahead in ELBO, nats a pixel; none where
    /// brightness is spread so far that no start was fitted without.
    pub gain: Option<f64>,
    /// Whether they do.
    pub kept: bool,
}

/// What was decided.
pub(super) struct Decided<'a> {
    pub shade: Shade,
    /// Where pixels do not differ: who judges fits without brightness, and all starts with such
    /// fits, in the order of the table.
    pub without: Option<(Judge<'a>, Vec<Fitted>)>,
}

/// Compares starts with and without brightness, after as many steps, on the pixels that they were
/// fitted to; none where there is nothing to compare, or when interrupted. Where brightness costs
/// more than it gains, all starts are fitted without.
///
/// # Errors
///
/// What ends all fits, as a device that is lost.
pub(super) async fn decide<'a>(
    judge: &Judge<'a>,
    table: &[Fitted],
    pixels: &Pixels,
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Decided<'a>>> {
    let first = by_elbo(table).first().and_then(|&i| spread(&table[i].posterior(pixels)?));
    let Some(spread) = first else { return Ok(None) };
    if spread > DIFFER {
        let shade = Shade { spread, gain: None, kept: true };
        return Ok(Some(Decided { shade, without: None }));
    }
    let best = |table: &[Fitted]| by_elbo(table).first().and_then(|&i| table[i].probe_elbo);
    let as_they_are =
        |i: usize| FAMILIES.iter().any(|init| init.name() == family(&table[i].origin));
    let few = best_of_each(table).into_iter().enumerate();
    let few: Vec<usize> =
        few.filter(|&(rank, i)| rank == 0 || as_they_are(i)).map(|(_, i)| i).collect();
    let plain = judge.without_brightness();
    let from = |rows: &[usize]| rows.iter().map(|&i| table[i].start()).collect();
    let tried = plain.probe(from(&few)).await?;
    judge.count(plain.done());
    let (Some(with), Some(without)) = (best(table), best(&tried)) else { return Ok(None) };
    if interrupted() {
        return Ok(None);
    }
    let gain = with - without;
    if !gains(without, with) {
        let shade = Shade { spread, gain: Some(gain), kept: true };
        return Ok(Some(Decided { shade, without: None }));
    }
    let others: Vec<usize> = (0..table.len()).filter(|i| !few.contains(i)).collect();
    let fitted = plain.probe(from(&others)).await?;
    let mut all: Vec<(usize, Fitted)> =
        few.into_iter().zip(tried).chain(others.into_iter().zip(fitted)).collect();
    all.sort_by_key(|&(i, _)| i);
    let all = all.into_iter().map(|(_, fitted)| fitted).collect();
    let shade = Shade { spread, gain: Some(gain), kept: false };
    Ok(Some(Decided { shade, without: Some((plain, all)) }))
}

/// How far the brightness of the typical pixel is from the median, as the sd of the log of a normal
/// one, for the sizes of the spectra with which amounts come closest to a sum of one: brightness
/// and sizes stand for each other. None of a model without it.
fn spread(posterior: &Posterior) -> Option<f64> {
    let (shares, bright) = (&posterior.abundance_mean, posterior.brightness.as_ref()?);
    let k = shares.ncols();
    let amounts = |n: usize| {
        DVector::from_iterator(k, shares.row(n).iter().map(|w| f64::from(w * bright[n])))
    };
    let (mut square, mut linear) = (DMatrix::<f64>::zeros(k, k), DVector::<f64>::zeros(k));
    for n in 0..bright.len() {
        let u = amounts(n);
        square.ger(1.0, &u, &u, 1.0);
        linear += u;
    }
    let sizes = square.cholesky().map(|factor| factor.solve(&linear));
    let sizes = sizes.filter(|r| r.iter().all(|&r| r > 0.0));
    let sizes = sizes.unwrap_or_else(|| DVector::repeat(k, 1.0));
    let logs = (0..bright.len()).map(|n| amounts(n).dot(&sizes).ln());
    let middle = median(logs.clone().collect())?;
    Some(median(logs.map(|g| (g - middle).abs()).collect())? / MIDDLE)
}

/// The middle one of some numbers; none of none.
fn median(mut of: Vec<f64>) -> Option<f64> {
    let middle = of.len() / 2;
    (!of.is_empty()).then(|| *of.select_nth_unstable_by(middle, f64::total_cmp).1)
}
