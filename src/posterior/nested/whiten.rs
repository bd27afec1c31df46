//! Residual and spectra of sixteen pixels times the inverse of the pixels' covariance.

use pulp::{Arch, Simd, WithSimd};

use super::group::Group;
use super::products::{Table, products, sums};
use super::shared::{Projection, take};
use super::vector::V;
use crate::engine::ground::lanes::LANES;

/// The inverse covariance of a pixel, P - F F' ([`Projection`]), times what it belongs to.
#[derive(Default)]
pub(super) struct Whitened {
    /// Times the residual of the mean amounts, (L, LANES).
    pub(super) rest: Vec<f32>,
    /// Times the spectra, (L, K, LANES).
    pub(super) spectra: Vec<f32>,
    /// F, (L, count, LANES).
    pub(super) factor: Vec<f32>,
    /// F' times spectra and residual, (K + 1, count, LANES).
    pub(super) projected: Vec<f32>,
}

impl Whitened {
    /// Computes all of it for a group whose amounts have the mean (K, LANES), at spectra (L, K).
    pub(super) fn take(&mut self, group: &Group, mean: &[f32], spectra: &[f32]) {
        let (k, bands, by) = (group.known.k, group.known.bands, group.projection());
        self.rest.resize(bands * LANES, 0.0);
        self.spectra.resize(bands * k * LANES, 0.0);
        self.factor.resize(bands * by.count * LANES, 0.0);
        self.projected.resize((k + 1) * by.count * LANES, 0.0);
        let (y, precision) = (&group.y, &group.precision);
        Arch::new().dispatch(Whiten { k, bands, by, y, precision, mean, spectra, to: self });
    }
}

struct Whiten<'a> {
    k: usize,
    bands: usize,
    by: Projection<'a>,
    y: &'a [f32],
    precision: &'a [f32],
    mean: &'a [f32],
    spectra: &'a [f32],
    to: &'a mut Whitened,
}

impl WithSimd for Whiten<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Whiten { k, bands, by, y, precision, mean, spectra, to } = self;
        let count = by.count;
        let load = |from: &[f32], at: usize| V::load(simd, from, at);
        for part in (0..LANES).step_by(S::F32_LANES) {
            let at = |column: usize| column * LANES + part;
            for (l, c) in spectra.chunks_exact(k).enumerate() {
                let (mut rest, p) = (load(y, at(l)), load(precision, at(l)));
                for (i, &c) in c.iter().enumerate() {
                    let c = V::splat(simd, c);
                    rest = c.neg_mul_add(load(mean, at(i)), rest);
                    (p * c).store(&mut to.spectra, at(l * k + i));
                }
                (p * rest).store(&mut to.rest, at(l));
                for a in 0..count {
                    let mut sum = V::splat(simd, 0.0);
                    for b in 0..=a {
                        let d = V::splat(simd, by.columns[l * count + b]);
                        sum = load(by.taken, at(a * count + b)).mul_add(d, sum);
                    }
                    (p * sum).store(&mut to.factor, at(l * count + a));
                }
            }
            if count == 0 {
                continue;
            }
            let columns = Table { values: spectra, columns: k };
            let shapes = Table { values: by.columns, columns: count };
            // The residual after the spectra.
            let (of_spectra, of_rest) = to.projected.split_at_mut(k * count * LANES);
            products(simd, part, precision, (columns, shapes), false, of_spectra);
            sums(simd, part, &to.rest, shapes, of_rest);
            take(simd, part, (&by, k + 1), &mut to.projected);
            for i in 0..=k {
                let (rows, first, from) = match i < k {
                    true => (k, i, &mut to.spectra),
                    false => (1, 0, &mut to.rest),
                };
                let z = &to.projected[i * count * LANES..(i + 1) * count * LANES];
                for l in 0..bands {
                    let mut value = load(from, at(l * rows + first));
                    for a in 0..count {
                        let f = load(&to.factor, at(l * count + a));
                        value = f.neg_mul_add(load(z, at(a)), value);
                    }
                    value.store(from, at(l * rows + first));
                }
            }
        }
    }
}
