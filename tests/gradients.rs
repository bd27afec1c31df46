//! Every hand-derived gradient against central differences in f64, and the ELBO itself against the
//! densities of docs/model.md written out by other means.
// Sums are written with the indices of the equations.
#![allow(missing_docs, clippy::needless_range_loop, clippy::explicit_counter_loop)]

mod common;

use common::{Problem, run_to, variants};
use unmixel::engine::ground::math::{ln_gamma, softplus};
use unmixel::engine::guide::elbo_constant;
use unmixel::engine::layout::{Params, ROW_GROUP};
use unmixel::engine::model::Noise;
use unmixel::engine::passes::buffers::Buffers;

/// The bound: 1e-5 relative. Central differences in f64 with h = 1e-5 leave h^2 f'''/6,
/// about 1e-9 of the ELBO's curvature scale, and rounding eps * |ELBO| / h, about 1e-9 absolute
/// here.
const RELATIVE: f64 = 1e-5;
const H: f64 = 1e-5;

fn elbo(problem: &Problem, buffers: &mut Buffers<f64>) -> f64 {
    let step = problem.step();
    run_to(&step, buffers, "elbo");
    buffers.trace[step.trace_slot as usize]
}

/// Pushes a guide off its symmetric start, so that no gradient is small by accident.
fn roughened(problem: &Problem) -> Buffers<f64> {
    let mut buffers = problem.buffers::<f64>();
    let mut index = 0;
    for x in buffers.globals.iter_mut().chain(&mut buffers.locals) {
        *x += 0.2 * common::normal(11, index);
        index += 1;
    }
    let p = problem.params;
    for at in (2 * p.globals as usize..p.global_stride()).filter(|&at| padded(&p, at)) {
        buffers.globals[at] = 0.0;
    }
    buffers.rank_sum = common::rank_sum(&p, &buffers.locals);
    buffers
}

/// True for parameters of scene latents that only fill up.
fn padded(p: &Params, at: usize) -> bool {
    let g = p.globals as usize;
    let j = if at < 2 * g { at % g } else { (at - 2 * g) / p.rank as usize };
    if j >= p.regression_at() {
        let (l, m) = ((j - p.regression_at()) / p.stride(), (j - p.regression_at()) % p.stride());
        return m >= l || l >= p.bands as usize;
    }
    let in_rows = j < p.noise_at() || (j < p.mean_at() && p.noises > 1) || j >= p.variability_at();
    let row_start = if j < p.noise_at() {
        0
    } else if j < p.mean_at() {
        p.noise_at()
    } else {
        p.variability_at()
    };
    in_rows && (j - row_start) % p.stride() >= p.bands as usize
}

/// Half the log determinant of `I + sum V'V` over all latents, scene and pixels, by its Cholesky
/// factor.
fn half_log_det(p: &Params, b: &Buffers<f64>) -> f64 {
    let rank = p.rank as usize;
    let scene = b.globals[2 * p.globals as usize..p.global_stride()].chunks(rank.max(1));
    let scene = scene.map(<[f64]>::to_vec);
    let pixels = (0..p.pixels as usize).flat_map(|n| {
        let guide = common::guide_of(p, &b.locals, n);
        guide[p.loadings_at()..].chunks(rank.max(1)).map(<[f64]>::to_vec).collect::<Vec<_>>()
    });
    let mut m: Vec<Vec<f64>> =
        (0..rank).map(|l| (0..rank).map(|k| f64::from(u8::from(l == k))).collect()).collect();
    for row in scene.chain(pixels) {
        for l in 0..rank {
            for k in 0..rank {
                m[l][k] += row[l] * row[k];
            }
        }
    }
    cholesky(&m).iter().enumerate().map(|(l, row)| row[l].ln()).sum()
}

fn difference(
    problem: &Problem,
    buffers: &Buffers<f64>,
    place: impl Fn(&mut Buffers<f64>) -> &mut f64,
) -> f64 {
    let at = |h: f64| {
        let mut moved = buffers.clone();
        *place(&mut moved) += h;
        elbo(problem, &mut moved)
    };
    (at(H) - at(-H)) / (2.0 * H)
}

/// Largest disagreement of the gradient with differences, relative to each component, but not
/// below a thousandth of the largest one, where differences have no digits left.
fn worst(pairs: &[(f64, f64)]) -> f64 {
    let largest = pairs.iter().map(|(_, d)| d.abs()).fold(0.0, f64::max);
    pairs.iter().map(|(g, d)| (g - d).abs() / d.abs().max(1e-3 * largest)).fold(0.0, f64::max)
}

fn global_pairs(problem: &Problem) -> Vec<(f64, f64)> {
    let buffers = roughened(problem);
    let mut done = buffers.clone();
    elbo(problem, &mut done);
    let p = problem.params;
    (0..p.global_stride())
        .filter(|&j| !padded(&p, j))
        .map(|j| {
            (
                done.global_grads[j],
                difference(problem, &buffers, |b| &mut b.globals[j]) / f64::from(p.pixels),
            )
        })
        .collect()
}

fn local_pairs(problem: &Problem) -> Vec<(f64, f64)> {
    let buffers = roughened(problem);
    let mut done = buffers.clone();
    elbo(problem, &mut done);
    let p = problem.step();
    let stride = p.local_stride as usize;
    let scale = f64::from(p.pixels) / f64::from(p.batch);
    // Every third pixel is plenty: they differ in data only.
    (0..p.batch as usize)
        .step_by(3)
        .flat_map(|place| (0..stride).map(move |d| (place, d)))
        .map(|(place, d)| {
            let at = p.place_at(done.pixel_of[place] as usize, stride) + d * ROW_GROUP;
            // The step takes the sum over all pixels of products of loadings as given, and N / B
            // times what its own pixels say; the entropy counts once.
            let shared = |h: f64| {
                let mut moved = buffers.clone();
                moved.locals[at] += h;
                half_log_det(&p, &moved)
            };
            let entropy =
                if d < p.loadings_at() { 0.0 } else { (shared(H) - shared(-H)) / (2.0 * H) };
            (
                done.local_grads[p.place_at(place, stride) + d * ROW_GROUP],
                difference(problem, &buffers, |b| &mut b.locals[at]) / scale + entropy,
            )
        })
        .collect()
}

#[test]
fn gradients_of_scene_latents_are_right() {
    for (name, problem) in variants() {
        let worst = worst(&global_pairs(&problem));
        assert!(worst < RELATIVE, "{name}: {worst:e}");
    }
}

#[test]
fn gradients_of_pixel_latents_are_right() {
    for (name, problem) in variants() {
        let worst = worst(&local_pairs(&problem));
        assert!(worst < RELATIVE, "{name}: {worst:e}");
    }
}

#[test]
fn the_comparison_sees_a_wrong_gradient() {
    let (_, problem) = variants().swap_remove(0);
    let mut pairs = global_pairs(&problem);
    // One component of hundreds, off by a thousandth.
    let at = pairs.len() / 2;
    pairs[at].0 *= 1.001;
    assert!(worst(&pairs) > RELATIVE);
}

#[test]
fn a_gradient_moves_nothing_outside_its_minibatch() {
    let (_, problem) = variants().swap_remove(0);
    let before = problem.buffers::<f64>();
    let mut after = before.clone();
    run_to(&problem.step(), &mut after, "update_globals");
    let p = problem.step();
    assert_eq!((p.batch, p.odd_group), (23, 0), "not the step that tests are to look at");
    let drawn = &after.pixel_of[..p.batch as usize];
    let both = [before.local_moments.clone(), after.local_moments.clone()];
    let two = Params { local_stride: 2 * p.local_stride, ..p };
    let mut moved = 0;
    for pixel in 0..problem.params.pixels {
        let of = |p, locals| common::guide_of(p, locals, pixel as usize);
        let same = of(&p, &before.locals) == of(&p, &after.locals)
            && of(&two, &both[0]) == of(&two, &both[1]);
        assert_ne!(same, drawn.contains(&pixel), "pixel {pixel}");
        moved += usize::from(!same);
    }
    assert_eq!(moved, p.batch as usize);
}

/// Covariance of noise whose band l is `sum phi_lm r_m` over the bands before it, plus an
/// innovation: `(I - phi)^-1 diag(innovations) (I - phi)^-T`, by forward substitution.
fn covariance_of(phi: &[Vec<f64>], innovations: &[f64]) -> Vec<Vec<f64>> {
    let bands = innovations.len();
    // Column i: what a unit innovation of band i does to all bands.
    let mut inverse = vec![vec![0.0; bands]; bands];
    for i in 0..bands {
        for l in i..bands {
            let own = if l == i { 1.0 } else { 0.0 };
            inverse[l][i] = own + (i..l).map(|m| phi[l][m] * inverse[m][i]).sum::<f64>();
        }
    }
    let entry = |l: usize, m: usize| {
        (0..bands).map(|i| inverse[l][i] * innovations[i] * inverse[m][i]).sum()
    };
    (0..bands).map(|l| (0..bands).map(|m| entry(l, m)).collect()).collect()
}

/// Lower Cholesky factor.
fn cholesky(matrix: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let n = matrix.len();
    let mut factor = vec![vec![0.0; n]; n];
    for l in 0..n {
        for m in 0..=l {
            let rest: f64 = matrix[l][m] - (0..m).map(|i| factor[l][i] * factor[m][i]).sum::<f64>();
            factor[l][m] = if l == m { rest.sqrt() } else { rest / factor[m][m] };
        }
    }
    factor
}

/// Log density of a multivariate normal at r from its mean, by the factor of its covariance.
fn ln_multivariate_normal(r: &[f64], factor: &[Vec<f64>]) -> f64 {
    let mut white = vec![0.0; r.len()];
    for l in 0..r.len() {
        let known: f64 = (0..l).map(|m| factor[l][m] * white[m]).sum();
        white[l] = (r[l] - known) / factor[l][l];
    }
    let two_pi = 2.0 * std::f64::consts::PI;
    (0..r.len()).map(|l| -0.5 * two_pi.ln() - factor[l][l].ln() - 0.5 * white[l].powi(2)).sum()
}

/// The ELBO of one step from the model's densities, with every constant, in plain loops.
fn elbo_by_densities(problem: &Problem, b: &Buffers<f64>) -> f64 {
    let (p, model) = (problem.step(), &problem.model);
    let two_pi = 2.0 * std::f64::consts::PI;
    let ln_normal =
        |x: f64, mean: f64, var: f64| -0.5 * (two_pi * var).ln() - 0.5 * (x - mean).powi(2) / var;
    let entropy = |log_scale: f64| 0.5 * (1.0 + two_pi.ln()) + log_scale;
    let ln_dirichlet = |w: &[f64], a: &[f64]| {
        ln_gamma(a.iter().sum::<f64>())
            + w.iter().zip(a).map(|(w, a)| (a - 1.0) * w.ln() - ln_gamma(*a)).sum::<f64>()
    };
    // The Jacobian of softmax([z, 0]) is the product of the abundances.
    let ln_jacobian = |w: &[f64]| w.iter().map(|w| w.ln()).sum::<f64>();
    let softmax = |z: &[f64]| {
        let sum: f64 = 1.0 + z.iter().map(|z| z.exp()).sum::<f64>();
        z.iter().map(|z| z.exp() / sum).chain([1.0 / sum]).collect::<Vec<_>>()
    };
    // P(Normal(centre, sd) > 0) by Simpson's rule over ten sds.
    let mass_above_zero = |centre: f64, sd: f64| {
        let steps = 2000;
        let top = centre + 10.0 * sd;
        let f = |i: usize| ln_normal(top * i as f64 / steps as f64, centre, sd * sd).exp();
        (0..=steps)
            .map(|i| {
                f(i) * if i == 0 || i == steps {
                    1.0
                } else if i % 2 == 1 {
                    4.0
                } else {
                    2.0
                }
            })
            .sum::<f64>()
            * top
            / steps as f64
            / 3.0
    };
    let scale_prior = |x: f64, half_normal: Option<f64>| {
        // Density of the sd exp(x), with the Jacobian exp(x).
        match half_normal {
            Some(h) => (2.0f64).ln() + ln_normal(x.exp(), 0.0, h * h) + x,
            None => ln_normal(x, -3.0, 1.0),
        }
    };
    let noise_prior =
        if model.noise_prior == unmixel::engine::model::ScalePrior::log_normal(-3.0, 1.0) {
            None
        } else {
            Some(0.05)
        };
    let (k, bands, stride, g) = (p.k(), p.bands as usize, p.stride(), p.globals as usize);
    let mut total = 0.0;
    for s in 0..p.particles as usize {
        let x = |j: usize| b.globals[j] + b.globals[g + j].exp() * b.global_eps[s * g + j];
        let mut sum = 0.0;
        let mut c = vec![vec![0.0; bands]; k];
        for i in 0..k {
            for l in 0..bands {
                let u = x(i * stride + l);
                c[i][l] = softplus(u);
                let centre = b.prior_centre[i * stride + l];
                sum += ln_normal(c[i][l], centre, model.endmember_sd.powi(2))
                    - mass_above_zero(centre, model.endmember_sd).ln();
                sum += (1.0 / (1.0 + (-u).exp())).ln();
            }
        }
        let noises = if model.noise == Noise::Isotropic { 1 } else { bands };
        let log_sd: Vec<f64> = (0..noises).map(|l| x(p.noise_at() + l)).collect();
        sum += log_sd.iter().map(|&x| scale_prior(x, noise_prior)).sum::<f64>();
        // The noise of band l given the bands before it: innovations' variances, and regressions.
        let mut phi = vec![vec![0.0; bands]; bands];
        if model.noise == Noise::Covariance {
            for l in 0..bands {
                for m in 0..l {
                    phi[l][m] = x(p.regression_at() + l * stride + m);
                    let sd = model.regression_sd / (l - m) as f64;
                    sum += ln_normal(phi[l][m], 0.0, sd * sd);
                }
            }
        }
        let innovations: Vec<f64> = (0..bands)
            .map(|l| (2.0 * log_sd[l.min(noises - 1)]).exp() + model.noise_floor.powi(2))
            .collect();
        let factor = cholesky(&covariance_of(&phi, &innovations));
        let mut v = vec![vec![0.0; bands]; k];
        if let Some(h) = model.variability {
            for i in 0..k {
                for l in 0..bands {
                    let x = x(p.variability_at() + i * stride + l);
                    v[i][l] = x.exp();
                    sum += scale_prior(x, Some(h));
                }
            }
        }
        let pi = softmax(&(0..k - 1).map(|i| x(p.mean_at() + i)).collect::<Vec<_>>());
        sum += ln_dirichlet(&pi, &vec![model.mean_concentration; k]) + ln_jacobian(&pi);
        let concentration = model.concentration_sd.map_or(model.concentration, |sd| {
            let x = x(p.concentration_at());
            sum += ln_normal(x, model.concentration.ln(), sd * sd);
            x.exp()
        });
        let a: Vec<f64> = pi.iter().map(|pi| concentration * pi).collect();
        let tau = model.brightness.map(|tau| match model.brightness_spread {
            None => tau,
            Some(sd) => {
                let x = x(p.spread_at());
                sum += ln_normal(x, tau.ln(), sd * sd);
                x.exp()
            }
        });
        let common = model.common.map(|common| {
            let at = p.common_at();
            let mixture = softmax(&(0..k - 1).map(|i| x(at + i)).collect::<Vec<_>>());
            sum += ln_dirichlet(&mixture, &vec![model.mean_concentration; k]);
            sum += ln_jacobian(&mixture);
            sum += ln_normal(x(at + k - 1), common.concentration.ln(), common.sd.powi(2));
            let share = 1.0 / (1.0 + (-x(at + k)).exp());
            sum += (share * (1.0 - share)).ln();
            (share, mixture.iter().map(|m| m * x(at + k - 1).exp()).collect::<Vec<_>>())
        });
        let scale = f64::from(p.pixels) / f64::from(p.batch);
        for place in 0..p.batch as usize {
            let pixel = b.pixel_of[place] as usize;
            let latents = p.latents as usize;
            let guide = common::guide_of(&p, &b.locals, pixel);
            let eps = |j: usize| b.local_eps[p.row_at(s, place, latents) + j * ROW_GROUP];
            let mut z = vec![0.0; latents];
            let mut off_diagonal = 2 * latents;
            for j in 0..latents {
                let mut x = eps(j);
                if model.family != unmixel::engine::model::Family::MeanField {
                    for m in 0..j {
                        x += guide[off_diagonal] * eps(m);
                        off_diagonal += 1;
                    }
                }
                z[j] = guide[j] + guide[latents + j].exp() * x;
            }
            let w = softmax(&z[..k - 1]);
            let mut local = ln_jacobian(&w)
                + match &common {
                    None => ln_dirichlet(&w, &a),
                    Some((share, b)) => ((1.0 - share) * ln_dirichlet(&w, &a).exp()
                        + share * ln_dirichlet(&w, b).exp())
                    .ln(),
                };
            let bright = tau.map_or(1.0, |tau| {
                local += ln_normal(z[k - 1], 0.0, tau * tau);
                z[k - 1].exp()
            });
            let mut r = vec![0.0; bands];
            for l in 0..bands {
                let mu = bright * (0..k).map(|i| w[i] * c[i][l]).sum::<f64>();
                r[l] = f64::from(problem.cube.spectrum(pixel)[l]) - mu;
                if model.noise == Noise::Covariance {
                    continue;
                }
                let var = innovations[l] + (0..k).map(|i| (w[i] * v[i][l]).powi(2)).sum::<f64>();
                local += model.likelihood_weight * ln_normal(r[l], 0.0, var);
            }
            if model.noise == Noise::Covariance {
                local += model.likelihood_weight * ln_multivariate_normal(&r, &factor);
            }
            local += (0..latents).map(|j| entropy(guide[latents + j])).sum::<f64>();
            sum += scale * local;
        }
        let in_use = |j: usize| b.global_grads[g + j] != 0.0;
        sum += (0..g).filter(|&j| in_use(j)).map(|j| entropy(b.globals[g + j])).sum::<f64>();
        total += sum / f64::from(p.particles);
    }
    total + half_log_det(&p, b)
}

#[test]
fn the_elbo_is_the_models() {
    for (name, problem) in variants() {
        let mut buffers = roughened(&problem);
        let step = elbo(&problem, &mut buffers)
            + elbo_constant(&problem.params, &problem.model, &problem.guide.prior_centre);
        let written_out = elbo_by_densities(&problem, &buffers);
        // Constants of the priors are good to 1e-7 (the normal's distribution function), and the
        // uniform holds hyperparameters as f32 (6e-8 relative); the sum has some 1e3 of either.
        assert!(
            (step - written_out).abs() < 1e-6 * written_out.abs().max(100.0),
            "{name}: {step} {written_out}"
        );
    }
}
