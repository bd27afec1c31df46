// Gradient of the guide of the scene latents (equations 13, 15 to 20, 24): the sums over pixels,
// times N / B, with priors, Jacobians and entropy; and the share of each latent in the ELBO.
// Grid: globals.
@group(0) @binding(1) var<storage, read> globals: array<f32>;
@group(0) @binding(2) var<storage, read> prior_centre: array<f32>;
@group(0) @binding(3) var<storage, read> eps: array<f32>;
@group(0) @binding(4) var<storage, read> theta: array<f32>;
@group(0) @binding(5) var<storage, read> totals: array<f32>;
@group(0) @binding(6) var<storage, read> regression_sums: array<f32>;
@group(0) @binding(7) var<storage, read_write> grads: array<f32>;
@group(0) @binding(8) var<storage, read_write> terms: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    fit = group.z;
    let j = invocation(group, lane);
    if (j >= p.globals) {
        return;
    }
    if (padded(j)) {
        grads[globals_at() + j] = 0.0;
        grads[globals_at() + p.globals + j] = 0.0;
        terms[terms_at() + j] = 0.0;
        return;
    }
    let log_scale = globals[globals_at() + p.globals + j];
    let scale = exp(log_scale);
    var by_loc = 0.0;
    var by_log_scale = 0.0;
    var term = 0.0;
    for (var particle = 0u; particle < p.particles; particle++) {
        let e = eps[particle_of_all(particle) * p.globals + j];
        // x: slope of the log joint by the latent, y: the latent's log prior.
        let slope_and_prior = latent(particle, j, globals[globals_at() + j] + scale * e);
        by_loc += slope_and_prior.x;
        by_log_scale += slope_and_prior.x * e * scale;
        if (p.rank > 0u) {
            terms[p.globals + j * p.particles + particle] = slope_and_prior.x * scale;
        }
        term += slope_and_prior.y;
    }
    let share = p.per_pixel / f32(p.particles);
    grads[globals_at() + j] = by_loc * share;
    grads[globals_at() + p.globals + j] = by_log_scale * share + p.per_pixel;
    terms[terms_at() + j] = term / f32(p.particles) + log_scale;
}

fn padded(j: u32) -> bool {
    if (j < noise_at()) {
        return j % stride() >= p.bands;
    }
    if (j < mean_at()) {
        return p.noises > 1u && j - noise_at() >= p.bands;
    }
    if (j >= regression_at()) {
        let l = (j - regression_at()) / stride();
        return l >= p.bands || (j - regression_at()) % stride() >= l;
    }
    return j >= variability_at() && (j - variability_at()) % stride() >= p.bands;
}

fn latent(particle: u32, j: u32, x: f32) -> vec2f {
    let out = theta_at(particle);
    if (j < noise_at()) {
        let c = theta[out + j];
        let off = c - prior_centre[fit * noise_at() + j];
        let sum = total(particle, j / stride(), j % stride());
        let by_c = p.scale * sum - p.endmember_precision * off;
        let prior = -0.5 * p.endmember_precision * off * off - softplus(-x);
        return vec2f(sigmoid(x) * by_c + sigmoid(-x), prior);
    }
    if (j < mean_at()) {
        let square = exp(2.0 * x);
        let from_centre = x - p.noise_centre;
        var sum = 0.0;
        if (p.noises == 1u) {
            for (var l = 0u; l < p.bands; l++) {
                sum += total(particle, p.endmembers, l);
            }
        } else {
            sum = total(particle, p.endmembers, j - noise_at());
        }
        let slope = 2.0 * square * p.scale * sum + p.noise_jacobian
            - p.noise_quadratic * square - p.noise_precision * from_centre;
        let prior = p.noise_jacobian * x - 0.5 * p.noise_quadratic * square
            - 0.5 * p.noise_precision * from_centre * from_centre;
        return vec2f(slope, prior);
    }
    if (j < spread_at()) {
        return dirichlet(particle, j, x, out + dirichlet_at());
    }
    if (j < variability_at()) {
        return spread(particle, x);
    }
    if (j >= regression_at()) {
        return regression(particle, j - regression_at(), x);
    }
    let square = exp(2.0 * x);
    let l = j - variability_at();
    let sum = total(particle, p.endmembers + 1u + l / stride(), l % stride());
    let slope = 2.0 * square * p.scale * sum + 1.0 - p.variability_quadratic * square;
    return vec2f(slope, x - 0.5 * p.variability_quadratic * square);
}

fn total(particle: u32, column: u32, band: u32) -> f32 {
    return totals[particle_of_all(particle) * totals_stride() + column * stride() + band];
}

// Slope by the regression at i on the band `lag` before, and its log prior.
fn regression(particle: u32, i: u32, x: f32) -> vec2f {
    let lag = f32(i / stride() - i % stride());
    let weight = p.regression_precision * lag * lag;
    let sum = regression_sums[particle * stride() * stride() + i];
    return vec2f(p.scale * sum - weight * x, -0.5 * weight * x * x);
}

// Slope by the log of the sd of log brightness, and its log prior with what is constant in the
// density of the pixels' log brightness.
fn spread(particle: u32, x: f32) -> vec2f {
    let squares = total(particle, columns(), scalars() - 2u);
    // The median's log is minus half the log of its precision.
    let from_centre = x + 0.5 * log(p.brightness_precision);
    let slope = p.scale * (exp(-2.0 * x) * squares - f32(p.batch))
        - p.spread_precision * from_centre;
    let prior = -0.5 * p.spread_precision * from_centre * from_centre;
    return vec2f(slope, prior - f32(p.pixels) * x);
}

// Slope by a latent of one of the two Dirichlets, and its share of the log prior.
fn dirichlet(particle: u32, j: u32, x: f32, a: u32) -> vec2f {
    let all = f32(p.batch);
    if (j < common_at()) {
        let prior = vec2f(p.concentration, p.concentration_precision);
        // Pixels without the common mixture.
        let count = all - common_sum(particle, p.endmembers);
        return of_dirichlet(particle, false, j - mean_at(), x, a, count, prior);
    }
    let own = j - common_at();
    let count = common_sum(particle, p.endmembers);
    if (own == p.endmembers) {
        // The logit of a share that is as likely to be anything.
        let share = sigmoid(x);
        let slope = p.scale * (count - all * share) + 1.0 - 2.0 * share;
        return vec2f(slope, -softplus(x) - softplus(-x));
    }
    let prior = vec2f(p.common_concentration, p.common_precision);
    return of_dirichlet(particle, true, own, x, a + p.endmembers + 1u, count, prior);
}

// Sum over pixels of r log W_k, with r the probability that a pixel has the common mixture; of r,
// for k = K.
fn common_sum(particle: u32, k: u32) -> f32 {
    if (has(COMMON)) {
        return total(particle, columns(), p.endmembers + k);
    }
    return 0.0;
}

// Slope by a logit of the mean, or by the log total x, of the Dirichlet with parameters at a that
// `count` pixels have; and the latent's share of the log prior, with the total's median and
// 1 / sd^2 of its log. All a_k move: by a_k (1 - pi) or -a_k pi with a logit, by a_k with the log
// total. The last abundance has no logit, so the first one carries its share of the prior too.
fn of_dirichlet(
    particle: u32, is_common: bool, own: u32, x: f32, a: u32, count: f32, prior: vec2f
) -> vec2f {
    let concentration = theta[a + p.endmembers];
    let digamma_total = digamma(concentration);
    let of_logit = own + 1u < p.endmembers;
    let pi_j = select(-1.0, theta[a + own] / concentration, of_logit);
    let from_centre = x - log(prior.x);
    var slope = -prior.y * from_centre;
    if (of_logit) {
        slope = p.mean_concentration * (1.0 - f32(p.endmembers) * pi_j);
    }
    for (var k = 0u; k < p.endmembers; k++) {
        let a_k = theta[a + k];
        let with_common = common_sum(particle, k);
        let log_weights =
            select(total(particle, columns(), k) - with_common, with_common, is_common);
        let by_a = p.scale * (count * (digamma_total - digamma(a_k)) + log_weights);
        slope += a_k * (select(0.0, 1.0, of_logit && own == k) - pi_j) * by_a;
    }
    if (!of_logit) {
        return vec2f(slope, -0.5 * prior.y * from_centre * from_centre);
    }
    var log_prior = log(pi_j);
    if (own == 0u) {
        log_prior += log(theta[a + p.endmembers - 1u] / concentration);
    }
    return vec2f(slope, p.mean_concentration * log_prior);
}
