// Draws the scene latents x = loc + exp(log scale) * (eps + V eta) and writes them as the model
// takes them (equations 1, 3, 4, 5, 19, 21, 26): endmembers, noise and variability variances,
// Dirichlet parameters and their total, once more for the common mixture, the precision of
// log brightness, regressions between bands.
// Grid: particles x (globals / 4 + 1): Philox gives four normals at a time, for as many latents;
// the last invocation of a particle does the Dirichlet parameters.
@group(0) @binding(1) var<storage, read> globals: array<f32>;
@group(0) @binding(2) var<storage, read_write> eps: array<f32>;
@group(0) @binding(3) var<storage, read_write> theta: array<f32>;
@group(0) @binding(4) var<storage, read_write> status: array<atomic<u32>>;
@group(0) @binding(5) var<storage, read> eta: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let at = invocation(group, lane);
    if (at == 0u) {
        atomicStore(&status[0], 0u);
    }
    let fours = (p.globals + 3u) / 4u;
    if (at >= p.particles * (fours + 1u)) {
        return;
    }
    let particle = at / (fours + 1u);
    let four = at % (fours + 1u);
    if (four == fours) {
        dirichlets(particle, particle * theta_stride() + dirichlet_at());
        return;
    }
    let drawn = normals(STREAM_GLOBAL, particle, four, 0u);
    for (var i = 0u; i < min(4u, p.globals - 4u * four); i++) {
        write(particle, 4u * four + i, drawn[i]);
    }
}

// Draws a latent from its normal, and gives it as the model takes it.
fn write(particle: u32, j: u32, drawn: f32) {
    let e = with_loadings(particle, j, drawn);
    eps[particle * p.globals + j] = e;
    let out = particle * theta_stride();
    let x = globals[j] + exp(globals[p.globals + j]) * e;
    if (j < noise_at()) {
        theta[out + j] = select(0.0, softplus(x), j % stride() < p.bands);
    } else if (j < mean_at()) {
        let l = j - noise_at();
        let variance = p.noise_floor + exp(2.0 * x);
        if (p.noises == 1u) {
            for (var i = 0u; i < stride(); i++) {
                write_noise(out + noise_at() + i, select(1.0, variance, i < p.bands));
            }
        } else {
            write_noise(out + noise_at() + l, select(1.0, variance, l < p.bands));
        }
    } else if (j >= regression_at()) {
        let i = j - regression_at();
        let l = i / stride();
        theta[out + theta_regression_at() + i] = select(0.0, x, i % stride() < l && l < p.bands);
    } else if (j >= variability_at()) {
        let l = j - variability_at();
        theta[out + noise_at() + stride() + l] = select(0.0, exp(2.0 * x), l % stride() < p.bands);
    }
}

// A variance; and one over it where the first row of variability has nothing to hold.
fn write_noise(at: u32, variance: f32) {
    theta[at] = variance;
    if (!has(VARIABILITY)) {
        theta[at + stride()] = 1.0 / variance;
    }
}

fn with_loadings(particle: u32, j: u32, drawn: f32) -> f32 {
    var sum = drawn;
    for (var r = 0u; r < p.rank; r++) {
        sum += globals[2u * p.globals + j * p.rank + r] * eta[particle * p.rank + r];
    }
    return sum;
}

fn latent(particle: u32, j: u32) -> f32 {
    let drawn = normals(STREAM_GLOBAL, particle, j / 4u, 0u)[j % 4u];
    return globals[j] + exp(globals[p.globals + j]) * with_loadings(particle, j, drawn);
}

// a = alpha softmax(logits, 0), then alpha; with a common mixture b, beta and constants likewise.
fn dirichlets(particle: u32, out: u32) {
    var concentration = p.concentration;
    if (has(CONCENTRATION)) {
        concentration = exp(latent(particle, concentration_at()));
    }
    dirichlet(particle, out, mean_at(), concentration);
    var over_variance = p.brightness_precision;
    if (has(SPREAD)) {
        over_variance = exp(-2.0 * latent(particle, spread_at()));
    }
    theta[particle * theta_stride() + precision_at()] = over_variance;
    if (!has(COMMON)) {
        return;
    }
    let b = out + p.endmembers + 1u;
    let beta = common_at() + p.endmembers - 1u;
    dirichlet(particle, b, common_at(), exp(latent(particle, beta)));
    let constants = b + p.endmembers + 1u;
    // Logs of one minus the share, and of the share.
    let share = latent(particle, beta + 1u);
    theta[constants] = ln_normaliser(out) - softplus(share);
    theta[constants + 1u] = ln_normaliser(b) - softplus(-share);
}

// Parameters of a Dirichlet from its logits, kept away from zero, where log-gamma and digamma have
// poles; then their total.
fn dirichlet(particle: u32, out: u32, logits: u32, total: f32) {
    var top = 0.0;
    for (var k = 0u; k < p.endmembers; k++) {
        var x = 0.0;
        if (k + 1u < p.endmembers) {
            x = latent(particle, logits + k);
        }
        theta[out + k] = x;
        top = max(top, x);
    }
    var sum = 0.0;
    for (var k = 0u; k < p.endmembers; k++) {
        sum += exp(theta[out + k] - top);
    }
    theta[out + p.endmembers] = total;
    for (var k = 0u; k < p.endmembers; k++) {
        theta[out + k] = max(total * exp(theta[out + k] - top) / sum, 1e-6);
    }
}

// What is constant in the log density of the Dirichlet whose parameters begin here.
fn ln_normaliser(at: u32) -> f32 {
    var total = 0.0;
    var sum = 0.0;
    for (var k = 0u; k < p.endmembers; k++) {
        total += theta[at + k];
        sum -= ln_gamma(theta[at + k]);
    }
    return sum + ln_gamma(total);
}
