//! What pixels whose amounts were drawn say of how spectra vary: the sums that a step of learning
//! takes.

use pulp::{Arch, Simd, WithSimd};

use super::gathered::{GROUPS, Gathered};
use super::group::Group;
use super::information::Room;
use crate::engine::ground::lanes::{LANES, Lanes, load};

/// Sums over pixels.
#[derive(Clone)]
pub(super) struct Sums {
    /// Slope by the spectra, (K, L).
    pub(super) slope: Vec<f64>,
    /// Logarithms of the abundances, (K).
    pub(super) logs: Vec<f64>,
    /// Curvature if amounts and shapes of all pixels were known, (K, K, L), its lower half.
    pub(super) complete: Vec<f64>,
    /// Slope and curvature by the variances of noise and endmembers of each band, (L, K + 1) and
    /// (L, K + 1, K + 1), of which the lower half.
    pub(super) noise: Vec<f64>,
    pub(super) bend: Vec<f64>,
    /// Slope and curvature by the logarithms of the shapes' variances, (count) each, times two.
    pub(super) shapes: Vec<f64>,
    pub(super) shapes_bend: Vec<f64>,
    /// Log density of the pixels, one number.
    pub(super) evidence: Vec<f64>,
}

impl Sums {
    pub(super) fn new(k: usize, bands: usize, count: usize) -> Self {
        Sums {
            slope: vec![0.0; k * bands],
            logs: vec![0.0; k],
            complete: vec![0.0; k * k * bands],
            noise: vec![0.0; (k + 1) * bands],
            bend: vec![0.0; (k + 1) * (k + 1) * bands],
            shapes: vec![0.0; count],
            shapes_bend: vec![0.0; count],
            evidence: vec![0.0],
        }
    }

    pub(super) fn all(&mut self) -> [&mut Vec<f64>; 8] {
        let Sums { slope, logs, complete, noise, bend, shapes, shapes_bend, evidence } = self;
        [slope, logs, complete, noise, bend, shapes, shapes_bend, evidence]
    }

    /// By the log variance of a shape the log likelihood has the slope (A^2 - H) / 2 with A = R^-T
    /// F'r, H = 1 - diag (R R')^-1, and the information H^2 / 2.
    fn add_shapes(&mut self, group: &Group, room: &Room) {
        let (k, count) = (group.known.k, group.known.shapes.count());
        let (_, spread) = room.moments_of_amounts();
        let (white, by) = (room.white(), group.projection());
        for lane in 0..group.rows {
            let at = |from: &[f32], column: usize| f64::from(from[column * LANES + lane]);
            for a in 0..count {
                let u = match group.known.shapes.of[a] {
                    i if i < k => at(&group.around, i),
                    _ => 1.0,
                };
                if u <= 0.0 {
                    continue;
                }
                // T is R^-1 times the amounts.
                let inverse = |b: usize| at(by.taken, b * count + a) / u;
                let h = 1.0 - (a..count).map(|b| inverse(b).powi(2)).sum::<f64>();
                let explained = |i: usize| -> f64 {
                    (a..count).map(|b| inverse(b) * at(&white.projected, i * count + b)).sum()
                };
                let of: Vec<f64> = (0..=k).map(explained).collect();
                let mut square = of[k] * of[k];
                for i in 0..k {
                    for j in 0..k {
                        square += at(spread, i * k + j) * of[i] * of[j];
                    }
                }
                self.shapes[a] += square - h;
                self.shapes_bend[a] += h * h;
            }
        }
    }
}

/// Adds groups up. What a pixel has is gathered, and multiplied with what it has of each band, for
/// several groups at once.
pub(super) struct Adder {
    sums: Sums,
    /// How many groups are gathered.
    groups: usize,
    /// E u_i u_j, j <= i, and precisions: [`Sums::complete`].
    complete: Gathered,
    /// 1 and the squares of the shares, and what is off: [`Sums::noise`].
    noise: Gathered,
    /// Their products, and precisions squared: [`Sums::bend`].
    bend: Gathered,
}

impl Adder {
    pub(super) fn new(k: usize, bands: usize, count: usize) -> Self {
        let gathered = |rows: usize| Gathered::new(rows, bands);
        Adder {
            sums: Sums::new(k, bands, count),
            groups: 0,
            complete: gathered(pair(k, 0)),
            noise: gathered(k + 1),
            bend: gathered(pair(k + 1, 0)),
        }
    }

    /// Adds a group whose amounts were drawn.
    pub(super) fn add(&mut self, group: &Group, room: &Room) {
        let evidence = (0..group.rows).map(|lane| room.evidence(group, lane));
        self.sums.evidence[0] += evidence.sum::<f64>();
        Arch::new().dispatch(AddBands { to: self, group, room });
        self.sums.add_shapes(group, room);
        self.groups += 1;
        if self.groups == GROUPS {
            self.multiply();
        }
    }

    /// Adds logarithms of the abundances of a group whose amounts were drawn.
    pub(super) fn add_logs(&mut self, group: &Group, room: &Room) {
        room.add_logs(group, &mut self.sums.logs);
    }

    /// The sums over all groups.
    pub(super) fn sums(mut self) -> Sums {
        self.multiply();
        self.sums
    }

    fn multiply(&mut self) {
        let Sums { slope, logs, complete, noise, bend, .. } = &mut self.sums;
        let (k, bands) = (logs.len(), slope.len() / logs.len().max(1));
        let of: Vec<(usize, usize)> = (0..=k).flat_map(|i| (0..=i).map(move |j| (i, j))).collect();
        let groups = std::mem::take(&mut self.groups);
        self.complete.sums(groups, |row, l, sum| {
            let (i, j) = of[row];
            complete[(i * k + j) * bands + l] += sum;
        });
        self.noise.sums(groups, |a, l, sum| noise[(k + 1) * l + a] += sum);
        self.bend.sums(groups, |row, l, sum| {
            let (a, b) = of[row];
            bend[((k + 1) * l + a) * (k + 1) + b] += sum;
        });
    }
}

/// The place of i, j among pairs of which j <= i.
#[inline(always)]
fn pair(i: usize, j: usize) -> usize {
    i * (i + 1) / 2 + j
}

/// Adds what each band of a group says.
struct AddBands<'a> {
    to: &'a mut Adder,
    group: &'a Group<'a>,
    room: &'a Room,
}

impl WithSimd for AddBands<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let AddBands { to, group, room } = self;
        let Adder { sums, groups, complete, noise, bend } = to;
        let (k, bands, count) = (group.known.k, group.known.bands, group.known.shapes.count());
        let (white, (mean, spread), rows) = (room.white(), room.moments_of_amounts(), group.rows);
        let weight = group.known.weight;
        // 1, and the squares of the shares.
        let mut x = vec![[1.0f32; LANES]; k + 1];
        let mut total = [f32::MIN_POSITIVE; LANES];
        for i in 0..k {
            total = each(|lane| total[lane] + load(&group.around, i)[lane]);
        }
        for (i, x) in x[1..].iter_mut().enumerate() {
            let u = load(&group.around, i);
            *x = each(|lane| (u[lane] / total[lane]).powi(2));
        }
        for i in 0..k {
            for j in 0..=i {
                let (m, n, s) = (load(mean, i), load(mean, j), load(spread, i * k + j));
                complete.put(*groups, pair(i, j), &those(rows, |lane| m[lane] * n[lane] + s[lane]));
            }
        }
        for a in 0..=k {
            noise.put(*groups, a, &those(rows, |lane| x[a][lane]));
            for b in 0..=a {
                bend.put(*groups, pair(a, b), &those(rows, |lane| x[a][lane] * x[b][lane]));
            }
        }
        for l in 0..bands {
            let (p, rest) = (load(&group.precision, l), load(&white.rest, l));
            // What the diagonal of the inverse covariance is less than p, and the mean square of
            // what that makes of the residual.
            let mut shared = [0.0; LANES];
            for a in 0..count {
                let f = load(&white.factor, l * count + a);
                shared = each(|lane| shared[lane] + f[lane] * f[lane]);
            }
            let mut square = each(|lane| rest[lane] * rest[lane]);
            for i in 0..k {
                let (c, m) = (load(&white.spectra, l * k + i), load(mean, i));
                let mut spreads = [0.0; LANES];
                for j in 0..k {
                    let other = load(&white.spectra, l * k + j);
                    let s = load(spread, i * k + j);
                    spreads = each(|lane| spreads[lane] + s[lane] * other[lane]);
                }
                square = each(|lane| square[lane] + spreads[lane] * c[lane]);
                let slope = each(|lane| m[lane] * rest[lane] - spreads[lane]);
                sums.slope[i * bands + l] += sum(&slope, rows);
            }
            // What is noise of the residual, mean square, given what is known of the pixel, beyond
            // the variance that it should have.
            let variance = each(|lane| weight / p[lane]);
            let off = each(|lane| {
                let noise = (square[lane] + shared[lane]) / (p[lane] * p[lane]);
                (noise - variance[lane]) / (variance[lane] * variance[lane])
            });
            complete.put_band(*groups, l, &those(rows, |lane| p[lane]));
            noise.put_band(*groups, l, &those(rows, |lane| off[lane]));
            bend.put_band(*groups, l, &those(rows, |lane| 1.0 / (variance[lane] * variance[lane])));
        }
    }
}

#[inline(always)]
fn each(value: impl Fn(usize) -> f32) -> Lanes<f32> {
    let mut lanes = [0.0; LANES];
    for (lane, to) in lanes.iter_mut().enumerate() {
        *to = value(lane);
    }
    lanes
}

/// Zero beyond the first `rows`.
#[inline(always)]
fn those(rows: usize, value: impl Fn(usize) -> f32) -> Lanes<f32> {
    each(|lane| if lane < rows { value(lane) } else { 0.0 })
}

/// The sum of the first `rows`.
#[inline(always)]
fn sum(lanes: &Lanes<f32>, rows: usize) -> f64 {
    let mut parts = those(rows, |lane| lanes[lane]);
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            parts[lane] += parts[lane + half];
        }
        half /= 2;
    }
    f64::from(parts[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::model::Model;
    use crate::engine::pixels::Cube;
    use crate::posterior::nested::group_at;
    use crate::posterior::nested::known::Known;
    use crate::posterior::nested::known::tests::flat;
    use crate::posterior::nested::shared::{NOISE_SHAPES, SHAPES, Shared};

    const BANDS: usize = 5;
    /// Fewer than there are lanes.
    const PIXELS: usize = 13;

    /// Pixels between two spectra, (K, L), and what is known of them: noise, and noise that bands
    /// share.
    fn problem() -> (Known, Cube, Vec<f64>) {
        let c = vec![0.6, 0.2, 0.4, 0.5, 0.3, 0.3, 0.5, 0.1, 0.2, 0.7];
        let mut cube = Cube::zeros(PIXELS, BANDS);
        for n in 0..PIXELS {
            let w = n as f64 / PIXELS as f64;
            for l in 0..BANDS {
                let off = 0.02 * ((3 * n + l) as f64).sin();
                cube.spectrum_mut(n)[l] = (w * c[l] + (1.0 - w) * c[BANDS + l] + off) as f32;
            }
        }
        let mut known = Known::of(&flat(&Model::new(2), PIXELS, BANDS));
        let shared = Shared {
            sds: vec![0.0; 2 * SHAPES],
            noise_sds: vec![0.02; NOISE_SHAPES],
            noise: vec![2e-4; BANDS],
            variability: vec![1e-4; 2 * BANDS],
            dirichlet: None,
        };
        known.share(&shared, &c);
        (known, cube, c)
    }

    /// Sixteen pixels at once are the sums of one pixel after the other, in f64.
    #[test]
    fn what_bands_say_is_summed_over_the_pixels_that_are_there() {
        let (known, cube, c) = problem();
        let (k, by_bands) = (known.k, known.by_bands(&c));
        let (mut group, mut room) = (Group::new(&known), Room::new(k));
        group.take(&cube, &group_at(0, PIXELS), [1, 2], &by_bands);
        room.draw(&mut group, &by_bands);
        let mut adder = Adder::new(k, BANDS, known.shapes.count());
        adder.add(&group, &room);
        let found = adder.sums();

        let mut plain = Sums::new(k, BANDS, known.shapes.count());
        let ((mean, spread), white, count) =
            (room.moments_of_amounts(), room.white(), known.shapes.count());
        for (l, lane) in (0..BANDS).flat_map(|l| (0..PIXELS).map(move |lane| (l, lane))) {
            let at = |from: &[f32], column: usize| f64::from(from[column * LANES + lane]);
            let (p, rest) = (at(&group.precision, l), at(&white.rest, l));
            let own: f64 = (0..count).map(|a| at(&white.factor, l * count + a).powi(2)).sum();
            let mut square = rest * rest;
            for (i, j) in (0..k).flat_map(|i| (0..k).map(move |j| (i, j))) {
                let c = |i: usize| at(&white.spectra, l * k + i);
                let s = at(spread, i * k + j);
                square += s * c(i) * c(j);
                plain.slope[i * BANDS + l] -= s * c(j);
                let known = p * (at(mean, i) * at(mean, j) + s);
                // Its lower half is there.
                plain.complete[(i * k + j) * BANDS + l] += if j <= i { known } else { 0.0 };
            }
            let total: f64 = (0..k).map(|i| at(&group.around, i)).sum();
            let variance = f64::from(known.weight) / p;
            let off = (square - (p - own)) / (p * p) + 1.0 / p - variance;
            let x =
                |a: usize| if a == 0 { 1.0 } else { (at(&group.around, a - 1) / total).powi(2) };
            (0..k).for_each(|i| plain.slope[i * BANDS + l] += at(mean, i) * rest);
            for a in 0..=k {
                plain.noise[(k + 1) * l + a] += x(a) * off / variance.powi(2);
                for b in 0..=a {
                    plain.bend[((k + 1) * l + a) * (k + 1) + b] += x(a) * x(b) / variance.powi(2);
                }
            }
        }
        let pairs = [
            (&found.slope, &plain.slope),
            (&found.complete, &plain.complete),
            (&found.noise, &plain.noise),
            (&found.bend, &plain.bend),
        ];
        for (found, plain) in pairs {
            let largest = plain.iter().fold(0.0f64, |most, x| most.max(x.abs()));
            assert!(largest > 0.0 && found.len() == plain.len());
            // Numbers of 24 bits, of which differences lose some.
            let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-5 * largest;
            assert!(found.iter().zip(plain).all(near), "{found:?} {plain:?}");
        }
    }
}
